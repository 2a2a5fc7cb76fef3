package runner

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/neterr"
	"github.com/profilerhq/profiler/internal/pipeline"
)

// maxAnswer is how much of an error's body is kept.
const maxAnswer = 4 << 10

// errTemporary and errData classify an answer as the exit codes 75 and 65 would.
var (
	errTemporary = errors.New("temporary")
	errData      = errors.New("data")
	errInput     = errors.New("input")
)

// post sends the input to the HTTP function of the step and writes what comes
// back to the file of the output.
func (v *visit) post(ctx context.Context, temporary string) (retry, ok bool) {
	out, err := create(temporary)
	if err != nil {
		v.fatal = fmt.Errorf("work directory: %w", err)
		return false, false
	}
	defer out.Close()
	limited, cancel := context.WithTimeoutCause(ctx, v.s.Timeout, errTimeout)
	defer cancel()
	err = v.postInputs(limited, out)
	switch {
	case ctx.Err() != nil:
		return false, false
	case err == nil:
		return false, true
	case context.Cause(limited) == errTimeout: //nolint:errorlint // the very value
		v.err, v.cause = fmt.Errorf("%s did not answer within %s", v.s.HTTP.Shown(), v.s.Timeout), CauseTimeout
		return slices.Contains(v.s.Retry.On, pipeline.OnTimeout), false
	case errors.Is(err, errInput):
		v.err, v.cause = err, CauseUnreadable
		return false, false
	case errors.Is(err, errData):
		v.err, v.cause = err, CauseData
		return false, false
	}
	v.err, v.cause = err, CauseAttempts
	return errors.Is(err, errTemporary) || slices.Contains(v.s.Retry.On, pipeline.OnExit), false
}

// postInputs sends the input, or one after the other what a fan-in joins.
func (v *visit) postInputs(ctx context.Context, out *os.File) error {
	w := bufio.NewWriter(out)
	if len(v.inputs) == 0 || len(v.inputs) > 1 && v.joined == nil {
		_, err := v.postAll(ctx, strings.NewReader(""), w, 0)
		return errors.Join(err, w.Flush())
	}
	n := 0
	for _, in := range v.inputs {
		f, err := os.Open(in.Path)
		if err != nil {
			return &classified{errInput, fmt.Errorf("the input cannot be read: %w", err)}
		}
		n, err = v.postAll(ctx, f, w, n)
		f.Close()
		if err != nil {
			return err
		}
	}
	return w.Flush()
}

// postAll sends the batches of a file one after the other. n is how many were sent
// before; it returns how many there are then.
func (v *visit) postAll(ctx context.Context, in io.Reader, w *bufio.Writer, n int) (int, error) {
	batches, err := newBatches(in, v.s.Format.In, v.s.HTTP.Batch)
	if err != nil {
		return n, err
	}
	for first := n; ; n++ {
		body, err := batches.next()
		if errors.Is(err, io.EOF) && n > first {
			return n, nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return n, err
		}
		answer, err := v.postOne(ctx, n, body, batches.contentType())
		if err != nil {
			return n, err
		}
		if n > 0 && batches.csv { // each answer has a header, the output one
			_, answer, _ = bytes.Cut(answer, []byte("\n"))
		}
		if len(answer) > 0 && answer[len(answer)-1] != '\n' {
			answer = append(answer, '\n')
		}
		if _, err := w.Write(answer); err != nil {
			return n, fmt.Errorf("store the answer: %w", err)
		}
	}
}

// postOne sends one batch and returns the answer.
func (v *visit) postOne(ctx context.Context, n int, body []byte, contentType string) ([]byte, error) {
	h := v.s.HTTP
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	v.headers(req.Header, n)
	req.Header.Set("Content-Type", contentType)
	if h.Secret != "" {
		now := strconv.FormatInt(v.r.options.Clock.Now().Unix(), 10)
		mac := hmac.New(sha256.New, []byte(h.Secret))
		mac.Write([]byte(now + "."))
		mac.Write(body)
		req.Header.Set("Profiler-Signature", "t="+now+",v1="+hex.EncodeToString(mac.Sum(nil)))
	}
	res, err := v.r.client.Do(req)
	if err != nil {
		said := fmt.Errorf("%s: %w", h.Shown(), neterr.Reason(err))
		var oe *net.OpError
		if errors.As(err, &oe) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
			return nil, &classified{errTemporary, said}
		}
		return nil, said
	}
	defer res.Body.Close()
	if res.StatusCode/100 == 2 {
		answer, err := io.ReadAll(res.Body)
		if err != nil {
			return nil, &classified{errTemporary, fmt.Errorf("the answer of %s broke off: %w", h.Shown(), err)}
		}
		return answer, nil
	}
	text, _ := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	v.stderr = strings.ToValidUTF8(string(text), "\uFFFD")
	err = fmt.Errorf("%s answered %s", h.Shown(), res.Status)
	if line := lastLine(v.stderr); line != "" {
		err = fmt.Errorf("%w: %s", err, line)
	}
	switch code := res.StatusCode; {
	case code == http.StatusBadRequest, code == http.StatusUnprocessableEntity:
		return nil, &classified{errData, err}
	case code >= 500, code == http.StatusRequestTimeout, code == http.StatusTooEarly, code == http.StatusTooManyRequests:
		v.retryAfter = retryAfter(res.Header.Get("Retry-After"), v.r.options.Clock.Now())
		return nil, &classified{errTemporary, err}
	}
	return nil, err
}

// classified is an error that matches its class without showing it.
type classified struct{ class, err error }

func (c *classified) Error() string   { return c.err.Error() }
func (c *classified) Unwrap() []error { return []error{c.class, c.err} }

// retryAfter reads the header of RFC 9110, section 10.2.3: seconds or a date.
func retryAfter(text string, now time.Time) time.Duration {
	if n, err := strconv.Atoi(text); err == nil && n >= 0 {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

// headers says where the request comes from. The idempotency key is the same in
// all attempts at the same batch.
func (v *visit) headers(h http.Header, n int) {
	for _, kv := range v.identity() {
		if kv.header != "" {
			h.Set(kv.header, kv.value)
		}
	}
	h.Set("Idempotency-Key", v.idempotencyKey()+"."+strconv.Itoa(n))
}

// batches cuts an input at the ends of records.
type batches struct {
	csv    bool
	size   int // records; 0 is all
	lines  *bufio.Reader
	reader *csv.Reader
	raw    bytes.Buffer // what the CSV reader has read and nobody has taken yet
	taken  int64        // bytes taken out of raw
	header []byte
}

func newBatches(in io.Reader, format string, size int) (*batches, error) {
	b := &batches{size: size, lines: bufio.NewReaderSize(in, 64<<10)}
	b.csv = format == "csv" || format == "tsv"
	if format == "" {
		first, _ := b.lines.Peek(1)
		b.csv = len(first) > 0 && first[0] != '{' && first[0] != '['
	}
	if size == 0 || !b.csv {
		return b, nil
	}
	b.reader = csv.NewReader(io.TeeReader(b.lines, &b.raw))
	b.reader.LazyQuotes, b.reader.FieldsPerRecord, b.reader.ReuseRecord = true, -1, true
	if format == "tsv" {
		b.reader.Comma = '\t'
	}
	if _, err := b.reader.Read(); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	b.header = bytes.Clone(b.take())
	return b, nil
}

// take returns the bytes of the records read since the last call.
func (b *batches) take() []byte {
	n := b.reader.InputOffset() - b.taken
	b.taken += n
	return b.raw.Next(int(n))
}

func (b *batches) contentType() string {
	if b.csv {
		return "text/csv"
	}
	return "application/x-ndjson"
}

// next returns the records of the next batch, of CSV behind the header. The error
// is io.EOF when there are none left.
func (b *batches) next() ([]byte, error) {
	if b.size == 0 {
		all, err := io.ReadAll(b.lines)
		if err == nil && len(all) == 0 {
			err = io.EOF
		}
		return all, err
	}
	if b.csv {
		n := 0
		for ; n < b.size; n++ {
			if _, err := b.reader.Read(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return nil, err
			}
		}
		body := append(bytes.Clone(b.header), b.take()...)
		if n == 0 {
			return body, io.EOF
		}
		return body, nil
	}
	var body []byte
	for range b.size {
		line, err := b.lines.ReadBytes('\n')
		body = append(body, line...)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	if len(body) == 0 {
		return nil, io.EOF
	}
	return body, nil
}
