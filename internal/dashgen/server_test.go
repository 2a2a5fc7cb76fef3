package dashgen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/app"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/demo"
	"github.com/profilerhq/profiler/internal/metrics"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/rules"
	"github.com/profilerhq/profiler/internal/servertest"
	"github.com/profilerhq/profiler/internal/source"
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

// expand puts values in the place of variables, as Grafana does.
func expand(t *testing.T, d *Dashboard, text string) string {
	values := map[string]string{"__rate_interval": "1m"}
	for _, v := range d.Templating.List {
		values[v.Name] = v.AllValue
		if value, ok := v.Current.Value.(string); ok && v.AllValue == "" {
			values[v.Name] = value
		}
	}
	for name, value := range map[string]string{"dataset": "shop/orders", "column": "amount_eur"} {
		if v, ok := values[name]; ok && v == "" {
			values[name] = value
		}
	}
	return variableName.ReplaceAllStringFunc(text, func(name string) string {
		require.NotEmpty(t, values[name[1:]], name)
		return values[name[1:]]
	})
}

var labelValues = regexp.MustCompile(`^label_values\((.*), (\w+)\)$`)

// scrape starts a Prometheus that scrapes the metrics and evaluates our rules
// without their patience.
func scrape(t *testing.T, m *metrics.Metrics) *servertest.Server {
	t.Helper()
	servertest.Program(t, "prometheus")
	exporter := httptest.NewServer(m.Handler())
	t.Cleanup(exporter.Close)
	dir := t.TempDir()
	for _, name := range []string{"profiler-meta.rules.yml", "profiler-checks.rules.yml"} {
		text, err := os.ReadFile(rulesFolder + name)
		require.NoError(t, err)
		text = regexp.MustCompile(`(?m)^ +for: .*\n`).ReplaceAll(text, nil)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), text, 0o600))
	}
	return servertest.Prometheus(t, dir, fmt.Sprintf(`
global: {evaluation_interval: 1s}
rule_files: ["*.rules.yml"]
scrape_configs:
- {job_name: profiler, scrape_interval: 250ms, scrape_timeout: 250ms, static_configs: [{targets: [%q]}]}
`, strings.TrimPrefix(exporter.URL, "http://")))
}

// live runs the demo, with everything on that dashboards can show.
func live(t *testing.T) (*app.App, *metrics.Metrics, string) {
	t.Helper()
	m, err := metrics.New(metrics.Options{Columns: metrics.ColumnsAll, Families: metrics.OptIn(), Process: true, Version: "1.2.3", Revision: "abc"})
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, demo.Prepare(dir))
	var out, messages bytes.Buffer
	a, err := app.New(t.Context(), app.Options{Store: "sqlite:" + dir + "/h.db", Metrics: m, Messages: &messages})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, a.Close()) })
	_, err = demo.Run(t.Context(), demo.Options{Out: &out, App: a, Messages: &messages, Dir: dir, Seed: 1, Days: 4, Env: os.LookupEnv})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	watched := make(chan struct{})
	go func() { // as the service does
		defer close(watched)
		a.Watch(ctx)
	}()
	require.Eventually(t, func() bool {
		w := httptest.NewRecorder()
		m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics?name[]=profiler_runner_runs_total", http.NoBody))
		return strings.Contains(w.Body.String(), `{pipeline="orders"} 5`)
	}, time.Minute, 10*time.Millisecond)
	stop()
	<-watched
	// What has no part in the demo.
	m.Notification("data", time.Second, "timeout")
	m.NotificationQueue("data", 1)
	m.ConfigLoaded(true, time.Now())
	m.Waited("orders", "clean", 30*time.Millisecond, "", "r1")
	m.Queued(metrics.Queue{Pipeline: "orders", Step: "clean", Waiting: 3, InFlight: 1, Workers: 1, Oldest: time.Now()})
	m.Scaled("orders", "clean", 2)
	m.SourceHeld("orders", false)
	m.Canary("orders", true)
	return a, m, dir
}

// drifts gives the dataset of the last step a batch that is another one: other
// amounts, one more column, a status that was never there.
func drifts(t *testing.T, a *app.App, dir string) {
	t.Helper()
	var b strings.Builder
	b.WriteString("order_id,email,status,amount_eur,created_at,coupon\n")
	for i := range 600 {
		fmt.Fprintf(&b, "Z%d,a%d@example.com,held,%d.5,2026-02-20T%02d:00:00Z,C%d\n", i, i, 900+i, i%24, i%9)
	}
	path := filepath.Join(dir, "2026-02-20.csv")
	require.NoError(t, os.WriteFile(path, []byte(b.String()), 0o600))
	in, err := source.Expand([]string{path}, false)
	require.NoError(t, err)
	r, err := source.Open(t.Context(), in[0], source.Options{})
	require.NoError(t, err)
	defer r.Close()
	lib, diags, err := rules.Load([]string{filepath.Join(dir, "rules", "orders.yaml")}, os.LookupEnv)
	require.NoError(t, errors.Join(err, diags.Err()))
	s := app.Subject("shop/orders", r, lib.Sets)
	s.Batch, s.Origin, s.Side = "2026-02-20", checks.Origin{Pipeline: "orders", Step: "enrich"}, "output"
	s.At = time.Date(2026, 2, 20, 0, 0, 0, 0, time.UTC)
	s.AsOf = s.At.AddDate(0, 0, 1)
	o, err := a.Observe(t.Context(), r, s)
	require.NoError(t, err)
	require.Equal(t, checks.Fail, o.Report.Verdict)
}

// TestQueriesOnServer runs every query of every dashboard on a real Prometheus
// that scraped the demo.
func TestQueriesOnServer(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("the demo and a Prometheus take 10 s")
	}
	servertest.Program(t, "prometheus")
	a, m, dir := live(t)
	s := scrape(t, m)
	s.AwaitResult(t, `profiler_profiles_total{dataset="shop/orders"} == 46`, time.Minute)
	drifts(t, a, dir)
	m.Step(metrics.Attempt{Pipeline: "orders", Step: "clean", Took: time.Second, Reason: metrics.ReasonTimeout, Retry: true, RunID: "r1"})
	m.Waited("orders", "clean", 50*time.Millisecond, "", "r1")
	m.Notification("data", time.Second, "timeout")
	s.AwaitResult(t, `increase(profiler_schema_changes_total{dataset="shop/orders",change="added"}[1m]) > 0`, time.Minute)
	s.AwaitResult(t, `ALERTS{alertname="ProfilerCheckFailed"}`, time.Minute)

	ds, err := All()
	require.NoError(t, err)
	for _, d := range ds {
		for _, v := range d.Templating.List {
			values(t, s, &d, &v)
		}
		for _, a := range d.Annotations.List {
			data(t, s, &d, Target{Expr: a.Expr, LegendFormat: a.TextFormat})
		}
		for _, p := range d.Panels {
			for _, q := range p.Targets {
				data(t, s, &d, q)
			}
		}
	}
	// A native histogram holds the distribution: its median is that of the data.
	median := s.AwaitResult(t, `histogram_quantile(0.5, profiler_column_values{dataset="shop/orders",column="amount_eur"})`, time.Minute)
	require.InEpsilon(t, 1200, value(t, median), 0.1)
	firing := s.AwaitResult(t, `ALERTS{alertname="ProfilerColumnDrift",column="amount_eur",severity="fail",data_owner="orders-team",step="enrich"}`, time.Minute)
	require.Len(t, firing, 1)
	exemplars(t, s)
}

func value(t *testing.T, found []servertest.Sample) (v float64) {
	t.Helper()
	require.Len(t, found, 1)
	_, err := fmt.Sscan(found[0].Number(), &v)
	require.NoError(t, err)
	return v
}

// exemplars wants the run behind an attempt, as the dots on the dashboard of
// pipelines.
func exemplars(t *testing.T, s *servertest.Server) {
	t.Helper()
	var found []struct {
		Exemplars []struct{ Labels map[string]string }
	}
	now := time.Now()
	require.NoError(t, s.API(t.Context(), "/api/v1/query_exemplars", url.Values{
		"query": {`profiler_runner_step_duration_seconds{step="clean"}`},
		"start": {now.Add(-time.Hour).Format(time.RFC3339)}, "end": {now.Add(time.Hour).Format(time.RFC3339)},
	}, &found))
	require.NotEmpty(t, found)
	require.NotEmpty(t, found[0].Exemplars[0].Labels["run_id"])
}

// values wants that the query of a variable has values.
func values(t *testing.T, s *servertest.Server, d *Dashboard, v *Variable) {
	t.Helper()
	q, _ := v.Query.(VariableQuery)
	call := labelValues.FindStringSubmatch(q.Query)
	require.Equal(t, v.Type == "query", call != nil, v.Name)
	if call == nil {
		return
	}
	var values []string
	require.NoError(t, s.API(t.Context(), "/api/v1/label/"+call[2]+"/values", url.Values{"match[]": {expand(t, d, call[1])}}, &values), q.Query)
	require.NotEmpty(t, values, "%s: %s", d.UID, q.Query)
}

// TestNumbersOfTheOverview compares what the overview shows with what is known.
func TestNumbersOfTheOverview(t *testing.T) {
	t.Parallel()
	m, err := metrics.New(metrics.Options{Columns: metrics.ColumnsAll})
	require.NoError(t, err)
	observe(m, "amount", "city")
	s := scrape(t, m)
	s.AwaitResult(t, `profiler_profiles_total{dataset="shop/orders"} == 1`, time.Minute)
	d, err := overview()
	require.NoError(t, err)
	numbers := map[string]string{}
	for _, p := range d.Panels {
		if p.Type == "stat" {
			numbers[p.Title] = data(t, s, &d, p.Targets[0])[0].Number()
		}
	}
	require.Equal(t, map[string]string{
		"Datasets": "2", "Datasets that fail": "1", "Datasets outside a limit": "1", "Late datasets": "1", "Active incidents": "2", "Configuration": "1",
	}, numbers)
	b := newBoard("", "", "", "")
	verdicts, err := s.Query(t.Context(), expand(t, &d, b.verdict("dataset")))
	require.NoError(t, err)
	got := map[string]string{}
	for _, v := range verdicts {
		got[v.Metric["dataset"]] = v.Number()
	}
	require.Equal(t, map[string]string{"shop/orders": "2", "shop/customers": "0"}, got)
}

// data runs a query at once and over a range, and wants data with the labels of
// the legend, and no warning.
func data(t *testing.T, s *servertest.Server, d *Dashboard, q Target) []servertest.Sample {
	t.Helper()
	expr := expand(t, d, q.Expr)
	found, err := s.Query(t.Context(), expr)
	require.NoError(t, err, expr)
	require.NotEmpty(t, found, "%s: no data: %s", d.UID, expr)
	labels := map[string]string{}
	for _, f := range found {
		maps.Copy(labels, f.Metric)
	}
	for _, l := range legendLabel.FindAllStringSubmatch(q.LegendFormat, -1) {
		if q.Datasource.UID == "" && l[1] != "dataset" && l[1] != "severity" {
			continue // a mark shows the labels that it has
		}
		require.Contains(t, labels, l[1], expr)
	}
	var over struct{ Result []servertest.Sample }
	end := time.Now()
	require.NoError(t, s.API(t.Context(), "/api/v1/query_range", url.Values{
		"query": {expr}, "start": {end.Add(-time.Minute).Format(time.RFC3339Nano)}, "end": {end.Format(time.RFC3339Nano)}, "step": {"5s"},
	}, &over), expr)
	require.NotEmpty(t, over.Result, "%s: no data over a range: %s", d.UID, expr)
	return found
}
