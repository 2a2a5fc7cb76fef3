package parquet

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// Limits of a footer. Each is far above what writers write, and keeps what is
// made of a footer to a few times its size.
const (
	footerLimit  = 256 << 20 // bytes
	elementCount = 250_000   // of the schema
	chunkCount   = 4 << 20   // columns of all row groups
	nameLimit    = 4 << 10   // bytes of the name of a column, those of the groups around it counted
	pathsLimit   = 32 << 20  // of all names
	segmentCount = 4 << 20   // parts of the schema, each times how deep it is
)

// refusal is an error of a footer that is too large, with what to do.
type refusal struct{ reason, advice string }

// Error returns the reason.
func (e *refusal) Error() string { return e.reason }

const (
	adviceColumns = "write the file anew with fewer columns"
	adviceGroups  = "write the file anew with larger row groups"
)

// footer is what a file says of itself, as far as that is needed.
type footer struct {
	schema    []format.SchemaElement
	rows      int64
	encrypted bool
	groups    []rowGroup
}

type rowGroup struct {
	rows   int64
	chunks []columnChunk
}

// columnChunk is what the footer says of a column in a row group.
type columnChunk struct {
	start     int64 // offset of its first page
	packed    int64 // bytes of its pages
	unpacked  int64
	values    int64
	codec     format.CompressionCodec
	typ       format.Type
	encrypted bool
	file      string // that it is in, "" for this one
}

// readFooter reads a footer whose lists and texts were found to fit into it.
// Row groups are read without the library, which takes hundreds of bytes for a
// column that is a byte of a hostile footer.
func readFooter(b []byte) (f *footer, err error) {
	f = &footer{}
	var groups []byte
	var short []byte // the footer without what is not needed
	err = fields(b, func(id int64, typ byte, value []byte) error {
		switch id {
		case 1, 3, 8: // version, rows, encryption
		case 2:
			if n, _, ok := listHead(value); typ != tList || !ok || n > elementCount {
				return &refusal{fmt.Sprintf("its schema has more than %d parts", elementCount), adviceColumns}
			}
		case 4:
			groups, value = value, []byte{tStruct} // none here
		default:
			return nil
		}
		short = append(append(short, typ, byte(2*id)), value...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	var meta format.FileMetaData
	var protocol thrift.CompactProtocol
	if err := thrift.NewDecoder(protocol.NewReaderFromBytes(append(short, 0))).Decode(&meta); err != nil {
		return nil, err
	}
	f.schema, f.rows, f.encrypted = meta.Schema, meta.NumRows, meta.EncryptionAlgorithm.Value != nil
	if err := f.checkSchema(); err != nil {
		return nil, err
	}
	return f, f.readGroups(groups)
}

// checkSchema makes sure that the schema is not nested deeper than can be read:
// what reads it calls itself for each level.
func (f *footer) checkSchema() error {
	if n := f.leaves(); n > parquet.MaxColumnIndex+1 {
		return &refusal{fmt.Sprintf("has %d columns, and %d can be told apart", n, parquet.MaxColumnIndex+1), adviceColumns}
	}
	var left []int32 // of the groups around an element
	segments := 0
	for i := range f.schema {
		if segments += len(left) + 1; len(left) > parquet.MaxColumnDepth || segments > segmentCount {
			return &refusal{fmt.Sprintf("its columns are nested deeper than %d levels, or too many of them are nested", parquet.MaxColumnDepth), adviceColumns}
		}
		if n := f.schema[i].NumChildren; n.Valid && n.V > 0 {
			left = append(left, n.V)
			continue
		}
		for len(left) > 0 {
			if left[len(left)-1]--; left[len(left)-1] > 0 {
				break
			}
			left = left[:len(left)-1]
		}
	}
	return nil
}

// values returns how many values all columns claim to have, and at least the
// rows.
func (f *footer) values() int64 {
	sum := int64(0)
	for g := range f.groups {
		for i := range f.groups[g].chunks {
			if sum += max(0, f.groups[g].chunks[i].values); sum < 0 {
				return math.MaxInt64
			}
		}
	}
	return max(sum, f.rows)
}

// leaves returns how many columns a row group should have.
func (f *footer) leaves() (n int) {
	for i := range f.schema {
		if f.schema[i].Type.Valid {
			n++
		}
	}
	return n
}

func (f *footer) readGroups(b []byte) error {
	n, b, ok := listHead(b)
	if !ok {
		return nil // there are none
	}
	most := f.leaves()
	if n > chunkCount || n*uint64(max(1, most)) > chunkCount { //nolint:gosec // not negative
		return &refusal{fmt.Sprintf("has %d row groups of %d columns, and %d in all can be read", n, most, chunkCount), adviceGroups}
	}
	f.groups = make([]rowGroup, n)
	for i := range f.groups {
		g := &f.groups[i]
		rest, ok := skipStruct(b, 0)
		if !ok {
			return errThrift
		}
		if err := g.read(b[:len(b)-len(rest)], most); err != nil {
			return err
		}
		b = rest
	}
	return nil
}

var errThrift = errors.New("it is no Thrift")

func (g *rowGroup) read(b []byte, columns int) error {
	return fields(b, func(id int64, typ byte, value []byte) error {
		switch {
		case id == 3:
			g.rows = number(value)
		case id == 1 && typ == tList:
			n, b, _ := listHead(value)
			if n != uint64(columns) { //nolint:gosec // not negative
				return fmt.Errorf("a row group has %d columns, the schema %d", n, columns)
			}
			g.chunks = make([]columnChunk, n)
			for i := range g.chunks {
				rest, ok := skipStruct(b, 0)
				if !ok {
					return errThrift
				}
				if err := g.chunks[i].read(b[:len(b)-len(rest)]); err != nil {
					return err
				}
				b = rest
			}
		}
		return nil
	})
}

// read reads a ColumnChunk (parquet.thrift of the format).
func (c *columnChunk) read(b []byte) error {
	return fields(b, func(id int64, typ byte, value []byte) error {
		switch {
		case id == 1 && typ == tBinary:
			_, text, _ := uvarint(value)
			c.file = string(text[:min(len(text), 1<<10)])
		case id == 3 && typ == tStruct:
			return c.readMeta(value)
		case id == 8, id == 9 && len(value) > 1:
			c.encrypted = true
		}
		return nil
	})
}

// readMeta reads a ColumnMetaData.
func (c *columnChunk) readMeta(b []byte) error {
	dictionary := int64(0)
	err := fields(b, func(id int64, _ byte, value []byte) error {
		switch id {
		case 1:
			c.typ = format.Type(number(value)) //nolint:gosec // any other is refused
		case 4:
			c.codec = format.CompressionCodec(number(value)) //nolint:gosec // any other is refused
		case 5:
			c.values = number(value)
		case 6:
			c.unpacked = number(value)
		case 7:
			c.packed = number(value)
		case 9:
			c.start = number(value)
		case 11:
			dictionary = number(value)
		}
		return nil
	})
	if dictionary != 0 {
		c.start = dictionary
	}
	return err
}

// image returns a file without pages whose footer has the schema, and one row
// group with columns of endless size: the decoder gets their pages from a chunk,
// whatever row group they are of.
func (f *footer) image() (file []byte, err error) {
	group := format.RowGroup{Columns: make([]format.ColumnChunk, f.leaves())}
	for i := range group.Columns {
		m := &group.Columns[i].MetaData
		m.Codec, m.TotalCompressedSize = format.Uncompressed, math.MaxInt64>>1
		if len(f.groups) > 0 {
			m.Type = f.groups[0].chunks[i].typ
		}
	}
	b, err := thrift.Marshal(new(thrift.CompactProtocol), &format.FileMetaData{Version: 1, Schema: f.schema, RowGroups: []format.RowGroup{group}})
	if err != nil {
		return nil, err
	}
	file = append([]byte("PAR1"), b...)
	n := len(b)
	return append(file, byte(n), byte(n>>8), byte(n>>16), byte(n>>24), 'P', 'A', 'R', '1'), nil
}

// open opens the image.
func (f *footer) open() (*parquet.File, error) {
	file, err := f.image()
	if err != nil {
		return nil, err
	}
	return parquet.OpenFile(bytes.NewReader(file), int64(len(file)), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true), parquet.ReadBufferSize(4<<10))
}

// extent is where the pages of a column in a row group are.
type extent struct {
	start, end int64
	group, of  int
}

// overlap returns two columns of row groups that are in the same place of a file
// of that size; found is false if there are none.
func (f *footer) overlap(size int64) (a, b extent, found bool) {
	var all []extent
	for g := range f.groups {
		for i := range f.groups[g].chunks {
			if c := &f.groups[g].chunks[i]; c.packed > 0 && c.start > 0 && c.start <= size && c.packed <= size-c.start && c.file == "" {
				all = append(all, extent{c.start, c.start + c.packed, g, i})
			}
		}
	}
	slices.SortFunc(all, func(a, b extent) int { return cmp.Compare(a.start, b.start) })
	for i := 1; i < len(all); i++ {
		if all[i].start < all[i-1].end {
			return all[i-1], all[i], true
		}
	}
	return a, b, false
}

// fields calls f for each field of a struct of the Thrift compact protocol, with
// its bytes.
func fields(b []byte, f func(id int64, typ byte, value []byte) error) error {
	id := int64(0)
	for {
		if len(b) == 0 {
			return errThrift
		}
		head := b[0]
		b = b[1:]
		if head == 0 {
			return nil
		}
		if head>>4 != 0 {
			id += int64(head >> 4)
		} else {
			n, rest, ok := uvarint(b)
			if !ok {
				return errThrift
			}
			id, b = zigzag(n), rest
		}
		rest, ok := skipField(b, head&15, 0, true)
		if !ok {
			return errThrift
		}
		if err := f(id, head&15, b[:len(b)-len(rest)]); err != nil {
			return err
		}
		b = rest
	}
}

func zigzag(n uint64) int64 { return int64(n>>1) ^ -int64(n&1) } //nolint:gosec // the sign is the lowest bit

// number reads an integer of the Thrift compact protocol, 0 if it is none.
func number(b []byte) int64 {
	n, _, _ := uvarint(b)
	return zigzag(n)
}

// listHead returns the number of items of a list and what follows.
func listHead(b []byte) (n uint64, rest []byte, ok bool) {
	if len(b) == 0 {
		return 0, nil, false
	}
	if n = uint64(b[0] >> 4); n < 15 {
		return n, b[1:], true
	}
	return uvarint(b[1:])
}
