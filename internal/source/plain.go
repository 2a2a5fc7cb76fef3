package source

import "github.com/profilerhq/profiler/internal/batch"

// clearCodes empties the second form of all vectors of a chunk, as a reader
// that fills the first one does not touch it.
func clearCodes(c *batch.Chunk) {
	for i := range c.Vectors[:cap(c.Vectors)] {
		v := &c.Vectors[:cap(c.Vectors)][i]
		v.Dict, v.Codes = nil, v.Codes[:0]
	}
}

// plain puts the first n rows of a vector of codes into the plain form. The
// profile and the checks read that one alone.
func plain(v *batch.Vector, n int) {
	if v.Dict == nil {
		return
	}
	dict, zoned := v.Dict, v.Zoned
	v.Dict = nil
	for _, code := range v.Codes[:min(n, len(v.Codes))] {
		v.Append(dict.Value(int(code)), dict.Bytes(int(code)))
	}
	v.Codes, v.Zoned = v.Codes[:0], zoned
}
