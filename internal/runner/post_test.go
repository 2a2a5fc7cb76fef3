package runner_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/runner"
)

// function is a server that records what it is asked.
func function(t *testing.T, answer func(n int, w http.ResponseWriter, body string)) (url string, seen *[]*http.Request, bodies *[]string) {
	t.Helper()
	seen, bodies = &[]*http.Request{}, &[]string{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		*seen, *bodies = append(*seen, r), append(*bodies, string(b))
		answer(len(*seen), w, string(b))
	}))
	t.Cleanup(s.Close)
	return s.URL, seen, bodies
}

func TestFunctionGetsBatches(t *testing.T) {
	t.Parallel()
	upper := func(_ int, w http.ResponseWriter, body string) { fmt.Fprint(w, strings.ToUpper(body)) }
	for name, tt := range map[string]struct {
		input  string
		batch  string
		bodies []string
		output string
		kind   string
	}{
		"lines":           {"{\"a\":1}\n{\"a\":2}\n{\"a\":3}", ", batch: 2", []string{"{\"a\":1}\n{\"a\":2}\n", "{\"a\":3}"}, "{\"A\":1}\n{\"A\":2}\n{\"A\":3}\n", "application/x-ndjson"},
		"csv":             {"x,y\n1,\"a\nb\"\n2,c\n3,d\n", ", batch: 2", []string{"x,y\n1,\"a\nb\"\n2,c\n", "x,y\n3,d\n"}, "X,Y\n1,\"A\nB\"\n2,C\n3,D\n", "text/csv"},
		"whole":           {"x,y\n1,a\n", "", []string{"x,y\n1,a\n"}, "X,Y\n1,A\n", "text/csv"},
		"empty":           {"", "", []string{""}, "", "application/x-ndjson"},
		"header alone":    {"x,y\n", ", batch: 2", []string{"x,y\n"}, "X,Y\n", "text/csv"},
		"batch is filled": {"x\n1\n2\n", ", batch: 2", []string{"x\n1\n2\n"}, "X\n1\n2\n", "text/csv"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, seen, bodies := function(t, upper)
			b := newBench(t, "  up: {http: {url: '"+url+"/f', secret: key"+tt.batch+"}}\n", map[string]string{"x": tt.input})
			require.Equal(t, 0, b.run().ExitCode())
			require.Equal(t, tt.bodies, *bodies)
			require.Equal(t, tt.output, b.outputs("up")["x"])
			for i, r := range *seen {
				require.Equal(t, tt.kind, r.Header.Get("Content-Type"))
				require.Equal(t, "1", r.Header.Get("Profiler-Attempt"))
				require.Regexp(t, `^up\.[A-Z2-7]{26}\.[0-9a-f]{32}\.`+fmt.Sprint(i)+`$`, r.Header.Get("Idempotency-Key"))
				require.Regexp(t, `^00-[0-9a-f]{32}-[0-9a-f]{16}-01$`, r.Header.Get("Traceparent"))
				require.Len(t, r.Header.Get("Profiler-Unit-Id"), 26)
				at, mac, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Profiler-Signature"), "t="), ",v1=")
				want := hmac.New(sha256.New, []byte("key"))
				want.Write([]byte(at + "." + tt.bodies[i]))
				require.Equal(t, hex.EncodeToString(want.Sum(nil)), mac)
			}
		})
	}
}

func TestFunctionThatFails(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		code     int
		header   string
		attempts int
		cause    runner.Cause
		wait     time.Duration
	}{
		{400, "", 1, runner.CauseData, 0},
		{422, "", 1, runner.CauseData, 0},
		{429, "7", 2, "", 7 * time.Second},
		{503, "", 2, "", 2 * time.Second},
		{500, "", 2, "", 2 * time.Second},
		{404, "", 2, "", 2 * time.Second},
		{302, "", 2, "", 2 * time.Second},
	} {
		t.Run(fmt.Sprint(tt.code), func(t *testing.T) {
			t.Parallel()
			url, _, _ := function(t, func(n int, w http.ResponseWriter, body string) {
				if n > 1 {
					fmt.Fprint(w, body)
					return
				}
				w.Header().Set("Retry-After", tt.header)
				w.WriteHeader(tt.code)
				fmt.Fprint(w, "first\nbecause\n")
			})
			b := newBench(t, "  up: {http: {url: '"+url+"'}, retry: {jitter: 0}}\n", map[string]string{"x": "{}\n"})
			s := b.run()
			require.Equal(t, tt.attempts, s.Steps[0].Attempts)
			if tt.cause != "" {
				require.Equal(t, tt.cause, s.DeadLetters[0].Cause)
				require.Contains(t, s.DeadLetters[0].Error, fmt.Sprintf("answered %d", tt.code))
				require.Contains(t, s.DeadLetters[0].Error, ": because")
				return
			}
			require.Equal(t, []time.Duration{tt.wait}, b.waits)
			require.Equal(t, "{}\n", b.outputs("up")["x"])
		})
	}
	t.Run("nobody there", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, "  up: {http: {url: 'http://u:s3cret@127.0.0.1:1/'}, retry: {attempts: 2, on: []}}\n", map[string]string{"x": "{}\n"})
		s := b.run()
		require.Equal(t, 2, s.Steps[0].Attempts, "no connection may pass")
		require.Equal(t, "http://u:xxxxx@127.0.0.1:1/: nothing listens on 127.0.0.1:1", s.DeadLetters[0].Error)
	})
}
