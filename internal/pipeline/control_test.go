package pipeline_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/pipeline"
)

func TestWorkers(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]pipeline.Workers{
		"{}":                              {},
		"{max: 3}":                        {Max: 3},
		"{scale_at: 20}":                  {Min: 1, ScaleAt: 20},
		"{min: 2, max: 8, scale_at: 20}":  {Min: 2, Max: 8, ScaleAt: 20},
		"{min: 3, scale_at: 20, max: 3}":  {Min: 3, Max: 3, ScaleAt: 20},
		"{min: 10000, scale_at: 1000000}": {Min: 10000, ScaleAt: 1000000},
	} {
		p := parse(t, head+"steps: {a: {run: [cat], workers: "+text+"}}\n")
		require.Equal(t, want, p.Steps[0].Workers, text)
	}
	for text, want := range map[string]string{
		"run: [cat], workers: {min: 2, max: 3}":              "dir/p.yaml:5:29: min says how far scale_at goes down, and there is none; add scale_at: 20",
		"run: [cat], workers: {min: 4, max: 3, scale_at: 1}": "dir/p.yaml:5:34: min (4) is above max (3)",
		"run: [cat], workers: {scale_at: 0}":                 "dir/p.yaml:5:39: expected a whole number from 1 to 1000000, got 0",
		"run: [cat], workers: {scale_to: 1}":                 "dir/p.yaml:5:29: unknown key \"scale_to\" in workers of step \"a\"; did you mean \"scale_at\"?",
		"worker: true, workers: {scale_at: 1}":               "dir/p.yaml:5:31: step \"a\" is for workers of the lease API, whose number this program does not decide",
	} {
		_, err := pipeline.Parse("dir/p.yaml", []byte(head+"steps:\n  a: {"+text+"}\n"), nil)
		require.EqualError(t, err, want, text)
	}
}

func TestDeadLettersAreKept(t *testing.T) {
	t.Parallel()
	require.Equal(t, 30*24*time.Hour, parse(t, head+"dlq: {keep: 30d}\nsteps: {a: {run: [cat]}}\n").DLQKeep)
	for text, want := range map[string]string{
		"{keep: ever}": "dir/p.yaml:4:13: expected a duration like \"30s\", \"2h\" or \"7d\", got text \"ever\"",
		"{keep: 0s}":   "dir/p.yaml:4:13: keep is at least 1m, such as 30d; without dlq dead letters are kept for ever",
		"{kepp: 30d}":  "dir/p.yaml:4:7: unknown key \"kepp\" in dlq; did you mean \"keep\"?",
		"{}":           "dir/p.yaml:4:6: missing key \"keep\" in dlq",
	} {
		_, err := pipeline.Parse("dir/p.yaml", []byte(head+"dlq: "+text+"\nsteps: {a: {run: [cat]}}\n"), nil)
		require.ErrorContains(t, err, want, text)
	}
}

const canaries = "version: 1\npipeline: p\nsource: {files: 'in/*'}\n"

func TestCanary(t *testing.T) {
	t.Parallel()
	p := parse(t, canaries+"canary: {every: 10m, input: c.csv, expect: c.profile, within: 5m}\nsteps:\n  a: {run: [cat]}\n  b: {needs: a, run: [cat]}\n  load: {needs: b, run: [cat], canary: skip}\n")
	require.Equal(t, map[string]string{"b": "c.profile"}, p.Canary.Expect)
	require.Equal(t, []any{10 * time.Minute, 5 * time.Minute, "c.csv", "p/canary", true},
		[]any{p.Canary.Every, p.Canary.Within, p.Canary.Input, p.CanaryDataset(), p.Step("load").SkipCanary})
	p = parse(t, canaries+"canary: {every: 10m, input: c.csv, expect: {a: a.profile, b: b.profile}}\nsteps:\n  a: {run: [cat]}\n  b: {needs: a, run: [cat]}\n")
	require.Equal(t, map[string]string{"a": "a.profile", "b": "b.profile"}, p.Canary.Expect)
	require.Equal(t, 10*time.Minute, p.Canary.Within)
	p = parse(t, canaries+"canary: {every: 10m, input: c, expect: e}\nsteps:\n  a: {run: [cat], canary: skip}\n  b: {needs: a, run: [cat]}\n")
	require.Equal(t, map[string]string{"b": "e"}, p.Canary.Expect, "what is passed over gives its input on")

	for text, want := range map[string]string{
		"  a: {run: [cat]}\n  z: {needs: a, run: [cat]}\n  c: {needs: a, run: [cat]}\n": "the canary ends in z and c; e is compared with the output of z",
		// b stands before its need in the file, and is the first written all the same.
		"  b: {needs: a, run: [cat]}\n  a: {run: [cat]}\n  c: {needs: a, run: [cat]}\n":                                                                             "the canary ends in b and c; e is compared with the output of b",
		"  a: {run: [cat]}\n  b: {needs: a, run: [cat]}\n  c: {needs: a, run: [cat]}\n  d: {needs: [a, c], run: [cat]}\n":                                           "the canary ends in b and d; e is compared with the output of d",
		"  a: {run: [cat]}\n  b: {needs: a, run: [cat], canary: skip}\n  c: {needs: b, run: [cat], canary: skip}\n  d: {needs: a, run: [cat]}\n  e: {run: [cat]}\n": "the canary ends in d and e; e is compared with the output of d",
		"  a: {run: [cat]}\n  b: {needs: a, run: [cat], canary: skip}\n  c: {needs: b, run: [cat]}\n  d: {needs: a, run: [cat]}\n":                                  "the canary ends in c and d; e is compared with the output of c",
		"  a: {run: [cat]}\n  b: {needs: a, run: [cat], canary: skip}\n":                                                                                            "",
	} {
		p := parse(t, canaries+"canary: {every: 10m, input: c, expect: e}\nsteps:\n"+text)
		require.Len(t, p.Canary.Expect, 1)
		require.Equal(t, want, p.Canary.Compared(), text)
	}
	p = parse(t, canaries+"canary: {every: 10m, input: c, expect: {b: e}}\nsteps:\n  a: {run: [cat]}\n  b: {run: [cat]}\n")
	require.Empty(t, p.Canary.Compared(), "what is named needs no word")

	const steps = "steps:\n  a: {run: [cat]}\n  b: {needs: a, run: [cat]}\n  c: {needs: a, run: [cat]}\n"
	for text, want := range map[string]string{
		canaries + "canary: {every: 10m, input: c, expect: {d: e}}\n" + steps:                                                                             "dir/p.yaml:4:41: \"d\" is no step that a canary comes to; there are a, b, c",
		canaries + "canary: {every: 10m, within: 11m, input: c, expect: {b: e}}\n" + steps:                                                                "dir/p.yaml:4:30: within is above 0 and at most every (10m0s)",
		canaries + "canary: {every: 0s, input: c, expect: {b: e}}\n" + steps:                                                                              "dir/p.yaml:4:17: every is at least 1s, such as 10m",
		canaries + "canary: {input: c, expect: {b: e}}\n" + steps:                                                                                         "dir/p.yaml:4:9: missing key \"every\" in canary",
		canaries + "canary: {every: 1m, input: c, expects: e}\n" + steps:                                                                                  "dir/p.yaml:4:31: unknown key \"expects\" in canary; did you mean \"expect\"?",
		"version: 1\npipeline: p\ncanary: {every: 10m, input: c, expect: {b: e}}\n" + steps:                                                               "dir/p.yaml:3:1: a canary takes the place of a file of the source, and the pipeline has no source",
		canaries + "steps: {a: {run: [cat], canary: skip}}\n":                                                                                             "dir/p.yaml:4:33: step \"a\" says something about a canary, and there is none; add canary: to the pipeline",
		canaries + "canary: {every: 1m, input: c, expect: e}\nsteps: {a: {run: [cat], canary: skip}}\n":                                                   "dir/p.yaml:4:39: all steps are passed over in a canary",
		canaries + "canary: {every: 1m, input: c, expect: e}\nsteps: {a: {run: [cat], canary: no}}\n":                                                     "dir/p.yaml:5:33: ",
		canaries + "canary: {every: 1m, input: c, expect: e}\nsteps: {canary: {run: [cat]}}\n":                                                            "dir/p.yaml:5:9: step \"canary\" has the dataset p/canary, under which canaries are recorded",
		canaries + "canary: {every: 1m, input: c, expect: e}\n" + steps + "  d: {needs: [b, c], run: [cat], canary: skip}\n  e: {needs: d, run: [cat]}\n": "dir/p.yaml:9:42: step \"d\" joins or cuts what e needs, a canary cannot pass it over",
	} {
		_, err := pipeline.Parse("dir/p.yaml", []byte(text), nil)
		require.ErrorContains(t, err, want, text)
	}
}
