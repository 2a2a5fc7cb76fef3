package checks_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/checks"
)

// mix writes a column of so many rows, of which a share is "b", the rest "a".
func mix(rows int, share float64) string {
	n := int(float64(rows) * share)
	return "v\n" + strings.Repeat("b\n", n) + strings.Repeat("a\n", rows-n)
}

// judgePast judges data by a rule with one profile as the past of all windows,
// and the given distances of accepted batches.
func judgePast(t *testing.T, rule, before, now string, distances []float64, method string) []checks.Result {
	t.Helper()
	past := pastOf(t, rule, profileOf(t, before))
	methods := make([]string, len(distances))
	for i := range methods {
		methods[i] = method
	}
	for _, id := range []string{"v.drift", "w.drift"} {
		past[checks.Need{Results: id}] = checks.Past{Values: distances, Methods: methods}
	}
	return judge(t, rule, now, past)
}

// A distance that accepted batches reach by themselves is none, unless somebody
// wrote the limit.
func TestDriftBeyondNormalLife(t *testing.T) {
	t.Parallel()
	wild := []float64{0.1, 0.3, 0.5, 0.2, 0.4, 0.45, 0.3, 0.5}
	calm := []float64{0.01, 0.02, 0.03, 0.02, 0.01, 0.04, 0.02, 0.05}
	byDefault, written := "columns: {v: [drift: {}]}", "columns: {v: [drift: {fail: 0.2}]}"
	for name, tc := range map[string]struct {
		rule      string
		distances []float64
		method    string
		want      checks.Status
		message   string
	}{
		"default, wild": {byDefault, wild, "tv", checks.Pass, "accepted batches do so by themselves (8 of them: up to 0.5)"},
		"default, calm": {byDefault, calm, "tv", checks.Fail, "accepted batches reach 0.049"},
		"written, wild": {written, wild, "tv", checks.Fail, "expected below 0.2"},
		"too few":       {byDefault, wild[:7], "tv", checks.Fail, "expected below 0.2"},
		"other method":  {byDefault, wild, "ks", checks.Fail, "expected below 0.2"},
		"nothing known": {byDefault, nil, "tv", checks.Fail, "expected below 0.2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := judgePast(t, tc.rule, mix(1000, 0.1), mix(1000, 0.5), tc.distances, tc.method)[1]
			require.Equal(t, tc.want, r.Status, r.Message)
			require.Contains(t, r.Message, tc.message)
			if tc.want == checks.Fail {
				require.Equal(t, "value \"a\"", r.Moved[0].Label)
				require.InDelta(t, 0.5, r.Moved[0].Part, 1e-12)
			}
		})
	}
}

// Texts that are nearly all different are compared by their lengths, exact or
// estimated.
func TestDriftOfNearlyUniqueTexts(t *testing.T) {
	t.Parallel()
	for _, rows := range []int{2_000, 90_000} {
		texts := func(seed uint64, length int) string {
			r := rand.New(rand.NewPCG(seed, 1))
			var b strings.Builder
			b.WriteString("v\n")
			for range rows {
				fmt.Fprintf(&b, "x%0*d\n", length+r.IntN(3), r.Uint64N(1e12))
			}
			return b.String()
		}
		rule := "columns: {v: [drift: {}]}"
		before := profileOf(t, texts(1, 14))
		same := judge(t, rule, texts(2, 14), pastOf(t, rule, before))[1]
		require.Equal(t, checks.Pass, same.Status, same.Message)
		require.Contains(t, same.Message, "KS of the lengths of v is 0.0")
		longer := judge(t, rule, texts(3, 15), pastOf(t, rule, before))[1]
		require.Equal(t, checks.Fail, longer.Status, longer.Message)
		require.Equal(t, "ks", longer.Method)
		named := "columns: {v: [drift: {method: tv}]}"
		r := judge(t, named, texts(3, 15), pastOf(t, named, before))[1]
		require.Equal(t, "not comparable", r.Reason)
	}
}

// One rule over many columns holds the rate of false discoveries among all of
// them: what is news alone may be none among a hundred.
func TestDriftOverManyColumns(t *testing.T) {
	t.Parallel()
	table := func(columns int, share float64) string {
		var b strings.Builder
		for c := range columns {
			fmt.Fprintf(&b, "c%d,", c)
		}
		b.WriteString("last\n")
		for i := range 400 {
			for c := range columns {
				v := "a"
				if c == 0 && float64(i) < 400*share || c > 0 && i%4 == 0 {
					v = "b"
				}
				b.WriteString(v + ",")
			}
			b.WriteString("x\n")
		}
		return b.String()
	}
	status := func(columns int) checks.Status {
		rule := `columns: {"c*": [drift: {method: tv, fail: 0.1}]}`
		// TV 0.115 of 400 and 400 rows has a chance of about 0.0004.
		results := judge(t, rule, table(columns, 0.365), pastOf(t, rule, profileOf(t, table(columns, 0.25))))
		return results[1].Status
	}
	require.Equal(t, checks.Fail, status(1))
	require.Equal(t, checks.Pass, status(60))
}
