package dashgen

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/golden"
	"github.com/profilerhq/profiler/internal/metrics"
)

const folder = "../../dashboards/"

func TestFiles(t *testing.T) {
	t.Parallel()
	ds, err := All()
	require.NoError(t, err)
	var want []string
	for _, d := range ds {
		b, err := d.JSON()
		require.NoError(t, err)
		golden.Equal(t, b, folder+d.UID+".json")
		want = append(want, filepath.FromSlash(folder+d.UID+".json"))
	}
	found, err := filepath.Glob(folder + "*.json")
	require.NoError(t, err)
	require.ElementsMatch(t, want, found, "a file that nothing makes")
}

func TestUnknownMetricFails(t *testing.T) {
	t.Parallel()
	b := newBoard("u", "", "", "")
	b.add(lines("", "", "", Target{Expr: b.increase("step", "profiler_gone_total")}), 1, 1)
	_, err := b.finish()
	require.EqualError(t, err, "dashboard u: there is no metric profiler_gone_total: use a name of metrics.Families")
}

const nameOfMetric = `\b(?:profiler|process|go|promhttp)_\w+|\bup\b|\bALERTS\b`

// others are the metrics of client_golang and of Prometheus that panels show.
var others = []string{
	"up", "ALERTS", "process_resident_memory_bytes", "process_cpu_seconds_total", "go_goroutines", "promhttp_metric_handler_requests_total",
	"go_sql_in_use_connections", "go_sql_open_connections", "go_sql_wait_duration_seconds_total",
}

var (
	metricName   = regexp.MustCompile(nameOfMetric)
	selector     = regexp.MustCompile(`(\w*)\(?(` + nameOfMetric + `)\{([^}]*)\}(\[[^\]]*\])?`)
	variableName = regexp.MustCompile(`\$\{?(\w+)`)
	legendLabel  = regexp.MustCompile(`\{\{(\w+)\}\}`)
)

// lint returns what is wrong with a dashboard.
func lint(d *Dashboard) (found []string) {
	say := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	vars := map[string]Variable{}
	for _, v := range d.Templating.List {
		vars[v.Name] = v
		if q, ok := v.Query.(VariableQuery); ok {
			found = append(found, lintNames("variable "+v.Name, q.Query)...)
		}
	}
	if vars["datasource"].Type != "datasource" {
		say("no variable datasource")
	}
	for _, name := range []string{"job", "instance"} {
		if v := vars[name]; !v.Multi || !v.IncludeAll || v.AllValue != all {
			say("variable %s: want multi with all value %s", name, all)
		}
	}
	expr := func(where, e string) {
		found = append(found, lintNames(where, e)...)
		found = append(found, lintSelectors(where, e)...)
		for _, m := range variableName.FindAllStringSubmatch(e, -1) {
			if _, ok := vars[m[1]]; !ok && m[1] != "__rate_interval" {
				say("%s: no variable %s", where, m[1])
			}
		}
	}
	for _, a := range d.Annotations.List {
		expr("annotation "+a.Name, a.Expr)
	}
	cells := map[[2]int]int{}
	for _, p := range d.Panels {
		where := fmt.Sprintf("panel %d %s", p.ID, p.Title)
		if p.Title == "" || !strings.Contains(p.Description, "If ") {
			say("%s: want a title and a description that says what to do", where)
		}
		if !slices.Contains([]string{unitCount, unitRatio, unitBytes, unitSeconds, unitRate, unitByteRate}, p.FieldConfig.Defaults.Unit) {
			say("%s: no unit", where)
		}
		if _, ok := vars[p.Repeat]; p.Repeat != "" && !ok {
			say("%s: no variable %s", where, p.Repeat)
		}
		if len(p.Targets) == 0 {
			say("%s: no query", where)
		}
		for _, q := range p.Targets {
			if q.Datasource.UID != "${datasource}" || p.Datasource.UID != "${datasource}" {
				say("%s: the data source is fixed", where)
			}
			if q.Instant == q.Range {
				say("%s: want either instant or range", where)
			}
			expr(where, q.Expr)
		}
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				at := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				if cells[at] != 0 || at[0] > 23 {
					say("%s: lies on panel %d or beside the grid", where, cells[at])
					return found
				}
				cells[at] = p.ID
			}
		}
	}
	return found
}

func lintNames(where, text string) (found []string) {
	for _, name := range metricName.FindAllString(text, -1) {
		if !slices.Contains(others, name) && typeOf(name) == "" {
			found = append(found, where+": no metric "+name)
		}
	}
	return found
}

// typeOf returns the type of a metric of ours, "" for others.
func typeOf(name string) string {
	for _, f := range metrics.Families() {
		if f.Name == name {
			return f.Type
		}
	}
	return ""
}

func lintSelectors(where, e string) (found []string) {
	all := selector.FindAllStringSubmatch(e, -1)
	if n := len(metricName.FindAllString(e, -1)); n == 0 || n != len(all) {
		found = append(found, where+": a metric without matchers, or no metric")
	}
	for _, m := range all {
		function, name, matchers, window := m[1], m[2], m[3], m[4]
		if !strings.Contains(matchers, `job=~"$job"`) || !strings.Contains(matchers, `instance=~"$instance`) {
			found = append(found, where+": no matcher of job and instance at "+name)
		}
		growth := function == "rate" || function == "increase"
		counter := strings.HasSuffix(name, "_total") || typeOf(name) == metrics.Histogram
		if name == "profiler_column_values" { // a state, in spite of its type
			counter = false
		}
		switch {
		case growth && !counter:
			found = append(found, where+": "+function+" over "+name)
		case !growth && (counter || window != ""):
			found = append(found, where+": want rate or increase over "+name)
		case growth && window != "[$__rate_interval]":
			found = append(found, where+": want $__rate_interval at "+name)
		}
	}
	return found
}

func TestLint(t *testing.T) {
	t.Parallel()
	ds, err := All()
	require.NoError(t, err)
	for _, d := range ds {
		require.Empty(t, lint(&d), d.UID)
	}
}

// TestEveryFamilyIsShown wants that no metric is exported for nobody.
func TestEveryFamilyIsShown(t *testing.T) {
	t.Parallel()
	hidden := []string{
		"profiler_check_last_evaluation_timestamp_seconds", // as old as the profile
	}
	ds, err := All()
	require.NoError(t, err)
	var text strings.Builder
	for _, d := range ds {
		b, err := d.JSON()
		require.NoError(t, err)
		text.Write(b)
	}
	names := metricName.FindAllString(text.String(), -1)
	for _, f := range metrics.Families() {
		require.Equal(t, !slices.Contains(hidden, f.Name), slices.Contains(names, f.Name), f.Name)
	}
}

func TestLintFinds(t *testing.T) {
	t.Parallel()
	for want, harm := range map[string]func(d *Dashboard){
		"no variable datasource":        func(d *Dashboard) { d.Templating.List[0].Type = "query" },
		"variable job: want multi":      func(d *Dashboard) { d.Templating.List[1].AllValue = ".*" },
		"variable instance: want multi": func(d *Dashboard) { d.Templating.List[2].Multi = false },
		"variable step: no metric profiler": func(d *Dashboard) {
			d.Templating.List[4].Query = VariableQuery{Query: "label_values(profiler_x, step)"}
		},
		"annotation Schema changes":      func(d *Dashboard) { d.Annotations.List[0].Expr = "1" },
		"want a title and a description": func(d *Dashboard) { d.Panels[0].Description = "Rows." },
		"no unit":                        func(d *Dashboard) { d.Panels[0].FieldConfig.Defaults.Unit = "" },
		"no query":                       func(d *Dashboard) { d.Panels[0].Targets = nil },
		"the data source is fixed":       func(d *Dashboard) { d.Panels[0].Targets[0].Datasource.UID = "prom" },
		"want either instant or range":   func(d *Dashboard) { d.Panels[0].Targets[0].Range = true },
		"lies on panel 1":                func(d *Dashboard) { d.Panels[1].GridPos.X-- },
		"rate over profiler_column_values": func(d *Dashboard) {
			d.Panels[0].Targets[0].Expr = `rate(profiler_column_values{job=~"$job",instance=~"$instance"}[$__rate_interval])`
		},
		"want rate or increase over profiler_runner_step_duration_seconds": func(d *Dashboard) {
			d.Panels[0].Targets[0].Expr = `sum(profiler_runner_step_duration_seconds{job=~"$job",instance=~"$instance"})`
		},
		"no variable shard":         func(d *Dashboard) { d.Panels[0].Repeat = "shard" },
		"no variable region":        func(d *Dashboard) { d.Panels[0].Targets[0].Expr += " > $region" },
		"no metric profiler_gone":   func(d *Dashboard) { d.Panels[0].Targets[0].Expr = "profiler_gone" },
		"a metric without matchers": func(d *Dashboard) { d.Panels[0].Targets[0].Expr = "sum(profiler_dataset_rows)" },
		"no matcher of job":         func(d *Dashboard) { d.Panels[0].Targets[0].Expr = `profiler_dataset_rows{job=~"$job"}` },
		"increase over profiler_dataset_rows": func(d *Dashboard) {
			d.Panels[0].Targets[0].Expr = `increase(profiler_dataset_rows{job=~"$job",instance=~"$instance"}[$__rate_interval])`
		},
		"want rate or increase": func(d *Dashboard) {
			d.Panels[0].Targets[0].Expr = `sum(profiler_profiles_total{job=~"$job",instance=~"$instance"})`
		},
		"want $__rate_interval": func(d *Dashboard) {
			d.Panels[0].Targets[0].Expr = `rate(profiler_profiles_total{job=~"$job",instance=~"$instance"}[5m])`
		},
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			d, err := overview()
			require.NoError(t, err)
			harm(&d)
			require.Contains(t, strings.Join(lint(&d), "\n"), want)
		})
	}
}
