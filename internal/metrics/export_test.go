package metrics_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/metrics"
	"github.com/profilerhq/profiler/internal/servertest"
)

func TestWriteTextfile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "p.prom")
	m := everything(t)
	require.NoError(t, m.WriteTextfile(path))
	require.NoError(t, m.WriteTextfile(path), "it replaces the file")
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, scrape(t, m), string(got))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "nothing is left beside it")
	require.ErrorContains(t, m.WriteTextfile(filepath.Join(dir, "no", "p.prom")), "write metrics to ")
}

func TestPush(t *testing.T) {
	t.Parallel()
	type request struct {
		method, path, user, body string
	}
	var got request
	status := http.StatusOK
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		user, password, _ := r.BasicAuth()
		got = request{r.Method, r.URL.Path, user + ":" + password, string(body)}
		w.WriteHeader(status)
	}))
	t.Cleanup(srv.Close)
	m := everything(t)
	require.NoError(t, m.Push(t.Context(), srv.URL, map[string]string{"pipeline": "nightly"}))
	require.Equal(t, http.MethodPut, got.method)
	require.Equal(t, "/metrics/job/profiler/pipeline/nightly", got.path)
	require.Contains(t, got.body, "profiler_runner_runs_total")
	require.NotContains(t, got.body, "nightly", "the gateway adds the label")
	require.Contains(t, scrape(t, m), `profiler_runner_runs_total{pipeline="nightly"} 1`, "the series themselves are not changed")

	require.NoError(t, m.Push(t.Context(), strings.Replace(srv.URL, "http://", "http://me:canary@", 1), map[string]string{"job": "other"}))
	require.Equal(t, "/metrics/job/other", got.path)
	require.Equal(t, "me:canary", got.user)
	require.Contains(t, got.body, "nightly")

	require.ErrorContains(t, m.Push(t.Context(), srv.URL, map[string]string{"pipeline": "another"}), "pipeline", "series of two pipelines cannot share a group")

	status = http.StatusBadRequest
	err := m.Push(t.Context(), strings.Replace(srv.URL, "http://", "http://me:canary@", 1), nil)
	require.ErrorContains(t, err, "push metrics to 127.0.0.1:")
	require.NotContains(t, err.Error(), "canary")
	for _, bad := range []string{"", "host:9091", "ftp://h", "http://", "http://u:canary@h\x7f"} {
		err := m.Push(t.Context(), bad, nil)
		require.EqualError(t, err, "push metrics: the address is not of the form http://HOST:PORT", bad)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, m.Push(ctx, srv.URL, nil), context.Canceled)
}

// TestPushgateway pushes twice to a real gateway: a push replaces its group and no
// other, and native histograms survive.
func TestPushgateway(t *testing.T) {
	t.Parallel()
	gateway := servertest.Pushgateway(t)
	shown := func(accept string) string {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, gateway.URL+"/metrics", http.NoBody)
		require.NoError(t, err)
		req.Header.Set("Accept", accept)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return string(body)
	}
	m := everything(t)
	require.NoError(t, m.Push(t.Context(), gateway.URL, map[string]string{"pipeline": "nightly"}))
	require.NoError(t, newMetrics(t, metrics.Options{}).Push(t.Context(), gateway.URL, nil))
	text := shown("")
	require.Contains(t, text, `profiler_runner_units_total{instance="",job="profiler",pipeline="nightly",step="clean"} 1`)
	require.Contains(t, text, `profiler_check_passed{check="row_count",dataset="shop/orders",instance="",job="profiler",pipeline="nightly",severity="fail",step="clean"} 0`)
	require.Contains(t, text, `push_time_seconds{instance="",job="profiler"} `)
	require.NotContains(t, text, "r1", "no run is a label")
	const protobuf = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
	require.Contains(t, shown(protobuf), "profiler_column_values")

	m.RunStarted("nightly")
	m.Forget("shop/orders")
	require.NoError(t, m.Push(t.Context(), gateway.URL, map[string]string{"pipeline": "nightly"}))
	text = shown("")
	require.Contains(t, text, `profiler_runner_runs_total{instance="",job="profiler",pipeline="nightly"} 2`)
	require.NotContains(t, text, "shop/orders", "the group is replaced as a whole")
}

func TestHandler(t *testing.T) {
	t.Parallel()
	m := everything(t)
	get := func(query, accept string) string {
		req := httptest.NewRequest(http.MethodGet, "/metrics"+query, nil)
		req.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		m.Handler().ServeHTTP(w, req)
		require.Equal(t, http.StatusOK, w.Code)
		return w.Body.String()
	}
	require.Len(t, regexp.MustCompile(`(?m)^# TYPE`).FindAllString(get("?name[]=profiler_build_info", ""), -1), 1)
	open := get("", "application/openmetrics-text; version=1.0.0")
	require.Contains(t, open, `run_id="r1"`)
	require.Contains(t, open, `trace_id="4bf92f3577b34da6a3ce929d0e0e4736"`)
	require.True(t, strings.HasSuffix(open, "# EOF\n"))
}

func TestProcessMetrics(t *testing.T) {
	t.Parallel()
	m := newMetrics(t, metrics.Options{Process: true})
	scrape(t, m)
	text := scrape(t, m)
	for _, name := range []string{"go_goroutines", "process_start_time_seconds", "promhttp_metric_handler_requests_total"} {
		require.Contains(t, text, "\n"+name)
	}
	require.NoError(t, m.Registerer().Register(prometheus.NewGauge(prometheus.GaugeOpts{Name: "other", Help: "Other."})))
	require.Contains(t, scrape(t, m), "\nother 0\n")
	require.NotContains(t, scrape(t, newMetrics(t, metrics.Options{})), "go_goroutines")
}
