package profile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/source/csv"
)

// ofCSV profiles a text as the product does.
func ofCSV(t testing.TB, text string) *Profile {
	t.Helper()
	r, err := csv.New(strings.NewReader(text), csv.Options{Source: "in.csv"})
	require.NoError(t, err)
	b := NewBuilder()
	var c batch.Chunk
	for {
		err := r.Next(t.Context(), &c)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		require.NoError(t, b.Add(r.Columns(), &c))
	}
	return b.Finish(r.Columns(), Info{Dataset: "default/in", Stats: r.Stats(), ProfiledAt: time.Unix(0, 0)})
}

// column profiles one column of texts; "∅" is an empty unquoted field.
func columnOf(t testing.TB, values ...string) Column {
	t.Helper()
	var b strings.Builder
	b.WriteString("row,v\n")
	for i, v := range values {
		if v != "∅" {
			v = `"` + strings.ReplaceAll(v, `"`, `""`) + `"`
		} else {
			v = ""
		}
		fmt.Fprintf(&b, "%d,%s\n", i, v)
	}
	return *ofCSV(t, b.String()).Summary().Column("v")
}

func repeat(n int, v string) []string { return slices.Repeat([]string{v}, n) }

func TestTypesOfColumns(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		values []string
		typ    string
		types  map[string]int64
		mixed  *Mixed
	}{
		{"integers", []string{"1", "-2", "+3", " 4"}, "integer", map[string]int64{"integer": 4}, nil},
		{"integers and decimals", []string{"1", "2.5", ".5", "1e3"}, "number", map[string]int64{"number": 4}, nil},
		{"limits of 64 bits", []string{"9223372036854775807", "-9223372036854775808"}, "integer", map[string]int64{"integer": 2}, nil},
		{"wider than 64 bits", []string{"9223372036854775808", "1"}, "number", map[string]int64{"number": 2}, nil},
		{"booleans", []string{"true", "False", "TRUE"}, "boolean", map[string]int64{"boolean": 3}, nil},
		{"0 and 1 are integers", []string{"0", "1"}, "integer", map[string]int64{"integer": 2}, nil},
		{"dates", []string{"2024-02-29", "1999-12-31"}, "date", map[string]int64{"date": 2}, nil},
		{"no such date", []string{"2023-02-29", "2024-13-01"}, "string", map[string]int64{"string": 2}, nil},
		{"dates and timestamps", []string{"2024-02-29", "2024-02-29T10:00:00Z"}, "timestamp", map[string]int64{"timestamp": 2}, nil},
		{"times", []string{"10:00:00", "23:59:59.5"}, "time", map[string]int64{"time": 2}, nil},
		{"NaN among numbers", append(repeat(9, "1.5"), "NaN", "-inf"), "number", map[string]int64{"number": 11}, nil},
		{"NaN among names", []string{"Ann", "Nan", "inf"}, "string", map[string]int64{"string": 3}, nil},
		{"codes with leading zeros", append(repeat(99, "10115"), "01067"), "string", map[string]int64{"string": 100}, nil},
		{"fewer than 1 % leading zeros", append(repeat(199, "10115"), "01067"), "integer", map[string]int64{"integer": 200}, nil},
		{"wide codes", []string{"400638133393", "400638133394"}, "string", map[string]int64{"string": 2}, nil},
		{"epoch milliseconds", []string{"1700000000000", "1700000000001"}, "integer", map[string]int64{"integer": 2}, nil},
		{"text among numbers", append(repeat(98, "7"), "x", "y"), "integer", map[string]int64{"integer": 98, "string": 2}, &Mixed{2, MixedFirst{99, "string", "x"}}},
		{"11 % text", append(repeat(89, "7"), repeat(11, "x")...), "string", map[string]int64{"integer": 89, "string": 11}, &Mixed{11, MixedFirst{90, "string", "x"}}},
		{"numbers among text are text", append(repeat(95, "x"), repeat(5, "7")...), "string", map[string]int64{"integer": 5, "string": 95}, nil},
		{"all null", []string{"∅", "∅"}, "null", map[string]int64{"null": 2}, nil},
		{"quoted empty in numbers is null", []string{"1", "", "2"}, "integer", map[string]int64{"integer": 2, "null": 1}, nil},
		{"quoted empty in text is text", []string{"a", "", "b"}, "string", map[string]int64{"string": 3}, nil},
		{"only quoted empty", []string{"", ""}, "string", map[string]int64{"string": 2}, nil},
		{"not numbers", []string{"1_000", "0x10", "1e", "--1", "1.2.3"}, "string", map[string]int64{"string": 5}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := columnOf(t, tc.values...)
			require.Equal(t, tc.typ, c.Type)
			require.Equal(t, tc.types, c.Types)
			require.Equal(t, tc.mixed, c.Mixed)
			require.Equal(t, int64(len(tc.values)), c.Count+c.Nulls)
		})
	}
}

func TestStatisticsOfNumbers(t *testing.T) {
	t.Parallel()
	c := columnOf(t, "1", "2", "3", "4", "100", "∅", "0", "-5", "2", "2.0")
	require.Equal(t, Estimate{Value: 7, Exact: true}, c.Distinct)
	require.Equal(t, "-5", c.Min.String())
	require.Equal(t, "100", c.Max.String())
	require.Equal(t, "109", c.Sum.String())
	mean, _ := c.Mean.Float()
	require.InDelta(t, 109.0/9, mean, 1e-12)
	sd, _ := c.StdDev.Float()
	require.InDelta(t, 33.05844991996919, sd, 1e-12)
	require.Equal(t, int64(1), *c.Zeros)
	require.Equal(t, int64(1), *c.Negatives)
	require.Equal(t, TopValue{Value: "2", Count: 3}, c.Top[0])
	require.Equal(t, "2", c.Quantiles.P50.String())
	require.Nil(t, c.Length)
	require.Nil(t, c.Blank)
}

func TestLargeIntegersStayExact(t *testing.T) {
	t.Parallel()
	c := columnOf(t, "9007199254740993", "9223372036854775807", "9223372036854775807")
	require.Equal(t, "9007199254740993", c.Min.String())
	require.Equal(t, "9223372036854775807", c.Max.String())
	require.Equal(t, "18455751272964292607", c.Sum.String())
	b, err := json.Marshal(c.Sum)
	require.NoError(t, err)
	require.Equal(t, "18455751272964292607", string(b))
}

func TestStatisticsOfTexts(t *testing.T) {
	t.Parallel()
	c := columnOf(t, "äö", "", "  ", "b\xff", "zebra", "∅")
	require.Equal(t, &Length{Min: 0, Max: 5, Mean: 11.0 / 5}, c.Length)
	require.Equal(t, int64(2), *c.Blank)
	require.Equal(t, int64(2), *c.NonASCII)
	require.Equal(t, int64(1), c.InvalidUTF8)
	require.Empty(t, c.Min.String())
	require.Equal(t, "äö", c.Max.String())
	require.Equal(t, Estimate{Value: 5, Exact: true}, c.Distinct)
	require.Contains(t, c.Top, TopValue{Value: "b\uFFFD", Count: 1})
}

func TestStatisticsOfTimes(t *testing.T) {
	t.Parallel()
	c := columnOf(t, "2026-01-01T00:00:00+02:00", "2026-01-03 00:00:00.000000001", "2026-01-02")
	require.Equal(t, "timestamp", c.Type)
	require.Equal(t, "2025-12-31T22:00:00Z", c.Min.String())
	require.Equal(t, "2026-01-03T00:00:00.000000001Z", c.Max.String())
	require.Equal(t, "2026-01-02T00:00:00Z", c.Quantiles.P50.String())
	d := columnOf(t, "2026-01-01", "2026-01-02")
	require.Equal(t, "2026-01-01", d.Min.String())
	require.Equal(t, "2026-01-01T12:00:00", d.Mean.String())
}

func TestDuplicateRows(t *testing.T) {
	t.Parallel()
	require.Equal(t, Estimate{Value: 2, Exact: true}, ofCSV(t, "a,b\n1,2\n2,1\n1,2\n1,2\n").Summary().Duplicates)
	require.Equal(t, Estimate{Value: 0, Exact: true}, ofCSV(t, "a,b\nx,\n,x\n").Summary().Duplicates)
}

// table makes a CSV of n rows with columns of all sorts.
func table(seed uint64, n int) string {
	rng := rand.New(rand.NewPCG(seed, 9))
	var b strings.Builder
	b.WriteString("id,amount,zone,day,mixed,text,flag,sparse\n")
	for i := range n {
		mixed := strconv.Itoa(rng.IntN(100))
		if rng.IntN(40) == 0 {
			mixed = "n/a"
		}
		sparse := ""
		if rng.IntN(10) == 0 {
			sparse = strconv.Itoa(rng.IntN(5))
		}
		fmt.Fprintf(&b, "%d,%.2f,zone-%d,2026-%02d-%02dT10:%02d:00Z,%s,%x,%t,%s\n", i*7919%n, math.Exp(rng.NormFloat64()*2),
			rng.IntN(12), 1+rng.IntN(12), 1+rng.IntN(28), rng.IntN(60), mixed, rng.Uint64(), rng.IntN(3) == 0, sparse)
	}
	return b.String()
}

func TestAgainstNaiveStatistics(t *testing.T) {
	t.Parallel()
	const n = 20_000
	text := table(1, n)
	s := ofCSV(t, text).Summary()
	var amounts []float64
	zones := map[string]int64{}
	for _, line := range strings.Split(strings.TrimSpace(text), "\n")[1:] {
		f := strings.Split(line, ",")
		a, err := strconv.ParseFloat(f[1], 64)
		require.NoError(t, err)
		amounts = append(amounts, a)
		zones[f[2]]++
	}
	slices.Sort(amounts)
	sum, sq := 0.0, 0.0
	for _, a := range amounts {
		sum += a
	}
	for _, a := range amounts {
		sq += (a - sum/n) * (a - sum/n)
	}
	c := s.Column("amount")
	near := func(want float64, got Scalar) {
		t.Helper()
		f, ok := got.Float()
		require.True(t, ok)
		require.InEpsilon(t, want, f, 1e-9)
	}
	near(sum, c.Sum)
	near(sum/n, c.Mean)
	near(math.Sqrt(sq/(n-1)), c.StdDev)
	for q, got := range map[float64]Scalar{0.01: c.Quantiles.P01, 0.5: c.Quantiles.P50, 0.99: c.Quantiles.P99} {
		h := q * (n - 1)
		lo := int(h)
		near(amounts[lo]+(h-float64(lo))*(amounts[lo+1]-amounts[lo]), got)
	}
	require.True(t, c.Quantiles.Exact)
	require.Equal(t, int64(len(slices.Compact(amounts))), c.Distinct.Value)
	z := s.Column("zone")
	require.Equal(t, int64(len(zones)), z.Distinct.Value)
	require.Equal(t, zones[z.Top[0].Value], z.Top[0].Count)
	var inBins int64
	for _, k := range c.Histogram.Counts {
		inBins += k
	}
	require.Equal(t, int64(n), inBins)
}

func lines(text string) (header string, rows []string) {
	all := strings.SplitAfter(text, "\n")
	return all[0], all[1 : len(all)-1]
}

// TestMergeIsTheWhole splits tables anywhere, in small and in large sizes, and
// compares the merged profile with that of the whole, also through the saved
// form.
func TestMergeIsTheWhole(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 100, 5_000, 90_000} {
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			t.Parallel()
			text := table(uint64(n), n)
			whole := ofCSV(t, text).Summary()
			header, rows := lines(text)
			rng := rand.New(rand.NewPCG(uint64(n), 3))
			cut1, cut2 := rng.IntN(n+1), rng.IntN(n+1)
			cut1, cut2 = min(cut1, cut2), max(cut1, cut2)
			parts := []*Profile{}
			for _, r := range [][]string{rows[cut2:], rows[:cut1], rows[cut1:cut2], nil} {
				b, err := ofCSV(t, header+strings.Join(r, "")).Encode()
				require.NoError(t, err)
				p, err := Decode(b)
				require.NoError(t, err)
				parts = append(parts, p)
			}
			m, err := Merged(parts...)
			require.NoError(t, err)
			requireSame(t, whole, m.Summary())
			back, err := Merged(parts[3], parts[2], parts[0], parts[1])
			require.NoError(t, err)
			requireSame(t, whole, back.Summary())
		})
	}
}

// requireSame compares what must be equal exactly, and the rest within bounds.
func requireSame(t *testing.T, want, got *Summary) {
	t.Helper()
	require.Equal(t, want.Rows, got.Rows)
	require.Equal(t, want.Duplicates, got.Duplicates)
	require.Len(t, got.Columns, len(want.Columns))
	for i := range want.Columns {
		w, g := want.Columns[i], got.Columns[i]
		w.Mixed, g.Mixed = nil, nil   // rows are counted within a part
		w.Sorted, g.Sorted = nil, nil // depends on the order of the parts
		if !w.Distinct.Exact {
			if w.Quantiles != nil {
				requireQuantiles(t, &w, &g)
			}
			w.Quantiles, g.Quantiles, w.Histogram, g.Histogram, w.Top, g.Top = nil, nil, nil, nil, nil, nil
			requireShape(t, &w, &g)
		}
		for _, p := range []struct{ w, g *Scalar }{{&w.Mean, &g.Mean}, {&w.StdDev, &g.StdDev}, {&w.Skewness, &g.Skewness}, {&w.Kurtosis, &g.Kurtosis}, {&w.Sum, &g.Sum}} {
			if f, ok := p.w.Float(); ok && p.w.kind == scalarFloat {
				have, _ := p.g.Float()
				require.InDelta(t, f, have, 1e-9*math.Max(1, math.Abs(f)), w.Name)
				*p.g = *p.w
			}
		}
		require.Equal(t, w, g)
	}
}

// requireShape compares entropy and masks within their bounds, and takes them
// from both.
func requireShape(t *testing.T, w, g *Column) {
	t.Helper()
	require.Equal(t, w.Entropy == nil, g.Entropy == nil)
	if w.Entropy != nil {
		require.LessOrEqual(t, w.Entropy.Low, g.Entropy.High)
		require.LessOrEqual(t, g.Entropy.Low, w.Entropy.High)
	}
	require.Equal(t, w.Masks == nil, g.Masks == nil)
	for i := range min(len(w.Masks), len(g.Masks), 1) {
		a, b := w.Masks[i], g.Masks[i]
		require.Equal(t, a.Mask, b.Mask)
		require.InDelta(t, a.Count, b.Count, float64(a.Error+b.Error))
	}
	w.Entropy, g.Entropy, w.Masks, g.Masks = nil, nil, nil, nil
}

func requireQuantiles(t *testing.T, w, g *Column) {
	t.Helper()
	require.Equal(t, w.Quantiles.Exact, g.Quantiles.Exact)
	lo, ok1 := w.Quantiles.P25.Float()
	hi, ok2 := w.Quantiles.P75.Float()
	mid, _ := g.Quantiles.P50.Float()
	if ok1 && ok2 {
		require.True(t, lo <= mid && mid <= hi)
	}
}

func TestMergeWithEmptyIsNeutral(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 3, 70_000} {
		p := ofCSV(t, table(7, n))
		before, err := p.Encode()
		require.NoError(t, err)
		m, err := Merged(p, empty())
		require.NoError(t, err)
		m.Source = p.Source
		after, err := m.Encode()
		require.NoError(t, err)
		require.Equal(t, before, after)
	}
}

func TestMergeOfOtherColumnsAndTypes(t *testing.T) {
	t.Parallel()
	a := ofCSV(t, "x,y\n1,a\n2,b\n")
	b := ofCSV(t, "y,z\nc,5\n7,6\n8,6\n")
	require.NoError(t, a.Merge(b))
	s := a.Summary()
	require.Equal(t, int64(5), s.Rows)
	require.Equal(t, int64(3), s.Column("x").Nulls)
	require.Equal(t, int64(2), s.Column("z").Nulls)
	require.Equal(t, "string", s.Column("y").Type)
	require.Equal(t, map[string]int64{"string": 3, "integer": 2}, s.Column("y").Types)
	c := ofCSV(t, "x\n1\n")
	c.Dataset = "other/set"
	require.ErrorIs(t, a.Merge(c), ErrMismatch)
}

func TestSketchesStayInsideTheirBounds(t *testing.T) {
	t.Parallel()
	const n = 200_000
	p := ofCSV(t, table(3, n))
	s := p.Summary()
	id := s.Column("id")
	require.False(t, id.Distinct.Exact)
	require.InDelta(t, n, id.Distinct.Value, float64(id.Distinct.Error))
	require.LessOrEqual(t, id.Distinct.Value, id.Count)
	q, _ := id.Quantiles.P25.Float()
	require.InDelta(t, n/4, q, id.Quantiles.Error*n)
	require.True(t, s.Column("zone").Distinct.Exact)
	require.Equal(t, "0", id.Min.String())
	require.Equal(t, strconv.Itoa(n-1), id.Max.String())
	require.Equal(t, strconv.Itoa(n*(n-1)/2), id.Sum.String())
	require.Empty(t, s.Column("text").Top, "values that occur once are not frequent")
	require.Equal(t, int64(0), s.Duplicates.Value)
}

// TestExactnessEndsWhereItIsStated: everything up to 65,536 rows, and up to
// 16,384 distinct values beyond.
func TestExactnessEndsWhereItIsStated(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		rows, distinct int
		exact          bool
	}{{65_536, 65_536, true}, {65_537, 65_537, false}, {70_000, 16_384, true}, {70_000, 16_385, false}} {
		var b strings.Builder
		b.WriteString("v\n")
		for i := range tc.rows {
			fmt.Fprintf(&b, "x%d\n", i%tc.distinct)
		}
		d := ofCSV(t, b.String()).Summary().Columns[0].Distinct
		require.Equal(t, tc.exact, d.Exact, "%v", tc)
		require.Equal(t, tc.exact, d.Error == 0, "%v", tc)
		require.InDelta(t, tc.distinct, d.Value, float64(d.Error), "%v", tc)
	}
}

func TestDecodeRefusesDamage(t *testing.T) {
	t.Parallel()
	for _, n := range []int{5, 70_000} {
		good, err := ofCSV(t, table(2, n)).Encode()
		require.NoError(t, err)
		_, err = Decode(good)
		require.NoError(t, err)
		step := max(1, len(good)/200)
		for i := 0; i < len(good); i += step {
			_, err := Decode(good[:i])
			require.ErrorIs(t, err, ErrFormat, "cut at %d", i)
		}
		newer := slices.Clone(good)
		newer[4] = majorVersion + 1
		_, err = Decode(newer)
		require.ErrorContains(t, err, "version 2")
	}
}

func FuzzDecode(f *testing.F) {
	small, err := ofCSV(f, table(2, 5)).Encode()
	require.NoError(f, err)
	for _, b := range [][]byte{small, {}, []byte(magic), small[:20]} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Decode(b)
		if err != nil {
			return
		}
		p.Summary()
		again, err := p.Encode()
		require.NoError(t, err)
		q, err := Decode(again)
		require.NoError(t, err)
		require.NoError(t, q.Merge(p))
	})
}

// FuzzColumnPart feeds the parts of a column past their checksums.
func FuzzColumnPart(f *testing.F) {
	large := ofCSV(f, table(2, 70_000))
	for _, c := range append(ofCSV(f, table(2, 5)).columns, large.columns[0], large.columns[3], large.columns[5]) {
		var w writer
		w.column(c)
		r := &reader{b: w.b}
		for len(r.b) > 0 {
			if tag, part := r.section(); len(part.b) < 2_000 {
				f.Add(tag, part.b)
			}
		}
	}
	f.Fuzz(func(t *testing.T, tag uint64, b []byte) {
		r, c := &reader{b: b}, &column{}
		r.columnPart(tag, c)
		if r.err != nil || (c.dict == nil && c.sk == nil) {
			return
		}
		c.summarize()
	})
}

func BenchmarkAdd(b *testing.B) {
	for _, n := range []int{50_000, 300_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			text := table(5, n)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				ofCSV(b, text)
			}
		})
	}
}

// TestRowsThatSwapNamesDiffer has values that are the names of their columns.
func TestRowsThatSwapNamesDiffer(t *testing.T) {
	t.Parallel()
	p := ofCSV(t, "a,b\na,\n,b\na,\n")
	require.Equal(t, int64(1), p.Summary().Duplicates.Value, "the first row comes twice")
}
