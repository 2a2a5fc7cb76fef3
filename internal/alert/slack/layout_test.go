package slack

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/alert"
	"github.com/profilerhq/profiler/internal/alert/slack/slacktest"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/golden"
	"github.com/profilerhq/profiler/internal/profile"
)

// wire is what a message looks like to Slack.
func wire(t *testing.T, m *alert.Message) []byte {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	require.NoError(t, enc.Encode(map[string]any{"text": summary(m), "blocks": layout(m), "plain": strings.Split(plain(m), "\n")}))
	return b.Bytes()
}

func TestGoldenMessage(t *testing.T) {
	t.Parallel()
	m := message(alert.EventOpened)
	golden.Equal(t, wire(t, &m), "testdata/opened.json")
	m = message(alert.EventResolved)
	m.Incident.Status, m.Incident.ResolvedAt, m.Incident.Healthy, m.Incident.Origin, m.Incident.Folded = alert.Resolved, day0.Add(49*time.Hour), 2, checks.Origin{}, nil
	golden.Equal(t, wire(t, &m), "testdata/resolved.json")
}

func TestEscaping(t *testing.T) {
	t.Parallel()
	m := message(alert.EventOpened)
	m.Incident.Dataset = "shop/<!channel> & `x`"
	m.Incident.Findings = []checks.Result{
		{ID: "a<!here>", Value: profile.TextScalar("<@U1> :tada: 🎉"), Limit: "<https://evil.test|click> &lt;", Message: "`rm -rf` <!channel> <#C1> > quote"},
	}
	m.Incident.Owner = "<!subteam^S1>"
	golden.Equal(t, wire(t, &m), "testdata/hostile.json")
	blocks, err := json.Marshal(layout(&m)[1:]) // the header is plain text
	require.NoError(t, err)
	var texts []string
	for s := range strings.SplitSeq(string(blocks)+summary(&m)+plain(&m), `\u003c`) {
		texts = append(texts, s)
	}
	require.Len(t, texts, 1, "no < of the data is left in marked up text")
	require.NotContains(t, summary(&m)+plain(&m), "<")
	require.NotContains(t, summary(&m)+plain(&m), "`")
}

// long are values that are at the edge of every limit when escaped.
var long = map[string]string{
	"ascii":     strings.Repeat("x", 5000),
	"escapes":   strings.Repeat("&", 5000),
	"emoji":     strings.Repeat("🎉", 5000),
	"backticks": strings.Repeat("`<", 2500),
	"zero":      strings.Repeat("\x00", 5000),
	"space":     strings.Repeat(" ", 5000),
	"nothing":   "",
	"not UTF-8": strings.Repeat("\xff", 5000),
}

func TestLimitsHoldForAllData(t *testing.T) {
	t.Parallel()
	for name, s := range long {
		for _, n := range []int{0, 1, 5, 6, 2000} {
			for _, status := range []alert.Status{alert.Open, alert.Resolved} {
				m := message(alert.EventResolved)
				i := &m.Incident
				i.ID, i.Dataset, i.Owner, i.LastBatch, i.Status, i.Findings = s, s, s, s, status, nil
				i.Origin = checks.Origin{Pipeline: s, Step: s, Run: s, CorrelationID: s}
				for range n {
					i.Findings = append(i.Findings, checks.Result{ID: s, Status: checks.Fail, Message: s, Limit: s, Value: profile.TextScalar(s), Rule: &checks.Rule{File: s, Line: 1 << 30}})
					i.Folded = append(i.Folded, s)
				}
				blocks, err := json.Marshal(layout(&m))
				require.NoError(t, err)
				require.Empty(t, slacktest.Check(summary(&m), blocks), "%s × %d", name, n)
				require.LessOrEqual(t, len(layout(&m)), 12)
				require.LessOrEqual(t, total(blocks), 10000, "%s × %d", name, n)
				require.Empty(t, slacktest.Check(plain(&m), nil))
				require.LessOrEqual(t, len([]rune(plain(&m))), roomPlain)
				if n == 2000 {
					require.Contains(t, string(blocks), "… 1,995 more")
				}
			}
		}
	}
}

// total counts the characters of all texts in blocks.
func total(blocks []byte) int {
	var v any
	_ = json.Unmarshal(blocks, &v)
	var walk func(any) int
	walk = func(v any) (n int) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				n += walk(e)
			}
		case map[string]any:
			for k, e := range v {
				if s, ok := e.(string); ok && k == "text" {
					n += len([]rune(s))
					continue
				}
				n += walk(e)
			}
		}
		return n
	}
	return walk(v)
}

func TestCut(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in     string
		limit  int
		escape bool
		want   string
	}{
		{"abc", 3, true, "abc"},
		{"abcd", 3, true, "ab…"},
		{"a&b", 6, true, "a…"},
		{"a&b", 7, true, "a&amp;b"},
		{"a&&", 9, true, "a&amp;…"},
		{"a&&", 5, true, "a…"},
		{"a&b", 3, false, "a&b"},
		{"🎉🎉", 4, true, "🎉🎉"},
		{"🎉🎉🎉", 4, true, "🎉…"},
		{"`a`", 3, true, "ˋaˋ"},
		{"ééé", 3, true, "ééé"},
		{"", 3, true, "-"},
		{" \u200b ", 9, true, "-"},
	}
	for _, tt := range tests {
		require.Equal(t, tt.want, cut(tt.in, tt.limit, tt.escape), "%q to %d", tt.in, tt.limit)
	}
}

func FuzzCut(f *testing.F) {
	for _, s := range long {
		f.Add(s[:min(len(s), 40)], uint16(20))
	}
	f.Fuzz(func(t *testing.T, s string, limit uint16) {
		n := max(int(limit), 8)
		out := cut(alert.Clean(s), n, true)
		if strings.ContainsAny(out, "<>`") || len([]rune(out)) > n || out == "" {
			t.Fatalf("cut(%q, %d) = %q", s, n, out)
		}
		for k, part := range strings.Split(out, "&") {
			if k > 0 && !strings.HasPrefix(part, "amp;") && !strings.HasPrefix(part, "lt;") && !strings.HasPrefix(part, "gt;") {
				t.Fatalf("cut(%q, %d) = %q: a broken escape", s, n, out)
			}
		}
	})
}
