package checks_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/rules"
	"github.com/profilerhq/profiler/internal/source/csv"
)

// judge runs rules over a CSV as the product does.
func judge(t testing.TB, ruleText, data string, past map[checks.Need]checks.Past) []checks.Result {
	t.Helper()
	sets, diags := rules.Parse("r.yaml", []byte(ruleText), func(string) (string, bool) { return "", false })
	require.NoError(t, diags.Err())
	r, err := csv.New(strings.NewReader(data), csv.Options{Source: "in.csv"})
	require.NoError(t, err)
	ev := checks.New(rules.Plan(sets, checks.DefaultFailingRows))
	b := profile.NewBuilder()
	var c batch.Chunk
	for {
		err := r.Next(t.Context(), &c)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		require.NoError(t, b.Add(r.Columns(), &c))
		require.NoError(t, ev.Observe(r.Columns(), &c))
	}
	ev.Needs(r.Columns())
	stats := r.Stats()
	stats.Bytes = int64(len(data)) // which who opens a file counts
	p := b.Finish(r.Columns(), profile.Info{Dataset: "default/in", Stats: stats})
	at := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	return ev.Results(checks.Input{Profile: p, At: at, AsOf: at, Past: past})
}

func profileOf(t testing.TB, data string) *profile.Profile {
	t.Helper()
	r, err := csv.New(strings.NewReader(data), csv.Options{})
	require.NoError(t, err)
	b := profile.NewBuilder()
	var c batch.Chunk
	for r.Next(t.Context(), &c) == nil {
		require.NoError(t, b.Add(r.Columns(), &c))
	}
	return b.Finish(r.Columns(), profile.Info{Dataset: "default/in"})
}

const orders = `order_id,email,amount,code,status,at
A1,a@x.de,10,007,paid,2026-03-01T20:00:00Z
A2,,20.5,010,paid,2026-03-01T21:00:00Z
A3,c@x.de,-4.2,100,open,2026-03-01T22:00:00Z
A3,"",9999,099,Paid,2026-03-01T23:00:00Z
A5,e@x.de,n/a,011,,2026-02-28
`

// one judges a single column check and returns its result.
func one(t testing.TB, column, item, data string) checks.Result {
	t.Helper()
	res := judge(t, "columns:\n  "+column+":\n    - "+item+"\n", data, nil)
	require.Len(t, res, 2)
	require.Equal(t, "parsable", res[0].ID)
	return res[1]
}

func TestRowChecks(t *testing.T) {
	t.Parallel()
	mixed := "v\n1\n3\n3.0\n+5\n" + strings.Repeat("7\n", 95) + "x\n"
	for _, tc := range []struct {
		name, column, item, data string
		status                   checks.Status
		evaluated, failed        int64
		row                      int64 // first failing
	}{
		{"nothing null", "order_id", "not_null", orders, checks.Pass, 5, 0, 0},
		{"quoted empty is a text", "email", "not_null", orders, checks.Fail, 5, 1, 2},
		{"null passes other checks", "email", "matches: '@'", orders, checks.Fail, 4, 1, 4},
		{"all types of braces", "order_id", "{not_null: {}}", orders, checks.Pass, 5, 0, 0},
		{"true is on", "order_id", "{not_null: true}", orders, checks.Pass, 5, 0, 0},
		{"empty value with keys", "order_id", "{not_null: , fail: 1%}", orders, checks.Pass, 5, 0, 0},
		{"repeated", "order_id", "unique", orders, checks.Fail, 5, 2, 3},
		{"tolerated count", "order_id", "{unique: , fail: 2}", orders, checks.Pass, 5, 2, 3},
		{"tolerated share", "order_id", "{unique: , fail: 39%}", orders, checks.Fail, 5, 2, 3},
		{"only warn", "order_id", "{unique: , warn: 0}", orders, checks.Warn, 5, 2, 3},
		{"severity warn", "order_id", "{unique: , severity: warn}", orders, checks.Warn, 5, 2, 3},
		{"in", "status", "in: [paid, open]", orders, checks.Fail, 4, 1, 4},
		{"not in", "status", "not_in: [Paid]", orders, checks.Fail, 4, 1, 4},
		{"in codes as written", "code", "in: [007, 010, 100, 099, 011]", orders, checks.Pass, 5, 0, 0},
		{"in numbers by value", "v", "in: [1, 3, 5, 7]", mixed, checks.Fail, 100, 1, 100},
		{"in numbers cast from quotes", "v", "in: ['1', '3', '5', '7', x]", mixed, checks.Pass, 100, 0, 0},
		{"range", "amount", "range: {min: 0, max: 10000}", orders, checks.Fail, 5, 2, 3},
		{"text in a number column fails range", "v", "range: {min: 0}", mixed, checks.Fail, 100, 1, 100},
		{"above is exclusive", "v", "range: {above: 1}", mixed, checks.Fail, 100, 2, 1},
		{"range of dates", "at", "range: {min: 2026-03-01}", orders, checks.Fail, 5, 1, 5},
		{"range of quoted texts", "status", `range: {min: "open", max: "paid"}`, orders, checks.Fail, 4, 1, 4},
		{"quoted limits in a number column", "v", `range: {max: "6"}`, mixed, checks.Fail, 100, 96, 5},
		{"codes compare as texts if quoted", "code", `range: {min: "007", max: "099"}`, orders, checks.Fail, 5, 1, 3},
		{"length", "order_id", "length: 2", orders, checks.Pass, 5, 0, 0},
		{"length counts characters", "v", "length: {max: 3}", "v\näöü\nabcd\n", checks.Fail, 2, 1, 2},
		{"matches searches", "order_id", `matches: "^A[0-9]$"`, orders, checks.Pass, 5, 0, 0},
		{"type number takes integers", "v", "type: number", mixed, checks.Fail, 100, 1, 100},
		{"type integer refuses decimals", "v", "type: integer", mixed, checks.Fail, 100, 2, 3},
		{"codes are strings", "code", "type: string", orders, checks.Pass, 5, 0, 0},
		{"codes are no integers", "code", "type: integer", orders, checks.Fail, 5, 5, 1},
		{"timestamp takes dates", "at", "type: timestamp", orders, checks.Pass, 5, 0, 0},
		{"nothing evaluated passes", "v", "range: {min: 1}", "v,w\n,1\n,2\n", checks.Pass, 0, 0, 0},
		{"numbers are unique by value", "v", "unique", "v\n1\n2\n3\n3.0\n", checks.Fail, 4, 2, 3},
		{"texts are unique as written", "v", "unique", "v\na\n3\n3.0\n", checks.Pass, 3, 0, 0},
		{"nan fails range", "v", "range: {min: 0}", "v\n1\n2\nNaN\n", checks.Fail, 3, 1, 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			res := one(t, tc.column, tc.item, tc.data)
			require.Equal(t, tc.status, res.Status, res.Message)
			require.Equal(t, tc.evaluated, *res.Evaluated, res.Message)
			require.Equal(t, tc.failed, *res.Failed, res.Message)
			if tc.failed > 0 {
				require.Equal(t, tc.row, res.FailingRows[0].Row)
				require.Len(t, res.FailingRows, int(min(tc.failed, 20)))
			}
		})
	}
}

func TestMessagesAndKeys(t *testing.T) {
	t.Parallel()
	res := judge(t, "dataset: in\nkey: [order_id]\ncolumns:\n  amount:\n    - range: {min: 0, max: 10_000}\n", orders, nil)[1]
	require.Equal(t, `2 of 5 rows (40 %) are outside 0 … 10,000; first: row 3 is -4.2 (order_id A3)`, res.Message)
	require.Equal(t, "at most 0 failing rows", res.Limit)
	require.Equal(t, &checks.Rule{File: "r.yaml", Line: 5, Column: 7}, res.Rule)
	require.Equal(t, map[string]*string{"order_id": new("A5")}, res.FailingRows[1].Key)
	require.Equal(t, "amount.range", res.ID)
}

func TestUniqueOverColumns(t *testing.T) {
	t.Parallel()
	data := "a,b\n1,x\n1,y\n2,x\n1,x\n,x\n,x\n"
	res := judge(t, "checks:\n  - unique: [a, b]\n", data, nil)[1]
	require.Equal(t, checks.Fail, res.Status)
	require.Equal(t, int64(4), *res.Evaluated)
	require.Equal(t, int64(2), *res.Failed)
	require.Equal(t, int64(1), res.FailingRows[0].Row)
	res = judge(t, "checks:\n  - unique: [a, nope]\n", data, nil)[1]
	require.Equal(t, "missing column", res.Reason)
}

func TestMetricChecks(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		rule    string
		status  checks.Status
		message string
	}{
		{"checks: [{row_count: {min: 5, max: 2_000_000}}]", checks.Pass, "row_count is 5, as expected (5 … 2,000,000)"},
		{"checks: [{row_count: 4}]", checks.Fail, "row_count is 5, expected 4"},
		{"checks: [{row_count: {min: 100}, severity: warn}]", checks.Warn, "row_count is 5, expected at least 100"},
		{"checks: [{row_count: {warn: {min: 6}, fail: {min: 2}}}]", checks.Warn, "row_count is 5, expected at least 6"},
		{"checks: [{row_count: , warn: {min: 9}, fail: {min: 6}}]", checks.Fail, "row_count is 5, expected at least 6"},
		{"columns: {status: [{null_rate: {max: 5%}}]}", checks.Fail, "null_rate of status is 20 %, expected at most 5 %"},
		{"columns: {order_id: [{distinct: {above: 4}}]}", checks.Fail, "distinct of order_id is 4, expected above 4"},
		{"columns: {amount: [{mean: {min: 0}}]}", checks.Fail, "mean of amount has no value to judge"},
		{"columns: {at: [{max: {min: 2026-03-01}}]}", checks.Pass, "max of at is 2026-03-01T23:00:00Z, as expected (at least 2026-03-01)"},
		{"columns: {order_id: [{min: {equals: A1}}]}", checks.Fail, ""},
		{`columns: {order_id: [{min: {equals: "A1"}}]}`, checks.Pass, "min of order_id is A1, as expected (A1)"},
		{"columns: {nope: [{mean: {min: 0}}]}", checks.Fail, `there is no column "nope"; there are order_id, email, amount, code, status, at`},
		{"columns: {'s*': [{null_rate: {max: 5%}}]}", checks.Fail, "null_rate of status is 20 %, expected at most 5 %"},
		{"columns: {'x*': [{null_rate: {max: 5%}}]}", checks.Fail, `there is no column that matches "x*"; there are order_id, email, amount, code, status, at`},
	} {
		sets, diags := rules.Parse("r.yaml", []byte(tc.rule), nil)
		if tc.message == "" {
			require.Error(t, diags.Err(), "%v", sets)
			continue
		}
		res := judge(t, tc.rule, orders, nil)[1]
		require.Equal(t, tc.message, res.Message)
		require.Equal(t, tc.status, res.Status)
	}
}

func TestEmptyBatchHasCounts(t *testing.T) {
	t.Parallel()
	res := judge(t, "checks: [{row_count: 0}]\ncolumns: {a: [{null_rate: 0}, {distinct: 0}, not_null, {max: {max: 1}}]}", "a\n", nil)
	require.Equal(t, []checks.Status{checks.Pass, checks.Pass, checks.Pass, checks.Pass, checks.Pass, checks.Fail}, statuses(res))
	require.Equal(t, "no value", res[5].Reason)
}

func statuses(results []checks.Result) (s []checks.Status) {
	for _, r := range results {
		s = append(s, r.Status)
	}
	return s
}

func TestSchema(t *testing.T) {
	t.Parallel()
	for rule, want := range map[string]string{
		"{columns: [order_id, email, amount, code, status, at], closed: true, ordered: true}": "the 6 columns are as expected",
		"{columns: [order_id, zip]}":                                     `column "zip" is missing`,
		"{columns: [order_id, zip], required: [order_id]}":               "the 2 columns are as expected",
		"{columns: [email, order_id], ordered: true}":                    "the order is order_id, email",
		"{types: {order_id: string, code: string, at: timestamp}}":       "the 3 columns are as expected",
		"{types: {code: integer}}":                                       `column "code" is string instead of integer`,
		"{columns: [order_id, email, amount, status, at], closed: true}": `column "code" is not expected`,
	} {
		res := judge(t, "checks: [{schema: "+rule+"}]", orders, nil)[1]
		require.Equal(t, want, res.Message)
		require.Equal(t, strings.HasSuffix(want, "as expected"), res.Status == checks.Pass)
	}
}

func TestFreshness(t *testing.T) {
	t.Parallel()
	res := judge(t, "checks: [{freshness: {column: at, max_age: 30m}}]", orders, nil)[1]
	require.Equal(t, checks.Fail, res.Status)
	require.Equal(t, "the newest at is from 2026-03-01T23:00:00Z, 1 h before the batch, expected at most 30 min", res.Message)
	require.Equal(t, "3600", res.Value.String())
	res = judge(t, "checks: [{freshness: {column: at, max_age: 2h, warn: 10m}}]", orders, nil)[1]
	require.Equal(t, checks.Warn, res.Status)
	res = judge(t, "checks: [{freshness: {column: status, max_age: 2h}}]", orders, nil)[1]
	require.Equal(t, checks.Error, res.Status)
}

func TestChange(t *testing.T) {
	t.Parallel()
	need := checks.Need{Metric: "row_count", Window: checks.Window{Batches: 1}}
	for _, tc := range []struct {
		limit   string
		past    checks.Past
		status  checks.Status
		message string
	}{
		{"max: 50%", checks.Past{Values: []float64{12}}, checks.Fail, "row_count is 5, the previous batch had 12: -58.3 %, expected a change of at most 50 %"},
		{"max: 60%", checks.Past{Values: []float64{12}}, checks.Pass, "row_count is 5, the previous batch had 12: -58.3 %, as expected (a change of at most 60 %)"},
		{"max: 7", checks.Past{Values: []float64{12}}, checks.Pass, "row_count is 5, the previous batch had 12: -58.3 %, as expected (a change of at most 7)"},
		{"min: -20%, max: 500%", checks.Past{Values: []float64{1}}, checks.Pass, "row_count is 5, the previous batch had 1: +400 %, as expected (a change of -20 % … 500 %)"},
		{"max: 50%", checks.Past{}, checks.Learning, "row_count is 5; no earlier batch to compare with yet"},
		{"max: 50%", checks.Past{Values: []float64{0}}, checks.Fail, "row_count is 5, the previous batch had 0 (reference is 0), expected a change of at most 50 %"},
		{"max: 50%", checks.Past{Err: "the store is gone"}, checks.Error, "the store is gone"},
	} {
		res := judge(t, "checks: [{change: {of: row_count, "+tc.limit+"}}]", orders, map[checks.Need]checks.Past{need: tc.past})[1]
		require.Equal(t, tc.message, res.Message)
		require.Equal(t, tc.status, res.Status)
	}
}

func TestDrift(t *testing.T) {
	t.Parallel()
	var before, after strings.Builder
	before.WriteString("v,zone\n")
	after.WriteString("v,zone\n")
	for i := range 2_000 {
		fmt.Fprintf(&before, "1%d,north\n", i%10)
		fmt.Fprintf(&after, "1%d,south\n", i%5)
	}
	base, now := before.String(), after.String()
	need := checks.Need{Profile: true, Window: checks.Window{Batches: 28}}
	past := map[checks.Need]checks.Past{need: {Profile: profileOf(t, base), Batches: 28}}
	rule := "columns: {v: [{drift: {method: psi, warn: 0.1, fail: 0.25}}], zone: [drift]}"
	res := judge(t, rule, now, past)
	require.Equal(t, []checks.Status{checks.Pass, checks.Fail, checks.Fail}, statuses(res))
	require.Contains(t, res[1].Message, "PSI of v is ")
	require.Contains(t, res[1].Message, "against 28 batches, expected below 0.25; ")
	require.Contains(t, res[2].Message, `TV of zone is 1 against 28 batches, expected below 0.2; value "`)
	require.Equal(t, []checks.Status{checks.Pass, checks.Pass, checks.Pass}, statuses(judge(t, rule, base, past)))
	require.Equal(t, []checks.Status{checks.Pass, checks.Learning, checks.Learning}, statuses(judge(t, rule, base, nil)))
	res = judge(t, rule, "v,zone\nx,1\ny,2\n", past)
	require.Equal(t, "type changed", res[1].Reason)
}

func TestParsable(t *testing.T) {
	t.Parallel()
	res := judge(t, "checks: [{row_count: 1}]", "a,b\n1,2\n1\n\xff,\"\n", nil)
	require.Equal(t, checks.Fail, res[0].Status)
	require.Equal(t, "2 of 3 records are malformed; first: record 2 of in.csv at byte 8: 1 field instead of 2", res[0].Message)
	res = judge(t, "checks: [{row_count: 1}]", "a,b\n1,\xff\n", nil)
	require.Equal(t, "1 value is not valid UTF-8, first in column b; name the encoding with --encoding", res[0].Message)
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	res := func(s ...checks.Status) (r []checks.Result) {
		for _, x := range s {
			r = append(r, checks.Result{Status: x})
		}
		return r
	}
	require.Equal(t, checks.Pass, checks.VerdictOf(res()))
	require.Equal(t, checks.Pass, checks.VerdictOf(res(checks.Learning, checks.Pass)))
	require.Equal(t, checks.Warn, checks.VerdictOf(res(checks.Learning, checks.Warn)))
	require.Equal(t, checks.Error, checks.VerdictOf(res(checks.Fail, checks.Error, checks.Warn)))
}

func TestNoFailingRowsOnRequest(t *testing.T) {
	t.Parallel()
	sets, diags := rules.Parse("r.yaml", []byte("columns: {amount: [{range: {min: 0}}], order_id: [unique], email: [not_null]}"), nil)
	require.NoError(t, diags.Err())
	r, err := csv.New(strings.NewReader(orders), csv.Options{})
	require.NoError(t, err)
	ev, b := checks.New(rules.Plan(sets, -1)), profile.NewBuilder()
	var c batch.Chunk
	for r.Next(t.Context(), &c) == nil {
		require.NoError(t, b.Add(r.Columns(), &c))
		require.NoError(t, ev.Observe(r.Columns(), &c))
	}
	for _, res := range ev.Results(checks.Input{Profile: b.Finish(r.Columns(), profile.Info{})})[1:] {
		require.Equal(t, checks.Fail, res.Status)
		require.Empty(t, res.FailingRows)
		require.NotContains(t, res.Message, "first:", "no value leaves")
	}
}

func TestSampleIsFairAndOrdered(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("v\n")
	for range 50_000 {
		b.WriteString("-1\n")
	}
	res := one(t, "v", "range: {min: 0}", b.String())
	require.Len(t, res.FailingRows, 20)
	require.Equal(t, int64(1), res.FailingRows[0].Row)
	late := 0
	for i, f := range res.FailingRows[1:] {
		require.Greater(t, f.Row, res.FailingRows[i].Row)
		if f.Row > 25_000 {
			late++
		}
	}
	require.Greater(t, late, 3, "rows of the second half are drawn too")
}
