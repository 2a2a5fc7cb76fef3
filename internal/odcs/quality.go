package odcs

import (
	"strconv"
	"strings"

	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/draft"
	"github.com/profilerhq/profiler/internal/translate"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

// rule is an entry of quality.
type rule struct {
	*object
	node         *yamldoc.Node
	m, arguments *yamldoc.Mapping
	column       string
	metric       string
	bounds       translate.Bounds
	percent      bool
	name, note   string
	severity     string
}

// quality translates one entry of quality, of the object if the column is
// empty.
func (o *object) quality(n *yamldoc.Node, column string) {
	var none diag.List
	m := n.Mapping(&none)
	r := &rule{object: o, node: n, m: m, column: column, arguments: m.Get("arguments").Mapping(&none)}
	kind := o.im.Text(m, "type")
	r.metric = o.im.Text(m, "metric")
	if r.metric == "" {
		r.metric = o.im.Text(m, "rule")
	}
	r.name, r.note = o.im.Text(m, "name"), strings.TrimSpace(o.im.Text(m, "description"))
	switch strings.ToLower(o.im.Text(m, "severity")) {
	case "warning", "info", "low", "warn":
		r.severity = "warn"
	}
	switch kind {
	case "", "library":
	case "text":
		r.skip("it is a text for people: %s", r.note)
		return
	case "sql":
		r.skip("it is a query of SQL; rules judge the data that is read")
		return
	default:
		r.skip("it is written for the engine %s; import what it holds on its own", o.im.Text(m, "engine"))
		return
	}
	if reason := r.limits(); reason != "" {
		r.skip("%s", reason)
		return
	}
	f := metrics[strings.ToLower(r.metric)]
	if f == nil {
		r.skip("the metric %q has no counterpart", r.metric)
		return
	}
	f(r)
}

func (r *rule) label() string {
	what := r.metric
	if what == "" {
		what = "quality"
	}
	if r.column != "" {
		return r.column + ": " + what
	}
	return what
}

func (r *rule) skip(reason string, args ...any) { r.im.Skip(r.node, r.label(), reason, args...) }

// add adds an item with what stands beside the rule.
func (r *rule) add(column string, item draft.Item) {
	if r.name != "" {
		item = item.With("name", draft.Text(r.name))
	}
	if r.note != "" {
		item = item.With("note", draft.Text(strings.Join(strings.Fields(r.note), " ")))
	}
	r.im.Add(r.doc, column, item.With("severity", r.severity), r.node, r.label())
}

// limits reads the operators.
func (r *rule) limits() (reason string) {
	for key, to := range map[string]*string{
		"mustBe": &r.bounds.Equals, "mustBeGreaterThan": &r.bounds.Above, "mustBeLessThan": &r.bounds.Below,
		"mustBeGreaterOrEqualTo": &r.bounds.Min, "mustBeGreaterThanOrEqualTo": &r.bounds.Min, "mustBeLessOrEqualTo": &r.bounds.Max, "mustBeLessThanOrEqualTo": &r.bounds.Max,
	} {
		if v := translate.Literal(r.im.Get(r.m, key)); v != "" {
			*to = v
		}
	}
	if n := r.m.Get("mustBeBetween"); n != nil {
		r.im.Take(n)
		ends := n.Items()
		if len(ends) != 2 {
			return "mustBeBetween takes two numbers"
		}
		r.bounds.Min, r.bounds.Max = translate.Literal(ends[0]), translate.Literal(ends[1])
	}
	for _, key := range []string{"mustNotBe", "mustNotBeBetween"} {
		if r.m.Has(key) {
			return key + " has no counterpart: zones have no holes"
		}
	}
	unit := r.im.Text(r.m, "unit")
	r.percent = unit == "percent" || unit == "%"
	if !r.percent && unit != "" && unit != "rows" {
		return "the unit " + unit + " is neither rows nor percent"
	}
	if r.bounds == (translate.Bounds{}) {
		return "it has no operator such as mustBe"
	}
	return ""
}

// metrics are those of the library, with their older names.
var metrics = map[string]func(*rule){
	"rowcount":        (*rule).rowCount,
	"nullvalues":      (*rule).nulls,
	"nullcheck":       (*rule).nulls,
	"missingvalues":   (*rule).missing,
	"invalidvalues":   (*rule).invalid,
	"validvalues":     (*rule).invalid,
	"duplicatevalues": (*rule).duplicates,
	"duplicatecount":  (*rule).duplicates,
	"uniquecheck":     (*rule).duplicates,
}

func (r *rule) rowCount() {
	if r.column != "" || r.percent {
		r.skip("rows are counted of the whole object, without unit")
		return
	}
	r.add("", draft.Item{Kind: "row_count", Value: r.bounds.Zone("")})
}

// nulls are a number of the column, so that any operator fits.
func (r *rule) nulls() {
	if r.column == "" {
		r.skip("it stands at no property")
		return
	}
	zero := translate.Bounds{Equals: "0"}
	switch {
	case r.bounds == zero:
		r.add(r.column, draft.Item{Kind: "not_null"})
	case r.percent:
		r.add(r.column, draft.Item{Kind: "null_rate", Value: r.bounds.Zone("%")})
	default:
		r.add(r.column, draft.Item{Kind: "null_count", Value: r.bounds.Zone("")})
	}
}

// tolerated adds a row check that tolerates what the operator allows.
func (r *rule) tolerated(column string, item draft.Item) {
	fail, remark, reason := r.bounds.Tolerance(r.percent)
	if reason != "" {
		r.skip("%s", reason)
		return
	}
	if remark != "" {
		item = item.Because("%s", remark)
	}
	r.add(column, item.With("fail", fail))
}

// missing counts nulls and texts that stand for nothing.
func (r *rule) missing() {
	if r.column == "" {
		r.skip("it stands at no property")
		return
	}
	n := r.arguments.Get("missingValues")
	r.im.Take(n)
	var texts, raw []string
	null := n == nil
	for _, item := range n.Items() {
		if item.IsNull() {
			null = true
			continue
		}
		texts, raw = append(texts, translate.Literal(item)), append(raw, strconv.Quote(item.Raw()))
	}
	switch {
	case len(texts) == 0:
		r.nulls()
	case null:
		column := translate.Name(r.column)
		r.tolerated("", draft.Item{Kind: "row", Value: draft.Text("!is_null(" + column + ") && " + column + " not in " + draft.List(raw))})
	default:
		r.tolerated(r.column, draft.Item{Kind: "not_in", Value: draft.List(texts)})
	}
}

func (r *rule) invalid() {
	if r.column == "" {
		r.skip("it stands at no property")
		return
	}
	values, pattern := r.arguments.Get("validValues"), r.im.Get(r.arguments, "pattern")
	if values == nil {
		values = r.m.Get("validValues") // as in v3.0
	}
	if pattern == nil {
		pattern = r.im.Get(r.m, "pattern")
	}
	done := false
	if values != nil {
		list, ok := r.im.Literals(values)
		if !ok {
			r.skip("its list of valid values is empty")
			return
		}
		r.tolerated(r.column, draft.Item{Kind: "in", Value: list})
		done = true
	}
	if pattern != nil {
		r.tolerated(r.column, draft.Item{Kind: "matches", Value: draft.Text(pattern.Raw())})
		done = true
	}
	if !done {
		r.skip("it names neither validValues nor a pattern")
	}
}

func (r *rule) duplicates() {
	names := r.im.Texts(r.arguments.Get("properties"))
	item := draft.Item{Kind: "unique"}
	if r.bounds.Equals != "0" {
		item = item.Because("here every row of a repeated group counts")
	}
	switch {
	case len(names) > 0:
		item.Value = draft.Texts(names)
		r.tolerated("", item)
	case r.column != "":
		r.tolerated(r.column, item)
	default:
		if r.percent {
			r.skip("the share of repeated rows has no counterpart; duplicate_rows counts them")
			return
		}
		r.add("", draft.Item{Kind: "duplicate_rows", Value: r.bounds.Zone("")})
	}
}
