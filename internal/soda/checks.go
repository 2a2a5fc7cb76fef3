package soda

import (
	"regexp"
	"slices"
	"strings"

	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/draft"
	"github.com/profilerhq/profiler/internal/translate"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

var (
	// metricText is "avg(size) between 1 and 2", "row_count > 0", "row_count".
	metricText  = regexp.MustCompile(`^([a-z_]+)(?:\(([^()]*)\))?\s*((?:[<>=!]|between |not between ).*)?$`)
	referenceTo = regexp.MustCompile(`^values in \(([^)]*)\) must (not )?exist in (\S+) \(([^)]*)\)$`)
	changeText  = regexp.MustCompile(`^change (?:(avg|min|max) )?(?:(last \d+|same day last week|same day last month|percent) )*(?:(percent) )?for ([a-z_]+)(?:\(([^()]*)\))?\s*(.*)$`)
)

// numbers are the metrics that are numbers of the batch here too.
var numbers = map[string]string{
	"row_count": "row_count", "avg": "mean", "min": "min", "max": "max", "sum": "sum", "stddev": "stddev", "stddev_samp": "stddev", "variance": "variance", "var_samp": "variance",
	"avg_length": "mean_length", "min_length": "min_length", "max_length": "max_length", "distinct_count": "distinct", "missing_percent": "null_rate", "missing_count": "null_count",
}

// translate finds out which kind of check it is.
func (c *item) translate() {
	switch {
	case strings.HasPrefix(c.text, "schema"):
		c.schema()
	case strings.HasPrefix(c.text, "freshness"):
		c.freshness()
	case strings.HasPrefix(c.text, "values in "):
		c.references()
	case strings.HasPrefix(c.text, "change "):
		c.change()
	case strings.HasPrefix(c.text, "failed rows"):
		c.failedRows()
	case strings.HasPrefix(c.text, "anomaly "):
		c.skip("learned checks need no rule: auto: normal judges every batch against its history")
	case strings.HasPrefix(c.text, "distribution_difference"):
		c.skip("it compares with a reference of its own; drift compares with earlier batches")
	case strings.HasPrefix(c.text, "group by"), strings.HasPrefix(c.text, "group evolution"):
		c.skip("it is a query of SQL; by: COLUMN judges each group")
	case strings.Contains(c.text, " same as "):
		c.skip("it compares with another dataset; write balance: {with: DATASET} if both are recorded")
	case strings.HasPrefix(c.text, "reconciliation"):
		c.skip("it compares with another dataset; profiler diff does so by key")
	default:
		c.metric()
	}
}

// metric translates a metric with a threshold, or with alert levels below it.
func (c *item) metric() {
	m := metricText.FindStringSubmatch(c.text)
	if m == nil {
		c.skip("it is no check that this importer knows, or a metric of SQL")
		return
	}
	if reason := c.levels(m[3]); reason != "" {
		c.skip("%s", reason)
		return
	}
	var args []string
	for _, a := range strings.Split(m[2], ",") {
		if a = strings.Trim(strings.TrimSpace(a), "\"`'"); a != "" {
			args = append(args, a)
		}
	}
	switch name := m[1]; {
	case name == "percentile" && len(args) == 2:
		c.zones(args[0], "quantile", "q: "+args[1])
	case name == "duplicate_count" || name == "duplicate_percent":
		c.percent = name == "duplicate_percent"
		c.duplicates(args)
	case name == "invalid_count" || name == "invalid_percent":
		c.percent = name == "invalid_percent"
		c.invalid(args)
	case (name == "missing_count" || name == "missing_percent") && c.m.Has("missing values"):
		c.percent = name == "missing_percent"
		c.missing(args)
	case name == "missing_count" && len(args) == 1 && c.warn == nil && c.fail != nil && *c.fail == translate.Bounds{Equals: "0"}:
		c.add(args[0], draft.Item{Kind: "not_null"})
	case numbers[name] != "" && (len(args) == 1 || name == "row_count"):
		c.percent = c.percent || name == "missing_percent"
		column := ""
		if len(args) == 1 {
			column = args[0]
		}
		c.zones(column, numbers[name], "")
	default:
		c.skip("the metric %s has no counterpart", name)
	}
}

// levels reads the threshold beside the check, or warn and fail below it.
// Thresholds say what passes; alert levels say what does not.
func (c *item) levels(threshold string) (reason string) {
	var none diag.List
	if threshold != "" {
		b, percent, ok := translate.Compare(threshold)
		if !ok {
			return "the threshold \"" + threshold + "\" is no zone"
		}
		c.fail, c.percent = &b, percent
		return ""
	}
	for _, level := range []struct {
		key string
		to  **translate.Bounds
	}{{"warn", &c.warn}, {"fail", &c.fail}} {
		key, to := level.key, level.to
		n := c.m.Get(key)
		if n == nil {
			continue
		}
		if n.Kind() == yamldoc.Map {
			n = n.Mapping(&none).Get("when")
		}
		b, percent, ok := translate.Compare(strings.TrimPrefix(n.Raw(), "when "))
		if !ok {
			return key + " \"" + n.Raw() + "\" has no opposite zone"
		}
		b, ok = opposite(b)
		if !ok {
			return key + " \"" + n.Raw() + "\" has no opposite zone"
		}
		c.im.Take(c.m.Get(key))
		*to, c.percent = &b, c.percent || percent
	}
	if c.warn == nil && c.fail == nil {
		return "it has no threshold"
	}
	return ""
}

// opposite is the zone outside of another one that is open on one side.
func opposite(b translate.Bounds) (translate.Bounds, bool) {
	switch {
	case b.Equals == "0":
		return translate.Bounds{Above: "0"}, true
	case b.Equals != "" || b.Min != "" && b.Max != "":
		return b, false
	}
	return translate.Bounds{Min: b.Below, Max: b.Above, Above: b.Max, Below: b.Min}, true
}

// zones adds a metric with its zones; extra is a further parameter.
func (c *item) zones(column, kind, extra string) {
	unit := ""
	if c.percent && kind == "null_rate" {
		unit = "%"
	}
	join := func(zone string) string {
		if extra == "" {
			return zone
		}
		return "{" + extra + ", " + strings.TrimPrefix(zone, "{")
	}
	i := draft.Item{Kind: kind}
	switch c.warn {
	case nil:
		i.Value = join(c.fail.Zone(unit))
	default:
		parts := "{warn: " + c.warn.Zone(unit)
		if c.fail != nil {
			parts += ", fail: " + c.fail.Zone(unit)
		}
		i.Value = join(parts + "}")
	}
	c.add(column, i)
}

// tolerated adds a row check with what the levels tolerate.
func (c *item) tolerated(column string, i draft.Item) {
	for _, level := range []struct {
		key string
		b   *translate.Bounds
	}{{"warn", c.warn}, {"fail", c.fail}} {
		if level.b == nil {
			continue
		}
		n, remark, reason := level.b.Tolerance(c.percent)
		if reason != "" {
			c.skip("%s", reason)
			return
		}
		if remark != "" {
			i = i.Because("%s", remark)
		}
		if n == "" && (level.key == "warn" || c.warn != nil) {
			n = "0"
		}
		i = i.With(level.key, n)
	}
	c.add(column, i)
}

func (c *item) duplicates(columns []string) {
	i := draft.Item{Kind: "unique"}
	if c.fail == nil || c.fail.Equals != "0" {
		i = i.Because("here every row of a repeated group counts")
	}
	switch len(columns) {
	case 0:
		c.skip("it names no column")
	case 1:
		c.tolerated(columns[0], i)
	default:
		i.Value = draft.Texts(columns)
		c.tolerated("", i)
	}
}

// missing counts nulls and the texts that stand for nothing.
func (c *item) missing(columns []string) {
	if len(columns) != 1 {
		c.skip("it names no column")
		return
	}
	texts := c.im.Texts(c.m.Get("missing values"))
	column := translate.Name(columns[0])
	for i, s := range texts {
		texts[i] = quote(s)
	}
	c.tolerated("", draft.Item{Kind: "row", Value: draft.Text("!is_null(" + column + ") && " + column + " not in " + draft.List(texts))})
}

func quote(s string) string {
	return `"` + strings.ReplaceAll(strings.ReplaceAll(s, `\`, `\\`), `"`, `\"`) + `"`
}

// formats are names of formats by those of SodaCL.
var formats = map[string]string{
	"email": "email", "uuid": "uuid", "ip address": "ipv4", "ipv4 address": "ipv4", "ipv6 address": "ipv6", "date iso 8601": "date", "date us": "", "phone number": "phone", "credit card number": "luhn",
	"timestamp 24h": "", "url": "url",
}

// invalid translates each rule of validity to a check of its own.
func (c *item) invalid(columns []string) {
	if len(columns) != 1 {
		c.skip("it names no column")
		return
	}
	var items []draft.Item
	ends := map[string]string{}
	for _, e := range c.m.Entries() {
		switch key := e.Key.Raw(); key {
		case "valid format":
			f := formats[strings.ToLower(c.im.Text(c.m, key))]
			if f == "" {
				c.skip("the format %q has no counterpart; write matches with a regular expression", e.Value.Raw())
				return
			}
			items = append(items, draft.Item{Kind: "format", Value: f})
		case "valid values", "invalid values":
			list, ok := c.im.Literals(e.Value)
			if !ok {
				c.skip("its list of values is empty")
				return
			}
			items = append(items, draft.Item{Kind: map[string]string{"valid values": "in", "invalid values": "not_in"}[key], Value: list})
		case "valid regex", "invalid regex":
			kind := map[string]string{"valid regex": "matches", "invalid regex": "not_matches"}[key]
			items = append(items, draft.Item{Kind: kind, Value: draft.Text(c.im.Text(c.m, key))})
		case "valid min", "valid max", "valid length", "valid min length", "valid max length":
			ends[key] = translate.Literal(c.im.Get(c.m, key))
		case "missing values":
			c.im.Skip(e.Value, c.text+": missing values", "texts that stand for nothing are not told apart here; read them as nulls with --null")
		}
	}
	if zone := (translate.Bounds{Min: ends["valid min"], Max: ends["valid max"]}).Zone(""); zone != "" {
		items = append(items, draft.Item{Kind: "range", Value: zone})
	}
	if zone := (translate.Bounds{Min: ends["valid min length"], Max: ends["valid max length"], Equals: ends["valid length"]}).Zone(""); zone != "" {
		items = append(items, draft.Item{Kind: "length", Value: zone})
	}
	if len(items) == 0 {
		c.skip("it says nothing of what is valid")
	}
	for _, i := range items {
		c.tolerated(columns[0], i)
	}
}

// references translates "values in (a) must exist in t (b)".
func (c *item) references() {
	m := referenceTo.FindStringSubmatch(c.text)
	if m == nil || m[2] != "" || strings.Contains(m[1]+m[4], ",") {
		c.skip("only single columns that must exist have a counterpart")
		return
	}
	value := draft.Map(draft.Pair{Key: "source", Value: draft.Text(m[3] + ".csv")}, draft.Pair{Key: "column", Value: draft.Text(strings.TrimSpace(m[4]))})
	c.add(strings.TrimSpace(m[1]), draft.Item{Kind: "references", Value: value}.Because("in %s; name the file or source that holds it", m[3]))
}

var freshnessText = regexp.MustCompile(`^freshness(?: using)? ?\(?([^() ]+)\)?(?: with \S+)?\s*(?:<\s*(\S+))?$`)

// spans of SodaCL, such as 1d6h, are those of durations here.
func (c *item) freshness() {
	m := freshnessText.FindStringSubmatch(c.text)
	if m == nil {
		c.skip("it is no freshness of a column below a limit")
		return
	}
	pairs := []draft.Pair{{Key: "column", Value: draft.Text(m[1])}}
	if m[2] != "" {
		pairs = append(pairs, draft.Pair{Key: "max_age", Value: m[2]})
	}
	for _, level := range []string{"warn", "fail"} {
		text := whenOf(c.m, level)
		if text == "" {
			continue
		}
		c.im.Take(c.m.Get(level))
		limit, ok := strings.CutPrefix(text, "> ")
		if !ok {
			c.skip("%s \"%s\" is no limit of an age", level, text)
			return
		}
		pairs = append(pairs, draft.Pair{Key: level, Value: limit})
	}
	c.add("", draft.Item{Kind: "freshness", Value: draft.Map(pairs...)})
}

// whenOf reads the condition of an alert level.
func whenOf(m *yamldoc.Mapping, level string) string {
	var none diag.List
	n := m.Get(level)
	if n.Kind() == yamldoc.Map {
		n = n.Mapping(&none).Get("when")
	}
	return strings.TrimPrefix(n.Raw(), "when ")
}

// change translates changes over time against earlier batches.
func (c *item) change() {
	m := changeText.FindStringSubmatch(c.text)
	if m == nil {
		c.skip("it is no change over time that this importer knows")
		return
	}
	if reason := c.levels(m[6]); reason != "" {
		c.skip("%s", reason)
		return
	}
	kind := numbers[m[4]]
	if kind == "" || c.warn != nil || c.fail == nil || m[1] == "min" || m[1] == "max" {
		c.skip("only one limit of a number against the average or the last batch has a counterpart")
		return
	}
	against := "previous"
	for _, w := range []string{m[2], strings.TrimSpace(m[3])} {
		if n, ok := strings.CutPrefix(w, "last "); ok {
			against = n
		}
		if w == "same day last week" {
			against = "same_weekday"
		}
		c.percent = c.percent || w == "percent"
	}
	c.percent = c.percent || strings.Contains(c.text, " percent ")
	unit := ""
	if c.percent {
		unit = "%"
	}
	b := *c.fail
	if b.Equals != "" {
		c.skip("a change of exactly one size has no counterpart")
		return
	}
	lo, hi := b.Min, b.Max
	i := draft.Item{Kind: "change"}
	if b.Above != "" || b.Below != "" {
		lo, hi = lo+b.Above, hi+b.Below
		i = i.Because("the limit itself passes here")
	}
	end := func(s string) string {
		if s == "" {
			return ""
		}
		return s + unit
	}
	if lo == "" { // max alone would bound the size of the change
		lo = "-1000000"
		if unit == "%" {
			lo = "-100"
		}
	}
	i.Value = draft.Map(draft.Pair{Key: "of", Value: kind}, draft.Pair{Key: "against", Value: against}, draft.Pair{Key: "min", Value: end(lo)}, draft.Pair{Key: "max", Value: end(hi)})
	c.add(strings.TrimSpace(m[5]), i)
}

// failedRows translates a condition that failing rows fulfil.
func (c *item) failedRows() {
	if c.m.Has("fail query") {
		c.skip("it is a query of SQL; rules judge the data that is read")
		return
	}
	text := c.im.Text(c.m, "fail condition")
	expr, err := translate.Condition(text)
	if text == "" || err != nil {
		c.skip("its condition has no counterpart: %v", err)
		return
	}
	i := draft.Item{Kind: "row", Value: draft.Text("!(" + expr + ")")}
	c.add("", i)
}

// schema translates the alerts of a schema, each level for itself.
func (c *item) schema() {
	var none diag.List
	done := false
	for _, level := range []string{"fail", "warn"} {
		severity := ""
		if level == "warn" {
			severity = "warn"
		}
		for _, e := range c.m.Get(level).Mapping(&none).Entries() {
			key := e.Key.Raw()
			var i draft.Item
			switch key {
			case "when required column missing":
				names := c.im.Texts(e.Value)
				i = draft.Item{Kind: "schema", Value: "{columns: " + draft.Texts(names) + "}"}
			case "when wrong column type":
				i = draft.Item{Kind: "schema", Value: "{types: " + c.types(e) + "}"}
			case "when wrong column index":
				i = draft.Item{Kind: "schema", Value: "{columns: " + draft.Texts(c.byIndex(e.Value)) + ", ordered: true}"}
			case "when forbidden column present":
				c.im.Skip(e.Value, c.text+": "+key, "schema names the columns that may be there: closed: true allows no others")
				done = true
				continue
			default:
				c.im.Skip(e.Value, c.text+": "+key, "changes of the schema against earlier batches need no rule")
				done = true
				continue
			}
			c.im.Take(e.Value)
			c.add("", i.With("severity", severity))
			done = true
		}
	}
	if !done {
		c.skip("it has no alerts that have a counterpart")
	}
}

func (c *item) types(e yamldoc.Entry) string {
	var none diag.List
	var pairs []draft.Pair
	for _, t := range e.Value.Mapping(&none).Entries() {
		name, ok := translate.Type(t.Value.Raw())
		if !ok {
			c.im.Skip(t.Value, c.text+": "+t.Key.Raw(), "the type %s has no counterpart", t.Value.Raw())
			continue
		}
		pairs = append(pairs, draft.Pair{Key: draft.Text(t.Key.Raw()), Value: name})
	}
	return draft.Map(pairs...)
}

// byIndex returns columns in the order of their indexes.
func (c *item) byIndex(n *yamldoc.Node) []string {
	var none diag.List
	type at struct {
		index int64
		name  string
	}
	var list []at
	for _, e := range n.Mapping(&none).Entries() {
		i, _ := e.Value.Int(&none)
		list = append(list, at{i, e.Key.Raw()})
	}
	slices.SortFunc(list, func(a, b at) int { return int(a.index - b.index) })
	names := make([]string, len(list))
	for i, a := range list {
		names[i] = a.name
	}
	return names
}
