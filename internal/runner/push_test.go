package runner_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/db"
	"github.com/profilerhq/profiler/internal/dbtest"
	"github.com/profilerhq/profiler/internal/queue"
	"github.com/profilerhq/profiler/internal/runner"
)

// pushBench has a pipeline that takes what is sent to /in/x.
func pushBench(t *testing.T, more, steps string) (*bench, *runner.Inbox) {
	t.Helper()
	b := newBench(t, "", nil)
	b.o.Clock, b.o.Look = nil, 10*time.Millisecond
	b.write("p.yaml", "version: 1\npipeline: p\nsource: {http: "+more+"}\nsteps:\n"+steps)
	inbox, err := runner.NewInbox([]*runner.Runner{b.runner()})
	require.NoError(t, err)
	return b, inbox
}

func (b *bench) realStore(url string) {
	b.t.Helper()
	d, err := db.Open(b.t.Context(), url, db.Options{})
	require.NoError(b.t, err)
	b.t.Cleanup(func() { d.Close() })
	b.o.Queue, err = queue.Open(b.t.Context(), d, queue.Options{})
	require.NoError(b.t, err)
}

const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestPush(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		b, _ := pushBench(t, "/in/x", "  a: {sh: 'cat >>got; cp got {output}'}\n")
		b.realStore(url)
		inbox, err := runner.NewInbox([]*runner.Runner{b.runner()})
		require.NoError(t, err)
		send := func(body, key string) (runner.Accepted, error) {
			return inbox.Accept(t.Context(), "/in/x", runner.Pushed{Body: strings.NewReader(body), Key: key, Traceparent: trace})
		}
		first, err := send("one\n", "k")
		require.NoError(t, err)
		require.Equal(t, "0af7651916cd43dd8448eb211c80319c", first.CorrelationID)
		require.Equal(t, []string{runner.UnitID("p", "http:k")}, first.Units)
		require.False(t, first.Duplicate)
		b.serve(1)
		b.runs(1)
		again, err := send("one\n", "k")
		require.NoError(t, err)
		require.True(t, again.Duplicate)
		first.Duplicate = true
		require.Equal(t, first, again)
		_, err = send("two\n", "k")
		require.ErrorIs(t, err, runner.ErrReused)
		_, err = send("", "l")
		require.ErrorIs(t, err, runner.ErrBody)
		for range 2 { // without a key each one counts
			_, err = send("one\n", "")
			require.NoError(t, err)
		}
		b.runs(3)
		require.Equal(t, "one\none\none\n", b.read("got"))
		_, err = inbox.Accept(t.Context(), "/in/y", runner.Pushed{Body: strings.NewReader("x")})
		require.ErrorIs(t, err, runner.ErrPath)
	})
}

func TestPushIsCut(t *testing.T) {
	t.Parallel()
	b, inbox := pushBench(t, "{path: /in/x, max_bytes: 100}, unit: rows(2)", "  a: {run: [cat]}\n  all: {needs: a, fan_in: all, sh: 'cat {inputs} >all; cp all {output}'}\n")
	send := func(body, key string) (runner.Accepted, error) {
		return inbox.Accept(t.Context(), "/in/x", runner.Pushed{Body: strings.NewReader(body), Key: key})
	}
	text := "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n{\"a\":4}\n{\"a\":5}"
	a, err := send(text, "k")
	require.NoError(t, err)
	require.Len(t, a.Units, 3)
	longer, err := send(text+"\n{\"a\":6}", "k")
	require.ErrorIs(t, err, runner.ErrReused, "%v", longer)
	_, err = send(text+"\n{\"a\":6}\n{\"a\":7}", "k")
	require.ErrorIs(t, err, runner.ErrReused)
	_, err = send(strings.Repeat("x", 101), "big")
	require.ErrorIs(t, err, runner.ErrTooLarge)
	_, err = inbox.Accept(t.Context(), "/in/x", runner.Pushed{Body: io.MultiReader(strings.NewReader("x\ny\nz\n"), broken{}), Key: "broken"})
	require.ErrorIs(t, err, runner.ErrBody)
	b.serve(1)
	b.runs(1)
	for _, line := range strings.Split(text, "\n") {
		require.Contains(t, b.read("all"), line)
	}
	left, err := os.ReadDir(filepath.Join(b.dir, ".profiler/runs/p/source"))
	require.NoError(t, err)
	require.Len(t, left, 4, "three units and their list, nothing of what was refused")
}

// broken is a connection that ends too early.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("reset") }

func TestPushAtOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		b, _ := pushBench(t, "/in/x", "  a: {sh: 'cat >>got; cp got {output}'}\n")
		b.realStore(url)
		var inboxes []*runner.Inbox
		for range 4 {
			inbox, err := runner.NewInbox([]*runner.Runner{b.runner()})
			require.NoError(t, err)
			inboxes = append(inboxes, inbox)
		}
		fresh := make([]int, len(inboxes))
		var wg sync.WaitGroup
		for i, inbox := range inboxes {
			wg.Go(func() {
				a, err := inbox.Accept(t.Context(), "/in/x", runner.Pushed{Body: strings.NewReader("x\n"), Key: "k"})
				if err != nil {
					t.Error(err)
				}
				if !a.Duplicate {
					fresh[i] = 1
				}
			})
		}
		wg.Wait()
		require.Equal(t, 1, fresh[0]+fresh[1]+fresh[2]+fresh[3])
		b.serve(1)
		b.runs(1)
		require.Equal(t, "x\n", b.read("got"))
	})
}

func TestPushIsHeldBack(t *testing.T) {
	t.Parallel()
	_, inbox := pushBench(t, "/in/x", "  a: {run: [cat], workers: {max: 1, scale_at: 1}}\n")
	sent := 0
	for {
		_, err := inbox.Accept(t.Context(), "/in/x", runner.Pushed{Body: strings.NewReader("x")})
		if errors.Is(err, runner.ErrBusySteps) {
			require.ErrorContains(t, err, "step a")
			break
		}
		require.NoError(t, err)
		sent++
	}
	require.Equal(t, 11, sent, "10 × max × scale_at, and the one that exceeds it")
}

func TestInboxWithOnePathTwice(t *testing.T) {
	t.Parallel()
	b, _ := pushBench(t, "/in/x", "  a: {run: [cat]}\n")
	_, err := runner.NewInbox([]*runner.Runner{b.runner(), b.runner()})
	require.ErrorContains(t, err, "both take what is sent to /in/x")
	_, err = b.runner().Run(t.Context())
	require.ErrorContains(t, err, "profiler serve")
}

// A source of rows cuts a table to units of one state; what has not changed is
// not done again.
func TestRowsAreUnits(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newWarehouse(t, url, "CREATE TABLE orders (id BIGINT, amount INTEGER)")
		for _, row := range []string{"(1, 10)", "(2, 20)", "(6, 60)", "(10, NULL)", "(NULL, 7)"} {
			w.exec("INSERT INTO orders VALUES " + row)
		}
		b := newBench(t, "", nil)
		source := func(unit, more string) {
			b.write("p.yaml", "version: 1\npipeline: p\nsource: {sql: {dsn: '"+url+"', query: \"SELECT id, amount FROM orders ORDER BY id -- all\""+more+"}"+unit+"}\nsteps:\n  a: {run: [cat]}\n")
		}
		texts := func() map[string]string {
			all := map[string]string{}
			for name, text := range b.outputs("a") {
				name, _, _ = strings.Cut(name, " #")
				all[name] = text
			}
			return all
		}
		source("", ", format: csv")
		require.Equal(t, 1, b.run().Steps[0].Units.Done)
		require.Equal(t, 6, strings.Count(texts()["query"], "\n"))
		require.Contains(t, texts()["query"], "id,amount\n")

		source(", unit: 'key_range(id, 3)'", "")
		require.Equal(t, 4, b.run().Steps[0].Units.Done)
		require.Equal(t, map[string]string{
			"id 1 to 4": "{\"id\":1,\"amount\":10}\n{\"id\":2,\"amount\":20}\n", "id 5 to 8": "{\"id\":6,\"amount\":60}\n",
			"id 9 to 10": "{\"id\":10,\"amount\":null}\n", "id null": "{\"id\":null,\"amount\":7}\n",
		}, texts())
		w.exec("UPDATE orders SET amount = 61 WHERE id = 6")
		s := b.run()
		require.Equal(t, []int{1, 3}, []int{s.Steps[0].Units.Done, s.Steps[0].Units.Skipped}, "one range has changed")

		source(", unit: rows(2), key: '{part}'", "")
		require.Equal(t, 3, b.run().Steps[0].Units.Done)
		require.Contains(t, texts(), "rows 5 to 5")
		w.exec("UPDATE orders SET amount = 11 WHERE id = 1")
		require.Equal(t, 3, b.run().Steps[0].Units.Skipped, "the key says that they are the same")

		w.exec("DELETE FROM orders")
		require.Empty(t, b.run().Steps[0].Units)
		source("", "")
		require.Equal(t, 1, b.run().Steps[0].Units.Done, "a query that gives nothing is a unit without rows")
		require.Equal(t, map[string]string{"query": ""}, texts())
	})
}

func TestRowsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		newWarehouse(t, url, "CREATE TABLE orders (id TEXT)", "INSERT INTO orders VALUES ('x')")
		b := newBench(t, "", nil)
		for source, want := range map[string]string{
			"sql: {dsn: '" + url + "', query: SELECT nam FROM orders}":                          "source of p: p.yaml:3:",
			"sql: {dsn: '" + url + "', query: SELECT id FROM orders}, unit: 'key_range(id, 3)'": "key_range needs a column of whole numbers, and id is none; use key_ranges(id, 3), which takes any",
			"sql: {dsn: '" + url + "', query: DELETE FROM orders}":                              "the query changes data, which only a statement may",
			"sql: {dsn: '" + url + "', query: 'SELECT 1 AS a, 2 AS a'}":                         `two columns with the name "a"`,
			"sql: {dsn: 'postgres://u:s3cret@127.0.0.1:1/d', query: SELECT 1}":                  "connection refused",
			"sql: {dsn: '" + url + "', query: SELECT id FROM orders}, unit: 'key_range(ib, 3)'": `key_range(ib, 3): the query has no column "ib"; it has id`,
		} {
			b.write("p.yaml", "version: 1\npipeline: p\nsource: {"+source+"}\nsteps:\n  a: {run: [cat]}\n")
			_, err := b.runner().Run(t.Context())
			require.ErrorContains(t, err, want, source)
			require.ErrorIs(t, err, runner.ErrSource)
			require.NotContains(t, err.Error(), "s3cret")
			require.NotContains(t, err.Error(), "\n")
			require.NotRegexp(t, `pq:|sql:`, err.Error())
		}
	})
}

func TestOldInputsAreRemoved(t *testing.T) {
	t.Parallel()
	b, inbox := pushBench(t, "/in/x, keep: 2h", "  a: {sh: 'cat; test ! -e bad'}\n")
	for _, key := range []string{"done", "dead"} {
		if key == "dead" {
			b.write("bad", "")
			b.steps("", false)
			b.write("p.yaml", "version: 1\npipeline: p\nsource: {http: /in/x, keep: 2h}\nsteps:\n  a: {sh: 'cat; test ! -e bad', retry: {attempts: 1}}\n")
		}
		_, err := inbox.Accept(t.Context(), "/in/x", runner.Pushed{Body: strings.NewReader("x"), Key: key})
		require.NoError(t, err)
		stop := b.serve(1)
		b.runs(map[string]int{"done": 1, "dead": 2}[key])
		stop()
	}
	dir := filepath.Join(b.dir, ".profiler/runs/p/source")
	old := time.Now().Add(-3 * time.Hour)
	left := func() (names []string) {
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	require.Len(t, left(), 2)
	for _, name := range left() {
		require.NoError(t, os.Chtimes(filepath.Join(dir, name), old, old))
	}
	b.serve(1)
	require.Eventually(t, func() bool { return len(left()) == 1 }, 30*time.Second, 10*time.Millisecond)
	require.Equal(t, []string{runner.UnitID("p", "http:dead")}, left(), "who is dead may be replayed")
}
