package arrow

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/profilerhq/profiler/internal/batch"
)

const (
	magic      = "ARROW1"
	metaLimit  = 256 << 20 // metadata of one message
	batchLimit = 2 << 30   // values of one record batch or dictionary, unpacked
	readStep   = 1 << 20   // memory that is taken before as much data was seen
)

// Advice of errors.
const (
	adviceAgain  = "get the whole file again or write it anew; it is cut off or damaged"
	adviceFormat = "give an Arrow file or stream, or name the right format with --format"
	adviceLimit  = "if that is meant, raise --unpack-limit (0: no limit)"
	advicePlain  = "write it anew with plain columns in the place of large dictionaries"
	adviceSmall  = "write it anew with smaller record batches (64 Ki rows are usual)"
)

// frames cuts a file or a stream into messages. It implements
// ipc.MessageReader. Memory is taken as data arrives, whatever lengths the data
// claims.
type frames struct {
	src         io.Reader
	source      string
	at          int64           // offset of the next byte
	file        bool            // there is a footer behind the stream
	marked      bool            // messages have a mark before their length
	unpackLimit int64           // times what was read; 0 is none
	held        map[int64]int64 // bytes of dictionaries, by their number
	heldAll     int64           // of all of them
	err         error           // the first error, as the decoder wraps what it gets

	// Of a file of which the messages are found by the footer.
	blocks io.ReaderAt
	size   int64
	first  []byte // the message of the schema
	queue  []block

	start        int64 // offset of the last message
	last         header
	schema       *schema
	body         []byte // reused between record batches
	dictionaries []block
	batches      []block
}

// Retain is part of ipc.MessageReader; memory is left to the collector.
func (f *frames) Retain() {}

// Release is part of ipc.MessageReader.
func (f *frames) Release() {}

// fail keeps and returns an error of the data.
func (f *frames) fail(offset int64, reason, advice string, cause error) error {
	if f.err == nil {
		f.err = &batch.DataError{Source: f.source, Offset: offset, Reason: reason, Advice: advice, Err: cause}
	}
	return f.err
}

// foreign is the error of a source that begins like no Arrow data.
func (f *frames) foreign(cause error) error {
	return f.fail(0, "is not an Arrow file or stream", adviceFormat, cause)
}

// read appends n bytes of the source to buf.
func (f *frames) read(buf []byte, n int64) ([]byte, error) {
	for n > 0 {
		step := min(n, max(readStep, int64(len(buf))))
		from := len(buf)
		buf = slices.Grow(buf, int(step))[:from+int(step)]
		got, err := io.ReadFull(f.src, buf[from:])
		f.at += int64(got)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			var data *batch.DataError
			if errors.As(err, &data) { // of the packing
				f.err = err
				return nil, err
			}
			if !f.file && len(f.batches) == 0 && f.last.kind == 0 && (f.at < 8 || !f.marked) {
				return nil, f.foreign(io.ErrUnexpectedEOF)
			}
			return nil, f.fail(f.at, "the Arrow data is cut off", adviceAgain, io.ErrUnexpectedEOF)
		}
		if err != nil {
			if f.err == nil {
				f.err = err
			}
			return nil, err
		}
		n -= step
	}
	return buf, nil
}

// begin reads the magic of a file, if there is one.
func (f *frames) begin(head []byte) error {
	if len(head) < len(magic) || string(head[:len(magic)]) != magic {
		return nil
	}
	f.file = true
	b, err := f.read(nil, 8)
	if err == nil && (b[6] != 0 || b[7] != 0) {
		return f.fail(6, "the first bytes are those of no Arrow file", adviceAgain, nil)
	}
	return err
}

// Message returns the next message, checked. The error is io.EOF after the
// last one. Its memory is valid until the next call if it is a record batch.
func (f *frames) Message() (*ipc.Message, error) {
	if f.first != nil {
		return f.schemaOnce(), nil
	}
	if f.blocks != nil {
		if err := f.nextBlock(); err != nil {
			return nil, err
		}
	}
	f.start = f.at
	length, err := f.length()
	if err != nil {
		return nil, err
	}
	if length == 0 && f.last.kind == 0 && !f.file {
		return nil, f.foreign(nil)
	}
	if length == 0 && f.blocks == nil {
		return nil, f.finish()
	}
	if f.start == 0 && (length < 8 || length > metaLimit) {
		return nil, f.foreign(nil)
	}
	if length < 8 || length > metaLimit {
		return nil, f.fail(f.start, fmt.Sprintf("a message has metadata of %d bytes", length), adviceAgain, nil)
	}
	meta, err := f.read(nil, length)
	if err != nil {
		return nil, err
	}
	prefix := f.at - length - f.start
	if f.last, err = check(meta); errors.Is(err, errFields) {
		return nil, f.fail(f.start, errFields.Error(), "write it anew with fewer columns", nil)
	} else if err != nil && f.start == 0 {
		return nil, f.foreign(err)
	} else if err != nil {
		return nil, f.fail(f.start, "a message cannot be read: "+reasonOf(err), adviceAgain, err)
	}
	if f.last.kind == kindSchema {
		f.schema = f.last.schema
	} else if err := f.schema.fits(&f.last); err != nil {
		return nil, f.fail(f.start, "a message cannot be read: "+err.Error(), adviceAgain, nil)
	}
	if f.last.body > batchLimit {
		return nil, f.fail(f.start, fmt.Sprintf("a record batch has %d MiB; at most %d can be read", f.last.body>>20, int64(batchLimit)>>20), adviceSmall, nil)
	}
	var body []byte
	if f.last.kind == kindBatch {
		body = f.body[:0]
	}
	if body, err = f.read(body, f.last.body); err != nil {
		return nil, err
	}
	if f.last.size, err = f.last.checkSizes(body, batchLimit); err != nil {
		return nil, f.fail(f.start, "a message cannot be unpacked: "+err.Error(), adviceAgain, nil)
	}
	if f.unpackLimit > 0 && f.last.size > freeBytes && f.last.size/f.unpackLimit > f.at {
		return nil, f.fail(f.start, fmt.Sprintf("a message unpacks to more than %d times what was read", f.unpackLimit), adviceLimit, nil)
	}
	if f.last.kind == kindDictionary {
		if err := f.hold(&f.last); err != nil {
			return nil, err
		}
	}
	at := block{f.start, prefix + length, f.last.body}
	switch f.last.kind {
	case kindBatch:
		f.body, f.batches = body, append(f.batches, at)
	case kindDictionary:
		f.dictionaries = append(f.dictionaries, at)
	default:
		if f.batches != nil || f.dictionaries != nil {
			return nil, f.fail(f.start, "there is a second schema", "write one stream to a file", nil)
		}
	}
	return ipc.NewMessage(memory.NewBufferBytes(meta), memory.NewBufferBytes(body)), nil
}

// hold counts the memory of a dictionary, which stays.
func (f *frames) hold(h *header) error {
	if f.held == nil {
		f.held = map[int64]int64{}
	}
	if !h.delta {
		f.heldAll -= f.held[h.id]
		f.held[h.id] = 0
	}
	f.held[h.id] += h.size
	if f.heldAll += h.size; f.heldAll > entryBytes {
		return f.fail(f.start, fmt.Sprintf("its dictionaries have more than %d MiB", entryBytes>>20), advicePlain, nil)
	}
	return nil
}

// length reads the length of the metadata of the next message; 0 is the end.
// Writers before version 0.15 wrote no mark before it.
func (f *frames) length() (int64, error) {
	b, err := f.read(nil, 4)
	if err != nil {
		return 0, err
	}
	n := binary.LittleEndian.Uint32(b)
	if n == math.MaxUint32 {
		f.marked = true
		if b, err = f.read(b[:0], 4); err != nil {
			return 0, err
		}
		n = binary.LittleEndian.Uint32(b)
	}
	return int64(n), nil
}

// finish reads what follows the end mark: nothing, or the footer of a file,
// which has to list all that was read. The error is io.EOF if all is well.
func (f *frames) finish() error {
	end := f.at
	most := int64(metaLimit)
	if !f.file {
		most = 1 // there has to be nothing
	}
	rest, err := io.ReadAll(io.LimitReader(f.src, most))
	f.at += int64(len(rest))
	if err != nil {
		if f.err == nil {
			f.err = err
		}
		return err
	}
	if !f.file {
		if len(rest) > 0 {
			return f.fail(end, "there are bytes behind the end of the Arrow stream", "write one stream to a file", nil)
		}
		return io.EOF
	}
	n := len(rest)
	if n < 10 || string(rest[n-6:]) != magic {
		return f.fail(f.at, "the Arrow file does not end with its footer", adviceAgain, nil)
	}
	length := int(int32(binary.LittleEndian.Uint32(rest[n-10:]))) //nolint:gosec // signed by the format
	if length < 8 || length > n-10 {
		return f.fail(f.at-10, fmt.Sprintf("the footer should have %d bytes, there are %d", length, n-10), adviceAgain, nil)
	}
	dictionaries, batches, err := footerBlocks(rest[n-10-length : n-10])
	if err != nil {
		return f.fail(end, "the footer cannot be read: "+reasonOf(err), adviceAgain, err)
	}
	if !slices.Equal(batches, f.batches) || !slices.Equal(dictionaries, f.dictionaries) {
		return f.fail(end, fmt.Sprintf("the footer lists %d record batches and %d dictionaries at other places than the %d and %d that the file has",
			len(batches), len(dictionaries), len(f.batches), len(f.dictionaries)), adviceAgain, nil)
	}
	return io.EOF
}

// reasonOf words an error of the metadata for a user: not the text of a panic.
func reasonOf(err error) string {
	if errors.Is(err, errMetadata) {
		return errMetadata.Error()
	}
	var p interface{ RuntimeError() }
	if errors.As(err, &p) {
		return "its metadata is damaged"
	}
	return err.Error()
}

// limited is an allocator that ends a message which unpacks to more than it
// may.
type limited struct{ left int64 }

var errLimit = errors.New("it needs more memory than a record batch may have")

// Allocate returns zeroed memory; it panics beyond the limit.
func (l *limited) Allocate(size int) []byte {
	if l.left -= int64(size); size < 0 || l.left < 0 {
		panic(errLimit)
	}
	return memory.DefaultAllocator.Allocate(size)
}

// Reallocate returns memory with the content of b.
func (l *limited) Reallocate(size int, b []byte) []byte {
	if size <= cap(b) {
		return b[:size]
	}
	grown := l.Allocate(size)
	copy(grown, b)
	return grown
}

// Free is part of memory.Allocator; memory is left to the collector.
func (l *limited) Free([]byte) {}
