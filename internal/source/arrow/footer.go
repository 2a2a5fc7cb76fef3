package arrow

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// NeedsFooter reports whether head begins a file whose messages can only be
// found by its footer: some writers leave out the length of the first one, as
// did those of before version 0.15. NewFile reads it.
func NeedsFooter(head []byte) bool {
	return len(head) >= 12 && Is(head) && string(head[:6]) == magic && string(head[8:12]) != "\xff\xff\xff\xff"
}

// NewFile is New for a file of which the messages are found by its footer. The
// caller keeps src open until the last call of Next.
func NewFile(src io.ReaderAt, size int64, opts Options) (*Reader, error) {
	f := &frames{source: opts.Source, unpackLimit: opts.UnpackLimit, size: size, blocks: src, file: true}
	if err := f.openFooter(); err != nil {
		return nil, err
	}
	return open(f, opts)
}

// openFooter reads the footer: the schema and the places of the messages.
func (f *frames) openFooter() error {
	var tail [10]byte
	f.src = io.NewSectionReader(f.blocks, 0, f.size)
	if f.size < 20 {
		return f.fail(f.size, "the Arrow file does not end with its footer", adviceAgain, nil)
	}
	if err := f.readAt(tail[:], f.size-10); err != nil {
		return err
	}
	length := int64(int32(binary.LittleEndian.Uint32(tail[:]))) //nolint:gosec // signed by the format
	if string(tail[4:]) != magic {
		return f.fail(f.size, "the Arrow file does not end with its footer", adviceAgain, nil)
	}
	if length < 8 || length > f.size-18 || length > metaLimit {
		return f.fail(f.size-10, fmt.Sprintf("the footer should have %d bytes, more than there are", length), adviceAgain, nil)
	}
	footer := make([]byte, length)
	if err := f.readAt(footer, f.size-10-length); err != nil {
		return err
	}
	dictionaries, batches, err := footerBlocks(footer)
	if err == nil {
		f.first, err = schemaMessage(footer)
	}
	if err == nil {
		f.last, err = check(f.first)
	}
	if err != nil {
		return f.fail(f.size-10-length, "the footer cannot be read: "+reasonOf(err), adviceAgain, err)
	}
	f.schema = f.last.schema
	for _, b := range append(dictionaries, batches...) {
		if b.offset < 8 || b.meta < 8 || b.body < 0 || b.offset > f.size || b.meta > f.size-b.offset || b.body > f.size-b.offset-b.meta {
			return f.fail(f.size-10-length, "the footer lists messages outside of the file", adviceAgain, nil)
		}
		f.queue = append(f.queue, b)
	}
	f.at = f.size
	return nil
}

// readAt fills b from the file.
func (f *frames) readAt(b []byte, at int64) error {
	_, err := f.blocks.ReadAt(b, at)
	if errors.Is(err, io.EOF) || err == nil {
		return nil
	}
	f.err = err
	return err
}

// schemaMessage returns the schema of a footer as a message: a table of that
// kind before the bytes of the footer, which refers to the schema in them.
func schemaMessage(footer []byte) (meta []byte, err error) {
	err = guard(func() error {
		schema, ok := root(footer).child(footerSchema)
		if !ok {
			return errors.New("the footer has no schema")
		}
		le := binary.LittleEndian
		const size = 40                                        // of what comes before the footer
		meta = le.AppendUint32(nil, 20)                        // the message is at 20
		for _, x := range []uint16{12, 16, 4, 6, 8, 0, 0, 0} { // its vtable is at 4
			meta = le.AppendUint16(meta, x)
		}
		meta = le.AppendUint32(meta, 16)                         // 20: the vtable is 16 bytes before
		meta = le.AppendUint16(meta, 4)                          // 24: version 5
		meta = append(meta, kindSchema, 0)                       // 26
		meta = le.AppendUint32(meta, uint32(size-28+schema.pos)) //nolint:gosec // 28: less than the footer
		meta = append(meta, make([]byte, size-len(meta))...)
		meta = append(meta, footer...)
		return nil
	})
	return meta, err
}

// nextBlock makes the next message of the footer's list the one that is read.
// The error is io.EOF after the last one.
func (f *frames) nextBlock() error {
	if len(f.queue) == 0 {
		f.at = f.size
		return io.EOF
	}
	b := f.queue[0]
	f.queue = f.queue[1:]
	f.src, f.at = io.NewSectionReader(f.blocks, b.offset, b.meta+b.body), b.offset
	return nil
}

// schemaOnce returns the schema's message the first time.
func (f *frames) schemaOnce() *ipc.Message {
	meta := f.first
	f.first = nil
	return ipc.NewMessage(memory.NewBufferBytes(meta), memory.NewBufferBytes([]byte{}))
}
