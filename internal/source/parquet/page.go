package parquet

import (
	"errors"
	"hash/crc32"
	"io"
	"sync"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

const (
	pageLimit  = 1 << 30 // bytes of the largest page that is unpacked
	valueCount = 1 << 26 // values of the largest page that is read
)

// page is what the header of a page says, and where the page is.
type page struct {
	offset   int64
	header   int32 // bytes
	packed   int32 // bytes of the body
	unpacked int32
	crc      int32 // 0 is none
	kind     format.PageType
	encoding format.Encoding
	values   int32 // nulls included
	// Of a data page of version 1.
	repEncoding, defEncoding format.Encoding
	// Of a data page of version 2.
	nulls, rows, repBytes, defBytes int32
	plainBody                       bool // the values are not packed
}

func (p *page) data() bool { return p.kind != format.DictionaryPage }

// newPage takes what is needed of a header; ok is false if it is of no kind
// that holds values.
func newPage(h *format.PageHeader, offset, size int64) (p page, ok bool) {
	p = page{offset: offset, header: int32(size), packed: h.CompressedPageSize, unpacked: h.UncompressedPageSize, crc: h.CRC, kind: h.Type} //nolint:gosec // a header is of at most 16 MiB
	switch {
	case h.Type == format.DataPage && h.DataPageHeader.Valid:
		d := &h.DataPageHeader.V
		p.values, p.encoding, p.repEncoding, p.defEncoding = d.NumValues, d.Encoding, d.RepetitionLevelEncoding, d.DefinitionLevelEncoding
	case h.Type == format.DataPageV2 && h.DataPageHeaderV2.Valid:
		d := &h.DataPageHeaderV2.V
		p.values, p.encoding = d.NumValues, d.Encoding
		p.nulls, p.rows, p.repBytes, p.defBytes = d.NumNulls, d.NumRows, d.RepetitionLevelsByteLength, d.DefinitionLevelsByteLength
		p.plainBody = d.IsCompressed.Valid && !d.IsCompressed.V
	case h.Type == format.DictionaryPage && h.DictionaryPageHeader.Valid:
		p.values, p.encoding = h.DictionaryPageHeader.V.NumValues, h.DictionaryPageHeader.V.Encoding
	default:
		return p, false
	}
	return p, true
}

// unpackedHeader returns the header of the page as if it had not been packed.
func (p *page) unpackedHeader() *format.PageHeader {
	h := &format.PageHeader{Type: p.kind, UncompressedPageSize: p.unpacked, CompressedPageSize: p.unpacked}
	switch p.kind {
	case format.DataPage:
		h.DataPageHeader = thrift.Null[format.DataPageHeader]{Valid: true, V: format.DataPageHeader{
			NumValues: p.values, Encoding: p.encoding, RepetitionLevelEncoding: p.repEncoding, DefinitionLevelEncoding: p.defEncoding,
		}}
	case format.DataPageV2:
		h.DataPageHeaderV2 = thrift.Null[format.DataPageHeaderV2]{Valid: true, V: format.DataPageHeaderV2{
			NumValues: p.values, NumNulls: p.nulls, NumRows: p.rows, Encoding: p.encoding, RepetitionLevelsByteLength: p.repBytes, DefinitionLevelsByteLength: p.defBytes,
			IsCompressed: thrift.Null[bool]{Valid: true},
		}}
	default:
		h.DictionaryPageHeader = thrift.Null[format.DictionaryPageHeader]{Valid: true, V: format.DictionaryPageHeader{NumValues: p.values, Encoding: p.encoding}}
	}
	return h
}

// chunk hands the pages of one column of a row group to the decoder, one after
// the other, unpacked and checked: what the decoder takes memory for is known
// to be there. It is read in sequence only.
type chunk struct {
	r     *Reader
	f     *field
	codec format.CompressionCodec
	pages []page
	pager *pager // holds the current page, nil if none is left of it
	left  []byte // of the current page
	dict  int    // entries of the dictionary
	held  int64  // bytes that the reader counts for the dictionary and the page
	page  int64  // of the page
	err   error  // the first error
}

var _ io.ReaderAt = (*chunk)(nil)

// ReadAt reads on, at most to the end of a page. It may return fewer bytes
// than asked for without an error, which the sections that read from it allow.
func (c *chunk) ReadAt(b []byte, _ int64) (int, error) {
	if len(c.left) == 0 {
		if len(c.pages) == 0 {
			return 0, io.EOF
		}
		if c.err == nil {
			c.err = c.load()
		}
		if c.err != nil {
			return 0, c.err
		}
	}
	n := copy(b, c.left)
	if c.left = c.left[n:]; len(c.left) == 0 {
		c.release()
	}
	return n, nil
}

// release gives the memory of the page back.
func (c *chunk) release() {
	if c.pager != nil {
		c.r.pagers.put(c.pager)
		c.pager, c.left = nil, nil
	}
}

// pager is the memory and the decoders that a page is read with.
type pager struct {
	protocol thrift.CompactProtocol
	unpack   unpacker
	packed   []byte // the page as it is in the file
	body     []byte // the same unpacked, with a header
	old      []byte // the same with levels that are written anew, without a header
	renewed  []byte
}

// pagers are those that nobody uses. There are about as many as workers, since
// the decoder takes a page as a whole.
type pagers struct {
	mu   sync.Mutex
	free []*pager
}

func (p *pagers) get() *pager {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.free)
	if n == 0 {
		return &pager{}
	}
	got := p.free[n-1]
	p.free = p.free[:n-1]
	return got
}

func (p *pagers) put(x *pager) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, x)
}

func (p *pagers) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, x := range p.free {
		x.unpack.close()
	}
	p.free = nil
}

// load reads, unpacks and checks the next page.
func (c *chunk) load() error {
	next := c.pages[0]
	p := &next
	c.pages = c.pages[1:]
	if c.pager == nil {
		c.pager = c.r.pagers.get()
	}
	if err := c.hold(p); err != nil {
		return err
	}
	r := c.pager
	r.packed = sized(r.packed, int(p.packed))
	if _, err := c.r.in.ReadAt(r.packed, p.offset+int64(p.header)); err != nil {
		return err
	}
	if p.crc != 0 && uint32(p.crc) != crc32.ChecksumIEEE(r.packed) { //nolint:gosec // the bits of a checksum
		return errors.New("its checksum is another")
	}
	levels := 0 // which are not packed in version 2
	if p.kind == format.DataPageV2 {
		levels = int(p.repBytes) + int(p.defBytes)
		if p.repBytes < 0 || p.defBytes < 0 || levels > len(r.packed) || levels > int(p.unpacked) {
			return errors.New("its levels are longer than the page")
		}
	}
	codec := c.codec
	if p.plainBody {
		codec = format.Uncompressed
	}
	if p.hasOldLevels(c.f) {
		return c.loadOld(p, codec)
	}
	header, err := thrift.Marshal(&r.protocol, p.unpackedHeader())
	if err != nil {
		return err
	}
	r.body = append(append(r.body[:0], header...), r.packed[:levels]...)
	if r.body, err = r.unpack.append(r.body, r.packed[levels:], int(p.unpacked)-levels, codec); err != nil {
		return err
	}
	if err := c.check(p, r.body[len(header):]); err != nil {
		return err
	}
	c.left = r.body
	return nil
}

// hold counts the memory of the page in place of that of the one before. A
// dictionary stays.
func (c *chunk) hold(p *page) error {
	n := int64(p.unpacked) + int64(max(0, min(p.values, valueCount)))*p.perValue(c.f)
	if !p.data() {
		c.held += n
		return c.r.hold(n)
	}
	more := n - c.page
	c.page, c.held = n, c.held+more
	return c.r.hold(more)
}

// letGo ends the counting.
func (c *chunk) letGo() {
	c.r.held.Add(-c.held)
	c.held, c.page = 0, 0
}

// perValue returns how many bytes of memory a value takes besides those of the
// page.
func (p *page) perValue(f *field) (n int64) {
	if !p.data() {
		return 40 // it is kept as a vector too
	}
	if f.maxDef > 0 {
		n++
	}
	if f.maxRep > 0 {
		n++
	}
	switch p.encoding {
	case format.Plain:
	case format.PlainDictionary, format.RLEDictionary: //nolint:staticcheck // old files have it
		n += 4
	default:
		n += int64(max(8, f.length))
	}
	return n
}

// loadOld is the rest of load for a page whose levels are written anew.
func (c *chunk) loadOld(p *page, codec format.CompressionCodec) (err error) {
	r := c.pager
	if r.old, err = r.unpack.append(r.old[:0], r.packed, int(p.unpacked), codec); err != nil {
		return err
	}
	if r.renewed, err = p.renewLevels(c.f, r.old, r.renewed[:0]); err != nil {
		return err
	}
	header, err := thrift.Marshal(&r.protocol, p.unpackedHeader())
	if err != nil {
		return err
	}
	r.body = append(append(r.body[:0], header...), r.renewed...)
	if err := c.check(p, r.renewed); err != nil {
		return err
	}
	c.left = r.body
	return nil
}

// sized returns memory of n bytes, that of b if it reaches.
func sized(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n)
	}
	return b[:n]
}

// openPages returns the pages of a column of the row group as the decoder
// reads them.
func (r *Reader) openPages(f *field, group int, list []page) (pages parquet.Pages, source *chunk, err error) {
	source = &chunk{r: r, f: f, codec: r.meta.groups[group].chunks[f.leaf].codec, pages: list, dict: -1}
	err = guard(func() error {
		c, ok := r.file.RowGroups()[0].ColumnChunks()[f.leaf].(*parquet.FileColumnChunk)
		if !ok {
			return errors.New("the column is not of a file")
		}
		pages = c.PagesFrom(source)
		return nil
	})
	return pages, source, err
}
