package checks_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/profile"
)

func TestEvidenceWritesSpans(t *testing.T) {
	t.Parallel()
	column := "at"
	for want, e := range map[string]checks.Evidence{
		"median of at is 2 days 3 h before the batch, expected 3 h after the batch … 12 h before the batch (stale)": {
			Metric: "median", Unit: checks.UnitAge, Value: profile.FloatScalar(51 * 3600), Low: profile.FloatScalar(-3 * 3600), High: profile.FloatScalar(12 * 3600), Shape: "stale",
		},
		"stddev of at is 1 h 30 min, expected 0s … 2 min (spread)": {
			Metric: "stddev", Unit: checks.UnitAge, Value: profile.FloatScalar(5400), Low: profile.FloatScalar(0), High: profile.FloatScalar(120), Shape: "spread",
		},
		"mean of at is -1 min 5 s, expected 1s … 104166 days 16 h (shift)": {
			Metric: "mean", Unit: checks.UnitSeconds, Value: profile.FloatScalar(-65), Low: profile.FloatScalar(1), High: profile.FloatScalar(1e150), Shape: "shift",
		},
		"mean of at is 100,740, expected 0 … 1 (shift)": {
			Metric: "mean", Value: profile.FloatScalar(100_740), Low: profile.FloatScalar(0), High: profile.FloatScalar(1), Shape: "shift",
		},
	} {
		e.Column = &column
		require.Equal(t, want, e.String())
	}
}
