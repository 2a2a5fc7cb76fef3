package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/profilerhq/profiler/internal/report"
)

// outputFlags say how and where a report is written.
type outputFlags struct {
	format, file             string
	metricsFile, pushGateway string
	names                    []string // the formats that there are
}

// register adds the flags; more are formats that the command writes itself.
func (f *outputFlags) register(cmd *cobra.Command, kind report.Kind, more ...string) {
	f.names = more
	for _, name := range report.Formats() {
		if format, _ := report.ParseFormat(name); report.Supports(format, kind) {
			f.names = append(f.names, name)
		}
	}
	cmd.Flags().StringVarP(&f.format, "output", "o", "table", "`format` of the report: "+join(f.names))
	cmd.Flags().StringVar(&f.file, "output-file", "", "write the report to a `file` instead of standard output")
	cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(f.names, cobra.ShellCompDirectiveNoFileComp)) //nolint:errcheck // the flag exists
}

func (f *outputFlags) registerMetrics(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.metricsFile, "metrics-file", "", "write Prometheus metrics to a text `file`")
	cmd.Flags().StringVar(&f.pushGateway, "push-gateway", "", "push Prometheus metrics to the `URL` of a Pushgateway")
}

// writeJSON writes a value for programs and for people who look for a text in it.
func writeJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// reportFormat checks the format for a kind of report.
func (f *outputFlags) reportFormat(kind report.Kind) (report.Format, error) {
	format, ok := report.ParseFormat(f.format)
	if !ok {
		return "", usage("unknown output format %q; write one of %s", f.format, join(f.names))
	}
	if !report.Supports(format, kind) {
		return "", usage("a %s has no form %s; write one of %s", kind, f.format, join(f.names))
	}
	return format, nil
}

// single refuses formats whose document holds one batch when there are more.
func single(format report.Format, batches int) error {
	if batches > 1 && (format == report.FormatJUnit || format == report.FormatHTML) {
		return usage("a report in the form %s holds one batch, but there are %d; leave out --each, or read the files one by one", format, batches)
	}
	return nil
}

// options are the report's options for where it goes.
func (e *env) reportOptions(f *outputFlags, compact bool) report.Options {
	o := report.Options{Verbose: e.global.verbose, Version: e.version, Compact: compact}
	if f.file != "" {
		return o
	}
	o.Color = e.color(e.stdout)
	if t, tty := terminal(e.stdout); tty {
		if w, _, err := term.GetSize(int(t.Fd())); err == nil {
			o.Width = w
		}
	}
	return o
}

// stepSummary adds the file that GitHub shows as the summary of a step, where
// there is one.
func (e *env) stepSummary(format report.Format, o report.Options) (report.Options, func()) {
	path, _ := e.lookup("GITHUB_STEP_SUMMARY")
	if format != report.FormatGitHub || path == "" {
		return o, func() {}
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		e.message("step summary not written: " + err.Error())
		return o, func() {}
	}
	o.StepSummary = f
	return o, func() {
		if err := f.Close(); err != nil {
			e.message("step summary not written: " + err.Error())
		}
	}
}

// emit writes a finished report.
func (e *env) emit(f *outputFlags, b *bytes.Buffer) error {
	if f.file != "" {
		if err := writeFile(f.file, b.Bytes()); err != nil {
			return writeError("write the report", err)
		}
		return nil
	}
	_, err := e.stdout.Write(b.Bytes())
	if errors.Is(err, syscall.EPIPE) {
		return nil // the reader has seen enough
	}
	return err
}

// writeError is wrong usage, but for a disk without space: what was asked for
// is fine then.
func writeError(what string, err error) error {
	if errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("%s: %w; free some space and run again", what, err)
	}
	return usage("%s: %v", what, err)
}

// writeFile writes a file whole or not at all: a temporary file beside it
// takes its place.
func writeFile(path string, data []byte) error {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return os.WriteFile(path, data, 0o644) // a device or a pipe
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return plainFileError(path, err)
	}
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Chmod(0o644), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		os.Remove(tmp.Name()) //nolint:errcheck // it may be gone
		return plainFileError(path, err)
	}
	return nil
}

// plainFileError names the file that was meant instead of the temporary one.
func plainFileError(path string, err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return fmt.Errorf("%s: %w", path, pe.Err)
	}
	return fmt.Errorf("%s: %w", path, err)
}
