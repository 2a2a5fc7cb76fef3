// Package servertest starts the real servers that profiler works with for
// tests: Prometheus, Alertmanager and Pushgateway, from the packages that
// scripts/install-prometheus.sh installs. They listen on free loopback ports,
// keep temporary data, and end with the test.
package servertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Program returns the path of the first program that is installed. Without any
// the test is skipped with a word, and fails where servers are required: in CI
// (CI=true) and with PROFILER_NEED_SERVERS set.
func Program(t testing.TB, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	missing := names[0] + " is not installed: run scripts/install-prometheus.sh as root"
	if os.Getenv("CI") == "true" || os.Getenv("PROFILER_NEED_SERVERS") != "" {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}

// Server is a running server.
type Server struct {
	// URL is http://127.0.0.1:PORT.
	URL   string
	log   string
	ended chan struct{}
	stop  context.CancelFunc
}

// Prometheus starts a Prometheus with a configuration file. The files that it
// names are looked for beside it, in dir; args are further flags.
func Prometheus(t testing.TB, dir, config string, args ...string) *Server {
	t.Helper()
	file := write(t, dir, "prometheus.yml", config)
	args = append([]string{"--config.file=" + file, "--storage.tsdb.path=" + filepath.Join(t.TempDir(), "data"), "--enable-feature=native-histograms,exemplar-storage", "--web.enable-lifecycle"}, args...)
	return start(t, Program(t, "prometheus"), args...)
}

// Alertmanager starts an Alertmanager with a configuration.
func Alertmanager(t testing.TB, config string) *Server {
	t.Helper()
	dir := t.TempDir()
	file := write(t, dir, "alertmanager.yml", config)
	return start(t, Program(t, "prometheus-alertmanager", "alertmanager"), "--config.file="+file, "--storage.path="+filepath.Join(dir, "data"), "--cluster.listen-address=")
}

// Pushgateway starts a Pushgateway that forgets with the test. Debian's keeps
// what was pushed in a file of the system unless it is told another one.
func Pushgateway(t testing.TB) *Server {
	t.Helper()
	return start(t, Program(t, "prometheus-pushgateway", "pushgateway"), "--persistence.file="+filepath.Join(t.TempDir(), "pushed"))
}

func write(t testing.TB, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// start runs a program and waits until it is ready.
func start(t testing.TB, program string, args ...string) *Server {
	t.Helper()
	address := Address(t)
	logFile, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background()) // it outlives cleanups that still ask it
	s := &Server{URL: "http://" + address, log: logFile.Name(), ended: make(chan struct{}), stop: stop}
	cmd := exec.CommandContext(ctx, program, append(args, "--web.listen-address="+address)...)
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = logFile, logFile, 5*time.Second
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(s.ended)
		_ = cmd.Wait() // it ends by the interrupt; an early end is seen in the log
		logFile.Close()
	}()
	t.Cleanup(s.Stop)
	s.Await(t, filepath.Base(program)+" is ready", 60*time.Second, func() error {
		return s.get(t.Context(), "/-/ready", nil, nil)
	})
	return s
}

// Address returns a free address of the loopback interface.
func Address(t testing.TB) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // the address is what counts
	return l.Addr().String()
}

// Stop ends the server and waits for its end. Calling it again is harmless.
func (s *Server) Stop() {
	s.stop()
	<-s.ended
}

// Await polls until the condition has no error, and fails the test with its
// last one and the log of the server after a time, or when the server ends.
func (s *Server) Await(t testing.TB, what string, within time.Duration, condition func() error) {
	t.Helper()
	deadline, again := time.After(within), time.NewTicker(50*time.Millisecond)
	defer again.Stop()
	for {
		err := condition()
		if err == nil {
			return
		}
		select {
		case <-again.C:
			continue
		case <-s.ended:
		case <-deadline:
		}
		text, _ := os.ReadFile(s.log)
		t.Fatalf("within %s it did not come about that %s: %v\nlog of the server:\n%s", within, what, err, tail(text, 4000))
	}
}

func tail(b []byte, n int) []byte { return b[max(len(b)-n, 0):] }

// get asks the server. With v the answer is decoded into it.
func (s *Server) get(ctx context.Context, path string, query url.Values, v any) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+path+"?"+query.Encode(), http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if v == nil {
		if resp.StatusCode != http.StatusOK {
			return errors.New(resp.Status)
		}
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(v); err != nil {
		return fmt.Errorf("%s: %w", resp.Status, err)
	}
	return nil
}

// API asks Prometheus and decodes the data of its answer into v. Warnings are
// errors.
func (s *Server) API(ctx context.Context, path string, query url.Values, v any) error {
	var answer struct {
		Status, Error   string
		Warnings, Infos []string
		Data            json.RawMessage
	}
	if err := s.get(ctx, path, query, &answer); err != nil {
		return err
	}
	if answer.Status != "success" || len(answer.Warnings)+len(answer.Infos) > 0 {
		return fmt.Errorf("%s: %s %s", answer.Status, answer.Error, strings.Join(append(answer.Warnings, answer.Infos...), "; "))
	}
	return json.Unmarshal(answer.Data, v)
}

// Sample is one series of an answer of Prometheus. A native histogram has no
// Value.
type Sample struct {
	Metric map[string]string `json:"metric"`
	Value  [2]any            `json:"value"`
}

// Number returns the value as Prometheus writes it.
func (s *Sample) Number() string { return fmt.Sprint(s.Value[1]) }

// Query evaluates an expression now.
func (s *Server) Query(ctx context.Context, expr string) ([]Sample, error) {
	var data struct{ Result []Sample }
	err := s.API(ctx, "/api/v1/query", url.Values{"query": {expr}}, &data)
	return data.Result, err
}

// AwaitResult polls until an expression has a result, and returns it.
func (s *Server) AwaitResult(t testing.TB, expr string, within time.Duration) []Sample {
	t.Helper()
	var found []Sample
	s.Await(t, expr+" has a result", within, func() (err error) {
		if found, err = s.Query(t.Context(), expr); err == nil && len(found) == 0 {
			err = errors.New("no result")
		}
		return err
	})
	return found
}
