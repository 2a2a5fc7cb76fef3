// Package answers reads incidents.yaml: what people said about batches, kept in
// git beside the rules. It says the same as `profiler history label`.
package answers

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

// Answer is one entry of the file.
type Answer struct {
	// Dataset is namespace/name.
	Dataset string
	// From is the first time that is meant, To the first one that is not.
	From, To time.Time
	// As is real, fine, fine-once or new-normal.
	As   string
	By   string
	Note string
	Pos  diag.Position
}

// Covers reports whether the answer is about a batch.
func (a *Answer) Covers(dataset string, at time.Time) bool {
	return a.Dataset == dataset && !at.Before(a.From) && at.Before(a.To)
}

// Of returns the answer about a batch, the last one that covers it; nil is none.
func Of(all []Answer, dataset string, at time.Time) *Answer {
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].Covers(dataset, at) {
			return &all[i]
		}
	}
	return nil
}

// Load reads a file. The error is of reading it; the diagnostics are all its
// mistakes.
func Load(path string) ([]Answer, diag.List, error) {
	data, err := os.ReadFile(path)
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%s: the file of incidents cannot be read: %w", path, err)
	}
	a, diags := Parse(path, data)
	return a, diags, nil
}

var (
	fileKeys   = []string{"version", "incidents"}
	answerKeys = []string{"dataset", "from", "to", "as", "by", "note"}
)

// Parse reads the text of a file.
func Parse(file string, data []byte) ([]Answer, diag.List) {
	docs, errs := yamldoc.Parse(file, data)
	var out []Answer
	for _, doc := range docs {
		m := doc.Root().Mapping(&errs)
		if m == nil {
			continue
		}
		m.Unknown(fileKeys, "the file of incidents", &errs)
		if v, ok := m.Get("version").Int(&errs); ok && v != 1 {
			m.Get("version").Errorf(&errs, yamldoc.CodeValue, "version %d is not known; this program reads version 1", v)
		}
		for _, n := range m.Get("incidents").Items() {
			if a, ok := parse(n, &errs); ok {
				out = append(out, a)
			}
		}
	}
	return out, errs.Sorted()
}

func parse(n *yamldoc.Node, errs *diag.List) (Answer, bool) {
	m := n.Mapping(errs)
	if m == nil {
		return Answer{}, false
	}
	before := len(*errs)
	m.Unknown(answerKeys, "an incident", errs)
	a := Answer{Pos: n.Pos()}
	if name, ok := m.Required("dataset", "an incident", errs).String(errs); ok {
		if a.Dataset = name; !strings.Contains(name, "/") {
			a.Dataset = "default/" + name
		}
	}
	a.As, _ = m.Required("as", "an incident", errs).OneOf(errs, "real", "fine", "fine-once", "new-normal")
	from := m.Required("from", "an incident", errs)
	if from != nil {
		a.From, a.To = span(from, errs)
	}
	if to := m.Get("to"); to != nil {
		_, a.To = span(to, errs)
	}
	yamldoc.Set(&a.By, m.Get("by"), (*yamldoc.Node).String, errs)
	yamldoc.Set(&a.Note, m.Get("note"), (*yamldoc.Node).String, errs)
	if len(*errs) == before && !a.From.Before(a.To) {
		from.Errorf(errs, yamldoc.CodeValue, "it ends before it begins")
	}
	return a, len(*errs) == before
}

func span(n *yamldoc.Node, errs *diag.List) (from, to time.Time) {
	from, to, ok := Span(n.Raw())
	if !ok {
		n.Errorf(errs, yamldoc.CodeValue, "expected a day or a time such as 2026-03-01 or 2026-03-01T06:00:00Z, got %s", n.Describe())
	}
	return from, to
}

// Span returns what a text stands for: a whole day, or a moment, which lasts a
// microsecond.
func Span(text string) (from, to time.Time, ok bool) {
	if t, err := time.Parse(time.DateOnly, text); err == nil {
		return t, t.AddDate(0, 0, 1), true
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), t.UTC().Add(time.Microsecond), true
		}
	}
	return time.Time{}, time.Time{}, false
}
