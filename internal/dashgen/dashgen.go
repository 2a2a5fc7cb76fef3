// Package dashgen makes the Grafana dashboards of the folder dashboards. The
// names of metrics come from the table that the exporter uses, so that a
// renamed or removed metric cannot leave an empty panel behind.
package dashgen

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/profilerhq/profiler/internal/metrics"
)

//go:generate go test -count=1 -run ^TestFiles$ . -update

// schemaVersion is that of Grafana 11.
const schemaVersion = 39

// The units of panels, as Grafana calls them.
const (
	unitCount    = "short"
	unitRatio    = "percentunit"
	unitBytes    = "bytes"
	unitSeconds  = "s"
	unitRate     = "cps"
	unitByteRate = "Bps"
)

// pages is where the links to the service's own pages go until somebody types
// another address at the top of a dashboard.
const pages = "http://127.0.0.1:8910"

// all is what a variable without a choice stands for. A label may be absent
// where all is absent too: step, where no pipeline runs.
const (
	all       = ".+"
	allAbsent = ".*"
)

var (
	prometheus = Datasource{Type: "prometheus", UID: "${datasource}"}
	legend     = Object{"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": []string{}}
)

// All returns the dashboards, the overview first. It fails if a query names a
// metric that is not exported.
func All() ([]Dashboard, error) {
	var all []Dashboard
	var errs []error
	for _, build := range []func() (Dashboard, error){overview, dataset, column, runs, incidents} {
		d, err := build()
		all, errs = append(all, d), append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return all, nil
}

// board makes one dashboard and remembers what went wrong.
type board struct {
	families map[string]metrics.Family
	// scope has the matchers of the variables, by the label that they choose.
	scope   map[string]string
	x, y, h int // where the next panel goes, and how high this row is
	d       Dashboard
	errs    []error
}

// newBoard begins a dashboard; from is the beginning of its time range.
func newBoard(uid, title, description, from string) *board {
	b := &board{families: map[string]metrics.Family{}, scope: map[string]string{}, d: Dashboard{
		UID: uid, Title: title, Description: description, Tags: []string{"profiler"}, SchemaVersion: schemaVersion,
		Editable: true, GraphTooltip: 1, Refresh: "1m", Time: Object{"from": from, "to": "now"},
		Links: []Object{{"type": "dashboards", "title": "profiler", "tags": []string{"profiler"}, "asDropdown": true, "includeVars": true, "keepTime": true, "icon": "external link", "targetBlank": false, "tooltip": "Other dashboards of profiler"}},
	}}
	for _, f := range metrics.Families() {
		b.families[f.Name] = f
	}
	b.d.Templating.List = []Variable{{Name: "datasource", Label: "Data source", Type: "datasource", Query: "prometheus"}}
	build := b.name("profiler_build_info")
	b.variable("job", "label_values("+build+", job)", all)
	b.variable("instance", "label_values("+build+`{job=~"$job"}, instance)`, all)
	return b
}

func (b *board) finish() (Dashboard, error) {
	b.d.Templating.List = append(b.d.Templating.List, Variable{
		Name: "pages", Label: "Pages of profiler", Type: "textbox", Query: pages,
		Current: Option{Selected: true, Text: pages, Value: pages}, Options: []Option{{Selected: true, Text: pages, Value: pages}},
	})
	b.d.Annotations.List = []Annotation{
		{
			Name: "Schema changes", Datasource: prometheus, Enable: true, IconColor: "purple", UseValueForTime: "on",
			Expr:        "1000 * max by (dataset, step) (" + b.m("profiler_schema_last_change_timestamp_seconds") + ")",
			TitleFormat: "Schema changed", TextFormat: "{{dataset}} {{step}}",
		},
		{
			Name: "Alerts", Datasource: prometheus, Enable: true, IconColor: "red",
			Expr:        "max by (alertname, severity, dataset, channel, pipeline) (" + b.alerts() + ")",
			TitleFormat: "{{alertname}}", TextFormat: "{{severity}} {{dataset}} {{channel}} {{pipeline}}",
		},
	}
	if err := errors.Join(b.errs...); err != nil {
		return Dashboard{}, fmt.Errorf("dashboard %s: %w", b.d.UID, err)
	}
	return b.d, nil
}

// name returns the name of a metric, which must exist.
func (b *board) name(name string) string {
	if _, ok := b.families[name]; !ok {
		b.errs = append(b.errs, fmt.Errorf("there is no metric %s: use a name of metrics.Families", name))
	}
	return name
}

// m returns the selector of a metric within the variables of the dashboard,
// with further matchers.
func (b *board) m(name string, matchers ...string) string {
	f := b.families[b.name(name)]
	of := []string{of}
	for _, l := range f.Labels {
		if m := b.scope[l]; m != "" && !slices.ContainsFunc(matchers, func(other string) bool { return strings.HasPrefix(other, l+"=") }) {
			of = append(of, m)
		}
	}
	return name + "{" + strings.Join(append(of, matchers...), ",") + "}"
}

// of are the matchers that every selector has.
const of = `job=~"$job",instance=~"$instance"`

// foreign returns the selector of a metric that others export with ours: the
// Go runtime, the process, the pool of connections, Prometheus.
func foreign(name string) string { return name + "{" + of + "}" }

// alerts returns the selector of firing alerts of dashboards/prometheus. Most
// have no instance.
func (b *board) alerts() string {
	s := `ALERTS{alertname=~"Profiler.*",alertstate="firing",job=~"$job",instance=~"$instance|"`
	if m := b.scope[metrics.LabelDataset]; m != "" {
		s += "," + strings.TrimSuffix(m, `"`) + `|"` // those of the service have none
		s = strings.Replace(s, `dataset="`, `dataset=~"`, 1)
	}
	return s + "}"
}

// rate returns how fast a counter grows per second, by the labels.
func (b *board) rate(labels, name string) string {
	return "sum by (" + labels + ") (rate(" + b.m(name) + "[$__rate_interval]))"
}

// quantile returns a quantile of the times in a histogram, by the labels.
func (b *board) quantile(q, labels, name string) string {
	return "histogram_quantile(" + q + ", " + b.rate(labels, name) + ")"
}

// increase returns how much a counter grew, by the labels.
func (b *board) increase(labels, name string) string {
	return "sum by (" + labels + ") (increase(" + b.m(name) + "[$__rate_interval]))"
}

// newest returns the newest value of a gauge, by the labels.
func (b *board) newest(labels, name string, matchers ...string) string {
	return "max by (" + labels + ") (" + b.m(name, matchers...) + ")"
}

// age returns the seconds since a time, by the labels.
func (b *board) age(labels, name string) string { return "time() - " + b.newest(labels, name) }

// verdict is 2 outside of a limit of fail, 1 outside of one of warn, else 0.
func (b *board) verdict(labels string) string {
	return "max by (" + labels + ") (2 * (1 - " + b.m("profiler_check_passed", `severity="fail"`) + ") or 1 - " + b.m("profiler_check_passed", `severity="warn"`) + ")"
}

// variable adds a choice of label values. Without an all value it has exactly
// one.
func (b *board) variable(name, query, all string) {
	v := Variable{
		Name: name, Label: strings.ToUpper(name[:1]) + name[1:], Type: "query", Datasource: &prometheus, Definition: query,
		Query: VariableQuery{Query: query, RefID: "Variable"}, Refresh: 2, Sort: 1, AllValue: all,
	}
	if all != "" {
		v.Multi, v.IncludeAll = true, true
		v.Current = Option{Selected: true, Text: []string{"All"}, Value: []string{"$__all"}}
	}
	b.d.Templating.List = append(b.d.Templating.List, v)
}

// add places a panel to the right of the one before, or below if there is no
// room, and numbers it and its queries.
func (b *board) add(p Panel, w, h int) {
	if b.x+w > 24 {
		b.x, b.y, b.h = 0, b.y+b.h, 0
	}
	p.ID, p.Datasource = len(b.d.Panels)+1, prometheus
	p.GridPos = GridPos{X: b.x, Y: b.y, W: w, H: h}
	b.x, b.h = b.x+w, max(b.h, h)
	for i := range p.Targets {
		p.Targets[i].RefID, p.Targets[i].Datasource = string(rune('A'+i)), prometheus
	}
	if p.FieldConfig.Overrides == nil {
		p.FieldConfig.Overrides = []Override{}
	}
	b.d.Panels = append(b.d.Panels, p)
}

// lines makes a chart over time.
func lines(title, unit, description string, targets ...Target) Panel {
	for i := range targets {
		targets[i].Range = true
	}
	return Panel{
		Type: "timeseries", Title: title, Description: description, Targets: targets,
		FieldConfig: FieldConfig{Defaults: Defaults{Unit: unit, Custom: Object{"drawStyle": "line", "lineInterpolation": "stepAfter", "showPoints": "never"}}},
		Options:     Object{"legend": legend, "tooltip": Object{"mode": "multi", "sort": "desc"}},
	}
}

// bars makes a chart of events over time.
func bars(title, unit, description string, targets ...Target) Panel {
	p := lines(title, unit, description, targets...)
	p.FieldConfig.Defaults.Custom = Object{"drawStyle": "bars", "fillOpacity": 60}
	return p
}

// number makes a panel of one number, coloured from the given value on; a zero
// value leaves it without colour.
func number(title, unit, description, expr, color string, from float64) Panel {
	p := Panel{
		Type: "stat", Title: title, Description: description, Targets: []Target{{Expr: expr, Instant: true}},
		FieldConfig: FieldConfig{Defaults: Defaults{Unit: unit, Color: Object{"mode": "thresholds"}, Thresholds: &Thresholds{Mode: "absolute", Steps: []Threshold{{Color: "text"}}}}},
		Options:     Object{"reduceOptions": Object{"calcs": []string{"lastNotNull"}}, "colorMode": "value", "graphMode": "none"},
	}
	if from != 0 {
		p.FieldConfig.Defaults.Thresholds.Steps = []Threshold{{Color: "green"}, {Color: color, Value: &from}}
	}
	return p
}

// states makes a timeline of numbers that stand for words.
func states(title, description string, words map[string]Word, target Target) Panel {
	target.Range = true
	return Panel{
		Type: "state-timeline", Title: title, Description: description, Targets: []Target{target},
		FieldConfig: FieldConfig{Defaults: Defaults{Unit: unitCount, Mappings: mapping(words), Custom: Object{"fillOpacity": 80}}},
		Options:     Object{"mergeValues": true, "showValue": "never", "legend": legend, "tooltip": Object{"mode": "single", "sort": "none"}},
	}
}

func mapping(words map[string]Word) []Object { return []Object{{"type": "value", "options": words}} }

// field changes the looks of one field; pairs are ids and values of properties.
func field(name string, pairs ...any) Override {
	o := Override{Matcher: Object{"id": "byName", "options": name}}
	for i := 0; i+1 < len(pairs); i += 2 {
		o.Properties = append(o.Properties, Object{"id": pairs[i], "value": pairs[i+1]})
	}
	return o
}

// The words of verdict and of profiler_check_passed. The colours are told
// apart by those who see no red and green.
var (
	verdicts = map[string]Word{"0": {"pass", "semi-dark-blue", 0}, "1": {"warn", "light-yellow", 1}, "2": {"fail", "dark-red", 2}}
	passed   = map[string]Word{"0": {"outside", "dark-red", 0}, "1": {"inside", "semi-dark-blue", 1}}
)
