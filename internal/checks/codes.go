package checks

import (
	"slices"

	"github.com/profilerhq/profiler/internal/batch"
)

// codeVerdicts judges vectors in dictionary form: each entry of the dictionary
// once, whatever the number of its rows.
type codeVerdicts struct {
	dict *batch.Vector
	// patterns are the judgements that occur: two bits of verdict for each
	// family.
	patterns []uint32
	byCode   []uint8 // index of an entry's pattern
	// rejecting is set when a pattern that occurs has a rejection.
	rejecting bool
}

const (
	// maxFamilies is how many families fit a pattern.
	maxFamilies = 16
	// maxPatterns is how many patterns byCode tells apart.
	maxPatterns = 256
	// rejects has the bit of a rejection in each family of a pattern.
	rejects = 0xaaaaaaaa
)

func (k *codeVerdicts) observe(e *valueEvaluator, r *rows) {
	if k.dict != r.v.Dict {
		k.dict, k.byCode = r.v.Dict, k.byCode[:0]
	}
	for j := len(k.byCode); j < k.dict.Len(); j++ {
		k.byCode = append(k.byCode, k.pattern(e, j))
	}
	var seen [maxPatterns]int32
	switch {
	case r.sel != nil:
		for _, i := range r.sel {
			p := k.byCode[r.v.Codes[i]]
			seen[p]++
			if k.patterns[p]&rejects != 0 {
				k.reject(e, r, int(i), k.patterns[p])
			}
		}
	case k.rejecting:
		for i, code := range r.v.Codes {
			p := k.byCode[code]
			seen[p]++
			if k.patterns[p]&rejects != 0 {
				k.reject(e, r, i, k.patterns[p])
			}
		}
	case len(k.patterns) == 1:
		seen[0] = int32(len(r.v.Codes)) //nolint:gosec // the rows of a chunk
	default:
		k.tally(&seen, r.v.Codes)
	}
	for p, pattern := range k.patterns {
		n := int64(seen[p])
		for f := range e.families {
			switch verdictIn(pattern, f) {
			case accepted:
				e.tallies[f].evaluated += n
			case rejected:
				e.tallies[f].evaluated += n
				e.tallies[f].failed += n
			case skipped:
			}
		}
	}
}

// tally counts the rows of each pattern. Two counters for each keep a sum from
// waiting for the one just before it.
func (k *codeVerdicts) tally(seen *[maxPatterns]int32, codes []uint32) {
	var other [maxPatterns]int32
	byCode := k.byCode
	for ; len(codes) >= 2; codes = codes[2:] {
		seen[byCode[codes[0]]]++
		other[byCode[codes[1]]]++
	}
	if len(codes) == 1 {
		seen[byCode[codes[0]]]++
	}
	for p := range k.patterns {
		seen[p] += other[p]
	}
}

// reject offers a row to the samples of the readings that reject it.
func (k *codeVerdicts) reject(e *valueEvaluator, r *rows, i int, pattern uint32) {
	for f := range e.families {
		if verdictIn(pattern, f) == rejected {
			e.tallies[f].sample.offer(e.s, r, i)
		}
	}
}

func verdictIn(pattern uint32, family int) verdict { return verdict(pattern >> (2 * family) & 3) }

// pattern judges entry j and returns the index of its pattern.
func (k *codeVerdicts) pattern(e *valueEvaluator, j int) uint8 {
	if len(e.families) > maxFamilies {
		panic("BUG: a kind with more readings than fit a pattern")
	}
	pattern := uint32(0)
	for f, family := range e.families {
		pattern |= uint32(e.judge(k.dict, j, family)) << (2 * f)
	}
	at := slices.Index(k.patterns, pattern)
	if at < 0 {
		if at = len(k.patterns); at == maxPatterns {
			panic("BUG: a kind with more judgements than types")
		}
		k.patterns = append(k.patterns, pattern)
		k.rejecting = k.rejecting || pattern&rejects != 0
	}
	return uint8(at) //nolint:gosec // checked
}
