package report

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/profile"
)

func TestNumbers(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]string{
		"2024": value(profile.IntScalar(2024)), "10,000": value(profile.IntScalar(10000)), "": value(profile.Scalar{}),
		"null": exact(profile.Scalar{}), `"a\n"`: exact(profile.TextScalar("a\n")), "-4.25": exact(profile.FloatScalar(-4.25)),
		"2026-03-01 20:00": moment("2026-03-01T20:00:00Z"), "2026-03-01 20:00:01": moment("2026-03-01T20:00:01.5Z"), "x": moment("x"),
		"2026-03-01": day("2026-03-01T20:00:00Z"), "20:00:00.123": day("20:00:00.123"),
		"90 s": lasting(90), "5 min": lasting(300), "3 h": lasting(3 * 3600), "2.5 d": lasting(2.5 * 86400),
		"≈5": estimate(profile.Estimate{Value: 5, Error: 1}), "2026-03-01 00:00": stamp(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)),
	} {
		require.Equal(t, want, got)
	}
}

func TestTexts(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]string{
		`a\n\t\u001b[31m`: clean("a\n\t\x1b[31m"), `\u202ex`: clean("\u202ex"), "\ufffdx": clean("\xffx"), `\U000e0041`: clean("\U000e0041"),
		"日本語": clean("日本語"), "日…": cut("日本語", 4), "abc": cut("abc", 3), "ab…": cut("abcd", 3), "…": cut("日本", 1), "": cut("a", 0),
	} {
		require.Equal(t, want, got)
	}
	require.Equal(t, 1, textWidth("e\u0301"))
	require.Equal(t, []string{"one two", "three", "elevenle", "tters"}, wrap("one two three elevenletters", 8))
	require.Equal(t, []string{""}, wrap("", 8))
}

func TestSparkKeepsTheSumAndTheGaps(t *testing.T) {
	t.Parallel()
	h := func(counts ...int64) *profile.Histogram { return &profile.Histogram{Counts: counts} }
	require.Equal(t, "█ ▁", spark(h(1000, 0, 1)))
	require.Equal(t, "▃▆█", spark(h(1, 2, 3)))
	require.Empty(t, spark(nil))
	for _, n := range []int{1, 9, 10, 11, 20, 37, 50} {
		counts := make([]int64, n)
		for i := range counts {
			counts[i] = int64(i * i)
		}
		sum, want := 0.0, 0.0
		for _, v := range rebin(counts, 10) {
			sum += v
		}
		for _, v := range counts {
			want += float64(v)
		}
		require.InDelta(t, want, sum, 1e-6)
		require.Len(t, rebin(counts, 10), min(n, 10))
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	Table(&b, Options{Width: 40}, []string{"NAME", "ROWS", "WHAT"}, [][]string{
		{"日本", "7", "short"},
		{"plain", "1,000", strings.Repeat("long ", 20)},
		{"missing"},
		{"two\nlines", "12", "x"},
	}, []bool{false, true})
	require.Equal(t, ""+
		"NAME         ROWS  WHAT\n"+
		"日本            7  short\n"+
		"plain       1,000  long long long long…\n"+
		"missing\n"+
		"two\\nlines     12  x\n", b.String())
}

func FuzzClean(f *testing.F) {
	f.Add("a\x1b[31m\n")
	f.Add("日本\xff\u202e")
	f.Fuzz(func(t *testing.T, s string) {
		got := clean(s)
		require.True(t, utf8.ValidString(got))
		require.NotContains(t, got, "\n")
		require.NotContains(t, got, "\x1b")
		require.Equal(t, got, clean(got))
		for n := range 12 {
			require.LessOrEqual(t, textWidth(cut(got, n)), n)
		}
		for _, line := range wrap(got, 10) {
			require.LessOrEqual(t, textWidth(line), 10)
		}
		require.NotContains(t, md(s), "<")
	})
}

func TestGridCutsSoftlyThenDropsThenCuts(t *testing.T) {
	t.Parallel()
	g := grid{
		tracks: []track{{head: "NAME", soft: 12, least: 6}, {head: "A", right: true, drop: 2}, {head: "B", right: true, drop: 1}},
		rows:   [][]cell{{{text: strings.Repeat("n", 20)}, {text: "123456"}, {text: "1234567"}}},
	}
	for _, tc := range []struct {
		columns int
		want    []int
	}{
		{37, []int{20, 6, 7}},
		{36, []int{19, 6, 7}},
		{29, []int{12, 6, 7}},
		{28, []int{20, 6, -1}},
		{20, []int{12, 6, -1}},
		{19, []int{19, -1, -1}},
		{9, []int{9, -1, -1}},
		{3, []int{6, -1, -1}},
	} {
		require.Equal(t, tc.want, g.fit(tc.columns), "%d", tc.columns)
	}
}

func TestClock(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"2026-03-01T08:12:59Z":      "03-01 08:12",
		"2026-03-01T08:12:59.5":     "03-01 08:12",
		"2026-03-01T23:59:00+02:00": "03-01 23:59",
		"2026-03-01":                "2026-03-01",
		"08:12:59":                  "08:12:59",
		"12.5":                      "12.5",
		"":                          "",
	} {
		require.Equal(t, want, clock(text), text)
	}
}
