// Package slacktest is a Slack for tests: an HTTP server that keeps messages,
// edits and thread replies, refuses what Slack refuses, and misbehaves on
// demand. It is for tests only.
package slacktest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"
)

// The workspace that a Server plays.
const (
	Token     = "xoxb-test-0123456789" // the only bot token that is accepted
	Channel   = "#data"                // the only channel, by name
	ChannelID = "C0DATA"               // and by id
	HookPath  = "/services/T0/B0/hook-secret"
)

// Message is a message as the channel shows it. Edits counts its edits.
type Message struct {
	TS      string          `json:"ts"`
	Text    string          `json:"text"`
	Blocks  json.RawMessage `json:"blocks,omitempty"`
	Edits   int             `json:"-"`
	Replies []Message       `json:"-"`
}

// Fault is how one request goes wrong. The zero value is no fault.
type Fault struct {
	Status     int           // answer this status, such as 429 or 500
	RetryAfter string        // with this header
	Error      string        // answer ok:false with this error, or a webhook's 400
	Raw        string        // answer 200 with this body
	Cut        bool          // cut the connection without an answer
	Delay      time.Duration // answer late
	Lost       bool          // do as asked before the fault: only the answer is lost
}

// Server is the fake. Its methods are safe for concurrent use.
type Server struct {
	// URL is the api_url of the server; set by Start. HookURL is its webhook.
	URL, HookURL string

	mu       sync.Mutex
	messages []Message
	faults   []Fault
	requests []string
	changed  chan struct{} // closed and replaced at every change
	close    func()
}

// New returns a server to be mounted as an http.Handler.
func New() *Server { return &Server{changed: make(chan struct{}), close: func() {}} }

// Start returns a server that listens on a free port of the loopback interface.
func Start() *Server {
	s := New()
	h := httptest.NewServer(s)
	s.URL, s.HookURL, s.close = h.URL+"/api/", h.URL+HookPath, h.Close
	return s
}

// Close stops listening.
func (s *Server) Close() { s.close() }

// Misbehave makes the next requests go wrong, one fault each, in order.
func (s *Server) Misbehave(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, faults...)
}

// Forget deletes all messages, as somebody in the channel might.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = nil
}

// Requests returns the methods called so far, refused ones too: "chat.update",
// "hook".
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Messages returns a copy of the messages in the channel, oldest first.
func (s *Server) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := slices.Clone(s.messages)
	for i := range out {
		out[i].Replies = slices.Clone(out[i].Replies)
	}
	return out
}

// WaitMessages waits until there are at least n messages.
func (s *Server) WaitMessages(ctx context.Context, n int) ([]Message, error) {
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if m := s.Messages(); len(m) >= n {
			return m, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return s.Messages(), fmt.Errorf("wait for %d messages: %w", n, ctx.Err())
		}
	}
}

// request is what the client asks for, from a form or from JSON.
type request struct {
	Token   string          `json:"token"`
	Channel string          `json:"channel"`
	TS      string          `json:"ts"`
	Thread  string          `json:"thread_ts"`
	Text    string          `json:"text"`
	Blocks  json.RawMessage `json:"blocks"`
}

// ServeHTTP answers chat.postMessage and chat.update under any prefix, and the
// webhook at HookPath.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	hook := r.URL.Path == HookPath
	method := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	if hook {
		method = "hook"
	}
	q, err := parse(r)
	s.mu.Lock()
	s.requests = append(s.requests, method)
	var f Fault
	if len(s.faults) > 0 {
		f, s.faults = s.faults[0], s.faults[1:]
	}
	s.mu.Unlock()
	if f.Lost {
		s.act(method, q)
	}
	if f.Delay > 0 {
		select {
		case <-time.After(f.Delay):
		case <-r.Context().Done():
			panic(http.ErrAbortHandler) // nobody waits any more
		}
	}
	switch {
	case f.Cut:
		panic(http.ErrAbortHandler)
	case f.RetryAfter != "" || f.Status != 0:
		if f.RetryAfter != "" {
			w.Header().Set("Retry-After", f.RetryAfter)
		}
		w.WriteHeader(f.Status)
		_, _ = io.WriteString(w, "<html>"+http.StatusText(f.Status)+"</html>")
	case f.Raw != "":
		_, _ = io.WriteString(w, f.Raw)
	case f.Error != "":
		answer(w, hook, "", f.Error)
	case err != nil:
		answer(w, hook, "", "invalid_form_data")
	default:
		ts, code := s.act(method, q)
		answer(w, hook, ts, code)
	}
}

func parse(r *http.Request) (request, error) {
	var q request
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		err := json.NewDecoder(r.Body).Decode(&q)
		return q, err
	}
	if err := r.ParseForm(); err != nil {
		return q, err
	}
	q = request{
		Token: r.Form.Get("token"), Channel: r.Form.Get("channel"), TS: r.Form.Get("ts"),
		Thread: r.Form.Get("thread_ts"), Text: r.Form.Get("text"),
	}
	if b := r.Form.Get("blocks"); b != "" {
		q.Blocks = json.RawMessage(b)
	}
	if t, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		q.Token = t
	}
	return q, nil
}

func answer(w http.ResponseWriter, hook bool, ts, code string) {
	switch {
	case hook && code == "":
		_, _ = io.WriteString(w, "ok")
	case hook:
		w.WriteHeader(hookStatus(code))
		_, _ = io.WriteString(w, code)
	default:
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_ = json.NewEncoder(w).Encode(map[string]any{"ok": code == "", "error": code, "channel": ChannelID, "ts": ts})
	}
}

// hookStatus is the status that incoming webhooks answer with an error.
func hookStatus(code string) int {
	switch code {
	case "action_prohibited", "invalid_token":
		return http.StatusForbidden
	case "channel_not_found", "no_service", "no_team":
		return http.StatusNotFound
	case "channel_is_archived":
		return http.StatusGone
	}
	return http.StatusBadRequest
}

// act does what a request asks for; code is Slack's error.
func (s *Server) act(method string, q request) (ts, code string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case method != "hook" && q.Token != Token:
		return "", "invalid_auth"
	case method == "chat.update" && q.Channel != ChannelID, method == "chat.postMessage" && q.Channel != ChannelID && q.Channel != Channel:
		return "", "channel_not_found"
	}
	if code := Check(q.Text, q.Blocks); code != "" {
		return "", code
	}
	m := Message{TS: s.nextTS(), Text: q.Text, Blocks: q.Blocks}
	defer func() {
		close(s.changed)
		s.changed = make(chan struct{})
	}()
	at := func(ts string) int {
		return slices.IndexFunc(s.messages, func(m Message) bool { return m.TS == ts })
	}
	switch {
	case method == "chat.update":
		k := at(q.TS)
		if k < 0 {
			return "", "message_not_found"
		}
		old := &s.messages[k]
		old.Text, old.Edits = q.Text, old.Edits+1
		if q.Blocks != nil {
			old.Blocks = q.Blocks
		}
		return q.TS, ""
	case method != "chat.postMessage" && method != "hook":
		return "", "unknown_method"
	case q.Thread != "":
		k := at(q.Thread)
		if k < 0 {
			return "", "thread_not_found"
		}
		s.messages[k].Replies = append(s.messages[k].Replies, m)
	default:
		s.messages = append(s.messages, m)
	}
	return m.TS, ""
}

// nextTS makes ids that are unique and rise, as Slack's do.
func (s *Server) nextTS() string {
	return "1793000000." + fmt.Sprintf("%06d", len(s.requests)*100+len(s.messages))
}

// The limits of a message.
const (
	maxBlocks, maxHeader, maxSection  = 50, 150, 3000
	maxFields, maxField, maxElements  = 10, 2000, 10
	maxContext, maxTotal, maxFallback = 2000, 13000, 40000
)

// Check returns Slack's error for a message that it would not take, "" for a
// good one. Lengths are counted in UTF-16 units.
func Check(text string, blocks json.RawMessage) string {
	type object struct{ Type, Text string }
	var list []struct {
		Type     string
		Text     json.RawMessage
		Fields   []object
		Elements []object
	}
	if len(blocks) > 0 && json.Unmarshal(blocks, &list) != nil {
		return "invalid_blocks_format"
	}
	switch {
	case len(list) == 0 && strings.TrimSpace(text) == "":
		return "no_text"
	case units(text) > maxFallback:
		return "msg_too_long"
	case len(list) > maxBlocks:
		return "invalid_blocks"
	}
	total := 0
	good := func(o object, limit int, types ...string) bool {
		n := units(o.Text)
		total += n
		return n > 0 && n <= limit && slices.Contains(types, o.Type)
	}
	for _, b := range list {
		var t object
		if b.Text != nil && json.Unmarshal(b.Text, &t) != nil {
			return "invalid_blocks"
		}
		ok := false
		switch b.Type {
		case "header":
			ok = good(t, maxHeader, "plain_text")
		case "section":
			ok = (b.Text != nil || len(b.Fields) > 0) && len(b.Fields) <= maxFields && (b.Text == nil || good(t, maxSection, "mrkdwn", "plain_text"))
		case "context":
			ok = len(b.Elements) > 0 && len(b.Elements) <= maxElements
		case "divider":
			ok = true
		}
		for _, o := range b.Fields {
			ok = good(o, maxField, "mrkdwn", "plain_text") && ok
		}
		for _, o := range b.Elements {
			ok = good(o, maxContext, "mrkdwn", "plain_text") && ok
		}
		if !ok {
			return "invalid_blocks"
		}
	}
	if total > maxTotal {
		return "msg_blocks_too_long"
	}
	return ""
}

func units(s string) int {
	n := 0
	for _, r := range s {
		if n++; r > 0xFFFF {
			n++
		}
	}
	return n
}
