package source

import "math"

// sampler takes a share of the rows of a batch by the hash of their numbers.
// So the same rows are taken whatever the chunks, the workers and the format.
// Numbers, not byte offsets: Parquet and Arrow have no offset of a row, and a
// batch of many small files would give the offset 0 to many rows, all taken or
// all left.
type sampler struct {
	share float64
	below uint64 // hashes below it are taken
	// rows of the last chunks, which may be at work
	kept [][]int32
	next int
}

// newSampler returns the sampler of a share between 0 and 1, nil where it
// takes all rows. Up to inFlight of its answers may be in use together.
func newSampler(share float64, inFlight int) *sampler {
	if share <= 0 || share >= 1 {
		return nil
	}
	return &sampler{share: share, below: uint64(math.Ldexp(share, 64)), kept: make([][]int32, inFlight)}
}

// take returns the indexes of the rows that are taken among n rows, of which
// the first has the given number; never nil. It is valid until inFlight further
// calls.
func (s *sampler) take(first int64, n int) []int32 {
	if s.kept[s.next] == nil {
		s.kept[s.next] = make([]int32, 0, 64)
	}
	kept := s.kept[s.next][:0]
	for i := range n {
		if placeHash(uint64(first)+uint64(i)) < s.below { //nolint:gosec // numbers of rows are positive
			kept = append(kept, int32(i)) //nolint:gosec // an index of a chunk
		}
	}
	s.kept[s.next] = kept
	s.next = (s.next + 1) % len(s.kept)
	return kept
}

// placeHash spreads the number of a row: step and finaliser of SplitMix64
// (Steele, Lea and Flood 2014), from a seed of its own, so that the sample has
// nothing to do with other choices by the numbers of rows.
func placeHash(row uint64) uint64 {
	x := row*0x9e3779b97f4a7c15 + 0xd6e8feb86659fd93
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb
	return x ^ (x >> 31)
}
