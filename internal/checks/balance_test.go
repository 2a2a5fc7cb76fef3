package checks_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/rules"
)

func TestBalance(t *testing.T) {
	t.Parallel()
	need := func(dataset, column, metric string) checks.Need {
		return checks.Need{Dataset: dataset, Column: column, Metric: metric, Window: checks.Window{Batches: 1}}
	}
	rows := func(dataset string) checks.Need { return need(dataset, "", "row_count") }
	values := func(f ...float64) checks.Past { return checks.Past{Values: f} }
	type past = map[checks.Need]checks.Past
	for _, tc := range []struct {
		rule    string
		past    past
		status  checks.Status
		message string
	}{
		{"with: shop/raw", past{rows("shop/raw"): values(5)}, checks.Pass, "row_count is 5, shop/raw has 5: 0 %, as expected (a difference of at most 0)"},
		{"with: raw", past{rows("default/raw"): values(6)}, checks.Fail, "row_count is 5, default/raw has 6: -16.7 %, expected a difference of at most 0"},
		{"with: shop/raw, max: 20%", past{rows("shop/raw"): values(4)}, checks.Fail, "row_count is 5, shop/raw has 4: +25 %, expected a difference of at most 20 %"},
		{"with: shop/raw, max: 25%", past{rows("shop/raw"): values(4)}, checks.Pass, "row_count is 5, shop/raw has 4: +25 %, as expected (a difference of at most 25 %)"},
		{"with: shop/raw, max: 1", past{rows("shop/raw"): values(4)}, checks.Pass, "row_count is 5, shop/raw has 4: +25 %, as expected (a difference of at most 1)"},
		{"with: [shop/a, shop/b]", past{rows("shop/a"): values(3), rows("shop/b"): values(2)}, checks.Pass, "row_count is 5, shop/a has 3, shop/b has 2, together 5: 0 %, as expected (a difference of at most 0)"},
		{"with: [shop/a, shop/b]", past{rows("shop/a"): values(3)}, checks.Error, "there is no batch of shop/b to balance with; it needs a store, and the other batch in it"},
		{"with: shop/raw, of: order_id.distinct", past{need("shop/raw", "order_id", "distinct"): values(4)}, checks.Pass, "distinct of order_id is 4, shop/raw has 4: 0 %, as expected (a difference of at most 0)"},
		{"with: shop/raw, of: nope.sum", past{need("shop/raw", "nope", "sum"): values(4)}, checks.Fail, `there is no column "nope"`},
		{"with: shop/raw", past{rows("shop/raw"): values(0)}, checks.Fail, "row_count is 5, shop/raw has 0, expected a difference of at most 0"},
		{"with: shop/raw", past{rows("shop/raw"): {Err: "the store is gone"}}, checks.Error, "the store is gone"},
		{"with: input", past{{Metric: "row_count", Window: checks.Window{Input: true}}: values(5)}, checks.Pass, "row_count is 5, the step's input has 5: 0 %, as expected (a difference of at most 0)"},
		{"with: shop/raw", nil, checks.Error, "there is no batch of shop/raw to balance with; it needs a store, and the other batch in it"},
	} {
		res := judge(t, "checks: [{balance: {"+tc.rule+"}}]", orders, tc.past)[1]
		require.Equal(t, tc.message, res.Message)
		require.Equal(t, tc.status, res.Status)
	}
	res := judge(t, "checks: [{balance: {with: shop/raw}}]", "a\n", past{rows("shop/raw"): values(0)})[1]
	require.Equal(t, checks.Pass, res.Status, "nothing balances nothing")
	res = judge(t, "checks: [{balance: {with: shop/raw}, severity: warn}]", "a\n", past{rows("shop/raw"): values(3)})[1]
	require.Equal(t, checks.Warn, res.Status)
}

func TestMistakesInBalance(t *testing.T) {
	t.Parallel()
	for item, want := range map[string]string{
		"balance":                        "needs a dataset",
		"balance: {max: 1%}":             `"with"`,
		"balance: {with: []}":            "is empty",
		"balance: {with: [a, a]}":        "listed twice",
		"balance: {with: [input, a]}":    "stands alone",
		"balance: {with: a, max: -1}":    "cannot be negative",
		"balance: {with: a, of: rows}":   "unknown metric",
		"balance: {width: a}":            `did you mean "with"?`,
		"{balance: {with: a}, warn: 1%}": `has no zone "warn"`,
		"{parsable: {}, enabled: false}": "cannot be switched off",
		"parsable: {max: 3}":             "takes no parameters",
	} {
		_, diags := rules.Parse("r.yaml", []byte("checks:\n  - "+item+"\n"), nil)
		require.Error(t, diags.Err(), item)
		require.Contains(t, diags.Err().Error(), want, item)
	}
}

func TestLimitsOfParsable(t *testing.T) {
	t.Parallel()
	const data = "a,b\n1,2\n1\n3,4\n5,6\n" // 1 of 4 records is malformed
	for rule, want := range map[string]checks.Status{
		"parsable":                         checks.Fail,
		"{parsable: {}, fail: 25%}":        checks.Pass,
		"{parsable: {}, fail: 24%}":        checks.Fail,
		"{parsable: {}, fail: 1}":          checks.Pass,
		"{parsable: {}, warn: 0}":          checks.Warn,
		"{parsable: {}, severity: warn}":   checks.Warn,
		"{parsable: {}, warn: 0, fail: 2}": checks.Warn,
	} {
		res := judge(t, "checks:\n  - row_count: {min: 1}\n  - "+rule+"\n", data, nil)
		require.Len(t, res, 2, "it has one result, with a rule or without")
		require.Equal(t, "parsable", res[0].ID)
		require.Equal(t, want, res[0].Status, rule)
		require.Equal(t, int64(1), *res[0].Failed)
		require.Equal(t, 3, res[0].Rule.Line)
	}
	res := judge(t, "checks: [{parsable: {}, id: readable, owner: ann}]", data, nil)[0]
	require.Equal(t, "readable", res.ID)
	require.Equal(t, "ann", res.Owner)
}
