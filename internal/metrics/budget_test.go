package metrics_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/metrics"
	"github.com/profilerhq/profiler/internal/profile"
)

func sum(t testing.TB, text, prefix string) int {
	t.Helper()
	total := 0.0
	for _, s := range series(text, prefix) {
		v, err := strconv.ParseFloat(s[strings.LastIndexByte(s, ' ')+1:], 64)
		require.NoError(t, err)
		total += v
	}
	return int(total)
}

// wide is a batch with many columns, the even ones named by rules.
func wide(dataset string, columns int) metrics.Batch {
	b := metrics.Batch{Report: checks.Report{Dataset: dataset}, Summary: summary(8)}
	for i := range columns {
		name := fmt.Sprintf("c%03d", i)
		b.Summary.Columns = append(b.Summary.Columns, profile.Column{Name: name, Type: "string", Count: 8})
		if i%2 == 0 {
			b.RuleColumns = append(b.RuleColumns, name)
		}
	}
	b.Report.Results = []checks.Result{result("c", "", checks.Pass)}
	return b
}

func TestBudgetOfADataset(t *testing.T) {
	t.Parallel()
	const fixed = 6 + 5 + 4 + 9 // info and counters, changes, shape, the check
	tests := []struct {
		budget int
		want   string // columns
	}{
		{fixed, ""},
		{fixed + 1, ""},
		{fixed + 2, "0"},
		{fixed + 7, "0 2 4"},
		{fixed + 8, "0 2 4 1"},
		{fixed + 11, "0 2 4 1 3"},
		{fixed + 12, "0 2 4 1 3 5"},
		{1000, "0 2 4 1 3 5"},
	}
	for _, tt := range tests {
		var log bytes.Buffer
		m := newMetrics(t, metrics.Options{Columns: "all", SeriesPerDataset: tt.budget, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		b := wide("shop/orders", 6)
		for range 3 {
			m.Observe(b)
		}
		text := scrape(t, m)
		var got []string
		for _, s := range series(text, "profiler_column_null_ratio{") {
			got = append(got, s[len(`profiler_column_null_ratio{column="c00`):][:1])
		}
		want := strings.Fields(tt.want)
		slices.Sort(want)
		require.Equal(t, strings.Join(want, " "), strings.Join(got, " "), "budget %d", tt.budget)
		require.LessOrEqual(t, sum(t, text, `profiler_metric_series{budget="dataset"}`), tt.budget)
		dropped := max(fixed+12-min(tt.budget, fixed+12)+(min(tt.budget, fixed+12)-fixed)%2, 0)
		require.Equal(t, 3*dropped, sum(t, text, `profiler_metric_series_dropped_total{budget="dataset"}`), "budget %d", tt.budget)
		require.Equal(t, min(dropped, 1), strings.Count(log.String(), "level=WARN"), log.String())
	}
}

func TestOptInFamiliesDropFirst(t *testing.T) {
	t.Parallel()
	p := profileOf(t, map[string][]float64{"a": {1, 2, 3}, "b": {1, 2, 3}})
	b := metrics.Batch{Summary: p.Summary(), Profile: p, Report: report()}
	for _, tt := range []struct{ extra, nulls, means int }{{2, 1, 0}, {4, 2, 0}, {8, 2, 0}, {9, 2, 1}, {14, 2, 2}} {
		m := newMetrics(t, metrics.Options{Columns: "all", Families: metrics.OptIn(), SeriesPerDataset: 15 + tt.extra})
		m.Observe(b)
		text := scrape(t, m)
		require.Len(t, series(text, "profiler_column_null_ratio{"), tt.nulls, tt.extra)
		require.Len(t, series(text, "profiler_column_mean{"), tt.means, tt.extra)
	}
}

// sampleNames returns the names and labels of all samples of datasets.
func sampleNames(text string) []string {
	var out []string
	for _, s := range series(text, "profiler_") {
		if strings.Contains(s, "dataset=") {
			out = append(out, s[:strings.LastIndexByte(s, ' ')])
		}
	}
	return out
}

func TestBudgetOfTheProcess(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	const budget = 200
	m := newMetrics(t, metrics.Options{Columns: "all", Series: budget, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	for i := range 4 {
		m.Observe(wide(fmt.Sprintf("d%d", i), 20))
	}
	first := scrape(t, m)
	total := sum(t, first, "profiler_metric_series{")
	require.LessOrEqual(t, total, budget)
	require.Greater(t, total, budget-40)
	for i := range 4 {
		require.Contains(t, first, fmt.Sprintf(`profiler_dataset_rows{dataset="d%d"}`, i), "columns go before any dataset does")
	}
	before := sum(t, first, `profiler_metric_series_dropped_total{budget="process"}`)
	require.Positive(t, before)
	for i := range 4 {
		m.Observe(wide(fmt.Sprintf("d%d", 3-i), 20))
		require.Equal(t, sampleNames(first), sampleNames(scrape(t, m)), "the exported set stays the same")
	}
	require.Greater(t, sum(t, scrape(t, m), `profiler_metric_series_dropped_total{budget="process"}`), before)
	require.Equal(t, 1, strings.Count(log.String(), "level=WARN"), log.String())
	for i := range 100 {
		m.Step(metrics.Attempt{Pipeline: "p", Step: fmt.Sprint(i)})
	}
	require.LessOrEqual(t, sum(t, scrape(t, m), "profiler_metric_series{"), budget, "steps are bounded too")
	require.Positive(t, sum(t, scrape(t, m), "profiler_runner_units_total"))
}

// TestSeriesGaugeCountsWhatIsExported compares the gauge with the exposition.
func TestSeriesGaugeCountsWhatIsExported(t *testing.T) {
	t.Parallel()
	text := scrape(t, everything(t))
	n := len(series(text, "profiler_"))
	// A native histogram is one series, in text it shows as three.
	native := len(series(text, "profiler_column_values_count"))
	require.Equal(t, n-2*native, sum(t, text, "profiler_metric_series{"))
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	m := newMetrics(t, metrics.Options{Columns: "all", Series: 400})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for j := range 50 {
				m.Observe(wide(fmt.Sprintf("d%d", (i+j)%5), 10+j%3))
				m.Step(metrics.Attempt{Pipeline: "p", Step: fmt.Sprint(j % 7), Took: time.Second, RunID: "r"})
				m.Notification("c", time.Second, "timeout")
				if j%10 == 9 {
					m.Forget("d1")
					m.ForgetPipeline("p")
				}
			}
		})
	}
	for range 50 {
		require.LessOrEqual(t, sum(t, scrape(t, m), "profiler_metric_series{"), 400)
	}
	wg.Wait()
	require.Equal(t, 200, sum(t, scrape(t, m), "profiler_notifications_total"))
}

// BenchmarkScrape encodes 20,000 series in each form, packed as Prometheus asks
// for it.
func BenchmarkScrape(b *testing.B) {
	m := newMetrics(b, metrics.Options{Columns: "all", SeriesPerDataset: 1000})
	for i := range 25 {
		m.Observe(wide(fmt.Sprintf("shop/d%02d", i), 388))
	}
	series := float64(sum(b, scrape(b, m), "profiler_metric_series{"))
	h := m.Handler()
	for _, form := range []struct{ name, accept, encoding string }{
		{"text", "text/plain", ""},
		{"text-gzip", "text/plain", "gzip"},
		{"openmetrics-gzip", "application/openmetrics-text; version=1.0.0", "gzip"},
		{"protobuf-gzip", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited", "gzip"},
	} {
		b.Run(form.name, func(b *testing.B) {
			b.ReportAllocs()
			size := 0
			for b.Loop() {
				w := httptest.NewRecorder()
				r := httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody)
				r.Header.Set("Accept", form.accept)
				r.Header.Set("Accept-Encoding", form.encoding)
				h.ServeHTTP(w, r)
				size = w.Body.Len()
			}
			b.ReportMetric(series, "series")
			b.ReportMetric(float64(size)/1024, "KiB")
		})
	}
}

func BenchmarkObserve(b *testing.B) {
	m := newMetrics(b, metrics.Options{Columns: "all"})
	batch := wide("shop/orders", 100)
	b.ReportAllocs()
	for b.Loop() {
		m.Observe(batch)
	}
}
