package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/monitor"
	"github.com/profilerhq/profiler/internal/source"
	"github.com/profilerhq/profiler/internal/split"
	"github.com/profilerhq/profiler/internal/words"
)

// partsFlags say where failing rows are written.
type partsFlags struct {
	failing string
	split   []string
}

func (f *partsFlags) register(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.failing, "failing-rows-file", "", "write all failing rows of all row checks to a `file` as JSON lines")
	fl.StringArrayVar(&f.split, "split", nil, "write the rows that break no rule and those that do to two files: `GOOD BAD`, in the format of the input")
}

// pairSplit makes the two files behind --split two flags, as a flag has one
// value. A flag that is written twice is left as it is.
func pairSplit(args []string) []string {
	if first := slices.Index(args, "--split"); first >= 0 && slices.Contains(args[first+1:], "--split") {
		return args
	}
	out := make([]string, 0, len(args)+2)
	for i := 0; i < len(args); i++ {
		if args[i] == "--" {
			return append(out, args[i:]...)
		}
		out = append(out, args[i])
		if args[i] == "--split" && i+2 < len(args) && !strings.HasPrefix(args[i+1], "-") && !strings.HasPrefix(args[i+2], "-") {
			out = append(out, args[i+1], "--split", args[i+2])
			i += 2
		}
	}
	return out
}

// parts writes the rows of a judged batch to files; nil writes none.
type parts struct {
	e         *env
	options   source.Options
	input     source.Input
	spool     *os.File // of the standard input
	failing   *split.File
	good, bad *split.File
}

// open starts the files before anything is read, so that what cannot be written
// is known at once.
func (f *partsFlags) open(e *env, o source.Options, inputs []source.Input) (p *parts, err error) {
	if f.failing == "" && len(f.split) == 0 {
		return nil, nil
	}
	flag := "--failing-rows-file"
	if len(f.split) > 0 {
		flag = "--split"
		if len(f.split) != 2 {
			return nil, usage("--split names two files, for the good rows and for the bad ones, as in --split good.csv bad.csv")
		}
		if err := split.Splittable(o); err != nil {
			return nil, usage("%v", err)
		}
	}
	if len(inputs) > 1 {
		return nil, usage("%s takes the rows of one batch, but there are %d; leave out --each", flag, len(inputs))
	}
	if err := f.distinct(inputs[0]); err != nil {
		return nil, err
	}
	p = &parts{e: e, options: o, input: inputs[0]}
	defer func() {
		if err != nil {
			p.abort()
			p = nil
		}
	}()
	for _, t := range []struct {
		path string
		file **split.File
	}{{f.failing, &p.failing}, {f.at(0), &p.good}, {f.at(1), &p.bad}} {
		if t.path == "" {
			continue
		}
		if *t.file, err = split.Create(t.path); err != nil {
			return p, writeError("write "+t.path, plainFileError(t.path, err))
		}
	}
	if p.input.Files[0] == source.Stdin {
		if p.spool, err = os.CreateTemp("", "profiler-*"); err != nil {
			return p, fmt.Errorf("keep a copy of the standard input: %w", err)
		}
		e.stdin = io.TeeReader(e.stdin, p.spool)
	}
	return p, nil
}

func (f *partsFlags) at(i int) string {
	if i < len(f.split) {
		return f.split[i]
	}
	return ""
}

// distinct refuses files that would be written twice, or over the input.
func (f *partsFlags) distinct(in source.Input) error {
	named := []string{}
	for _, path := range append([]string{f.failing}, f.split...) {
		if path == "" {
			continue
		}
		info, err := os.Stat(path)
		for _, other := range named {
			if path == other {
				return usage("%s is named twice; name different files", path)
			}
		}
		for _, file := range in.Files {
			if own, ferr := os.Stat(file); err == nil && ferr == nil && info.Mode().IsRegular() && os.SameFile(info, own) {
				return usage("%s is the input itself; name another file", path)
			}
		}
		named = append(named, path)
	}
	return nil
}

// write reads the batch again and writes its rows.
func (p *parts) write(ctx context.Context, o *monitor.Outcome) error {
	if p == nil {
		return nil
	}
	job := split.Job{Input: p.input, Options: p.options, Summary: o.Profile.Summary(), Rejected: o.Rejected}
	if p.spool != nil {
		if _, err := p.spool.Seek(0, io.SeekStart); err != nil {
			return fmt.Errorf("read the copy of the standard input: %w", err)
		}
		job.Options.Stdin = p.spool
	}
	if p.failing != nil {
		job.Failing = p.failing
	}
	if p.good != nil && p.splittable(o) {
		job.Good, job.Bad = p.good, p.bad
	}
	counts, err := split.Run(ctx, job)
	var wrong *split.UsageError
	if errors.As(err, &wrong) {
		return usage("%s", wrong.Message)
	}
	if err != nil {
		return asUsage(err)
	}
	var files []*split.File
	if job.Failing != nil {
		files = append(files, p.failing)
	}
	if job.Good != nil {
		files = append(files, p.good, p.bad)
		p.e.note("%s good, %s bad", words.Things(int(counts.Good), "row"), words.Things(int(counts.Bad), "row"))
		if counts.Recoded {
			p.e.note("the rows were written as UTF-8; the input has another encoding")
		}
	}
	for _, f := range files {
		if err := f.Commit(); err != nil {
			return writeError("write the rows", err)
		}
	}
	return nil
}

// splittable reports whether it is known of each row whether it is good.
func (p *parts) splittable(o *monitor.Outcome) bool {
	for i := range o.Report.Results {
		r := &o.Report.Results[i]
		if s := checks.Find(r.Kind); r.Status == checks.Error && s != nil && s.Level == checks.RowLevel {
			p.e.message(fmt.Sprintf("the rows were not split: %s could not be judged", r.ID))
			return false
		}
	}
	return true
}

// abort drops the files that are not finished.
func (p *parts) abort() {
	if p == nil {
		return
	}
	for _, f := range []*split.File{p.failing, p.good, p.bad} {
		if f != nil {
			f.Abort()
		}
	}
	if p.spool != nil {
		p.spool.Close()
		os.Remove(p.spool.Name()) //nolint:errcheck // it may be gone
	}
}
