package alert

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/neterr"
)

// TryTimeout bounds one request to a receiver.
const TryTimeout = 10 * time.Second

// MaxAnswer bounds what is read of an answer, in bytes.
const MaxAnswer = 1 << 20

// Retryable reports whether the same message may get through later.
func (r Reason) Retryable() bool { return r != ClientError }

// Fail makes the error of a delivery.
func Fail(reason Reason, format string, args ...any) *Error {
	return &Error{Reason: reason, Err: fmt.Errorf(format, args...)}
}

// NewHTTPClient returns a client for receivers: a copy of the given one, which
// may be nil, that follows no redirects and has a timeout.
func NewHTTPClient(base *http.Client) *http.Client {
	client := http.Client{}
	if base != nil {
		client = *base
	}
	if client.Timeout == 0 {
		client.Timeout = TryTimeout
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client
}

// IsHTTP reports whether a text is an absolute http or https address.
func IsHTTP(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
}

// StatusError says what an answer means for the delivery, nil for 2xx. who is
// the receiver's name in messages. 429, 408 and 5xx may get through later.
func StatusError(who string, resp *http.Response) *Error {
	code := resp.StatusCode
	switch {
	case code >= 200 && code < 300:
		return nil
	case code == http.StatusTooManyRequests:
		e := Fail(RateLimited, "%s limits the rate of messages", who)
		e.RetryAfter = RetryAfter(resp.Header.Get("Retry-After"), time.Now())
		return e
	case code >= 500 || code == http.StatusRequestTimeout:
		e := Fail(ServerError, "%s answered %d", who, code)
		e.RetryAfter = RetryAfter(resp.Header.Get("Retry-After"), time.Now())
		return e
	case code >= 300 && code < 400:
		return Fail(ClientError, "%s answered with a redirect (%d), which is not followed: check the URL in the configuration of the channel", who, code)
	}
	return Fail(ClientError, "%s answered %d: check the URL in the configuration of the channel", who, code)
}

// RetryAfter reads a number of seconds or a date (RFC 9110, 10.2.3), at most a
// day; 0 for neither.
func RetryAfter(header string, now time.Time) time.Duration {
	if n, err := strconv.Atoi(strings.TrimSpace(header)); err == nil {
		return time.Duration(min(max(n, 0), 24*60*60)) * time.Second
	}
	if t, err := http.ParseTime(header); err == nil {
		return min(max(t.Sub(now), 0), 24*time.Hour)
	}
	return 0
}

// TransportError says why there was no answer, without the address, which may
// hold a secret.
func TransportError(who string, err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	var n net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || errors.As(err, &n) && n.Timeout() {
		return Fail(Timeout, "%s did not answer in time", who)
	}
	return Fail(Connection, "connect to %s: %w", who, neterr.Reason(err))
}

// Request is a POST of a JSON body to a receiver.
type Request struct {
	// Who is the receiver's name in messages, "Alertmanager".
	Who    string
	URL    string
	Header http.Header // beside Content-Type and User-Agent; may be nil
	Body   []byte
	// Explain is called with the text of a 4xx answer that is final and returns
	// what it says, "" for nothing; nil keeps the text out of the error.
	Explain func(body []byte) string
}

// Post sends the request by a client of NewHTTPClient; nil is success, a 2xx.
func Post(ctx context.Context, client *http.Client, r Request) *Error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.URL, bytes.NewReader(r.Body))
	if err != nil {
		return Fail(ClientError, "the address of %s is broken: check the URL in the configuration of the channel", r.Who)
	}
	for k, v := range r.Header {
		req.Header[k] = v
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "profiler")
	resp, err := client.Do(req)
	if err != nil {
		return TransportError(r.Who, err)
	}
	defer resp.Body.Close()
	body, readErr := io.ReadAll(io.LimitReader(resp.Body, MaxAnswer))
	e := StatusError(r.Who, resp)
	switch {
	case e == nil && readErr != nil:
		return TransportError(r.Who, readErr)
	case e == nil || e.Reason != ClientError || r.Explain == nil:
		return e
	}
	if why := r.Explain(body); why != "" {
		e.Err = fmt.Errorf("%s answered %d: %s", r.Who, resp.StatusCode, Shorten(Clean(why), 300))
	}
	return e
}

// Shorten returns at most n characters of a text, ended by an ellipsis if
// something is missing.
func Shorten(s string, n int) string {
	runes := []rune(s)
	if len(runes) <= n {
		return s
	}
	return string(runes[:n-1]) + "…"
}
