package faults

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/queue"
)

// sample is what a service and its store use at one moment.
type sample struct {
	at                      time.Duration
	rss, wal, tables        int64 // bytes
	goroutines, files, open int
	sessions                int
	oldest                  time.Duration // of the units that stand ready
	done                    int
}

// soaked is a service that is watched.
type soaked struct {
	*plant
	s   *service
	q   *queue.Queue
	all []sample
}

// take takes a sample.
func (k *soaked) take(at time.Duration) {
	k.t.Helper()
	v := sample{at: at, rss: k.resident(), goroutines: k.goroutines()}
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", k.s.cmd.Process.Pid))
	require.NoError(k.t, err, "the service has ended\n%s", k.s.text())
	v.files = len(fds)
	d := k.q.DB()
	var oldest int64
	for _, read := range []struct {
		to    any
		query string
	}{
		{&v.wal, "SELECT CAST(COALESCE(sum(size), 0) AS BIGINT) FROM pg_ls_waldir()"},
		{&v.tables, "SELECT pg_database_size(current_database())"},
		{&v.sessions, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"},
		{&v.open, "SELECT count(*) FROM unit WHERE state IN ('ready', 'running', 'waiting')"},
		{&v.done, "SELECT count(*) FROM unit WHERE state = 'done'"},
		{&oldest, "SELECT COALESCE(CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT) - min(ready_us), 0) FROM unit WHERE state = 'ready'"},
	} {
		require.NoError(k.t, d.Get(k.t.Context(), read.to, read.query))
	}
	v.oldest = time.Duration(oldest) * time.Microsecond
	k.all = append(k.all, v)
}

func (k *soaked) resident() int64 {
	k.t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", k.s.cmd.Process.Pid))
	require.NoError(k.t, err)
	defer f.Close()
	return 1024 * number(k.t, f, "VmRSS:")
}

func (k *soaked) goroutines() int {
	k.t.Helper()
	res, err := http.Get(k.s.url + "/metrics")
	require.NoError(k.t, err)
	defer res.Body.Close()
	return int(number(k.t, res.Body, "go_goroutines"))
}

// number returns the number behind a word at the beginning of a line.
func number(t *testing.T, r io.Reader, word string) int64 {
	t.Helper()
	for lines := bufio.NewScanner(r); lines.Scan(); {
		if f := strings.Fields(lines.Text()); len(f) > 1 && f[0] == word {
			n, err := strconv.ParseInt(f[1], 10, 64)
			require.NoError(t, err)
			return n
		}
	}
	require.FailNow(t, "not told", word)
	return 0
}

// row is the greatest of each over some samples, and the last sizes.
func row(all []sample) (s sample) {
	for _, v := range all {
		s.rss, s.wal, s.oldest = max(s.rss, v.rss), max(s.wal, v.wal), max(s.oldest, v.oldest)
		s.goroutines, s.files, s.open, s.sessions = max(s.goroutines, v.goroutines), max(s.files, v.files), max(s.open, v.open), max(s.sessions, v.sessions)
	}
	last := all[len(all)-1]
	s.at, s.tables, s.done = last.at, last.tables, last.done
	return s
}

// soak is the pipelines of the soak: one watches a folder and has a step that fails
// for every fiftieth unit, one is begun by a schedule.
var soak = map[string]string{
	"watch": `version: 1
pipeline: watch
source: {watch: "../in/*.csv"}
steps:
  parse: {run: [cat]}
  odd:   {needs: parse, sh: 'test $(( $(od -An -N2 -tu2 /dev/urandom) % 50 )) -ne 0 || exit 65; cat', rules: ../rules.yaml}
  out:   {needs: odd, run: [cat]}
`,
	"tick": `version: 1
pipeline: tick
every: 10s
source: {files: "../fixed/*.csv"}
steps: {a: {run: [cat]}, all: {needs: a, fan_in: all, run: [cat, "{inputs}"]}}
`,
}

// TestSoak lets a service work for a while (PROFILER_SOAK, 20 minutes) and looks
// every second at what it uses. What grows must be what is kept.
func TestSoak(t *testing.T) {
	length, err := time.ParseDuration(os.Getenv("PROFILER_SOAK"))
	if err != nil && !long() {
		t.Skip("takes 20 minutes; PROFILER_FAULTS=long, or PROFILER_SOAK=1m")
	}
	if err != nil {
		length = 20 * time.Minute
	}
	t.Parallel()
	p := newPlant(t, newServer(t, "127.0.0.1").url(), 0)
	for _, dir := range []string{"pipes", "fixed"} {
		require.NoError(t, os.Mkdir(filepath.Join(p.dir, dir), 0o755))
	}
	for name, text := range soak {
		require.NoError(t, os.WriteFile(filepath.Join(p.dir, "pipes", name+".yaml"), []byte(text), 0o600))
	}
	require.NoError(t, os.WriteFile(filepath.Join(p.dir, "rules.yaml"), []byte("version: 1\nchecks: [{row_count: {min: 1}}]\n"), 0o600))
	p.config("pipelines: [pipes]\n")
	k := &soaked{plant: p, s: p.serve("A=b")}
	k.q, _ = p.queue()
	fed, replayed := 0, 0
	put := func(path string) {
		path = filepath.Join(p.dir, path)
		require.NoError(t, os.WriteFile(path+".part", fmt.Appendf(nil, "n,text\n%d,some words\n%d,others\n", fed, 2*fed), 0o600))
		require.NoError(t, os.Rename(path+".part", path))
	}
	feed := func() {
		put(fmt.Sprintf("in/%06d.csv", fed))
		fed++
	}
	replay := func() {
		n := p.inState(k.q, "odd", queue.Dead)
		replayed += n
		if n > 0 {
			out, err := p.command("A=b", "dlq", "replay", "--step", "odd", "--all").CombinedOutput()
			require.NoError(t, err, string(out))
		}
	}
	begun := time.Now()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for time.Since(begun) < length {
		<-tick.C
		feed()
		feed()
		if fed%20 == 0 {
			replay()
			for i := range 3 {
				put(fmt.Sprintf("fixed/%d.csv", i))
			}
		}
		k.take(time.Since(begun))
	}
	require.Eventually(t, func() bool {
		replay()
		return p.inState(k.q, "out", queue.Done) == fed
	}, 5*time.Minute, time.Second, "units are lost\n%s", k.s.text())
	k.report(fed, replayed)
}

// report shows the samples, and fails if the second half of them needed more than
// the first.
func (k *soaked) report(fed, replayed int) {
	k.t.Helper()
	const rows = 10
	for i := range rows {
		if part := k.all[len(k.all)*i/rows : len(k.all)*(i+1)/rows]; len(part) > 0 {
			s := row(part)
			k.t.Logf("until %s: %d MiB resident, %d goroutines, %d open files, %d sessions, %d units open, oldest %s, WAL %d MiB, database %.1f MiB, %d units done",
				s.at.Round(time.Second), s.rss>>20, s.goroutines, s.files, s.sessions, s.open, s.oldest.Round(time.Millisecond), s.wal>>20, float64(s.tables)/(1<<20), s.done)
		}
	}
	k.t.Logf("%d samples, %d files, %d units replayed", len(k.all), fed, replayed)
	first, second := row(k.all[len(k.all)/4:len(k.all)/2]), row(k.all[3*len(k.all)/4:])
	require.Less(k.t, second.rss, first.rss*3/2, "memory grows")
	require.LessOrEqual(k.t, second.goroutines, first.goroutines+20, "goroutines grow")
	require.LessOrEqual(k.t, second.files, first.files+20, "open files grow")
	require.Less(k.t, second.oldest, time.Minute, "units are left")
	require.NotContains(k.t, k.s.text(), "panic")
}
