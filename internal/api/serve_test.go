package api_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/api"
)

func TestServeFinishesRequestsAtItsEnd(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	s := newServer(t, false, func(o *api.Options) {
		o.Metrics = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			close(entered)
			<-release
			_, _ = io.WriteString(w, "all of it")
		})
	})
	ctx, stop := context.WithCancel(t.Context())
	urls, done := make(chan string, 1), make(chan error, 1)
	go func() {
		done <- s.Serve(ctx, api.ServeOptions{Address: "127.0.0.1:0", Listening: func(u string) { urls <- u }})
	}()
	url := <-urls
	require.NotContains(t, url, ":0/")
	body := make(chan string, 1)
	go func() {
		response, err := http.Get(url + "/metrics")
		if err != nil {
			body <- err.Error()
			return
		}
		defer response.Body.Close()
		text, _ := io.ReadAll(response.Body)
		body <- string(text)
	}()
	<-entered
	err := s.Serve(t.Context(), api.ServeOptions{Address: strings.TrimPrefix(url, "http://")})
	require.ErrorContains(t, err, "the address is in use; stop the other program or choose another port")
	require.NotContains(t, err.Error(), "\n")
	stop()
	close(release)
	require.Equal(t, "all of it", <-body)
	require.NoError(t, <-done)
}

func TestServeOutsideNeedsAWord(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	users, broken := filepath.Join(dir, "users.yml"), filepath.Join(dir, "broken.yml")
	// "correct horse", bcrypt with cost 4
	require.NoError(t, os.WriteFile(users, []byte("basic_auth_users:\n  ann: $2a$04$y0ETcj8BkTXg2lGh9iordu5kMSl6WT68X38HOPQJWCPbchnx1XQ4K\n"), 0o600))
	require.NoError(t, os.WriteFile(broken, []byte("basic_auth: {}\n"), 0o600))
	for _, c := range []struct {
		o    api.ServeOptions
		want string
	}{
		{api.ServeOptions{Address: "0.0.0.0:0"}, "can be reached from other machines and has neither TLS nor credentials"},
		{api.ServeOptions{Address: ":0"}, "can be reached from other machines"},
		{api.ServeOptions{Address: "0.0.0.0:0", WebConfigFile: users}, "has no TLS"},
		{api.ServeOptions{Address: "127.0.0.1"}, "write host:port"},
		{api.ServeOptions{Address: "127.0.0.1:0", WebConfigFile: broken}, "web configuration " + broken},
		{api.ServeOptions{Address: "127.0.0.1:0", WebConfigFile: filepath.Join(dir, "none.yml")}, "no such file"},
	} {
		err := newServer(t, false, nil).Serve(t.Context(), c.o)
		require.ErrorContains(t, err, c.want)
		require.NotContains(t, err.Error(), "\n")
	}

	var log bytes.Buffer
	s := newServer(t, false, func(o *api.Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	l, err := net.Listen("tcp", "0.0.0.0:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	urls, done := make(chan string, 1), make(chan error, 1)
	go func() {
		done <- s.Serve(ctx, api.ServeOptions{Listener: l, WebConfigFile: users, AllowExternal: true, Listening: func(u string) { urls <- u }})
	}()
	url := strings.Replace(<-urls, "localhost", "127.0.0.1", 1)
	for password, status := range map[string]int{"": 401, "wrong": 401, "correct horse": 200} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/-/healthy", nil)
		require.NoError(t, err)
		if password != "" {
			r.SetBasicAuth("ann", password)
		}
		response, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, status, response.StatusCode)
	}
	stop()
	require.NoError(t, <-done)
	require.Contains(t, log.String(), `level=WARN msg="other machines can reach the service"`)
}
