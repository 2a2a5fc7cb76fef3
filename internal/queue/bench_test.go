package queue_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/db"
	"github.com/profilerhq/profiler/internal/dbtest"
	"github.com/profilerhq/profiler/internal/queue"
)

// benchQueue is a queue in an empty database of its own.
func benchQueue(b *testing.B, url string) *queue.Queue {
	b.Helper()
	d, err := db.Open(b.Context(), url, db.Options{})
	require.NoError(b, err)
	b.Cleanup(func() { d.Close() })
	q, err := queue.Open(b.Context(), d, queue.Options{})
	require.NoError(b, err)
	return q
}

func stores(b *testing.B, bench func(b *testing.B, url string)) {
	b.Helper()
	b.Run("sqlite", func(b *testing.B) { bench(b, dbtest.SQLite(b)) })
	b.Run("postgres", func(b *testing.B) { bench(b, dbtest.Postgres(b)) })
}

func offerMany(b *testing.B, q *queue.Queue, n int) {
	b.Helper()
	units := make([]queue.Offer, n)
	for i := range units {
		units[i] = queue.Offer{Key: queue.Key{Pipeline: "p", Step: "a", Unit: fmt.Sprintf("%026d", i)}, Run: "r", Correlation: "c", Source: "in/a.csv", Input: "{}"}
	}
	require.NoError(b, q.DB().Tx(b.Context(), func(tx *db.Tx) error { return q.Offer(b.Context(), tx, units) }))
}

// work claims and completes units of step a until there are none, and puts a unit
// into step b behind each. It returns how many it did.
func work(ctx context.Context, q *queue.Queue, worker string, pause time.Duration) (n int, err error) {
	for {
		leases, err := q.Claim(ctx, queue.ClaimRequest{Pipeline: "p", Step: "a", Worker: worker, Max: 1, Lease: time.Minute})
		if err != nil || len(leases) == 0 {
			return n, err
		}
		for i := range leases {
			if pause > 0 {
				<-time.After(pause) // what a step does
			}
			next := queue.Offer{Key: queue.Key{Pipeline: "p", Step: "b", Unit: leases[i].Unit}, Run: "r", Correlation: "c", Parent: "a", Needs: 1}
			err := q.DB().Tx(ctx, func(tx *db.Tx) error {
				_, err := q.Complete(ctx, tx, &leases[i], queue.Result{State: queue.Done, Body: "{}", Next: []queue.Offer{next}})
				return err
			})
			if err != nil {
				return n, err
			}
			n++
		}
	}
}

// together lets workers do all units and reports units per second.
func together(b *testing.B, q *queue.Queue, workers int, pause time.Duration) {
	b.Helper()
	var done atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for w := range workers {
		wg.Go(func() {
			n, err := work(b.Context(), q, fmt.Sprint(w), pause)
			if err != nil {
				b.Error(err)
			}
			done.Add(int64(n))
		})
	}
	wg.Wait()
	b.StopTimer()
	require.EqualValues(b, b.N, done.Load())
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "units/s")
}

// BenchmarkUnits claims a unit, completes it and enqueues the next one: two
// transactions, each of them durable.
func BenchmarkUnits(b *testing.B) {
	stores(b, func(b *testing.B, url string) {
		for _, workers := range []int{1, 4, 16} {
			b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
				q := benchQueue(b, freshURL(b, url))
				offerMany(b, q, b.N)
				together(b, q, workers, 0)
			})
		}
	})
}

// BenchmarkSleepingSteps has steps that take 50 ms: what counts is how many work
// at once.
func BenchmarkSleepingSteps(b *testing.B) {
	for _, workers := range []int{4, 16} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			q := benchQueue(b, dbtest.Postgres(b))
			offerMany(b, q, b.N)
			together(b, q, workers, 50*time.Millisecond)
		})
	}
}

// freshURL is a database of the same kind.
func freshURL(b *testing.B, url string) string {
	b.Helper()
	if url[:7] == "sqlite:" {
		return dbtest.SQLite(b)
	}
	return dbtest.Postgres(b)
}

// BenchmarkOffer100k enqueues 100,000 units in one transaction.
func BenchmarkOffer100k(b *testing.B) {
	stores(b, func(b *testing.B, url string) {
		for b.Loop() {
			b.StopTimer()
			q := benchQueue(b, freshURL(b, url))
			b.StartTimer()
			offerMany(b, q, 100_000)
		}
	})
}

// BenchmarkWakeUp is the time from a commit that makes a unit ready until an idle
// worker has it, over a second connection on Postgres.
func BenchmarkWakeUp(b *testing.B) {
	stores(b, func(b *testing.B, url string) {
		giver, taker := benchQueue(b, url), (*queue.Queue)(nil)
		if url[:7] == "sqlite:" {
			taker = giver // one process
		} else {
			taker = benchQueue(b, url)
		}
		ctx, stop := context.WithCancel(b.Context())
		listening := make(chan struct{})
		go func() { defer close(listening); _ = taker.Listen(ctx) }()
		defer func() { stop(); <-listening }()
		for i, heard := 0, false; !heard; i++ { // until it listens
			changed := taker.Changed()
			unit := queue.Offer{Key: queue.Key{Pipeline: "p", Step: "other", Unit: fmt.Sprint(i)}, Run: "r", Correlation: "c"}
			require.NoError(b, giver.DB().Tx(ctx, func(tx *db.Tx) error { return giver.Offer(ctx, tx, []queue.Offer{unit}) }))
			select {
			case <-changed:
				heard = true
			case <-time.After(100 * time.Millisecond):
			}
		}
		taken := make(chan struct{})
		go func() {
			for ctx.Err() == nil {
				changed := taker.Changed()
				leases, err := taker.Claim(ctx, queue.ClaimRequest{Pipeline: "p", Step: "a", Worker: "w", Max: 1, Lease: time.Minute})
				if err != nil {
					return
				}
				if len(leases) > 0 {
					taken <- struct{}{}
					continue
				}
				taker.Wait(ctx, changed, time.Minute)
			}
		}()
		var worst time.Duration
		for i := 0; b.Loop(); i++ {
			unit := queue.Offer{Key: queue.Key{Pipeline: "p", Step: "a", Unit: fmt.Sprint(i)}, Run: "r", Correlation: "c"}
			begun := time.Now()
			require.NoError(b, giver.DB().Tx(ctx, func(tx *db.Tx) error { return giver.Offer(ctx, tx, []queue.Offer{unit}) }))
			<-taken
			worst = max(worst, time.Since(begun))
		}
		b.ReportMetric(float64(worst.Microseconds())/1000, "worst-ms")
	})
}

func finishedUnits() int {
	if os.Getenv("PROFILER_BENCH") == "long" {
		return 1_000_000
	}
	return 10_000
}

// finish puts a number of units into the queue that are done.
func finish(b *testing.B, q *queue.Queue, n int) {
	b.Helper()
	for i := 0; i < n; i += 100_000 {
		units := make([]queue.Offer, min(100_000, n-i))
		for j := range units {
			units[j] = queue.Offer{Key: queue.Key{Pipeline: "p", Step: "a", Unit: fmt.Sprintf("done%022d", i+j)}, Run: "r", Correlation: "c", Input: "{}"}
		}
		require.NoError(b, q.DB().Tx(b.Context(), func(tx *db.Tx) error { return q.Offer(b.Context(), tx, units) }))
	}
	_, err := q.DB().Exec(b.Context(), "UPDATE unit SET state = 'done'")
	require.NoError(b, err)
	if q.DB().Dialect.IsPostgres() {
		_, err = q.DB().Writer().ExecContext(b.Context(), "VACUUM ANALYZE unit")
		require.NoError(b, err)
	}
}

// BenchmarkBehindFinished claims and completes while a number of units are done.
func BenchmarkBehindFinished(b *testing.B) {
	stores(b, func(b *testing.B, url string) {
		for _, n := range []int{0, finishedUnits()} {
			b.Run(fmt.Sprintf("finished=%d", n), func(b *testing.B) {
				q := benchQueue(b, freshURL(b, url))
				finish(b, q, n)
				offerMany(b, q, b.N)
				together(b, q, 4, 0)
			})
		}
	})
}

// BenchmarkLookBehindFinished is what a service asks every second or few while it
// has nothing to do and a number of units are done.
func BenchmarkLookBehindFinished(b *testing.B) {
	stores(b, func(b *testing.B, url string) {
		q := benchQueue(b, url)
		finish(b, q, finishedUnits())
		require.NoError(b, q.Begin(b.Context(), "r", "p", queue.Offer{Key: queue.Key{Pipeline: "p", Step: "a", Unit: "u"}, Run: "r", Correlation: "c"}))
		for name, look := range map[string]func() error{
			"due":    func() error { _, err := q.Due(b.Context(), "p", true); return err },
			"runs":   func() error { _, err := q.FinishedRuns(b.Context(), "p", true); return err },
			"depths": func() error { _, err := q.Depths(b.Context()); return err },
		} {
			b.Run(name, func(b *testing.B) {
				for b.Loop() {
					require.NoError(b, look())
				}
			})
		}
	})
}
