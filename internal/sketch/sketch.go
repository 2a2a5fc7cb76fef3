// Package sketch holds the mergeable summaries of a data profile: distinct
// counts, quantiles, frequent values, moments and exact integer sums.
//
// A summary reads a stream in bounded memory, merges with others of its kind
// and has a versioned binary form (docs/format/sketches.md). No type of this
// package is safe for use by several goroutines at once while one of them
// writes; methods that only read may run together.
package sketch

import (
	"encoding/binary"
	"fmt"
	"math"
)

// The first byte of an encoded summary names its kind, the second its version.
const (
	kindDistinct  = 'D'
	kindIntRanks  = 'I'
	kindRealRanks = 'R'
	kindFrequent  = 'F'
	kindMoments   = 'M'
	kindSum       = 'S'

	version = 1
)

// reader walks over an encoded summary. The first error stays; after it all
// reads return zero.
type reader struct {
	b    []byte
	what string
	err  error
}

// open checks the header of b and returns a reader of what follows it.
func open(b []byte, kind byte, what string) *reader {
	r, _ := openUpTo(b, kind, what, version)
	return r
}

// openUpTo is open for a kind that has several versions, the newest of which is
// given. It returns the version of b.
func openUpTo(b []byte, kind byte, what string, newest byte) (r *reader, got byte) {
	r = &reader{b: b, what: what}
	if got := r.byte(); r.err == nil && got != kind {
		r.fail("kind is %q, want %q", got, kind)
	}
	got = r.byte()
	if r.err == nil && (got < version || got > newest) {
		r.fail("version %d is not known, this program reads up to version %d", got, newest)
	}
	return r, got
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("decode %s summary: %s", r.what, fmt.Sprintf(format, args...))
	}
	r.b = nil
}

// bytes returns the next n bytes, which alias the input, or nil on error.
func (r *reader) bytes(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.fail("input is truncated")
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) byte() byte {
	if b := r.bytes(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

func (r *reader) uint64() uint64 {
	if b := r.bytes(8); len(b) == 8 {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (r *reader) float64() float64 { return math.Float64frombits(r.uint64()) }

// uvarint reads a varint and refuses one that is longer than needed, so that
// equal content has one spelling.
func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	switch {
	case n == 0:
		r.fail("input is truncated")
		return 0
	case n < 0 || n > 1 && r.b[n-1] == 0:
		r.fail("a number is malformed")
		return 0
	}
	r.b = r.b[n:]
	return v
}

// count reads the number of items that follow and refuses one that cannot fit
// into the input, so that a forged count never allocates memory.
func (r *reader) count(limit, bytesPerItem int) int {
	n := r.uvarint()
	if n > uint64(limit) {
		r.fail("%d items are more than the limit of %d", n, limit)
		return 0
	}
	if n > uint64(len(r.b)/bytesPerItem) {
		r.fail("input is truncated")
		return 0
	}
	return int(n)
}

// close reports the first error; bytes that are left over are one.
func (r *reader) close() error {
	if r.err == nil && len(r.b) > 0 {
		r.fail("%d bytes follow its end", len(r.b))
	}
	return r.err
}
