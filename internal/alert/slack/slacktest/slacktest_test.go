package slacktest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func x(n int) string { return strings.Repeat("x", n) }

func section(n int) string {
	return fmt.Sprintf(`{"type":"section","text":{"type":"mrkdwn","text":%q}}`, x(n))
}

func header(kind string, n int) string {
	return fmt.Sprintf(`{"type":"header","text":{"type":%q,"text":%q}}`, kind, x(n))
}

func fields(count, n int) string {
	f := fmt.Sprintf(`{"type":"mrkdwn","text":%q}`, x(n))
	return `{"type":"section","fields":[` + strings.TrimSuffix(strings.Repeat(f+",", count), ",") + `]}`
}

// controls is a block of menus with values of n characters.
func controls(count, n int) string {
	var all []string
	for k := range count {
		all = append(all, fmt.Sprintf(`{"type":"static_select","action_id":"a%d","placeholder":{"type":"plain_text","text":"p"},"options":[{"value":%q,"text":{"type":"plain_text","text":"o"}}]}`, k, x(n)))
	}
	return `{"type":"actions","elements":[` + strings.Join(all, ",") + `]}`
}

// bars is a chart whose labels have n characters beside two digits.
func bars(series, points, n int) string {
	var categories, data, all []string
	for k := range points {
		label := fmt.Sprintf("%q", fmt.Sprintf("%02d", k)+x(n))
		categories = append(categories, label)
		data = append(data, `{"label":`+label+`,"value":1}`)
	}
	for k := range series {
		all = append(all, fmt.Sprintf(`{"name":"s%d","data":[%s]}`, k, strings.Join(data, ",")))
	}
	return `{"type":"data_visualization","title":"t","chart":{"type":"bar","series":[` + strings.Join(all, ",") + `],"axis_config":{"categories":[` + strings.Join(categories, ",") + `]}}}`
}

func TestLimitsAreEnforced(t *testing.T) {
	t.Parallel()
	times := func(n int, b string) string { return strings.TrimSuffix(strings.Repeat(b+",", n), ",") }
	tests := []struct {
		name, text, blocks, want string
	}{
		{"nothing", "", "", "no_text"},
		{"text", "t", "", ""},
		{"long text", x(40001), "", "msg_too_long"},
		{"no JSON", "t", "{", "invalid_blocks_format"},
		{"50 blocks", "t", times(50, section(1)), ""},
		{"51 blocks", "t", times(51, section(1)), "invalid_blocks"},
		{"section", "", section(3000), ""},
		{"long section", "t", section(3001), "invalid_blocks"},
		{"emoji count twice", "t", strings.Replace(section(3000), "xxx", "🎉xx", 1), "invalid_blocks"},
		{"empty section", "t", section(0), "invalid_blocks"},
		{"bare section", "t", `{"type":"section"}`, "invalid_blocks"},
		{"header", "t", header("plain_text", 150), ""},
		{"long header", "t", header("plain_text", 151), "invalid_blocks"},
		{"marked up header", "t", header("mrkdwn", 1), "invalid_blocks"},
		{"10 fields", "t", fields(10, 1), ""},
		{"11 fields", "t", fields(11, 1), "invalid_blocks"},
		{"long field", "t", fields(1, 2001), "invalid_blocks"},
		{"total", "t", times(4, section(3000)) + "," + section(1000), ""},
		{"above total", "t", times(4, section(3000)) + "," + section(1001), "msg_blocks_too_long"},
		{"controls", "t", controls(25, 150), ""},
		{"too many controls", "t", controls(26, 1), "invalid_blocks"},
		{"long option", "t", controls(1, 151), "invalid_blocks"},
		{"the same control twice", "t", controls(1, 1) + "," + controls(1, 1), "invalid_blocks"},
		{"chart", "t", bars(2, 20, 18), ""},
		{"too many series", "t", bars(7, 1, 1), "invalid_blocks"},
		{"too many points", "t", bars(1, 21, 1), "invalid_blocks"},
		{"long label", "t", bars(1, 1, 21), "invalid_blocks"},
		{"unknown block", "t", `{"type":"chart"}`, "invalid_blocks"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := json.RawMessage("[" + tt.blocks + "]")
			if tt.blocks == "" {
				b = nil
			}
			require.Equal(t, tt.want, Check(tt.text, b))
		})
	}
}

func post(t *testing.T, url string, form url.Values) (int, string) {
	t.Helper()
	resp, err := http.PostForm(url, form)
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(b)
}

func TestServerRefusesWhatSlackRefuses(t *testing.T) {
	t.Parallel()
	s := Start()
	defer s.Close()
	form := func(pairs ...string) url.Values {
		v := url.Values{"token": {Token}, "channel": {ChannelID}, "text": {"t"}}
		for k := 0; k < len(pairs); k += 2 {
			v.Set(pairs[k], pairs[k+1])
		}
		return v
	}
	for _, tt := range []struct {
		method string
		form   url.Values
		want   string
	}{
		{"chat.postMessage", form("token", "xoxb-other"), "invalid_auth"},
		{"chat.postMessage", form("channel", "#other"), "channel_not_found"},
		{"chat.postMessage", form("thread_ts", "1.1"), "thread_not_found"},
		{"chat.update", form("channel", Channel), "channel_not_found"}, // an edit needs the id
		{"chat.update", form("ts", "1.1"), "message_not_found"},
		{"chat.delete", form(), "unknown_method"},
	} {
		_, body := post(t, s.URL+tt.method, tt.form)
		require.Contains(t, body, `"error":"`+tt.want+`"`)
		require.Contains(t, body, `"ok":false`)
	}
	require.Empty(t, s.Messages())
	require.Len(t, s.Requests(), 6)

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.WaitMessages(ended, 1)
	require.ErrorIs(t, err, context.Canceled)
	waited := make(chan error, 1)
	go func() {
		_, err := s.WaitMessages(t.Context(), 1)
		waited <- err
	}()
	post(t, s.URL+"chat.postMessage", form())
	require.NoError(t, <-waited)
	got := s.Messages()
	require.Equal(t, "t", got[0].Text)

	s.Misbehave(Fault{Status: 429, RetryAfter: "3"})
	code, _ := post(t, s.URL+"chat.postMessage", form())
	require.Equal(t, 429, code)
	code, body := post(t, strings.TrimSuffix(s.HookURL, "hook-secret")+"other", form())
	require.Equal(t, 200, code)
	require.Contains(t, body, "unknown_method")
}
