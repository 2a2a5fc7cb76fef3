package dbt

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/profilerhq/profiler/internal/draft"
	"github.com/profilerhq/profiler/internal/gx"
	"github.com/profilerhq/profiler/internal/translate"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

// builtin are the tests of dbt and of dbt_utils by name.
var builtin = map[string]func(t *tests, a *arguments){
	"not_null":                                               func(_ *tests, a *arguments) { a.add("not_null", "") },
	"unique":                                                 func(_ *tests, a *arguments) { a.add("unique", "") },
	"accepted_values":                                        acceptedValues,
	"relationships":                                          relationships,
	"dbt_utils.not_empty_string":                             func(_ *tests, a *arguments) { a.take("trim_whitespace"); a.addAs("row", notEmpty(a.column)) },
	"dbt_utils.not_accepted_values":                          func(_ *tests, a *arguments) { a.list("not_in", "values") },
	"dbt_utils.accepted_range":                               acceptedRange,
	"dbt_utils.unique_combination_of_columns":                combination,
	"dbt_utils.expression_is_true":                           expressionIsTrue,
	"dbt_utils.not_null_proportion":                          notNullProportion,
	"dbt_utils.at_least_one":                                 func(_ *tests, a *arguments) { a.take("group_by_columns"); a.add("null_rate", "{below: 1}") },
	"dbt_utils.not_constant":                                 func(_ *tests, a *arguments) { a.take("group_by_columns"); a.add("distinct", "{above: 1}") },
	"dbt_utils.recency":                                      recency,
	"dbt_utils.relationships_where":                          relationships,
	"dbt_utils.cardinality_equality":                         other("it compares with another table"),
	"dbt_utils.equal_rowcount":                               other("it compares with another table; write balance: {with: DATASET} if both are recorded"),
	"dbt_utils.fewer_rows_than":                              other("it compares with another table; write balance or change if both are recorded"),
	"dbt_utils.equality":                                     other("it compares with another table; profiler diff does so by key"),
	"dbt_utils.sequential_values":                            other("there is no check for steps between values; increasing is near"),
	"dbt_utils.mutually_exclusive_ranges":                    other("there is no check over neighbouring rows"),
	"dbt_expectations.expect_row_values_to_have_recent_data": recentData,
}

func other(reason string) func(*tests, *arguments) {
	return func(_ *tests, a *arguments) { a.skip("%s", reason) }
}

// arguments are a test with what it is given.
type arguments struct {
	*tests
	common
	node   *yamldoc.Node
	kind   string
	column string
	m      *yamldoc.Mapping
}

// named translates a test by its name.
func (t *tests) named(n *yamldoc.Node, kind, column string, args *yamldoc.Mapping, c common) {
	a := &arguments{tests: t, common: c, node: n, kind: kind, column: column, m: args}
	if a.column == "" {
		a.column = a.text("column_name")
	}
	if f := builtin[kind]; f != nil {
		f(t, a)
		return
	}
	if f := builtin["dbt_utils."+kind]; f != nil {
		f(t, a)
		return
	}
	if short, ok := strings.CutPrefix(kind, "dbt_expectations."); ok {
		e := &gx.Expectation{Import: t.im, Doc: t.doc, Node: n, Kind: short, Args: args, Column: column, Severity: c.severity, Where: c.where, Fail: c.fail}
		e.Translate()
		return
	}
	a.skip("it is a test of the project or of a package that this importer does not know")
}

func (a *arguments) label() string {
	if a.column != "" {
		return a.kind + " of " + a.column
	}
	return a.kind
}

func (a *arguments) skip(reason string, args ...any) { a.im.Skip(a.node, a.label(), reason, args...) }

func (a *arguments) text(key string) string { return a.im.Text(a.m, key) }

func (a *arguments) take(keys ...string) {
	for _, k := range keys {
		a.im.Take(a.m.Get(k))
	}
}

// add adds an item to the column of the test.
func (a *arguments) add(kind, value string) {
	if a.column == "" {
		a.skip("it names no column")
		return
	}
	a.addTo(a.column, draft.Item{Kind: kind, Value: value})
}

// addAs adds an item to the dataset.
func (a *arguments) addAs(kind, value string) { a.addTo("", draft.Item{Kind: kind, Value: value}) }

func (a *arguments) addTo(column string, item draft.Item) {
	switch item.Kind {
	case "null_rate", "distinct", "freshness": // no number of rows is tolerated of them
		if a.warn != "" || a.fail != "" {
			a.skip("warn_if and error_if count rows, and this is a number of the batch")
			return
		}
	}
	a.im.Add(a.doc, column, a.on(item), a.node, a.label())
}

func (a *arguments) list(kind, key string) {
	n := a.m.Get(key)
	a.take("quote")
	if a.text("quote") == "false" || n.Kind() != yamldoc.List {
		if values, ok := a.im.Literals(n); ok {
			a.add(kind, values)
			return
		}
		a.skip("it lists no values")
		return
	}
	// values are quoted unless the test says otherwise
	var texts []string
	for _, s := range a.im.Texts(n) {
		texts = append(texts, draft.Text(s))
	}
	if len(texts) == 0 {
		a.skip("it lists no values")
		return
	}
	a.add(kind, draft.List(texts))
}

func acceptedValues(_ *tests, a *arguments) { a.list("in", "values") }

func notEmpty(column string) string {
	return draft.Text("trim(" + translate.Name(column) + `) != ""`)
}

var refTo = regexp.MustCompile(`^\s*(?:\{\{)?\s*(ref|source)\(([^)]*)\)\s*(?:\}\})?\s*$`)

// relationships refers to a file or source of the name of the model, which has
// to be put right by hand.
func relationships(_ *tests, a *arguments) {
	to, field := a.text("to"), a.text("field")
	m := refTo.FindStringSubmatch(to)
	if m == nil || field == "" || a.m.Has("from_condition") || a.m.Has("to_condition") {
		a.skip("%q with its conditions is no source that can be read", to)
		return
	}
	var parts []string
	for _, p := range strings.Split(m[2], ",") {
		parts = append(parts, strings.Trim(strings.TrimSpace(p), `'"`))
	}
	value := draft.Map(draft.Pair{Key: "source", Value: draft.Text(parts[len(parts)-1] + ".csv")}, draft.Pair{Key: "column", Value: draft.Text(field)})
	item := draft.Item{Kind: "references", Value: value}.Because("dbt: %s; name the file or source that holds it", strings.TrimSpace(to))
	if a.column == "" {
		a.skip("it names no column")
		return
	}
	a.addTo(a.column, item)
}

func acceptedRange(_ *tests, a *arguments) {
	b := translate.Bounds{Min: literal(a, "min_value"), Max: literal(a, "max_value")}
	if a.text("inclusive") == "false" {
		b = translate.Bounds{Above: b.Min, Below: b.Max}
	}
	if b.Zone("") == "" {
		a.skip("it has no limits")
		return
	}
	for _, l := range []string{b.Min, b.Max, b.Above, b.Below} {
		if strings.Contains(l, "(") || strings.Contains(l, "{{") {
			a.skip("a limit is computed")
			return
		}
	}
	a.add("range", b.Zone(""))
}

// literal reads a limit, which may be a text that holds a number.
func literal(a *arguments, key string) string {
	n := a.im.Get(a.m, key)
	if _, err := strconv.ParseFloat(n.Raw(), 64); err == nil {
		return n.Raw()
	}
	return translate.Literal(n)
}

func combination(_ *tests, a *arguments) {
	names := a.im.Texts(a.m.Get("combination_of_columns"))
	a.take("quote_columns")
	if len(names) == 0 {
		a.skip("it names no columns")
		return
	}
	a.addAs("unique", draft.Texts(names))
}

func expressionIsTrue(t *tests, a *arguments) {
	t.condition(a.node, a.label(), a.text("expression"), a.column, a.common)
}

// condition adds a condition of SQL as a row check. Below a column the
// condition goes on from it, as in "> 0".
func (t *tests) condition(n *yamldoc.Node, label, sql, column string, c common) {
	if column != "" {
		sql = "`" + column + "` " + sql
	}
	expr, err := translate.Condition(sql)
	if err != nil {
		t.im.Skip(n, label, "%s", err)
		return
	}
	t.im.Add(t.doc, "", c.on(draft.Item{Kind: "row", Value: draft.Text(expr)}), n, label)
}

func notNullProportion(_ *tests, a *arguments) {
	a.take("group_by_columns")
	lo, errLo := strconv.ParseFloat(a.text("at_least"), 64)
	hi, errHi := strconv.ParseFloat(a.text("at_most"), 64)
	var b translate.Bounds
	if errLo == nil {
		b.Max = draft.Percent(1 - lo)
	}
	if errHi == nil && hi < 1 {
		b.Min = draft.Percent(1 - hi)
	}
	if b.Zone("") == "" {
		a.skip("it has no limits")
		return
	}
	a.add("null_rate", b.Zone(""))
}

func recency(_ *tests, a *arguments) {
	a.take("ignore_time_component", "group_by_columns")
	a.newest(a.text("field"), a.text("datepart"), a.text("interval"))
}

func recentData(_ *tests, a *arguments) {
	a.newest(a.column, a.text("datepart"), a.text("interval"))
}

func (a *arguments) newest(column, part, interval string) {
	unit := map[string]string{"minute": "m", "hour": "h", "day": "d", "week": "w"}[strings.TrimSuffix(part, "s")]
	if column == "" || unit == "" || interval == "" {
		a.skip("its time cannot be told: %s %s", interval, part)
		return
	}
	a.addAs("freshness", draft.Map(draft.Pair{Key: "column", Value: draft.Text(column)}, draft.Pair{Key: "max_age", Value: interval + unit}))
}
