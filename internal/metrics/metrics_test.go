package metrics_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/golden"
	"github.com/profilerhq/profiler/internal/metrics"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/servertest"
)

var clock = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newMetrics(t testing.TB, o metrics.Options) *metrics.Metrics {
	t.Helper()
	if o.Now == nil {
		o.Now = func() time.Time { return clock }
	}
	m, err := metrics.New(o)
	require.NoError(t, err)
	return m
}

// scrape returns the text exposition, and requires that the scrape succeeds.
func scrape(t testing.TB, m *metrics.Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	return w.Body.String()
}

// series returns the lines of the samples whose name starts with prefix.
func series(text, prefix string) []string {
	var out []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, prefix) {
			out = append(out, strings.TrimSuffix(line, "\n"))
		}
	}
	return out
}

func ptr[T any](v T) *T { return &v }

// profileOf makes a profile of columns of numbers, by name.
func profileOf(t testing.TB, values map[string][]float64) *profile.Profile {
	t.Helper()
	names := make([]string, 0, len(values))
	for n := range values {
		names = append(names, n)
	}
	slices.Sort(names)
	var cols []batch.Column
	chunk := &batch.Chunk{}
	for _, n := range names {
		cols = append(cols, batch.Column{Name: n})
		var v batch.Vector
		for _, f := range values[n] {
			v.Append(batch.Value{Type: batch.Number, Float: f}, nil)
		}
		chunk.Vectors = append(chunk.Vectors, v)
		chunk.Rows = len(values[n])
	}
	chunk.Filled()
	b := profile.NewBuilder()
	require.NoError(t, b.Add(cols, chunk))
	return b.Finish(cols, profile.Info{Dataset: "shop/orders", ProfiledAt: clock})
}

// summary is a profile of columns with a type each.
func summary(rows int64, columns ...string) *profile.Summary {
	s := &profile.Summary{Dataset: "shop/orders", Rows: rows, Bytes: 10 * rows, ProfiledAt: clock.Format(time.RFC3339)}
	for _, c := range columns {
		name, typ, _ := strings.Cut(c, ":")
		typ, nulls := strings.CutSuffix(typ, "?")
		col := profile.Column{Name: name, Type: typ, Count: rows, Distinct: profile.Estimate{Value: rows / 2}}
		if typ == "null" {
			col.Count, col.Nulls = 0, rows
		} else if nulls {
			col.Count, col.Nulls = rows-rows/4, rows/4
		}
		s.Columns = append(s.Columns, col)
	}
	return s
}

func result(id, column string, status checks.Status) checks.Result {
	return checks.Result{
		ID: id, Kind: "range", Column: column, Status: status, Severity: checks.SeverityFail, Value: profile.FloatScalar(0.03),
		FailLimit: checks.Zone{Upper: ptr(0.0)}, Failed: ptr(int64(30)), Owner: "orders-team", Rule: &checks.Rule{File: "rules/orders.yaml", Line: 12},
	}
}

func report(results ...checks.Result) checks.Report {
	return checks.Report{Dataset: "shop/orders", Results: results}
}

// everything fills every family.
func everything(t testing.TB) *metrics.Metrics {
	t.Helper()
	m := newMetrics(t, metrics.Options{Columns: "all", Families: metrics.OptIn(), Version: "1.2.3", Revision: "abc"})
	p := profileOf(t, map[string][]float64{"amount": {-2, 0, 1, 4, 4, 100}, "qty": {1, 1, 2, 2, 3, 3}})
	drift := checks.Result{
		ID: "amount.drift", Kind: "drift", Column: "amount", Status: checks.Warn, Severity: checks.SeverityFail, Method: "psi",
		Value: profile.FloatScalar(0.15), WarnLimit: checks.Zone{Upper: ptr(0.1)}, FailLimit: checks.Zone{Upper: ptr(0.25)},
	}
	volume := checks.Result{
		ID: "row_count", Kind: "row_count", Status: checks.Fail, Severity: checks.SeverityFail, Value: profile.IntScalar(6),
		WarnLimit: checks.Zone{Lower: ptr(100.0)}, FailLimit: checks.Zone{Lower: ptr(10.0), Upper: ptr(1000.0)},
	}
	m.Observe(metrics.Batch{
		Summary: p.Summary(), Profile: p, Previous: summary(5, "qty:integer", "amount:number?", "gone:string"), Took: 1500 * time.Millisecond,
		SourceKind: "csv", Owner: "orders-team", NewestEvent: clock.Add(-time.Hour), BaselineAt: clock.Add(-24 * time.Hour),
		Report: checks.Report{
			Dataset: "shop/orders", Origin: checks.Origin{Pipeline: "nightly", Step: "clean"},
			Results: []checks.Result{result("amount.range", "amount", checks.Fail), volume, drift},
		},
	})
	m.DeclarePipeline("nightly", "clean")
	m.RunStarted("nightly")
	m.Step(metrics.Attempt{Pipeline: "nightly", Step: "clean", Took: 700 * time.Millisecond, Reason: metrics.ReasonTimeout, Retry: true, Dead: true, TraceID: "4bf92f3577b34da6a3ce929d0e0e4736", RunID: "r1"})
	m.Hook("nightly", "clean", 250*time.Millisecond)
	m.DeadLetters("nightly", "clean", 3)
	m.Waited("nightly", "clean", 90*time.Millisecond, "4bf92f3577b34da6a3ce929d0e0e4736", "r1")
	m.Queued(metrics.Queue{Pipeline: "nightly", Step: "clean", Waiting: 4, InFlight: 2, Oldest: clock.Add(-time.Minute), Workers: 2, Open: true})
	m.DeadLettered("nightly", "clean")
	m.Canary("nightly", true)
	m.Scaled("nightly", "clean", 3)
	m.SourceHeld("nightly", true)
	m.LeasesExpired("nightly", "clean", 1)
	m.Replayed("nightly", "clean", 2)
	m.RunEnded("nightly", false, clock)
	m.RunEnded("nightly", true, clock)
	m.Notification("data", 80*time.Millisecond, "timeout")
	m.NotificationQueue("data", 2)
	m.Suppressed("grouped")
	m.Incidents(map[metrics.IncidentKind]int{{Severity: "fail", Status: "open"}: 2})
	m.ConfigLoaded(true, clock)
	return m
}

func TestExposition(t *testing.T) {
	t.Parallel()
	text := scrape(t, everything(t))
	text = strings.ReplaceAll(text, runtime.Version(), "GOVERSION")
	golden.Equal(t, []byte(text), "testdata/everything.prom")
}

func TestEveryFamilyIsExported(t *testing.T) {
	t.Parallel()
	text := scrape(t, everything(t))
	for _, f := range metrics.Families() {
		require.Contains(t, text, "# HELP "+f.Name+" "+f.Help+"\n")
		require.Contains(t, text, "# TYPE "+f.Name+" "+f.Type+"\n")
		require.Equal(t, f.Type == metrics.Counter, strings.HasSuffix(f.Name, "_total"), f.Name)
		require.Equal(t, f.OptIn, f.Short != "")
		for _, l := range f.Labels {
			require.NotContains(t, []string{"job", "instance", "type", "stage", "service", "owner", "env", "environment", "region", "zone", "cluster", "customer", "le", "quantile"}, l)
		}
	}
	names := regexp.MustCompile(`(?m)^# TYPE (\S+)`).FindAllStringSubmatch(text, -1)
	require.Len(t, names, len(metrics.Families()), "nothing is exported beside the table")
	fs := metrics.Families()
	fs[0].Labels[0] = "changed"
	require.Equal(t, metrics.LabelDataset, metrics.Families()[0].Labels[0], "the table cannot be changed from outside")
}

func TestLint(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	require.NoError(t, reg.Register(everything(t)))
	problems, err := testutil.GatherAndLint(reg)
	require.NoError(t, err)
	require.Empty(t, problems)
}

// TestPedanticWithProcess checks the whole exposition of a service, with the
// metrics of others that it carries.
func TestPedanticWithProcess(t *testing.T) {
	t.Parallel()
	m := newMetrics(t, metrics.Options{Process: true})
	pool := sql.OpenDB(noDatabase{})
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	require.NoError(t, m.RegisterDB("store", pool))
	require.ErrorContains(t, m.RegisterDB("store", pool), "pool store")
	text := scrape(t, m)
	require.Contains(t, text, `go_sql_open_connections{db_name="store"} 0`)
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	require.NoError(t, err)
	for _, p := range problems {
		require.False(t, strings.HasPrefix(p.Metric, "profiler_"), p)
	}
}

// noDatabase cannot be reached: a scrape must not try.
type noDatabase struct{}

func (noDatabase) Connect(context.Context) (driver.Conn, error) {
	panic("a scrape opened a connection")
}
func (noDatabase) Driver() driver.Driver { return nil }

func TestPromtool(t *testing.T) {
	t.Parallel()
	promtool := servertest.Program(t, "promtool")
	cmd := exec.CommandContext(t.Context(), promtool, "check", "metrics")
	cmd.Stdin = strings.NewReader(scrape(t, everything(t)))
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
}

func TestCheckPassed(t *testing.T) {
	t.Parallel()
	warnOnly := func(s checks.Status) checks.Result {
		r := result("c", "", s)
		r.WarnLimit, r.FailLimit = checks.Zone{Upper: ptr(1.0)}, checks.Zone{}
		return r
	}
	both := func(s checks.Status) checks.Result {
		r := result("c", "", s)
		r.WarnLimit = checks.Zone{Lower: ptr(1.0)}
		return r
	}
	softened := func(s checks.Status) checks.Result {
		r := result("c", "", s)
		r.Severity = checks.SeverityWarn
		return r
	}
	bare := func(s checks.Status) checks.Result {
		return checks.Result{ID: "c", Kind: "schema", Status: s, Severity: checks.SeverityFail}
	}
	const fail, warn = `profiler_check_passed{check="c",dataset="shop/orders",severity="fail"} `, `profiler_check_passed{check="c",dataset="shop/orders",severity="warn"} `
	tests := []struct {
		name    string
		results []checks.Result // of one batch after the other
		want    []string
	}{
		{"pass", []checks.Result{both(checks.Pass)}, []string{fail + "1", warn + "1"}},
		{"warn", []checks.Result{both(checks.Warn)}, []string{fail + "1", warn + "0"}},
		{"fail", []checks.Result{both(checks.Fail)}, []string{fail + "0", warn + "0"}},
		{"error never passes", []checks.Result{both(checks.Error)}, []string{fail + "0", warn + "0"}},
		{"only the limit that exists", []checks.Result{warnOnly(checks.Pass)}, []string{warn + "1"}},
		{"warn limit alone, error", []checks.Result{warnOnly(checks.Error)}, []string{warn + "0"}},
		{"a fail that counts as warn", []checks.Result{softened(checks.Warn)}, []string{warn + "0"}},
		{"no numeric limit", []checks.Result{bare(checks.Fail)}, []string{fail + "0"}},
		{"no numeric limit but a warning", []checks.Result{bare(checks.Warn)}, []string{fail + "1", warn + "0"}},
		{"an error without limits keeps the known ones", []checks.Result{warnOnly(checks.Pass), bare(checks.Error)}, []string{warn + "0"}},
		{"learning has no series", []checks.Result{both(checks.Learning)}, nil},
		{"learning again removes the series", []checks.Result{both(checks.Pass), both(checks.Learning)}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := newMetrics(t, metrics.Options{})
			for _, r := range tt.results {
				m.Observe(metrics.Batch{Summary: summary(10), Report: report(r)})
			}
			text := scrape(t, m)
			require.Equal(t, tt.want, series(text, "profiler_check_passed{"))
			require.Equal(t, []string{fmt.Sprintf(`profiler_check_evaluations_total{check="c",dataset="shop/orders"} %d`, len(tt.results))}, series(text, "profiler_check_evaluations_total{"))
		})
	}
}

func TestWorseOfTwoResultsWithOneName(t *testing.T) {
	t.Parallel()
	m := newMetrics(t, metrics.Options{})
	m.Observe(metrics.Batch{Summary: summary(10), Report: report(result("c\xff", "", checks.Pass), result("c\xfe", "", checks.Fail))})
	require.Equal(t, []string{`profiler_check_passed{check="c` + "\uFFFD" + `",dataset="shop/orders",severity="fail"} 0`}, series(scrape(t, m), "profiler_check_passed{"))
}

func TestSchemaChanges(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		batches [][]string
		want    map[string]int // of the last batch alone
	}{
		{"first batch", [][]string{{"a:integer"}}, nil},
		{"same", [][]string{{"a:integer", "b:string?"}, {"a:integer", "b:string?"}}, nil},
		{"added", [][]string{{"a:integer"}, {"a:integer", "b:string", "c:date"}}, map[string]int{"added": 2}},
		{"removed", [][]string{{"a:integer", "b:string"}, {"b:string"}}, map[string]int{"removed": 1}},
		{"renamed", [][]string{{"a:integer"}, {"b:integer"}}, map[string]int{"added": 1, "removed": 1}},
		{"type", [][]string{{"a:integer"}, {"a:string"}}, map[string]int{"type": 1}},
		{"nullable", [][]string{{"a:integer"}, {"a:integer?"}}, map[string]int{"nullable": 1}},
		{"not nullable", [][]string{{"a:integer?"}, {"a:integer"}}, map[string]int{"nullable": 1}},
		{"order", [][]string{{"a:integer", "b:string"}, {"b:string", "a:integer"}}, map[string]int{"order": 1}},
		{"a new column in front is no other order", [][]string{{"a:integer", "b:string"}, {"c:date", "a:integer", "b:string"}}, map[string]int{"added": 1}},
		{"only nulls have no type", [][]string{{"a:integer?"}, {"a:null"}}, nil},
		{"the type before only nulls is remembered", [][]string{{"a:integer?"}, {"a:null"}, {"a:string?"}}, map[string]int{"type": 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := newMetrics(t, metrics.Options{})
			for _, b := range tt.batches {
				m.Observe(metrics.Batch{Summary: summary(8, b...), Report: report()})
			}
			text := scrape(t, m)
			for _, kind := range []string{"added", "removed", "type", "nullable", "order"} {
				require.Contains(t, text, fmt.Sprintf("profiler_schema_changes_total{change=%q,dataset=\"shop/orders\"} %d\n", kind, tt.want[kind]))
			}
			require.Len(t, series(text, "profiler_schema_last_change_timestamp_seconds{"), min(len(tt.want), 1))
		})
	}
}

func TestEmptyBatchSaysNothingOfNulls(t *testing.T) {
	t.Parallel()
	m := newMetrics(t, metrics.Options{})
	for _, rows := range []int64{8, 0, 8} {
		m.Observe(metrics.Batch{Summary: summary(rows, "a:integer?"), Report: report()})
	}
	require.Contains(t, scrape(t, m), `profiler_schema_changes_total{change="nullable",dataset="shop/orders"} 0`)
}

func TestColumns(t *testing.T) {
	t.Parallel()
	tests := []struct {
		columns string
		rules   []string
		want    []string
	}{
		{"rules", nil, []string{"b"}}, // named by a result
		{"rules", []string{"c"}, []string{"b", "c"}},
		{"", nil, []string{"b"}},
		{"all", nil, []string{"a", "b", "c"}},
		{"none", []string{"a"}, nil},
	}
	for _, tt := range tests {
		m := newMetrics(t, metrics.Options{Columns: tt.columns})
		m.Observe(metrics.Batch{Summary: summary(8, "a:integer", "b:string?", "c:date"), Report: report(result("b.range", "b", checks.Pass)), RuleColumns: tt.rules})
		var got []string
		for _, s := range series(scrape(t, m), "profiler_column_null_ratio{") {
			got = append(got, regexp.MustCompile(`column="(.)"`).FindStringSubmatch(s)[1])
		}
		require.Equal(t, tt.want, got, tt.columns)
	}
}

func TestRuleColumnsAreRemembered(t *testing.T) {
	t.Parallel()
	m := newMetrics(t, metrics.Options{})
	columns := func() int { return len(series(scrape(t, m), "profiler_column_null_ratio{")) }
	batch := metrics.Batch{Summary: summary(8, "a:integer", "b:string?"), Report: report()}
	m.Observe(batch)
	require.Equal(t, 0, columns())
	m.Declare(metrics.Known{Dataset: "shop/orders", Columns: []string{"a"}})
	m.Observe(batch)
	require.Equal(t, 1, columns(), "the set does not depend on who recorded the batch")
	batch.RuleColumns = []string{}
	m.Observe(batch)
	require.Equal(t, 0, columns())
}

func TestDrift(t *testing.T) {
	t.Parallel()
	drift := func(status checks.Status, score float64, severity checks.Severity) checks.Result {
		return checks.Result{
			ID: "a.drift", Kind: "drift", Column: "a", Status: status, Severity: severity, Method: "psi", Value: profile.FloatScalar(score),
			WarnLimit: checks.Zone{Upper: ptr(0.1)}, FailLimit: checks.Zone{Upper: ptr(0.25)},
		}
	}
	detected := func(results ...checks.Result) []string {
		m := newMetrics(t, metrics.Options{})
		m.Observe(metrics.Batch{Summary: summary(8, "a:integer"), Report: report(results...)})
		var out []string
		for _, s := range series(scrape(t, m), "profiler_drift_detected{") {
			out = append(out, regexp.MustCompile(`severity="(.*)"} (.)`).ReplaceAllString(s[max(0, strings.Index(s, "severity")):], "$1 $2"))
		}
		return out
	}
	require.Equal(t, []string{"fail 0", "warn 0"}, detected(drift(checks.Pass, 0.5, "fail")), "beyond the limit, but by chance")
	require.Equal(t, []string{"fail 0", "warn 1"}, detected(drift(checks.Warn, 0.15, "fail")))
	require.Equal(t, []string{"fail 1", "warn 1"}, detected(drift(checks.Fail, 0.3, "fail")))
	require.Equal(t, []string{"warn 1"}, detected(drift(checks.Warn, 0.3, "warn")), "fail counts as warn")
	require.Equal(t, []string{"fail 1", "warn 1"}, detected(drift(checks.Pass, 0.01, "fail"), drift(checks.Fail, 0.3, "fail")), "the worse of two")
	learning := drift(checks.Learning, 0, "fail")
	learning.Method, learning.Value = "", profile.Scalar{}
	require.Empty(t, detected(learning))
}

func TestCountersStartAtZero(t *testing.T) {
	t.Parallel()
	m := newMetrics(t, metrics.Options{})
	m.Declare(metrics.Known{Dataset: "shop/orders", Owner: "o", SourceKind: "csv", Checks: []metrics.KnownCheck{{ID: "a.range", Kind: "range", Owner: "o", RuleFile: "r.yaml"}}})
	m.DeclarePipeline("p", "s")
	m.DeclareChannel("c")
	text := scrape(t, m)
	zero := map[string]bool{}
	for _, s := range series(text, "profiler_") {
		name, rest, _ := strings.Cut(s, "{")
		if strings.HasSuffix(name, "_total") {
			require.True(t, strings.HasSuffix(rest, "} 0"), s)
			zero[name] = true
		}
	}
	for _, f := range metrics.Families() {
		require.Equal(t, f.Type == metrics.Counter, zero[f.Name], f.Name)
	}
	require.Len(t, series(text, "profiler_runner_unit_failures_total{"), 7)
	require.Len(t, series(text, "profiler_incidents_active{"), 6)
	require.Empty(t, series(text, "profiler_check_passed"))
	require.Empty(t, series(text, "profiler_dataset_rows"))
}

// TestDeclaredDatasetSettlesAtItsSteps wants one row for each step of a dataset,
// and none beside them that was only declared.
func TestDeclaredDatasetSettlesAtItsSteps(t *testing.T) {
	t.Parallel()
	m := newMetrics(t, metrics.Options{})
	declare := func(ids ...string) {
		k := metrics.Known{Dataset: "shop/orders"}
		for _, id := range ids {
			k.Checks = append(k.Checks, metrics.KnownCheck{ID: id, Kind: "range"})
		}
		m.Declare(k)
	}
	declare("a.range")
	require.Contains(t, scrape(t, m), `profiler_check_failures_total{check="a.range",dataset="shop/orders"} 0`)
	r := report(result("a.range", "a", checks.Fail))
	r.Origin = checks.Origin{Pipeline: "p", Step: "clean"}
	m.Observe(metrics.Batch{Summary: summary(8, "a:integer"), Report: r})
	require.Len(t, series(scrape(t, m), "profiler_dataset_info{"), 1)
	declare("a.range", "b.range") // the rules were reloaded
	text := scrape(t, m)
	require.Len(t, series(text, "profiler_dataset_info{"), 1)
	require.Contains(t, text, `profiler_check_failures_total{check="a.range",dataset="shop/orders",step="clean"} 1`)
	require.Contains(t, text, `profiler_check_failures_total{check="b.range",dataset="shop/orders",step="clean"} 0`)
	m.ProfileFailed("shop/orders", "")
	require.Len(t, series(scrape(t, m), "profiler_dataset_info{"), 2, "it is profiled outside of a pipeline too")
}

func TestDeclareAndFailureKeepTheLastProfile(t *testing.T) {
	t.Parallel()
	m := newMetrics(t, metrics.Options{Columns: "all"})
	m.Observe(metrics.Batch{Summary: summary(8, "a:integer"), Report: report(result("a.range", "a", checks.Fail))})
	m.ProfileFailed("shop/orders", "")
	m.Declare(metrics.Known{Dataset: "shop/orders", Checks: []metrics.KnownCheck{{ID: "a.range", Kind: "range"}, {ID: "b.range", Kind: "range"}}})
	text := scrape(t, m)
	for _, want := range []string{
		`profiler_dataset_rows{dataset="shop/orders"} 8`, `profiler_column_null_ratio{column="a",dataset="shop/orders"} 0`,
		`profiler_profiles_total{dataset="shop/orders"} 2`, `profiler_profile_failures_total{dataset="shop/orders"} 1`,
		`profiler_check_passed{check="a.range",dataset="shop/orders",severity="fail"} 0`, `profiler_check_failures_total{check="a.range",dataset="shop/orders"} 1`,
		`profiler_check_evaluations_total{check="b.range",dataset="shop/orders"} 0`,
	} {
		require.Contains(t, text, want+"\n")
	}
	m.Observe(metrics.Batch{Summary: summary(8, "a:integer"), Report: report()})
	require.Empty(t, series(scrape(t, m), "profiler_check_evaluations_total"), "checks that are gone have no series")
	m.Forget("shop/orders")
	require.NotContains(t, scrape(t, m), "shop/orders")
}

// TestBackfillIsCountedAlone observes a batch of older data after a newer one.
func TestBackfillIsCountedAlone(t *testing.T) {
	t.Parallel()
	m := newMetrics(t, metrics.Options{Columns: "all"})
	batch := func(rows int64, at time.Time, s checks.Status, columns ...string) {
		r := report(result("a.range", "a", s))
		r.At = at
		m.Observe(metrics.Batch{Summary: summary(rows, columns...), Report: r, Took: time.Second})
	}
	batch(8, clock, checks.Pass, "a:integer")
	batch(5, clock.AddDate(0, 0, -1), checks.Fail, "a:string", "b:date")
	text := scrape(t, m)
	for _, want := range []string{
		`profiler_dataset_rows{dataset="shop/orders"} 8`, `profiler_profiles_total{dataset="shop/orders"} 2`, `profiler_profiled_rows_total{dataset="shop/orders"} 13`,
		`profiler_check_passed{check="a.range",dataset="shop/orders",severity="fail"} 1`, `profiler_check_failures_total{check="a.range",dataset="shop/orders"} 1`,
		`profiler_check_evaluations_total{check="a.range",dataset="shop/orders"} 2`, `profiler_schema_changes_total{change="type",dataset="shop/orders"} 0`,
		"profiler_profile_duration_seconds_count 2",
	} {
		require.Contains(t, text, want+"\n")
	}
	batch(9, clock, checks.Pass, "a:integer") // the same batch again
	require.Contains(t, scrape(t, m), "profiler_dataset_rows{dataset=\"shop/orders\"} 9\n")
}

func TestQueueWithoutWaitingUnitsHasNoOldest(t *testing.T) {
	t.Parallel()
	m := newMetrics(t, metrics.Options{})
	const oldest = "profiler_runner_queue_oldest_unit_timestamp_seconds{"
	m.Queued(metrics.Queue{Pipeline: "p", Step: "s", Waiting: 3, Oldest: clock})
	require.Len(t, series(scrape(t, m), oldest), 1)
	before := sum(t, scrape(t, m), "profiler_metric_series{")
	m.Queued(metrics.Queue{Pipeline: "p", Step: "s", InFlight: 2, Workers: 4})
	text := scrape(t, m)
	require.Empty(t, series(text, oldest))
	require.Equal(t, before-1, sum(t, text, "profiler_metric_series{"))
	require.Contains(t, text, `profiler_runner_workers{pipeline="p",step="s"} 4`)
}

func TestForgetLive(t *testing.T) {
	t.Parallel()
	m := everything(t)
	before := sum(t, scrape(t, m), "profiler_metric_series{")
	m.ForgetPipeline("nightly")
	m.ForgetChannel("data")
	text := scrape(t, m)
	require.Empty(t, series(text, "profiler_runner_"))
	require.Empty(t, series(text, "profiler_notifications_total"))
	require.Less(t, sum(t, text, "profiler_metric_series{"), before)
}

func TestHostileLabelValues(t *testing.T) {
	t.Parallel()
	hostile := []string{"a\"b", "a\nb", `a\b`, "a\xffb", "a\xfeb", "\x00", "", "{}", "#", strings.Repeat("é", 10_000), "語 ", "a\xff"}
	m := newMetrics(t, metrics.Options{Columns: "all", Families: metrics.OptIn(), SeriesPerDataset: 5000})
	for _, name := range hostile {
		s := summary(8)
		var results []checks.Result
		for _, c := range hostile {
			s.Columns = append(s.Columns, profile.Column{Name: c, Type: "string"})
			r := result(c, c, checks.Fail)
			r.Owner, r.Kind, r.Rule, r.Method = c, c, &checks.Rule{File: c}, c
			results = append(results, r)
		}
		m.Observe(metrics.Batch{Summary: s, Report: checks.Report{Dataset: name, Origin: checks.Origin{Pipeline: name, Step: name}, Results: results}, SourceKind: name, Owner: name})
		m.Step(metrics.Attempt{Pipeline: name, Step: name, Reason: name, TraceID: name, RunID: name})
		m.RunStarted(name)
		m.Notification(name, 0, name)
	}
	reg := prometheus.NewPedanticRegistry()
	require.NoError(t, reg.Register(m))
	_, err := reg.Gather()
	require.NoError(t, err)
	text := scrape(t, m)
	require.Contains(t, text, `dataset="a\"b"`)
	require.Contains(t, text, `dataset="a\nb"`)
	for line := range strings.Lines(text) {
		require.Less(t, len(line), 4000)
	}
	for _, accept := range []string{"application/openmetrics-text; version=1.0.0", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"} {
		req := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		req.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		m.Handler().ServeHTTP(w, req)
		require.Equal(t, http.StatusOK, w.Code)
		require.Contains(t, w.Header().Get("Content-Type"), strings.Split(accept, ";")[0])
	}
}

func TestValuesAsNativeHistogram(t *testing.T) {
	t.Parallel()
	values := make([]float64, 0, 2000)
	for i := range 1000 {
		v := math.Exp(float64(i-500) / 20)
		values = append(values, v, -v)
	}
	m := newMetrics(t, metrics.Options{Columns: "all", Families: []string{"values"}})
	p := profileOf(t, map[string][]float64{"a": append(values, 0, 0)})
	m.Observe(metrics.Batch{Summary: p.Summary(), Profile: p, Report: report()})
	reg := prometheus.NewPedanticRegistry()
	require.NoError(t, reg.Register(m))
	families, err := reg.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() != "profiler_column_values" {
			continue
		}
		h := f.GetMetric()[0].GetHistogram()
		require.Equal(t, uint64(2002), h.GetSampleCount())
		require.Equal(t, uint64(2), h.GetZeroCount())
		buckets := len(h.GetPositiveDelta()) + len(h.GetNegativeDelta())
		require.LessOrEqual(t, buckets, 160)
		require.Greater(t, buckets, 80, "wider than needed")
		return
	}
	t.Fatal("no histogram")
}

func TestValuesWithoutANumber(t *testing.T) {
	t.Parallel()
	m := newMetrics(t, metrics.Options{Columns: "all", Families: []string{"values"}})
	p := profileOf(t, map[string][]float64{"a": {1, 2, math.Inf(1), math.Inf(-1), math.NaN()}, "b": {math.NaN(), math.NaN(), math.NaN(), math.NaN(), math.NaN()}})
	m.Observe(metrics.Batch{Summary: p.Summary(), Profile: p, Report: report()})
	text := scrape(t, m)
	require.Equal(t, []string{`profiler_column_values_count{column="a",dataset="shop/orders"} 2`}, series(text, "profiler_column_values_count"))
	require.Equal(t, []string{`profiler_column_values_sum{column="a",dataset="shop/orders"} 3`}, series(text, "profiler_column_values_sum"))
}

func TestOptions(t *testing.T) {
	t.Parallel()
	_, err := metrics.New(metrics.Options{Columns: "some", Families: []string{"median"}, SeriesPerDataset: -1, Series: 3})
	require.EqualError(t, err, `columns "some" is none of rules, all and none
family "median" is none of min, max, mean, stddev, values
series per dataset is -1: give 1 or more
series is 3: give 32 or more`)
}

func TestBucketsOfValues(t *testing.T) {
	t.Parallel()
	// Bucket i of schema 2 holds the values in (2^((i-1)/4), 2^(i/4)].
	for v, want := range map[float64]int32{1: 0, 2: 4, 1.9999: 4, 2.0001: 5, 0.5: -4, 1024: 40, 1e300: 3987, math.SmallestNonzeroFloat64: 0} {
		m := newMetrics(t, metrics.Options{Columns: "all", Families: []string{"values"}})
		p := profileOf(t, map[string][]float64{"a": {v, v}})
		m.Observe(metrics.Batch{Summary: p.Summary(), Profile: p, Report: report()})
		reg := prometheus.NewPedanticRegistry()
		require.NoError(t, reg.Register(m))
		families, err := reg.Gather()
		require.NoError(t, err)
		for _, f := range families {
			if f.GetName() != "profiler_column_values" {
				continue
			}
			h := f.GetMetric()[0].GetHistogram()
			require.Equal(t, int32(2), h.GetSchema())
			require.Equal(t, uint64(2), h.GetSampleCount())
			if v < 1e-300 {
				require.Equal(t, uint64(2), h.GetZeroCount(), v)
				continue
			}
			require.Equal(t, want, h.GetPositiveSpan()[0].GetOffset(), v)
			require.Equal(t, []int64{2}, h.GetPositiveDelta(), v)
		}
	}
}
