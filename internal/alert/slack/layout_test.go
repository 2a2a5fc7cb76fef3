package slack

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	slackapi "github.com/slack-go/slack"
	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/alert"
	"github.com/profilerhq/profiler/internal/alert/slack/slacktest"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/golden"
	"github.com/profilerhq/profiler/internal/profile"
)

// full is a channel with everything that a message may have.
func full() *Channel {
	return &Channel{channel: "#data", external: "https://profiler.example", socket: slackapi.New("")}
}

func layout(m *alert.Message) []slackapi.Block { return full().layout(m) }

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
	m.Incident.Chart = &alert.Chart{Column: "amount", Bins: []string{"< 0", "0", "10", "> 20"}, Past: []float64{0, 60.5, 39.5, 0}, Now: []float64{3, 40, 30, 27}}
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
	bare := Channel{}                                // without a link of our own
	blocks, err := json.Marshal(bare.layout(&m)[1:]) // the header is plain text
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
			for _, status := range []alert.Status{alert.Open, alert.Acknowledged, alert.Snoozed, alert.Resolved} {
				m := message(alert.EventResolved)
				i := &m.Incident
				i.Began, i.BeganWith, i.AcknowledgedBy, i.SnoozedBy, i.Answer, i.AnsweredBy, i.Flaps = s, s, s, s, alert.AnswerReal, s, 3
				i.Chart = &alert.Chart{Column: s, Values: true}
				for k := range min(n, alert.MaxBins) {
					i.Chart.Bins = append(i.Chart.Bins, fmt.Sprint(k, s))
					i.Chart.Past, i.Chart.Now = append(i.Chart.Past, float64(k)), append(i.Chart.Now, 100/float64(k+1))
				}
				i.ID, i.Dataset, i.Owner, i.LastBatch, i.Status, i.Findings = s, s, s, s, status, nil
				i.Origin = checks.Origin{Pipeline: s, Step: s, Run: s, CorrelationID: s}
				for range n {
					i.Findings = append(i.Findings, checks.Result{ID: s, Status: checks.Fail, Message: s, Limit: s, Value: profile.TextScalar(s), Rule: &checks.Rule{File: s, Line: 1 << 30}})
					i.Folded = append(i.Folded, s)
				}
				blocks, err := json.Marshal(layout(&m))
				require.NoError(t, err)
				require.Empty(t, slacktest.Check(summary(&m), blocks), "%s × %d", name, n)
				require.LessOrEqual(t, len(layout(&m)), 16)
				drawn := full()
				drawn.plainCharts.Store(true)
				plainBlocks, err := json.Marshal(drawn.layout(&m))
				require.NoError(t, err)
				require.Empty(t, slacktest.Check(summary(&m), plainBlocks), "%s × %d, drawn", name, n)
				require.LessOrEqual(t, total(plainBlocks), 10000)
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

func TestDigestsAndWeekliesKeepTheLimits(t *testing.T) {
	t.Parallel()
	for name, s := range long {
		d := alert.Digest{ID: s, Revision: 1}
		w := alert.Weekly{Incidents: 1}
		for range 100 {
			d.Entries = append(d.Entries, alert.Entry{ID: s, Dataset: s, Status: alert.Open, Severity: checks.SeverityFail, Title: s, Lead: s, Owner: s})
		}
		for range 10 {
			w.Noisiest = append(w.Noisiest, alert.Noise{Dataset: s, Check: s, Place: s})
		}
		for _, m := range []alert.Message{{Event: alert.EventDigest, Digest: &d}, {Event: alert.EventWeekly, Weekly: &w}} {
			blocks, err := json.Marshal(layout(&m))
			require.NoError(t, err)
			require.Empty(t, slacktest.Check(summary(&m), blocks), name)
			require.Empty(t, slacktest.Check(plain(&m), nil), name)
		}
	}
}

func TestDeadUnitsKeepTheLimits(t *testing.T) {
	t.Parallel()
	for name, s := range long {
		letter := &alert.DeadUnit{Unit: s, Source: s, Run: s, CorrelationID: s, Cause: s, Error: s}
		m := alert.Message{Event: alert.EventReopened, Incident: alert.DecideDead(alert.DeadInput{
			Letters: alert.DeadLetters{Pipeline: s, Step: s, Dead: 1, First: letter, Last: letter}, Died: 1, Dataset: s, Owner: s, ID: func() string { return s },
		}, alert.Options{}).Incident}
		blocks, err := json.Marshal(layout(&m))
		require.NoError(t, err)
		require.Empty(t, slacktest.Check(summary(&m), blocks), name)
		require.LessOrEqual(t, total(blocks), 10000, name)
		require.Empty(t, slacktest.Check(plain(&m), nil), name)
		require.Equal(t, 1, strings.Count(string(blocks), alert.KindDeadLetters+": "), "what the lead says is not said again")
	}
}

func TestNoMoreThanThreeControls(t *testing.T) {
	t.Parallel()
	for status, want := range map[alert.Status]int{alert.Open: 3, alert.Snoozed: 3, alert.Acknowledged: 2, alert.Resolved: 0} {
		m := message(alert.EventUpdated)
		m.Incident.Status = status
		found := 0
		for _, b := range layout(&m) {
			if a, ok := b.(*slackapi.ActionBlock); ok {
				found = len(a.Elements.ElementSet)
			}
		}
		require.Equal(t, want, found, status)
	}
	without := Channel{}
	m := message(alert.EventOpened)
	for _, b := range without.layout(&m) {
		require.NotEqual(t, slackapi.MBTAction, b.BlockType(), "without an app token nobody would hear a click")
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
