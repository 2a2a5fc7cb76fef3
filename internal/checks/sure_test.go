package checks

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
)

func written(text string, quoted bool) *literal {
	var c batch.Classifier
	return &literal{text: text, value: c.Text([]byte(text)), quoted: quoted}
}

// TestSureIsJudge judges plain vectors with and without the loop over sure rows.
func TestSureIsJudge(t *testing.T) {
	t.Parallel()
	judges := map[string]rowJudge{
		"not_null":      notNull{},
		"length 32":     &length{min: 32, max: 32},
		"length 2…5":    &length{min: 2, max: 5},
		"length …60":    &length{max: 60},
		"length 3…":     &length{min: 3, max: -1},
		"matches":       &pattern{re: regexp.MustCompile("^D[0-9]{3}$"), shape: shapeOf("^D[0-9]{3}$"), found: accepted},
		"not_matches":   &pattern{re: regexp.MustCompile("é"), found: rejected},
		"range 0…50":    &bounds{lo: written("0", false), hi: written("50", false), families: []batch.Type{batch.Number}},
		"range 0.5…":    &bounds{lo: written("0.5", false), families: []batch.Type{batch.Number}},
		"range 0.5…20":  &bounds{lo: written("0.5", false), hi: written("20", false), hiOpen: true, families: []batch.Type{batch.Number}},
		"range numbers": &bounds{hi: written("9007199254740993", false), families: []batch.Type{batch.Number}},
		"range quoted":  &bounds{lo: written("1", true), hi: written("30", true), families: []batch.Type{batch.Number, batch.String}},
		"range time": &bounds{lo: written("2024-06-01 00:00:00", true), loOpen: true, hi: written("2024-12-01 00:00:00", true),
			families: []batch.Type{batch.Timestamp, batch.String}},
		"range text": &bounds{lo: written("b", true), families: []batch.Type{batch.String}},
	}
	values := []func(r *rand.Rand) string{
		func(r *rand.Rand) string { return fmt.Sprint(r.IntN(60) - 5) },
		func(r *rand.Rand) string { return fmt.Sprintf("%.1f", r.Float64()*60) },
		func(r *rand.Rand) string { return fmt.Sprintf("D%03d", r.IntN(1100)) },
		func(r *rand.Rand) string { return strings.Repeat([]string{"a", "é", "\xff"}[r.IntN(3)], r.IntN(70)) },
		func(r *rand.Rand) string { return fmt.Sprintf("%032x", r.Uint64()) },
		func(r *rand.Rand) string {
			return fmt.Sprintf("2024-%02d-01 00:00:%02d%s", 1+r.IntN(12), r.IntN(2), []string{"", ".000000001", "Z"}[r.IntN(3)])
		},
	}
	for name, judge := range judges {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(3, uint64(len(name))))
			for round := range 400 {
				value := values[r.IntN(len(values))]
				var c batch.Classifier
				v := &batch.Vector{HasText: true, Inferred: round%2 == 0}
				rowCount := r.IntN(40)
				for range rowCount {
					text := value(r)
					switch r.IntN(30) {
					case 0:
						v.AppendNull()
						continue
					case 1:
						text = ""
					}
					v.Append(c.Text([]byte(text)), []byte(text))
				}
				s := &sampler{seed: 1, max: 5}
				fast, slow := judge.evaluator(s), judge.evaluator(s)
				valuesOf(slow).sure = nil
				chunk := &batch.Chunk{Rows: rowCount, First: 1}
				fast.observe(&rows{chunk: chunk, v: v})
				slow.observe(&rows{chunk: chunk, v: v})
				require.Equal(t, valuesOf(slow).tallies, valuesOf(fast).tallies)
			}
		})
	}
}

func valuesOf(e rowEvaluator) *valueEvaluator {
	if n, ok := e.(*notNullEvaluator); ok {
		return n.valueEvaluator
	}
	return e.(*valueEvaluator)
}
