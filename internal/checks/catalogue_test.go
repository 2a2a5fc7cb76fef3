package checks_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/monitor"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/rules"
	"github.com/profilerhq/profiler/internal/source/csv"
)

// kindRow has the values of one column that a kind accepts and rejects. What
// every kind has in common is tested with them: nothing, nulls, missing columns,
// where, by, tolerances, limits that are just reached.
type kindRow struct {
	item string // the check, of the column v
	good []string
	bad  []string // rejected, in part at least, after the good ones too
	// dataset is set for a check of the dataset that is about the column v.
	dataset bool
	// empty and nulls are the statuses over no rows and over nulls alone; zero is
	// pass.
	empty, nulls checks.Status
	// wrong are values of another type than the check is about, with its status
	// and what the message has.
	wrong      []string
	wrongly    checks.Status
	wrongWords string
	// unordered is set for metrics that are no numbers.
	unordered bool
	// noParts is why a check has neither where nor by; empty is that it has.
	noParts bool
	// alike is set where rows of equal values are to be equal in all columns.
	alike bool
	// absent is set where no column can be missing.
	absent bool
	own    []ownCase
}

// ownCase is a case that one kind alone has.
type ownCase struct {
	name, item, data string
	past             map[string]float64 // a metric of the batch before
	base             string             // values of v of the batch before
	status           checks.Status
	words            string // of the message or the reason
}

var (
	pass, warn, fail, failed = checks.Pass, checks.Warn, checks.Fail, checks.Error
	texts                    = []string{"x", "y", "z", "x y"}
)

// rowKindRows are the kinds that judge rows.
var rowKindRows = map[string]kindRow{
	"decimals":     {item: "decimals: {max: 1}", good: []string{"1", "2.5", "-3.0"}, bad: []string{"1.25"}, wrong: texts, wrongly: fail, wrongWords: "4 of 4"},
	"decreasing":   {item: "decreasing", good: []string{"3", "2", "2"}, bad: []string{"5", "9"}, wrong: []string{"b", "a"}, wrongly: pass},
	"finite":       {item: "finite", good: []string{"1", "2.5", "-3"}, bad: []string{"NaN"}, wrong: texts, wrongly: fail, wrongWords: "4 of 4"},
	"format":       {item: "format: country", good: []string{"DE", "FR", "USA"}, bad: []string{"XX"}, wrong: []string{"1", "2"}, wrongly: fail, wrongWords: "2 of 2"},
	"in":           {item: "in: [a, b]", good: []string{"a", "b", "a"}, bad: []string{"c"}, wrong: []string{"1", "2"}, wrongly: fail, wrongWords: "2 of 2"},
	"increasing":   {item: "increasing", good: []string{"1", "2", "2"}, bad: []string{"0", "-1"}, wrong: []string{"a", "b"}, wrongly: pass},
	"is_null":      {item: "is_null", good: []string{"", "", ""}, bad: []string{"x"}, wrong: []string{"1"}, wrongly: fail},
	"json_schema":  {item: "json_schema: s.json", good: []string{`"{""a"":1}"`, `"{""a"":2}"`, `"{""a"":3}"`}, bad: []string{`"{""a"":""x""}"`}, wrong: []string{"1", "2"}, wrongly: fail, wrongWords: "2 of 2"},
	"length":       {item: "length: {max: 2}", good: []string{"a", "bb", "cc"}, bad: []string{"ddd"}, wrong: []string{"1", "222"}, wrongly: fail, wrongWords: "1 of 2"},
	"matches":      {item: "matches: '^a'", good: []string{"a", "ab", "abc"}, bad: []string{"b"}, wrong: []string{"1", "2"}, wrongly: fail, wrongWords: "2 of 2"},
	"multiple_of":  {item: "multiple_of: 0.5", good: []string{"1", "2.5", "-3"}, bad: []string{"0.7"}, wrong: texts, wrongly: fail, wrongWords: "4 of 4"},
	"not_blank":    {item: "not_blank", good: []string{"a", "b", "c"}, bad: []string{`" "`}, nulls: fail, wrong: []string{"1"}, wrongly: pass},
	"not_in":       {item: "not_in: [c]", good: []string{"a", "b", "d"}, bad: []string{"c"}, wrong: []string{"1", "2"}, wrongly: pass},
	"not_matches":  {item: "not_matches: '^b'", good: []string{"a", "ab", "abc"}, bad: []string{"b"}, wrong: []string{"1", "2"}, wrongly: pass},
	"not_null":     {item: "not_null", good: []string{"a", "b", "c"}, bad: []string{""}, nulls: fail, wrong: []string{"1"}, wrongly: pass},
	"range":        {item: "range: {min: 0, max: 10}", good: []string{"0", "5.5", "10"}, bad: []string{"10.000001"}, wrong: texts, wrongly: fail, wrongWords: "4 of 4"},
	"references":   {item: "references: {source: other.csv, column: id}", good: []string{"1", "2", "3"}, bad: []string{"9"}, wrong: texts, wrongly: fail, wrongWords: "4 of 4"},
	"row":          {item: "row: v <= 10", dataset: true, good: []string{"1", "10", "-5"}, bad: []string{"11"}, wrong: texts, wrongly: failed, wrongWords: "do not compare"},
	"type":         {item: "type: integer", good: []string{"1", "2", "3"}, bad: []string{"x"}, wrong: texts, wrongly: fail, wrongWords: "4 of 4"},
	"unique":       {item: "unique", good: []string{"1", "2", "3"}, bad: []string{"7", "7"}, wrong: texts, wrongly: pass},
	"unique again": {item: "unique: [v]", dataset: true, good: []string{"1", "2", "3"}, bad: []string{"7", "7"}, wrong: texts, wrongly: pass},
	"parsable":     {item: "parsable", dataset: true, noParts: true, absent: true, good: []string{"1", "2", "3"}, bad: []string{"1,2,3"}, wrong: texts, wrongly: pass},
}

// metricKindRows are the kinds that judge one number: good are values for which
// it has one.
var metricKindRows = map[string]kindRow{
	"row_count":      {dataset: true, absent: true, good: []string{"1", "2", "3"}, bad: []string{"4"}, empty: fail, wrong: texts, wrongly: fail},
	"column_count":   {dataset: true, absent: true, noParts: true, good: []string{"1"}, wrong: texts, wrongly: pass},
	"bytes":          {dataset: true, absent: true, noParts: true, good: []string{"1"}, wrong: texts, wrongly: pass},
	"duplicate_rows": {dataset: true, absent: true, alike: true, good: []string{"1", "1", "2"}, wrong: texts, wrongly: fail},
	"null_count":     {good: []string{"1", "", "2"}, wrong: texts, wrongly: fail},
	"null_rate":      {good: []string{"1", "", "2", ""}, wrong: texts, wrongly: fail},
	"distinct":       {good: []string{"1", "2", "2"}, wrong: texts, wrongly: fail},
	"distinct_rate":  {good: []string{"1", "2", "2"}, wrong: texts, wrongly: fail},
	"unique_rate":    {good: []string{"1", "2", "2"}, wrong: texts, wrongly: fail},
	"min":            {good: []string{"1.5", "2", "4"}, wrong: texts, wrongly: fail},
	"max":            {good: []string{"1.5", "2", "4"}, wrong: texts, wrongly: fail},
	"mean":           {good: []string{"1.5", "2", "4"}, wrong: texts, wrongly: fail, wrongWords: "no value"},
	"median":         {good: []string{"1.5", "2", "4"}, wrong: texts, wrongly: fail, wrongWords: "no value"},
	"stddev":         {good: []string{"1.5", "2", "4"}, wrong: texts, wrongly: fail, wrongWords: "no value"},
	"variance":       {good: []string{"1.5", "2", "4"}, wrong: texts, wrongly: fail, wrongWords: "no value"},
	"sum":            {good: []string{"1.5", "2", "4"}, wrong: texts, wrongly: fail, wrongWords: "no value"},
	"skewness":       {good: []string{"1.5", "2", "4"}, wrong: texts, wrongly: fail, wrongWords: "no value"},
	"kurtosis":       {good: []string{"1.5", "2", "4", "9"}, wrong: texts, wrongly: fail, wrongWords: "no value"},
	"zero_rate":      {good: []string{"1.5", "0", "4"}, wrong: texts, wrongly: fail, wrongWords: "no value"},
	"negative_rate":  {good: []string{"1.5", "-2", "4"}, wrong: texts, wrongly: fail, wrongWords: "no value"},
	"true_rate":      {good: []string{"true", "false", "true"}, wrong: texts, wrongly: fail, wrongWords: "no value"},
	"blank_rate":     {good: []string{"a", `" "`, "b"}, wrong: []string{"1", "2"}, wrongly: fail, wrongWords: "no value"},
	"min_length":     {good: []string{"a", "bb", "cccc"}, wrong: []string{"1", "2"}, wrongly: fail, wrongWords: "no value"},
	"max_length":     {good: []string{"a", "bb", "cccc"}, wrong: []string{"1", "2"}, wrongly: fail, wrongWords: "no value"},
	"mean_length":    {good: []string{"a", "bb", "cccc"}, wrong: []string{"1", "2"}, wrongly: fail, wrongWords: "no value"},
	"top_share":      {good: []string{"1", "2", "2"}, wrong: texts, wrongly: fail},
	"entropy":        {good: []string{"1", "2", "2"}, wrong: texts, wrongly: fail},
	"quantile":       {item: "q: 0.5", good: []string{"1.5", "2", "4"}, wrong: texts, wrongly: fail, wrongWords: "no value"},
	"correlation":    {item: "with: w", good: []string{"1.5", "2", "4"}, wrong: texts, wrongly: failed, wrongWords: "needs numbers"},
	"most_common":    {item: "most_common: {one_of: [a]}", unordered: true, good: []string{"a", "a", "b"}, bad: []string{"b", "b", "a"}, nulls: fail, empty: fail, wrong: []string{"1"}, wrongly: fail},
	"values":         {item: "values: {equals: [a, b]}", unordered: true, good: []string{"a", "b", "a"}, bad: []string{"a", "c"}, nulls: fail, empty: fail, wrong: []string{"1"}, wrongly: fail},
}

// hasNumber lists the metrics that are 0 rather than absent without values.
var hasNumber = []string{"row_count", "column_count", "bytes", "duplicate_rows", "null_count", "null_rate", "distinct"}

// batchKindRows are the kinds that judge the batch as a whole.
var batchKindRows = map[string]kindRow{
	"arrival": {dataset: true, own: []ownCase{
		{name: "passes", item: `arrival: {expect: "0 6 * * *", grace: 1h}`, data: "v\n1\n", words: "the batch is there"},
		{name: "empty batch", item: `arrival: {expect: "@daily"}`, data: "v\n"},
		{name: "all null", item: `arrival: {expect: "@daily"}`, data: "v,w\n,1\n"},
		{name: "fails", item: `arrival: {expect: "@daily"}`, words: "missing"}, // by the clock: TestArrivalsAreExpected
	}},
	"balance": {dataset: true, own: []ownCase{
		{name: "passes", item: "balance: {with: default/other}", data: "v\n1\n2\n", past: map[string]float64{"row_count": 2}},
		{name: "fails", item: "balance: {with: default/other}", data: "v\n1\n2\n", past: map[string]float64{"row_count": 3}, status: fail, words: "expected a difference of at most 0"},
		{name: "exactly at the limit", item: "balance: {with: default/other, max: 50%}", data: "v\n1\n2\n3\n", past: map[string]float64{"row_count": 2}},
		{name: "percentage limit", item: "balance: {with: default/other, max: 49%}", data: "v\n1\n2\n3\n", past: map[string]float64{"row_count": 2}, status: fail},
		{name: "count limit", item: "balance: {with: default/other, max: 1}", data: "v\n1\n2\n3\n", past: map[string]float64{"row_count": 2}},
		{name: "empty batch", item: "balance: {with: default/other}", data: "v\n", past: map[string]float64{"row_count": 0}},
		{name: "all null", item: "balance: {with: default/other, of: v.sum}", data: "v,w\n,1\n", past: map[string]float64{"sum": 1}, status: fail, words: "no value"},
		{name: "missing column", item: "balance: {with: default/other, of: gone.sum}", data: "v\n1\n", past: map[string]float64{"sum": 1}, status: fail, words: "missing column"},
		{name: "wrong type", item: "balance: {with: default/other, of: v.sum}", data: "v\nx\n", past: map[string]float64{"sum": 1}, status: fail, words: "no value"},
	}},
	"change": {dataset: true, own: []ownCase{
		{name: "passes", item: "change: {of: row_count, against: previous, max: 50%}", data: "v\n1\n2\n", past: map[string]float64{"row_count": 2}},
		{name: "fails", item: "change: {of: row_count, against: previous, max: 50%}", data: "v\n1\n", past: map[string]float64{"row_count": 3}, status: fail, words: "-66.7 %, expected a change of at most 50 %"},
		{name: "exactly at the limit", item: "change: {of: row_count, against: previous, max: 50%}", data: "v\n1\n", past: map[string]float64{"row_count": 2}},
		{name: "percentage limit", item: "change: {of: row_count, against: previous, max: 49.9%}", data: "v\n1\n", past: map[string]float64{"row_count": 2}, status: fail},
		{name: "count limit", item: "change: {of: row_count, against: previous, max: 1}", data: "v\n1\n", past: map[string]float64{"row_count": 2}},
		{name: "beyond the count", item: "change: {of: row_count, against: previous, max: 1}", data: "v\n1\n", past: map[string]float64{"row_count": 3}, status: fail},
		{name: "warns", item: "change: {of: row_count, against: previous, warn: {max: 10%}, fail: {max: 90%}}", data: "v\n1\n", past: map[string]float64{"row_count": 2}, status: warn},
		{name: "no past", item: "change: {of: row_count, against: previous, max: 1}", data: "v\n1\n", status: checks.Learning},
		{name: "empty batch", item: "change: {of: row_count, against: previous, max: 50%}", data: "v\n", past: map[string]float64{"row_count": 2}, status: fail, words: "-100 %"},
		{name: "all null", item: "change: {of: v.mean, against: previous, max: 50%}", data: "v,w\n,1\n", past: map[string]float64{"mean": 2}, status: fail, words: "no value"},
		{name: "missing column", item: "change: {of: gone.mean, against: previous, max: 50%}", data: "v\n1\n", past: map[string]float64{"mean": 2}, status: fail, words: "missing column"},
		{name: "wrong type", item: "change: {of: v.mean, against: previous, max: 50%}", data: "v\nx\n", past: map[string]float64{"mean": 2}, status: fail, words: "no value"},
	}},
	"drift": {own: []ownCase{
		{name: "passes", item: "drift: {method: tv, fail: 0.5}", data: many("a", 60, "b", 30), base: many("a", 60, "b", 30)},
		{name: "fails", item: "drift: {method: tv, fail: 0.5}", data: many("b", 90), base: many("a", 90), status: fail, words: `value "b" went from 0 % to 100 %`},
		{name: "exactly at the limit", item: "drift: {method: tv, fail: 0.5}", data: many("a", 50, "b", 50), base: many("a", 100), status: fail, words: "TV of v is 0.5"},
		{name: "percentage limit", item: "drift: {method: tv, fail: 51%}", data: many("a", 50, "b", 50), base: many("a", 100)},
		{name: "warns", item: "drift: {method: tv, warn: 0.1, fail: 0.9}", data: many("a", 50, "b", 50), base: many("a", 100), status: warn},
		{name: "no past", item: "drift", data: "v\na\n", status: checks.Learning},
		{name: "empty batch", item: "drift: {method: tv}", data: "v\n", base: "v\na\n", status: fail, words: "no value"},
		{name: "all null", item: "drift: {method: tv}", data: "v,w\n,1\n", base: "v\na\n", status: fail, words: "no value"},
		{name: "missing column", item: "drift: {method: tv}", data: "gone\n1\n", base: "v\na\n", status: fail, words: "missing column"},
		{name: "wrong type", item: "drift: {method: ks}", data: "v\n1\n2\n", base: "v\na\nb\n", status: fail, words: "type changed"},
	}},
	"freshness": {dataset: true, own: []ownCase{
		{name: "passes", item: "freshness: {column: v, max_age: 2h}", data: "v\n2026-03-01T23:00:00Z\n"},
		{name: "fails", item: "freshness: {column: v, max_age: 2h}", data: "v\n2026-03-01T21:59:59Z\n", status: fail, words: "expected at most 2 h"},
		{name: "exactly at the limit", item: "freshness: {column: v, max_age: 2h}", data: "v\n2026-03-01T22:00:00Z\n"},
		{name: "warns", item: "freshness: {column: v, warn: 1h, fail: 2h}", data: "v\n2026-03-01T22:30:00Z\n", status: warn},
		{name: "in the future", item: "freshness: {column: v, max_age: 2h}", data: "v\n2026-03-09T22:00:00Z\n", words: "counted as 0"},
		{name: "empty batch", item: "freshness: {column: v, max_age: 2h}", data: "v\n", status: fail, words: "no value"},
		{name: "all null", item: "freshness: {column: v, max_age: 2h}", data: "v,w\n,1\n", status: fail, words: "no value"},
		{name: "missing column", item: "freshness: {column: gone, max_age: 2h}", data: "v\n1\n", status: fail, words: "missing column"},
		{name: "wrong type", item: "freshness: {column: v, max_age: 2h}", data: "v\nx\n", status: failed, words: "freshness needs dates"},
		// The batch is of Monday, 2026-03-02: Friday evening is near.
		{name: "weekend", item: "freshness: {column: v, max_age: 2h}", data: "v\n2026-02-27T23:00:00Z\n", status: fail, words: "2 days 1 h"},
		{name: "calendar", item: "freshness: {column: v, max_age: 2h, calendar: mon-fri}", data: "v\n2026-02-27T23:00:00Z\n", words: "1 h before the batch of the days that count (mon-fri)"},
		{name: "holiday", item: "freshness: {column: v, max_age: 2h, calendar: {days: mon-fri, except: [2026-02-27]}}", data: "v\n2026-02-26T22:30:00Z\n", words: "1 h 30 min"},
		{name: "calendar fails", item: "freshness: {column: v, max_age: 2h, calendar: mon-fri}", data: "v\n2026-02-27T21:00:00Z\n", status: fail, words: "3 h"},
	}},
	"schema": {dataset: true, own: []ownCase{
		{name: "passes", item: "schema: {columns: [v, w], types: {v: number}, closed: true, ordered: true}", data: "v,w\n1,x\n"},
		{name: "fails", item: "schema: {columns: [v, w], closed: true}", data: "v,x\n1,x\n", status: fail},
		{name: "exactly at the limit", item: "schema: {columns: [v], types: {v: integer}}", data: "v\n1\n"},
		{name: "empty batch", item: "schema: {columns: [v], types: {v: integer}}", data: "v\n"},
		{name: "all null", item: "schema: {columns: [v], types: {v: integer}}", data: "v,w\n,1\n"},
		{name: "missing column", item: "schema: {columns: [v, gone]}", data: "v\n1\n", status: fail, words: "gone"},
		{name: "wrong type", item: "schema: {columns: [v], types: {v: integer}}", data: "v\nx\n", status: fail, words: "string"},
	}},
}

// scenarios are what a row of a kind that judges the batch as a whole shows.
var scenarios = []string{"passes", "fails", "empty batch", "all null"}

// TestEveryKindInEverySituation has the rows that every kind needs; a kind
// without a row fails it.
func TestEveryKindInEverySituation(t *testing.T) {
	t.Parallel()
	for _, spec := range checks.Catalog() {
		switch spec.Level {
		case checks.RowLevel:
			row, ok := rowKindRows[spec.Kind]
			require.True(t, ok, "the kind %s has no row in rowKindRows", spec.Kind)
			t.Run(spec.Kind, func(t *testing.T) { t.Parallel(); rowKind(t, row) })
		case checks.MetricLevel:
			row, ok := metricKindRows[spec.Kind]
			require.True(t, ok, "the kind %s has no row in metricKindRows", spec.Kind)
			t.Run(spec.Kind, func(t *testing.T) { t.Parallel(); metricKind(t, spec.Kind, row) })
		default:
			row, ok := batchKindRows[spec.Kind]
			require.True(t, ok, "the kind %s has no row in batchKindRows", spec.Kind)
			t.Run(spec.Kind, func(t *testing.T) { t.Parallel(); batchKind(t, spec.Kind, row) })
		}
	}
	t.Run("unique of the dataset", func(t *testing.T) { t.Parallel(); rowKind(t, rowKindRows["unique again"]) })
}

// written is the rule of an item with keys beside it.
func (k *kindRow) written(item string, beside ...string) string {
	if name, params, ok := strings.Cut(item, ": "); ok {
		item = name + ": " + params
	} else {
		item += ":"
	}
	lines := append([]string{item}, beside...)
	if k.dataset {
		return "checks:\n  - " + strings.Join(lines, "\n    ") + "\n"
	}
	return "columns:\n  v:\n    - " + strings.Join(lines, "\n      ") + "\n"
}

// tableOf is a CSV of the column v beside g, of the rows' sides, and w.
func tableOf(parts ...[]string) string {
	var b strings.Builder
	b.WriteString("g,w,v\n")
	n := 0
	for i, values := range parts {
		for _, v := range values {
			n++
			fmt.Fprintf(&b, "%c,%d,%s\n", 'a'+i, n*n, v)
		}
	}
	return b.String()
}

// many is a CSV of the column v with values and how often each comes.
func many(values ...any) string {
	text := "v\n"
	for i := 0; i < len(values); i += 2 {
		text += strings.Repeat(values[i].(string)+"\n", values[i+1].(int))
	}
	return text
}

// judged judges a CSV and returns the result of the rule's check.
func judged(t *testing.T, rule, data string, past monitor.History) (checks.Result, *monitor.Outcome) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"other.csv": "id\n1\n2\n3\n", "s.json": `{"type": "object", "properties": {"a": {"type": "integer"}}}`} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	sets, diags := rules.Parse(filepath.Join(dir, "r.yaml"), []byte(rule), nil)
	require.NoError(t, diags.Err(), rule)
	r, err := csv.New(strings.NewReader(data), csv.Options{Source: "in.csv"})
	require.NoError(t, err)
	at := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	o, err := monitor.New(monitor.Options{FailingRows: 20, MarkRows: true, History: past}).Observe(context.Background(), r, monitor.Subject{
		Dataset: "default/in", Batch: "b", At: at, Rules: sets,
	})
	require.NoError(t, err)
	for i, res := range o.Report.Results {
		if res.ID == "parsable" && !strings.Contains(rule, "parsable") {
			continue
		}
		return o.Report.Results[i], o
	}
	t.Fatal("there is no result")
	return checks.Result{}, nil
}

func rowKind(t *testing.T, k kindRow) {
	status := func(name, rule, data string, want checks.Status) checks.Result {
		t.Helper()
		res, o := judged(t, rule, data, nil)
		require.Equal(t, want, res.Status, "%s: %s\n%s%s", name, res.Message, rule, data)
		require.NotEmpty(t, res.Message, name)
		rejected := int64(0)
		for i := range o.Rejected {
			rejected += o.Rejected[i].Rows.Len()
		}
		if res.Failed != nil && res.Kind != "parsable" {
			require.Equal(t, *res.Failed, rejected, "%s: the rejected rows are those that fail", name)
		}
		return res
	}
	item := k.written(k.item)
	status("passes", item, tableOf(k.good), pass)
	res := status("fails", item, tableOf(k.good, k.bad), fail)
	require.Equal(t, "at most 0 failing rows", res.Limit)
	if !k.absent {
		require.Contains(t, res.Message, "first: row ")
	}
	bad, all := *res.Failed, *res.Evaluated
	require.Positive(t, bad)

	status("count, exactly at the limit", k.written(k.item, fmt.Sprintf("fail: %d", bad)), tableOf(k.good, k.bad), pass)
	status("count, beyond the limit", k.written(k.item, fmt.Sprintf("fail: %d", bad-1)), tableOf(k.good, k.bad), fail)
	share := 100 * float64(bad) / float64(all)
	status("percentage, at the limit", k.written(k.item, fmt.Sprintf("fail: %.4f%%", share+0.0001)), tableOf(k.good, k.bad), pass)
	status("percentage, beyond the limit", k.written(k.item, fmt.Sprintf("fail: %.4f%%", share-0.001)), tableOf(k.good, k.bad), fail)
	status("only warn", k.written(k.item, "warn: 0"), tableOf(k.good, k.bad), warn)
	status("severity", k.written(k.item, "severity: warn"), tableOf(k.good, k.bad), warn)

	res = status("empty batch", item, tableOf(), k.empty)
	require.Zero(t, *res.Evaluated)
	if k.absent {
		return
	}
	status("all null", item, tableOf([]string{"", "", ""}), k.nulls)
	res = status("wrong type", item, tableOf(k.wrong), k.wrongly)
	require.Contains(t, res.Message, k.wrongWords)
	res, _ = judged(t, item, "g,w\na,1\n", nil)
	require.Equal(t, []any{fail, "missing column"}, []any{res.Status, res.Reason}, "missing column")
	res, _ = judged(t, k.written(k.item, "where: gone == 1"), tableOf(k.good), nil)
	require.Equal(t, []any{fail, "missing column"}, []any{res.Status, res.Reason}, "where over a missing column")

	res = status("where leaves the bad rows out", k.written(k.item, `where: g == "a"`), tableOf(k.good, k.bad), pass)
	require.True(t, strings.HasPrefix(res.Message, `where g == "a": `), res.Message)
	status("where selects the bad rows", k.written(k.item, `where: g != "c"`), tableOf(k.good, k.bad, k.good), fail)
	res = status("where selects nothing", k.written(k.item, `where: g == "z"`), tableOf(k.good, k.bad), k.empty)
	require.Zero(t, *res.Evaluated)
	res = status("by", k.written(k.item, "by: g"), tableOf(k.good, append(slices.Clone(k.good), k.bad...)), fail)
	require.Len(t, res.Segments, 2)
	worst := res.Segments[slices.IndexFunc(res.Segments, func(s checks.Segment) bool { return s.Value.String() == "b" })]
	require.Equal(t, fail, worst.Status)
	require.Contains(t, res.Message, "in 1 of 2 segments of g: b ")
	status("by, all good", k.written(k.item, "by: g"), tableOf(k.good, k.good), pass)
}

// likeness finds the column w of a row.
var likeness = regexp.MustCompile(`(?m)^([ab]),\d+,`)

func metricKind(t *testing.T, kind string, k kindRow) {
	status := func(name, rule, data string, want checks.Status) checks.Result {
		t.Helper()
		if k.alike {
			data = likeness.ReplaceAllString(data, "$1,1,")
		}
		res, _ := judged(t, rule, data, nil)
		require.Equal(t, want, res.Status, "%s: %s\n%s%s", name, res.Message, rule, data)
		require.NotEmpty(t, res.Message, name)
		return res
	}
	item := func(zone string) string {
		if k.unordered {
			return k.item
		}
		if k.item != "" {
			zone = k.item + ", " + zone
		}
		return kind + ": {" + zone + "}"
	}
	zone := func(format string, v any) string { return item(fmt.Sprintf(format, v)) }
	data := tableOf(k.good)
	if k.alike {
		data = likeness.ReplaceAllString(data, "$1,1,")
	}
	var value string
	if k.unordered {
		status("passes", k.written(item("")), data, pass)
		status("fails", k.written(item("")), tableOf(k.bad), fail)
		status("severity", k.written(item(""), "severity: warn"), tableOf(k.bad), warn)
	} else {
		res, _ := judged(t, k.written(item("min: 0")), data, nil)
		value = res.Value.String()
		f, err := strconv.ParseFloat(value, 64)
		require.NoError(t, err, "%s has no number: %s", kind, res.Message)
		status("passes, exactly at the limit", k.written(zone("min: %s", value)), data, pass)
		status("passes, exactly at the limit", k.written(zone("max: %s", value)), data, pass)
		status("equals", k.written(zone("equals: %s", value)), data, pass)
		status("one of", k.written(zone("one_of: [%s]", value)), data, pass)
		res = status("fails just above", k.written(zone("above: %s", value)), data, fail)
		require.Contains(t, res.Message, "expected above ")
		status("fails just below", k.written(zone("below: %s", value)), data, fail)
		status("severity", k.written(zone("below: %s", value), "severity: warn"), data, warn)
		status("warn beside the check", k.written(kind+": {"+strings.TrimPrefix(k.item+", ", ", ")+"warn: {below: "+value+"}}"), data, warn)
		if f >= 0 && f <= 1 && k.item == "" { // percentages are fractions
			status("percentage", k.written(kind+fmt.Sprintf(": {max: %.10f%%}", 100*f+1e-9)), data, pass)
			if f > 0 {
				status("percentage", k.written(kind+fmt.Sprintf(": {max: %.10f%%}", 100*f-1e-6)), data, fail)
			}
		}
	}
	never := item("below: -1000000")
	if f, err := strconv.ParseFloat(value, 64); err == nil && f >= 0 && f <= 1 {
		never = item("max: 0, min: 0") // of shares
	}
	emptied, nulled := fail, fail
	if slices.Contains(hasNumber, kind) { // 0 rows have 0 of them
		never = item("equals: 0")
		emptied, nulled = pass, pass
		switch kind {
		case "bytes", "column_count":
			never, emptied, nulled = item("min: 0"), pass, pass
		case "row_count", "null_count", "duplicate_rows":
			nulled = fail // there are rows
		case "null_rate":
			nulled = fail // all of them
		}
	}
	res := status("empty batch", k.written(never), tableOf(), emptied)
	if emptied == fail && !k.unordered {
		require.Equal(t, "no value", res.Reason, res.Message)
	}
	nulls := tableOf([]string{"", "", ""})
	if kind == "duplicate_rows" {
		nulls = "v,w\n,\n,\n"
	}
	res = status("all null", k.written(never), nulls, nulled)
	if nulled == fail && !k.unordered && !slices.Contains(hasNumber, kind) {
		require.Equal(t, "no value", res.Reason, res.Message)
	}
	wrong := item("below: -1000000")
	if strings.Contains(kind, "rate") || strings.Contains(kind, "share") {
		wrong = item("equals: 0.123456")
	}
	if kind == "bytes" || kind == "column_count" {
		wrong = item("min: 0")
	}
	res = status("wrong type", k.written(wrong), tableOf(k.wrong), k.wrongly)
	require.Contains(t, res.Message+" "+res.Reason, k.wrongWords)
	if !k.absent {
		res, _ = judged(t, k.written(item("min: 0")), "g,w\na,1\n", nil)
		require.Equal(t, []any{fail, "missing column"}, []any{res.Status, res.Reason}, "missing column")
	}
	if k.noParts {
		for _, beside := range []string{`where: g == "a"`, "by: g"} {
			_, diags := rules.Parse("r.yaml", []byte(k.written(item("min: 0"), beside)), nil)
			require.ErrorContains(t, diags.Err(), "judges the batch as a whole")
		}
		return
	}
	parts(t, kind, k, item, value, status)
}

// parts judges some rows and each segment.
func parts(t *testing.T, kind string, k kindRow, item func(string) string, value string, status func(name, rule, data string, want checks.Status) checks.Result) {
	t.Helper()
	if k.unordered {
		status("where", k.written(item(""), `where: g == "a"`), tableOf(k.good, k.bad), pass)
		status("where", k.written(item(""), `where: g == "b"`), tableOf(k.good, k.bad), fail)
		res := status("by", k.written(item(""), "by: g"), tableOf(k.good, k.bad), fail)
		require.Len(t, res.Segments, 2)
		return
	}
	others := []string{"77", "77", "-5", "", "0", "", "123"} // with another number
	if kind == "true_rate" {
		others = []string{"true", "true"}
	}
	if strings.Contains(kind, "length") || kind == "blank_rate" {
		others = []string{"abcdefg", "abcdefgh"}
	}
	equal := item("equals: " + value)
	status("where", k.written(equal, `where: g == "a"`), tableOf(k.good, others), pass)
	status("where", k.written(equal, `where: g == "b"`), tableOf(k.good, others), fail)
	res := status("by", k.written(equal, "by: g"), tableOf(k.good, others), fail)
	require.Len(t, res.Segments, 2, res.Message)
	for _, s := range res.Segments {
		want := pass
		if s.Value.String() == "b" {
			want = fail
		}
		require.Equal(t, want, s.Status, "segment %s: %s", s.Value, res.Message)
	}
	require.Contains(t, res.Message, "not as expected in 1 of 2 segments of g: b ")
}

// before answers needs with given numbers, or with a profile.
type before struct {
	values map[string]float64
	base   *profile.Profile
}

func (b before) Past(_ context.Context, _ monitor.Subject, needs []checks.Need) map[checks.Need]checks.Past {
	out := map[checks.Need]checks.Past{}
	for _, n := range needs {
		switch v, ok := b.values[n.Metric]; {
		case n.Profile && b.base != nil:
			out[n] = checks.Past{Profile: b.base, Batches: 1}
		case ok:
			out[n] = checks.Past{Values: []float64{v}, Batches: 1}
		}
	}
	return out
}

func batchKind(t *testing.T, kind string, k kindRow) {
	have := map[string]bool{}
	for _, c := range k.own {
		have[c.name] = true
		if c.data == "" {
			continue // by the clock
		}
		t.Run(c.name, func(t *testing.T) {
			b := before{values: c.past}
			if c.base != "" {
				b.base = profileOf(t, c.base)
			}
			res, _ := judged(t, k.written(c.item), c.data, b)
			require.Equal(t, c.status, res.Status, "%s: %s", c.item, res.Message)
			require.Contains(t, res.Message+" "+res.Reason, c.words)
			if c.status == fail {
				res, _ = judged(t, k.written(c.item, "severity: warn"), c.data, b)
				require.Equal(t, warn, res.Status, "%s: %s", c.item, res.Message)
			}
		})
	}
	for _, name := range scenarios {
		require.True(t, have[name], "%s has no case %q", kind, name)
	}
	item := k.own[0].item
	for _, beside := range []string{`where: g == "a"`, "by: g"} {
		_, diags := rules.Parse("r.yaml", []byte(k.written(item, beside)), nil)
		require.ErrorContains(t, diags.Err(), "judges the batch as a whole", item)
	}
}

// TestArrivalsAreExpected asks for batches by a clock.
func TestArrivalsAreExpected(t *testing.T) {
	t.Parallel()
	sets, diags := rules.Parse("r.yaml", []byte("dataset: shop/orders\ntimezone: Europe/Berlin\nchecks:\n  - arrival: {expect: '0 6 * * mon-fri', grace: 1h}\n    severity: warn\n  - arrival: {expect: '@daily', timezone: UTC}\n    enabled: false\n  - row_count: 1\n"), nil)
	require.NoError(t, diags.Err())
	var found []checks.Expectation
	for _, c := range sets[0].Checks {
		if e, ok := c.Expects(); ok {
			found = append(found, e)
		}
	}
	require.Len(t, found, 1)
	e := found[0]
	at := func(s string) time.Time {
		v, err := time.Parse(time.RFC3339, s)
		require.NoError(t, err)
		return v
	}
	due, earlier, ok := e.Due(at("2026-03-02T05:59:59Z")) // Monday, within the grace
	require.True(t, ok)
	require.Equal(t, []string{"2026-02-27T05:00:00Z", "2026-02-26T05:00:00Z"}, []string{due.Format(time.RFC3339), earlier.Format(time.RFC3339)})
	due, earlier, _ = e.Due(at("2026-03-02T06:00:00Z"))
	require.Equal(t, []string{"2026-03-02T05:00:00Z", "2026-02-27T05:00:00Z"}, []string{due.Format(time.RFC3339), earlier.Format(time.RFC3339)})
	require.Equal(t, "2026-03-03T06:00:00Z", e.Next(at("2026-03-02T06:00:00Z")).Format(time.RFC3339))
	res := e.Missed(due, time.Time{}, at("2026-03-02T07:00:00Z"))
	require.Equal(t, []any{warn, "missing batch", "7200"}, []any{res.Status, res.Reason, res.Value.String()})
}
