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

// watched is a service over pipelines that are judged, with a receiver.
type watched struct {
	*plant
	receiver  *receiver
	pipelines int
	service   *service
	running   atomic.Pointer[service]
	kills     int
}

func newWatched(t *testing.T, store string, pipelines int) *watched {
	t.Helper()
	w := &watched{plant: newPlant(t, store, 0), receiver: &receiver{times: map[string]int{}}, pipelines: pipelines}
	server := httptest.NewServer(w.receiver)
	t.Cleanup(server.CloseClientConnections)
	t.Cleanup(server.Close)
	require.NoError(t, os.Mkdir(filepath.Join(w.dir, "pipes"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(w.dir, "rules.yaml"), []byte("version: 1\nchecks: [{row_count: {max: 1}}]\n"), 0o600))
	for i := range pipelines {
		text := fmt.Sprintf("version: 1\npipeline: p%d\nsource: {http: /in/p%d}\nsteps: {a: {run: [cat], format: {in: csv, out: csv}, rules: ../rules.yaml, on_fail: quarantine, timeout: {heartbeat: 1s}, retry: {attempts: 1000, backoff: 10ms}, workers: {max: 1}}}\n", i, i)
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
				w := newWatched(t, url, either(2, 4))
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

// The service is killed at random moments.
func TestAlertsUnderKills(t *testing.T) {
	if !long() {
		t.Skip("waits for the leases of messages; PROFILER_FAULTS=long")
	}
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newWatched(t, url, 8)
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
