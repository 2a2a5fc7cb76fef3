package checks_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/rules"
)

// Kinds judge the selected rows, and each segment by itself.
func TestKindsOverPartsOfTheRows(t *testing.T) {
	t.Parallel()
	const data = "g,n,t,w\na,1,DE,2\nb,9,de,1\na,2,FR,4\nb,3,DE,7\na,3,,6\nb,4,DE,2\n"
	for _, tc := range []struct {
		column, item      string
		status            checks.Status
		evaluated, failed int64 // of row checks
		value             string
	}{
		{"n", `{increasing: {}, where: g == "a"}`, checks.Pass, 3, 0, "0"},
		{"n", `{increasing: {}, where: g == "b"}`, checks.Fail, 3, 1, ""},
		{"n", `{increasing: {}, by: g}`, checks.Fail, 6, 1, ""},
		{"t", `{format: country, where: g == "a"}`, checks.Pass, 2, 0, "0"},
		{"t", `{format: country, by: g}`, checks.Fail, 5, 1, ""},
		{"t", `{is_null: , where: n == 3 and g == "a"}`, checks.Pass, 1, 0, "0"},
		{"t", `{not_blank: , by: g}`, checks.Fail, 6, 1, ""},
		{"n", `{multiple_of: 3, where: n >= 3}`, checks.Fail, 4, 1, ""},
		{"n", `{decimals: 0, by: g}`, checks.Pass, 6, 0, "0"},
		{"n", `{quantile: {q: 0.5, max: 2}, where: g == "a"}`, checks.Pass, -1, 0, "2"},
		{"n", `{quantile: {q: 0.5, max: 2}, where: g == "b"}`, checks.Fail, -1, 0, "4"},
		{"t", `{entropy: {min: 1}, where: g == "a"}`, checks.Pass, -1, 0, "1"},
		{"t", `{most_common: DE, where: g == "b"}`, checks.Pass, -1, 0, "DE"},
		{"t", `{values: {equals: [DE, FR]}, where: g == "a"}`, checks.Pass, -1, 0, "0"},
		{"n", `{correlation: {with: w, min: 1}, where: g == "a"}`, checks.Pass, -1, 0, "1"},
		{"n", `{correlation: {with: w, min: 1}, by: g}`, checks.Fail, -1, 0, ""},
	} {
		res := one(t, tc.column, tc.item, data)
		require.Equal(t, tc.status, res.Status, "%s: %s", tc.item, res.Message)
		if tc.evaluated >= 0 {
			require.Equal(t, tc.evaluated, *res.Evaluated, tc.item)
			require.Equal(t, tc.failed, *res.Failed, tc.item)
		}
		if tc.value != "" {
			require.Equal(t, tc.value, res.Value.String(), tc.item)
		}
	}
}

func TestKindsWithoutPartsRefuseThem(t *testing.T) {
	t.Parallel()
	for _, item := range []string{"{balance: {with: a}, where: v > 1}", "{balance: {with: a}, by: v}", "{parsable: {}, where: v > 1}", "{parsable: {}, by: v}"} {
		_, diags := rules.Parse("r.yaml", []byte("checks:\n  - "+item+"\n"), nil)
		require.Error(t, diags.Err(), item)
	}
}
