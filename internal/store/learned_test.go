package store_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
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
	return lessonAt(t, s, day, rows, time.Date(2026, 1, 1+day, 0, 0, 0, 0, time.UTC))
}

// lessonAt is a lesson of another time.
func lessonAt(t *testing.T, s *store.Store, day, rows int, at time.Time) store.Observation {
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

// Batches that come near their place are learned again from a base, and it is the
// same as all of them learned again.
func TestLearningFromABase(t *testing.T) {
	t.Parallel()
	const days = 100
	rowsOf := func(day int) int {
		switch {
		case day%40 == 33:
			return 5 // held out
		case day >= 60:
			return 300 + day%5 // held out until it is the new level
		}
		return 100 + day%5
	}
	type arrival struct{ day, rows, early int } // early: so many days before its time
	for seed := range uint64(2) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			s, err := store.Open(t.Context(), "sqlite::memory:", store.Options{})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, s.Close()) })
			r := rand.New(rand.NewPCG(seed, 7))
			var all []arrival
			for day := range days {
				all = append(all, arrival{day: day, rows: rowsOf(day)})
			}
			for i := range all { // near their place
				j := min(len(all)-1, i+r.IntN(6))
				all[i], all[j] = all[j], all[i]
			}
			for i := 5; i < len(all)-20; i += 5 { // wrong at first, and in some cases of an earlier time
				a := all[i]
				all[i] = arrival{a.day, 100 + r.IntN(2)*200, r.IntN(2) * r.IntN(30)}
				all = slices.Insert(all, i+6+r.IntN(10), a)
			}
			far := 1 + r.IntN(30)
			all = append(append(all[:far:far], all[far+1:]...), all[far]) // and one much too late
			bases := map[int64]bool{}
			for i, a := range all {
				at := time.Date(2026, 1, 1+a.day-a.day%2-a.early, 0, 0, 0, 0, time.UTC) // two at a time
				_, err := s.Record(t.Context(), lessonAt(t, s, a.day, a.rows, at), nil)
				require.NoError(t, err)
				var found []int64
				require.NoError(t, s.DB().Select(t.Context(), &found, "SELECT base_us FROM learned WHERE base IS NOT NULL"))
				for _, us := range found {
					bases[us] = true
				}
				if i >= 60 && i%15 == 0 || i == len(all)-1 {
					got, held := learnedOf(t, s)
					name := fmt.Sprintf("day %d", a.day)
					require.NoError(t, s.SetLabel(t.Context(), "a/b", name, store.LabelReal, "ann"))
					require.NoError(t, s.SetLabel(t.Context(), "a/b", name, "", "ann"))
					want, heldToo := learnedOf(t, s)
					require.Equal(t, want, got, "batch %d", i)
					require.Equal(t, heldToo, held, "batch %d", i)
				}
			}
			require.Greater(t, len(bases), 2)
		})
	}
}

// A batch that comes late can end the run of pages by which a new level was
// accepted; the batches of that run are held out again, also those before the base.
func TestLateBatchHoldsOutWhatIsBeforeTheBase(t *testing.T) {
	t.Parallel()
	s, err := store.Open(t.Context(), "sqlite::memory:", store.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	record := func(number, rows int, at time.Duration) {
		_, err := s.Record(t.Context(), lessonAt(t, s, number, rows, begin.Add(at)), nil)
		require.NoError(t, err)
	}
	const day, level = 24 * time.Hour, 43 // the base stands at day 44
	for i := range 60 {
		rows := 100 + i%5
		if i >= level {
			rows = 300 + i%5
		}
		record(i, rows, time.Duration(i)*day)
	}
	_, before := learnedOf(t, s)
	record(100, 301, 58*day+time.Hour) // makes the base
	record(101, 101, 44*day+time.Hour) // in the middle of the run
	got, held := learnedOf(t, s)
	require.NotEqual(t, before, held)
	require.NoError(t, s.SetLabel(t.Context(), "a/b", "day 59", store.LabelReal, "ann"))
	require.NoError(t, s.SetLabel(t.Context(), "a/b", "day 59", "", "ann"))
	want, heldToo := learnedOf(t, s)
	require.Equal(t, want, got)
	require.Equal(t, heldToo, held)
	require.Equal(t, []string{"day 44", "day 43"}, held)
}
