package sketch

import (
	"cmp"
	"iter"
	"math"
	"slices"
)

// Entropy returns the Shannon entropy in bits of a column whose values occur so
// often: Σ c/n·log₂(n/c) with n = Σ c. Counts of 0 do not matter; nothing has
// entropy 0. counts is run twice.
func Entropy(counts iter.Seq[uint64]) float64 {
	var n float64
	for c := range counts {
		n += float64(c)
	}
	var bits double
	for c := range counts {
		bits = bits.add(double{hi: surprise(float64(c), n)})
	}
	return bits.hi
}

// surprise is what a value that occurs c times in n gives to the entropy.
func surprise(c, n float64) float64 {
	if c <= 0 {
		return 0
	}
	return c / n * math.Log2(n/c)
}

// EntropyRange is an entropy in bits that is known between two bounds.
type EntropyRange struct{ Low, Value, High float64 }

// span is what is known of a held count: its bounds, and the likeliest between.
type span struct{ low, middle, high float64 }

// Entropy returns the Shannon entropy in bits of a column of n values with about
// distinct±distinctError different ones (an HLL's Estimate and Error). All three
// numbers are equal while nothing was purged or sampled.
//
//   - Low is the entropy of the most uneven column that agrees with the counts:
//     the rest of n that no lower bound covers lifts the largest held counts to
//     their upper bounds first, and what is left then goes to values as large as
//     one that is not held can be (Error).
//   - High is that of the most even one: the rest is poured over the values that
//     are not held, as many as distinct + distinctError allows, and over held
//     counts that lie below its level.
//   - Value takes the counts that Top shows together with all that may have been
//     purged from them, since a frequent value was there at nearly every purge,
//     and spreads the rest evenly over the other distinct values.
//
// Entropy is Schur-concave (Marshall, Olkin, Arnold, "Inequalities: Theory of
// Majorization", 2011, 3.E.1): among all counts between the bounds the first
// column majorises every other, and the second is majorised by every other. So
// the bounds are as sure as those of the counts and of distinct.
func (f *Frequent) Entropy(n uint64, distinct, distinctError float64) EntropyRange {
	if f.purged == 0 && f.sampled == 0 {
		e := Entropy(slices.Values(f.counts))
		return EntropyRange{e, e, e}
	}
	if n == 0 {
		return EntropyRange{}
	}
	rows, limit := float64(n), float64(f.Error())
	held, rest := f.spans(rows)
	out := EntropyRange{
		Low:  unevenEntropy(held, rest, limit, rows),
		High: evenEntropy(held, rest, distinct+distinctError, rows),
	}
	out.Value = min(max(middleEntropy(held, limit, distinct, rows), out.Low), out.High)
	return out
}

// spans returns the bounds of the held counts, the largest first, and how many
// of the rows no lower bound covers. Lower bounds of samples that exceed the
// rows together are scaled down to them.
func (f *Frequent) spans(rows float64) (held []span, rest float64) {
	held = make([]span, len(f.counts))
	var sum float64
	for i, n := range f.counts {
		low, high := f.bounds(n)
		middle := float64(n) + float64(f.purged)
		held[i] = span{float64(low), middle, min(float64(high), rows)}
		sum += held[i].low
	}
	if sum > rows {
		for i := range held {
			held[i].low *= rows / sum
		}
		sum = rows
	}
	slices.SortFunc(held, func(a, b span) int { return cmp.Compare(b.low, a.low) })
	return held, rows - sum
}

func unevenEntropy(held []span, rest, limit, rows float64) (bits float64) {
	for _, s := range held {
		more := min(rest, max(0, s.high-s.low))
		rest -= more
		bits += surprise(s.low+more, rows)
	}
	if limit > 0 {
		whole := math.Floor(rest / limit)
		bits += whole * surprise(limit, rows)
		rest -= whole * limit
	}
	return bits + surprise(rest, rows)
}

func evenEntropy(held []span, rest, distinct, rows float64) (bits float64) {
	// A value occurs once at least.
	slots := min(max(0, distinct-float64(len(held))), rest)
	left := len(held)
	for ; left > 0 && (slots == 0 || held[left-1].low < rest/slots); left-- {
		rest += held[left-1].low
		slots++
	}
	for _, s := range held[:left] {
		bits += surprise(s.low, rows)
	}
	if slots > 0 {
		bits += slots * surprise(rest/slots, rows)
	}
	return bits
}

func middleEntropy(held []span, limit, distinct, rows float64) (bits float64) {
	rest, others := rows, distinct
	for _, s := range held {
		if s.low <= limit || rest <= 0 {
			break
		}
		c := min(s.middle, rest)
		bits += surprise(c, rows)
		rest -= c
		others--
	}
	if rest <= 0 {
		return bits
	}
	// Between one row for each other value and the most that it may have.
	others = min(max(others, rest/max(1, limit), 1), max(1, rest))
	return bits + others*surprise(rest/others, rows)
}
