package arrow

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
)

// guard calls f and returns a panic of it as an error: decoders of damaged
// data may run out of bounds.
func guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		switch p := recover().(type) {
		case nil:
		case runtime.Error:
			err = fmt.Errorf("panic: %w", p)
		case error:
			err = p
		default:
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return f()
}

// table is a table of the FlatBuffers encoding, in which Arrow writes its
// metadata (format/Message.fbs, Schema.fbs and File.fbs of the Arrow
// repository). Its methods panic where the buffer ends; callers guard.
type table struct {
	b   []byte
	pos int
}

func root(b []byte) table { return table{b, int(binary.LittleEndian.Uint32(b))} }

// slot returns the position of a field by its number in the schema, 0 if it is
// not set.
func (t table) slot(n int) int {
	vt := t.pos - int(int32(binary.LittleEndian.Uint32(t.b[t.pos:]))) //nolint:gosec // signed by the format
	size := int(binary.LittleEndian.Uint16(t.b[vt:]))
	if at := 4 + 2*n; at < size {
		if o := int(binary.LittleEndian.Uint16(t.b[vt+at:])); o != 0 {
			return t.pos + o
		}
	}
	return 0
}

func (t table) byteAt(n int) byte {
	if at := t.slot(n); at != 0 {
		return t.b[at]
	}
	return 0
}

func (t table) int64At(n int) int64 {
	if at := t.slot(n); at != 0 {
		return signed(t.b[at:])
	}
	return 0
}

func signed(b []byte) int64 { return int64(binary.LittleEndian.Uint64(b)) } //nolint:gosec // signed by the format

// child returns the table that a field refers to.
func (t table) child(n int) (table, bool) {
	at := t.slot(n)
	if at == 0 {
		return table{}, false
	}
	return table{t.b, at + int(binary.LittleEndian.Uint32(t.b[at:]))}, true
}

var errFields = fmt.Errorf("has more than %d columns, those in columns counted", fieldLimit)

var errMetadata = errors.New("its metadata claims more than it holds")

// vector returns where the items of a vector begin and their number, after
// making sure that the items lie in the buffer.
func (t table) vector(n, itemSize int) (start, count int) {
	at := t.slot(n)
	if at == 0 {
		return 0, 0
	}
	at += int(binary.LittleEndian.Uint32(t.b[at:]))
	count = int(binary.LittleEndian.Uint32(t.b[at:]))
	start = at + 4
	if count > (len(t.b)-start)/itemSize {
		panic(errMetadata)
	}
	return start, count
}

// items returns the bytes of a vector.
func (t table) items(n, itemSize int) []byte {
	start, count := t.vector(n, itemSize)
	return t.b[start : start+count*itemSize]
}

// tables calls f for each table of a vector of them.
func (t table) tables(n int, f func(table)) {
	start, count := t.vector(n, 4)
	for i := range count {
		at := start + 4*i
		f(table{t.b, at + int(binary.LittleEndian.Uint32(t.b[at:]))})
	}
}

// Kinds of messages.
const (
	kindSchema     = 1
	kindDictionary = 2
	kindBatch      = 3
)

// Numbers of the fields of the tables.
const (
	messageKind, messageHeader, messageBody, messageCustom          = 1, 2, 3, 4
	schemaFields, schemaCustom                                      = 1, 2
	fieldName, fieldKind, fieldType, fieldDictionary, fieldChildren = 0, 2, 3, 4, 5
	fieldCustom                                                     = 6
	unionIDs                                                        = 1
	encodingID                                                      = 0
	batchRows, batchNodes, batchBuffers, batchPacking, batchViews   = 0, 1, 2, 3, 4
	dictionaryID, dictionaryBatch, dictionaryDelta                  = 0, 1, 2
	packingCodec, packingMethod                                     = 0, 1
	footerSchema, footerDictionaries, footerBatches                 = 1, 2, 3
	keyOf, valueOf                                                  = 0, 1
	typeUnion, typeBinaryView, typeTextView                         = 14, 23, 24 // of the union Type
)

const (
	depthLimit = 64
	fieldLimit = 250_000
	rowLimit   = 1<<31 - 1 // rows of a record batch, by the format
)

// header is what the metadata of a message says.
type header struct {
	kind    byte
	body    int64 // bytes
	rows    int64
	packed  bool
	zstd    bool
	buffers []byte // offsets and lengths in the body, 16 bytes each
	layout  layout
	schema  *schema // of a message of that kind
	id      int64   // of a dictionary
	delta   bool    // that adds to the one before
	size    int64   // of the values, unpacked
}

// layout is what a record batch has to have for its columns.
type layout struct {
	nodes int // columns, those in columns counted
	views int // columns of views
}

func (l layout) add(o layout) layout { return layout{l.nodes + o.nodes, l.views + o.views} }

// schema is the layout of all record batches of a stream.
type schema struct {
	layout
	dictionaries map[int64]layout
}

// check reads the metadata of a message and makes sure that all that it
// refers to lies in it, and that it does not unfold to more than it holds.
func check(meta []byte) (h header, err error) {
	err = guard(func() error {
		w := &walker{budget: 1<<16 + 2*len(meta), fields: fieldLimit}
		m := root(meta)
		h.kind, h.body = m.byteAt(messageKind), m.int64At(messageBody)
		if h.body < 0 {
			return errMetadata
		}
		w.custom(m, messageCustom)
		t, ok := m.child(messageHeader)
		if !ok {
			return errors.New("the message has no content")
		}
		switch h.kind {
		case kindSchema:
			h.schema = w.schema(t)
			return nil
		case kindDictionary:
			h.id, h.delta = t.int64At(dictionaryID), t.byteAt(dictionaryDelta) != 0
			if t, ok = t.child(dictionaryBatch); !ok {
				return errors.New("a dictionary has no values")
			}
			return h.batch(t)
		case kindBatch:
			return h.batch(t)
		}
		return fmt.Errorf("a message of kind %d is no part of a table", h.kind)
	})
	return h, err
}

// batch checks the metadata of a record batch.
func (h *header) batch(t table) error {
	h.rows = t.int64At(batchRows)
	if h.rows < 0 || h.rows > rowLimit {
		return fmt.Errorf("it claims %d rows", h.rows)
	}
	nodes := t.items(batchNodes, 16)
	h.layout.nodes = len(nodes) / 16
	for ; len(nodes) > 0; nodes = nodes[16:] {
		if n, nulls := signed(nodes), signed(nodes[8:]); n < 0 || nulls < 0 || nulls > n {
			return fmt.Errorf("a column claims %d values and %d nulls", n, nulls)
		}
	}
	h.buffers = t.items(batchBuffers, 16)
	for b := h.buffers; len(b) > 0; b = b[16:] {
		if at, n := signed(b), signed(b[8:]); at < 0 || n < 0 || at > h.body || n > h.body-at {
			return errors.New("values of a column lie outside of it")
		}
	}
	views := t.items(batchViews, 8)
	h.layout.views = len(views) / 8
	for ; len(views) > 0; views = views[8:] {
		if n := signed(views); n < 0 || n > int64(len(h.buffers)/16) {
			return errMetadata
		}
	}
	if p, ok := t.child(batchPacking); ok {
		codec := p.byteAt(packingCodec)
		if codec > 1 || p.byteAt(packingMethod) != 0 {
			return fmt.Errorf("it is packed in an unknown way (%d)", codec)
		}
		h.packed, h.zstd = true, codec == 1
	}
	return nil
}

// checkSizes makes sure that the packed values of a body do not claim to
// unpack to more than their packing can reach, nor all to more than the limit.
// It returns how many bytes they are.
func (h *header) checkSizes(body []byte, limit int64) (sum int64, err error) {
	if !h.packed {
		return h.body, nil
	}
	most := int64(256) // LZ4: 255 bytes for each byte of a length
	if h.zstd {
		most = 44_000 // Zstandard: a block of 128 KiB in 3 bytes
	}
	for b := h.buffers; len(b) > 0; b = b[16:] {
		at, n := signed(b), signed(b[8:])
		if n == 0 {
			continue
		}
		if n < 8 {
			return 0, errors.New("packed values have no size")
		}
		size := signed(body[at:])
		if size == -1 {
			sum += n
			continue // these are not packed
		}
		if size < 0 || size/most > n {
			return 0, fmt.Errorf("%d packed bytes claim to be %d", n-8, size)
		}
		if sum += size; sum > limit {
			return 0, fmt.Errorf("it unpacks to more than %d MiB", limit>>20)
		}
	}
	return sum, nil
}

// walker goes over a schema with a budget, as tables may be shared: a schema
// of a few bytes could else unfold to any size.
type walker struct {
	budget       int // bytes
	fields       int
	dictionaries map[int64]layout
}

func (w *walker) spend(n int) {
	if w.budget -= n + 1; w.budget < 0 {
		panic(errMetadata)
	}
}

func (w *walker) text(t table, n int) {
	w.spend(len(t.items(n, 1)))
}

func (w *walker) custom(t table, n int) {
	t.tables(n, func(kv table) {
		w.text(kv, keyOf)
		w.text(kv, valueOf)
	})
}

func (w *walker) schema(t table) *schema {
	w.custom(t, schemaCustom)
	w.dictionaries = make(map[int64]layout)
	s := &schema{dictionaries: w.dictionaries}
	t.tables(schemaFields, func(f table) { s.layout = s.add(w.field(f, 0)) })
	return s
}

// field returns the layout of a field.
func (w *walker) field(t table, depth int) layout {
	w.spend(0)
	if w.fields--; w.fields < 0 {
		panic(errFields)
	}
	if depth > depthLimit {
		panic(errors.New("its columns are nested too deep"))
	}
	w.text(t, fieldName)
	w.custom(t, fieldCustom)
	l := layout{nodes: 1}
	switch t.byteAt(fieldKind) {
	case typeUnion:
		if typ, ok := t.child(fieldType); ok {
			w.spend(len(typ.items(unionIDs, 4)))
		}
	case typeBinaryView, typeTextView:
		l.views = 1
	}
	t.tables(fieldChildren, func(c table) { l = l.add(w.field(c, depth+1)) })
	if d, ok := t.child(fieldDictionary); ok {
		id := d.int64At(encodingID)
		have := w.dictionaries[id]
		w.dictionaries[id] = layout{max(have.nodes, l.nodes), max(have.views, l.views)}
		return layout{nodes: 1}
	}
	return l
}

// fits makes sure that a record batch or dictionary has what the schema asks
// for.
func (s *schema) fits(h *header) error {
	want := layout{}
	switch {
	case s == nil:
		return errors.New("there is no schema before it")
	case h.kind == kindBatch:
		want = s.layout
	case h.kind == kindDictionary:
		known := false
		if want, known = s.dictionaries[h.id]; !known {
			return fmt.Errorf("no column has the dictionary %d", h.id)
		}
	}
	if h.layout.nodes < want.nodes || h.layout.views < want.views {
		return errors.New("it has fewer columns than the schema")
	}
	return nil
}

// block is the place of a message in a file.
type block struct{ offset, meta, body int64 }

// footerBlocks returns the dictionaries and record batches that the footer of
// a file lists.
func footerBlocks(footer []byte) (dictionaries, batches []block, err error) {
	err = guard(func() error {
		f := root(footer)
		if _, ok := f.child(footerSchema); !ok {
			return errors.New("the footer has no schema")
		}
		read := func(n int) (list []block) {
			for items := f.items(n, 24); len(items) > 0; items = items[24:] {
				list = append(list, block{signed(items), int64(int32(binary.LittleEndian.Uint32(items[8:]))), signed(items[16:])}) //nolint:gosec // signed by the format
			}
			return list
		}
		dictionaries, batches = read(footerDictionaries), read(footerBatches)
		return nil
	})
	return dictionaries, batches, err
}
