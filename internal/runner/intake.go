package runner

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/profilerhq/profiler/internal/failpoint"
	"github.com/profilerhq/profiler/internal/queue"
	"github.com/profilerhq/profiler/internal/stream"
)

const (
	// maxMessage is the longest message that becomes a record, in bytes.
	maxMessage = 16 << 20
	// pullWait is how long one call waits for messages.
	pullWait = time.Second
	// rejectedFile begins the names of files with messages that are no records.
	rejectedFile = "rejected-"
	// stopWait is how long a stop may take to hand over what was fetched.
	stopWait = 10 * time.Second
)

// intake gathers messages of a stream into units. A message is acknowledged when
// the unit that has it is committed, so that a crash at any place brings it again;
// the store knows which messages are in a unit.
type intake struct {
	r   *Runner
	src *stream.Source
	// run names the run that a unit is of.
	run func() string
	// held are fetched, and in no unit yet; size is their sum.
	held   []*stream.Message
	size   int64
	since  time.Time // when the first of them came
	kept   time.Time // when the server was told last that they are worked on
	forgot time.Time // when numbers of messages were dropped last
	full   string    // the step that holds the stream back
}

// intake opens the stream of the pipeline. wait goes on without a server.
func (r *Runner) intake(ctx context.Context, wait bool) (*intake, error) {
	c := r.options.Pipeline.Source.NATS
	credentials := c.Credentials
	if credentials != "" {
		credentials = r.options.Pipeline.Path(credentials)
	}
	src, err := stream.Open(ctx, stream.Config{
		URL: c.URL, Credentials: credentials, Stream: c.Stream, Subject: c.Subject, Consumer: c.Consumer, AckWait: ackWait(c.Age),
		Name: "profiler " + r.options.Pipeline.Name, Wait: wait, Logger: r.log,
	})
	if err != nil {
		return nil, r.unavailable(err)
	}
	return &intake{r: r, src: src, run: func() string { return r.options.RunID }}, nil
}

// ErrSource says that the source of a pipeline cannot be read, which more than a
// file of it is.
var ErrSource = errors.New("the source cannot be read")

func (r *Runner) unavailable(err error) error {
	if err == nil {
		return nil
	}
	return &classified{ErrSource, fmt.Errorf("source of %s: %w", r.options.Pipeline.Name, err)}
}

// ackWait is how long the server leaves messages here without a word.
func ackWait(age time.Duration) time.Duration { return 30*time.Second + 2*age }

// pull takes messages until ctx ends, or with drain until none are left: neither
// new ones nor some that somebody fetched and did not acknowledge. What was
// fetched becomes a unit before it returns, whatever the reason.
func (k *intake) pull(ctx context.Context, drain bool) error {
	err := k.take(ctx, drain)
	if ctx.Err() != nil {
		err = nil // what a call says that was interrupted is no trouble of the stream
	}
	return errors.Join(err, k.stop(ctx))
}

// take is pull without what is left to do at its end.
func (k *intake) take(ctx context.Context, drain bool) error {
	c := k.r.options.Pipeline.Source.NATS
	var waited time.Time // for messages that somebody else holds
	for {
		if ctx.Err() != nil {
			return nil
		}
		if open, err := k.open(ctx); err != nil || !open {
			if err == nil {
				err = k.rest(ctx, pullWait/4)
			}
			if err != nil {
				return err
			}
			continue
		}
		wait := pullWait
		if len(k.held) > 0 {
			wait = min(wait, max(time.Until(k.since.Add(c.Age)), time.Millisecond))
		}
		if drain {
			wait = 0
		}
		got, err := k.src.Fetch(ctx, c.Rows-len(k.held), wait)
		if err != nil {
			return err
		}
		k.add(got)
		switch {
		case k.complete(c.Rows, c.Bytes, c.Age), drain && len(got) == 0 && len(k.held) > 0:
			if err := k.commit(ctx); err != nil {
				return err
			}
			waited = time.Time{}
		case drain && len(got) == 0:
			pending, unacknowledged, _, err := k.src.Left(ctx)
			if err != nil {
				return err
			}
			if pending > 0 {
				continue
			}
			if waited.IsZero() {
				waited = time.Now()
			}
			if unacknowledged == 0 || time.Since(waited) > ackWait(c.Age)+pullWait {
				return nil
			}
			if err := k.rest(ctx, pullWait/10); err != nil {
				return err
			}
		case len(k.held) > 0:
			if err := k.hold(); err != nil {
				return err
			}
		}
	}
}

// open reports whether there is room for another unit in the queue.
func (k *intake) open(ctx context.Context) (bool, error) {
	room, full, err := k.r.room(ctx)
	if err != nil {
		return false, err
	}
	if full != k.full {
		kind := Held
		if full == "" {
			kind = Resumed
		}
		k.full = full
		k.r.tell(Event{Kind: kind, Step: full})
	}
	return room > 0, nil
}

// rest waits a little, keeping what was fetched.
func (k *intake) rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return nil
	case <-timer.C:
	}
	return k.hold()
}

// hold tells the server now and then that the messages are worked on.
func (k *intake) hold() error {
	if len(k.held) == 0 || time.Since(k.kept) < 10*time.Second {
		return nil
	}
	k.kept = time.Now()
	for _, m := range k.held {
		if err := m.Hold(); err != nil {
			return err
		}
	}
	return nil
}

func (k *intake) add(got []*stream.Message) {
	if len(k.held) == 0 && len(got) > 0 {
		k.since, k.kept = time.Now(), time.Now()
	}
	for _, m := range got {
		k.held, k.size = append(k.held, m), k.size+int64(len(m.Data))
	}
}

func (k *intake) complete(rows int, size int64, age time.Duration) bool {
	return len(k.held) >= rows || k.size >= size || len(k.held) > 0 && time.Since(k.since) >= age
}

// stop makes a last unit of what was fetched.
func (k *intake) stop(ctx context.Context) error {
	if len(k.held) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWait)
	defer cancel()
	err := k.commit(ctx)
	for _, m := range k.held { // it was not possible: others may have them at once
		err = errors.Join(err, m.Return())
	}
	return err
}

// commit makes units of the messages at hand, each of at most the bytes that one
// may have, and acknowledges them.
func (k *intake) commit(ctx context.Context) error {
	// The same message twice is one message, delivered again meanwhile.
	slices.SortStableFunc(k.held, func(a, b *stream.Message) int {
		return cmp.Compare(a.Sequence, b.Sequence)
	})
	limit := k.r.options.Pipeline.Source.NATS.Bytes
	for len(k.held) > 0 {
		n, size := 0, int64(0)
		for n < len(k.held) && (n == 0 || size+int64(len(k.held[n].Data)) <= limit) {
			size += int64(len(k.held[n].Data))
			n++
		}
		if err := k.ingest(ctx, k.held[:n]); err != nil {
			return err
		}
		failpoint.Hit("before_ack")
		for _, m := range k.held[:n] {
			if err := m.Ack(); err != nil {
				k.r.log.Warn("message not acknowledged; it comes again and is known then", "sequence", m.Sequence, "err", err)
			}
		}
		k.held, k.size = k.held[n:], k.size-size
	}
	k.held, k.size = nil, 0
	if time.Since(k.forgot) < pullWait {
		return nil
	}
	k.forgot = time.Now()
	_, _, floor, err := k.src.Left(ctx)
	if err == nil {
		err = k.r.options.Queue.Forget(ctx, k.r.options.Pipeline.Name, k.src.ID(), floor)
	}
	if err != nil && ctx.Err() == nil {
		k.r.log.Debug("numbers of messages not forgotten yet", "err", err)
	}
	return nil
}

// ingest makes one unit, without the messages that are in one already.
func (k *intake) ingest(ctx context.Context, messages []*stream.Message) error {
	skip := map[uint64]bool{}
	for {
		in, path, err := k.unit(messages, skip)
		if err != nil {
			return err
		}
		failpoint.Hit("before_ingest")
		known, err := k.r.options.Queue.Ingest(ctx, in)
		if err != nil {
			return err // the file stays: the transaction may have committed
		}
		if len(known) == 0 {
			return nil
		}
		if path != "" {
			os.Remove(path) //nolint:errcheck // it is in nobody's way
		}
		for _, n := range known {
			skip[n] = true
		}
	}
}

// unit writes the file of a unit and describes it. There is no file if no message
// is a record.
func (k *intake) unit(messages []*stream.Message, skip map[uint64]bool) (in *queue.Ingest, path string, err error) {
	p := k.r.options.Pipeline
	in = &queue.Ingest{Pipeline: p.Name, Source: k.src.ID(), Run: k.run()}
	var text bytes.Buffer
	var bad []queue.Reject
	traces := map[string]bool{}
	for i, m := range messages {
		if skip[m.Sequence] || i > 0 && messages[i-1].Sequence == m.Sequence {
			continue
		}
		in.Numbers = append(in.Numbers, m.Sequence)
		trace := traceID(m.Traceparent)
		if reason := record(&text, m.Data); reason != "" {
			r, err := k.reject(m, reason)
			if err != nil {
				return nil, "", err
			}
			r.Correlation, r.N = trace, int64(len(bad))+1
			bad = append(bad, r)
			continue
		}
		traces[trace] = true
	}
	if len(in.Numbers) == 0 {
		return in, "", nil
	}
	key := in.Source + "\x00" + queue.Spans(in.Numbers)
	in.Unit = UnitID(p.Name, key)
	root := ""
	for i := range p.Steps {
		if len(p.Steps[i].Needs) == 0 && root == "" {
			root = p.Steps[i].Name
		}
	}
	for _, r := range bad {
		// A unit of their own: the step's records are those of what it works on.
		r.Key, r.Run = queue.Key{Pipeline: p.Name, Step: root, Unit: UnitID(p.Name, "bad\x00"+key)}, in.Run
		if r.Correlation == "" {
			r.Correlation = r.Unit
		}
		in.Rejects = append(in.Rejects, r)
	}
	if text.Len() == 0 {
		return in, "", nil
	}
	// Who else has the same messages writes another file.
	path = filepath.Join(k.r.work, "source", in.Unit+"-"+rand.Text()[:8]+".jsonl")
	file, err := writeDurably(path, text.Bytes())
	if err != nil {
		return nil, "", fmt.Errorf("store messages of the stream: %w", err)
	}
	o := k.r.offer(in.Unit, p.Source.NATS.Stream+" "+bounds(in.Numbers), file.text())
	o.Run = in.Run
	if len(traces) == 1 {
		for trace := range traces {
			if trace != "" {
				o.Correlation = trace
			}
		}
	}
	for i := range p.Steps {
		if len(p.Steps[i].Needs) == 0 {
			o.Step = p.Steps[i].Name
			in.Offers = append(in.Offers, o)
		}
	}
	return in, path, nil
}

// bounds names messages for people.
func bounds(numbers []uint64) string {
	if len(numbers) == 1 {
		return fmt.Sprint(numbers[0])
	}
	return fmt.Sprintf("%d-%d", numbers[0], numbers[len(numbers)-1])
}

// writeDurably writes a file that is there whole or not at all.
func writeDurably(path string, data []byte) (sourceFile, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return sourceFile{}, err
	}
	temporary := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".tmp")
	if err := os.WriteFile(temporary, data, 0o644); err != nil {
		return sourceFile{}, errors.Join(err, os.Remove(temporary))
	}
	if err := publish(temporary, path); err != nil {
		return sourceFile{}, err
	}
	return statSource(path)
}

// record appends a message as a line, or says why it is no record.
func record(text *bytes.Buffer, data []byte) (reason string) {
	switch {
	case len(data) > maxMessage:
		return fmt.Sprintf("%d bytes are too many for a record, at most %d", len(data), maxMessage)
	case !utf8.Valid(data):
		return "it is not valid UTF-8"
	}
	trimmed := bytes.TrimSpace(data)
	if len(trimmed) == 0 || trimmed[0] != '{' {
		return "it is no JSON object"
	}
	before := text.Len()
	if err := json.Compact(text, trimmed); err != nil {
		text.Truncate(before)
		return "it is no JSON object: " + err.Error()
	}
	text.WriteByte('\n')
	return ""
}

// reject describes a message that is no record. One that a text of the store cannot
// hold goes to a file, or is written in base64.
func (k *intake) reject(m *stream.Message, reason string) (queue.Reject, error) {
	r := queue.Reject{Record: fmt.Sprintf("%s %d", m.Subject, m.Sequence), Reason: reason}
	var body any
	switch {
	case len(m.Data) > maxInline:
		sum := sha256.Sum256(m.Data)
		path := filepath.Join(k.r.work, "source", rejectedFile+hex.EncodeToString(sum[:13]))
		if _, err := writeDurably(path, m.Data); err != nil {
			return r, fmt.Errorf("store a message of the stream: %w", err)
		}
		body = map[string]string{"file": path}
	case utf8.Valid(m.Data) && !bytes.ContainsRune(m.Data, 0):
		r.Body = string(m.Data)
		return r, nil
	default:
		body = map[string]string{"base64": base64.StdEncoding.EncodeToString(m.Data)}
	}
	b, err := json.Marshal(body)
	r.Body = string(b)
	return r, err
}

// hourRun is the run of a stream in the service: that of the hour.
func hourRun(name string, at time.Time) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "stream\x00%s\x00%s", name, at.UTC().Format("2006-01-02T15")))
	return hex.EncodeToString(sum[:13])
}

// follow reads the stream of the pipeline until ctx ends, again and again.
func (r *Runner) follow(ctx context.Context) {
	name := r.options.Pipeline.Name
	for ctx.Err() == nil {
		err := func() error {
			k, err := r.intake(ctx, false)
			if err != nil {
				return err
			}
			defer k.src.Close()
			k.run = func() string { return hourRun(name, r.options.Clock.Now()) }
			return k.pull(ctx, false)
		}()
		if err == nil || ctx.Err() != nil {
			if err != nil {
				r.log.Warn("messages that were fetched come again", "err", err)
			}
			return
		}
		r.log.Error("stream not read, trying again", "err", strings.ReplaceAll(err.Error(), "\n", "; "))
		timer := time.NewTimer(pullWait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

// drain reads what the stream has while the run goes on. The function that it
// returns waits for its end, which it brings about when the run has failed.
func (r *Runner) drain(ctx context.Context, k *intake) (wait func(failed bool) error) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	r.filling.Store(true)
	go func() {
		err := k.pull(ctx, true)
		if errors.As(err, new(*stream.Error)) {
			err = r.unavailable(err)
		}
		k.src.Close()
		err = errors.Join(err, r.options.Queue.Filled(context.WithoutCancel(ctx), r.options.Pipeline.Name, ""))
		r.filling.Store(false)
		done <- err
	}()
	return func(failed bool) error {
		if failed {
			cancel()
		}
		err := <-done
		cancel()
		return err
	}
}
