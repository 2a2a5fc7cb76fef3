package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/profilerhq/profiler/internal/failpoint"
	"github.com/profilerhq/profiler/internal/pipeline"
)

// Exit codes of commands with a meaning, from sysexits.h.
const (
	exitData      = 65
	exitTemporary = 75
)

// errTimeout is the cause of a context that ended by the step's timeout.
var errTimeout = errors.New("timeout")

// execute runs the command once and publishes its output.
func (v *visit) execute(ctx context.Context) (retry, ok bool) {
	v.began = true
	dir := v.r.stepDir(v.step)
	name := v.r.outputName(v.lease)
	temporary, final := filepath.Join(dir, "."+name+".tmp"), filepath.Join(dir, name)
	rejects := filepath.Join(dir, "."+name+".rejects.tmp")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		v.fatal = fmt.Errorf("work directory: %w", err)
		return false, false
	}
	defer os.RemoveAll(temporary) //nolint:errcheck // it may be gone
	defer os.Remove(rejects)      //nolint:errcheck // it may be gone
	switch {
	case v.s.HTTP != nil:
		retry, ok = v.post(ctx, temporary)
	case v.s.SQL != nil:
		retry, ok = v.sql(ctx, temporary)
	default:
		retry, ok = v.command(ctx, temporary, rejects)
	}
	if !ok {
		return retry, false
	}
	switch v.written(temporary); {
	case v.fatal != nil:
		return false, false
	case v.err != nil:
	case v.changed():
		v.err, v.cause = errors.New("the input changed while it was read; run again when it is complete"), CauseData
		return false, false
	}
	if v.s.Rejects != pipeline.NoRejects && v.err == nil {
		v.rejects, v.err = countRejects(rejects)
	}
	if v.err != nil {
		v.cause = CauseAttempts
		return slices.Contains(v.s.Retry.On, pipeline.OnExit), false
	}
	failpoint.Hit("before_rename")
	var err error
	v.rejectf = ""
	if v.rejects > 0 {
		v.rejectf = final + ".rejects"
		err = publish(rejects, v.rejectf)
	}
	if err == nil {
		err = publish(temporary, final)
	}
	if err == nil && !v.s.Folder() { // of a folder they are known
		v.sha, v.bytes, err = hashFile(final)
	}
	if err != nil {
		v.fatal = fmt.Errorf("store the output of step %q: %w", v.s.Name, err)
		return false, false
	}
	failpoint.Hit("after_rename")
	v.output = final
	return false, true
}

// written looks at what the command left as its output. It sets err if that is no
// output, fatal if the system is in trouble.
func (v *visit) written(temporary string) {
	info, err := os.Lstat(temporary)
	switch {
	case v.s.Folder() && err == nil && info.IsDir():
		v.readFolder(temporary)
	case v.s.Folder():
		v.err = errors.New("the output is not a folder; with split: files the folder {output} is there, write files into it")
	case err != nil:
		v.err = errors.New("the command ended with exit code 0 but wrote no output; it has to write the file {output}")
	case !info.Mode().IsRegular():
		v.err = errors.New("the output is not a regular file; write one file, not a folder or a link, or several with split: files")
	}
}

// changed reports whether a file of the source is another one than at the start.
func (v *visit) changed() bool {
	if v.origin.Path == "" {
		return false
	}
	info, err := os.Stat(v.origin.Path)
	return err != nil || info.Size() != v.origin.Bytes || info.ModTime().UnixNano() != v.origin.ModifiedNS
}

// command executes the command and classifies how it ended.
func (v *visit) command(ctx context.Context, temporary, rejects string) (retry, ok bool) {
	p := process{dir: v.r.dir, grace: v.r.options.Grace}
	if v.s.Folder() {
		if err := errors.Join(os.RemoveAll(temporary), os.Mkdir(temporary, 0o755)); err != nil {
			v.fatal = fmt.Errorf("work directory: %w", err)
			return false, false
		}
	} else if !v.s.NamesOutput() {
		f, err := create(temporary)
		if err != nil {
			v.fatal = fmt.Errorf("work directory: %w", err)
			return false, false
		}
		defer f.Close()
		p.stdout = f
	}
	stdin := ""
	switch {
	case v.s.NamesInput():
	case v.layout != nil:
		stdin = v.layout.list
	case len(v.inputs) == 1:
		stdin = v.inputs[0].Path
	}
	if stdin != "" {
		f, err := os.Open(stdin)
		if err != nil {
			v.err, v.cause = fmt.Errorf("the input cannot be read: %w", err), CauseUnreadable
			return false, false
		}
		defer f.Close()
		p.stdin = f
	}
	if v.s.Rejects != pipeline.NoRejects {
		f, err := create(rejects)
		if err != nil {
			v.fatal = fmt.Errorf("work directory: %w", err)
			return false, false
		}
		defer f.Close()
		if v.s.Rejects == pipeline.RejectsFD3 {
			p.fd3 = f
		} else {
			p.lines = f
		}
	}
	var inputs []pipeline.Input
	for _, in := range v.inputs {
		inputs = append(inputs, pipeline.Input{Step: in.Step, Path: in.Path})
	}
	if v.layout != nil {
		inputs = v.layout.inputs
	}
	p.argv, p.env = v.s.Command(inputs, temporary), v.environment(temporary)
	if p.group, p.limits = v.r.group(v.s); p.group != nil {
		defer func() {
			if err := p.group.Close(); err != nil {
				v.r.log.Warn("control group not removed", "step", v.s.Name, "unit", v.lease.Unit, "err", err)
			}
		}()
	}
	limited, cancel := context.WithTimeoutCause(ctx, v.s.Timeout, errTimeout)
	defer cancel()
	e := p.run(limited)
	v.cpu, v.peak, v.stderr = v.cpu+e.cpu, max(v.peak, e.peak), e.tail
	if e.linesErr != nil {
		v.fatal = fmt.Errorf("store the rejects of step %q: %w", v.s.Name, e.linesErr)
		return false, false
	}
	if e.err != nil && ctx.Err() == nil && full(filepath.Dir(temporary)) {
		// No fault of the command, and each next one would fail too.
		v.fatal = fmt.Errorf("work directory: %s: %w; free some space and run again", filepath.Dir(temporary), syscall.ENOSPC)
		return false, false
	}
	if e.overMemory && ctx.Err() == nil {
		v.err, v.cause = fmt.Errorf("the command went beyond its memory limit of %s and was killed; raise memory in resources of step %q, or let it work on smaller units", sizeText(v.s.Resources.Memory), v.s.Name), CauseMemory
		return slices.Contains(v.s.Retry.On, pipeline.OnExit), false
	}
	return v.classify(ctx, limited, e.err)
}

// classify turns the end of a command into a cause.
func (v *visit) classify(ctx, limited context.Context, err error) (retry, ok bool) {
	if ctx.Err() != nil {
		return false, false
	}
	if context.Cause(limited) == errTimeout { //nolint:errorlint // the very value
		v.err, v.cause = fmt.Errorf("the command did not end within %s", v.s.Timeout), CauseTimeout
		return slices.Contains(v.s.Retry.On, pipeline.OnTimeout), false
	}
	if err == nil {
		return false, true
	}
	v.cause = CauseAttempts
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		v.err = fmt.Errorf("start the command: %w", err)
		return !permanent(err), false
	}
	v.err = fmt.Errorf("the command ended with %s", exit.Error())
	if line := lastLine(v.stderr); line != "" {
		v.err = fmt.Errorf("%w: %s", v.err, line)
	}
	switch exit.ExitCode() {
	case exitData:
		v.cause = CauseData
		return false, false
	case exitTemporary:
		return true, false
	}
	return slices.Contains(v.s.Retry.On, pipeline.OnExit), false
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return strings.TrimSpace(text[strings.LastIndexByte(text, '\n')+1:])
}

// create opens a new file that is written at its end only, so that a command may
// write it by its name too.
func create(path string) (*os.File, error) {
	if err := os.RemoveAll(path); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR|os.O_APPEND, 0o644)
}
