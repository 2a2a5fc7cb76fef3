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
	TS     string          `json:"ts"`
	Text   string          `json:"text"`
	Blocks json.RawMessage `json:"blocks,omitempty"`
	Edits  int             `json:"-"`
	// Broadcast tells that a reply is shown in the channel too.
	Broadcast bool      `json:"-"`
	Replies   []Message `json:"-"`
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

	// NoCharts makes the server refuse charts, as workspaces do that do not have
	// them yet. It is set before the first request.
	NoCharts bool

	mu        sync.Mutex
	messages  []Message
	ephemeral []string
	socket    socket
	faults    []Fault
	requests  []string
	changed   chan struct{} // closed and replaced at every change
	close     func()
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

// Ephemeral returns the texts that single people were shown.
func (s *Server) Ephemeral() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.ephemeral)
}

// Wait waits until a condition holds, which is looked at after every change.
func (s *Server) Wait(ctx context.Context, ok func() bool) error {
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if ok() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for Slack: %w", ctx.Err())
		}
	}
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
	Token     string          `json:"token"`
	Channel   string          `json:"channel"`
	TS        string          `json:"ts"`
	Thread    string          `json:"thread_ts"`
	Text      string          `json:"text"`
	Blocks    json.RawMessage `json:"blocks"`
	Broadcast bool            `json:"reply_broadcast"`
}

// ServeHTTP answers chat.postMessage and chat.update under any prefix, and the
// webhook at HookPath.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	hook := r.URL.Path == HookPath
	method := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	switch {
	case hook:
		method = "hook"
	case method == socketPath:
		s.serveSocket(w, r)
		return
	case method == "apps.connections.open":
		s.openSocket(w, r)
		return
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
		Thread: r.Form.Get("thread_ts"), Text: r.Form.Get("text"), Broadcast: r.Form.Get("reply_broadcast") == "true",
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
	case method == "chat.postEphemeral" && q.Channel != ChannelID, method == "chat.update" && q.Channel != ChannelID, method == "chat.postMessage" && q.Channel != ChannelID && q.Channel != Channel:
		return "", "channel_not_found"
	}
	if code := Check(q.Text, q.Blocks); code != "" {
		return "", code
	}
	if s.NoCharts && strings.Contains(string(q.Blocks), `"data_visualization"`) {
		return "", "invalid_blocks"
	}
	m := Message{TS: s.nextTS(), Text: q.Text, Blocks: q.Blocks, Broadcast: q.Broadcast}
	defer func() {
		close(s.changed)
		s.changed = make(chan struct{})
	}()
	at := func(ts string) int {
		return slices.IndexFunc(s.messages, func(m Message) bool { return m.TS == ts })
	}
	switch {
	case method == "chat.postEphemeral":
		s.ephemeral = append(s.ephemeral, q.Text)
		return m.TS, ""
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

func units(s string) int {
	n := 0
	for _, r := range s {
		if n++; r > 0xFFFF {
			n++
		}
	}
	return n
}
