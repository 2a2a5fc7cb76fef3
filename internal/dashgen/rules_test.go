package dashgen

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/dashboards"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/metrics"
	"github.com/profilerhq/profiler/internal/servertest"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

const (
	rulesFolder = folder + "prometheus/"
	runbooks    = "../../docs/runbooks/"
)

// rule is an alerting or a recording rule.
type rule struct {
	file, alert, record, expr, severity string
	annotations                         map[string]string
}

func readRules(t *testing.T) (all []rule) {
	t.Helper()
	files, err := filepath.Glob(rulesFolder + "*.rules.yml")
	require.NoError(t, err)
	require.Len(t, files, 2)
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		docs, diags := yamldoc.Parse(file, data)
		require.NoError(t, diags.Err())
		var errs diag.List
		groups, _ := docs[0].Root().Mapping(&errs).Get("groups").List(&errs)
		for _, g := range groups {
			rules, _ := g.Mapping(&errs).Get("rules").List(&errs)
			for _, n := range rules {
				m := n.Mapping(&errs)
				r := rule{file: filepath.Base(file), alert: m.Get("alert").Raw(), record: m.Get("record").Raw(), expr: m.Get("expr").Raw(), annotations: map[string]string{}}
				if r.alert != "" {
					r.severity = m.Get("labels").Mapping(&errs).Get("severity").Raw()
					for _, e := range m.Get("annotations").Mapping(&errs).Entries() {
						r.annotations[e.Key.Raw()] = e.Value.Raw()
					}
				}
				all = append(all, r)
			}
		}
		require.NoError(t, errs.Err())
	}
	return all
}

// TestRulesAreComplete wants the alerts and records that are promised, each
// with what a person needs who is woken up by it.
func TestRulesAreComplete(t *testing.T) {
	t.Parallel()
	var alerts, records, pages []string
	index, err := os.ReadFile(runbooks + "README.md")
	require.NoError(t, err)
	ds, err := All()
	require.NoError(t, err)
	for _, r := range readRules(t) {
		if r.record != "" {
			records = append(records, r.record)
			continue
		}
		alerts = append(alerts, r.file+" "+r.alert)
		require.NotEmpty(t, r.severity, r.alert)
		for _, a := range []string{"summary", "description", "runbook_url", "dashboard_url"} {
			require.NotEmpty(t, r.annotations[a], "%s has no %s", r.alert, a)
		}
		require.Equal(t, dashboards.RunbookURL+r.alert+".md", r.annotations["runbook_url"])
		uid := regexp.MustCompile(`^` + regexp.QuoteMeta(dashboards.GrafanaURL) + `/d/([\w-]+)\?`).FindStringSubmatch(r.annotations["dashboard_url"])
		require.NotNil(t, uid, "%s: %s", r.alert, r.annotations["dashboard_url"])
		require.True(t, slices.ContainsFunc(ds, func(d Dashboard) bool { return d.UID == uid[1] }), "%s: no dashboard %s", r.alert, uid[1])
		page, err := os.ReadFile(runbooks + r.alert + ".md")
		require.NoError(t, err, "each alert has a runbook")
		for _, part := range []string{"# " + r.alert + "\n", "**What breaks:**", "## First\n\n", "## It is over when\n\n"} {
			require.Contains(t, string(page), part, r.alert)
		}
		require.Contains(t, string(index), "["+r.alert+"]("+r.alert+".md) | ")
		pages = append(pages, r.alert+".md")
	}
	require.ElementsMatch(t, []string{
		"profiler-meta.rules.yml ProfilerDown", "profiler-meta.rules.yml ProfilerDatasetStale", "profiler-meta.rules.yml ProfilerDatasetAbsent",
		"profiler-meta.rules.yml ProfilerCheckErrors", "profiler-meta.rules.yml ProfilerRunOverdue", "profiler-meta.rules.yml ProfilerQueueOld",
		"profiler-meta.rules.yml ProfilerDeadLetterGrowing", "profiler-meta.rules.yml ProfilerRetryStorm", "profiler-meta.rules.yml ProfilerNotificationsFailing",
		"profiler-meta.rules.yml ProfilerSeriesBudgetExceeded", "profiler-meta.rules.yml ProfilerConfigReloadFailed",
		"profiler-checks.rules.yml ProfilerCheckFailed", "profiler-checks.rules.yml ProfilerColumnDrift",
	}, alerts)
	require.ElementsMatch(t, []string{"dataset:profiler_check_pass:ratio", "pipeline_step:profiler_runner_unit_failures:ratio_rate5m"}, records)
	found, err := filepath.Glob(runbooks + "*.md")
	require.NoError(t, err)
	for _, f := range found {
		if name := filepath.Base(f); name != "README.md" {
			require.Contains(t, pages, name, "a runbook of no alert")
		}
	}
}

var grouping = regexp.MustCompile(`\b(?:by|on|group_left) ?\(([^)]*)\)`)

// TestRulesNameMetricsThatExist checks names and labels by the table of the
// exporter, of rules and of runbooks.
func TestRulesNameMetricsThatExist(t *testing.T) {
	t.Parallel()
	labels := []string{"job", "instance"}
	for _, f := range metrics.Families() {
		labels = append(labels, f.Labels...)
	}
	for _, r := range readRules(t) {
		require.Empty(t, lintNames(r.alert+r.record, r.expr))
		for _, m := range grouping.FindAllStringSubmatch(r.expr, -1) {
			for l := range strings.SplitSeq(m[1], ",") {
				require.Contains(t, labels, strings.TrimSpace(l), r.expr)
			}
		}
	}
	found, err := filepath.Glob(runbooks + "*.md")
	require.NoError(t, err)
	for _, f := range found {
		text, err := os.ReadFile(f)
		require.NoError(t, err)
		require.Empty(t, lintNames(f, strings.ReplaceAll(string(text), `"profiler_.*"`, "")))
	}
}

// TestRulesOnPromtool runs the rules' own tests.
func TestRulesOnPromtool(t *testing.T) {
	t.Parallel()
	promtool := servertest.Program(t, "promtool")
	run := func(t *testing.T, args ...string) {
		cmd := exec.CommandContext(t.Context(), promtool, args...)
		cmd.Dir = rulesFolder
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
	}
	run(t, "check", "rules", "profiler-meta.rules.yml", "profiler-checks.rules.yml")
	tests, err := filepath.Glob(rulesFolder + "*.test.yml")
	require.NoError(t, err)
	var text strings.Builder
	for _, f := range tests {
		data, err := os.ReadFile(f)
		require.NoError(t, err)
		text.Write(data)
		t.Run(filepath.Base(f), func(t *testing.T) {
			t.Parallel()
			if testing.Short() && strings.Contains(f, "rhythm") {
				t.Skip("weeks of samples take 8 s")
			}
			run(t, "test", "rules", filepath.Base(f))
		})
	}
	for _, r := range readRules(t) {
		name := r.alert + r.record
		cases := regexp.MustCompile(`(?m)(?:alertname|expr): `+regexp.QuoteMeta(name)+`\n(?:.*\n)??\s+exp_\w+:(.*)$`).FindAllStringSubmatch(text.String(), -1)
		silent := slices.ContainsFunc(cases, func(c []string) bool { return c[1] == " []" })
		fires := slices.ContainsFunc(cases, func(c []string) bool { return c[1] == "" })
		require.True(t, fires && (silent || r.record != ""), "%s: want a test where it fires and one where it does not", name)
	}
}
