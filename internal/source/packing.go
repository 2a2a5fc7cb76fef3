package source

import (
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/therootcompany/xz"

	"github.com/profilerhq/profiler/internal/batch"
)

// packing is a compression found by its magic bytes. Several streams or frames
// in a row are one input, in all of them.
type packing struct {
	name  string
	magic []string
	open  func(io.Reader) (io.Reader, func() error, error)
}

const (
	// windowLimit is the most memory that the history of a stream may take.
	windowLimit = 128 << 20
	// unpackFree is how much a packed source may always unpack to.
	unpackFree = 1 << 30
	// DefaultUnpackLimit is how many times its size a packed source may unpack
	// to beyond that. It is above what gzip (1,032) and lz4 (255) can reach.
	DefaultUnpackLimit = 2_000
)

func noClose() error { return nil }

var unpackers = []packing{
	{"gzip", []string{"\x1f\x8b"}, func(r io.Reader) (io.Reader, func() error, error) {
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, nil, err
		}
		return z, z.Close, nil
	}},
	{"zstd", []string{"\x28\xb5\x2f\xfd"}, func(r io.Reader) (io.Reader, func() error, error) {
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(windowLimit))
		if err != nil {
			return nil, nil, err
		}
		return z, func() error { z.Close(); return nil }, nil
	}},
	// The first block of bz2, or the end of an empty file, follows its level.
	{"bz2", bz2Magics(), func(r io.Reader) (io.Reader, func() error, error) { return bzip2.NewReader(r), noClose, nil }},
	{"snappy", []string{"\xff\x06\x00\x00sNaPpY"}, func(r io.Reader) (io.Reader, func() error, error) { return snappy.NewReader(r), noClose, nil }},
	{"xz", []string{"\xfd7zXZ\x00"}, func(r io.Reader) (io.Reader, func() error, error) {
		z, err := xz.NewReader(r, windowLimit)
		return z, noClose, err
	}},
	{"lz4", []string{"\x04\x22\x4d\x18"}, func(r io.Reader) (io.Reader, func() error, error) {
		z := lz4.NewReader(&lz4Frames{src: r})
		return z, noClose, z.Apply(lz4.ConcurrencyOption(1))
	}},
}

func bz2Magics() (magics []string) {
	for level := '1'; level <= '9'; level++ {
		magics = append(magics, "BZh"+string(level)+"1AY&SY", "BZh"+string(level)+"\x17\x72\x45\x38\x50\x90")
	}
	return magics
}

// packingOf returns the packing of a source that begins with head, nil if there
// is none. A source that ends inside of the magic bytes is one that was cut
// off, unless it may as well be a short text.
func packingOf(head []byte) *packing {
	cut := len(head) >= 3 || len(head) > 0 && !startsText(head)
	for i := range unpackers {
		for _, magic := range unpackers[i].magic {
			if bytes.HasPrefix(head, []byte(magic)) || cut && len(head) < len(magic) && magic[:len(head)] == string(head) {
				return &unpackers[i]
			}
		}
	}
	return nil
}

// reporter counts bytes on their way and rewords errors.
type reporter struct {
	src    io.Reader
	name   string
	offset int64
	count  func([]byte)

	// Of the content of a packing, which packed reads and of which it is the
	// packing's name; empty for the file itself.
	packing string
	packed  *reporter
	limit   int64 // times the size of the packed, beyond free bytes; 0 is none
	free    int64
}

// Read reads from the source. Errors but io.EOF come as *batch.DataError.
func (r *reporter) Read(b []byte) (int, error) {
	n, err := r.read(b)
	r.offset += int64(n)
	if r.count != nil && n > 0 {
		r.count(b[:n])
	}
	if err == nil && r.limit > 0 && r.offset > r.free && r.offset/r.limit > r.packed.offset {
		return n, &batch.DataError{
			Source: r.name, Offset: r.offset, Reason: fmt.Sprintf("the %s data unpacks to more than %d times its size", r.packing, r.limit),
			Advice: "if that is meant, raise --unpack-limit (0: no limit)",
		}
	}
	if err == nil || errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return n, err
	}
	var data *batch.DataError
	if errors.As(err, &data) {
		return n, err
	}
	if r.packing == "" {
		return n, unreadable(r.name, err)
	}
	return n, damaged(r.name, r.packing, r.offset, err)
}

// read is Read of the source; a panic of an unpacker is an error.
func (r *reporter) read(b []byte) (n int, err error) {
	if r.packing != "" {
		defer func() {
			if p := recover(); p != nil {
				n, err = 0, fmt.Errorf("panic: %v", p)
			}
		}()
	}
	return r.src.Read(b)
}

// damaged is the error of packed data that cannot be unpacked beyond an offset
// in its content.
func damaged(name, packing string, offset int64, err error) *batch.DataError {
	e := &batch.DataError{Source: name, Offset: offset, Reason: "the " + packing + " data is damaged", Advice: "copy or write the file again", Err: err}
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), errors.Is(err, xz.ErrBuf):
		e.Reason = "the " + packing + " data is truncated"
		e.Err = io.ErrUnexpectedEOF // never io.EOF, which is an end without fault
	case errors.Is(err, xz.ErrMemlimit), errors.Is(err, zstd.ErrWindowSizeExceeded):
		e.Reason = fmt.Sprintf("the %s data needs more than %d MiB of memory to unpack", packing, windowLimit>>20)
		e.Advice = "pack it with a smaller dictionary or window, as the usual levels do"
	}
	return e
}
