package oracle

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/profile"
)

// parts cuts a grid into n parts of any sizes, empty ones among them.
func (g *grid) parts(rng *rand.Rand, n int) []*grid {
	cuts := []int{0, len(g.cells)}
	for range n - 1 {
		cuts = append(cuts, rng.IntN(len(g.cells)+1))
	}
	if n > 3 {
		cuts[2] = cuts[3] // a part without rows
	}
	slices.Sort(cuts)
	var out []*grid
	for i := range n {
		out = append(out, g.cut(cuts[i], cuts[i+1]))
	}
	return out
}

// mergeTree merges profiles pairwise in any order, some of them by way of a
// file.
func mergeTree(t testing.TB, rng *rand.Rand, parts []*profile.Profile) *profile.Profile {
	t.Helper()
	parts = append([]*profile.Profile(nil), parts...)
	for len(parts) > 1 {
		rng.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
		a, b := parts[0], parts[1]
		if rng.IntN(2) == 0 {
			a = throughFile(t, a)
		}
		if rng.IntN(2) == 0 {
			b = throughFile(t, b)
		}
		parts = append(parts[2:], merged(t, a, b))
	}
	return parts[0]
}

func merged(t testing.TB, parts ...*profile.Profile) *profile.Profile {
	t.Helper()
	m, err := profile.Merged(parts...)
	require.NoError(t, err)
	return m
}

// agreeMerged compares a merged profile with the naive one of all rows and with
// the product's profile of all rows.
func agreeMerged(t testing.TB, want *Profile, whole, got *profile.Profile, where string) {
	t.Helper()
	if found := differencesMerged(want, got.Summary()); len(found) > 0 {
		t.Errorf("%s: the merged profile differs from the naive one:\n  %s", where, strings.Join(found, "\n  "))
	}
	if found := unlike(whole, got, 1e-9); len(found) > 0 {
		t.Errorf("%s: the merged profile differs from the whole:\n  %s", where, strings.Join(found, "\n  "))
	}
}

func TestMergedPartsAreTheWhole(t *testing.T) {
	t.Parallel()
	seeds := 2
	if long {
		seeds = 10
	}
	// All sorts of columns, in tables of ten.
	for i := 0; i < len(kinds); i += 10 {
		of := kinds[i:min(i+10, len(kinds))]
		t.Run(of[0].name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(seeds) {
				rng := rand.New(rand.NewPCG(seed, 31))
				n := []int{0, 1, 7, 300, 2500}[(int(seed)+i/10)%5]
				if seed == 0 {
					n = 400
				}
				g := generate(seed, n, of...)
				checkMerge(t, rng, g, g.parts(rng, 2+rng.IntN(6)))
			}
		})
	}
}

// TestMergedPartsAreTheWholeBeyondExactness merges parts that are exact to a
// whole that is not, and two parts that are not.
func TestMergedPartsAreTheWholeBeyondExactness(t *testing.T) {
	t.Parallel()
	of := []string{"unique numbers", "unique texts", "skewed"}
	sizes := []int{140_000}
	if long {
		of = append(of, "zones", "texts with holes", "9 % text", "11 % text", "nan among numbers", "all integers", "prices", "heavy ties", "booleans")
		sizes = []int{65_536, 65_537, 140_000, 200_000}
	}
	for _, n := range sizes {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(uint64(n), 1))
			g := generate(uint64(n), n, kindsNamed(t, of...)...)
			if n < 140_000 {
				checkMerge(t, rng, g, g.parts(rng, 4))
				return
			}
			a, b := 66_000, 134_000
			checkMerge(t, rng, g, []*grid{g.cut(0, a), g.cut(a, b), g.cut(b, n)})
		})
	}
}

// cut returns the rows from index i to j.
func (g *grid) cut(i, j int) *grid {
	return &grid{seed: g.seed, names: g.names, cells: g.cells[i:j]}
}

func checkMerge(t *testing.T, rng *rand.Rand, g *grid, grids []*grid) {
	t.Helper()
	s := style{delimiter: ','}
	where := fmt.Sprintf("seed %d, %d rows in %d parts", g.seed, len(g.cells), len(grids))
	text, table := g.write(s)
	want := Of(table)
	whole := profileCSV(t, text, s.csv())
	var parts []*profile.Profile
	for _, part := range grids {
		text, _ := part.write(s)
		parts = append(parts, profileCSV(t, text, s.csv()))
	}
	before := make([][]byte, len(parts))
	for i, p := range parts {
		before[i] = encoded(t, p)
	}
	agreeMerged(t, want, whole, merged(t, parts...), where+", in order")
	agreeMerged(t, want, whole, mergeTree(t, rng, parts), where+", in any order")
	for i, p := range parts {
		sameBytes(t, before[i], encoded(t, p), "%s: merging changed part %d", where, i)
	}
}

// TestMergeIsAMonoid checks the laws: associative and commutative in all that
// is exact, and an empty profile changes nothing.
func TestMergeIsAMonoid(t *testing.T) {
	t.Parallel()
	rounds := 6
	if long {
		rounds = 60
	}
	for seed := range uint64(rounds) {
		rng := rand.New(rand.NewPCG(seed, 8))
		of := someKinds(rng, 6)
		var p [3]*profile.Profile
		for i := range p {
			text, _ := generate(seed*3+uint64(i), rng.IntN(500), of...).write(style{delimiter: ','})
			p[i] = profileCSV(t, text, CSV{Delimiter: ','})
		}
		left := merged(t, merged(t, p[0], p[1]), p[2])
		right := merged(t, p[0], merged(t, p[1], p[2]))
		back := merged(t, p[2], p[1], p[0])
		for name, other := range map[string]*profile.Profile{"associative": right, "commutative": back} {
			if found := unlike(left, other, 1e-9); len(found) > 0 {
				t.Errorf("seed %d: merge is not %s:\n  %s", seed, name, strings.Join(found, "\n  "))
			}
		}
		for i, q := range []*profile.Profile{merged(t, merged(t), p[0]), merged(t, p[0], merged(t)), merged(t, p[0]), throughFile(t, p[0])} {
			require.Equal(t, summaryJSON(t, p[0]), summaryJSON(t, q), "seed %d, form %d", seed, i)
			sameBytes(t, encoded(t, p[0]), encoded(t, q), "seed %d: form %d has other bytes", seed, i)
		}
	}
}

// TestEmptyIsNeutralBeyondExactness does the same for a profile with sketches.
func TestEmptyIsNeutralBeyondExactness(t *testing.T) {
	t.Parallel()
	p := profileCSV(t, bigTable(t, 70_000), CSV{Delimiter: ','})
	empty := profileCSV(t, strings.SplitAfter(bigTable(t, 1), "\n")[0], CSV{Delimiter: ','})
	require.False(t, p.Column("unique numbers").Distinct.Exact)
	for i, q := range []*profile.Profile{merged(t, merged(t), p), merged(t, p, merged(t)), throughFile(t, p)} {
		require.Equal(t, summaryJSON(t, p), summaryJSON(t, q), i)
	}
	for i, q := range []*profile.Profile{merged(t, empty, p), merged(t, p, empty)} {
		require.Equal(t, columnsJSON(t, p), columnsJSON(t, q), "a header without rows, %d", i)
	}
}

// TestMergeOfDifferentColumns merges parts that lack columns of each other: the
// rows of a part are null in the columns that it lacks.
func TestMergeOfDifferentColumns(t *testing.T) {
	t.Parallel()
	lines := []string{
		`{"a":1,"b":"x"}`, `{"a":2}`, `{"a":"n/a","c":{"d":true}}`, `{}`, `{"b":"2024-02-29","c":{"d":false},"e":[1,2]}`,
		`{"e":[],"a":0.5}`, `{"f":null}`, `{"c":{}}`, `{"a":3,"b":"y","c":{"d":true},"e":[{}],"f":"z"}`,
	}
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 3))
		var all []string
		for range 30 {
			all = append(all, lines[rng.IntN(len(lines))])
		}
		var parts []*profile.Profile
		for at := 0; at < len(all); {
			n := min(1+rng.IntN(10), len(all)-at)
			parts = append(parts, profileJSON(t, strings.Join(all[at:at+n], "\n")))
			at += n
		}
		text := strings.Join(all, "\n")
		agreeMerged(t, Of(ReadJSONL(text)), profileJSON(t, text), mergeTree(t, rng, parts), fmt.Sprintf("seed %d", seed))
	}
}
