package parquet

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/parquet-go/parquet-go"

	"github.com/profilerhq/profiler/internal/batch"
)

// group is an open row group.
type group struct {
	r       *Reader
	index   int
	cursors []cursor // by column

	mu    sync.Mutex
	nulls map[int]*cursor // by column, of those whose levels alone are read
}

// span is the part of a row group that a chunk has.
type span struct {
	group *group
	rows  int
	last  bool // of the row group

	elements atomic.Int64    // of lists that were read so far, of all columns
	nulls    map[int][]int32 // by column: the rows of its elements

	relatives []relatives // by family
}

// FillNulls reads of which rows the elements of a column are.
func (s *span) FillNulls(_ *batch.Chunk, i int, v *batch.Vector) error {
	g := s.group
	g.mu.Lock()
	defer g.mu.Unlock()
	rows, known := s.nulls[i]
	if !known {
		f := g.r.fields[i] // whose values are not looked at
		if f.as != asList {
			f.listDef, f.outerDef = f.itemDef, f.itemDef
		}
		f.as = asList
		if g.nulls == nil {
			g.nulls = map[int]*cursor{}
		}
		if g.nulls[i] == nil {
			g.nulls[i] = &cursor{}
		}
		cur, places := g.nulls[i], &batch.Vector{}
		if err := g.open(&f, cur); err != nil {
			return err
		}
		if err := g.fillList(&f, cur, places, s); err != nil {
			return err
		}
		if rows = places.Rows; s.nulls == nil {
			s.nulls = map[int][]int32{}
		}
		s.nulls[i] = rows
	}
	v.SetNull(len(rows))
	v.Rows = rows
	return nil
}

// Fill reads the rows of a column.
func (s *span) Fill(_ *batch.Chunk, i int, v *batch.Vector) error {
	g := s.group
	f, cur := &g.r.fields[i], &g.cursors[i]
	v.Declared = declaredTypes[f.as]
	switch {
	case f.as == asNull && f.depth > 0:
		return s.FillNulls(nil, i, v)
	case f.family >= 0:
		return s.fillRelative(i, v)
	}
	if err := g.open(f, cur); err != nil {
		return err
	}
	if f.as == asNull {
		v.SetNull(s.rows)
		if s.last {
			cur.close()
		}
		return nil
	}
	if err := g.fill(f, cur, v, s); err != nil {
		return err
	}
	v.Zoned = v.Zoned || v.Dict != nil && v.Dict.Zoned
	return s.ended(f, cur)
}

// ended makes sure that nothing is left of a column behind the last rows of the
// row group.
func (s *span) ended(f *field, cur *cursor) error {
	if !s.last {
		return nil
	}
	g := s.group
	if !cur.exhausted() || len(cur.offsets) > 0 {
		return g.r.damagedColumn(f, g.index, cur.offset, "it holds more values than the row group has rows", nil)
	}
	cur.close()
	return nil
}

// open opens the pages of a column after comparing their headers with the
// footer.
func (g *group) open(f *field, cur *cursor) error {
	if cur.opened {
		return nil
	}
	cur.opened = true
	pages, err := g.r.scanPages(f, g.index)
	if err != nil {
		return err
	}
	for i := range pages {
		if pages[i].data() {
			cur.offsets = append(cur.offsets, pages[i].offset)
		}
	}
	list := int64(cap(pages))*int64(unsafe.Sizeof(page{})) + 8*int64(cap(cur.offsets))
	if cur.pages, cur.source, err = g.r.openPages(f, g.index, pages); err != nil {
		return g.r.damagedColumn(f, g.index, -1, "the pages cannot be found", err)
	}
	cur.source.held = list
	if err := g.r.hold(list); err != nil {
		return g.pageError(f, cur, err)
	}
	return nil
}

func (g *group) close() {
	for i := range g.cursors {
		g.cursors[i].close()
	}
	for _, c := range g.nulls {
		c.close()
	}
}

// cursor stands in the pages of one column of a row group.
type cursor struct {
	opened  bool
	pages   parquet.Pages
	source  *chunk
	offsets []int64 // of the pages that are still to be read
	offset  int64   // of the current page
	page    parquet.Page
	left    int    // rows left in the page
	rep     []byte // levels left in the page; no definition levels means that no value is null
	def     []byte
	convert converter

	present []byte // definition levels of the elements that are taken

	// Of a page with a dictionary.
	codes []int32 // left in the page, without nulls
	dict  *batch.Vector
	size  int     // of the dictionary; the next entry is null
	text  int     // bytes of the dictionary
	bits  []int32 // codes of booleans

	// Of any other page.
	plain  plain
	values parquet.ValueReader
	buf    []parquet.Value
}

func (c *cursor) exhausted() bool { return c.left == 0 && len(c.def) == 0 }

func (c *cursor) close() {
	if c.page != nil {
		parquet.Release(c.page)
	}
	if c.pages != nil {
		c.pages.Close() // closes no file, it returns buffers
	}
	if c.source != nil {
		c.source.release()
		c.source.letGo()
	}
	*c = cursor{opened: true}
}

// nextPage reads the next page of the column. The error is io.EOF if there is
// none.
func (c *cursor) nextPage(f *field) error {
	if len(c.offsets) == 0 {
		return io.EOF
	}
	c.offset, c.offsets = c.offsets[0], c.offsets[1:]
	return guard(func() error {
		if c.page != nil {
			parquet.Release(c.page)
			c.page = nil
		}
		page, err := c.pages.ReadPage()
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		c.page = page
		if f.as == asList {
			c.rep, c.def = page.RepetitionLevels(), page.DefinitionLevels()
			if len(c.rep) != len(c.def) {
				return errLevels
			}
			return nil
		}
		return c.begin(f, page)
	})
}

// begin prepares for the values of a page.
func (c *cursor) begin(f *field, page parquet.Page) error {
	c.left, c.def = int(page.NumValues()), page.DefinitionLevels()
	c.codes, c.values = nil, nil
	if f.depth > 0 {
		if c.left, c.rep = 0, page.RepetitionLevels(); len(c.rep) != len(c.def) {
			return errLevels
		}
	}
	dict := page.Dictionary()
	switch {
	case dict != nil && f.as == asBoolean:
		return errors.New("its booleans have a dictionary, which the format does not know")
	case dict != nil:
		data := page.Data()
		return c.beginCodes(f, dict, data.Int32())
	case f.as == asBoolean:
		return c.beginBits(page)
	case c.plain.begin(f, page):
		return nil
	}
	c.values = page.Values()
	if c.buf == nil {
		c.buf = make([]parquet.Value, 512)
	}
	return nil
}

// beginCodes prepares for the indexes of a page. The dictionary of the row
// group is converted once; its last entry is null.
func (c *cursor) beginCodes(f *field, dict parquet.Dictionary, codes []int32) error {
	n := dict.Len()
	if c.dict == nil {
		c.dict = &batch.Vector{Declared: declaredTypes[f.as]}
		var one [1]parquet.Value
		for i := range n {
			one[0] = dict.Index(int32(i)) //nolint:gosec // a dictionary fits a page
			if err := c.convert.values(f, c.dict, one[:]); err != nil {
				return err
			}
		}
		c.dict.AppendNull()
		c.size, c.text = n, c.dict.Size()
	}
	if n != c.size {
		return errors.New("two dictionaries in one row group")
	}
	if grown := c.dict.Len() - n - 1; grown > max(n, 1<<16) || c.dict.Size() > 2*c.text+chunkBytes {
		c.renew()
	}
	c.codes = codes
	return nil
}

// renew takes out of the dictionary what pages without one have added. The one
// before stays with the chunks that have it.
func (c *cursor) renew() {
	old := c.dict
	c.dict = &batch.Vector{Declared: old.Declared, Zoned: old.Zoned}
	for i := range c.size {
		c.dict.Append(old.Value(i), old.Bytes(i))
	}
	c.dict.AppendNull()
}

// truths are the values of booleans as entries of a dictionary; the last one is
// null.
var truths = func() *batch.Vector {
	v := &batch.Vector{Declared: batch.Boolean}
	v.Append(batch.Value{Type: batch.Boolean}, nil)
	v.Append(batch.Value{Type: batch.Boolean, Int: 1}, nil)
	v.AppendNull()
	return v
}()

// beginBits prepares for the booleans of a page, which are codes of their own.
func (c *cursor) beginBits(page parquet.Page) error {
	data := page.Data()
	bits := data.Boolean()
	n := int(page.NumValues() - page.NumNulls())
	if n > 8*len(bits) {
		return errFewer
	}
	c.bits = slices.Grow(c.bits[:0], n)[:n]
	for i := range c.bits {
		c.bits[i] = int32(bits[i>>3] >> (i & 7) & 1)
	}
	c.codes = c.bits
	return nil
}

// fill appends the rows of a chunk to the vector of a column.
func (g *group) fill(f *field, cur *cursor, v *batch.Vector, s *span) error {
	switch {
	case f.as == asList:
		return g.fillList(f, cur, v, s)
	case f.depth > 0:
		return g.fillElements(f, cur, v, s)
	}
	n := s.rows
	for n > 0 {
		if cur.left == 0 {
			if err := cur.nextPage(f); err != nil {
				return g.pageError(f, cur, err)
			}
			continue
		}
		got := min(n, cur.left)
		var def []byte
		if len(cur.def) > 0 {
			if len(cur.def) < got {
				return g.r.damagedColumn(f, g.index, cur.offset, "a page holds fewer levels than values", nil)
			}
			def, cur.def = cur.def[:got], cur.def[got:]
		}
		err := guard(func() error { return cur.take(f, v, def, got) })
		if err != nil {
			return g.r.damagedColumn(f, g.index, cur.offset, "a page cannot be decoded: "+err.Error(), nil)
		}
		cur.left -= got
		n -= got
	}
	return nil
}

var errLevels = errors.New("levels of different number")

var errFewer = errors.New("it holds fewer values than it names")

// take appends n rows of the page.
func (c *cursor) take(f *field, v *batch.Vector, def []byte, n int) error {
	if c.codes != nil {
		return c.takeCodes(f, v, def, n)
	}
	to := v
	if v.Dict != nil { // the rows before have codes: these are new entries
		to = v.Dict
		for i := range n {
			v.Codes = append(v.Codes, uint32(to.Len()+i)) //nolint:gosec // a chunk has a few thousand rows
		}
	}
	if c.values != nil {
		return c.takeValues(f, to, n)
	}
	return c.plain.take(f, to, def, n, &c.convert)
}

// takeCodes appends rows by their indexes in the dictionary.
func (c *cursor) takeCodes(f *field, v *batch.Vector, def []byte, n int) error {
	dict, null := c.dict, uint32(c.size) //nolint:gosec // a dictionary fits a page
	if dict == nil {
		dict, null = truths, 2
	}
	if v.Len() == 0 {
		v.Dict = dict
	}
	at := len(v.Codes)
	v.Codes = slices.Grow(v.Codes, n)[:at+n]
	out := v.Codes[at:]
	used, most := 0, uint32(0)
	if def == nil {
		if used = n; n > len(c.codes) {
			return errFewer
		}
		for i, code := range c.codes[:n] {
			out[i] = uint32(code) //nolint:gosec // checked below
			most = max(most, out[i])
		}
	} else {
		for i := range out {
			if def[i] != f.def {
				out[i] = null
				continue
			}
			if used == len(c.codes) {
				return errFewer
			}
			out[i] = uint32(c.codes[used]) //nolint:gosec // checked below
			most = max(most, out[i])
			used++
		}
	}
	if most >= null && used > 0 { // a negative one is large as well
		return errors.New("an index lies outside of the dictionary")
	}
	c.codes = c.codes[used:]
	if c.codes == nil {
		c.codes = []int32{}
	}
	if v.Dict == nil { // the rows before came from a page without dictionary
		for _, code := range out {
			v.Append(dict.Value(int(code)), dict.Bytes(int(code)))
		}
		v.Codes = v.Codes[:at]
	}
	return nil
}

// takeValues appends rows by the library's boxed values, for types that are
// rare.
func (c *cursor) takeValues(f *field, v *batch.Vector, n int) error {
	for n > 0 {
		got, err := c.values.ReadValues(c.buf[:min(n, len(c.buf))])
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if got == 0 {
			return errFewer
		}
		if err := c.convert.values(f, v, c.buf[:got]); err != nil {
			return err
		}
		n -= got
	}
	return nil
}

func (g *group) pageError(f *field, cur *cursor, err error) error {
	if errors.Is(err, io.EOF) {
		return g.r.damagedColumn(f, g.index, cur.offset, "it holds fewer values than the row group has rows", nil)
	}
	cause := cur.source.err
	if cause == nil {
		cause = err
	}
	if errors.Is(cause, errHeld) || errors.Is(cause, errBomb) {
		return &batch.DataError{Source: g.r.opts.Source, Offset: cur.offset, Reason: fmt.Sprintf("column %s in row group %d: %s", f.name, g.index+1, cause), Advice: adviceHeld}
	}
	if cause := cur.source.err; cause != nil {
		return g.r.damagedColumn(f, g.index, cur.offset, "a page cannot be decoded: "+cause.Error(), cause)
	}
	return g.r.damagedColumn(f, g.index, cur.offset, "a page cannot be decoded", err)
}
