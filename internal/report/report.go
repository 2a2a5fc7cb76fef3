// Package report writes profiles, verdicts and histories for people and for
// machines: aligned text for a terminal, JSON, Markdown, one self-contained
// HTML page, JUnit XML and the workflow commands of GitHub. It judges nothing
// and reads no clock; what is shown comes from its arguments alone.
package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/profile"
)

// Options say how a report is written. The zero value is plain text of 100
// columns.
type Options struct {
	// Color allows escape sequences for colour in tables; no other format has
	// them.
	Color bool
	// Width is the number of terminal columns, 0 for 100. Tables keep to it
	// from 40 columns on.
	Width int
	// Verbose shows what is left out for brevity: passed checks in full, every
	// column of a wide table, every failing row that was kept.
	Verbose bool
	// Compact writes JSON on one line, for streams of one object per line.
	Compact bool
	// Now is the time printed on HTML pages; the zero time prints none.
	Now time.Time
	// Version of the program, printed on HTML pages; may be empty.
	Version string
	// StepSummary gets the Markdown form beside the GitHub commands if it is
	// not nil: the file that GITHUB_STEP_SUMMARY names, opened to append.
	StepSummary io.Writer
}

// Format is the name of an output format.
type Format string

// The formats.
const (
	FormatTable    Format = "table"
	FormatJSON     Format = "json"
	FormatMarkdown Format = "markdown"
	FormatHTML     Format = "html"
	FormatJUnit    Format = "junit"
	FormatGitHub   Format = "github"
)

// Kind is what is reported: a profile, a verdict or a history.
type Kind string

// The kinds of reports.
const (
	KindProfile Kind = "profile"
	KindCheck   Kind = "check"
	KindHistory Kind = "history"
)

// ParseFormat returns the format with the given name. ok is false for a name
// that is none.
func ParseFormat(name string) (f Format, ok bool) {
	for _, n := range Formats() {
		if n == name {
			return Format(n), true
		}
	}
	return "", false
}

// Formats returns the names of all formats in their order; the caller owns the
// slice.
func Formats() []string { return names(allFormats()) }

func allFormats() []Format {
	return []Format{FormatTable, FormatJSON, FormatMarkdown, FormatHTML, FormatJUnit, FormatGitHub}
}

// Supports reports whether the kind of report can be written in the format.
func Supports(f Format, kind Kind) bool {
	switch f {
	case FormatTable, FormatMarkdown:
		return kind == KindProfile || kind == KindCheck || kind == KindHistory
	case FormatJSON, FormatHTML:
		return kind == KindProfile || kind == KindCheck
	case FormatJUnit, FormatGitHub:
		return kind == KindCheck
	}
	return false
}

// unsupported is the error for a format that has no meaning for the kind.
func unsupported(f Format, kind Kind) error {
	var can []Format
	for _, g := range allFormats() {
		if Supports(g, kind) {
			can = append(can, g)
		}
	}
	return fmt.Errorf("output format %s has no meaning for a %s; use one of %s", f, kind, strings.Join(names(can), ", "))
}

func names(formats []Format) []string {
	out := make([]string, len(formats))
	for i, f := range formats {
		out[i] = string(f)
	}
	return out
}

// Profile writes the summary of one batch as a table, JSON, Markdown or HTML;
// other formats are an error that names these. It returns the errors of w.
func Profile(w io.Writer, f Format, s *profile.Summary, o Options) error {
	var b bytes.Buffer
	switch {
	case !Supports(f, KindProfile):
		return unsupported(f, KindProfile)
	case f == FormatJSON:
		return writeJSON(w, s, o)
	case f == FormatMarkdown:
		markdownProfile(&b, s, o)
	case f == FormatHTML:
		return htmlProfile(w, s, o)
	default:
		tableProfile(&b, s, o)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// Check writes the verdict of one batch and its results. The summary of the
// batch adds charts of its columns to HTML; it may be nil. It returns the
// errors of w and of Options.StepSummary.
func Check(w io.Writer, f Format, r *checks.Report, s *profile.Summary, o Options) error {
	var b bytes.Buffer
	switch f {
	case FormatTable:
		tableCheck(&b, r, o)
	case FormatJSON:
		return writeJSON(w, r, o)
	case FormatMarkdown:
		markdownCheck(&b, r, o)
	case FormatHTML:
		return htmlCheck(w, r, s, o)
	case FormatJUnit:
		junitCheck(&b, r)
	case FormatGitHub:
		githubCheck(&b, r)
		if o.StepSummary != nil {
			var m bytes.Buffer
			markdownCheck(&m, r, o)
			if _, err := o.StepSummary.Write(m.Bytes()); err != nil {
				return fmt.Errorf("write step summary: %w", err)
			}
		}
	default:
		return unsupported(f, KindCheck)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// writeJSON writes one object and a line end: indented for people, on one line
// with Options.Compact.
func writeJSON(w io.Writer, v any, o Options) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	var b bytes.Buffer
	if o.Compact {
		b.Write(text)
	} else if err := json.Indent(&b, text, "", "  "); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	b.WriteByte('\n')
	_, err = w.Write(b.Bytes())
	return err
}
