package db

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// crowd is transactions that wait for one writer, in the order of their numbers.
type crowd struct {
	t     *testing.T
	d     *DB
	shown []*Tx // what each ran in
	errs  []error
}

func add(ctx context.Context, tx *Tx, id int) error {
	_, err := tx.Exec(ctx, "INSERT INTO t (id) VALUES (?)", id)
	return err
}

// waitBehind lets transactions wait behind one that writes, and then lets all go on.
func waitBehind(t *testing.T, fns ...func(c *crowd, tx *Tx) error) *crowd {
	t.Helper()
	d, err := Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "a.db"), Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	_, err = d.Exec(t.Context(), "CREATE TABLE t (id INTEGER PRIMARY KEY)")
	require.NoError(t, err)
	c := &crowd{t: t, d: d, shown: make([]*Tx, len(fns)), errs: make([]error, len(fns))}
	var all sync.WaitGroup
	leave := make(chan struct{})
	all.Go(func() {
		err := d.Tx(t.Context(), func(tx *Tx) error { <-leave; return add(t.Context(), tx, 1000) })
		if err != nil {
			t.Error(err)
		}
	})
	synctest.Wait()
	for i, fn := range fns {
		all.Go(func() {
			c.errs[i] = errExit
			c.errs[i] = d.Tx(t.Context(), func(tx *Tx) error { c.shown[i] = tx; return fn(c, tx) })
		})
		synctest.Wait()
	}
	close(leave)
	all.Wait()
	return c
}

func (c *crowd) ids() (ids []int) {
	require.NoError(c.t, c.d.Select(c.t.Context(), &ids, "SELECT id FROM t ORDER BY id"))
	return ids
}

func put(id int) func(c *crowd, tx *Tx) error {
	return func(c *crowd, tx *Tx) error { return add(c.t.Context(), tx, id) }
}

func TestWaitingTransactionsShareACommit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hooks := []int{}
		hooked := func(id int) func(c *crowd, tx *Tx) error {
			return func(c *crowd, tx *Tx) error {
				tx.OnCommit(func() {
					hooks = append(hooks, id)
				})
				return put(id)(c, tx)
			}
		}
		boom := errors.New("boom")
		c := waitBehind(t, hooked(1), put(2), func(c *crowd, tx *Tx) error {
			tx.OnCommit(func() { t.Error("a hook ran after a rollback") })
			return errors.Join(put(3)(c, tx), boom)
		}, put(2), put(4))
		require.Equal(t, []int{1, 2, 4, 1000}, c.ids())
		require.Equal(t, []int{1}, hooks)
		require.ErrorIs(t, c.errs[2], boom)
		require.True(t, IsUnique(c.errs[3]), "%v", c.errs[3])
		for _, i := range []int{0, 1, 4} {
			require.NoError(t, c.errs[i])
			require.Same(t, c.shown[0].tx, c.shown[i].tx, "one commit for all")
		}
	})
}

func TestPanicInASharedCommit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := waitBehind(t, put(1), func(c *crowd, tx *Tx) (err error) {
			_ = put(2)(c, tx)
			return errors.New("kept for the caller")
		}, put(3))
		require.Equal(t, []int{1, 3, 1000}, c.ids())

		var caught any
		d := c.d
		leave := make(chan struct{})
		var all sync.WaitGroup
		all.Go(func() { _ = d.Tx(t.Context(), func(*Tx) error { <-leave; return nil }) })
		synctest.Wait()
		all.Go(func() {
			defer func() { caught = recover() }()
			_ = d.Tx(t.Context(), func(tx *Tx) error { _ = add(t.Context(), tx, 4); panic("mine") })
		})
		synctest.Wait()
		var ended atomic.Bool
		all.Go(func() {
			defer func() { ended.Store(true) }()
			_ = d.Tx(t.Context(), func(tx *Tx) error { _ = add(t.Context(), tx, 5); runtime.Goexit(); return nil })
		})
		synctest.Wait()
		var err error
		all.Go(func() { err = d.Tx(t.Context(), func(tx *Tx) error { return add(t.Context(), tx, 6) }) })
		synctest.Wait()
		close(leave)
		all.Wait()
		require.Equal(t, "mine", caught)
		require.True(t, ended.Load())
		require.NoError(t, err)
		require.Equal(t, []int{1, 3, 6, 1000}, c.ids())
	})
}

func TestSharedCommitThatIsLostRunsAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		runs := 0
		c := waitBehind(t, put(1), func(c *crowd, tx *Tx) error {
			runs++
			if runs == 1 { // as an interrupted statement does
				_, err := tx.Exec(c.t.Context(), "ROLLBACK")
				return errors.Join(err, errors.New("interrupted"))
			}
			return nil
		}, put(3))
		require.Equal(t, []int{1, 3, 1000}, c.ids())
		require.NoError(t, c.errs[0])
		require.ErrorContains(t, c.errs[1], "interrupted")
		require.NoError(t, c.errs[2])
	})
}

func TestTransactionThatStopsWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := waitBehind(t)
		ctx, cancel := context.WithCancel(t.Context())
		leave := make(chan struct{})
		var all sync.WaitGroup
		all.Go(func() { _ = c.d.Tx(t.Context(), func(*Tx) error { <-leave; return nil }) })
		synctest.Wait()
		var err error
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			err = c.d.Tx(ctx, func(*Tx) error { t.Error("it ran"); return nil })
		}()
		synctest.Wait()
		cancel()
		<-gone
		require.ErrorIs(t, err, context.Canceled)
		close(leave)
		all.Wait()
	})
}

func TestManySharedCommits(t *testing.T) {
	t.Parallel()
	d, err := Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "a.db"), Options{})
	require.NoError(t, err)
	defer d.Close()
	_, err = d.Exec(t.Context(), "CREATE TABLE t (id INTEGER PRIMARY KEY)")
	require.NoError(t, err)
	var want, hooks atomic.Int64
	boom := errors.New("boom")
	var all sync.WaitGroup
	for w := range 16 {
		all.Go(func() {
			for i := range 40 {
				fails, cancels := rand.N(4) == 0, rand.N(8) == 0
				ctx, cancel := context.WithCancel(t.Context())
				err := d.Tx(ctx, func(tx *Tx) error {
					tx.OnCommit(func() { hooks.Add(1) })
					if cancels {
						cancel()
					}
					if err := add(ctx, tx, w*1000+i); err != nil {
						return err
					}
					if fails {
						return boom
					}
					return nil
				})
				cancel()
				switch {
				case err == nil:
					want.Add(1)
				case !errors.Is(err, boom) && !errors.Is(err, context.Canceled):
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	var n int64
	require.NoError(t, d.Get(t.Context(), &n, "SELECT count(*) FROM t"))
	require.Equal(t, want.Load(), n)
	require.Equal(t, want.Load(), hooks.Load())
	require.Positive(t, n)
}
