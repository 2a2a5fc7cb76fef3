// Package acceptance runs the built program as a service and looks at it from
// outside.
package acceptance

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var program string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "profiler-acceptance")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		program = filepath.Join(dir, "profiler")
		build := exec.Command("go", "build", "-o", program, "../../cmd/profiler")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "%s%v\n", out, err)
			return 1
		}
		return m.Run()
	}())
}

// serve starts the service in a folder with these files and returns its address.
func serve(t *testing.T, dir string, files map[string]string) (url string, stop func() error) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	cmd, url, ended := start(t, dir)
	return url, func() error {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		text := <-ended
		err := cmd.Wait()
		t.Log(text)
		return err
	}
}

// serveCommand starts the service as serve does; the caller ends it.
func serveCommand(t *testing.T, dir string) (cmd *exec.Cmd, url string) {
	t.Helper()
	cmd, url, _ = start(t, dir)
	return cmd, url
}

// start starts the service in a folder. Its log comes at its end.
func start(t *testing.T, dir string) (cmd *exec.Cmd, url string, ended chan string) {
	t.Helper()
	cmd = exec.Command(program, "serve", "--listen", "127.0.0.1:0", "--store", "sqlite:s.db")
	cmd.Dir = dir
	log, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	address := make(chan string, 1)
	ended = make(chan string, 1)
	go func() {
		var all strings.Builder
		lines := bufio.NewScanner(log)
		found := regexp.MustCompile(`127\.0\.0\.1:[0-9]+`)
		for lines.Scan() {
			all.WriteString(lines.Text() + "\n")
			if a := found.FindString(lines.Text()); a != "" && a != "127.0.0.1:0" {
				select {
				case address <- a:
				default:
				}
			}
		}
		ended <- all.String()
	}()
	select {
	case a := <-address:
		return cmd, "http://" + a, ended
	case text := <-ended:
		t.Fatalf("the service ended: %s", text)
	case <-time.After(60 * time.Second):
		_ = cmd.Process.Kill()
		t.Fatal("the service does not say where it listens")
	}
	return nil, "", nil
}

func post(t *testing.T, url, body string) (int, map[string]any) {
	t.Helper()
	res, err := http.Post(url, "application/json", strings.NewReader(body))
	require.NoError(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	var form map[string]any
	if len(text) > 0 {
		require.NoError(t, json.Unmarshal(text, &form), string(text))
	}
	return res.StatusCode, form
}

// workers.max bounds what workers outside hold at once: 204 while all places are
// taken, and the next unit as soon as one is free.
func TestLeasesAreBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("starts the service")
	}
	url, stop := serve(t, t.TempDir(), map[string]string{
		"profiler.yaml":  "pipelines: [pipes/]\n",
		"pipes/p.yaml":   "version: 1\npipeline: p\nsource: {watch: 'in/*.csv'}\nsteps:\n  a: {worker: true, workers: {max: 1}}\n",
		"pipes/in/1.csv": "n\n1\n",
		"pipes/in/2.csv": "n\n2\n",
	})
	defer stop()
	lease := func(wait int) (int, string, string) {
		code, form := post(t, url+"/api/v1/work/lease", fmt.Sprintf(`{"pipeline":"p","step":"a","worker":"w","max":5,"wait_seconds":%d}`, wait))
		if code != 200 {
			return code, "", ""
		}
		all := form["leases"].([]any)
		require.Len(t, all, 1)
		one := all[0].(map[string]any)
		return code, one["lease"].(string), one["unit_id"].(string)
	}
	code, first, unit := lease(20)
	require.Equal(t, 200, code)
	code, _, _ = lease(0)
	require.Equal(t, 204, code)
	code, form := post(t, url+"/api/v1/work/complete", `{"lease":"`+first+`","output":{"inline":"bgoxCg=="}}`)
	require.Equal(t, 200, code, form)
	code, _, second := lease(20)
	require.Equal(t, 200, code)
	require.NotEqual(t, unit, second)
}

// A file comes into a watched folder, a worker in Python takes the unit, the
// service commits it, a command goes on with it.
func TestServiceWithWorkersOutside(t *testing.T) {
	if testing.Short() {
		t.Skip("starts the service")
	}
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3 for the worker of the documentation")
	}
	dir := t.TempDir()
	url, stop := serve(t, dir, map[string]string{
		"profiler.yaml":  "pipelines: [pipes/]\n",
		"pipes/p.yaml":   "version: 1\npipeline: letters\nsource: {watch: 'in/*.csv'}\nsteps:\n  upper: {worker: true}\n  keep: {needs: upper, sh: 'cat >kept; cp kept {output}'}\n",
		"pipes/in/a.csv": "n\nx\n",
	})
	example, err := filepath.Abs("../../docs/examples/worker.py")
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, python, example, url, "letters", "upper", "--once").CombinedOutput()
	require.NoError(t, err, string(out))
	require.Regexp(t, `^[A-Z2-7]{26} done\n$`, string(out))
	require.Eventually(t, func() bool {
		text, err := os.ReadFile(filepath.Join(dir, "pipes/kept"))
		return err == nil && string(text) == "N\nX\n"
	}, 30*time.Second, 20*time.Millisecond)

	for _, tt := range []struct {
		call, body string
		code       int
		detail     string
	}{
		{"lease", `{"pipeline":"letters","step":"upper","worker":"w"}`, 204, ""},
		{"lease", `{"pipeline":"letters","step":"none","worker":"w"}`, 404, "no step"},
		{"lease", `{"pipeline":"letters"}`, 400, "are needed"},
		{"lease", `{"pipelin":"letters"}`, 400, "unknown field"},
		{"lease", ``, 400, "empty"},
		{"heartbeat", `{"lease":"x"}`, 400, "no lease"},
		{"lease", `{"max":"five"}`, 400, `the message is not as it should be: "max" cannot be a string`},
		{"lease", `[]`, 400, "send a JSON object, not array"},
		{"lease", `{"max":1`, 400, "it ends too early"},
		{"lease", `{"maks":1}`, 400, `unknown field "maks"`},
		{"complete", `{"lease":"x","output":{"inline":"` + strings.Repeat("A", 9<<20) + `"}}`, 413, "8 MiB"},
	} {
		code, form := post(t, url+"/api/v1/work/"+tt.call, tt.body)
		require.Equal(t, tt.code, code, tt.call)
		if tt.detail != "" {
			require.Contains(t, form["detail"], tt.detail)
			require.EqualValues(t, tt.code, form["status"])
		}
	}
	res, err := http.Get(url + "/metrics")
	require.NoError(t, err)
	defer res.Body.Close()
	_ = stop() // Ctrl-C has an exit code of its own
	list := exec.Command(program, "runs", "list", "-o", "json", "--store", "sqlite:s.db")
	list.Dir = dir
	text, err := list.Output()
	require.NoError(t, err)
	require.True(t, bytes.Contains(text, []byte(`"pipeline": "letters"`)), string(text))
}
