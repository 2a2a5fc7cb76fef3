package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// command is a program to run. With pipe it is the middle of cat FILE | … |
// cat, and its standard input and output are pipes.
type command struct {
	args []string
	env  []string // beside the environment
	out  string   // file for standard output; "" is nowhere
	pipe string   // file that is sent through the pipe
	dir  string   // working folder; "" is that of this process
	tap  string   // the report of a tap, which says how much it saw
}

// measure runs a command and returns what the process took. Its children that
// it waited for are counted in.
func measure(ctx context.Context, c command) (Run, error) {
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, c.args[0], c.args[1:]...) //nolint:gosec // programs of the benchmark
	cmd.Dir, cmd.Stderr = c.dir, &stderr
	cmd.Env = append(environment(), c.env...)
	target := c.out
	if target == "" {
		target = os.DevNull
	}
	out, err := os.OpenFile(target, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return Run{}, err
	}
	defer out.Close()
	cmd.Stdout = out
	began := time.Now()
	if c.pipe == "" {
		err = cmd.Run()
	} else {
		err = runInPipe(ctx, cmd, c.pipe, out)
	}
	wall := time.Since(began).Seconds()
	if ctx.Err() != nil {
		return Run{}, ctx.Err()
	}
	if err != nil {
		return Run{}, failure(c.args, err, stderr.String())
	}
	s := cmd.ProcessState
	r := Run{CPU: (s.UserTime() + s.SystemTime()).Seconds(), Wall: wall, RSS: peakRSS(s), Seen: 1}
	if c.tap != "" {
		r.Seen, err = seenBy(c.tap)
	}
	return r, err
}

// seenBy returns the share of a stream that a tap profiled, from its report.
func seenBy(path string) (float64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	var doc struct {
		Stream struct{ Bytes, Seen float64 }
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return 0, fmt.Errorf("read the report of tap: %w", err)
	}
	if doc.Stream.Bytes <= 0 {
		return 0, errors.New("the report of tap does not say how much it saw")
	}
	return doc.Stream.Seen / doc.Stream.Bytes, nil
}

// runInPipe runs cat FILE | cmd | cat.
func runInPipe(ctx context.Context, cmd *exec.Cmd, file string, out *os.File) error {
	source, sink := exec.CommandContext(ctx, "cat", file), exec.CommandContext(ctx, "cat") //nolint:gosec // a file of the benchmark
	fromSource, toCmd, err := os.Pipe()
	if err != nil {
		return err
	}
	fromCmd, toSink, err := os.Pipe()
	if err != nil {
		return err
	}
	source.Stdout, cmd.Stdin, cmd.Stdout, sink.Stdin, sink.Stdout = toCmd, fromSource, toSink, fromCmd, out
	var started []*exec.Cmd
	for _, c := range []*exec.Cmd{sink, cmd, source} {
		if err = c.Start(); err != nil {
			break
		}
		started = append(started, c)
	}
	// The ends of the pipes belong to the processes now.
	err = errors.Join(err, toCmd.Close(), fromSource.Close(), toSink.Close(), fromCmd.Close())
	for i := len(started) - 1; i >= 0; i-- {
		err = errors.Join(err, started[i].Wait())
	}
	return err
}

// environment is that of this process without settings of the program.
func environment() []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "PROFILER_") {
			env = append(env, v)
		}
	}
	return env
}

// failure is the last line that a program said.
func failure(args []string, err error, stderr string) error {
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	if last := strings.TrimSpace(lines[len(lines)-1]); last != "" {
		return fmt.Errorf("%s: %s", args[0], last)
	}
	return fmt.Errorf("%s: %w", args[0], err)
}
