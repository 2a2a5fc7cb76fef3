package cli_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/cli"
)

// logged collects what the service logs and tells when it listens, and how
// reloads by SIGHUP ended.
type logged struct {
	mu     sync.Mutex
	buf    bytes.Buffer
	url    chan string
	hungUp chan string // may be nil
}

var (
	listening = regexp.MustCompile(`msg=listening url=(\S+)`)
	hangup    = regexp.MustCompile(`msg=reload err=.*|msg=reloaded by=SIGHUP`)
)

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m := listening.FindSubmatch(b); m != nil {
		l.url <- string(m[1])
	}
	if m := hangup.Find(b); m != nil && l.hungUp != nil {
		l.hungUp <- string(m)
	}
	return l.buf.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// TestServeKeepsItsRulesIfNewOnesAreBroken loads rules again, broken and mended:
// what is broken changes nothing, and is said in the answer, the log and a metric.
func TestServeKeepsItsRulesIfNewOnesAreBroken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	const good = "dataset: shop/orders\nchecks: [{row_count: {min: 1}}]\n"
	write("profiler.yaml", "store: sqlite:h.db\nlisten: 127.0.0.1:0\nrules: [rules/]\n")
	write("rules/a.yaml", good)
	write("rules/b.yaml", "dataset: shop/items\nchecks: [{row_cuont: 1}]\n")
	serve := func(ctx context.Context, log io.Writer) int {
		return cli.Run(ctx, []string{"serve", "--config", filepath.Join(dir, "profiler.yaml")}, "1.2.3", strings.NewReader(""), io.Discard, log)
	}

	// It does not start with a broken file.
	refused := &logged{url: make(chan string, 1)}
	require.Equal(t, 2, serve(t.Context(), refused))
	require.Contains(t, refused.String(), `b.yaml:2:11: unknown check "row_cuont"; did you mean "row_count"?`)

	write("rules/b.yaml", strings.ReplaceAll(good, "orders", "items"))
	ctx, stop := context.WithCancel(t.Context())
	log, done := &logged{url: make(chan string, 1), hungUp: make(chan string, 9)}, make(chan int, 1)
	go func() { done <- serve(ctx, log) }()
	var url string
	select {
	case url = <-log.url:
	case code := <-done:
		t.Fatalf("serve ended with %d: %s", code, log)
	}
	get := func(path string) string {
		r, err := http.Get(url + path)
		require.NoError(t, err)
		defer r.Body.Close()
		b, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		return string(b)
	}
	reload := func() (int, string) {
		r, err := http.Post(url+"/-/reload", "", nil)
		require.NoError(t, err)
		defer r.Body.Close()
		b, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		return r.StatusCode, string(b)
	}
	const metric = "profiler_config_last_reload_successful "
	require.Contains(t, get("/metrics"), metric+"1\n")

	write("rules/b.yaml", "dataset: shop/items\nchecks: [{row_cuont: 1}]\n")
	code, body := reload()
	require.Equal(t, 500, code)
	require.Contains(t, body, "the old one stays in force")
	require.Contains(t, body, `b.yaml:2:11: unknown check \"row_cuont\"; did you mean \"row_count\"?`)
	require.Contains(t, get("/metrics"), metric+"0\n")
	require.Contains(t, log.String(), "row_cuont")
	hup := func() string {
		require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGHUP))
		return <-log.hungUp
	}
	said := hup()
	require.Contains(t, said, "the old one stays in force")
	require.Contains(t, said, "row_cuont")
	require.Contains(t, get("/metrics"), metric+"0\n")

	write("rules/b.yaml", good)
	require.Equal(t, "msg=reloaded by=SIGHUP", hup())
	require.Contains(t, get("/metrics"), metric+"1\n")
	code, _ = reload()
	require.Equal(t, 200, code)
	require.Contains(t, get("/metrics"), metric+"1\n")
	stop()
	require.Equal(t, 130, <-done)
}
