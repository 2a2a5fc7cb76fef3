package oracle

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/source"
)

// kindNamed returns a sort of column.
func kindNamed(t testing.TB, name string) kind {
	t.Helper()
	for _, k := range kinds {
		if k.name == name {
			return k
		}
	}
	t.Fatalf("there is no kind %q", name)
	return kind{}
}

func kindsNamed(t testing.TB, names ...string) []kind {
	t.Helper()
	out := make([]kind, len(names))
	for i, n := range names {
		out[i] = kindNamed(t, n)
	}
	return out
}

// someKinds draws n different sorts of columns.
func someKinds(rng *rand.Rand, n int) []kind {
	out := make([]kind, 0, n)
	for _, i := range rng.Perm(len(kinds))[:n] {
		out = append(out, kinds[i])
	}
	return out
}

var styles = []style{
	{delimiter: ','},
	{delimiter: ',', crlf: true, bom: true},
	{delimiter: ';', noEnd: true},
	{delimiter: '\t', null: `\N`},
	{delimiter: '|', noHeader: true, null: "NA"},
	{delimiter: ',', crlf: true, noHeader: true, noEnd: true},
	{delimiter: 0x01, null: "NULL", quoteAll: true},
	{delimiter: ':', quoteAll: true, bom: true},
}

// TestStyles compares tables of several columns in every way of writing, with
// records of the wrong width and empty lines between the rows.
func TestStyles(t *testing.T) {
	t.Parallel()
	seeds := 3
	if long {
		seeds = 40
	}
	for i, s := range styles {
		t.Run(fmt.Sprintf("%q", fmt.Sprint(s)), func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(seeds) {
				rng := rand.New(rand.NewPCG(seed, uint64(i)))
				n := 1 + rng.IntN(400)
				g := generate(seed, n, someKinds(rng, 1+rng.IntN(12))...)
				if seed%2 == 1 {
					g.damage()
				}
				text, want := g.write(s)
				agree(t, want, profileCSV(t, text, s.csv()), fmt.Sprintf("seed %d, %d rows", seed, n))
			}
		})
	}
}

// TestDelimiterIsFound compares tables whose delimiter the reader has to find.
func TestDelimiterIsFound(t *testing.T) {
	t.Parallel()
	for _, delimiter := range []byte{',', ';', '\t', '|'} {
		g := generate(uint64(delimiter), 300, kindsNamed(t, "small integers", "prices", "names", "days", "structure", "texts with holes")...)
		text, want := g.write(style{delimiter: delimiter})
		p, err := observe(t.Context(), strings.NewReader(text), source.Options{})
		require.NoError(t, err)
		agree(t, want, p, fmt.Sprintf("%q", delimiter))
	}
}

// TestExactnessEndsAtItsBorders compares columns of many values at the number
// of rows up to which everything is exact, and beyond it.
func TestExactnessEndsAtItsBorders(t *testing.T) {
	t.Parallel()
	of := []string{"unique numbers", "unique texts", "small integers"}
	sizes := []int{65_536, 65_537}
	if long {
		of = append(of, "all integers", "zones", "skewed", "texts with holes", "nan among numbers", "11 % text", "times of day", "epochs", "ascending", "codes with zeros")
		sizes = []int{65_535, 65_536, 65_537}
	}
	for _, n := range sizes {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			text, want := generate(7, n, kindsNamed(t, of...)...).write(style{delimiter: ','})
			p := profileCSV(t, text, CSV{Delimiter: ','})
			agree(t, want, p, "seed 7")
			require.Equal(t, n <= 65_536, p.Column("unique texts").Distinct.Exact)
			require.True(t, p.Column("small integers").Distinct.Exact)
			require.True(t, p.Column("small integers").Quantiles.Exact)
		})
	}
}

// TestManyRows compares estimates with the truth: each must lie within the
// bound that it states.
func TestManyRows(t *testing.T) {
	t.Parallel()
	n, seeds := 80_000, uint64(1)
	of := []string{"unique numbers", "zones"}
	if long {
		n, seeds = 200_000, 4
		of = append(of, "unique texts", "skewed", "no zones", "prices", "all integers", "texts with holes", "wide range", "times of day", "9 % text", "11 % text", "descending", "narrow codes", "heavy ties")
	}
	for seed := range seeds {
		text, want := generate(seed, n, kindsNamed(t, of...)...).write(style{delimiter: ','})
		p := profileCSV(t, text, CSV{Delimiter: ','})
		agree(t, want, p, fmt.Sprintf("seed %d", seed))
		require.False(t, p.Column("unique numbers").Distinct.Exact)
	}
}

// TestWideTables compares tables of more columns than are counted exactly.
func TestWideTables(t *testing.T) {
	t.Parallel()
	widths := []int{65, 501}
	if long {
		widths = append(widths, 64, 500, 1500)
	}
	for _, width := range widths {
		t.Run(fmt.Sprint(width), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(uint64(width), 1))
			var of []kind
			for i := range width - 1 {
				k := kinds[rng.IntN(len(kinds))]
				k.name = fmt.Sprintf("%d %s", i, k.name)
				of = append(of, k)
			}
			text, want := generate(uint64(width), 300_000/width/10, of...).write(style{delimiter: ','})
			agree(t, want, profileCSV(t, text, CSV{Delimiter: ','}), "wide")
		})
	}
}
