package oracle

import (
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/profile"
)

// beyond are sorts of columns for which the exact text, type or end of a value
// matters once the column is no longer counted.
var beyond = []kind{
	some("frequent days among timestamps", 0.4, stamps, "2024-02-29", "2024-02-29T00:00:00"),
	some("frequent zeros among numbers", 0.4, kindOf("unique numbers"), "-0.0", "0", "-0"),
	some("frequent nan among days", 0.05, plain("", func(rng *rand.Rand) string { return anyTime(rng).Format("2006-01-02T15:04:05") }), "NaN", "nan"),
	some("far integers and numbers", 0.4, kindOf("unique numbers"), "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809"),
	plain("integers by 2^53 and numbers", func(rng *rand.Rand) string {
		if rng.IntN(3) == 0 {
			return strconv.FormatFloat(rng.Float64(), 'g', -1, 64)
		}
		return strconv.FormatInt(1<<53-4*rng.Int64N(30_000)+1, 10) + []string{"", ".0"}[rng.IntN(2)]
	}),
}

func kindOf(name string) kind {
	for _, k := range kinds {
		if k.name == name {
			return k
		}
	}
	panic("no kind " + name)
}

// TestTextsBeyondExactness compares such columns.
func TestTextsBeyondExactness(t *testing.T) {
	t.Parallel()
	for _, k := range beyond {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			text, want := generate(3, 66_000, k).write(style{delimiter: ','})
			p := profileCSV(t, text, CSV{Delimiter: ','})
			require.False(t, p.Column(k.name).Distinct.Exact)
			agree(t, want, p, "seed 3")
		})
	}
}

// TestFirstMixedOfMergedParts merges parts in their order: the first value of
// another type is the one of the whole, with its row.
func TestFirstMixedOfMergedParts(t *testing.T) {
	t.Parallel()
	of := kindsNamed(t, "9 % text", "11 % text", "11 % days", "text in the last row", "mixed booleans", "mixed times")
	for seed := range uint64(5) {
		rng := rand.New(rand.NewPCG(seed, 1))
		g := generate(seed, 400, of...)
		s := style{delimiter: ','}
		text, _ := g.write(s)
		whole := profileCSV(t, text, s.csv()).Summary()
		var parts []*profile.Profile
		for _, part := range g.parts(rng, 4) {
			text, _ := part.write(s)
			parts = append(parts, profileCSV(t, text, s.csv()))
		}
		got := merged(t, parts...).Summary()
		for _, c := range whole.Columns {
			require.Equal(t, c.Mixed, got.Column(c.Name).Mixed, "seed %d, %s", seed, c.Name)
		}
	}
}

// TestDuplicatesAmongNames counts duplicates where values are names of columns.
func TestDuplicatesAmongNames(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"a,b,c\na,,1\n,b,1\n", "a,b,c\nb,,1\n,a,1\n"} {
		require.Zero(t, profileCSV(t, text, CSV{Delimiter: ','}).Summary().Duplicates.Value, text)
	}
}
