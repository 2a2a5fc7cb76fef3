// Package natstest runs a NATS server with JetStream inside of tests.
package natstest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Server is a server whose streams outlive a restart.
type Server struct {
	t       TB
	options server.Options
	server  *server.Server
	admin   *nats.Conn
}

// User may connect, and publish to the subjects; to all if there are none.
type User struct {
	Name, Password string
	Publish        []string
}

// TB is what a server needs of a test.
type TB interface {
	Helper()
	Fatal(args ...any)
}

// Start starts a server for a test; with users, for them alone.
func Start(t testing.TB, users ...User) *Server {
	t.Helper()
	s := New(t, t.TempDir(), users...)
	t.Cleanup(s.Down)
	return s
}

// New starts a server that keeps its streams in a folder. The caller stops it.
func New(t TB, dir string, users ...User) *Server {
	t.Helper()
	s := &Server{t: t, options: server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: dir, NoLog: true, NoSigs: true, SyncAlways: true,
	}}
	for _, u := range users {
		one := &server.User{Username: u.Name, Password: u.Password}
		if len(u.Publish) > 0 {
			one.Permissions = &server.Permissions{Publish: &server.SubjectPermission{Allow: u.Publish}}
		}
		s.options.Users = append(s.options.Users, one)
	}
	s.Up()
	return s
}

// Up starts the server again, at the same address.
func (s *Server) Up() {
	s.t.Helper()
	o := s.options
	var err error
	s.server, err = server.NewServer(&o)
	s.check(err)
	s.server.Start()
	if !s.server.ReadyForConnections(30 * time.Second) {
		s.t.Fatal("the NATS server does not start")
	}
	s.options.Port = o.Port
}

// Down stops the server.
func (s *Server) Down() {
	if s.admin != nil {
		s.admin.Close()
		s.admin = nil
	}
	if s.server != nil {
		s.server.Shutdown()
		s.server.WaitForShutdown()
		s.server = nil
	}
}

// URL is the address.
func (s *Server) URL() string { return fmt.Sprintf("nats://127.0.0.1:%d", s.options.Port) }

// JetStream returns a connection of the test, which options may say more about.
func (s *Server) JetStream(options ...nats.Option) jetstream.JetStream {
	s.t.Helper()
	if s.admin == nil {
		var err error
		s.admin, err = nats.Connect(s.URL(), append(options, nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))...)
		s.check(err)
	}
	js, err := jetstream.New(s.admin)
	s.check(err)
	return js
}

// Stream makes a stream on disk for the subjects NAME.> and returns it.
func (s *Server) Stream(name string) jetstream.Stream {
	s.t.Helper()
	st, err := s.JetStream().CreateOrUpdateStream(context.Background(), jetstream.StreamConfig{Name: name, Subjects: []string{name + ".>"}, Storage: jetstream.FileStorage})
	s.check(err)
	return st
}

// Consumer makes a durable consumer of a stream that gives messages again which are
// not acknowledged in time.
func (s *Server) Consumer(stream, name string, ackWait time.Duration) {
	s.t.Helper()
	_, err := s.JetStream().CreateConsumer(context.Background(), stream, jetstream.ConsumerConfig{
		Durable: name, AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait,
	})
	s.check(err)
}

// Publish sends messages to a subject, with the header traceparent if it is not
// empty.
func (s *Server) Publish(subject, traceparent string, bodies ...string) {
	s.t.Helper()
	js := s.JetStream()
	for _, body := range bodies {
		m := nats.NewMsg(subject)
		m.Data = []byte(body)
		if traceparent != "" {
			m.Header.Set("traceparent", traceparent)
		}
		_, err := js.PublishMsg(context.Background(), m)
		s.check(err)
	}
}

func (s *Server) check(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}
