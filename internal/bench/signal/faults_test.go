package signal

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// victimOf breaks batch i of a small synthetic set.
func victimOf(t *testing.T, name string, i int) *victim {
	t.Helper()
	f := families[slices.IndexFunc(families, func(f family) bool { return f.name == name })]
	s := synthetic(f, 1)
	now, before := s.batch(i), s.batch(i-1)
	p, err := profileText(t.Context(), "bench/"+name, s.times[i], now.csv())
	require.NoError(t, err)
	last, err := profileText(t.Context(), "bench/"+name, s.times[i-1], before.csv())
	require.NoError(t, err)
	return &victim{table: now, previous: before, columns: factsOf(now, p, last)}
}

func TestFactsOfColumns(t *testing.T) {
	in := victimOf(t, "small", 40)
	of := func(name string) columnFacts { return in.columns[slices.Index(in.table.names, name)] }
	require.True(t, of("id").id, "ids go on from batch to batch")
	require.False(t, of("quantity").id)
	require.Equal(t, 2, of("amount").decimals)
	require.True(t, category(of("kind")))
	require.False(t, category(of("note")))
	require.InDelta(t, 12, of("weight").mean, 1)
}

// Every fault breaks the columns that it says, in every size, and nothing else;
// equal random numbers break the same rows.
func TestFaultsTouchWhatTheySay(t *testing.T) {
	in := victimOf(t, "small", 40)
	p := &player{seq: &sequence{name: "small"}, seed: 1}
	for i := range faults {
		f := &faults[i]
		done := 0
		for size := range Size(sizeCount) {
			for at := range 5 {
				broken, touched := f.apply(in, f.sizes[size], p.random(f.name, size, at))
				again, _ := f.apply(in, f.sizes[size], p.random(f.name, size, at))
				if broken == nil {
					continue
				}
				done++
				require.True(t, broken.equal(again), "%s %s", f.name, size)
				require.Equal(t, in.table.names, broken.names)
				if slices.Contains(touched, "") {
					continue // rows
				}
				require.Equal(t, in.table.rows(), broken.rows(), f.name)
				for c, name := range in.table.names {
					if !slices.Contains(touched, name) {
						require.True(t, sameColumn(in.table.cols[c], broken.cols[c]), "%s %s changes %s", f.name, size, name)
					}
				}
			}
		}
		require.Positive(t, done, "%s breaks nothing", f.name)
	}
}

func TestFaultsBreakAsMuchAsTheySay(t *testing.T) {
	in := victimOf(t, "small", 40)
	p := &player{seq: &sequence{name: "small"}, seed: 1}
	rows := float64(in.table.rows())
	play := func(name string, size Size) (*table, int) {
		f := &faults[slices.IndexFunc(faults, func(f fault) bool { return f.name == name })]
		broken, touched := f.apply(in, f.sizes[size], p.random(name, size, 1))
		return broken, slices.Index(in.table.names, touched[0])
	}
	changed := func(name string, size Size) float64 {
		broken, c := play(name, size)
		n := 0
		for r, s := range broken.cols[c] {
			n += b2i(s != in.table.cols[c][r])
		}
		return float64(n) / rows
	}
	missing, _ := play("missing volume", Middle)
	require.InDelta(t, 0.5, float64(missing.rows())/rows, 0.01)
	double, _ := play("duplicate load", Large)
	require.Equal(t, 2*in.table.rows(), double.rows())
	late, _ := play("late partition", Small)
	require.Equal(t, in.table.cols[0][:late.rows()], late.cols[0], "the first rows are there")
	require.InDelta(t, 0.1, changed("type change", Middle)*0.5, 0.02) // 20 % of the values
	require.InDelta(t, 0.3, changed("unit x100", Middle), 0.05)
	require.Greater(t, changed("sign flip", Large), 0.8)
}

func TestShiftsKeepDecimals(t *testing.T) {
	in := victimOf(t, "small", 40)
	p := &player{seq: &sequence{name: "small"}, seed: 1}
	for _, name := range []string{"scale", "mean shift", "spread", "precision lost", "outliers x1000"} {
		f := &faults[slices.IndexFunc(faults, func(f fault) bool { return f.name == name })]
		for at := range 8 {
			broken, touched := f.apply(in, f.sizes[Middle], p.random(name, Middle, at))
			c := slices.Index(in.table.names, touched[0])
			require.LessOrEqual(t, decimalsOf(broken.cols[c]), in.columns[c].decimals, "%s of %s", name, touched[0])
		}
	}
}

func TestHourShift(t *testing.T) {
	in := victimOf(t, "small", 40)
	broken, touched := hourShifted(in, 5, seedOf(1, "x"))
	require.Equal(t, []string{"created"}, touched)
	was, _, _ := parseTime(in.table.cols[1][0])
	is, _, ok := parseTime(broken.cols[1][0])
	require.True(t, ok)
	require.Equal(t, 5*time.Hour, is.Sub(was))
}

func TestFaultsWithoutColumnsToBreak(t *testing.T) {
	in := &victim{table: &table{names: []string{"a"}, cols: [][]string{{null, null}}}, columns: make([]columnFacts, 1)}
	for _, f := range faults[3:17] {
		broken, _ := f.apply(in, f.sizes[Large], seedOf(1, f.name))
		require.Nil(t, broken, f.name)
	}
}

func TestSyntheticIsReproducible(t *testing.T) {
	for _, f := range families {
		a, b := synthetic(f, 7).batch(3), synthetic(f, 7).batch(3)
		require.True(t, a.equal(b), f.name)
		other := synthetic(f, 8).batch(3)
		require.False(t, a.equal(other), f.name)
	}
}

func TestSyntheticHasItsSizeAndHolidays(t *testing.T) {
	for _, f := range families {
		s := synthetic(f, 1)
		holidays := 0
		for i := range f.batches {
			holidays += b2i(f.isHoliday(1, i))
		}
		require.Equal(t, 3, holidays, f.name)
		b := s.batch(2)
		want := f.columns
		if want == 0 {
			want = 10
		}
		require.Len(t, b.cols, want, f.name)
		require.InDelta(t, 1, float64(b.rows())/float64(f.rows), 0.6, f.name)
	}
}

func TestManifestIsValid(t *testing.T) {
	m, err := readManifest("manifest.yaml", manifestText)
	require.NoError(t, err)
	require.Len(t, m.sets, 11)
	out := 0
	for _, s := range m.sets {
		out += b2i(s.heldOut)
	}
	require.GreaterOrEqual(t, out, 3, "sets that are kept out of tuning")
	_, err = readManifest("m.yaml", []byte("version: 1\nsets:\n  - {name: a, source: b, per: decade}\n"))
	require.ErrorContains(t, err, "decade")
}

func TestRecallAtFollowsTheThreshold(t *testing.T) {
	s := scores{broken: []float64{1, 2, 3, 4}}
	for i := range 1000 {
		s.healthy = append(s.healthy, float64(i%5)/2) // 0 … 2
	}
	require.InDelta(t, 0.5, recallAt([]scores{s}, 5), 1e-12, "above 2 there is nothing healthy")
	s.healthy = append(s.healthy[:996], 3.5, 3.5, 3.5, 3.5)
	require.InDelta(t, 0.25, recallAt([]scores{s}, 2), 1e-12)
	require.InDelta(t, 0.5, recallAt([]scores{s}, 4), 1e-12)
}

func TestCSVKeepsWhatTheTableHolds(t *testing.T) {
	t1 := &table{names: []string{"a", "b"}, cols: [][]string{{"x,y", null, "", `q"`}, {"1", "2", "3", "4"}}}
	require.Equal(t, "a,b\n\"x,y\",1\n,2\n\"\",3\n\"q\"\"\",4\n", string(t1.csv()))
	p, err := profileText(t.Context(), "bench/x", time.Unix(0, 0), t1.csv())
	require.NoError(t, err)
	require.EqualValues(t, 4, p.Rows())
	require.Equal(t, "integer", p.Column("b").Type)
	require.EqualValues(t, 1, p.Column("a").Nulls, strconv.Itoa(int(p.Column("a").Count)))
}
