package sketch

import "math/bits"

const (
	// sampleAfter is how many rows are all taken.
	sampleAfter = 131_072

	// sampleRate is the largest number of rows that one stands for.
	sampleRate = 16
)

// Sampler thins a long column for summaries that a part of the rows is enough
// for. It takes every row of the first 131,072, and then one random row of each
// 2 consecutive ones; with each doubling of the rows it takes half as many, down
// to one of each 16. So the sampling error of a rank stays near 0.1 % (one
// standard deviation) at any length: with a jump to one of 16 it would be
// 0.27 % soon after the first 131,072. Its randomness comes from its seed alone.
// The zero value has seed 0.
type Sampler struct {
	random, seen uint64
}

// Sample tells which rows of a slice count, and for how many each.
type Sample struct {
	// Rows are the numbers of the chosen rows, ascending; unused if Rate is 1.
	Rows []int32
	// Rate is 1 if all rows count once, else the power of two, at most 16, that
	// each chosen row but the last counts for.
	Rate int
	// Last is what the last chosen row counts for, from 1 to Rate, so that the
	// weights of a slice sum to its length.
	Last int
}

// NewSampler returns a sampler whose choices follow from seed.
func NewSampler(seed uint64) *Sampler { return &Sampler{random: seed} }

// Draw chooses among the next n rows of the column, at most 2^31−1. The rows of
// the result lie in the memory of buf, or in a larger slice if it has too little
// room; pass Rows of the last sample again and nothing is allocated. Each slice
// is drawn for itself: what is left of a slice after its groups of Rate rows
// is a smaller group with a row of its own.
func (s *Sampler) Draw(buf []int32, n int) Sample {
	rate := s.Rate()
	s.seen += uint64(n)
	if rate == 1 {
		return Sample{Rows: buf[:0], Rate: 1, Last: 1}
	}
	rows, last := buf[:0], rate
	digits := bits.TrailingZeros(uint(rate))
	var random uint64
	left := 0
	at := 0
	for ; at+rate <= n; at += rate {
		if left < digits {
			random, left = splitmix(&s.random), 64
		}
		rows = append(rows, int32(at)+int32(random&uint64(rate-1)))
		random >>= digits
		left -= digits
	}
	if rest := n - at; rest > 0 {
		hi, _ := bits.Mul64(splitmix(&s.random), uint64(rest))
		rows, last = append(rows, int32(at)+int32(hi)), rest
	}
	return Sample{Rows: rows, Rate: rate, Last: last}
}

// Rate returns of how many rows the next slice will take one.
func (s *Sampler) Rate() int {
	return 1 << min(bits.Len64(s.seen/sampleAfter), bits.Len(sampleRate)-1)
}
