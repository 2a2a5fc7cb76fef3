package acceptance

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// send posts a body to a pipeline.
func send(t *testing.T, url, body string, headers map[string]string) (answer, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	require.NoError(t, err)
	for k, v := range headers {
		req.Header.Set(k, v)
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	var form map[string]any
	require.NoError(t, json.NewDecoder(res.Body).Decode(&form))
	return answer{res.StatusCode, res.Header}, form
}

type answer struct {
	StatusCode int
	Header     http.Header
}

// What was accepted is worked on, also when the service is killed before it came
// to it.
func TestPushedUnits(t *testing.T) {
	if testing.Short() {
		t.Skip("starts the service")
	}
	dir := t.TempDir()
	files := map[string]string{
		"profiler.yaml":   "pipelines: [pipes/]\n",
		"pipes/p.yaml":    "version: 1\npipeline: letters\nsource: {http: {path: /in/letters, max_bytes: 1KiB}}\nsteps:\n  keep: {timeout: {heartbeat: 1s}, sh: 'cat >\"got/$PROFILER_UNIT_ID\"; echo \"$TRACEPARENT\" >trace; cp \"got/$PROFILER_UNIT_ID\" {output}'}\n",
		"pipes/held.yaml": "version: 1\npipeline: held\nsource: {http: /in/held}\nsteps:\n  wait: {run: [sleep, '600'], workers: {max: 1, scale_at: 1}}\n",
		"pipes/got/.x":    "",
	}
	url, stop := serve(t, dir, files)
	trace := map[string]string{"Idempotency-Key": "a", "Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
	res, form := send(t, url+"/in/letters", "n\nx\n", trace)
	require.Equal(t, 202, res.StatusCode, form)
	require.Equal(t, "0af7651916cd43dd8448eb211c80319c", form["correlation_id"])
	require.Equal(t, false, form["duplicate"])
	got := func(form map[string]any) string {
		return filepath.Join(dir, "pipes/got", form["units"].([]any)[0].(string))
	}
	arrives := func(path, want string) {
		t.Helper()
		require.Eventually(t, func() bool {
			text, err := os.ReadFile(path)
			return err == nil && string(text) == want
		}, 60*time.Second, 10*time.Millisecond)
	}
	arrives(got(form), "n\nx\n")
	require.Eventually(t, func() bool {
		text, err := os.ReadFile(filepath.Join(dir, "pipes/trace"))
		return err == nil && strings.HasPrefix(string(text), "00-0af7651916cd43dd8448eb211c80319c-")
	}, 60*time.Second, 10*time.Millisecond)
	res, again := send(t, url+"/in/letters", "n\nx\n", trace)
	require.Equal(t, 202, res.StatusCode)
	require.Equal(t, true, again["duplicate"])
	require.Equal(t, form["units"], again["units"])

	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := w.Write([]byte("n\npacked\n"))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	res, form = send(t, url+"/in/letters", packed.String(), map[string]string{"Content-Encoding": "gzip"})
	require.Equal(t, 202, res.StatusCode)
	arrives(got(form), "n\npacked\n")

	for _, tt := range []struct {
		name, path, body string
		headers          map[string]string
		code             int
		detail           string
	}{
		{"other body", "/in/letters", "n\ny\n", trace, 409, "used for another body"},
		{"too large", "/in/letters", strings.Repeat("x", 1025), nil, 413, "1024 bytes"},
		{"nobody", "/in/none", "x", nil, 404, "no pipeline takes data at /in/none"},
		{"empty", "/in/letters", "", nil, 400, "empty"},
		{"no gzip", "/in/letters", "x", map[string]string{"Content-Encoding": "gzip"}, 400, "not gzip"},
		{"cut gzip", "/in/letters", packed.String()[:packed.Len()-9], map[string]string{"Content-Encoding": "gzip"}, 400, "broke off"},
		{"zstd", "/in/letters", "x", map[string]string{"Content-Encoding": "zstd"}, 415, "gzip or none"},
		{"long key", "/in/letters", "x", map[string]string{"Idempotency-Key": strings.Repeat("k", 257)}, 400, "256"},
		{"other site", "/in/letters", "x", map[string]string{"Sec-Fetch-Site": "cross-site"}, 403, "another site"},
	} {
		res, form := send(t, url+tt.path, tt.body, tt.headers)
		require.Equal(t, tt.code, res.StatusCode, tt.name)
		require.Contains(t, form["detail"], tt.detail, tt.name)
		require.Equal(t, "application/problem+json", res.Header.Get("Content-Type"))
	}
	for n := 0; ; n++ {
		require.Less(t, n, 100)
		res, form := send(t, url+"/in/held", "x", nil)
		if res.StatusCode == http.StatusTooManyRequests {
			require.Equal(t, "5", res.Header.Get("Retry-After"))
			require.Contains(t, form["detail"], "too many units stand before a step: step wait")
			break
		}
		require.Equal(t, 202, res.StatusCode)
	}
	_ = stop() // Ctrl-C has an exit code of its own

	// A service that is killed when it has answered: nothing is lost.
	cmd, killed := serveCommand(t, dir)
	var units []map[string]any
	for range 20 {
		res, form := send(t, killed+"/in/letters", "n\nlate\n", nil)
		require.Equal(t, 202, res.StatusCode, form)
		units = append(units, form)
	}
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	_, stop = serve(t, dir, nil)
	for _, form := range units {
		arrives(got(form), "n\nlate\n")
	}
	_ = stop()
	list := exec.Command(program, "runs", "list", "-o", "json", "--store", "sqlite:s.db")
	list.Dir = dir
	text, err := list.Output()
	require.NoError(t, err)
	require.Contains(t, string(text), "push-")
}
