package faults

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/queue"
)

// service is a profiler serve.
type service struct {
	cmd *exec.Cmd
	url string
	// ended is closed when the process has ended and its log is complete.
	ended chan struct{}
	mu    sync.Mutex
	log   strings.Builder
}

// serve starts the service of the plant and returns when it listens. It is killed
// at the end of the test.
func (p *plant) serve(env string) *service {
	p.t.Helper()
	s := &service{cmd: p.command(env, "serve", "--config", "profiler.yaml", "--listen", "127.0.0.1:0"), ended: make(chan struct{})}
	log, err := s.cmd.StderrPipe()
	require.NoError(p.t, err)
	require.NoError(p.t, s.cmd.Start())
	address := make(chan string, 1)
	go func() {
		defer close(s.ended)
		found := regexp.MustCompile(`"?listening"?.*(http://127\.0\.0\.1:[0-9]+)`)
		lines := bufio.NewScanner(log)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			s.mu.Lock()
			s.log.WriteString(lines.Text() + "\n")
			s.mu.Unlock()
			if m := found.FindStringSubmatch(lines.Text()); m != nil {
				address <- m[1]
			}
		}
		_ = s.cmd.Wait()
	}()
	p.t.Cleanup(s.kill)
	select {
	case s.url = <-address:
	case <-s.ended:
		require.FailNow(p.t, "the service ended", s.text())
	}
	return s
}

func (s *service) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

func (s *service) kill() {
	_ = s.cmd.Process.Kill()
	<-s.ended
}

// await returns when the log has a text.
func (s *service) await(t *testing.T, text string) {
	t.Helper()
	require.Eventually(t, func() bool { return strings.Contains(s.text(), text) }, time.Minute, 10*time.Millisecond, text)
}

// post sends a body and returns the status and the text of the answer, 0 if there
// is none.
func (s *service) post(path, key, body string) (int, string) {
	req, err := http.NewRequest(http.MethodPost, s.url+path, strings.NewReader(body))
	if err != nil {
		return 0, err.Error()
	}
	req.Header.Set("Idempotency-Key", key)
	client := http.Client{Timeout: time.Minute}
	res, err := client.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(text)
}

// inState counts the units of a step in a state.
func (p *plant) inState(q *queue.Queue, step string, s queue.State) int {
	p.t.Helper()
	rows, err := q.Units(p.t.Context(), queue.Filter{Step: step, States: []queue.State{s}})
	require.NoError(p.t, err)
	return len(rows)
}

// gate makes a pipe that steps read a line of before they work, and returns what
// lets all of them go on.
func (p *plant) gate() (open func()) {
	p.t.Helper()
	path := filepath.Join(p.dir, "gate")
	require.NoError(p.t, syscall.Mkfifo(path, 0o600))
	return func() {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		require.NoError(p.t, err)
		p.t.Cleanup(func() { f.Close() })
		_, err = f.WriteString(strings.Repeat("go\n", 20000)) // a pipe holds 64 KiB
		require.NoError(p.t, err)
	}
}

func (p *plant) config(text string) {
	p.t.Helper()
	require.NoError(p.t, os.WriteFile(filepath.Join(p.dir, "profiler.yaml"), []byte(text), 0o600))
}

// The disk of what is sent to a pipeline, and of its outputs, is full; then there
// is space again. The service lives through it.
func TestSpoolFull(t *testing.T) {
	if testing.Short() {
		t.Skip("mounts file systems")
	}
	t.Parallel()
	p := newPlant(t, "sqlite:s.db", 0)
	p.write("version: 1\npipeline: p\nsource: {http: /in/x}\nsteps: {a: {sh: 'read x <gate; cat', timeout: {heartbeat: 1s}}}\n")
	open := p.gate()
	p.config("pipelines: [p.yaml]\n")
	disk := filepath.Join(p.dir, ".profiler")
	mount(t, disk, "512k")
	s := p.serve("A=b")
	body := func(key string) string { return "n\n" + strings.Repeat(key+"\n", 4000) }
	accepted, refused := map[string]bool{}, map[string]bool{}
	for n := 0; len(refused) < 5; n++ {
		require.Less(t, n, 200, "the disk was to be full")
		key := "key" + string(rune('a'+n/26)) + string(rune('a'+n%26))
		switch code, text := s.post("/in/x", key, body(key)); code {
		case http.StatusAccepted:
			accepted[key] = true
		case http.StatusServiceUnavailable:
			require.Contains(t, text, "no space left on device")
			refused[key] = true
		default:
			require.FailNow(t, "another answer", "%d %s", code, text)
		}
	}
	require.NotEmpty(t, accepted)
	filler, err := os.Create(filepath.Join(disk, "filler"))
	require.NoError(t, err)
	defer filler.Close()
	for err == nil {
		_, err = filler.Write(make([]byte, 4096))
	}
	require.ErrorIs(t, err, syscall.ENOSPC)
	open()
	s.await(t, "pipeline not worked on, trying again")
	require.Contains(t, s.text(), "no space left on device")
	q, _ := p.queue()
	t.Logf("%d bodies accepted, %d refused, %d of the units done while the disk was full", len(accepted), len(refused), p.inState(q, "a", queue.Done))
	require.NoError(t, exec.Command("mount", "-o", "remount,size=64m", disk).Run())
	for key := range refused {
		code, text := s.post("/in/x", key, body(key))
		require.Equal(t, http.StatusAccepted, code, text)
		accepted[key] = true
	}
	require.Eventually(t, func() bool { return p.inState(q, "a", queue.Done) == len(accepted) }, time.Minute, 50*time.Millisecond, "the service goes on by itself")
	rows, err := q.Units(t.Context(), queue.Filter{})
	require.NoError(t, err)
	require.Len(t, rows, len(accepted))
	seen := map[string]bool{}
	for i := range rows {
		seen[p.result(&rows[i])] = true
	}
	for key := range accepted {
		require.True(t, seen[body(key)], "%s was acknowledged and is lost", key)
	}
	require.NotContains(t, s.text(), "panic")
}

// result reads the output of a unit.
func (p *plant) result(r *queue.Row) string {
	p.t.Helper()
	var b struct{ Output string }
	require.NoError(p.t, json.Unmarshal([]byte(r.Body), &b))
	text, err := os.ReadFile(filepath.Join(p.dir, ".profiler/runs/p", b.Output))
	require.NoError(p.t, err)
	return string(text)
}
