package store_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/dbtest"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/store"
)

// thousand returns 1,000 batches of 20 columns and 1,000 rows; ten different
// profiles take turns.
func thousand(b *testing.B) []store.Observation {
	b.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	profiles := make([]*profile.Profile, 10)
	for i := range profiles {
		var t strings.Builder
		for c := range 20 {
			fmt.Fprintf(&t, "c%d,", c)
		}
		t.WriteString("end\n")
		for range 1000 {
			for c := range 20 {
				if c%4 == 3 {
					fmt.Fprintf(&t, "zone %d,", rng.IntN(50))
				} else {
					fmt.Fprintf(&t, "%.2f,", rng.NormFloat64()*100)
				}
			}
			t.WriteString("1\n")
		}
		profiles[i] = ofCSV(b, dataset, t.String())
	}
	all := make([]store.Observation, 1000)
	for i := range all {
		all[i] = store.Observation{Profile: profiles[i%len(profiles)], Report: checks.Report{
			Version: 1, Dataset: dataset, Batch: fmt.Sprint(i), At: start.Add(time.Duration(i) * time.Hour),
			Results: []checks.Result{{ID: "a", Status: checks.Pass}, {ID: "b", Status: checks.Pass}},
		}}
	}
	return all
}

func eachBench(b *testing.B, bench func(b *testing.B, url func() string)) {
	b.Run("sqlite", func(b *testing.B) { bench(b, func() string { return dbtest.SQLite(b) }) })
	b.Run("postgres", func(b *testing.B) { bench(b, func() string { return dbtest.Postgres(b) }) })
}

func BenchmarkImport1000Batches(b *testing.B) {
	all := thousand(b)
	eachBench(b, func(b *testing.B, url func() string) {
		for b.Loop() {
			b.StopTimer()
			s := open(b, url(), store.Options{})
			b.StartTimer()
			require.NoError(b, s.RecordAll(b.Context(), all))
		}
		b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds(), "batches/s")
	})
}

func BenchmarkHistory(b *testing.B) {
	all := thousand(b)
	eachBench(b, func(b *testing.B, url func() string) {
		s := open(b, url(), store.Options{})
		require.NoError(b, s.RecordAll(b.Context(), all))
		end := start.AddDate(10, 0, 0)
		b.Run("last90points", func(b *testing.B) {
			for b.Loop() {
				points, err := s.Series(b.Context(), dataset, "c7", "distinct", end, 90)
				require.NoError(b, err)
				require.Len(b, points, 90)
			}
		})
		b.Run("last28profiles", func(b *testing.B) {
			for b.Loop() {
				profiles, err := s.Profiles(b.Context(), store.Query{Dataset: dataset, Before: end, Limit: 28})
				require.NoError(b, err)
				require.Len(b, profiles, 28)
			}
		})
		b.Run("record", func(b *testing.B) {
			n := 0
			for b.Loop() {
				o := all[n%len(all)]
				n++
				o.Report.Batch, o.Report.At = fmt.Sprint("new", n), end.Add(time.Duration(n)*time.Second)
				_, err := s.Record(b.Context(), o, func(store.IncidentState) store.IncidentChange { return store.IncidentChange{} })
				require.NoError(b, err)
			}
		})
	})
}
