package slacktest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

// AppToken is the only app-level token that is accepted.
const AppToken = "xapp-test-0123456789"

// socketPath ends the address of the WebSocket; the ticket in it is a secret.
const (
	socketPath   = "link"
	socketTicket = "ticket-4c9a1f"
)

// socket is the connection for clicks.
type socket struct {
	conn     *websocket.Conn
	acked    []string
	envelope int
}

func (s *Server) openSocket(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if r.Header.Get("Authorization") != "Bearer "+AppToken {
		_ = json.NewEncoder(w).Encode(map[string]any{"ok": false, "error": "invalid_auth"})
		return
	}
	url := "ws://" + r.Host + "/" + socketPath + "?ticket=" + socketTicket
	_ = json.NewEncoder(w).Encode(map[string]any{"ok": true, "url": url})
}

// serveSocket says hello and remembers what the client acknowledges.
func (s *Server) serveSocket(w http.ResponseWriter, r *http.Request) {
	if !strings.Contains(r.URL.RawQuery, socketTicket) {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	conn, err := (&websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}).Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer conn.Close() //nolint:errcheck // a test
	_ = conn.WriteJSON(map[string]any{"type": "hello", "num_connections": 1, "connection_info": map[string]string{"app_id": "A0"}})
	s.mu.Lock()
	s.socket.conn = conn
	s.notify()
	s.mu.Unlock()
	for {
		var ack struct {
			EnvelopeID string `json:"envelope_id"`
		}
		if err := conn.ReadJSON(&ack); err != nil {
			s.mu.Lock()
			if s.socket.conn == conn {
				s.socket.conn = nil
			}
			s.notify()
			s.mu.Unlock()
			return
		}
		s.mu.Lock()
		s.socket.acked = append(s.socket.acked, ack.EnvelopeID)
		s.notify()
		s.mu.Unlock()
	}
}

// notify tells those who wait that something changed; the lock is held.
func (s *Server) notify() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Hangup closes the connection for clicks, as Slack does every now and then.
func (s *Server) Hangup() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.socket.conn != nil {
		_ = s.socket.conn.Close()
		s.socket.conn = nil
	}
}

// Click lets a person use a control of the newest message: the button with an
// action id, or the option of a menu with a value that begins so. It waits for
// a connection, and until the client has acknowledged.
func (s *Server) Click(ctx context.Context, user, action, option string) error {
	if err := s.Wait(ctx, func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.socket.conn != nil }); err != nil {
		return err
	}
	id, err := s.sendClick(user, action, option)
	if err != nil {
		return err
	}
	return s.Wait(ctx, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, a := range s.socket.acked {
			if a == id {
				return true
			}
		}
		return false
	})
}

func (s *Server) sendClick(user, action, option string) (id string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.messages) == 0 || s.socket.conn == nil {
		return "", errors.New("there is nothing to click at")
	}
	m := s.messages[len(s.messages)-1]
	var blocks []block
	if err := json.Unmarshal(m.Blocks, &blocks); err != nil {
		return "", err
	}
	for _, b := range blocks {
		for _, e := range b.Elements {
			if e.ActionID != action {
				continue
			}
			did := map[string]any{"type": e.Type, "block_id": "b1", "action_id": action, "value": e.Value, "action_ts": "1"}
			for _, o := range e.Options {
				if strings.HasPrefix(o.Value, option) {
					did["selected_option"] = map[string]any{"value": o.Value, "text": map[string]string{"type": "plain_text", "text": o.Text.Text}}
				}
			}
			s.socket.envelope++
			id = fmt.Sprintf("envelope-%d", s.socket.envelope)
			_ = s.socket.conn.SetWriteDeadline(time.Now().Add(time.Minute))
			return id, s.socket.conn.WriteJSON(map[string]any{
				"type": "interactive", "envelope_id": id, "accepts_response_payload": true,
				"payload": map[string]any{
					"type": "block_actions", "user": map[string]string{"id": "U1", "username": user, "name": user},
					"channel": map[string]string{"id": ChannelID, "name": "data"}, "container": map[string]string{"type": "message", "message_ts": m.TS},
					"actions": []any{did},
				},
			})
		}
	}
	return "", fmt.Errorf("the newest message has no control %q", action)
}
