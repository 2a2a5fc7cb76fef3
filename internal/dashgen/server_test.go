package dashgen

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/metrics"
	"github.com/profilerhq/profiler/internal/profile"
)

func ptr[T any](v T) *T { return &v }

// observe gives the metrics a batch of each of two datasets: orders is bad at
// step clean of a pipeline, customers is good and, without a pipeline, late.
func observe(m *metrics.Metrics, columns ...string) {
	summary := func(dataset string, at time.Time) *profile.Summary {
		s := &profile.Summary{Dataset: dataset, Rows: 900, Bytes: 80_000, ProfiledAt: at.Format(time.RFC3339Nano)}
		for _, c := range columns {
			s.Columns = append(s.Columns, profile.Column{Name: c, Type: "number", Count: 800, Nulls: 100, Distinct: profile.Estimate{Value: 70}})
		}
		return s
	}
	now := time.Now()
	orders := summary("shop/orders", now)
	orders.Malformed.Count = 7
	check := checks.Result{
		ID: "amount.range", Kind: "range", Column: "amount", Status: checks.Fail, Severity: checks.SeverityFail, Value: profile.FloatScalar(0.03),
		WarnLimit: checks.Zone{Lower: ptr(0.0), Upper: ptr(0.01)}, FailLimit: checks.Zone{Lower: ptr(0.0), Upper: ptr(0.02)}, Failed: ptr(int64(27)),
	}
	drift := checks.Result{
		ID: "amount.drift", Kind: "drift", Column: "amount", Status: checks.Warn, Severity: checks.SeverityFail, Method: "psi",
		Value: profile.FloatScalar(0.15), WarnLimit: checks.Zone{Upper: ptr(0.1)}, FailLimit: checks.Zone{Upper: ptr(0.25)},
	}
	m.Observe(metrics.Batch{
		Summary: orders, Took: time.Second, SourceKind: "csv", Owner: "orders-team", NewestEvent: now.Add(-time.Hour),
		Report: checks.Report{Dataset: "shop/orders", Origin: checks.Origin{Pipeline: "nightly", Step: "clean"}, Results: []checks.Result{check, drift}},
	})
	check.Status = checks.Pass
	m.Observe(metrics.Batch{Summary: summary("shop/customers", now.Add(-72*time.Hour)), Report: checks.Report{Dataset: "shop/customers", Results: []checks.Result{check}}})
	m.Notification("data", time.Second, "timeout")
	m.ConfigLoaded(true, now)
	m.Incidents(map[metrics.IncidentKind]int{{Severity: "fail", Status: "open"}: 1, {Severity: "warn", Status: "snoozed"}: 1})
}

// server is a running Prometheus.
type server struct {
	address string
	log     string // file
	ended   chan struct{}
}

// startPrometheus starts a server that scrapes the target, and stops it at the
// end of the test.
func startPrometheus(t *testing.T, target string) *server {
	t.Helper()
	program, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("prometheus is not installed: run scripts/install-prometheus.sh as root to test the queries of dashboards on a real server")
	}
	free, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := free.Addr().String()
	require.NoError(t, free.Close())
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, "scrape_configs:\n- {job_name: profiler, scrape_interval: 250ms, scrape_timeout: 250ms, static_configs: [{targets: [%q]}]}\n", target), 0o600))
	s := &server{address: "http://" + address, log: filepath.Join(dir, "log"), ended: make(chan struct{})}
	log, err := os.Create(s.log)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), program, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address)
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = log, log, 10*time.Second
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	require.NoError(t, cmd.Start())
	go func() {
		defer close(s.ended)
		_ = cmd.Wait() // it ends by the interrupt; an early end is seen in the log
		log.Close()
	}()
	t.Cleanup(func() { <-s.ended })
	return s
}

// sample is one series of an answer.
type sample struct {
	Metric map[string]string `json:"metric"`
	Value  [2]any            `json:"value"`
}

// get asks the server and decodes the data of the answer into v.
func (s *server) get(t *testing.T, path string, query url.Values, v any) error {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.address+path+"?"+query.Encode(), http.NoBody)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var answer struct {
		Status, Error   string
		Warnings, Infos []string
		Data            json.RawMessage
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return fmt.Errorf("status %d: %w", resp.StatusCode, err)
	}
	if answer.Status != "success" || len(answer.Warnings)+len(answer.Infos) > 0 {
		return fmt.Errorf("%s: %s %v %v", answer.Status, answer.Error, answer.Warnings, answer.Infos)
	}
	return json.Unmarshal(answer.Data, v)
}

func (s *server) query(t *testing.T, expr string) ([]sample, error) {
	t.Helper()
	var data struct{ Result []sample }
	err := s.get(t, "/api/v1/query", url.Values{"query": {expr}}, &data)
	return data.Result, err
}

// await asks until the query has a result.
func (s *server) await(t *testing.T, expr string) {
	t.Helper()
	deadline, again := time.After(60*time.Second), time.NewTicker(50*time.Millisecond)
	defer again.Stop()
	for {
		found, err := s.query(t, expr)
		if err == nil && len(found) > 0 {
			return
		}
		select {
		case <-again.C:
			continue
		case <-s.ended:
		case <-deadline:
		}
		log, _ := os.ReadFile(s.log)
		require.FailNow(t, "no result of "+expr, "%v\n%s", err, log)
	}
}

// expand puts values in the place of variables, as Grafana does.
func expand(t *testing.T, d *Dashboard, text string) string {
	values := map[string]string{"__rate_interval": "1m"}
	for _, v := range d.Templating.List {
		values[v.Name] = v.AllValue
		if value, ok := v.Current.Value.(string); ok && v.AllValue == "" {
			values[v.Name] = value
		}
	}
	if values["dataset"] == "" {
		values["dataset"] = "shop/orders"
	}
	return variableName.ReplaceAllStringFunc(text, func(name string) string {
		require.NotEmpty(t, values[name[1:]], name)
		return values[name[1:]]
	})
}

var labelValues = regexp.MustCompile(`^label_values\((.*), (\w+)\)$`)

func TestQueriesOnServer(t *testing.T) {
	t.Parallel()
	m, err := metrics.New(metrics.Options{Columns: metrics.ColumnsAll})
	require.NoError(t, err)
	observe(m, "amount", "city")
	exporter := httptest.NewServer(m.Handler())
	t.Cleanup(exporter.Close)
	s := startPrometheus(t, strings.TrimPrefix(exporter.URL, "http://"))
	s.await(t, `profiler_profiles_total{dataset="shop/orders"} == 1`)
	observe(m, "amount", "town") // a change of the schema
	s.await(t, `increase(profiler_schema_changes_total{dataset="shop/orders",change="added"}[1m]) > 0`)

	ds, err := All()
	require.NoError(t, err)
	numbers := map[string]string{}
	for _, d := range ds {
		for _, v := range d.Templating.List {
			q, _ := v.Query.(VariableQuery)
			if call := labelValues.FindStringSubmatch(q.Query); call != nil {
				var values []string
				require.NoError(t, s.get(t, "/api/v1/label/"+call[2]+"/values", url.Values{"match[]": {expand(t, &d, call[1])}}, &values), q.Query)
				require.NotEmpty(t, values, q.Query)
			}
			require.Equal(t, v.Type == "query", labelValues.MatchString(q.Query), v.Name)
		}
		for _, a := range d.Annotations.List {
			s.require(t, &d, Target{Expr: a.Expr, LegendFormat: a.TextFormat})
		}
		for _, p := range d.Panels {
			for _, q := range p.Targets {
				found := s.require(t, &d, q)
				if p.Type == "stat" && d.UID == "profiler-overview" {
					numbers[p.Title] = fmt.Sprint(found[0].Value[1])
				}
			}
		}
	}
	require.Equal(t, map[string]string{
		"Datasets": "2", "Datasets that fail": "1", "Datasets outside a limit": "1", "Late datasets": "1", "Active incidents": "2", "Configuration": "1",
	}, numbers)
	verdicts, err := s.query(t, expand(t, &ds[0], newBoard("", "", "", "", `dataset=~"$dataset"`).verdict("dataset")))
	require.NoError(t, err)
	got := map[string]string{}
	for _, v := range verdicts {
		got[v.Metric["dataset"]] = fmt.Sprint(v.Value[1])
	}
	require.Equal(t, map[string]string{"shop/orders": "2", "shop/customers": "0"}, got)
}

// require runs a query at once and over a range, and requires data with the
// labels of the legend.
func (s *server) require(t *testing.T, d *Dashboard, q Target) []sample {
	t.Helper()
	expr := expand(t, d, q.Expr)
	found, err := s.query(t, expr)
	require.NoError(t, err, expr)
	require.NotEmpty(t, found, "no data: %s", expr)
	labels := map[string]string{}
	for _, f := range found {
		maps.Copy(labels, f.Metric)
	}
	for _, l := range legendLabel.FindAllStringSubmatch(q.LegendFormat, -1) {
		require.Contains(t, labels, l[1], expr)
	}
	var data struct{ Result []sample }
	end := time.Now()
	over := url.Values{"query": {expr}, "start": {end.Add(-time.Minute).Format(time.RFC3339Nano)}, "end": {end.Format(time.RFC3339Nano)}, "step": {"5s"}}
	require.NoError(t, s.get(t, "/api/v1/query_range", over, &data), expr)
	require.NotEmpty(t, data.Result, "no data over a range: %s", expr)
	return found
}
