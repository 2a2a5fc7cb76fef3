package pipeline_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/pipeline"
)

const head = "version: 1\npipeline: p\nsource: {files: in/*.csv}\n"

func parse(t *testing.T, text string) *pipeline.Pipeline {
	t.Helper()
	p, err := pipeline.Parse("dir/p.yaml", []byte(text), nil)
	require.NoError(t, err)
	return p
}

func names(p *pipeline.Pipeline) string {
	var all []string
	for _, s := range p.Steps {
		all = append(all, s.Name)
	}
	return strings.Join(all, " ")
}

func TestParseFullStep(t *testing.T) {
	t.Parallel()
	env := func(name string) (string, bool) { return "x y", name == "TABLE" }
	p, err := pipeline.Parse("dir/p.yaml", []byte(`
version: 1
pipeline: orders
source: {files: [in/*.csv, extra.csv], unit: file, key: "{name}"}
steps:
  audit: {needs: {parse: any}, sh: 'echo "${HOME}"', profile: {output: false}}
  parse:
    run: [cat, "${env:TABLE}"]
    format: {in: csv, out: jsonl}
    dataset: shop/parsed
    rules: rules/a.yaml
    on_fail: quarantine
    profile: {input: true, sample: 100%}
    timeout: {run: 90s}
    retry: {attempts: 3, backoff: 1s, factor: 3, max_backoff: 1m, jitter: 0, on: [timeout]}
    rejects: fd3
    workers: {max: 2}
  load: {needs: [parse, audit], run: [cat, "{input}"]}
`), env)
	require.NoError(t, err)
	require.Equal(t, "dir", p.Dir)
	require.Equal(t, &pipeline.Source{Files: []string{"in/*.csv", "extra.csv"}, Unit: "file", Key: "{name}"}, p.Source)
	require.Equal(t, "parse audit load", names(p))
	s := p.Step("parse")
	require.Equal(t, []string{"cat", "x y"}, s.Run)
	require.Equal(t, pipeline.Format{In: "csv", Out: "jsonl"}, s.Format)
	require.Equal(t, "shop/parsed", s.Dataset)
	require.Equal(t, []string{"rules/a.yaml"}, s.Rules)
	require.Equal(t, pipeline.Quarantine, s.OnFail)
	require.Equal(t, pipeline.Profile{Input: true, Output: true, Sample: 1}, s.Profile)
	require.Equal(t, 90*time.Second, s.Timeout)
	require.Equal(t, pipeline.Retry{Attempts: 3, Backoff: time.Second, Factor: 3, MaxBackoff: time.Minute, On: []pipeline.Trigger{pipeline.OnTimeout}}, s.Retry)
	require.Equal(t, pipeline.RejectsFD3, s.Rejects)
	require.Equal(t, pipeline.Workers{Max: 2}, s.Workers)
	audit := p.Step("audit")
	require.Equal(t, `echo "${HOME}"`, audit.Shell)
	require.Equal(t, []pipeline.Need{{Step: "parse", Quality: pipeline.Any}}, audit.Needs)
	require.Equal(t, "orders/audit", audit.Dataset)
	require.Equal(t, pipeline.DefaultTimeout, audit.Timeout)
	require.Equal(t, 5, audit.Retry.Attempts)
	require.Nil(t, p.Step("none"))
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, want string }{
		{"all at once", "version: 2\npipeline: ../x\nstep: {}\nsteps: {a: {rum: [cat]}}\n",
			"dir/p.yaml:1:10: version 2 of pipeline files is unknown, this program reads version 1\n" +
				"dir/p.yaml:2:11: \"../x\" cannot be the name of a pipeline: use 1 to 64 letters, digits, _ . and -, not starting with . or -\n" +
				"dir/p.yaml:3:1: unknown key \"step\" in the pipeline; did you mean \"steps\"?\n" +
				"dir/p.yaml:4:9: step \"a\" has no command; give it one with run: [\"program\", \"argument\"] or sh: \"text for the shell\"\n" +
				"dir/p.yaml:4:13: unknown key \"rum\" in step \"a\"; did you mean \"run\"?"},
		{"cycle", head + "steps:\n  z: {run: [cat]}\n  a: {run: [cat], needs: [c]}\n  b: {run: [cat], needs: [a]}\n  c: {run: [cat], needs: [z, b]}\n",
			"dir/p.yaml:6:27: the steps need each other in a circle: a needs c needs b needs a"},
		{"two cycles", head + "steps:\n  a: {run: [cat], needs: [a]}\n  b: {run: [cat], needs: [c]}\n  c: {run: [cat], needs: {b: any}}\n",
			"dir/p.yaml:5:27: step \"a\" needs itself\ndir/p.yaml:6:27: the steps need each other in a circle: b needs c needs b"},
		{"cycle beside other mistakes", head + "steps:\n  a b: {run: [cat]}\n  a: {rum: [cat], needs: [c]}\n  c: {run: [cat], needs: [nope, a]}\n  d: {run: [cat], needs: nope}\n  e: {run: [cat], needs: [d, a b]}\n",
			"dir/p.yaml:5:3: \"a b\" cannot be the name of a step: use 1 to 64 letters, digits, _ . and -, not starting with . or -\n" +
				"dir/p.yaml:6:3: step \"a\" has no command; give it one with run: [\"program\", \"argument\"] or sh: \"text for the shell\"\n" +
				"dir/p.yaml:6:7: unknown key \"rum\" in step \"a\"; did you mean \"run\"?\n" +
				"dir/p.yaml:6:27: the steps need each other in a circle: a needs c needs a\n" +
				"dir/p.yaml:7:27: step \"c\" needs \"nope\", which is no step of this pipeline\n" +
				"dir/p.yaml:8:26: step \"d\" needs \"nope\", which is no step of this pipeline"},
		{"steps behind a cycle", head + "steps:\n  a: {run: [cat], needs: [b]}\n  b: {run: [cat], needs: [a]}\n  c: {run: [cat], needs: [a]}\n  d: {run: [cat], needs: [c, b]}\n",
			"dir/p.yaml:5:27: the steps need each other in a circle: a needs b needs a"},
		{"unknown need", head + "steps:\n  parse: {run: [cat]}\n  b: {run: [cat], needs: [prase]}\n",
			"dir/p.yaml:6:27: step \"b\" needs \"prase\", which is no step of this pipeline; did you mean \"parse\"?"},
		{"needed twice", head + "steps:\n  a: {run: [cat]}\n  b: {run: [cat], needs: [a, a]}\n", "6:30: step \"a\" is needed twice"},
		{"wrong quality", head + "steps:\n  a: {run: [cat]}\n  b: {run: [cat], needs: {a: pas}}\n", `did you mean "pass"?`},
		{"duplicate step", head + "steps:\n  a: {run: [cat]}\n  a: {run: [cat]}\n", "6:3: "},
		{"two commands", head + "steps:\n  a: {run: [cat], sh: cat}\n", "5:19: step \"a\" has run and sh; a step has exactly one command"},
		{"command as text", head + "steps:\n  a: {run: cat x}\n", "5:12: run is a list, run: [\"program\", \"argument\"]"},
		{"empty command", head + "steps:\n  a: {run: []}\n  b: {sh: ' '}\n  c: {run: ['']}\n  d:\n",
			"dir/p.yaml:5:12: run is empty; it is the program followed by its arguments\ndir/p.yaml:6:11: sh is empty\ndir/p.yaml:7:13: the program's name is empty\ndir/p.yaml:8:3: step \"d\" is empty; give it a command with run: or sh:"},
		{"names", head + "steps:\n  \"a b\": {run: [cat]}\n  \"../a\": {run: [cat]}\n  \"a\\nb\": {run: [cat]}\n  -a: {run: [cat]}\n", "8:3: \"-a\" cannot be the name of a step"},
		{"durations and shares", head + "steps:\n  a: {run: [cat], timeout: {run: soon}, profile: {sample: 0}, retry: {attempts: 0, jitter: 200%, factor: 0.5, backoff: 10m, max_backoff: 1m}}\n",
			"dir/p.yaml:5:34: expected a duration like \"30s\", \"2h\" or \"7d\", got text \"soon\"\n" +
				"dir/p.yaml:5:59: sample is above 0 and at most 1 (100%)\n" +
				"dir/p.yaml:5:81: expected a whole number from 1 to 1000, got 0\n" +
				"dir/p.yaml:5:92: jitter is from 0 to 1 (100%)\n" +
				"dir/p.yaml:5:106: factor is at least 1\n" +
				"dir/p.yaml:5:138: max_backoff (1m0s) is shorter than backoff (10m0s)"},
		{"source", "version: 1\npipeline: p\nsource: {files: ['in/**/x', '[', ''], key: \"{pth}\"}\nsteps: {a: {run: [cat]}}\n", `unknown placeholder {pth} in key; there are {path}, {name} and {sha256}; did you mean "{path}"?`},
		{"constant key", "version: 1\npipeline: p\nsource: {files: x, key: k}\nsteps: {a: {run: [cat]}}\n", "3:25: key has no placeholder"},
		{"no files", "version: 1\npipeline: p\nsource: {}\nsteps: {a: {run: [cat]}}\n", `3:9: missing key "files"`},
		{"no steps", "version: 1\npipeline: p\nsteps: {}\n", "3:8: steps is empty"},
		{"dataset", head + "steps:\n  a: {run: [cat], dataset: a/b/c}\n", `5:28: "a/b/c" is no dataset`},
		{"program with placeholder", head + "steps:\n  a: {run: ['{input}']}\n", "5:13: the program's name cannot contain {input}"},
		{"no input", "version: 1\npipeline: p\nsteps: {a: {run: [cat, '{input}']}}\n", `3:24: step "a" has no input for {input}`},
		{"unknown input", head + "steps:\n  a: {run: [cat]}\n  b: {needs: a, run: [cat, '{input:aa}']}\n", `6:28: {input:aa} names a step that "b" does not need; did you mean "a"?`},
		{"joined inputs", head + "steps:\n  a: {run: [cat]}\n  c: {run: [cat]}\n  b: {needs: [a, c], run: [cat, '-f{input}']}\n", "give it an argument of its own, or name one as {input:a}"},
		{"quoted placeholder", head + "steps:\n  a: {sh: \"cat '{input}'\"}\n", "5:11: {input} stands in single quotes"},
		{"shared variable", head + "steps:\n  a-b: {run: [cat]}\n  a.b: {run: [cat]}\n  c: {needs: [a-b, a.b], run: [cat]}\n", `7:20: the inputs "a-b" and "a.b" would share the variable PROFILER_INPUT_A_B`},
		{"variable", head + "steps:\n  a: {run: [cat, '${env:X}']}\n", "5:19: environment variables cannot be used here"},
		{"two documents", head + "steps: {a: {run: [cat]}}\n---\nversion: 1\n", "another document"},
		{"empty", "", "dir/p.yaml"},
		{"scalar", "hello", "expected"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := pipeline.Parse("dir/p.yaml", []byte(tt.text), nil)
			require.ErrorAs(t, err, new(diag.List))
			require.Contains(t, err.Error(), tt.want)
			if strings.HasPrefix(tt.want, "dir/p.yaml:") {
				require.Equal(t, tt.want, err.Error())
			}
			require.NotContains(t, err.Error(), "%!")
		})
	}
}

func TestLaterVersions(t *testing.T) {
	t.Parallel()
	for _, source := range []string{"cron: x", "kafka: x"} {
		_, err := pipeline.Parse("p.yaml", []byte("version: 1\npipeline: p\nsource: {"+source+"}\nsteps: {a: {run: [cat]}}\n"), nil)
		require.ErrorContains(t, err, "is not supported by this version yet", source)
		require.Len(t, strings.Split(err.Error(), "\n"), 1, source)
	}
}

func TestRangesOfFiles(t *testing.T) {
	t.Parallel()
	_, err := pipeline.Parse("p.yaml", []byte("version: 1\npipeline: p\nsource: {files: x, unit: 'key_range(id, 16)'}\nsteps: {a: {run: [cat]}}\n"), nil)
	require.EqualError(t, err, `p.yaml:3:26: "key_range(id, 16)" is for rows of a database (source: {sql: …}); write file, rows(50000) or time(created_at, 1h)`)
}

func TestOrderKeepsTheFile(t *testing.T) {
	t.Parallel()
	p := parse(t, head+"steps:\n  d: {run: [cat], needs: [b, c]}\n  c: {run: [cat], needs: [a]}\n  b: {run: [cat], needs: [a]}\n  a: {run: [cat]}\n  e: {run: [cat]}\n")
	require.Equal(t, "a c b d e", names(p))
}

func TestCommand(t *testing.T) {
	t.Parallel()
	p := parse(t, head+`steps:
  a: {run: [prog, "--in={input}", "{output}", "{print}"]}
  b: {run: [cat]}
  join: {needs: [b, a], run: [cat, "{input}", "x={input:a}"]}
  sh: {needs: [b, a], sh: 'cat {input} "q{input:a}" \{ >{output}'}
  one: {needs: a, sh: "cat {input}"}
  escaped: {needs: a, sh: "echo \\' {input} \\'"}
`)
	in := []pipeline.Input{{Step: "", Path: "/x y"}}
	two := []pipeline.Input{{Step: "b", Path: "/b"}, {Step: "a", Path: "/a\n'"}}
	require.Equal(t, []string{"prog", "--in=/x y", "/o", "{print}"}, p.Step("a").Command(in, "/o"))
	require.Equal(t, []string{"cat", "/b", "/a\n'", "x=/a\n'"}, p.Step("join").Command(two, "/o"))
	require.Equal(t, []string{"/bin/sh", "-c", `cat "$PROFILER_INPUT_B" "$PROFILER_INPUT_A" "q${PROFILER_INPUT_A}" \{ >"$PROFILER_OUTPUT"`}, p.Step("sh").Command(two, "/o"))
	require.Equal(t, []string{"/bin/sh", "-c", `cat "$PROFILER_INPUT"`}, p.Step("one").Command(in, "/o"))
	require.Equal(t, []string{"/bin/sh", "-c", `echo \' "$PROFILER_INPUT" \'`}, p.Step("escaped").Command(in, "/o"))
	for name, want := range map[string][2]bool{"a": {true, true}, "b": {false, false}, "join": {true, false}, "sh": {true, true}, "one": {true, false}} {
		require.Equal(t, want, [2]bool{p.Step(name).NamesInput(), p.Step(name).NamesOutput()}, name)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "p.yaml")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "ok.sh"), []byte("#!/bin/sh\n"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "plain"), nil, 0o644))
	require.NoError(t, os.WriteFile(file, []byte(head+`steps:
  a: {run: [./ok.sh]}
  b: {run: [no-such-program-here]}
  c: {run: [./plain]}
  d: {run: [./missing.sh], rules: rules/none.yaml}
  e: {sh: cat, rules: plain}
`), 0o644))
	p, err := pipeline.Load(file)
	require.NoError(t, err)
	require.EqualError(t, p.Check(), strings.ReplaceAll(`F:6:12: step "b": the program "no-such-program-here" is not in the PATH; give its path, relative to the pipeline file, or install it
F:7:12: step "c": the program "./plain" is not executable; try chmod +x `+filepath.Join(dir, "plain")+`
F:8:12: step "d": the program "./missing.sh" cannot be executed: no such file or directory
F:8:35: step "d": rules "rules/none.yaml" cannot be read: no such file or directory`, "F:", file+":"))
	_, err = pipeline.Load(filepath.Join(dir, "none.yaml"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestWait(t *testing.T) {
	t.Parallel()
	r := pipeline.Retry{Backoff: 2 * time.Second, Factor: 2, MaxBackoff: 10 * time.Second, Jitter: 0.2}
	for attempt, want := range map[int]time.Duration{1: 2, 2: 4, 3: 8, 4: 10, 1000: 10} {
		require.Equal(t, want*time.Second, r.Wait(attempt, 0.5), attempt)
	}
	require.Equal(t, 1600*time.Millisecond, r.Wait(1, 0))
	require.InDelta(t, float64(2400*time.Millisecond), float64(r.Wait(1, 0.9999999999)), 1e6)
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(head + "steps: {a: {run: [cat, '{input}']}, b: {sh: \"cat {input} '\", needs: {a: any}}}\n"))
	f.Add([]byte(head + "steps: {a: {needs: [b]}, b: {needs: [a, c]}, c: {needs: c}}\n"))
	f.Add([]byte(head + "steps: {a: {sql: {dsn: 'sqlite:x', load: {table: t, columns: auto}, statement: 'DELETE FROM t; SELECT :unit_id', query: SELECT 1}}}\n"))
	f.Add([]byte("version: 1\npipeline: x\nsteps: {a: {retry: {backoff: 1w, on: []}, timeout: {run: 0}, run: [a]}}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := pipeline.Parse("p.yaml", data, nil)
		if err != nil {
			require.ErrorAs(t, err, new(diag.List))
			return
		}
		seen := map[string]bool{}
		for _, s := range p.Steps {
			require.Regexp(t, `^[A-Za-z0-9_][A-Za-z0-9_.-]*$`, s.Name)
			require.False(t, seen[s.Name])
			kinds := 0
			for _, is := range []bool{len(s.Run) > 0, s.Shell != "", s.HTTP != nil, s.SQL != nil, s.Worker} {
				if is {
					kinds++
				}
			}
			require.Equal(t, 1, kinds)
			if len(s.Run) == 0 && s.Shell == "" {
				seen[s.Name] = true
				continue
			}
			var in []pipeline.Input
			for _, n := range s.Needs {
				require.True(t, seen[n.Step], "needs come first")
				in = append(in, pipeline.Input{Step: n.Step, Path: "/x"})
			}
			if len(in) == 0 && p.Source != nil {
				in = append(in, pipeline.Input{Path: "/x"})
			}
			for _, arg := range s.Command(in, "/o")[1:] {
				require.NotContains(t, arg, "{output}")
				require.NotContains(t, arg, "{input}")
			}
			require.Positive(t, s.Timeout)
			require.Positive(t, s.Retry.Attempts)
			seen[s.Name] = true
		}
	})
}

func TestLimitsOfAStep(t *testing.T) {
	p, err := pipeline.Parse("p.yaml", []byte("version: 1\npipeline: p\nsteps:\n  a: {run: [cat], timeout: {run: 1m, heartbeat: 5s, queue: 2h}, resources: {memory: 512MiB, cpu: 2, nice: 5}}\n"), nil)
	require.NoError(t, err)
	s := p.Steps[0]
	require.Equal(t, []time.Duration{time.Minute, 5 * time.Second, 2 * time.Hour}, []time.Duration{s.Timeout, s.Heartbeat, s.QueueTimeout})
	require.Equal(t, pipeline.Resources{Memory: 512 << 20, CPU: 2, Nice: 5}, s.Resources)
	for text, want := range map[string]string{
		"timeout: {heartbeat: 10ms}":  "heartbeat is at least 1s",
		"timeout: {queue: 0s}":        "above 0",
		"resources: {memory: 1KiB}":   "at least 1MiB",
		"resources: {cpu: 0}":         "from 1 to",
		"resources: {nice: 20}":       "from 0 to 19",
		"resources: {memoty: 512MiB}": `did you mean "memory"`,
	} {
		_, err := pipeline.Parse("p.yaml", []byte("version: 1\npipeline: p\nsteps:\n  a: {run: [cat], "+text+"}\n"), nil)
		require.ErrorContains(t, err, want, text)
	}
}

func TestMermaid(t *testing.T) {
	p, err := pipeline.Parse("p.yaml", []byte("version: 1\npipeline: p\nsource: {files: ['in/<*>.csv']}\nsteps:\n  end: {run: [cat], on_fail: warn}\n  a-b: {run: [cat], needs: {end: any}}\n"), nil)
	require.NoError(t, err)
	var b strings.Builder
	require.NoError(t, p.Mermaid(&b))
	require.Equal(t, "flowchart LR\n    source[(\"in/#lt;*#gt;.csv\")]\n    s0[\"end<br>on fail: warn\"]\n    s1[\"a-b\"]\n    source --> s0\n    s0 -. any .-> s1\n", b.String())
}

func TestHTTPStep(t *testing.T) {
	parse := func(fields string) (*pipeline.Pipeline, error) {
		return pipeline.Parse("p.yaml", []byte("version: 1\npipeline: p\nsteps:\n  a: {"+fields+"}\n"), func(string) (string, bool) { return "s3cret", true })
	}
	p, err := parse(`http: {url: "http://fn/x", batch: 500, secret: "${env:KEY}"}`)
	require.NoError(t, err)
	require.Equal(t, &pipeline.HTTP{URL: "http://fn/x", Batch: 500, Secret: "s3cret"}, p.Steps[0].HTTP)
	require.NoError(t, p.Check())
	for fields, want := range map[string]string{
		"http: {}": "url", "http: {url: fn}": "the url is like", "http: {url: 'http://fn', batch: 0}": "from 1 to",
		"http: {url: 'http://fn'}, run: [cat]":           "exactly one command",
		"http: {url: 'http://fn'}, rejects: fd3":         "has no rejects",
		"http: {url: 'http://fn'}, resources: {nice: 1}": "has no resources",
		"http: {url: 'http://fn', method: PUT}":          "unknown key",
	} {
		_, err := parse(fields)
		require.ErrorContains(t, err, want, fields)
	}
}

func TestTiming(t *testing.T) {
	parse := func(head string) (*pipeline.Pipeline, error) {
		return pipeline.Parse("p.yaml", []byte("version: 1\npipeline: p\n"+head+"\nsteps: {a: {run: [cat]}}\n"), nil)
	}
	at := time.Date(2026, 3, 1, 10, 7, 0, 0, time.UTC)
	for head, want := range map[string]time.Time{
		"schedule: '*/15 * * * *'": at.Add(8 * time.Minute),
		"every: 10m":               at.Add(3 * time.Minute),
		"schedule: '0 12 * * *'\ntimezone: Europe/Berlin":    at.Add(53 * time.Minute),
		"schedule: '@daily'\ncatch_up: true\noverlap: queue": time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC),
	} {
		p, err := parse(head)
		require.NoError(t, err, head)
		require.True(t, want.Equal(p.Timing.Schedule.Next(at)), head)
	}
	p, err := parse("source: {watch: 'in/*.csv'}")
	require.NoError(t, err)
	require.True(t, p.Source.Watch)
	require.Equal(t, []string{"in/*.csv"}, p.Source.Files)
	for head, want := range map[string]string{
		"schedule: 'x'": "five fields", "every: 1ms": "at least 1s", "schedule: '@daily'\nevery: 1h": "keep one", "overlap: skip": "there is none",
		"every: 1h\ntimezone: Mars": "unknown time zone", "every: 1h\noverlap: maybe": "maybe", "source: {watch: a, files: b}": "keep one",
	} {
		_, err := parse(head)
		require.ErrorContains(t, err, want, head)
	}
}

func TestGroups(t *testing.T) {
	p, err := pipeline.Parse("p.yaml", []byte("version: 1\npipeline: p\ngroups: {db: {max: 4}}\nsteps:\n  a: {run: [cat], group: db}\n  b: {run: [cat]}\n  c: {run: [cat], group: db}\n"), nil)
	require.NoError(t, err)
	steps, limit := p.Shared(p.Step("c"))
	require.Equal(t, []string{"a", "c"}, steps)
	require.Equal(t, 4, limit)
	_, limit = p.Shared(p.Step("b"))
	require.Zero(t, limit)
	for text, want := range map[string]string{
		"groups: {db: {}}\nsteps: {a: {run: [cat]}}":                  "max",
		"groups: {db: {max: 0}}\nsteps: {a: {run: [cat]}}":            "from 1 to",
		"groups: {db: {max: 1}}\nsteps: {a: {run: [cat], group: bd}}": `did you mean "db"`,
		"steps: {a: {run: [cat], group: db}}":                         "which the pipeline does not have",
	} {
		_, err := pipeline.Parse("p.yaml", []byte("version: 1\npipeline: p\n"+text+"\n"), nil)
		require.ErrorContains(t, err, want, text)
	}
}
