package parquet

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/format"
	"github.com/pierrec/lz4/v4"
)

// mostTimes is how many times its size a packing can unpack to at most, 0 if
// that is not known. A page that claims more is refused before memory is taken
// for it.
var mostTimes = map[format.CompressionCodec]int{
	format.Snappy: 32,     // a copy of 64 bytes in 3, or of 11 in 2
	format.Lz4Raw: 256,    // 255 bytes for each byte of a length
	format.Gzip:   1_100,  // 258 bytes in 2 bits
	format.Zstd:   44_000, // a block of 128 KiB in 3 bytes
}

// unpacker unpacks pages. Its decoders are made when they are first needed.
type unpacker struct {
	gzip   *gzip.Reader
	zstd   *zstd.Decoder
	brotli *brotli.Reader
	in     bytes.Reader
}

var errSize = errors.New("it does not unpack to the size that it names")

// wrongSize is errSize with what the decoder says, if it does.
func wrongSize(err error) error {
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errSize
	}
	return fmt.Errorf("%w: %w", errSize, err)
}

// append appends the n bytes that src unpacks to. Memory is taken for n bytes
// only if the packing can reach that, and by and by where that is not known.
func (u *unpacker) append(dst, src []byte, n int, codec format.CompressionCodec) ([]byte, error) {
	if most := mostTimes[codec]; most > 0 && n/most > len(src)+16 {
		return dst, fmt.Errorf("%d packed bytes claim to be %d", len(src), n)
	}
	switch codec {
	case format.Uncompressed:
		if len(src) != n {
			return dst, errSize
		}
		return append(dst, src...), nil
	case format.Snappy:
		if size, err := snappy.DecodedLen(src); err != nil || size != n {
			return dst, wrongSize(err)
		}
		return u.block(dst, n, func(b []byte) (int, error) {
			out, err := snappy.Decode(b, src)
			return len(out), err
		})
	case format.Lz4Raw:
		return u.block(dst, n, func(b []byte) (int, error) { return lz4.UncompressBlock(src, b) })
	case format.Zstd:
		return u.appendZstd(dst, src, n)
	case format.Gzip, format.Brotli:
		return u.stream(dst, src, n, codec)
	default:
		return dst, fmt.Errorf("it is packed as %s", codec)
	}
}

// block appends n bytes that f writes.
func (u *unpacker) block(dst []byte, n int, f func(b []byte) (int, error)) ([]byte, error) {
	from := len(dst)
	dst = slices.Grow(dst, n)[:from+n]
	if n == 0 {
		return dst, nil
	}
	got, err := f(dst[from : from+n : from+n])
	if err != nil || got != n {
		return dst, wrongSize(err)
	}
	return dst, nil
}

func (u *unpacker) appendZstd(dst, src []byte, n int) (out []byte, err error) {
	if u.zstd == nil {
		u.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderMaxMemory(pageLimit))
		if err != nil {
			return dst, err
		}
	}
	return u.block(dst, n, func(b []byte) (int, error) {
		out, err := u.zstd.DecodeAll(src, b[:0])
		return len(out), err
	})
}

// stream appends what a reader unpacks. The reader has to end after n bytes.
func (u *unpacker) stream(dst, src []byte, n int, codec format.CompressionCodec) (out []byte, err error) {
	u.in.Reset(src)
	var z io.Reader
	switch {
	case codec == format.Brotli && u.brotli == nil:
		u.brotli = brotli.NewReader(&u.in)
		z = u.brotli
	case codec == format.Brotli:
		z, err = u.brotli, u.brotli.Reset(&u.in)
	case u.gzip == nil:
		u.gzip, err = gzip.NewReader(&u.in)
		z = u.gzip
	default:
		z, err = u.gzip, u.gzip.Reset(&u.in)
	}
	if err != nil {
		u.gzip = nil
		return dst, err
	}
	for n > 0 {
		step := min(n, max(1<<20, len(dst)))
		from := len(dst)
		dst = slices.Grow(dst, step)[:from+step]
		if _, err := io.ReadFull(z, dst[from:]); err != nil {
			return dst, wrongSize(err)
		}
		n -= step
	}
	var more [1]byte
	if got, err := io.ReadFull(z, more[:]); got > 0 || !errors.Is(err, io.EOF) {
		return dst, wrongSize(err)
	}
	return dst, nil
}

// close ends the decoders.
func (u *unpacker) close() {
	if u.zstd != nil {
		u.zstd.Close()
		u.zstd = nil
	}
}
