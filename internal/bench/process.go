package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
	pace float64  // bytes a second that are sent; 0 is as fast as it goes
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
		err = runInPipe(ctx, cmd, c, out)
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

// runInPipe runs cat FILE | cmd | cat; with a pace this process is the first of
// them.
func runInPipe(ctx context.Context, cmd *exec.Cmd, c command, out *os.File) error {
	source, sink := exec.CommandContext(ctx, "cat", c.pipe), exec.CommandContext(ctx, "cat") //nolint:gosec // a file of the benchmark
	fromSource, toCmd, err := os.Pipe()
	if err != nil {
		return err
	}
	fromCmd, toSink, err := os.Pipe()
	if err != nil {
		return err
	}
	source.Stdout, cmd.Stdin, cmd.Stdout, sink.Stdin, sink.Stdout = toCmd, fromSource, toSink, fromCmd, out
	all := []*exec.Cmd{sink, cmd, source}
	if c.pace > 0 {
		all = all[:2]
	}
	var started []*exec.Cmd
	for _, c := range all {
		if err = c.Start(); err != nil {
			break
		}
		started = append(started, c)
	}
	if c.pace > 0 && err == nil {
		err = sendPaced(ctx, toCmd, c.pipe, c.pace)
	}
	// The ends of the pipes belong to the processes now.
	err = errors.Join(err, toCmd.Close(), fromSource.Close(), toSink.Close(), fromCmd.Close())
	for i := len(started) - 1; i >= 0; i-- {
		err = errors.Join(err, started[i].Wait())
	}
	return err
}

// sendPaced writes a file at so many bytes a second, or as fast as they are
// taken.
func sendPaced(ctx context.Context, to io.Writer, file string, pace float64) error {
	from, err := os.Open(file) //nolint:gosec // a file of the benchmark
	if err != nil {
		return err
	}
	defer from.Close()
	began, sent := time.Now(), 0.0
	buf := make([]byte, 64<<10)
	for ctx.Err() == nil {
		n, err := from.Read(buf)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return err
		}
		sent += float64(n)
		if ahead := time.Duration(sent/pace*1e9) - time.Since(began); ahead > time.Millisecond {
			time.Sleep(ahead) //nolint:forbidigo // a pace is what is measured
		}
	}
	return ctx.Err()
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
