package rulesdoc_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/rules"
	"github.com/profilerhq/profiler/internal/rulesdoc"
)

const text = `
dataset: shop/orders
owner: orders-team
key: [order_id]
tags: [gold]
on_fail: block
checks:
  - row_count: {min: 1000}
  - schema: {columns: [order_id, amount], closed: true}
  - freshness: {column: created_at, warn: 1h, fail: 2h}
  - change: {of: row_count, against: previous, max: 50%}
  - row: shipped_at >= created_at
    fail: 0.1%
    note: Clocks differ <a little>
columns:
  amount:
    - range: {min: 0, max: 100}
      warn: 0
      fail: 1%
      where: status == "paid"
      by: country
    - drift: {method: psi, fail: 0.25}
    - not_null:
      severity: warn
      owner: finance
      name: Amounts are there
  "meta.*": [{null_rate: {max: 5%}}, {matches: "a|b", enabled: false}]
`

func TestTheCatalogue(t *testing.T) {
	t.Parallel()
	sets, diags := rules.Parse("rules/orders.yaml", []byte(text), nil)
	require.NoError(t, diags.Err())
	c := rulesdoc.New(sets)
	var md, html bytes.Buffer
	require.NoError(t, c.Markdown(&md))
	require.NoError(t, c.HTML(&html))
	for _, want := range []string{
		"shop/orders", "orders-team", "gold", "order_id", "block", "Row count is at least 1,000", "The columns are order_id, amount, and no others",
		"The newest created_at is at most 2 h old", "warns from 1 h on", "Every row fulfils shipped_at", "Row count against the batch before: a change of at most 50 %", "at most 0.1 % failing rows", "Clocks differ",
		"Every value is inside 0 … 100, where status == ", "for each country", "at most 1 % failing rows; warns at the first failing row",
		"The distribution is that of earlier batches", "a distance below 0.25", "Amounts are there", "Every row has a value", "finance", "Null rate is at most 5 %", "off",
	} {
		require.Contains(t, md.String(), want)
		require.Contains(t, html.String(), want)
	}
	require.Contains(t, md.String(), `a\|b`)
	require.NotContains(t, html.String(), "<a little>")
}

// Every kind has words of its own; none shows how the program is built.
func TestEveryKindHasWords(t *testing.T) {
	t.Parallel()
	for _, s := range checks.Catalog() {
		if s.Kind == "json_schema" { // needs a file
			continue
		}
		file := "columns:\n  c:\n    - " + s.Example + "\n"
		if s.Dataset {
			file = "checks:\n  - " + s.Example + "\n"
		}
		sets, diags := rules.Parse("r.yaml", []byte(file), nil)
		require.NoError(t, diags.Err(), file)
		got, _ := sets[0].Checks[0].Words()
		require.Greater(t, len(got), 10, s.Kind)
		require.Equal(t, strings.ToUpper(got[:1]), got[:1], got)
		require.NotContains(t, got, "%!")
	}
}
