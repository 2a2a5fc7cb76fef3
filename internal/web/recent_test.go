package web_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/monitor"
	"github.com/profilerhq/profiler/internal/store"
	"github.com/profilerhq/profiler/internal/web"
	"github.com/profilerhq/profiler/internal/web/webtest"
)

// list is a history of the batches in a slice, newest first; it counts what it
// hands out.
type list struct {
	web.History
	all  []store.Batch
	read int
}

func (l *list) Batches(_ context.Context, q store.Query) ([]store.Batch, error) {
	var out []store.Batch
	for _, b := range l.all {
		if (b.Side == store.SideInput) == q.Input {
			out = append(out, b)
		}
	}
	out = out[:min(len(out), q.Limit)]
	l.read += len(out)
	return slices.Clone(out), nil
}

func TestRecentPassesOverWhatIsSuperseded(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 2, 3, 7, 40} {
		for _, every := range []int{1, 2, 5, 100} { // every so many-th one counts
			l := &list{}
			var want []string
			for i := range n {
				b := store.Batch{Batch: fmt.Sprint(i)}
				if i%every != every-1 {
					b.SupersededAt = webtest.Now
				} else {
					want = append(want, b.Batch)
				}
				l.all = append(l.all, b)
			}
			for _, skip := range []int{0, 1, 3, 50} {
				for _, size := range []int{1, 2, 10} {
					got, more, err := web.Recent(t.Context(), l, store.Query{}, skip, size)
					require.NoError(t, err)
					var names []string
					for _, b := range got {
						names = append(names, b.Batch)
					}
					from := min(skip, len(want))
					require.Equal(t, append([]string{}, want[from:min(from+size, len(want))]...), append([]string{}, names...), "n %d every %d skip %d size %d", n, every, skip, size)
					require.Equal(t, len(want) > skip+size, more)
				}
			}
		}
	}
}

// longHistory is a dataset of so many batches, the last hundred with profiles.
func longHistory(t testing.TB, n int) *store.Store {
	s := newStore(t)
	var all []store.Observation
	for i := range n {
		r := checks.Report{Version: 1, Dataset: "long/history", Batch: fmt.Sprintf("b%05d", i), At: webtest.Now.Add(time.Duration(i-n-200) * time.Hour), Rows: int64(1000 + i%90)}
		r.Results = []checks.Result{{ID: "parsable", Message: "all records are well-formed"}}
		all = append(all, store.Observation{Report: r})
	}
	require.NoError(t, s.RecordAll(context.Background(), all))
	text := "a,b,c,d,e\n"
	for i := range 500 {
		text += fmt.Sprintf("%d,%d.5,text %d,2026-01-%02d,%t\n", i, i*3, i%50, 1+i%28, i%3 == 0)
	}
	for i := range 100 {
		subject := monitor.Subject{Dataset: "long/history", Batch: fmt.Sprintf("c%03d", i), At: webtest.Now.Add(time.Duration(i-100) * time.Hour)}
		require.NoError(t, webtest.Record(context.Background(), s, subject, text, "i"))
	}
	return s
}

func TestAPageOfTenThousandBatchesReadsOnlyWhatItShows(t *testing.T) {
	t.Parallel()
	s := longHistory(t, 10_000)
	counting := &counter{Store: s}
	p := newPages(t, counting)
	for _, path := range []string{"/datasets/long/history", "/datasets/long/history/batches/b00005", "/"} {
		counting.read = 0
		require.Equal(t, http.StatusOK, get(t, p, path).Code)
		require.LessOrEqual(t, counting.read, 100, path)
	}
	w := get(t, p, "/datasets/long/history?page=336")
	require.Equal(t, http.StatusOK, w.Code)
	require.Contains(t, w.Body.String(), "b00049")
	require.Equal(t, http.StatusNotFound, get(t, p, "/datasets/long/history?page=338").Code)
}

type counter struct {
	*store.Store
	read int
}

func (c *counter) Batches(ctx context.Context, q store.Query) ([]store.Batch, error) {
	b, err := c.Store.Batches(ctx, q)
	c.read += len(b)
	return b, err
}

func BenchmarkPageOfTenThousandBatches(b *testing.B) {
	p := newPages(b, longHistory(b, 10_000))
	for _, path := range []string{"/", "/datasets/long/history", "/datasets/long/history?page=330", "/datasets/long/history/batches/c099"} {
		b.Run(path, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				get(b, p, path)
			}
		})
	}
}
