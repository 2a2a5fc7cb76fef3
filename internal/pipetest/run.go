package pipetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/profilerhq/profiler/internal/app"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/pipeline"
	"github.com/profilerhq/profiler/internal/queue"
	"github.com/profilerhq/profiler/internal/rules"
	"github.com/profilerhq/profiler/internal/ruletest"
	"github.com/profilerhq/profiler/internal/runner"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

// Run runs a test. library holds rules for steps that name none; nil is none.
func Run(ctx context.Context, f *File, t *Test, library *rules.Library) *ruletest.Outcome {
	o := &ruletest.Outcome{File: f.Path, Test: &ruletest.Test{Name: t.Name, Pos: t.Pos}}
	o.Err = run(ctx, t, library, o)
	return o
}

func run(ctx context.Context, t *Test, library *rules.Library, o *ruletest.Outcome) (err error) {
	dir, err := os.MkdirTemp("", "profiler-test-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	if err := t.stage(dir); err != nil {
		return err
	}
	env := func(key string) (string, bool) {
		if v, ok := t.Env[key]; ok {
			return v, true
		}
		return os.LookupEnv(key)
	}
	data, err := os.ReadFile(t.Pipeline)
	if err != nil {
		return err
	}
	p, err := pipeline.Parse(filepath.Join(dir, filepath.Base(t.Pipeline)), data, env)
	if err != nil {
		return err
	}
	if p.Source.Streams() { // a file for each unit stands for the stream
		p.Source = &pipeline.Source{Files: []string{"messages/*.jsonl"}, Unit: "file", Key: pipeline.DefaultKey}
	}
	a, err := app.New(ctx, app.Options{Store: "sqlite:" + filepath.Join(dir, "test-store.db")})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	variables := os.Environ()
	for k, v := range t.Env {
		variables = append(variables, k+"="+v)
	}
	sum, err := a.RunPipeline(ctx, p, app.RunOptions{Library: library, Env: env, Variables: variables, Clock: &clock{}})
	if err != nil {
		return err
	}
	l, err := a.Ledger(ctx)
	if err != nil {
		return err
	}
	return (&comparison{outcome: o, sum: &sum, ledger: l, dir: dir}).all(ctx, t.expect)
}

// clock is the system's, but for waiting, which takes no time.
type clock struct{ ahead atomic.Int64 }

func (c *clock) Now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

func (c *clock) Wait(_ context.Context, _ <-chan struct{}, d time.Duration) { c.ahead.Add(int64(d)) }

// comparison compares what is expected with a run.
type comparison struct {
	outcome *ruletest.Outcome
	sum     *runner.Summary
	ledger  *runner.Ledger
	dir     string
}

func (c *comparison) all(ctx context.Context, want *yamldoc.Node) error {
	var got map[string]any
	if err := jsonForm(c.sum, &got); err != nil {
		return err
	}
	got["exit"] = json.Number(strconv.Itoa(c.sum.ExitCode()))
	letters := make([]any, 0, len(c.sum.DeadLetters))
	for _, d := range c.sum.DeadLetters {
		var form map[string]any
		if err := jsonForm(d, &form); err != nil {
			return err
		}
		letters = append(letters, form)
	}
	rejects, err := c.ledger.Rejects(ctx, queue.Filter{})
	if err != nil {
		return err
	}
	var ignored diag.List
	for _, e := range want.Mapping(&ignored).Entries() {
		switch key := e.Key.Raw(); key {
		case "steps":
			c.steps(e.Value, got["steps"].([]any))
		case "outputs":
			if err := c.outputs(ctx, e.Value); err != nil {
				return err
			}
		case "dead_letters":
			c.list(e.Value, "dead_letters", letters)
		case "rejects":
			all := make([]any, len(rejects))
			for i, r := range rejects {
				all[i] = map[string]any{"step": r.Step, "record": r.Record, "reason": r.Reason, "body": r.Body}
			}
			c.list(e.Value, "rejects", all)
		default:
			c.outcome.Compare(e.Value, key, got[key])
		}
	}
	return nil
}

// jsonForm decodes the JSON of a value, numbers as they are written.
func jsonForm(v, to any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	return d.Decode(to)
}

// steps compares steps by their names. Counts of units that are not there are 0.
func (c *comparison) steps(want *yamldoc.Node, got []any) {
	var ignored diag.List
	for _, e := range want.Mapping(&ignored).Entries() {
		at := slices.IndexFunc(got, func(s any) bool { return s.(map[string]any)["name"] == e.Key.Raw() })
		if at < 0 {
			c.outcome.Compare(e.Key, "steps", nil)
			continue
		}
		step := got[at].(map[string]any)
		units := step["units"].(map[string]any)
		for _, name := range []string{"skipped", "blocked", "waiting", "cancelled"} {
			if units[name] == nil {
				units[name] = json.Number("0")
			}
		}
		c.outcome.Compare(e.Value, "steps."+e.Key.Raw(), step)
	}
}

// list compares lists item by item, in their order; of texts a part is enough.
func (c *comparison) list(want *yamldoc.Node, path string, got []any) {
	items := want.Items()
	if len(items) != len(got) {
		c.outcome.Differ(want, path, strconv.Itoa(len(items))+" items", described(got))
		return
	}
	var ignored diag.List
	for i, item := range items {
		form, _ := got[i].(map[string]any)
		for _, e := range item.Mapping(&ignored).Entries() {
			key := e.Key.Raw()
			at := path + "[" + strconv.Itoa(i) + "]." + key
			text, isText := form[key].(string)
			if (key == "error" || key == "stderr" || key == "reason" || key == "body") && isText {
				if !strings.Contains(text, e.Value.Raw()) {
					c.outcome.Differ(e.Value, at, "a text with "+strconv.Quote(e.Value.Raw()), text)
				}
				continue
			}
			c.outcome.Compare(e.Value, at, form[key])
		}
	}
}

// described lists what was found, by step and source.
func described(got []any) string {
	if len(got) == 0 {
		return "none"
	}
	var parts []string
	for _, g := range got {
		form, _ := g.(map[string]any)
		text := ""
		for _, key := range []string{"step", "source", "record", "cause", "error", "reason"} {
			if v, ok := form[key].(string); ok && v != "" {
				text += " " + v
			}
		}
		parts = append(parts, strings.TrimSpace(text))
	}
	return strconv.Itoa(len(got)) + ": " + strings.Join(parts, "; ")
}

// outputs compares what steps wrote, by step and by the file of the source; a
// step that has one output alone may have it without a file.
func (c *comparison) outputs(ctx context.Context, want *yamldoc.Node) error {
	ways, err := c.ledger.Ways(ctx, "", c.sum.Run)
	if err != nil {
		return err
	}
	var ignored diag.List
	for _, e := range want.Mapping(&ignored).Entries() {
		found := map[string]string{}
		for _, w := range ways {
			for _, s := range w.Steps {
				if s.Step != e.Key.Raw() || s.Output == "" {
					continue
				}
				if err := readOutput(s.Output, w.Source, found); err != nil {
					return err
				}
			}
		}
		path := "outputs." + e.Key.Raw()
		if e.Value.Kind() == yamldoc.Map {
			for _, o := range e.Value.Mapping(&ignored).Entries() {
				c.output(o.Value, path+"["+o.Key.Raw()+"]", found, o.Key.Raw())
			}
			continue
		}
		only := ""
		for source := range found {
			only = source
		}
		if len(found) > 1 {
			c.outcome.Differ(e.Value, path, "one output", strconv.Itoa(len(found))+" outputs; name them by the file of the source")
			continue
		}
		c.output(e.Value, path, found, only)
	}
	return nil
}

// readOutput reads an output, or each file of one that is a folder, which is named
// as the part that it is.
func readOutput(path, source string, found map[string]string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		text, err := os.ReadFile(path)
		found[source] = string(text)
		return err
	}
	names, err := runner.FilesOf(path)
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(path, name))
		if err != nil {
			return err
		}
		found[source+"#"+name] = string(text)
	}
	return err
}

func (c *comparison) output(want *yamldoc.Node, path string, found map[string]string, source string) {
	text, ok := found[source]
	switch {
	case want.IsNull():
		if ok {
			c.outcome.Differ(want, path, "no output", text)
		}
	case !ok:
		c.outcome.Differ(want, path, want.Raw(), "no output")
	case text != want.Raw():
		c.outcome.Differ(want, path, want.Raw(), text)
	}
}
