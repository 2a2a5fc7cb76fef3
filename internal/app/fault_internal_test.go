package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/alert"
	"github.com/profilerhq/profiler/internal/alert/alertmanager"
	"github.com/profilerhq/profiler/internal/alert/pagerduty"
	"github.com/profilerhq/profiler/internal/alert/slack"
	"github.com/profilerhq/profiler/internal/alert/slack/slacktest"
	"github.com/profilerhq/profiler/internal/alert/webhook"
	"github.com/profilerhq/profiler/internal/api"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/failpoint"
	"github.com/profilerhq/profiler/internal/metrics"
	"github.com/profilerhq/profiler/internal/monitor"
	"github.com/profilerhq/profiler/internal/secret"
	"github.com/profilerhq/profiler/internal/store"
)

// ear is a channel that remembers what it is told, and is deaf when asked.
type ear struct {
	mu    sync.Mutex
	deaf  bool
	tries int
	heard []alert.Message
}

func (e *ear) Notifier(alert.ReceiverOptions) (alert.Notifier, error) { return e, nil }
func (e *ear) TakesDigests() bool                                     { return true }

func (e *ear) Notify(_ context.Context, m alert.Message) (alert.Thread, bool, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.tries++
	if e.deaf {
		return alert.Thread{}, true, &alert.Error{Reason: alert.ServerError, Err: errors.New("503")}
	}
	e.heard = append(e.heard, m)
	return alert.Thread{Channel: "C", Message: fmt.Sprint(len(e.heard))}, false, nil
}

// service is an app with a clock to be set and one channel.
type service struct {
	*App
	t   *testing.T
	now time.Time
	ear *ear
}

func newService(t *testing.T, o alert.Options) *service {
	t.Helper()
	s := &service{t: t, now: time.Date(2026, 11, 2, 6, 0, 0, 0, time.UTC), ear: &ear{}}
	o.Channels = []string{"data"}
	a, err := New(t.Context(), Options{
		Store: "sqlite:" + t.TempDir() + "/p.db", Now: func() time.Time { return s.now }, Alerts: o, AlertTries: 1,
		Channels: map[string]alert.Receiver{"data": s.ear},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, a.Close()) })
	a.serving.Store(true)
	s.App = a
	return s
}

// judge records a batch with results of which the given number fail.
func (s *service) judge(dataset string, results, failing int) {
	s.t.Helper()
	r := checks.Report{Version: 1, Dataset: dataset, Batch: s.now.Format(time.RFC3339Nano), At: s.now, Rows: 1000, Verdict: checks.Pass}
	for k := range results {
		res := checks.Result{ID: fmt.Sprint("c", k), Kind: "range", Status: checks.Pass, Severity: checks.SeverityFail}
		if k < failing {
			res.Status, r.Verdict = checks.Fail, checks.Fail
		}
		r.Results = append(r.Results, res)
	}
	require.NoError(s.t, (&storeSink{s.App}).Accept(s.t.Context(), &monitor.Outcome{Report: r}))
}

// pass lets time pass, with what the service does every few seconds.
func (s *service) pass(d time.Duration) {
	s.t.Helper()
	for end := s.now.Add(d); s.now.Before(end); {
		s.now = s.now.Add(watchEvery)
		require.NoError(s.t, s.tick(s.t.Context()))
		s.Flush(s.t.Context())
	}
}

// told requires that the channel knows how every incident stands.
func (s *service) told() []alert.Incident {
	s.t.Helper()
	waiting, err := s.Store.Pending(s.t.Context(), 0)
	require.NoError(s.t, err)
	require.Empty(s.t, waiting, "nothing waits")
	all, err := s.Store.Incidents(s.t.Context(), store.IncidentQuery{})
	require.NoError(s.t, err)
	for _, i := range all {
		require.Positive(s.t, i.Told["data"], "%s was never told", i.Dataset)
	}
	return all
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestLoad sends 10,000 results a minute with 1 % failing through the engine
// for 10 minutes.
func TestLoad(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("a load of ten minutes")
	}
	s := newService(t, alert.Options{})
	rng := rand.New(rand.NewPCG(1, 2))
	var before uint64
	most, recorded := 0, 0
	for minute := range 10 {
		for d := range 100 {
			failing := 0
			for range 100 {
				if rng.IntN(100) == 0 {
					failing++
				}
			}
			s.judge(fmt.Sprintf("load/d%02d", d), 100, failing)
			recorded++
		}
		waiting, err := s.Store.Pending(t.Context(), 0)
		require.NoError(t, err)
		most = max(most, len(waiting))
		s.pass(time.Minute)
		if minute == 2 {
			before = heap()
		}
	}
	after := heap()
	require.Equal(t, 1000, recorded)
	require.LessOrEqual(t, most, 101, "one entry for each incident, and the digest")
	require.Less(t, int64(after)-int64(before), int64(8<<20), "memory is flat: %d, then %d bytes", before, after)
	s.pass(10 * time.Minute)
	all := s.told()
	require.Greater(t, len(all), 90)
	singles := 0
	for _, m := range s.ear.heard {
		if m.Digest == nil && m.Event == alert.EventOpened {
			singles++
		}
	}
	require.LessOrEqual(t, singles, alert.DefaultDigestAbove, "many at once are one story")
	t.Logf("%d incidents, %d messages, at most %d waiting, heap %d to %d kB", len(all), len(s.ear.heard), most, before>>10, after>>10)
}

// TestAnHourWithoutTheChannel lets stories happen while nobody listens.
func TestAnHourWithoutTheChannel(t *testing.T) {
	t.Parallel()
	s := newService(t, alert.Options{DigestAbove: -1})
	s.judge("a/known", 3, 1)
	s.pass(time.Minute)
	require.Len(t, s.ear.heard, 1)
	s.ear.deaf = true
	for k := range 12 {
		s.judge("a/known", 3, 1+k%2)
		s.judge("a/new", 3, 1)
		s.judge("a/over", 3, map[bool]int{true: 1}[k < 6])
		s.pass(5 * time.Minute)
	}
	require.Len(t, s.ear.heard, 1)
	require.Less(t, s.ear.tries, 60, "it is left alone more and more")
	s.ear.deaf = false
	s.pass(10 * time.Minute)
	s.told()
	got := map[string][]string{}
	for _, m := range s.ear.heard[1:] {
		got[m.Incident.Dataset] = append(got[m.Incident.Dataset], string(m.Event))
	}
	require.Equal(t, map[string][]string{"a/known": {"updated"}, "a/new": {"opened"}, "a/over": {"resolved"}}, got, "each story is told once, as it stands now")
	last := 0
	for _, m := range s.ear.heard {
		if m.Incident.Dataset == "a/known" {
			require.Greater(t, m.Incident.Revision, last, "in order")
			last = m.Incident.Revision
		}
	}
}

func TestMoreThanFiveAtOnceAreADigest(t *testing.T) {
	t.Parallel()
	s := newService(t, alert.Options{})
	for k := range 8 {
		s.judge(fmt.Sprint("a/d", k), 3, 1)
	}
	s.pass(time.Minute)
	require.Len(t, s.ear.heard, 1)
	require.Len(t, s.ear.heard[0].Digest.Entries, 8)
	s.judge("a/late", 3, 1) // within ten minutes it joins
	s.pass(time.Minute)
	require.Len(t, s.ear.heard, 2)
	require.Len(t, s.ear.heard[1].Digest.Entries, 9)
	require.Equal(t, "1", s.ear.heard[1].Digest.Thread.Message, "edited in place")
	s.pass(10 * time.Minute)
	s.judge("a/later", 3, 1)
	s.pass(time.Minute)
	require.Equal(t, "a/later", s.ear.heard[2].Incident.Dataset, "later it is a story of its own")
	for range 2 {
		for k := range 8 {
			s.judge(fmt.Sprint("a/d", k), 3, 0)
		}
		s.judge("a/late", 3, 0)
		s.pass(time.Minute)
	}
	last := s.ear.heard[len(s.ear.heard)-1]
	require.True(t, last.Digest.Over())
	s.told()
}

// TestPeopleActThroughTheChannel acknowledges by an action of the channel.
func TestPeopleActThroughTheChannel(t *testing.T) {
	t.Parallel()
	s := newService(t, alert.Options{})
	s.judge("a/b", 3, 1)
	s.pass(time.Minute)
	id := s.ear.heard[0].Incident.ID
	require.NoError(t, s.act(t.Context(), alert.Action{Incident: id, Who: "ann", Do: alert.EventAcknowledged}))
	s.sending.Wait()
	require.Equal(t, "ann", s.ear.heard[1].Incident.AcknowledgedBy)
	require.NoError(t, s.act(t.Context(), alert.Action{Incident: id, Who: "bob", Do: alert.EventSnoozed, For: time.Hour}))
	s.sending.Wait()
	s.pass(2 * time.Hour)
	require.Equal(t, alert.EventWoke, s.ear.heard[3].Event)
	require.NoError(t, s.act(t.Context(), alert.Action{Incident: id, Who: "bob", Do: alert.EventAnswered, Answer: alert.AnswerFineOnce}))
	s.sending.Wait()
	require.Equal(t, alert.EventResolved, s.ear.heard[4].Event)
	require.Error(t, s.act(t.Context(), alert.Action{Incident: id, Do: alert.EventAcknowledged}))
	require.ErrorIs(t, s.act(t.Context(), alert.Action{Incident: "none", Do: alert.EventAnswered, Answer: alert.AnswerFine}), store.ErrNotFound)
	h, err := s.Store.History(t.Context(), store.HistoryQuery{Dataset: "a/b"})
	require.NoError(t, err)
	require.Equal(t, store.LabelFineOnce, *h[0].Label)
}

func TestTheWeeklyMessage(t *testing.T) {
	t.Parallel()
	s := newService(t, alert.Options{Weekly: &alert.WeekTime{Day: time.Monday, At: 9 * time.Hour}})
	s.now = s.now.AddDate(0, 0, 1) // a Tuesday
	s.judge("a/b", 3, 1)
	s.pass(time.Minute)
	s.now = time.Date(2026, 11, 9, 9, 0, 0, 0, time.UTC)
	s.pass(time.Minute)
	require.Equal(t, alert.EventWeekly, s.ear.heard[len(s.ear.heard)-1].Event)
	require.Equal(t, 1, s.ear.heard[len(s.ear.heard)-1].Weekly.Incidents)
	n := len(s.ear.heard)
	s.lastWeekly = time.Time{} // another process
	s.pass(time.Minute)
	require.Len(t, s.ear.heard, n, "once a week")
}

// crashStory is what the process does that is killed.
func crashStory(ctx context.Context, a *App, now *time.Time) error {
	for k, failing := range []int{1, 1, 0, 0} {
		at := time.Date(2026, 11, 2+k, 0, 0, 0, 0, time.UTC)
		r := checks.Report{Version: 1, Dataset: "a/b", Batch: at.Format(time.DateOnly), At: at, Verdict: checks.Pass}
		res := checks.Result{ID: "c", Kind: "range", Status: checks.Pass}
		if failing > 0 {
			res.Status, r.Verdict = checks.Fail, checks.Fail
		}
		r.Results = []checks.Result{res}
		if err := (&storeSink{a}).Accept(ctx, &monitor.Outcome{Report: r}); err != nil {
			return err
		}
		*now = now.Add(time.Minute)
		a.Flush(ctx)
	}
	return nil
}

// TestCrashChild is the process of TestCrash.
func TestCrashChild(t *testing.T) {
	url := os.Getenv("PROFILER_TEST_CRASH")
	if url == "" {
		t.Skip("part of TestCrash")
	}
	now, err := time.Parse(time.RFC3339, os.Getenv("PROFILER_TEST_NOW"))
	require.NoError(t, err)
	base := os.Getenv("PROFILER_TEST_RECEIVER")
	a, err := New(t.Context(), Options{
		Store: url, Now: func() time.Time { return now }, Alerts: alert.Options{Channels: []string{"chat", "hook"}, GroupWait: -1}, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		Channels: map[string]alert.Receiver{
			"chat": slack.Config{Token: secret.New(slacktest.Token), Channel: slacktest.Channel, APIURL: base + "/api/"},
			"hook": webhook.Config{URL: secret.New(base + "/hook")},
		},
	})
	require.NoError(t, err)
	a.serving.Store(true)
	require.NoError(t, crashStory(t.Context(), a, &now))
	require.NoError(t, a.Close())
}

// TestCrash kills the process between every pair of steps, at each time it
// comes by, and lets another one go on.
func TestCrash(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("many processes")
	}
	for _, point := range []string{"before_commit", "after_commit", "after_claim", "after_send", "after_settle"} {
		for nth := 1; nth <= 3; nth++ {
			t.Run(fmt.Sprint(point, nth), func(t *testing.T) {
				t.Parallel()
				crash(t, point, nth)
			})
		}
	}
}

func crash(t *testing.T, point string, nth int) {
	chat := slacktest.New()
	var mu sync.Mutex
	keys := map[string]int{}
	var states []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/hook" {
			chat.ServeHTTP(w, r)
			return
		}
		var b webhook.Body
		_ = json.NewDecoder(r.Body).Decode(&b)
		mu.Lock()
		defer mu.Unlock()
		if keys[r.Header.Get(webhook.KeyHeader)]++; keys[r.Header.Get(webhook.KeyHeader)] == 1 {
			states = append(states, b.Status)
		}
	}))
	defer srv.Close()
	url := "sqlite:" + t.TempDir() + "/p.db"
	start := time.Date(2026, 11, 10, 0, 0, 0, 0, time.UTC)
	child := func(fail string, now time.Time) (string, error) {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCrashChild$", "-test.v")
		cmd.Env = append(os.Environ(), "PROFILER_TEST_CRASH="+url, "PROFILER_TEST_NOW="+now.Format(time.RFC3339), "PROFILER_TEST_RECEIVER="+srv.URL, failpoint.Env+"="+fail)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	out, err := child(fmt.Sprintf("%s:kill:%d", point, nth), start)
	var died *exec.ExitError
	require.ErrorAs(t, err, &died, "it was not killed: %s", out)
	require.Equal(t, -1, died.ExitCode(), out)
	out, err = child("", start.Add(time.Hour))
	require.NoError(t, err, out)

	messages := chat.Messages()
	last := messages[len(messages)-1]
	require.Contains(t, last.Text, "a/b: resolved", "the end is told")
	// Slack cannot deduplicate: a message that was sent and not written down is
	// sent again, and that is counted in the log.
	repeats := strings.Count(out, "a message may have been sent twice")
	require.LessOrEqual(t, len(messages), 1+repeats)
	if point == "before_commit" || point == "after_commit" {
		require.Zero(t, repeats)
	}
	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, "resolved", states[len(states)-1])
	for k := 1; k < len(states); k++ {
		require.False(t, states[k-1] == "resolved" && states[k] == "firing" && point != "none" && k == len(states)-1, "in order")
	}
}

// TestSecretsNeverLeave fails to deliver to receivers that say everything back,
// and looks for marked secrets in whatever the product writes.
// crawl reads every page that links lead to, and the API.
func crawl(t *testing.T, a *App) (text string, n int) {
	t.Helper()
	server, err := api.New(api.Options{History: a.Store})
	require.NoError(t, err)
	todo := []string{"/", "/api/v1/datasets", "/api/v1/datasets/a/d500", "/api/v1/datasets/a/d500/incidents"}
	seen := map[string]bool{}
	links := regexp.MustCompile(`(?:href|src)="(/[^"#]*)`)
	for len(todo) > 0 {
		path := html.UnescapeString(todo[0])
		todo = todo[1:]
		if seen[path] {
			continue
		}
		seen[path] = true
		w := httptest.NewRecorder()
		server.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		require.Equal(t, http.StatusOK, w.Code, path)
		text += w.Body.String()
		for _, m := range links.FindAllStringSubmatch(w.Body.String(), -1) {
			todo = append(todo, m[1])
		}
	}
	return text, len(seen)
}

func TestSecretsNeverLeave(t *testing.T) {
	t.Parallel()
	const canary = "c4n4ry-s3cr3t-0123456789abcdef0a"
	status := http.StatusInternalServerError
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"message": %q, "error": %q}`, r.URL.String()+r.Header.Get("Authorization"), body)
	}))
	defer srv.Close()
	var logs, printed bytes.Buffer
	m, err := metrics.New(metrics.Options{})
	require.NoError(t, err)
	now := time.Now()
	names := []string{"bot", "hook", "web", "am", "pd"}
	a, err := New(t.Context(), Options{
		Store: "sqlite:" + t.TempDir() + "/p.db", Logger: slog.New(slog.NewJSONHandler(&logs, &slog.HandlerOptions{Level: slog.LevelDebug})), Messages: &printed, Metrics: m,
		Now: func() time.Time { return now }, AlertTries: 1, Alerts: alert.Options{Channels: names, GroupWait: -1},
		Channels: map[string]alert.Receiver{
			"bot":  slack.Config{Token: secret.New("xoxb-" + canary), AppToken: secret.New("xapp-" + canary), Channel: "#data", APIURL: srv.URL + "/api/"},
			"hook": slack.Config{WebhookURL: secret.New(srv.URL + "/services/" + canary)},
			"web":  webhook.Config{URL: secret.New(srv.URL + "/" + canary), Secret: secret.New(canary)},
			"am":   alertmanager.Config{URLs: []secret.Text{secret.URL("http://me:" + canary + "@" + strings.TrimPrefix(srv.URL, "http://"))}, Token: secret.New(canary)},
			"pd":   pagerduty.Config{RoutingKey: secret.New(canary), URL: srv.URL},
		},
	})
	require.NoError(t, err)
	defer a.Close()
	s := &service{App: a, t: t, now: now}
	for _, code := range []int{500, 429, 403, 400, 302} {
		status = code
		s.now = s.now.Add(time.Hour)
		s.judge(fmt.Sprint("a/d", code), 2, 1)
		now = now.Add(24 * time.Hour)
		a.Flush(t.Context())
		a.refresh(t.Context())
	}
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	written := logs.String() + printed.String() + w.Body.String()
	for _, query := range []string{"SELECT body FROM incident", "SELECT reason FROM outbox", "SELECT body FROM outbox", "SELECT body FROM digest"} {
		var texts []string
		require.NoError(t, a.Store.DB().Select(t.Context(), &texts, query))
		written += strings.Join(texts, "\n")
	}
	pages, n := crawl(t, a)
	require.Greater(t, n, 10, "pages of five datasets and their batches")
	written += pages
	require.NotContains(t, written, canary)
	require.Contains(t, written, "message not delivered")
	require.Contains(t, w.Body.String(), `profiler_notification_failures_total{channel="pd",reason="client_error"}`)
}
