// Package diag describes problems that a user can repair: where, what, and
// what to do about it. It holds positions, diagnostics, lists of them, source
// excerpts with carets, and suggestions for misspelled words.
package diag

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Severity says how bad a diagnostic is. The zero value is Error.
type Severity uint8

const (
	// Error means that the input cannot be used.
	Error Severity = iota
	// Warning means that the input can be used but is probably not what was meant.
	Warning
)

// String returns "error" or "warning".
func (s Severity) String() string {
	if s == Warning {
		return "warning"
	}
	return "error"
}

// Position is a place in a file. The zero value is an unknown place.
type Position struct {
	// File is the name as the user wrote it; empty if the input has none.
	File string
	// Line counts from 1; 0 means that the line is unknown.
	Line int
	// Column counts characters (not bytes) from 1; 0 means unknown.
	Column int
}

// String returns "file:line:column" and leaves out the parts that are unknown.
func (p Position) String() string {
	var parts []string
	if p.File != "" {
		parts = append(parts, p.File)
	}
	if p.Line > 0 {
		parts = append(parts, strconv.Itoa(p.Line))
		if p.Column > 0 {
			parts = append(parts, strconv.Itoa(p.Column))
		}
	}
	return strings.Join(parts, ":")
}

// Compare orders positions by file, line and column, as cmp.Compare does.
func (p Position) Compare(q Position) int {
	return cmp.Or(cmp.Compare(p.File, q.File), cmp.Compare(p.Line, q.Line), cmp.Compare(p.Column, q.Column))
}

// Diagnostic is one finding about an input that a user wrote. It is an error.
type Diagnostic struct {
	Pos      Position
	Severity Severity
	// Code is a short stable word for the kind of problem, such as
	// "unknown-key". It is not printed.
	Code string
	// Message says what is wrong, in lower case and without a full stop.
	Message string
	// Hint says what to do; it may be empty.
	Hint string
	// Width is the number of characters to underline. Values below 1 mean 1.
	Width int
}

// Error returns the diagnostic on one line:
// `rules/orders.yaml:14:7: unknown key "maks" in check "range"; did you mean "max"?`.
// A warning has the word "warning: " before its message.
func (d Diagnostic) Error() string {
	var b strings.Builder
	if pos := d.Pos.String(); pos != "" {
		b.WriteString(pos + ": ")
	}
	if d.Severity == Warning {
		b.WriteString("warning: ")
	}
	b.WriteString(oneLine(d.Message))
	if d.Hint != "" {
		b.WriteString("; " + oneLine(d.Hint))
	}
	return b.String()
}

func oneLine(s string) string {
	if strings.ContainsAny(s, "\r\n") {
		return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\r' || r == '\n' }), " ")
	}
	return s
}

// List is a collection of diagnostics in the order in which they were found.
// The zero value is an empty list that is ready to use. It implements error;
// return Err(), not the list itself, so that an empty list is a nil error.
type List []Diagnostic

// Add appends diagnostics.
func (l *List) Add(d ...Diagnostic) { *l = append(*l, d...) }

// Errorf appends an error at a position; width is the number of characters to
// underline there.
func (l *List) Errorf(pos Position, width int, code, format string, args ...any) {
	l.Add(Diagnostic{Pos: pos, Width: width, Code: code, Message: fmt.Sprintf(format, args...)})
}

// Error returns all diagnostics, one line each, in the list's order.
func (l List) Error() string {
	lines := make([]string, len(l))
	for i, d := range l {
		lines[i] = d.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the diagnostics as separate errors, for errors.As.
func (l List) Unwrap() []error {
	out := make([]error, len(l))
	for i, d := range l {
		out[i] = d
	}
	return out
}

// Sorted returns a new list ordered by file, line and column. Diagnostics at
// one place keep their order, and exact repetitions are dropped.
func (l List) Sorted() List {
	out := slices.Clone(l)
	slices.SortStableFunc(out, func(a, b Diagnostic) int { return a.Pos.Compare(b.Pos) })
	seen := make(map[Diagnostic]bool, len(out))
	return slices.DeleteFunc(out, func(d Diagnostic) bool {
		again := seen[d]
		seen[d] = true
		return again
	})
}

// HasErrors reports whether any diagnostic is an error rather than a warning.
func (l List) HasErrors() bool {
	return slices.ContainsFunc(l, func(d Diagnostic) bool { return d.Severity == Error })
}

// Err returns the errors of the list, sorted and without the warnings, as an
// error of type List, or nil if there are none.
func (l List) Err() error {
	if !l.HasErrors() {
		return nil
	}
	errs := l.Sorted()
	return slices.DeleteFunc(errs, func(d Diagnostic) bool { return d.Severity != Error })
}
