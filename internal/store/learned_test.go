package store_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/anomaly"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/dbtest"
	"github.com/profilerhq/profiler/internal/monitor"
	"github.com/profilerhq/profiler/internal/source/csv"
	"github.com/profilerhq/profiler/internal/store"
)

// lesson is an observation of a day, judged by what the store has learned.
func lesson(t *testing.T, s *store.Store, day, rows int) store.Observation {
	t.Helper()
	r := rand.New(rand.NewPCG(uint64(day), 1))
	var b strings.Builder
	b.WriteString("id,amount,zone\n")
	for i := range rows {
		fmt.Fprintf(&b, "%d,%.2f,z%d\n", day*1000+i, 20+5*r.NormFloat64(), r.IntN(4))
	}
	reader, err := csv.New(strings.NewReader(b.String()), csv.Options{Source: "in.csv"})
	require.NoError(t, err)
	o, err := monitor.New(monitor.Options{}).Observe(t.Context(), reader, monitor.Subject{Dataset: "a/b"})
	require.NoError(t, err)
	o.Profile.ProfiledAt = time.Time{}
	at := time.Date(2026, 1, 1+day, 0, 0, 0, 0, time.UTC)
	name := fmt.Sprintf("day %d", day)
	state, version, err := s.Learned(t.Context(), "a/b", name, at)
	require.NoError(t, err)
	l := &store.Learning{Features: anomaly.Extract(o.Profile, at), Options: anomaly.Options{Preset: anomaly.Normal}, Before: state, Version: version}
	l.Decision = state.Judge(l.Features, l.Options)
	return store.Observation{
		Profile: o.Profile, Learning: l,
		Report: checks.Report{Version: 1, Dataset: "a/b", Batch: name, At: at, Rows: int64(rows)},
	}
}

// learnedOf returns the bytes of what a store has learned, and which batches are
// no baseline.
func learnedOf(t *testing.T, s *store.Store) (state []byte, held []string) {
	t.Helper()
	st, _, err := s.Learned(t.Context(), "a/b", "", time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC))
	require.NoError(t, err)
	state, err = st.Encode()
	require.NoError(t, err)
	all, err := s.Batches(t.Context(), store.Query{Dataset: "a/b", All: true})
	require.NoError(t, err)
	for _, b := range all {
		if !b.Accepted && b.SupersededAt.IsZero() {
			held = append(held, b.Batch)
		}
	}
	return state, held
}

// In whatever order batches come, also twice, what is learned are the same
// bytes; and so it is after an answer that is taken back.
func TestLearningDoesNotDependOnTheOrder(t *testing.T) {
	t.Parallel()
	rowsOf := func(day int) int {
		if day == 17 {
			return 5 // what pages is held out
		}
		return 100 + day%5
	}
	record := func(t *testing.T, s *store.Store, day, rows int) {
		_, err := s.Record(t.Context(), lesson(t, s, day, rows), nil)
		require.NoError(t, err)
	}
	dbtest.Each(t, func(t *testing.T, url string) {
		s, err := store.Open(t.Context(), url, store.Options{})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		for day := range 20 {
			record(t, s, day, rowsOf(day))
		}
		want, held := learnedOf(t, s)
		require.Equal(t, []string{"day 17"}, held)

		shuffled, err := store.Open(t.Context(), "sqlite:"+t.TempDir()+"/shuffled.db", store.Options{})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, shuffled.Close()) })
		record(t, shuffled, 3, 7) // it comes again, whole
		for _, day := range rand.New(rand.NewPCG(1, 2)).Perm(20) {
			record(t, shuffled, day, rowsOf(day))
		}
		got, heldToo := learnedOf(t, shuffled)
		require.Equal(t, want, got)
		require.Equal(t, held, heldToo)

		// Features and states of another version are taken from the profiles again.
		for _, table := range []string{"feature", "learned"} {
			_, err := shuffled.DB().Exec(t.Context(), "UPDATE "+table+" SET data = ?", []byte("ANOX\x00"))
			require.NoError(t, err)
		}
		got, _ = learnedOf(t, shuffled)
		require.Equal(t, want, got)

		require.NoError(t, s.SetLabel(t.Context(), "a/b", "day 17", store.LabelFine, "ann"))
		answered, held := learnedOf(t, s)
		require.NotEqual(t, want, answered)
		require.NotContains(t, held, "day 17")
		require.NoError(t, s.SetLabel(t.Context(), "a/b", "day 17", "", "ann"))
		back, held := learnedOf(t, s)
		require.Equal(t, want, back)
		require.Equal(t, []string{"day 17"}, held)
	})
}
