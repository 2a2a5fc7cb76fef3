package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/profilerhq/profiler/internal/batch"
)

// source reads the file and keeps the first error of reading, so that a disk
// or network that fails is told from a file that is damaged.
type source struct {
	r    io.ReaderAt
	size int64
	mu   sync.Mutex // columns are read side by side
	err  error
}

// ReadAt reads as io.ReaderAt, never beyond the size of the file.
func (s *source) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off > s.size {
		return 0, io.ErrUnexpectedEOF
	}
	short := int64(len(p)) > s.size-off
	if short {
		p = p[:s.size-off]
	}
	n, err := s.r.ReadAt(p, off)
	if n == len(p) {
		err = nil
	}
	if err != nil && !errors.Is(err, io.EOF) {
		s.mu.Lock()
		if s.err == nil {
			s.err = err
		}
		s.mu.Unlock()
	}
	if err == nil && short {
		err = io.EOF
	}
	return n, err
}

// failure returns the first error of reading.
func (s *source) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// guard calls f and returns a panic of it as an error: decoders of damaged
// files may run out of bounds.
func guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return f()
}

const (
	adviceAgain   = "get the whole file again or write it anew; it is cut off or damaged"
	adviceFormat  = "give a Parquet file, or name the right format with --format"
	adviceDecrypt = "decrypt it with its key first, and give the file without encryption"
	adviceLimit   = "if that is meant, raise --unpack-limit (0: no limit)"
	adviceHeld    = "name fewer columns with --columns, or write the file anew with smaller pages"
	adviceType    = "write the file anew with another type or packing of this column"
)

// damaged returns the error for a file that cannot be read, or the cause if
// reading itself failed.
func (r *Reader) damaged(offset int64, reason string, cause error) error {
	if err := r.in.failure(); err != nil {
		return fmt.Errorf("read %s: %w", r.opts.Source, err)
	}
	return &batch.DataError{Source: r.opts.Source, Offset: offset, Reason: reason, Advice: adviceAgain, Err: cause}
}

// damagedColumn is damaged for a column in a row group. The offset is that of
// the page, -1 if unknown.
func (r *Reader) damagedColumn(f *field, group int, offset int64, reason string, cause error) error {
	return r.damaged(offset, fmt.Sprintf("column %s in row group %d: %s", f.name, group+1, reason), cause)
}

func (r *Reader) encrypted() error {
	return &batch.DataError{Source: r.opts.Source, Offset: -1, Reason: "the Parquet file is encrypted", Advice: adviceDecrypt}
}

func (r *Reader) unsupported(f *field, reason string) error {
	return &batch.DataError{Source: r.opts.Source, Offset: -1, Reason: fmt.Sprintf("column %s %s", f.name, reason), Advice: adviceType}
}

// checkFooter returns the footer that the file ends in, after making sure that
// its lists and texts fit into it, before memory is taken for them.
func (r *Reader) checkFooter() (footer []byte, err error) {
	size := r.in.size
	if size == 0 {
		return nil, &batch.DataError{Source: r.opts.Source, Offset: 0, Reason: "the file is empty, which no Parquet file is", Advice: adviceAgain}
	}
	var head, tail [8]byte
	if size >= 4 {
		if _, err := r.in.ReadAt(head[:4], 0); err != nil {
			return nil, r.damaged(0, "the first bytes cannot be read", err)
		}
	}
	switch string(head[:4]) {
	case "PARE":
		return nil, r.encrypted()
	case "PAR1":
	default:
		return nil, &batch.DataError{Source: r.opts.Source, Offset: 0, Reason: "is not a Parquet file: it does not begin with PAR1", Advice: adviceFormat}
	}
	if size < 12 {
		return nil, r.damaged(size, "the file ends before its footer", nil)
	}
	if _, err := r.in.ReadAt(tail[:], size-8); err != nil {
		return nil, r.damaged(size-8, "the last bytes cannot be read", err)
	}
	if string(tail[4:]) != "PAR1" {
		return nil, r.damaged(size, "the file does not end with its footer", nil)
	}
	length := int64(binary.LittleEndian.Uint32(tail[:4]))
	if length > size-12 {
		return nil, r.damaged(size-8, fmt.Sprintf("the footer should have %d bytes, more than the file", length), nil)
	}
	if length > footerLimit {
		return nil, &batch.DataError{Source: r.opts.Source, Offset: size - 8, Reason: fmt.Sprintf("the footer has %d MiB, and %d can be read", length>>20, footerLimit>>20), Advice: adviceGroups}
	}
	footer = make([]byte, length)
	if _, err := r.in.ReadAt(footer, size-8-length); err != nil {
		return nil, r.damaged(size-8-length, "the footer cannot be read", err)
	}
	rest, ok := skipStruct(footer, 0)
	switch {
	case !ok:
		return nil, r.damaged(size-8-length, "the footer cannot be read", nil)
	case len(rest) == signature:
		return nil, r.encrypted() // a readable footer that is signed with a key
	}
	return footer, nil
}

// signature is the length of what follows the readable footer of an encrypted
// file.
const signature = 28

// Types of the Thrift compact protocol.
const (
	tTrue   = 1
	tFalse  = 2
	tByte   = 3
	tI64    = 6 // 4 to 6 are integers of variable length
	tDouble = 7
	tBinary = 8
	tList   = 9
	tSet    = 10
	tMap    = 11
	tStruct = 12
)

// skipStruct passes over a struct of the Thrift compact protocol and returns
// what follows it. A list that claims more items than there are bytes left is
// refused.
func skipStruct(b []byte, depth int) (rest []byte, ok bool) {
	for {
		if len(b) == 0 || depth > 64 {
			return nil, false
		}
		head := b[0]
		b = b[1:]
		if head == 0 {
			return b, true
		}
		if head>>4 == 0 { // the field's number follows
			if _, b, ok = uvarint(b); !ok {
				return nil, false
			}
		}
		if b, ok = skipField(b, head&15, depth, true); !ok {
			return nil, false
		}
	}
}

func skipField(b []byte, typ byte, depth int, inStruct bool) (rest []byte, ok bool) {
	switch typ {
	case tTrue, tFalse:
		if inStruct {
			return b, true // the value is in the type
		}
		return skipBytes(b, 1)
	case tByte:
		return skipBytes(b, 1)
	case tByte + 1, tByte + 2, tI64:
		_, b, ok = uvarint(b)
		return b, ok
	case tDouble:
		return skipBytes(b, 8)
	case tBinary:
		n, b, ok := uvarint(b)
		if !ok {
			return nil, false
		}
		return skipBytes(b, n)
	case tList, tSet:
		return skipList(b, depth)
	case tStruct:
		return skipStruct(b, depth+1)
	case tMap: // no part of a footer
	}
	return nil, false
}

func skipList(b []byte, depth int) (rest []byte, ok bool) {
	if len(b) == 0 {
		return nil, false
	}
	head := b[0]
	b = b[1:]
	n := uint64(head >> 4)
	if n == 15 {
		if n, b, ok = uvarint(b); !ok {
			return nil, false
		}
	}
	if n > uint64(len(b)) {
		return nil, false
	}
	for range n {
		if b, ok = skipField(b, head&15, depth+1, false); !ok {
			return nil, false
		}
	}
	return b, true
}

func skipBytes(b []byte, n uint64) (rest []byte, ok bool) {
	if n > uint64(len(b)) {
		return nil, false
	}
	return b[n:], true
}

func uvarint(b []byte) (n uint64, rest []byte, ok bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 {
		return 0, nil, false
	}
	return n, b[size:], true
}

// scanPages walks the headers of the pages of a column in a row group. It
// returns them after making sure that they lie in the file and hold as many
// values as the footer says.
func (r *Reader) scanPages(f *field, group int) ([]page, error) {
	meta := &r.meta.groups[group].chunks[f.leaf]
	at := meta.start
	bad := func(reason string, cause error) ([]page, error) {
		return nil, r.damagedColumn(f, group, at, reason, cause)
	}
	if at < 4 || meta.packed < 0 || at > r.in.size || meta.packed > r.in.size-at {
		return bad("its pages lie outside of the file", nil)
	}
	end := at + meta.packed
	var pages []page
	var ahead []byte
	values, unpacked := int64(0), int64(0)
	for values < meta.values {
		header, size, err := r.pageHeader(at, end, &ahead)
		if err != nil {
			return bad("the header of a page cannot be read", err)
		}
		body := int64(header.CompressedPageSize)
		if header.UncompressedPageSize < 0 || header.UncompressedPageSize > pageLimit || body < 0 || body > end-at-size {
			return bad("the size of a page is wrong", nil)
		}
		p, ok := newPage(header, at, size)
		if !ok {
			return bad("a page is of no known kind", nil)
		}
		n := int64(p.values)
		if !p.data() {
			if n < 0 || n > 8*int64(p.unpacked) {
				return bad("the size of a dictionary is wrong", nil)
			}
			n = 0
		}
		unpacked += int64(p.unpacked)
		if n != 0 || !p.data() {
			pages = append(pages, p)
		}
		if n < 0 || n > meta.values-values {
			return bad("its pages hold more values than the footer says", nil)
		}
		values += n
		at += size + body
	}
	if rows := r.meta.groups[group].rows; f.as != asList && f.depth == 0 && values != rows {
		return bad(fmt.Sprintf("it has %d values for %d rows", values, rows), nil)
	}
	if sum := r.unpacked.Add(unpacked); r.beyond(sum, freeBytes) {
		return nil, &batch.DataError{Source: r.opts.Source, Offset: at, Reason: fmt.Sprintf("column %s in row group %d: the file unpacks to more than %d times its size", f.name, group+1, r.opts.UnpackLimit), Advice: adviceLimit}
	}
	return pages, nil
}

// errHeld and errBomb say that pages take too much memory.
var (
	errHeld = fmt.Errorf("its pages take more than %d MiB of memory with those of the other columns", heldLimit>>20)
	errBomb = fmt.Errorf("its pages take more than %d MiB of memory with those of the other columns, and many times the size of the file", freeHeld>>20)
)

// hold counts bytes that are kept in memory, and those that no longer are.
func (r *Reader) hold(n int64) error {
	sum := r.held.Add(n)
	switch {
	case n <= 0:
	case sum > heldLimit:
		return errHeld
	case r.beyond(sum, r.freeHeld):
		return errBomb
	}
	return nil
}

// pageHeader reads the header at an offset and returns its size with it. Its
// bytes are read ahead into a buffer that is kept, and bounded, so that a damaged length cannot take
// memory.
func (r *Reader) pageHeader(at, end int64, ahead *[]byte) (*format.PageHeader, int64, error) {
	var protocol thrift.CompactProtocol
	for size := int64(256); ; size *= 16 {
		n := min(size, end-at)
		if n <= 0 {
			return nil, 0, io.ErrUnexpectedEOF
		}
		if int64(len(*ahead)) < n {
			*ahead = make([]byte, n)
		}
		b := (*ahead)[:n]
		if _, err := r.in.ReadAt(b, at); err != nil {
			return nil, 0, err
		}
		rest, ok := skipStruct(b, 0)
		if !ok {
			if n == end-at || size >= 16<<20 {
				return nil, 0, io.ErrUnexpectedEOF
			}
			continue
		}
		b = b[:len(b)-len(rest)]
		header := new(format.PageHeader)
		err := guard(func() error { return thrift.NewDecoder(protocol.NewReaderFromBytes(b)).Decode(header) })
		return header, int64(len(b)), err
	}
}
