package web

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/profile"
)

func TestNumbersForPeople(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]string{
		"1.5 M": short(1.5e6), "500": short(500), "10 k": short(10_000),
		"−60 %": change(-0.6), "+5 %": change(0.05), "±0 %": change(0), "×12.5": change(11.5),
		"≈7": estimate(profile.Estimate{Value: 7}), "7": estimate(profile.Estimate{Value: 7, Exact: true}), "-9,223,372,036,854,775,808": value(profile.IntScalar(math.MinInt64)),
		"2026-11-04 11:33:09": value(profile.TextScalar("2026-11-04T11:33:09.5Z")), "": value(profile.Scalar{}), "null": exact(profile.Scalar{}),
		`\u202eabc\u0000`: shown("\u202eabc\x00"), "\uFFFDx": shown("\xffx"), "äö…": cut("äöüß", 3), "äöü": cut("äöü", 3), `" "`: quoteBlank(" "),
	} {
		require.Equal(t, want, got)
	}
}

func TestAges(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for _, c := range []struct {
		age  time.Duration
		want string
	}{
		{0, "just now"}, {59 * time.Second, "just now"}, {time.Minute, "1 min ago"}, {2 * time.Hour, "2 h ago"}, {47 * time.Hour, "47 h ago"}, {2 * day, "2 days ago"},
		{59 * day, "59 days ago"}, {90 * day, "3 months ago"}, {800 * day, "2 years ago"}, {-3 * time.Hour, "in 3 h"}, {-time.Second, "just now"},
	} {
		require.Equal(t, c.want, age(c.age))
	}
}

func TestAxesEndAboveTheHighestBar(t *testing.T) {
	t.Parallel()
	for n := int64(0); n < 3_000_000; n = n*11/10 + 1 {
		top := roundUp(n)
		require.GreaterOrEqual(t, top, max(n, 2))
		require.LessOrEqual(t, top, max(2, n*3/2+2), "%d", n)
	}
	require.Equal(t, int64(200), roundUp(184))
	require.GreaterOrEqual(t, roundUp(math.MaxInt64), int64(math.MaxInt64))
}

func TestHistogramsOfOddProfiles(t *testing.T) {
	t.Parallel()
	one := profile.IntScalar(1)
	for _, h := range []*profile.Histogram{nil, {}, {Edges: []profile.Scalar{one, one}, Counts: []int64{0}}, {Edges: []profile.Scalar{one}, Counts: []int64{3}}} {
		require.Nil(t, histogramOf(&profile.Column{Histogram: h}))
	}
	h := histogramOf(&profile.Column{Name: "a\nb", Histogram: &profile.Histogram{Edges: []profile.Scalar{one, profile.IntScalar(2), profile.IntScalar(3)}, Counts: []int64{1, 3}}})
	require.Equal(t, `histogram of a\u000ab: 4 values from 1 to 3, most between 2 and 3`, h.Label)
	require.Equal(t, "M0 34v-11h65v11zM66 34v-33h65v33z", h.Path)
}

func TestASampleIsNamed(t *testing.T) {
	t.Parallel()
	share := 0.1
	s := &profile.Summary{Rows: 1234, Source: profile.Source{Sample: &share, RowsRead: 12345}}
	require.Equal(t, []string{"1,234 of 12,345 rows: a sample of 10 %, of which all numbers of columns are"}, contentView(s, &checks.Report{}, false, "").Notes)
	require.Empty(t, contentView(&profile.Summary{Rows: 5}, &checks.Report{}, false, "").Notes)
}
