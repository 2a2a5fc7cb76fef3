package pipeline

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/yamldoc"
)

// NATS is a JetStream stream whose messages become units.
type NATS struct {
	// URL is one address or several with commas between them, Credentials the path
	// of a credentials file, or empty.
	URL, Credentials string
	Stream           string
	// Subject picks messages, empty is all. Consumer is the durable consumer.
	Subject, Consumer string
	// A unit is complete with so many messages or bytes, or when its first message
	// has been here for so long.
	Rows  int
	Bytes int64
	Age   time.Duration
}

// Streams reports whether the source is a stream, which never ends. A source that
// is nil is none.
func (s *Source) Streams() bool { return s != nil && s.NATS != nil }

// Defaults of a unit of a stream.
const (
	DefaultBatchRows  = 1000
	DefaultBatchBytes = 8 << 20
	DefaultBatchAge   = 5 * time.Second
	maxBatchRows      = 100_000
	maxBatchAge       = time.Hour
)

// nats reads source: {nats: …}.
func (p *parser) nats(s *Source, m *yamldoc.Mapping, n *yamldoc.Node) {
	for _, key := range []string{"files", "watch", "unit", "key"} {
		if k := m.KeyNode(key); k != nil {
			k.Errorf(&p.errs, yamldoc.CodeValue, "%s is about files, and this source is a stream; batch: says what a unit is", key)
		}
	}
	s.Unit, s.Key = "", ""
	c := &NATS{Consumer: "profiler-" + strings.ReplaceAll(p.pipeline.Name, ".", "_"), Rows: DefaultBatchRows, Bytes: DefaultBatchBytes, Age: DefaultBatchAge}
	s.NATS = c
	f := n.Mapping(&p.errs)
	if f == nil {
		return
	}
	p.keys(f, "nats", []string{"url", "credentials", "stream", "subject", "consumer", "batch"}, nil)
	if at := f.Required("url", "nats", &p.errs); at != nil {
		c.URL, _ = at.String(&p.errs)
		for one := range strings.SplitSeq(c.URL, ",") {
			u, err := url.Parse(strings.TrimSpace(one))
			if err != nil || u.Host == "" || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) {
				at.Errorf(&p.errs, yamldoc.CodeValue, `the url is like "nats://127.0.0.1:4222"; several have commas between them`)
				break
			}
		}
	}
	c.Stream = p.natsName(f.Required("stream", "nats", &p.errs), "stream", c.Stream)
	c.Consumer = p.natsName(f.Get("consumer"), "consumer", c.Consumer)
	if at := f.Get("subject"); at != nil {
		c.Subject, _ = at.String(&p.errs)
		if c.Subject == "" || strings.ContainsAny(c.Subject, " \t\r\n") || slices.Contains(strings.Split(c.Subject, "."), "") {
			at.Errorf(&p.errs, yamldoc.CodeValue, `the subject is like "orders.*" or "orders.>"`)
		}
	}
	yamldoc.Set(&c.Credentials, f.Get("credentials"), (*yamldoc.Node).String, &p.errs)
	b := f.Get("batch").Mapping(&p.errs)
	if b == nil {
		return
	}
	p.keys(b, "batch", []string{"rows", "bytes", "age"}, nil)
	if v, ok := p.count(b.Get("rows"), 1, maxBatchRows); ok {
		c.Rows = v
	}
	if at := b.Get("bytes"); at != nil {
		yamldoc.Set(&c.Bytes, at, (*yamldoc.Node).Bytes, &p.errs)
		if c.Bytes < 1 || c.Bytes > 1<<30 {
			at.Errorf(&p.errs, yamldoc.CodeValue, "bytes is above 0 and at most 1GiB, such as 8MiB")
		}
	}
	if at := b.Get("age"); at != nil {
		yamldoc.Set(&c.Age, at, (*yamldoc.Node).Duration, &p.errs)
		if c.Age <= 0 || c.Age > maxBatchAge {
			at.Errorf(&p.errs, yamldoc.CodeValue, "age is above 0 and at most 1h, such as 5s")
		}
	}
}

// natsName reads a name of the server.
func (p *parser) natsName(n *yamldoc.Node, what, otherwise string) string {
	text, ok := n.String(&p.errs)
	if !ok {
		return otherwise
	}
	if text == "" || strings.ContainsAny(text, " \t\r\n.*>/\\") {
		n.Errorf(&p.errs, yamldoc.CodeValue, "%q cannot be the name of a %s: leave out spaces and . * > / \\", clip(text), what)
	}
	return text
}
