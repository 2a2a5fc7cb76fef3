package checks

import (
	"slices"
	"strconv"

	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/expr"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

// Level says what a kind of check judges.
type Level string

// The levels of checks.
const (
	RowLevel    Level = "row"    // each row
	MetricLevel Level = "metric" // one number of the batch
	BatchLevel  Level = "batch"  // the batch as a whole
)

// Spec describes one kind of check. The table of specs drives parsing, lint
// and documentation.
type Spec struct {
	Kind    string
	Level   Level
	Summary string
	// Column and Dataset say where the kind may stand: in the list of a column,
	// and in the list of the dataset.
	Column, Dataset bool
	// Bare is set for kinds that may be written by their name alone.
	Bare bool
	// Short is the value that may stand for the parameters: the list of in, the
	// number of a metric. Nil for kinds that have no such spelling.
	Short *Param
	// Params are the keys of its parameters.
	Params []Param
	// Example is one item in YAML, on one line.
	Example string
	// parse reads the parameters.
	parse func(c *Check, p params, errs *diag.List) judge
}

// params are the parameters of a kind: its value, nil or of kind Null if the
// kind is written without any, and the item that it stands in, nil for a bare
// name.
type params struct {
	node *yamldoc.Node
	item *yamldoc.Mapping
	at   diag.Position // of the check
}

// zone returns the warn or fail zone, which may stand inside the kind or
// beside it, not both.
func (p params) zone(key string, inside *yamldoc.Mapping, errs *diag.List) *yamldoc.Node {
	in, out := inside.Get(key), p.item.Get(key)
	if in != nil && out != nil {
		p.item.KeyNode(key).Errorf(errs, yamldoc.CodeValue, "%q is written inside and beside the check; keep one", key)
	}
	if in != nil {
		return in
	}
	return out
}

// judge is the part of a check that depends on its kind: a rowJudge or a
// batchJudge.
type judge any

// Check is one compiled expectation.
type Check struct {
	ID string
	// Explicit is set when the rule gives the id itself.
	Explicit bool
	Kind     string
	Level    Level
	// Column is the column or a pattern of columns; empty for checks of the
	// dataset.
	Column  string
	Columns []string // of unique over several columns
	// ColumnPos is where the rule names the column, of checks in a column's list.
	ColumnPos diag.Position
	Name      string
	Owner     string
	Tags      []string
	Note      string
	OnFail    string // block, warn, quarantine or empty
	Severity  Severity
	Enabled   bool
	Warn      *Tolerance // of row checks; nil is switched off
	Fail      *Tolerance
	Where     *expr.Program // selects the rows that are judged; nil is all
	By        string        // the column of segments; empty is none
	Pos       diag.Position

	judge           judge
	counted, judged string // see condition
}

// ColumnNames returns the columns that the check names, patterns left out.
func (c *Check) ColumnNames() []string {
	var names []string
	if c.Column != "" && !IsPattern(c.Column) {
		names = append(names, c.Column)
	}
	names = append(names, c.Columns...)
	if c.Where != nil {
		names = append(names, c.Where.Columns()...)
	}
	if c.By != "" {
		names = append(names, c.By)
	}
	return names
}

// specs is the catalogue, sorted by level and kind.
var specs = slices.Concat(
	[]*Spec{
		&decimalsSpec, &decreasingSpec, &finiteSpec, &formatSpec, &inSpec, &increasingSpec, &isNullSpec, &jsonSchemaSpec,
		&lengthSpec, &matchesSpec, &multipleOfSpec, &notBlankSpec, &notInSpec, &notMatchesSpec, &notNullSpec,
		&parsableSpec, &rangeSpec, &referencesSpec, &rowSpec, &typeSpec, &uniqueSpec,
	},
	metricSpecs(),
	[]*Spec{&correlationSpec, &entropySpec, &mostCommonSpec, &quantileSpec, &valuesSpec},
	[]*Spec{&arrivalSpec, &balanceSpec, &changeSpec, &driftSpec, &freshnessSpec, &schemaSpec},
)

// Catalog returns the specs of all kinds; they must not be changed.
func Catalog() []*Spec { return slices.Clone(specs) }

// Find returns the spec of a kind, or nil.
func Find(kind string) *Spec {
	for _, s := range specs {
		if s.Kind == kind {
			return s
		}
	}
	return nil
}

// Kinds returns the names of all kinds.
func Kinds() []string {
	names := make([]string, len(specs))
	for i, s := range specs {
		names[i] = s.Kind
	}
	return names
}

// synonyms are names that other tools and languages have for kinds.
var synonyms = map[string]string{
	"accepted_values": "in", "enum": "in", "valid_values": "in", "allowed_values": "in", "one_of": "in", "expect_column_values_to_be_in_set": "in",
	"expect_column_values_to_not_be_in_set": "not_in", "relationships": "references", "foreign_key": "references",
	"unique_combination_of_columns": "unique", "uniqueness": "unique", "expect_column_values_to_be_unique": "unique", "primary_key": "unique",
	"required": "not_null", "expect_column_values_to_not_be_null": "not_null", "is_complete": "not_null", "expect_column_values_to_be_null": "is_null",
	"regex": "matches", "pattern": "matches", "expect_column_values_to_match_regex": "matches", "expect_column_values_to_not_match_regex": "not_matches",
	"between": "range", "accepted_range": "range", "expect_column_values_to_be_between": "range", "expression_is_true": "row", "expression": "row", "condition": "row",
	"expect_table_row_count_to_be_between": "row_count", "count": "row_count", "rows": "row_count", "duplicate_count": "duplicate_rows",
	"missing_count": "null_count", "missing_percent": "null_rate", "missing": "null_rate", "nulls": "null_rate", "completeness": "null_rate", "null_percent": "null_rate",
	"avg": "mean", "average": "mean", "expect_column_mean_to_be_between": "mean", "expect_column_median_to_be_between": "median", "std": "stddev", "percentile": "quantile",
	"cardinality": "distinct", "expect_column_unique_value_count_to_be_between": "distinct", "data_type": "type", "datatype": "type", "expect_column_values_to_be_of_type": "type",
	"recency": "freshness", "timeliness": "freshness", "volume": "row_count", "anomaly": "drift", "distribution": "drift",
	"expect_column_value_lengths_to_be_between": "length", "expect_column_values_to_be_increasing": "increasing", "expect_column_values_to_be_decreasing": "decreasing",
	"expect_column_values_to_match_json_schema": "json_schema", "monotonic": "increasing", "email": "format", "uuid": "format", "iban": "format", "not_empty": "not_blank",
}

// planned are kinds of the rule language that this version does not have yet.
var planned = map[string]bool{
	"metric": true, "failing_rows": true,
}

// commonParams may stand beside the kind in every item. warn and fail have the
// form of row checks; Spec.Beside knows that of other kinds.
var commonParams = []Param{
	{Name: "id", Form: FormText, Summary: "The name of the result, unique in a file, in metrics and in the history.", Default: "column.kind, or kind"},
	{Name: "name", Form: FormText, Summary: "A title for people."},
	{Name: "warn", Form: FormTolerance, Summary: "How many failing rows are tolerated without a warning: a count, or a percentage of the judged rows."},
	{Name: "fail", Form: FormTolerance, Summary: "How many failing rows are tolerated: a count, or a percentage of the judged rows.", Default: "0; none if only warn is written"},
	{Name: "where", Form: FormCondition, Summary: "A condition: the rows that are judged."},
	{Name: "by", Form: FormText, Summary: "A column; each of its values is judged for itself."},
	{Name: "severity", Form: FormChoice, OneOf: []string{"warn", "fail"}, Summary: "With warn a failure becomes a warning.", Default: "fail"},
	{Name: "owner", Form: FormText, Summary: "Who is told.", Default: "the owner of the file"},
	{Name: "tags", Form: FormTexts, Summary: "Words for routes of alerts; those of the file are added."},
	{Name: "note", Form: FormText, Summary: "A sentence that stands in every report about the check."},
	{Name: "on_fail", Form: FormChoice, OneOf: []string{"block", "warn", "quarantine"}, Summary: "What a gate does.", Default: "that of the file"},
	{Name: "enabled", Form: FormFlag, Summary: "With false the check is switched off.", Default: "true"},
}

// CommonParams returns the keys that may stand beside the kind in every item.
func CommonParams() []Param { return slices.Clone(commonParams) }

var commonKeys = paramNames(commonParams)

// Beside returns what a key that may stand beside the kind takes for this kind;
// ok is false if it cannot stand there.
func (s *Spec) Beside(common Param) (p Param, ok bool) {
	switch common.Name {
	case "where", "by":
		return common, s.ofRows() && s.Kind != "parsable"
	case "warn", "fail":
		if s.Level == RowLevel {
			return common, true
		}
		i := slices.IndexFunc(s.Params, func(p Param) bool { return p.Name == common.Name })
		if i < 0 {
			return common, false
		}
		return s.Params[i], true
	}
	return common, true
}

// Parse compiles one item of a list of checks: the name of a kind, or a
// mapping with one key that names the kind, beside the common keys. column is
// the column or pattern whose list it stands in, empty for the dataset's list.
// It returns nil after a mistake, which is reported.
func Parse(item *yamldoc.Node, column string, errs *diag.List) *Check {
	c := &Check{Column: column, Severity: SeverityFail, Enabled: true, Pos: item.Pos()}
	if item.IsScalar() && !item.IsNull() {
		spec := findSpec(item, column, errs)
		if spec == nil {
			return nil
		}
		return c.finish(spec, nil, nil, errs)
	}
	m := item.Mapping(errs)
	if m == nil {
		return nil
	}
	var kind *yamldoc.Entry
	for _, e := range m.Entries() {
		if slices.Contains(commonKeys, e.Key.Raw()) {
			continue
		}
		if kind != nil && Find(kind.Key.Raw()) != nil {
			if Find(e.Key.Raw()) == nil && !planned[e.Key.Raw()] {
				d := e.Key.Diagnostic(yamldoc.CodeUnknownKey, "unknown key %q in check %q", e.Key.Raw(), kind.Key.Raw())
				d.Hint = diag.Hint(e.Key.Raw(), append(slices.Clone(commonKeys), paramNames(Find(kind.Key.Raw()).Params)...))
				errs.Add(d)
			} else {
				e.Key.Errorf(errs, yamldoc.CodeUnknownKey, "an item has one kind, this one has %q and %q; write two items", kind.Key.Raw(), e.Key.Raw())
			}
			return nil
		}
		kind = &e
	}
	if kind == nil {
		item.Errorf(errs, yamldoc.CodeMissingKey, "the item names no kind of check; write one like {range: {min: 0}}")
		return nil
	}
	spec := findSpec(kind.Key, column, errs)
	c.Pos = kind.Key.Pos()
	before := len(*errs)
	c.parseCommon(m, spec, errs)
	if spec == nil || len(*errs) > before {
		return nil
	}
	return c.finish(spec, kind.Value, m, errs)
}

func findSpec(n *yamldoc.Node, column string, errs *diag.List) *Spec {
	kind := n.Raw()
	spec := Find(kind)
	switch {
	case spec == nil && planned[kind]:
		n.Errorf(errs, yamldoc.CodeValue, "the check %q is not supported by this version yet", kind)
		return nil
	case spec == nil:
		d := n.Diagnostic(yamldoc.CodeValue, "unknown check %q", kind)
		if d.Hint = diag.Hint(kind, Kinds()); synonyms[kind] != "" {
			d.Hint = "it is called " + strconv.Quote(synonyms[kind]) + " here"
		}
		errs.Add(d)
		return nil
	case column == "" && !spec.Dataset:
		n.Errorf(errs, yamldoc.CodeValue, "the check %q needs a column; write it below columns:", kind)
		return nil
	case column != "" && !spec.Column:
		n.Errorf(errs, yamldoc.CodeValue, "the check %q is about the whole dataset; write it below checks:", kind)
		return nil
	}
	return spec
}

func (c *Check) parseCommon(m *yamldoc.Mapping, spec *Spec, errs *diag.List) {
	yamldoc.Set(&c.ID, m.Get("id"), (*yamldoc.Node).String, errs)
	c.Explicit = c.ID != ""
	yamldoc.Set(&c.Name, m.Get("name"), (*yamldoc.Node).String, errs)
	yamldoc.Set(&c.Owner, m.Get("owner"), (*yamldoc.Node).String, errs)
	yamldoc.Set(&c.Note, m.Get("note"), (*yamldoc.Node).String, errs)
	yamldoc.Set(&c.Enabled, m.Get("enabled"), (*yamldoc.Node).Bool, errs)
	if n := m.Get("tags"); n != nil {
		c.Tags, _ = n.StringList(errs)
	}
	if s, ok := m.Get("severity").OneOf(errs, "warn", "fail"); ok {
		c.Severity = Severity(s)
	}
	if s, ok := m.Get("on_fail").OneOf(errs, "block", "warn", "quarantine"); ok {
		c.OnFail = s
	}
	c.parseRows(m, spec, errs)
	if spec != nil && spec.Level == RowLevel {
		c.parseTolerances(m, errs)
	}
}

// parseRows reads where and by.
func (c *Check) parseRows(m *yamldoc.Mapping, spec *Spec, errs *diag.List) {
	for _, key := range []string{"where", "by"} {
		if n := m.KeyNode(key); n != nil && spec != nil && !spec.ofRows() {
			n.Errorf(errs, yamldoc.CodeUnknownKey, "check %q judges the batch as a whole, %q cannot stand beside it", spec.Kind, key)
			return
		}
	}
	if n := m.Get("where"); n != nil {
		c.Where = parseCondition(n, errs)
		if c.Where != nil && len(c.Where.Readings(true)) > maxReadings {
			n.Errorf(errs, yamldoc.CodeValue, "the condition asks of too many columns whether they are empty or equal; split it into several checks")
		}
	}
	if n := m.Get("by"); n != nil {
		yamldoc.Set(&c.By, n, (*yamldoc.Node).String, errs)
		if IsPattern(c.By) {
			n.Errorf(errs, yamldoc.CodeValue, "\"by\" names one column, not a pattern")
		}
	}
}

// maxReadings is how many readings of its columns a where may have; the check
// is judged for each.
const maxReadings = 16

// ofRows reports whether a kind is about rows, so that some of them may be
// selected.
func (s *Spec) ofRows() bool {
	return s.Level != BatchLevel && s.Kind != "bytes" && s.Kind != "column_count"
}

// finish parses the parameters and gives the check its default id.
func (c *Check) finish(spec *Spec, node *yamldoc.Node, item *yamldoc.Mapping, errs *diag.List) *Check {
	c.Kind, c.Level = spec.Kind, spec.Level
	if spec.Level == RowLevel && item == nil {
		c.Fail = &Tolerance{}
	}
	before := len(*errs)
	if b, ok := boolParam(node); ok {
		if !b {
			node.Errorf(errs, yamldoc.CodeValue, "%q cannot be false; leave it out or write enabled: false", spec.Kind)
			return nil
		}
		node = nil
	}
	c.judge = spec.parse(c, params{node: node, item: item, at: c.Pos}, errs)
	if len(*errs) > before || c.judge == nil {
		return nil
	}
	if c.ID == "" {
		c.ID = c.defaultID()
	}
	c.fingerprint(spec, node, item)
	return c
}

func boolParam(n *yamldoc.Node) (value, ok bool) {
	if n == nil || n.Kind() != yamldoc.Bool {
		return false, false
	}
	var none diag.List
	return n.Bool(&none)
}

func (c *Check) defaultID() string {
	if c.Column != "" {
		return c.Column + "." + c.Kind
	}
	return c.Kind
}
