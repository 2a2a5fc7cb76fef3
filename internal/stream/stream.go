// Package stream reads a NATS JetStream stream through a durable pull consumer.
// A message stays the server's until it is acknowledged: what was fetched and not
// acknowledged comes again, perhaps out of order, to whoever pulls.
package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Config says which messages are read.
type Config struct {
	// URL is one address of a server or several, with commas between them.
	URL string
	// Credentials is the path of a file with a JWT and its key, or empty.
	Credentials string
	Stream      string
	// Subject picks messages of the stream; empty is all.
	Subject string
	// Consumer is the name of the durable consumer. It is made if it is not there.
	Consumer string
	// AckWait is how long a message stays with who fetched it.
	AckWait time.Duration
	// Name tells the server who is connected.
	Name string
	// Wait goes on when no server can be reached at first.
	Wait   bool
	Logger *slog.Logger
}

// connectTimeout bounds a connection and one call.
const connectTimeout = 5 * time.Second

// Error says what is wrong with the source, for people.
type Error struct {
	message string
	err     error
}

// Error returns the message.
func (e *Error) Error() string { return e.message }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.err }

// Message is one message of the stream.
type Message struct {
	// Sequence is its number in the stream, Delivered how often it came.
	Sequence  uint64
	Delivered uint64
	Subject   string
	Data      []byte
	// Traceparent is the header of that name, or empty.
	Traceparent string
	At          time.Time

	msg jetstream.Msg
}

// Ack tells the server that the message is done with. An acknowledgement that gets
// lost brings the message again.
func (m *Message) Ack() error { return m.msg.Ack() }

// Return gives the message back, to be delivered again at once.
func (m *Message) Return() error { return m.msg.Nak() }

// Hold prolongs the time that the message stays here.
func (m *Message) Hold() error { return m.msg.InProgress() }

// Source is a consumer of a stream. It is safe for concurrent use.
type Source struct {
	config   Config
	conn     *nats.Conn
	consumer jetstream.Consumer
	id       string

	mu     sync.Mutex
	denied string // what the server refused last
}

// Open connects and finds the stream and the consumer. The error is an *Error.
func Open(ctx context.Context, c Config) (*Source, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Source{config: c}
	options := []nats.Option{
		nats.Name(c.Name), nats.Timeout(connectTimeout), nats.MaxReconnects(-1), nats.ReconnectWait(time.Second / 2), nats.ReconnectBufSize(-1),
		nats.RetryOnFailedConnect(c.Wait), nats.IgnoreAuthErrorAbort(),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			if errors.Is(err, nats.ErrPermissionViolation) {
				s.mu.Lock()
				s.denied = err.Error()
				s.mu.Unlock()
			}
			c.Logger.Warn("stream", "err", err)
		}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { c.Logger.Warn("connection to the stream lost", "err", err) }),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			c.Logger.Info("connection to the stream is back", "server", nc.ConnectedUrlRedacted())
		}),
	}
	if c.Credentials != "" {
		options = append(options, nats.UserCredentials(c.Credentials))
	}
	var err error
	if s.conn, err = nats.Connect(c.URL, options...); err != nil {
		return nil, &Error{fmt.Sprintf("%s: %v; check the address, and that the server runs", s.where(), plain(err)), err}
	}
	if err := s.find(ctx); err != nil {
		s.conn.Close()
		return nil, err
	}
	return s, nil
}

// where names the servers without passwords.
func (s *Source) where() string {
	var all []string
	for u := range strings.SplitSeq(s.config.URL, ",") {
		u = strings.TrimSpace(u)
		if scheme, rest, ok := strings.Cut(u, "://"); ok {
			if at := strings.LastIndexByte(rest, '@'); at >= 0 {
				u = scheme + "://" + rest[at+1:]
			}
		}
		all = append(all, u)
	}
	return strings.Join(all, ",")
}

func plain(err error) string { return strings.TrimPrefix(err.Error(), "nats: ") }

// find looks the stream and the consumer up.
func (s *Source) find(ctx context.Context) error {
	c := s.config
	js, err := jetstream.New(s.conn, jetstream.WithDefaultTimeout(connectTimeout))
	if err != nil {
		return s.problem("use JetStream", err)
	}
	st, err := js.Stream(ctx, c.Stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return &Error{fmt.Sprintf("%s: there is no stream %q; check the name, or create it", s.where(), c.Stream), err}
	}
	if err != nil {
		return s.problem(fmt.Sprintf("look up the stream %q", c.Stream), err)
	}
	// A stream that was deleted and made again counts its messages from 1.
	s.id = "nats " + c.Stream + " " + strconv.FormatInt(st.CachedInfo().Created.UnixMicro(), 36)
	s.consumer, err = st.Consumer(ctx, c.Consumer)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		s.consumer, err = st.CreateConsumer(ctx, jetstream.ConsumerConfig{
			Durable: c.Consumer, FilterSubject: c.Subject, AckPolicy: jetstream.AckExplicitPolicy, AckWait: c.AckWait, MaxAckPending: -1,
		})
	}
	if err != nil {
		return s.problem(fmt.Sprintf("make the consumer %q of the stream %q", c.Consumer, c.Stream), err)
	}
	got := s.consumer.CachedInfo().Config
	switch {
	case got.DeliverSubject != "":
		return &Error{fmt.Sprintf("%s: the consumer %q pushes its messages; name another one, which is pulled", s.where(), c.Consumer), nil}
	case got.AckPolicy != jetstream.AckExplicitPolicy:
		return &Error{fmt.Sprintf("%s: the consumer %q does not want each message acknowledged, so that messages could be lost; name another one", s.where(), c.Consumer), nil}
	case c.Subject != "" && got.FilterSubject != c.Subject:
		return &Error{fmt.Sprintf("%s: the consumer %q reads the subject %q and not %q; name another consumer", s.where(), c.Consumer, got.FilterSubject, c.Subject), nil}
	}
	return nil
}

// problem describes a call that failed.
func (s *Source) problem(what string, err error) error {
	s.mu.Lock()
	denied := s.denied
	s.mu.Unlock()
	if denied != "" {
		return &Error{fmt.Sprintf("%s: cannot %s: the user may not do that (%s)", s.where(), what, strings.TrimPrefix(denied, "nats: ")), err}
	}
	return &Error{fmt.Sprintf("%s: cannot %s: %s", s.where(), what, plain(err)), err}
}

// ID identifies the stream: a number of a message means the same message as long
// as the id is the same.
func (s *Source) ID() string { return s.id }

// Fetch returns at most n messages. It waits up to the given time for the first
// ones and returns none after it; 0 does not wait. When the connection is lost it
// returns what came before it, and an error only if that is nothing.
func (s *Source) Fetch(ctx context.Context, n int, wait time.Duration) ([]*Message, error) {
	var batch jetstream.MessageBatch
	var err error
	if wait <= 0 {
		batch, err = s.consumer.FetchNoWait(n)
	} else {
		limited, cancel := context.WithTimeout(ctx, wait)
		defer cancel()
		batch, err = s.consumer.Fetch(n, jetstream.FetchContext(limited))
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, s.problem("fetch messages", err)
	}
	var all []*Message
	for msg := range batch.Messages() {
		meta, err := msg.Metadata()
		if err != nil {
			return all, s.problem("read a message", err)
		}
		all = append(all, &Message{
			Sequence: meta.Sequence.Stream, Delivered: meta.NumDelivered, Subject: msg.Subject(), Data: msg.Data(),
			Traceparent: msg.Headers().Get("traceparent"), At: meta.Timestamp, msg: msg,
		})
	}
	err = batch.Error()
	if len(all) > 0 || err == nil || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || errors.Is(err, nats.ErrTimeout) {
		return all, nil
	}
	return nil, s.problem("fetch messages", err)
}

// Left returns how many messages nobody has fetched, how many are fetched and not
// acknowledged, and the number up to which all are acknowledged.
func (s *Source) Left(ctx context.Context) (pending, held, floor uint64, err error) {
	info, err := s.consumer.Info(ctx)
	if err != nil {
		return 0, 0, 0, s.problem("ask for the state of the consumer", err)
	}
	return info.NumPending, uint64(max(0, info.NumAckPending)), info.AckFloor.Stream, nil
}

// Flush sends what is written, such as acknowledgements.
func (s *Source) Flush() error { return s.conn.FlushTimeout(connectTimeout) }

// Close ends the connection. Acknowledgements are sent before.
func (s *Source) Close() {
	_ = s.Flush() // what is not acknowledged comes again
	s.conn.Close()
}
