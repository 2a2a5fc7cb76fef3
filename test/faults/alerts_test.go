package faults

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/alert/webhook"
	"github.com/profilerhq/profiler/internal/dbtest"
	"github.com/profilerhq/profiler/internal/failpoint"
	"github.com/profilerhq/profiler/internal/queue"
)

// told is a message that a receiver got.
type told struct{ key, dataset, status, event string }

// receiver is a webhook that counts messages by key. The first requests after
// trouble are answered with 500 and 429, left without an answer and hung up on, in
// turn.
type receiver struct {
	mu      sync.Mutex
	faults  int // to come
	turn    int
	faulted [4]int
	got     []told
	times   map[string]int // by key
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	var b webhook.Body
	err := json.NewDecoder(q.Body).Decode(&b)
	r.mu.Lock()
	if r.faults > 0 {
		r.faults--
		kind := r.turn % 4
		r.turn++
		r.faulted[kind]++
		r.mu.Unlock()
		switch kind {
		case 0:
			w.WriteHeader(http.StatusInternalServerError)
		case 1:
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		case 2:
			panic(http.ErrAbortHandler) // hangs up
		case 3:
			<-q.Context().Done() // until the sender gives up
		}
		return
	}
	defer r.mu.Unlock()
	if err != nil || len(b.Alerts) != 1 {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	m := told{q.Header.Get(webhook.KeyHeader), b.GroupLabels["dataset"], b.Status, b.Alerts[0].Annotations["event"]}
	r.times[m.key]++
	r.got = append(r.got, m)
}

func (r *receiver) trouble(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = n
}

// first returns the messages of a dataset in the order in which each came first.
func (r *receiver) first(dataset string) (all []told) {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := map[string]bool{}
	for _, m := range r.got {
		if m.dataset == dataset && !seen[m.key] {
			seen[m.key] = true
			all = append(all, m)
		}
	}
	return all
}

// The steps of watched pipelines: one whose data go wrong, and one that gives its
// units up until somebody has mended it.
const (
	judgedStep = `run: [cat], format: {in: csv, out: csv}, rules: ../rules.yaml, on_fail: quarantine`
	dyingStep  = `sh: "if [ -e mended ]; then cat; else cat >/dev/null; exit 65; fi"`
)

// watched is a service over pipelines with one step, with a receiver.
type watched struct {
	*plant
	receiver  *receiver
	pipelines int
	service   *service
	running   atomic.Pointer[service]
	kills     int
}

func newWatched(t *testing.T, store, step string, pipelines int) *watched {
	t.Helper()
	w := &watched{plant: newPlant(t, store, 0), receiver: &receiver{times: map[string]int{}}, pipelines: pipelines}
	server := httptest.NewServer(w.receiver)
	t.Cleanup(server.CloseClientConnections)
	t.Cleanup(server.Close)
	require.NoError(t, os.Mkdir(filepath.Join(w.dir, "pipes"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(w.dir, "rules.yaml"), []byte("version: 1\nchecks: [{row_count: {max: 1}}]\n"), 0o600))
	for i := range pipelines {
		text := fmt.Sprintf("version: 1\npipeline: p%d\nsource: {http: /in/p%d}\nsteps: {a: {%s, timeout: {heartbeat: 1s}, retry: {attempts: 1000, backoff: 10ms}, workers: {max: 1}}}\n", i, i, step)
		require.NoError(t, os.WriteFile(filepath.Join(w.dir, "pipes", fmt.Sprintf("p%d.yaml", i)), []byte(text), 0o600))
	}
	w.config("pipelines: [pipes]\nalerts:\n  group_wait: 1s\n  resolve_after: 1\n  channels: {hook: {webhook: {url: \"" + server.URL + "\"}}}\n  routes: [{channels: [hook]}]\n")
	return w
}

func dataset(i int) string { return fmt.Sprintf("p%d/a", i) }

func (w *watched) start(env string) {
	w.service = w.serve(env)
	w.running.Store(w.service)
}

// send gives a body to a pipeline until it is acknowledged, by services that are
// started again when they were killed.
func (w *watched) send(i int, key, body string, env func() string) {
	w.t.Helper()
	for {
		if w.service == nil {
			w.start(env())
		}
		code, text := w.service.post("/in/p"+strconv.Itoa(i), key, body)
		if code == http.StatusAccepted {
			return
		}
		require.Zero(w.t, code, text)
		<-w.service.ended
		w.service = nil
		w.kills++
	}
}

// until waits for a condition, by services that are started again when they were
// killed.
func (w *watched) until(env func() string, what func() bool) {
	w.t.Helper()
	for end := time.Now().Add(10 * time.Minute); !what(); {
		if w.service == nil {
			w.start(env())
		}
		if time.Now().After(end) {
			require.FailNow(w.t, "not within 10 minutes", "the receiver has %v\n%s", w.receiver.got, w.service.text())
		}
		select {
		case <-w.service.ended:
			w.service = nil
			w.kills++
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// has reports whether each dataset has got a message last.
func (w *watched) has(status string) func() bool {
	return func() bool {
		for i := range w.pipelines {
			if all := w.receiver.first(dataset(i)); len(all) == 0 || all[len(all)-1].status != status {
				return false
			}
		}
		return true
	}
}

// story lets every pipeline go wrong and then be well again, under faults.
func (w *watched) story(env func() string) {
	w.t.Helper()
	for i := range w.pipelines {
		w.send(i, "bad", "n\n1\n2\n", env)
	}
	w.until(env, w.has("firing"))
	for i := range w.pipelines {
		w.send(i, "good", "n\n1\n", env)
	}
	w.until(env, w.has("resolved"))
	w.toldOnce()
}

// deadStory lets a unit of every pipeline die, and go through when its step is
// mended, under faults. The second half has a service of its own.
func (w *watched) deadStory(dying, mending func() string) {
	w.t.Helper()
	for i := range w.pipelines {
		w.send(i, "bad", "n\n1\n", dying)
	}
	w.until(dying, w.has("firing"))
	require.NoError(w.t, os.WriteFile(filepath.Join(w.dir, "pipes", "mended"), nil, 0o600))
	if w.service != nil {
		w.service.kill()
		w.service = nil
	}
	out, err := w.command("A=b", "dlq", "replay", "--all").CombinedOutput()
	require.NoError(w.t, err, string(out))
	w.until(mending, w.has("resolved"))
	w.toldOnce()
	q, d := w.queue()
	for i := range w.pipelines {
		rows, err := q.Units(w.t.Context(), queue.Filter{Pipeline: fmt.Sprintf("p%d", i)})
		require.NoError(w.t, err)
		require.Len(w.t, rows, 1)
		require.Equal(w.t, queue.Done, rows[0].State)
	}
	var incidents, open int
	require.NoError(w.t, d.Get(w.t.Context(), &incidents, "SELECT count(*) FROM incident"))
	require.NoError(w.t, d.Get(w.t.Context(), &open, "SELECT count(*) FROM incident WHERE status <> 'resolved'"))
	require.Equal(w.t, []int{w.pipelines, 0}, []int{incidents, open})
}

// toldOnce checks that every pipeline was told as opened and as resolved, once and
// in this order.
func (w *watched) toldOnce() {
	w.t.Helper()
	repeats := 0
	for i := range w.pipelines {
		all := w.receiver.first(dataset(i))
		require.Equal(w.t, "firing", all[0].status)
		require.Equal(w.t, "opened", all[0].event)
		ended := 0
		for _, m := range all {
			if m.status == "resolved" {
				ended++
			} else {
				require.Zero(w.t, ended, "%s: out of order: %v", dataset(i), all)
			}
		}
		require.Equal(w.t, 1, ended, "%s: one end, however often it is told: %v", dataset(i), all)
	}
	for _, n := range w.receiver.times {
		repeats += n - 1
	}
	w.t.Logf("%d incidents, %d messages, %d of them again with the same key; %d services killed; answered 500, 429, hung up, not at all: %v times",
		w.pipelines, len(w.receiver.got), repeats, w.kills, w.receiver.faulted)
}

// The service is killed at each place between a verdict and the note that its
// message was sent, while the receiver answers badly. A message that was on its way
// comes again after the two minutes of its lease.
func TestAlertsAtFailpoints(t *testing.T) {
	if testing.Short() {
		t.Skip("starts the service many times")
	}
	t.Parallel()
	for _, place := range either([]string{"after_commit"}, []string{"after_commit", "after_send", "after_settle"}) {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			dbtest.Each(t, func(t *testing.T, url string) {
				w := newWatched(t, url, judgedStep, either(2, 4))
				w.receiver.trouble(either(1, 4))
				lives := 0
				w.story(func() string {
					if lives++; lives > either(2, 3) {
						return "A=b"
					}
					return fmt.Sprintf("%s=%s:kill:%d", failpoint.Env, place, lives)
				})
				require.NotZero(t, w.kills, "the failpoint %s was not met", place)
			})
		})
	}
}

// The service is killed in the middle of the transaction that makes a unit dead, or
// lets it go through, after it, and around the sending.
func TestDeadUnitsAtFailpoints(t *testing.T) {
	if testing.Short() {
		t.Skip("starts the service many times")
	}
	t.Parallel()
	for _, place := range either([]string{"in_commit", "after_commit"}, []string{"before_commit", "in_commit", "after_commit", "after_send", "after_settle"}) {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			dbtest.Each(t, func(t *testing.T, url string) {
				w := newWatched(t, url, dyingStep, either(2, 4))
				w.receiver.trouble(either(1, 4))
				killing := func() func() string {
					lives := 0
					return func() string {
						if lives++; lives > 2 { // the third loss would be a death of another kind
							return "A=b"
						}
						return fmt.Sprintf("%s=%s:kill:%d", failpoint.Env, place, lives)
					}
				}
				w.deadStory(killing(), killing())
				require.GreaterOrEqual(t, w.kills, 2, "the failpoint %s was not met in both halves", place)
			})
		})
	}
}

// The service is killed at random moments.
func TestAlertsUnderKills(t *testing.T) {
	if !long() {
		t.Skip("waits for the leases of messages; PROFILER_FAULTS=long")
	}
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newWatched(t, url, judgedStep, 8)
		rng := rand.New(rand.NewPCG(7, 8))
		var killer sync.WaitGroup
		over := make(chan struct{})
		killer.Go(func() {
			for range 20 {
				select {
				case <-over:
					return
				case <-time.After(300*time.Millisecond + time.Duration(rng.IntN(2000))*time.Millisecond):
				}
				if s := w.running.Load(); s != nil {
					_ = s.cmd.Process.Kill()
				}
			}
		})
		defer killer.Wait()
		defer close(over)
		w.story(func() string {
			w.receiver.trouble(1) // of each life
			return "A=b"
		})
		require.NotZero(t, w.kills)
	})
}
