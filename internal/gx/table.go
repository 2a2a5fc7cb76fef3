package gx

import (
	"regexp"
	"strings"

	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/draft"
	"github.com/profilerhq/profiler/internal/translate"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

// translation makes items of an expectation, or says why there are none.
type translation func(e *Expectation) (items []draft.Item, reason string)

func one(kind, value string) []draft.Item { return []draft.Item{{Kind: kind, Value: value}} }

// bare is a kind without parameters.
func bare(kind string) translation {
	return func(*Expectation) ([]draft.Item, string) { return one(kind, ""), "" }
}

// between is a kind with limits.
func between(kind string) translation {
	return func(e *Expectation) ([]draft.Item, string) {
		zone := e.bounds().Zone("")
		if zone == "" {
			return nil, "it has no limits"
		}
		return one(kind, zone), ""
	}
}

// list is a kind with a list of values.
func list(kind, key string) translation {
	return func(e *Expectation) ([]draft.Item, string) {
		values, ok := e.Literals(e.Args.Get(key))
		if !ok {
			return nil, "its list of values is empty or no list"
		}
		return one(kind, values), ""
	}
}

// within is a kind with a list below a key.
func within(kind, relation, key string) translation {
	return func(e *Expectation) ([]draft.Item, string) {
		values, ok := e.Literals(e.Args.Get(key))
		if !ok {
			return nil, "its list of values is empty or no list"
		}
		return one(kind, "{"+relation+": "+values+"}"), ""
	}
}

// equals is a kind with one number.
func equals(kind, key string) translation {
	return func(e *Expectation) ([]draft.Item, string) { return one(kind, e.literal(key)), missing(e.literal(key)) }
}

func missing(value string) string {
	if value == "" {
		return "its arguments are missing"
	}
	return ""
}

// no is an expectation that has no counterpart for a reason worth telling.
func no(reason string) translation {
	return func(*Expectation) ([]draft.Item, string) { return nil, reason }
}

func text(kind, key string) translation {
	return func(e *Expectation) ([]draft.Item, string) {
		if e.Args.Get(key) == nil {
			return nil, "its arguments are missing"
		}
		return one(kind, draft.Text(e.text(key))), ""
	}
}

// table has the expectations by name, those of dbt_expectations among them.
var table = map[string]translation{
	"expect_column_to_exist":                                    columnExists,
	"expect_table_columns_to_match_ordered_list":                columns("column_list", true),
	"expect_table_columns_to_match_set":                         columns("column_set", false),
	"expect_table_columns_to_contain_set":                       columns("column_list", false),
	"expect_table_row_count_to_be_between":                      between("row_count"),
	"expect_table_row_count_to_equal":                           equals("row_count", "value"),
	"expect_table_row_count_to_equal_other_table":               no("it compares with another table; write balance: {with: DATASET} if both are recorded"),
	"expect_table_column_count_to_be_between":                   between("column_count"),
	"expect_table_column_count_to_equal":                        equals("column_count", "value"),
	"expect_column_values_to_be_unique":                         bare("unique"),
	"expect_column_values_to_not_be_null":                       bare("not_null"),
	"expect_column_values_to_be_null":                           bare("is_null"),
	"expect_column_values_to_be_of_type":                        ofType,
	"expect_column_values_to_be_in_type_list":                   ofTypes,
	"expect_column_values_to_be_in_set":                         list("in", "value_set"),
	"expect_column_values_to_not_be_in_set":                     list("not_in", "value_set"),
	"expect_column_values_to_be_between":                        between("range"),
	"expect_column_values_to_be_increasing":                     ordered("increasing"),
	"expect_column_values_to_be_decreasing":                     ordered("decreasing"),
	"expect_column_value_lengths_to_be_between":                 lengths,
	"expect_column_value_lengths_to_equal":                      equals("length", "value"),
	"expect_column_values_to_match_regex":                       text("matches", "regex"),
	"expect_column_values_to_not_match_regex":                   text("not_matches", "regex"),
	"expect_column_values_to_match_regex_list":                  regexList,
	"expect_column_values_to_not_match_regex_list":              notRegexList,
	"expect_column_values_to_match_like_pattern":                like("matches"),
	"expect_column_values_to_not_match_like_pattern":            like("not_matches"),
	"expect_column_values_to_match_strftime_format":             strftime,
	"expect_column_values_to_be_dateutil_parseable":             no("a date in any spelling is no format; write type: timestamp, or format: datetime"),
	"expect_column_values_to_be_json_parseable":                 func(*Expectation) ([]draft.Item, string) { return one("format", "json"), "" },
	"expect_column_values_to_match_json_schema":                 no("write its JSON Schema to a file and name that: json_schema: FILE"),
	"expect_column_distinct_values_to_be_in_set":                within("values", "subset_of", "value_set"),
	"expect_column_distinct_values_to_contain_set":              within("values", "superset_of", "value_set"),
	"expect_column_distinct_values_to_equal_set":                within("values", "equals", "value_set"),
	"expect_column_distinct_count_to_equal":                     equals("distinct", "value"),
	"expect_column_most_common_value_to_be_in_set":              within("most_common", "one_of", "value_set"),
	"expect_column_mean_to_be_between":                          between("mean"),
	"expect_column_median_to_be_between":                        between("median"),
	"expect_column_stdev_to_be_between":                         between("stddev"),
	"expect_column_sum_to_be_between":                           between("sum"),
	"expect_column_min_to_be_between":                           between("min"),
	"expect_column_max_to_be_between":                           between("max"),
	"expect_column_unique_value_count_to_be_between":            between("distinct"),
	"expect_column_proportion_of_unique_values_to_be_between":   between("distinct_rate"),
	"expect_column_quantile_values_to_be_between":               quantiles,
	"expect_column_kl_divergence_to_be_less_than":               no("it compares with a partition of its own; drift compares with earlier batches: drift: {method: js}"),
	"expect_column_chisquare_test_p_value_to_be_greater_than":   no("it compares with a partition of its own; drift compares with earlier batches: drift: {method: chi2}"),
	"expect_column_value_z_scores_to_be_less_than":              no("there is no check of single values by their deviation; write a range"),
	"expect_column_pair_values_a_to_be_greater_than_b":          pair(">"),
	"expect_column_pair_values_A_to_be_greater_than_B":          pair(">"),
	"expect_column_pair_values_to_be_equal":                     pair("=="),
	"expect_column_pair_values_to_be_in_set":                    no("there is no check of pairs of values; write a row condition"),
	"expect_compound_columns_to_be_unique":                      together,
	"expect_multicolumn_values_to_be_unique":                    together,
	"expect_select_column_values_to_be_unique_within_record":    differing,
	"expect_multicolumn_sum_to_equal":                           sum,
	"unexpected_rows_expectation":                               no("it is a query of SQL; rules judge the data that is read"),
	"expect_query_results_to_match_comparison":                  no("it is a query of SQL; rules judge the data that is read"),
	"expect_row_values_to_have_recent_data":                     no("write freshness: {column: …, max_age: …}"),
	"expect_column_values_to_be_consistently_increasing":        ordered("increasing"),
	"expect_column_proportion_of_non_null_values_to_be_between": nonNull,
	"expect_column_values_to_be_valid_uuid":                     format("uuid"),
	"expect_column_values_to_be_valid_email":                    format("email"),
	"expect_column_values_to_be_valid_ipv4":                     format("ipv4"),
	"expect_column_values_to_be_valid_ipv6":                     format("ipv6"),
	"expect_column_values_to_be_valid_iban":                     format("iban"),
	"expect_column_values_to_be_valid_mac":                      format("mac"),
}

func format(name string) translation {
	return func(*Expectation) ([]draft.Item, string) { return one("format", name), "" }
}

func columnExists(e *Expectation) ([]draft.Item, string) {
	e.Take(e.Args.Get("column_index"))
	if e.Column == "" {
		return nil, "it names no column"
	}
	return one("schema", "{columns: ["+draft.Text(e.Column)+"]}"), ""
}

func columns(key string, ordered bool) translation {
	return func(e *Expectation) ([]draft.Item, string) {
		n := e.Args.Get(key)
		if n == nil {
			n = e.Args.Get("column_list")
		}
		if n == nil {
			n = e.Args.Get("column_set")
		}
		names := e.Texts(n)
		if len(names) == 0 {
			return nil, "it names no columns"
		}
		closed := e.Kind != "expect_table_columns_to_contain_set" && !strings.EqualFold(e.text("exact_match"), "false")
		item := draft.Item{Kind: "schema", Lines: []string{"columns: " + draft.Texts(names)}}
		if closed {
			item.Lines = append(item.Lines, "closed: true")
		}
		if ordered {
			item.Lines = append(item.Lines, "ordered: true")
		}
		return []draft.Item{item}, ""
	}
}

func ofType(e *Expectation) ([]draft.Item, string) {
	name := e.text("type_")
	if name == "" {
		name = e.text("column_type")
	}
	t, ok := translate.Type(name)
	if !ok {
		return nil, "the type " + name + " has no counterpart"
	}
	return one("type", t), ""
}

// ofTypes takes a list of types that are one here.
func ofTypes(e *Expectation) ([]draft.Item, string) {
	n := e.Args.Get("type_list")
	if n == nil {
		n = e.Args.Get("column_type_list")
	}
	found := ""
	for _, name := range e.Texts(n) {
		t, ok := translate.Type(name)
		switch {
		case !ok:
			return nil, "the type " + name + " has no counterpart"
		case found == "number" && t == "integer":
		case found != "" && found != t && (found != "integer" || t != "number"):
			return nil, "it allows several types; a check names one"
		default:
			found = t
		}
	}
	return one("type", found), missing(found)
}

func ordered(kind string) translation {
	return func(e *Expectation) ([]draft.Item, string) {
		if e.isTrue("strictly") {
			return one(kind, "{strictly: true}"), ""
		}
		return one(kind, ""), ""
	}
}

// lengths are inclusive.
func lengths(e *Expectation) ([]draft.Item, string) {
	zone := e.bounds().Zone("")
	if strings.Contains(zone, "above") || strings.Contains(zone, "below") {
		return nil, "lengths have inclusive limits; write the next whole number"
	}
	return one("length", zone), missing(zone)
}

// regexList is any of some expressions; all of them are checks of their own.
func regexList(e *Expectation) ([]draft.Item, string) {
	list := e.Texts(e.Args.Get("regex_list"))
	if e.text("match_on") == "all" {
		var items []draft.Item
		for _, r := range list {
			items = append(items, draft.Item{Kind: "matches", Value: draft.Text(r)})
		}
		return items, ""
	}
	for i, r := range list {
		list[i] = "(?:" + r + ")"
	}
	return one("matches", draft.Text(strings.Join(list, "|"))), missing(strings.Join(list, ""))
}

func notRegexList(e *Expectation) ([]draft.Item, string) {
	var items []draft.Item
	for _, r := range e.Texts(e.Args.Get("regex_list")) {
		items = append(items, draft.Item{Kind: "not_matches", Value: draft.Text(r)})
	}
	return items, ""
}

// like turns a pattern of SQL's LIKE into a regular expression.
func like(kind string) translation {
	return func(e *Expectation) ([]draft.Item, string) {
		p := e.text("like_pattern")
		if p == "" {
			return nil, "its arguments are missing"
		}
		re := strings.NewReplacer("%", ".*", "_", ".").Replace(regexp.QuoteMeta(p))
		return one(kind, draft.Text("^(?s:"+re+")$")), ""
	}
}

// strftimes are formats of times that have a name.
var strftimes = map[string]string{"%Y-%m-%d": "date", "%Y-%m-%dT%H:%M:%SZ": "datetime", "%Y-%m-%dT%H:%M:%S%z": "datetime", "%H:%M:%S": "time"}

func strftime(e *Expectation) ([]draft.Item, string) {
	f := e.text("strftime_format")
	if name, ok := strftimes[f]; ok {
		return one("format", name), ""
	}
	return nil, "the format " + f + " has no name here; write matches with a regular expression"
}

func quantiles(e *Expectation) ([]draft.Item, string) {
	var none diag.List
	e.text("allow_relative_error")
	n := e.Args.Get("quantile_ranges")
	if n.Kind() != yamldoc.Map {
		return nil, "its arguments are missing"
	}
	m := n.Mapping(&none)
	e.Take(m.Get("quantiles"), m.Get("value_ranges"))
	ranges := m.Get("value_ranges").Items()
	var items []draft.Item
	for i, q := range m.Get("quantiles").Items() {
		if i >= len(ranges) || len(ranges[i].Items()) > 2 {
			return nil, "its quantiles and ranges do not match"
		}
		pair := draft.Pair{Key: "q", Value: translate.Literal(q)}
		ends := []string{"", ""}
		if ranges[i].Kind() == yamldoc.List {
			for k, end := range ranges[i].Items() {
				ends[k] = translate.Literal(end)
			}
		}
		items = append(items, draft.Item{Kind: "quantile", Value: draft.Map(pair, draft.Pair{Key: "min", Value: ends[0]}, draft.Pair{Key: "max", Value: ends[1]})})
	}
	return items, ""
}

func pair(sign string) translation {
	return func(e *Expectation) ([]draft.Item, string) {
		a, b := e.text("column_A"), e.text("column_B")
		if a == "" || b == "" {
			return nil, "it does not name two columns"
		}
		op := sign
		if e.isTrue("or_equal") {
			op += "="
		}
		return one("row", draft.Text(translate.Name(a)+" "+op+" "+translate.Name(b))), ""
	}
}

func together(e *Expectation) ([]draft.Item, string) {
	names := e.Texts(e.Args.Get("column_list"))
	if len(names) == 0 {
		return nil, "it names no columns"
	}
	return one("unique", draft.Texts(names)), ""
}

// differing says that the values of some columns differ within a row.
func differing(e *Expectation) ([]draft.Item, string) {
	names := e.Texts(e.Args.Get("column_list"))
	var parts []string
	for i, a := range names {
		for _, b := range names[i+1:] {
			parts = append(parts, translate.Name(a)+" != "+translate.Name(b))
		}
	}
	if len(parts) == 0 {
		return nil, "it does not name two columns"
	}
	return one("row", draft.Text(strings.Join(parts, " && "))), ""
}

func sum(e *Expectation) ([]draft.Item, string) {
	names, total := e.Texts(e.Args.Get("column_list")), e.literal("sum_total")
	if len(names) == 0 || total == "" {
		return nil, "its arguments are missing"
	}
	for i, n := range names {
		names[i] = translate.Name(n)
	}
	return one("row", draft.Text(strings.Join(names, " + ")+" == "+total)), ""
}

// nonNull is a share of values, which is one of nulls here.
func nonNull(e *Expectation) ([]draft.Item, string) {
	var none diag.List
	lo, ok := e.Get(e.Args, "min_value").Float(&none)
	hi, okHigh := e.Get(e.Args, "max_value").Float(&none)
	var b translate.Bounds
	if ok {
		b.Max = draft.Number(round(1 - lo))
	}
	if okHigh && hi < 1 {
		b.Min = draft.Number(round(1 - hi))
	}
	return one("null_rate", b.Zone("")), missing(b.Zone(""))
}

// round takes away what binary fractions add.
func round(f float64) float64 { return float64(int64(f*1e9+0.5)) / 1e9 }
