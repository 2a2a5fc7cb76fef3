package cli_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/profilerhq/profiler/internal/alert/slack/slacktest"
	"github.com/profilerhq/profiler/internal/cli"
	"github.com/profilerhq/profiler/internal/datagen"
	"github.com/profilerhq/profiler/internal/golden"
	"github.com/profilerhq/profiler/internal/natstest"
)

// scripts and data are the folders of the scripts and of files that scripts
// copy.
const (
	scripts = "../../test/scripts"
	data    = "../../test"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"profiler": func() {
			os.Exit(cli.Run(context.Background(), os.Args[1:], "1.2.3", os.Stdin, os.Stdout, os.Stderr))
		},
	})
}

// TestScripts runs the command line as users do. test/scripts/README.md
// describes the commands that scripts have beside those of testscript.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 scripts,
		UpdateScripts:       golden.Updating(),
		RequireUniqueNames:  true,
		RequireExplicitExec: true,
		ContinueOnError:     true,
		Setup:               setup,
		Condition:           condition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":   cmdExits,
			"refuses": cmdRefuses,
			"peak":    cmdPeak,
			"json":    cmdJSON,
			"data":    cmdData,
			"gzip":    cmdGzip,
			"cut":     cmdCut,
			"repeat":  cmdRepeat,
			"bytes":   cmdBytes,
			"mount":   cmdMount,
			"fill":    cmdFill,
			"same":    cmdSame,
			"slack":   cmdSlack,
			"nats":    cmdNATS,
			"shop":    cmdShop,
		},
	})
}

// setup takes away what would make scripts depend on the machine.
func setup(e *testscript.Env) error {
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		if strings.HasPrefix(name, "PROFILER_") || name == "NO_COLOR" {
			e.Setenv(name, "")
		}
	}
	e.Setenv("TERM", "xterm-256color")
	e.Setenv("TZ", "UTC")
	e.Values[slackKey{}] = new(*slacktest.Server)
	e.Values[natsKey{}] = new(*natstest.Server)
	return nil
}

// condition knows root, and mount: whether a file system can be mounted.
func condition(name string) (bool, error) {
	switch name {
	case "root":
		return os.Getuid() == 0, nil
	case "mount":
		return canMount(), nil
	}
	return false, fmt.Errorf("unknown condition %q", name)
}

func canMount() bool {
	if os.Getuid() != 0 || runtime.GOOS != "linux" {
		return false
	}
	dir, err := os.MkdirTemp("", "profiler-mount")
	if err != nil {
		return false
	}
	defer os.Remove(dir)
	if exec.Command("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", dir).Run() != nil {
		return false
	}
	return exec.Command("umount", dir).Run() == nil
}

// run executes a program and returns its exit code.
func run(ts *testscript.TestScript, args []string) int {
	if len(args) == 0 {
		ts.Fatalf("no program to execute")
	}
	err := ts.Exec(args[0], args[1:]...)
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	ts.Fatalf("execute %s: %v", args[0], err)
	return -1
}

// insides are words that users never see.
var insides = regexp.MustCompile(`goroutine|panic|strconv|unmarshal|\bsql: |\bBUG\b|\*[a-z]+\.[A-Z]|%!|0x[0-9a-f]{6,}|<nil>|main\.|internal/`)

// cmdExits is: exits CODE PROGRAM ARG….
func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARG…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if code := run(ts, args[1:]); code != want {
		ts.Fatalf("exit code %d, want %d", code, want)
	}
	if m := insides.FindString(ts.ReadFile("stderr")); m != "" {
		ts.Fatalf("stderr shows the inside of the program: %q", m)
	}
}

// cmdRefuses is: refuses CODE REGEXP profiler ARG….
func cmdRefuses(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: refuses CODE REGEXP PROGRAM ARG…")
	}
	cmdExits(ts, false, append([]string{args[0]}, args[2:]...))
	if out := ts.ReadFile("stdout"); out != "" {
		ts.Fatalf("stdout is not empty")
	}
	text := ts.ReadFile("stderr")
	if n := strings.Count(text, "\n"); n < 1 || n > 3 {
		ts.Fatalf("%d lines on stderr, want 1 to 3", n)
	}
	if !regexp.MustCompile(args[1]).MatchString(text) {
		ts.Fatalf("stderr does not match %q", args[1])
	}
}

// cmdPeak is: peak MIB PROGRAM ARG…; the program is to end well without ever
// having had more memory. Its output goes to the file peak.out.
func cmdPeak(ts *testscript.TestScript, neg bool, args []string) {
	limit, err := strconv.Atoi(args[0])
	ts.Check(err)
	path, err := exec.LookPath(args[1])
	ts.Check(err)
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		limit *= 2 // the race detector's shadow memory
	}
	before := peakOf(exec.Command("true"), ts)
	c := exec.Command(path, args[2:]...)
	var out bytes.Buffer
	c.Dir, c.Stdout = ts.MkAbs("."), &out
	got := peakOf(c, ts)
	write(ts, "peak.out", out.Bytes())
	if before > limit/2 {
		ts.Logf("the peak of memory is not known: that of the test, which is %d MiB, hides it", before)
	} else if got > limit {
		ts.Fatalf("the peak of memory is %d MiB, want at most %d", got, limit)
	}
}

// peakOf runs a program and returns the largest size of its memory in MiB,
// where the system tells it; the size of the test itself is counted in.
func peakOf(c *exec.Cmd, ts *testscript.TestScript) int {
	ts.Check(c.Run())
	usage := reflect.ValueOf(c.ProcessState.SysUsage())
	if usage.Kind() != reflect.Pointer || runtime.GOOS != "linux" {
		return 0
	}
	return int(usage.Elem().FieldByName("Maxrss").Int() / 1024)
}

// step is one part of a JSON path: a key, an index, the element of an array
// with a key of a value, or @ for the length.
var step = regexp.MustCompile(`^(?:\.?([^.\[\]]+)|\[(\d+)\]|\[(\w+)=([^\]]*)\])`)

// lookup follows a path like results[0].id in a decoded document.
func lookup(v any, path string) (any, error) {
	for path != "" {
		m := step.FindStringSubmatch(path)
		if m == nil {
			return nil, fmt.Errorf("bad path at %q", path)
		}
		path = path[len(m[0]):]
		switch at := v.(type) {
		case map[string]any:
			next, ok := at[m[1]]
			if m[1] == "@" {
				next, ok = json.Number(strconv.Itoa(len(at))), true
			}
			if !ok {
				return nil, fmt.Errorf("no key %q", m[1])
			}
			v = next
		case []any:
			if m[1] == "@" {
				v = json.Number(strconv.Itoa(len(at)))
				continue
			}
			i, err := strconv.Atoi(m[2])
			if m[3] != "" {
				i, err = slices.IndexFunc(at, func(e any) bool {
					value, err := lookup(e, m[3])
					return err == nil && plain(value) == m[4]
				}), nil
			}
			if err != nil || i < 0 || i >= len(at) {
				return nil, fmt.Errorf("no element %q among %d", m[0], len(at))
			}
			v = at[i]
		default:
			return nil, fmt.Errorf("%q of a scalar", m[0])
		}
	}
	return v, nil
}

// decode reads a document, or the lines of a document of lines as an array.
func decode(text string) (any, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var all []any
	for {
		var v any
		err := d.Decode(&v)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	if len(all) == 1 {
		return all[0], nil
	}
	return all, nil
}

// plain is a value as scripts write it: texts without quotes.
func plain(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// cmdJSON is: json FILE PATH [VALUE|~REGEXP]. Several objects in a row are an
// array.
func cmdJSON(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: [!] json FILE PATH [VALUE|~REGEXP]")
	}
	doc, err := decode(ts.ReadFile(args[0]))
	if err != nil {
		ts.Fatalf("%s is no JSON: %v", args[0], err)
	}
	v, err := lookup(doc, strings.TrimPrefix(args[1], "."))
	ok, why := err == nil, fmt.Sprint(err)
	if ok && len(args) == 3 {
		got, want := plain(v), args[2]
		why = fmt.Sprintf("%s, want %s", got, want)
		if re, isRE := strings.CutPrefix(want, "~"); isRE {
			ok = regexp.MustCompile(re).MatchString(got)
		} else {
			ok = got == want
		}
	}
	if ok == neg {
		ts.Fatalf("%s: %s", args[1], why)
	}
}

// rounded replaces the numbers of a document by what is left of them after the
// rounding of sums in another order.
func rounded(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = rounded(v[k])
		}
	case []any:
		for i := range v {
			v[i] = rounded(v[i])
		}
	case json.Number:
		if f, err := v.Float64(); err == nil && strings.ContainsAny(v.String(), ".e") {
			if math.Abs(f) < 1e-12 {
				f = 0
			}
			return strconv.FormatFloat(f, 'g', 12, 64)
		}
	}
	return v
}

// cmdSame is: same PROFILE PROFILE. Everything but source, bytes and
// profiled_at is to be equal.
func cmdSame(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: [!] same FILE FILE")
	}
	var texts [2]string
	for i, f := range args {
		doc, err := decode(ts.ReadFile(f))
		ts.Check(err)
		m, ok := doc.(map[string]any)
		if !ok {
			ts.Fatalf("%s is no object", f)
		}
		delete(m, "source")
		delete(m, "bytes")
		delete(m, "profiled_at")
		b, err := json.MarshalIndent(rounded(m), "", " ")
		ts.Check(err)
		texts[i] = string(b)
	}
	if texts[0] == texts[1] != neg {
		return
	}
	a, b := strings.Split(texts[0], "\n"), strings.Split(texts[1], "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			ts.Fatalf("line %d differs:\n%s\n%s", i+1, strings.Join(a[max(0, i-8):i+1], "\n"), b[i])
		}
	}
	ts.Fatalf("the profiles are equal, or one has more lines")
}

// cmdData is: data FILE…; it copies files of test/ to the working directory.
func cmdData(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args {
		b, err := os.ReadFile(filepath.Join(data, name))
		ts.Check(err)
		write(ts, filepath.Base(name), b)
	}
}

func write(ts *testscript.TestScript, name string, b []byte) {
	ts.Check(os.WriteFile(ts.MkAbs(name), b, 0o644))
}

// cmdShop is: shop FOLDER FIRST DAYS [FAULT]; it writes orders of days, counted
// from 2026-01-01, as FOLDER/YYYY-MM-DD.csv.
func cmdShop(ts *testscript.TestScript, neg bool, args []string) {
	first, err := strconv.Atoi(args[1])
	ts.Check(err)
	days, err := strconv.Atoi(args[2])
	ts.Check(err)
	fault := datagen.NoFault
	if len(args) > 3 {
		fault = datagen.Fault(args[3])
	}
	ts.Check(os.MkdirAll(ts.MkAbs(args[0]), 0o755))
	for i := range days {
		day := time.Date(2026, 1, 1+first+i, 0, 0, 0, 0, time.UTC)
		var b bytes.Buffer
		_, err := datagen.Shop{Seed: 5}.WriteOrders(&b, day, fault)
		ts.Check(err)
		write(ts, filepath.Join(args[0], day.Format(time.DateOnly)+".csv"), b.Bytes())
	}
}

// cmdGzip is: gzip FILE PACKED.
func cmdGzip(ts *testscript.TestScript, neg bool, args []string) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write([]byte(ts.ReadFile(args[0])))
	ts.Check(errors.Join(err, w.Close()))
	write(ts, args[1], b.Bytes())
}

// cmdCut is: cut N FILE SHORTER; a negative N takes bytes from the end.
func cmdCut(ts *testscript.TestScript, neg bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	b, err := os.ReadFile(ts.MkAbs(args[1]))
	ts.Check(err)
	if n < 0 {
		n += len(b)
	}
	write(ts, args[2], b[:n])
}

// text reads the escapes of Go in an argument.
func text(ts *testscript.TestScript, s string) []byte {
	t, err := strconv.Unquote(`"` + strings.ReplaceAll(s, `"`, `\"`) + `"`)
	if err != nil {
		ts.Fatalf("bad text %q: %v", s, err)
	}
	return []byte(t)
}

// cmdRepeat is: repeat N TEXT FILE; it appends the text N times.
func cmdRepeat(ts *testscript.TestScript, neg bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	f, err := os.OpenFile(ts.MkAbs(args[2]), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	ts.Check(err)
	unit := text(ts, args[1])
	block := bytes.Repeat(unit, max(1, min(n, (1<<20)/max(1, len(unit)))))
	for left := n * len(unit); left > 0; {
		k, err := f.Write(block[:min(left, len(block))])
		ts.Check(err)
		left -= k
	}
	ts.Check(f.Close())
}

// cmdBytes is: bytes TEXT FILE; it appends a text with the escapes of Go.
func cmdBytes(ts *testscript.TestScript, neg bool, args []string) {
	cmdRepeat(ts, neg, append([]string{"1"}, args...))
}

// cmdMount is: mount FOLDER OPTIONS; it mounts a file system in memory until
// the end of the script, or mounts it again with other options.
func cmdMount(ts *testscript.TestScript, neg bool, args []string) {
	dir := ts.MkAbs(args[0])
	if strings.HasPrefix(args[1], "remount") {
		ts.Check(exec.Command("mount", "-o", args[1], dir).Run())
		return
	}
	ts.Check(os.MkdirAll(dir, 0o755))
	ts.Check(exec.Command("mount", "-t", "tmpfs", "-o", args[1], "tmpfs", dir).Run())
	ts.Defer(func() { ts.Check(exec.Command("umount", "-l", dir).Run()) })
}

// cmdFill is: fill FILE; it writes until there is no space left.
func cmdFill(ts *testscript.TestScript, neg bool, args []string) {
	f, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	defer f.Close()
	for block := make([]byte, 4096); len(block) > 0; {
		if _, err := f.Write(block); err != nil {
			block = block[:len(block)/2]
		}
	}
}

// slackKey is where a script keeps its Slack.
type slackKey struct{}

// cmdSlack is: slack start | slack count N | slack message I (edits|replies)
// N | slack message I text REGEXP.
func cmdSlack(ts *testscript.TestScript, neg bool, args []string) {
	if args[0] == "start" {
		s := slacktest.Start()
		ts.Defer(s.Close)
		*ts.Value(slackKey{}).(**slacktest.Server) = s
		ts.Setenv("SLACK_URL", s.URL)
		ts.Setenv("SLACK_HOOK", s.HookURL)
		ts.Setenv("SLACK_BOT_TOKEN", slacktest.Token)
		return
	}
	s := *ts.Value(slackKey{}).(**slacktest.Server)
	if s == nil {
		ts.Fatalf("slack start comes first")
	}
	all := s.Messages()
	if args[0] == "count" {
		expect(ts, "messages", len(all), args[1])
		return
	}
	i, err := strconv.Atoi(args[1])
	ts.Check(err)
	if i >= len(all) {
		ts.Fatalf("there are %d messages", len(all))
	}
	switch m := all[i]; args[2] {
	case "edits":
		expect(ts, "edits", m.Edits, args[3])
	case "replies":
		expect(ts, "replies", len(m.Replies), args[3])
	case "text":
		shown := m.Text + "\n" + string(m.Blocks)
		if regexp.MustCompile(args[3]).MatchString(shown) == neg {
			ts.Fatalf("the message is %s", shown)
		}
	default:
		ts.Fatalf("unknown word %q", args[2])
	}
}

func expect(ts *testscript.TestScript, what string, got int, want string) {
	if strconv.Itoa(got) != want {
		ts.Fatalf("%d %s, want %s", got, what, want)
	}
}
