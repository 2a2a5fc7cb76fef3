package stream_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/natstest"
	"github.com/profilerhq/profiler/internal/stream"
)

func open(t *testing.T, c stream.Config) *stream.Source {
	t.Helper()
	s, err := stream.Open(t.Context(), c)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

func config(s *natstest.Server) stream.Config {
	return stream.Config{URL: s.URL(), Stream: "ORDERS", Consumer: "c", AckWait: time.Minute}
}

func fetch(t *testing.T, s *stream.Source, n int) []*stream.Message {
	t.Helper()
	all, err := s.Fetch(t.Context(), n, 10*time.Second)
	require.NoError(t, err)
	return all
}

func TestMessages(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	srv.Stream("ORDERS")
	srv.Publish("ORDERS.a", "00-x", "1", "2")
	srv.Publish("ORDERS.b", "", "3")
	s := open(t, config(srv))
	got := fetch(t, s, 2)
	require.Len(t, got, 2)
	require.Equal(t, []any{uint64(1), uint64(1), "ORDERS.a", "1", "00-x"}, []any{got[0].Sequence, got[0].Delivered, got[0].Subject, string(got[0].Data), got[0].Traceparent})
	require.NoError(t, got[0].Ack())
	require.NoError(t, got[1].Return())
	require.NoError(t, s.Flush())
	seen := map[uint64]*stream.Message{}
	for len(seen) < 2 {
		for _, m := range fetch(t, s, 1) {
			seen[m.Sequence] = m
		}
	}
	require.Equal(t, uint64(2), seen[2].Delivered, "it was given back")
	require.Equal(t, "3", string(seen[3].Data))
	require.NoError(t, seen[2].Ack())
	require.NoError(t, s.Flush())
	pending, held, floor, err := s.Left(t.Context())
	require.NoError(t, err)
	require.Equal(t, []uint64{0, 1, 2}, []uint64{pending, held, floor})
	none, err := s.Fetch(t.Context(), 5, 0)
	require.NoError(t, err)
	require.Empty(t, none)
	none, err = s.Fetch(t.Context(), 5, 10*time.Millisecond)
	require.NoError(t, err)
	require.Empty(t, none)

	// Another subject is another consumer; a stream that is made anew has another id.
	c := config(srv)
	c.Subject, c.Consumer = "ORDERS.b", "only-b"
	require.Equal(t, "3", string(fetch(t, open(t, c), 9)[0].Data))
	require.NoError(t, srv.JetStream().DeleteStream(t.Context(), "ORDERS"))
	srv.Stream("ORDERS")
	require.NotEqual(t, s.ID(), open(t, config(srv)).ID())
}

// What was fetched before a restart and not acknowledged comes again after it, and
// what was acknowledged does not.
func TestRestart(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	srv.Stream("ORDERS")
	srv.Publish("ORDERS.a", "", "1", "2")
	c := config(srv)
	c.AckWait = time.Second
	s := open(t, c)
	got := fetch(t, s, 2)
	require.NoError(t, got[0].Ack())
	require.NoError(t, s.Flush())
	srv.Down()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, _ = s.Fetch(ctx, 1, time.Second) // away: an error or nothing, and no panic
	srv.Up()
	require.Eventually(t, func() bool {
		again, err := s.Fetch(t.Context(), 5, time.Second)
		if err != nil {
			return false
		}
		for _, m := range again { // the first one too, if the server had not kept its acknowledgement
			if m.Sequence == 2 {
				return true
			}
		}
		return false
	}, time.Minute, 10*time.Millisecond)
}

func TestWhatCannotBeOpened(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t, natstest.User{Name: "all", Password: "x"}, natstest.User{Name: "few", Password: "x", Publish: []string{"$JS.API.INFO"}})
	admin := srv.JetStream(nats.UserInfo("all", "x"))
	st, err := admin.CreateStream(t.Context(), jetstream.StreamConfig{Name: "ORDERS", Subjects: []string{"ORDERS.>"}})
	require.NoError(t, err)
	for _, cc := range []jetstream.ConsumerConfig{
		{Durable: "loose", AckPolicy: jetstream.AckNonePolicy}, {Durable: "other", AckPolicy: jetstream.AckExplicitPolicy, FilterSubject: "ORDERS.b"},
	} {
		_, err := st.CreateConsumer(t.Context(), cc)
		require.NoError(t, err)
	}
	host := srv.URL()[len("nats://"):]
	for want, change := range map[string]func(*stream.Config){
		host + ": Authorization Violation; check":                                           func(c *stream.Config) { c.URL = "nats://all:wrong@" + host },
		host + ": there is no stream \"NONE\"; check the name, or create it":                func(c *stream.Config) { c.Stream = "NONE" },
		"cannot look up the stream \"ORDERS\": the user may not do that":                    func(c *stream.Config) { c.URL = "nats://few:x@" + host },
		"the consumer \"loose\" does not want each message acknowledged":                    func(c *stream.Config) { c.Consumer = "loose" },
		"the consumer \"other\" reads the subject \"ORDERS.b\" and not \"ORDERS.a\"":        func(c *stream.Config) { c.Consumer, c.Subject = "other", "ORDERS.a" },
		"127.0.0.1:1: no servers available for connection; check the address, and that the": func(c *stream.Config) { c.URL = "nats://127.0.0.1:1" },
	} {
		c := config(srv)
		c.URL = "nats://all:x@" + host
		change(&c)
		_, err := stream.Open(t.Context(), c)
		require.ErrorAs(t, err, new(*stream.Error), want)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "wrong", "no password is shown")
	}
}
