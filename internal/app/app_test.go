package app_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/alert"
	"github.com/profilerhq/profiler/internal/alert/slack"
	"github.com/profilerhq/profiler/internal/alert/slack/slacktest"
	"github.com/profilerhq/profiler/internal/api"
	"github.com/profilerhq/profiler/internal/app"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/dbtest"
	"github.com/profilerhq/profiler/internal/metrics"
	"github.com/profilerhq/profiler/internal/monitor"
	"github.com/profilerhq/profiler/internal/rules"
	"github.com/profilerhq/profiler/internal/secret"
	"github.com/profilerhq/profiler/internal/source"
	"github.com/profilerhq/profiler/internal/store"
)

const orderRules = `
version: 1
dataset: shop/orders
owner: orders-team
key: [order_id]
checks:
  - change: {of: row_count, against: previous, max: 50%}
columns:
  order_id: [not_null, unique]
  amount: [{range: {min: 0}}, {drift: {method: psi, fail: 3}}]
`

// batchOf writes a CSV of n orders with the given amounts and observes it as
// the batch of a day.
func batchOf(t *testing.T, a *app.App, day int, n int, amount func(i int) int) *monitor.Outcome {
	t.Helper()
	var b strings.Builder
	b.WriteString("order_id,amount\n")
	for i := range n {
		fmt.Fprintf(&b, "A%d,%d\n", i, amount(i))
	}
	path := filepath.Join(t.TempDir(), fmt.Sprintf("2026-03-%02d.csv", day))
	require.NoError(t, os.WriteFile(path, []byte(b.String()), 0o600))
	in, err := source.Expand([]string{path}, false)
	require.NoError(t, err)
	r, err := source.Open(t.Context(), in[0], source.Options{})
	require.NoError(t, err)
	defer r.Close()
	sets, diags := rules.Parse("rules/orders.yaml", []byte(orderRules), os.LookupEnv)
	require.NoError(t, diags.Err())
	s := app.Subject("shop/orders", r, sets)
	s.At = time.Date(2026, 3, day, 0, 0, 0, 0, time.UTC)
	s.Batch = fmt.Sprintf("2026-03-%02d", day)
	o, err := a.Monitor.Observe(t.Context(), r, s)
	require.NoError(t, err)
	a.Tell(t.Context())
	return o
}

func good(i int) int { return 10 + i%90 }

func status(o *monitor.Outcome, id string) checks.Status {
	for _, r := range o.Report.Results {
		if r.ID == id {
			return r.Status
		}
	}
	return checks.Error
}

// TestTheWholeFlow sends days through the product as production does, on both
// databases: judged against the history, told to Slack once, shown over HTTP.
func TestTheWholeFlow(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		fake := slacktest.Start()
		defer fake.Close()
		m, err := metrics.New(metrics.Options{})
		require.NoError(t, err)
		a, err := app.New(t.Context(), app.Options{
			Store: url, Metrics: m,
			Channels: map[string]alert.Receiver{"data": slack.Config{Token: secret.New(slacktest.Token), Channel: "#data", APIURL: fake.URL}},
			Alerts:   alert.Options{Channels: []string{"data"}},
		})
		require.NoError(t, err)
		defer a.Close()

		first := batchOf(t, a, 1, 1_000, good)
		require.Equal(t, checks.Learning, status(first, "change"))
		require.Equal(t, checks.Pass, first.Report.Verdict)
		require.Equal(t, checks.Pass, batchOf(t, a, 2, 1_100, good).Report.Verdict)
		require.Empty(t, fake.Messages())

		lost := batchOf(t, a, 3, 400, good)
		require.Equal(t, checks.Fail, status(lost, "change"))
		require.Equal(t, checks.Pass, status(lost, "amount.drift"))
		require.Len(t, fake.Messages(), 1)
		require.Contains(t, fake.Messages()[0].Text, "shop/orders")
		require.Contains(t, fake.Messages()[0].Text, "row_count is 400, the previous batch had 1,100")

		shifted := batchOf(t, a, 4, 500, func(i int) int { return 5_000 + i })
		require.Equal(t, checks.Fail, status(shifted, "amount.drift"))
		require.Equal(t, checks.Pass, status(shifted, "change"), "the failed day is accepted: it did not end in error")
		require.Len(t, fake.Messages(), 1, "edited in place")
		require.Equal(t, 1, fake.Messages()[0].Edits)

		batchOf(t, a, 5, 520, good)
		require.Empty(t, fake.Messages()[0].Replies)
		batchOf(t, a, 6, 540, good)
		require.Len(t, fake.Messages()[0].Replies, 1, "two healthy batches resolve it")
		open, err := a.Store.Incidents(t.Context(), store.IncidentQuery{Open: true})
		require.NoError(t, err)
		require.Empty(t, open)

		// The same batch again supersedes; a late one is judged by what was before it.
		again := batchOf(t, a, 6, 545, good)
		require.Equal(t, checks.Pass, again.Report.Verdict)
		late := batchOf(t, a, 2, 300, good)
		require.Equal(t, checks.Fail, status(late, "change"), "against day 1")
		h, err := a.Store.History(t.Context(), store.HistoryQuery{Dataset: "shop/orders"})
		require.NoError(t, err)
		require.Len(t, h, 6)
		requireHTTP(t, a)
	})
}

// requireHTTP starts the service and reads what it shows.
func requireHTTP(t *testing.T, a *app.App) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	address := make(chan string, 1)
	done := make(chan error, 1)
	go func() {
		done <- a.Serve(ctx, app.ServeOptions{ServeOptions: api.ServeOptions{Address: "127.0.0.1:0", Listening: func(url string) { address <- url }}, Version: "test"})
	}()
	base := <-address
	get := func(path string) string {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+path, nil)
		require.NoError(t, err)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, resp.StatusCode, path)
		return string(body)
	}
	exposition := get("/metrics")
	require.Contains(t, exposition, `profiler_check_passed{check="amount.range",dataset="shop/orders",severity="fail"} 1`)
	require.Contains(t, exposition, `profiler_notifications_total{channel="data"}`)
	require.Contains(t, exposition, `profiler_check_evaluations_total{check="change",dataset="shop/orders"} 8`+"\n", "the service does not count its own batches again")
	require.Contains(t, get("/"), "shop/orders")
	require.Contains(t, get("/api/v1/datasets"), `"shop/orders"`)
	get("/-/healthy")
	get("/-/ready")
	stop()
	require.NoError(t, <-done)
}

// TestSlackDownLosesNothing keeps messages in the outbox until Slack is back.
func TestSlackDownLosesNothing(t *testing.T) {
	t.Parallel()
	fake := slacktest.Start()
	defer fake.Close()
	url := dbtest.SQLite(t)
	faults := make([]slacktest.Fault, 20)
	for i := range faults {
		faults[i] = slacktest.Fault{Status: http.StatusInternalServerError}
	}
	fake.Misbehave(faults...)
	opts := app.Options{
		Store: url, AlertTimeout: 300 * time.Millisecond, Messages: &bytes.Buffer{},
		Channels: map[string]alert.Receiver{"data": slack.Config{Token: secret.New(slacktest.Token), Channel: "#data", APIURL: fake.URL}},
		Alerts:   alert.Options{Channels: []string{"data"}},
	}
	a, err := app.New(t.Context(), opts)
	require.NoError(t, err)
	bad := batchOf(t, a, 1, 100, func(i int) int { return i - 50 })
	require.Equal(t, checks.Fail, bad.Report.Verdict)
	require.Empty(t, fake.Messages())
	pending, err := a.Store.Pending(t.Context(), 0)
	require.NoError(t, err)
	require.Len(t, pending, 1)
	require.Positive(t, pending[0].Attempts)
	require.NoError(t, a.Close())

	fake.Misbehave() // Slack is back, the process is another one
	back := slacktest.Start()
	defer back.Close()
	opts.Channels["data"] = slack.Config{Token: secret.New(slacktest.Token), Channel: "#data", APIURL: back.URL}
	opts.Now = func() time.Time { return time.Now().Add(time.Hour) } // the message was put off
	a, err = app.New(t.Context(), opts)
	require.NoError(t, err)
	defer a.Close()
	a.Flush(t.Context())
	require.Len(t, back.Messages(), 1)
	pending, err = a.Store.Pending(t.Context(), 0)
	require.NoError(t, err)
	require.Empty(t, pending)
	a.Flush(t.Context())
	require.Len(t, back.Messages(), 1, "told once")
}

func TestUnreachableStore(t *testing.T) {
	t.Parallel()
	_, err := app.New(t.Context(), app.Options{Store: "postgres://user:hunter2@127.0.0.1:1/db?sslmode=disable"})
	var st *app.StoreError
	require.ErrorAs(t, err, &st)
	require.NotContains(t, err.Error(), "hunter2")
	require.Contains(t, err.Error(), "127.0.0.1:1")
}
