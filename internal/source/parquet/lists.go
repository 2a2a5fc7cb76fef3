package parquet

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/profilerhq/profiler/internal/batch"
)

// elementLimit is how many elements the lists of a chunk may have, times the
// columns that they have. A chunk has few rows where lists are long.
const elementLimit = 1 << 23

// eachLevel calls f with the levels of the pages of n rows, page by page: with
// the repetition and definition levels of the rows in the page and the index of
// the row before them, -1 at first. A row begins at repetition level 0; it may go
// on in the next page. Errors are of the column named.
func (g *group) eachLevel(f, named *field, cur *cursor, n int, each func(rep, def []byte, row int) error) error {
	row := -1
	for {
		for len(cur.rep) == 0 {
			if len(cur.offsets) == 0 && row == n-1 {
				return nil
			}
			if err := cur.nextPage(f); err != nil {
				return g.pageError(named, cur, err)
			}
		}
		if row < 0 && cur.rep[0] != 0 {
			return g.r.damagedColumn(named, g.index, cur.offset, "a page begins inside a row", nil)
		}
		k, before := 0, row
		for ; k < len(cur.rep); k++ {
			if cur.rep[k] == 0 {
				if row == n-1 {
					break
				}
				row++
			}
		}
		rep, def := cur.rep[:k], cur.def[:k]
		more := k < len(cur.rep)
		cur.rep, cur.def = cur.rep[k:], cur.def[k:]
		if err := each(rep, def, before); err != nil {
			return g.r.damagedColumn(named, g.index, cur.offset, "a page cannot be decoded: "+err.Error(), nil)
		}
		if more {
			return nil
		}
	}
}

var errElements = fmt.Errorf("its lists have more than %d elements in a few rows, times their columns", elementLimit)

// fillElements appends the elements of the rows of a chunk.
func (g *group) fillElements(f *field, cur *cursor, v *batch.Vector, s *span) error {
	v.Rows = []int32{}
	return g.eachLevel(f, f, cur, s.rows, func(rep, def []byte, row int) error {
		return cur.elementsOf(f, v, s, rep, def, row)
	})
}

// elementsOf appends the elements of the places with these levels. There is one
// where the definition level reaches the element of the innermost list.
func (c *cursor) elementsOf(f *field, v *batch.Vector, s *span, rep, def []byte, row int) error {
	c.present = c.present[:0]
	for k, d := range def {
		if rep[k] == 0 {
			row++
		}
		if int(d) >= f.itemDef {
			c.present = append(c.present, d)
			v.Rows = append(v.Rows, int32(row)) //nolint:gosec // a chunk has a few thousand rows
		}
	}
	if s.elements.Add(int64(len(c.present))) > elementLimit {
		return errElements
	}
	return guard(func() error { return c.takeElements(f, v, len(def)) })
}

// takeElements appends the elements whose levels are in c.present, of n places
// of the page.
func (c *cursor) takeElements(f *field, v *batch.Vector, n int) error {
	if c.values == nil {
		return c.take(f, v, c.present, len(c.present))
	}
	to := v
	if v.Dict != nil { // the elements before have codes: these are new entries
		to = v.Dict
		for i := range c.present {
			v.Codes = append(v.Codes, uint32(to.Len()+i)) //nolint:gosec // within elementLimit
		}
	}
	for n > 0 {
		got, err := c.values.ReadValues(c.buf[:min(n, len(c.buf))])
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if got == 0 {
			return errFewer
		}
		kept := c.buf[:0]
		for _, x := range c.buf[:got] {
			if x.DefinitionLevel() >= f.itemDef {
				kept = append(kept, x)
			}
		}
		if err := c.convert.values(f, to, kept); err != nil {
			return err
		}
		n -= got
	}
	return nil
}

// fillList appends the number of elements of the lists of the rows of a chunk.
func (g *group) fillList(f *field, cur *cursor, v *batch.Vector, s *span) error {
	l := newLister(f, v, nil)
	err := g.eachLevel(f, f, cur, s.rows, func(rep, def []byte, row int) error { return l.levels(rep, def, row, s) })
	if err != nil {
		return err
	}
	l.end(s)
	return nil
}

// lister appends the number of elements of lists to a vector: of one list in
// each row, or of one in each element of the lists around. A list begins at a
// repetition level up to the number of those around, its elements one above; the
// definition level tells a null from an empty list.
type lister struct {
	f            *field
	v            *batch.Vector
	open, isNull bool
	items        int64
	at           int
}

// newLister returns one whose rows take the memory of rows, if it has any.
func newLister(f *field, v *batch.Vector, rows []int32) *lister {
	if f.depth > 0 {
		v.Rows = emptied(rows)
	}
	return &lister{f: f, v: v}
}

// emptied is memory for rows, which is not nil.
func emptied(rows []int32) []int32 {
	if rows == nil {
		return []int32{}
	}
	return rows[:0]
}

// levels takes the levels of the next places.
func (l *lister) levels(rep, def []byte, row int, s *span) error {
	f := l.f
	for k, r := range rep {
		if r == 0 {
			row++
		}
		switch d := int(def[k]); {
		case int(r) <= f.depth:
			l.add()
			l.open, l.isNull, l.items, l.at = f.depth == 0 || d >= f.outerDef, d < f.listDef, 0, row
			if d >= f.itemDef {
				l.items = 1
			}
		case int(r) == f.depth+1:
			l.items++
		}
	}
	if f.depth > 0 && int64(l.v.Len())+s.elements.Load() > elementLimit {
		return errElements
	}
	return nil
}

// add appends the list that is open.
func (l *lister) add() {
	switch {
	case !l.open:
		return
	case l.isNull:
		l.v.AppendNull()
	default:
		l.v.Append(batch.Value{Type: batch.List, Int: l.items}, nil)
	}
	if l.f.depth > 0 {
		l.v.Rows = append(l.v.Rows, int32(l.at)) //nolint:gosec // a chunk has a few thousand rows
	}
	l.open = false
}

// end appends the last list.
func (l *lister) end(s *span) {
	l.add()
	if l.f.depth > 0 {
		s.elements.Add(int64(l.v.Len()))
	}
}

// family is a column of elements and the columns of the lists around it whose
// levels are the same: they are read together.
type family struct {
	leaf  int   // column of the elements
	lists []int // columns of the lists, the outermost first
}

// findFamilies finds them among the columns that are read.
func (r *Reader) findFamilies() {
	there, wanted := map[string]bool{}, map[string]bool{}
	for i := range r.fields {
		there[r.fields[i].name] = true
	}
	all := len(r.opts.Columns) == 0
	for _, name := range r.opts.Columns {
		wanted[name] = true
		all = all || !there[name] // whose lists may have to be told from another column
	}
	of := map[int][]int{} // lists by leaf
	for i := range r.fields {
		f := &r.fields[i]
		f.family = -1
		switch {
		case !all && !wanted[f.name] || f.as == asNull:
		case f.as == asList:
			of[f.leaf] = append(of[f.leaf], i)
		case len(of[f.leaf]) > 0:
			for _, k := range append([]int{i}, of[f.leaf]...) {
				r.fields[k].family = len(r.families)
			}
			r.families = append(r.families, family{i, of[f.leaf]})
		}
	}
}

// relatives are the columns of a family in a chunk. Who is the first to fill one
// of them reads all.
type relatives struct {
	mu      sync.Mutex
	read    bool
	err     error
	vectors []batch.Vector // the elements, then the lists
	rows    [][]int32      // memory of those of the vectors
}

// fillRelative hands over a column of a family.
func (s *span) fillRelative(i int, v *batch.Vector) error {
	g := s.group
	family := g.r.fields[i].family
	f, one := &g.r.families[family], &s.relatives[family]
	one.mu.Lock()
	defer one.mu.Unlock()
	if !one.read {
		one.read, one.err = true, s.readFamily(f, one)
	}
	if one.err != nil {
		return one.err
	}
	k := slices.Index(f.lists, i) + 1 // 0 for the elements
	*v, one.vectors[k] = one.vectors[k], *v
	return nil
}

func (s *span) readFamily(of *family, one *relatives) error {
	g := s.group
	f, named, cur := &g.r.fields[of.leaf], &g.r.fields[of.lists[0]], &g.cursors[of.leaf]
	if one.vectors == nil {
		one.vectors, one.rows = make([]batch.Vector, 1+len(of.lists)), make([][]int32, 1+len(of.lists))
	}
	for k := range one.vectors {
		one.vectors[k].Reset()
	}
	elements := &one.vectors[0]
	elements.Declared, elements.Rows = declaredTypes[f.as], emptied(one.rows[0])
	lists := make([]*lister, len(of.lists))
	for k, i := range of.lists {
		lists[k] = newLister(&g.r.fields[i], &one.vectors[k+1], one.rows[k+1])
		one.vectors[k+1].Declared = batch.List
	}
	if err := g.open(named, cur); err != nil {
		return err
	}
	err := g.eachLevel(f, named, cur, s.rows, func(rep, def []byte, row int) error {
		for _, l := range lists {
			if err := l.levels(rep, def, row, s); err != nil {
				return err
			}
		}
		return cur.elementsOf(f, elements, s, rep, def, row)
	})
	if err != nil {
		return err
	}
	for _, l := range lists {
		l.end(s)
	}
	for k := range one.vectors {
		if rows := one.vectors[k].Rows; rows != nil {
			one.rows[k] = rows
		}
	}
	elements.Zoned = elements.Zoned || elements.Dict != nil && elements.Dict.Zoned
	return s.ended(named, cur)
}
