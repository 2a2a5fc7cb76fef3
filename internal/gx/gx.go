// Package gx translates suites of Great Expectations, of 0.x and of 1.x, into
// rule files.
package gx

import (
	"strings"

	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/draft"
	"github.com/profilerhq/profiler/internal/rules"
	"github.com/profilerhq/profiler/internal/translate"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

// quiet are keys about the tool rather than about the data.
var quiet = []string{
	"meta", "notes", "id", "ge_cloud_id", "data_context_id", "data_asset_type", "suite_parameters", "evaluation_parameters", "rendered_content", "expectation_context",
	"result_format", "catch_exceptions", "include_config", "batch_id", "parse_strings_as_datetimes", "allow_cross_type_comparisons", "ignore_row_if", "windows", "auto",
	"profiler_config", "description", "success_on_last_run",
}

// Sniff reports whether a document is a suite.
func Sniff(root *yamldoc.Node) bool {
	var none diag.List
	if root.Kind() != yamldoc.Map {
		return false
	}
	return root.Mapping(&none).Get("expectations").Kind() == yamldoc.List
}

// Translate translates suites.
func Translate(docs []*yamldoc.Document) *translate.Result {
	im := translate.New(quiet...)
	var roots []*yamldoc.Node
	for _, d := range docs {
		suite(im, d.Root())
		roots = append(roots, d.Root())
	}
	return im.Finish(roots...)
}

func suite(im *translate.Import, root *yamldoc.Node) {
	var none diag.List
	m := root.Mapping(&none)
	name := im.Text(m, "name")
	if n := im.Text(m, "expectation_suite_name"); n != "" {
		name = n
	}
	doc := im.Doc(datasetOf(name))
	for _, n := range m.Get("expectations").Items() {
		em := n.Mapping(&none)
		kind := im.Text(em, "type")
		if kind == "" {
			kind = im.Text(em, "expectation_type")
		}
		if kind == "" {
			im.Skip(n, "an expectation", "it names no type")
			continue
		}
		e := &Expectation{Import: im, Doc: doc, Node: n, Kind: kind, Args: em.Get("kwargs").Mapping(&none), Severity: severity(im, em)}
		e.Translate()
	}
}

// datasetOf makes a dataset of the name of a suite, which may have dots and a
// last word that names the suite itself.
func datasetOf(name string) string {
	name = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_suite"), ".warning"), "_expectations")
	if name == "" {
		name = "dataset"
	}
	return rules.DatasetName(strings.ReplaceAll(name, ".", "/"))
}

// severity reads that of 1.x: critical, warning or info.
func severity(im *translate.Import, em *yamldoc.Mapping) string {
	switch im.Text(em, "severity") {
	case "warning", "info":
		return "warn"
	}
	return ""
}

// Expectation is one expectation on its way to rules. Importers of tools that
// took the expectations over use it too.
type Expectation struct {
	*translate.Import
	Doc  *draft.File
	Node *yamldoc.Node // what is listed if there is no translation
	Kind string
	Args *yamldoc.Mapping
	// Column is that of the arguments unless it is set before.
	Column, Severity string
	// Where is a condition that the input writes outside of the arguments.
	Where string
	// Fail is the tolerance that it writes outside of them.
	Fail string
}

// Translate adds the rules, or lists the expectation with the reason.
func (e *Expectation) Translate() {
	if e.Column == "" {
		e.Column = e.text("column")
	} else {
		e.text("column")
	}
	t, ok := table[e.Kind]
	if !ok {
		e.Skip(e.Node, e.Kind, "there is no check for it")
		return
	}
	where, reason := e.condition()
	if reason != "" {
		e.Skip(e.Node, e.Kind, "%s", reason)
		return
	}
	items, reason := t(e)
	if reason == "" && len(items) == 0 {
		reason = "its arguments are missing"
	}
	if reason != "" {
		e.Skip(e.Node, e.label(), "%s", reason)
		return
	}
	mostly := e.mostly()
	for _, item := range items {
		if rowKinds[item.Kind] {
			item = item.With("fail", mostly)
		}
		if item.Kind != "schema" {
			item = item.With("where", where)
		}
		column := e.Column
		if datasetKinds[item.Kind] || item.Kind == "unique" && item.Value != "" {
			column = ""
		}
		if !e.Add(e.Doc, column, item.With("severity", e.Severity), e.Node, e.label()) {
			return
		}
	}
}

func (e *Expectation) label() string {
	if e.Column != "" {
		return e.Kind + " of " + e.Column
	}
	return e.Kind
}

// rowKinds tolerate a share of the rows; datasetKinds stand below checks.
var (
	rowKinds = map[string]bool{
		"not_null": true, "is_null": true, "in": true, "not_in": true, "range": true, "length": true, "matches": true, "not_matches": true, "format": true, "type": true,
		"unique": true, "increasing": true, "decreasing": true, "row": true, "not_blank": true,
	}
	datasetKinds = map[string]bool{"row": true, "row_count": true, "column_count": true, "schema": true}
)

// mostly is the tolerance as a percentage.
func (e *Expectation) mostly() string {
	n := e.Get(e.Args, "mostly")
	var none diag.List
	if f, ok := n.Float(&none); ok && f < 1 && f >= 0 {
		return draft.Percent(1 - f)
	}
	return e.Fail
}

// condition translates row_condition.
func (e *Expectation) condition() (where, reason string) {
	e.text("condition_parser")
	text := e.text("row_condition")
	if text == "" {
		return e.Where, ""
	}
	expr, err := translate.Condition(rowCondition.Replace(text))
	if err != nil {
		return "", "row_condition: " + err.Error()
	}
	return draft.Text(expr), ""
}

// rowCondition turns what pandas and the parsers of the suites write into SQL.
var rowCondition = strings.NewReplacer(`col("`, "`", `")`, "`", `.notNull()`, " IS NOT NULL", `.notnull()`, " IS NOT NULL", `.isNull()`, " IS NULL", `.isnull()`, " IS NULL", " & ", " AND ", " | ", " OR ", `"`, "'")

func (e *Expectation) text(key string) string { return e.Text(e.Args, key) }

// number returns an argument as YAML.
func (e *Expectation) literal(key string) string { return translate.Literal(e.Get(e.Args, key)) }

func (e *Expectation) isTrue(key string) bool { return strings.EqualFold(e.text(key), "true") }

// bounds reads min_value and max_value with strict_min and strict_max.
func (e *Expectation) bounds() translate.Bounds {
	b := translate.Bounds{Min: e.literal("min_value"), Max: e.literal("max_value")}
	if e.isTrue("strict_min") {
		b.Min, b.Above = "", b.Min
	}
	if e.isTrue("strict_max") {
		b.Max, b.Below = "", b.Max
	}
	return b
}
