package anomaly_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/anomaly"
	"github.com/profilerhq/profiler/internal/monitor"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/source/csv"
)

var start = time.Date(2026, 1, 5, 6, 0, 0, 0, time.UTC)

func dayOf(i int) time.Time { return start.AddDate(0, 0, i) }

// profileOf profiles a CSV.
func profileOf(t testing.TB, data string) *profile.Profile {
	t.Helper()
	r, err := csv.New(strings.NewReader(data), csv.Options{Source: "in.csv"})
	require.NoError(t, err)
	o, err := monitor.New(monitor.Options{}).Observe(t.Context(), r, monitor.Subject{Dataset: "a/b", Source: profile.Source{Format: "csv"}})
	require.NoError(t, err)
	return o.Profile
}

// shop writes the orders of a day. Its fields are what can go wrong.
type shop struct {
	rows     int     // 0 is about 400, fewer on Sundays
	nulls    float64 // share of amounts
	unit     float64 // factor of amounts; 0 is 1
	country  string  // replaces all countries
	twice    bool    // every row twice
	old      bool    // times of the day before last
	noColumn bool
	text     float64 // share of amounts that are words
}

func (s shop) csv(day int) string {
	r := rand.New(rand.NewPCG(uint64(day), 7))
	n := s.rows
	if n == 0 {
		n = 400 + r.IntN(40)
		if day%7 == 6 {
			n /= 2
		}
	}
	unit := s.unit
	if unit == 0 {
		unit = 1
	}
	at := dayOf(day)
	if s.old {
		at = at.AddDate(0, 0, -2)
	}
	var b strings.Builder
	b.WriteString("id,country,qty,at")
	if !s.noColumn {
		b.WriteString(",amount")
	}
	b.WriteByte('\n')
	for i := range n {
		country := []string{"DE", "DE", "DE", "FR", "FR", "NL", "ES"}[r.IntN(7)]
		if s.country != "" {
			country = s.country
		}
		when := at.Add(-time.Duration(r.IntN(86_400)) * time.Second)
		amount := fmt.Sprintf("%.2f", unit*math.Exp(3+0.8*r.NormFloat64()))
		switch p := r.Float64(); {
		case p < s.nulls:
			amount = ""
		case p < s.nulls+s.text:
			amount = "n/a"
		}
		line := fmt.Sprintf("%d,%s,%d,%s", 100_000+day*1_000+i, country, 1+r.IntN(5), when.Format(time.RFC3339))
		if !s.noColumn {
			line += "," + amount
		}
		b.WriteString(line + "\n")
		if s.twice {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}

var normal = anomaly.Options{Preset: anomaly.Normal}

func (s shop) features(t testing.TB, day int) *anomaly.Features {
	return anomaly.Extract(profileOf(t, s.csv(day)), dayOf(day))
}

// learned returns the state after so many healthy days.
func learned(t testing.TB, days int) *anomaly.State {
	t.Helper()
	s := anomaly.NewState()
	for i := range days {
		f := shop{}.features(t, i)
		d := s.Judge(f, normal)
		require.NotEqual(t, anomaly.Fail, d.Status, "day %d: %+v", i, d.Evidence)
		s.Add(fmt.Sprint(i), f, normal, d, anomaly.NoLabel)
	}
	return s
}

func TestFaultsAreFound(t *testing.T) {
	t.Parallel()
	s := learned(t, 40)
	before, err := s.Encode()
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		shop
		lane                  int
		column, metric, shape string
	}{
		"rows gone":      {shop: shop{rows: 40}, lane: 1, metric: "row_count", shape: "volume"},
		"nulls":          {shop: shop{nulls: 0.3}, lane: 1, column: "amount", metric: "null_rate", shape: "null"},
		"cents":          {shop: shop{unit: 100}, lane: 2, column: "amount", shape: "unit"},
		"one country":    {shop: shop{country: "XX"}, lane: 2, column: "country", shape: "category"},
		"loaded twice":   {shop: shop{twice: true}, lane: 1},
		"column gone":    {shop: shop{noColumn: true}, lane: 0, column: "amount", metric: "column", shape: "schema"},
		"words":          {shop: shop{text: 0.05}, lane: 1, column: "amount", metric: "unparsable_rate", shape: "type"},
		"words all over": {shop: shop{text: 1}, lane: 0, column: "amount", metric: "type", shape: "type"},
		"yesterday's":    {shop: shop{old: true}, lane: 2, column: "at", shape: "stale"},
		"nothing at all": {shop: shop{rows: -1}, lane: 0, metric: "row_count", shape: "volume"},
	} {
		t.Run(name, func(t *testing.T) {
			d := s.Judge(tc.features(t, 40), normal)
			require.Equal(t, anomaly.Fail, d.Status, "G %.2f D %.2f Q %.2f K %.2f V %.2f: %+v", d.G, d.D, d.Q, d.K, d.V, d.Evidence)
			require.Equal(t, tc.lane, d.Lane, "%+v", d.Evidence)
			require.NotEmpty(t, d.Evidence)
			e := d.Evidence[0]
			if tc.shape != "" {
				require.Equal(t, tc.shape, e.Shape, "%+v", d.Evidence)
				require.Equal(t, tc.column, e.Column, "%+v", d.Evidence)
			}
			require.Equal(t, tc.old, e.Unit == anomaly.Age, "%+v", e)
			if tc.metric != "" {
				require.Equal(t, tc.metric, e.Metric)
			}
		})
	}
	after, err := s.Encode()
	require.NoError(t, err)
	require.Equal(t, before, after, "judging changes nothing")
}

func TestCodec(t *testing.T) {
	t.Parallel()
	s := learned(t, 20)
	f := shop{unit: 100}.features(t, 20)
	s.Add("20", f, normal, s.Judge(f, normal), anomaly.NoLabel)
	a, err := s.Encode()
	require.NoError(t, err)
	back, err := anomaly.Decode(a)
	require.NoError(t, err)
	for _, other := range []*anomaly.State{back, s.Clone()} {
		b, err := other.Encode()
		require.NoError(t, err)
		require.Equal(t, a, b)
		next := shop{}.features(t, 21)
		require.Equal(t, s.Judge(next, normal), other.Judge(next, normal))
	}
	fb, err := f.Encode()
	require.NoError(t, err)
	g, err := anomaly.DecodeFeatures(fb)
	require.NoError(t, err)
	require.Equal(t, f, g)
	for i := range a {
		_, err := anomaly.Decode(a[:i])
		require.ErrorIs(t, err, anomaly.ErrFormat)
	}
}

func BenchmarkJudge(b *testing.B) {
	s, f := wide(b, 50, 90)
	b.ReportAllocs()
	for b.Loop() {
		s.Judge(f, normal)
	}
}

func BenchmarkAdd(b *testing.B) {
	s, f := wide(b, 50, 90)
	d := s.Judge(f, normal)
	for b.Loop() {
		s.Add("x", f, normal, d, anomaly.LabelFine)
	}
}

func BenchmarkExtract(b *testing.B) {
	p := profileOf(b, table(50, 1))
	p.Summary()
	for b.Loop() {
		anomaly.Extract(p, dayOf(1))
	}
}

func BenchmarkDecode(b *testing.B) {
	s, _ := wide(b, 50, 90)
	data, err := s.Encode()
	require.NoError(b, err)
	b.ReportMetric(float64(len(data)), "bytes")
	for b.Loop() {
		if _, err := anomaly.Decode(data); err != nil {
			b.Fatal(err)
		}
	}
}

func wide(t testing.TB, columns, batches int) (*anomaly.State, *anomaly.Features) {
	s := anomaly.NewState()
	for i := range batches {
		f := anomaly.Extract(profileOf(t, table(columns, i)), dayOf(i))
		s.Add(fmt.Sprint(i), f, normal, s.Judge(f, normal), anomaly.LabelFine)
	}
	return s, anomaly.Extract(profileOf(t, table(columns, batches)), dayOf(batches))
}

// table writes a day of a table of numbers and words.
func table(columns, day int) string {
	r := rand.New(rand.NewPCG(uint64(day), 11))
	var b strings.Builder
	for c := range columns {
		fmt.Fprintf(&b, "c%d,", c)
	}
	b.WriteString("id\n")
	for i := range 200 {
		for c := range columns {
			if c%4 == 3 {
				fmt.Fprintf(&b, "v%d,", r.IntN(10))
			} else {
				fmt.Fprintf(&b, "%.2f,", 100+10*r.NormFloat64())
			}
		}
		fmt.Fprintf(&b, "%d\n", day*1000+i)
	}
	return b.String()
}
