package cli

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/rules"
	"github.com/profilerhq/profiler/internal/source"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

// sourceFlags say how data is read; profile and check share them.
type sourceFlags struct {
	format, delimiter, quote, comment, encoding, timezone string
	noHeader, each                                        bool
	nulls, columns, sensitive                             []string
	rows, unpackLimit                                     int64
	sample                                                string
	dataset, batch, at                                    string

	progress *progress // over all inputs; nil where none is shown
}

func (f *sourceFlags) register(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.format, "format", "", "`format` of the data: "+strings.Join(source.Formats, ", ")+" (default: found by content)")
	fl.StringVar(&f.delimiter, "delimiter", "", "`character` between fields (default: found among , ; tab |)")
	fl.StringVar(&f.quote, "quote", "", "`character` around fields (default \")")
	fl.StringVar(&f.comment, "comment", "", "`character` that begins a line to pass over")
	fl.StringVar(&f.encoding, "encoding", "", "`encoding` of text (default UTF-8, or UTF-16 by its mark)")
	fl.StringVar(&f.timezone, "timezone", "UTC", "`zone` of times that name none")
	fl.BoolVar(&f.noHeader, "no-header", false, "the first record is a row; columns are column_1, column_2 …")
	fl.StringArrayVar(&f.nulls, "null", nil, "`text` that means null, beside the empty field (repeatable)")
	fl.StringSliceVar(&f.columns, "columns", nil, "read only these `columns`, separated by commas")
	fl.StringSliceVar(&f.sensitive, "sensitive", nil, "mask the values of these `columns` or patterns, beside those that the rules call sensitive")
	fl.Int64Var(&f.rows, "rows", 0, "stop after `N` rows")
	fl.StringVar(&f.sample, "sample", "", "take this `share` of the rows that are read, like 0.1, always the same ones")
	fl.Int64Var(&f.unpackLimit, "unpack-limit", source.DefaultUnpackLimit, "refuse packed data that unpacks to more than `N` times its size, beyond the first GiB (0: no limit)")
	fl.BoolVar(&f.each, "each", false, "every file is a batch of its own")
	fl.StringVar(&f.dataset, "dataset", "", "`name` of the dataset (default: from the source)")
	fl.StringVar(&f.batch, "batch", "", "`name` of the batch (default: the day in the file's name, else a hash of source and content)")
	fl.StringVar(&f.at, "at", "", "`time` of the batch (default: the day in the file's name, else now)")
}

// options checks the flags.
func (f *sourceFlags) options(e *env) (source.Options, error) {
	o := source.Options{Format: f.format, NoHeader: f.noHeader, Nulls: f.nulls, Encoding: f.encoding, Columns: f.columns, Rows: f.rows, Stdin: e.stdin}
	if f.format != "" && !contains(source.Formats, f.format) {
		return o, usage("unknown format %q; write one of %s", f.format, strings.Join(source.Formats, ", "))
	}
	for _, c := range []struct {
		name, value string
		target      *byte
	}{{"delimiter", f.delimiter, &o.Delimiter}, {"quote", f.quote, &o.Quote}, {"comment", f.comment, &o.Comment}} {
		b, err := oneByte(c.name, c.value)
		if err != nil {
			return o, err
		}
		*c.target = b
	}
	if o.Quote != 0 && o.Quote == o.Delimiter {
		return o, usage("--quote and --delimiter are the same character")
	}
	if f.rows < 0 {
		return o, usage("--rows %d is negative", f.rows)
	}
	if f.sample != "" {
		share, err := strconv.ParseFloat(f.sample, 64)
		if err != nil || !(share > 0 && share <= 1) {
			return o, usage("--sample %q is no share of the rows; write one above 0 and up to 1, like 0.1", f.sample)
		}
		o.Sample = share
	}
	if f.unpackLimit < 0 {
		return o, usage("--unpack-limit %d is negative", f.unpackLimit)
	}
	if o.UnpackLimit = f.unpackLimit; f.unpackLimit == 0 {
		o.UnpackLimit = -1
	}
	return o, nil
}

// keptNowhere checks what goes with --sample: its numbers would be taken for
// those of the whole where they are kept. recorded names the flags that keep
// them and that are given; configured is set if a store is that of the
// configuration.
func (f *sourceFlags) keptNowhere(e *env, o source.Options, out *outputFlags, configured bool, recorded ...string) error {
	if o.Sample == 0 || o.Sample == 1 {
		return nil
	}
	if out.metricsFile != "" {
		recorded = append(recorded, "--metrics-file")
	}
	if out.pushGateway != "" {
		recorded = append(recorded, "--push-gateway")
	}
	if len(recorded) > 0 {
		return usage("--sample: what a sample tells would be taken for the whole; leave out %s or --sample", strings.Join(recorded, ", "))
	}
	if configured {
		e.note("the sample is not recorded in the store of the configuration")
	}
	return nil
}

// location is the zone of --timezone.
func (f *sourceFlags) location() (*time.Location, error) {
	loc, err := time.LoadLocation(f.timezone)
	if err != nil {
		return nil, usage("unknown time zone %q; write one like Europe/Berlin", f.timezone)
	}
	return loc, nil
}

func oneByte(name, value string) (byte, error) {
	switch value {
	case "":
		return 0, nil
	case `\t`, "tab":
		return '\t', nil
	}
	if len(value) != 1 || value == "\n" || value == "\r" {
		return 0, usage("--%s %q is not a single ASCII character", name, value)
	}
	return value[0], nil
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// when returns the time of --at; zero without it.
func (f *sourceFlags) when(loc *time.Location) (time.Time, error) {
	return parseTime("--at", f.at, loc)
}

// parseTime reads a date or a time by RFC 3339, the zone may be missing.
func parseTime(flag, text string, loc *time.Location) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, text, loc); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usage("%s %q is no time; write one like 2026-03-01 or 2026-03-01T06:00:00Z", flag, text)
}

// inputs finds the batches behind the arguments.
func (f *sourceFlags) inputs(cmd *cobra.Command, e *env, args []string) ([]source.Input, error) {
	if len(args) == 0 {
		return nil, usage("name a source: a file, a folder, a pattern, or - for standard input; see %s --help", cmd.CommandPath())
	}
	for _, a := range args {
		if _, tty := terminal(e.stdin); a == source.Stdin && tty {
			return nil, usage("standard input is a terminal; pipe data into it or name a file")
		}
	}
	in, err := source.Expand(args, f.each)
	if err != nil {
		return nil, asUsage(err)
	}
	if f.batch != "" && len(in) > 1 {
		return nil, usage("--batch names one batch, but there are %d; leave out --each", len(in))
	}
	if out, tty := terminal(e.stderr); tty && !e.global.quiet {
		f.progress = newProgress(out, in)
	}
	return in, nil
}

// asUsage gives errors of naming a source the exit code of wrong usage.
func asUsage(err error) error {
	var u *source.UsageError
	if errors.As(err, &u) {
		return &exitError{exitUsage, u.Message}
	}
	return err
}

// datasetOf returns the dataset of an input: the flag, else the source's name.
func (f *sourceFlags) datasetOf(in source.Input) string {
	if f.dataset != "" {
		return rules.DatasetName(f.dataset)
	}
	return rules.DatasetName(in.Name)
}

// open opens an input, with progress p unless that is nil.
func (e *env) open(ctx context.Context, in source.Input, o source.Options, p *progress) (*source.Reader, func(), error) {
	done := func() {}
	if p != nil {
		p.next(in)
		o.Progress, done = p.update, p.clear
	}
	if o.Stdin != nil {
		o.Stdin = newStdin(ctx, o.Stdin)
	}
	r, err := source.Open(ctx, in, o)
	if err != nil {
		done()
		return nil, nil, asUsage(err)
	}
	return r, done, nil
}

// saveProfile writes the binary form of a profile.
func saveProfile(path string, p *profile.Profile) error {
	b, err := p.Encode()
	if err != nil {
		return err
	}
	return writeFile(path, b)
}

// parseSpan reads a span of time such as 90d.
func parseSpan(text string) (time.Duration, bool) {
	d, err := yamldoc.ParseDuration(text)
	return d, err == nil && d > 0
}
