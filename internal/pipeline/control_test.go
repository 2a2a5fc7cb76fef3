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
		"{keep: 0s}":  "dir/p.yaml:4:13: keep is at least 1m, such as 30d; without dlq dead letters are kept for ever",
		"{kepp: 30d}": "dir/p.yaml:4:7: unknown key \"kepp\" in dlq; did you mean \"keep\"?",
		"{}":          "dir/p.yaml:4:6: missing key \"keep\" in dlq",
	} {
		_, err := pipeline.Parse("dir/p.yaml", []byte(head+"dlq: "+text+"\nsteps: {a: {run: [cat]}}\n"), nil)
		require.ErrorContains(t, err, want, text)
	}
}
