// Package split reads a judged batch a second time and parts its rows: those
// that rules reject go to a file of their own, each with the rule and the
// reason, the others to another. Both together are the input.
package split

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/source"
)

// The columns that rejected rows get.
const (
	RuleColumn   = "_rule"
	ReasonColumn = "_reason"
	RowColumn    = "_row"
)

// Job says what to part and where to.
type Job struct {
	// Input and Options are those with which the batch was judged; Options.Stdin
	// starts at its beginning again.
	Input   source.Input
	Options source.Options
	// Summary is the profile of the batch, Rejected what its checks found.
	Summary  *profile.Summary
	Rejected []checks.Rejected
	// Failing gets each rejected row once for each check as a line of JSON; nil
	// is off.
	Failing io.Writer
	// Good and Bad get the rows in the format of the input; nil are off.
	Good, Bad io.Writer
}

// Counts says what was written.
type Counts struct {
	Failing   int64 // lines
	Good, Bad int64 // rows; malformed records count in Bad
	Recoded   bool  // text of another encoding was written as UTF-8
}

// UsageError says that this input cannot be parted.
type UsageError struct{ Message string }

// Error returns the message.
func (e *UsageError) Error() string { return e.Message }

// Check reports with a *UsageError what cannot be parted, before anything is
// read.
func (j *Job) Check() error {
	if j.Good == nil {
		return nil
	}
	return Splittable(j.Options)
}

// Splittable reports with a *UsageError options under which the rows that are
// read are not those of the input.
func Splittable(o source.Options) error {
	for _, f := range []struct {
		flag string
		set  bool
	}{{"--columns", len(o.Columns) > 0}, {"--rows", o.Rows > 0}, {"--sample", o.Sample > 0 && o.Sample < 1}} {
		if f.set {
			return &UsageError{"--split parts all rows with all their columns; leave out " + f.flag}
		}
	}
	return nil
}

// Run reads the input and writes the rows. Errors of the input are those of
// package source; a *UsageError says that its format cannot be parted.
func Run(ctx context.Context, j Job) (Counts, error) {
	if err := j.Check(); err != nil {
		return Counts{}, err
	}
	w := &walk{job: j}
	err := w.run(ctx)
	return w.counts, err
}

// walk is one pass over the rows.
type walk struct {
	job    Job
	counts Counts
	reader *source.Reader
	chunk  batch.Chunk
	queue  queue // of text formats
	lines  *lines
	sides  sides
	bytes  []string // columns with bytes that are not valid UTF-8
	row    rejection
}

// rejection is why a row is bad.
type rejection struct {
	row            int64 // 0 for a malformed record
	rules, reasons []string
	warns          []bool
}

func (r *rejection) add(rule, reason string, warns bool) {
	r.rules, r.reasons, r.warns = append(r.rules, rule), append(r.reasons, reason), append(r.warns, warns)
}

// failing joins the rules that can fail, and their reasons; empty is a good
// row.
func (r *rejection) failing() (rule, reason string) {
	var rules, reasons []string
	for i := range r.rules {
		if !r.warns[i] {
			rules, reasons = append(rules, r.rules[i]), append(reasons, r.reasons[i])
		}
	}
	return strings.Join(rules, ", "), strings.Join(reasons, "; ")
}

// sides take the rows of the input one after the other.
type sides interface {
	// good and bad take the next row.
	good() error
	bad(rule, reason string, row int64) error
	close() error
}

func (w *walk) run(ctx context.Context) (err error) {
	opts := w.job.Options
	opts.Records, opts.Progress = w.queue.add, nil
	if w.reader, err = source.Open(ctx, w.job.Input, opts); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.reader.Close()) }()
	for i := range w.job.Summary.Columns {
		c := &w.job.Summary.Columns[i]
		if slices.Contains([]string{RuleColumn, ReasonColumn, RowColumn}, c.Name) {
			return &UsageError{fmt.Sprintf("%s has a column %s already, as rejected rows have; take it out first", w.job.Input.URL, c.Name)}
		}
		if c.InvalidUTF8 > 0 {
			w.bytes = append(w.bytes, c.Name)
		}
	}
	info := w.reader.Info()
	w.queue.headers, w.counts.Recoded = map[string]bool{}, info.Recoded
	if w.job.Failing != nil {
		w.lines = newLines(w.job.Failing, w.job.Summary)
	}
	if w.job.Good != nil {
		if w.sides, err = w.open(info); err != nil {
			return err
		}
	}
	if err := w.rows(ctx); err != nil {
		return err
	}
	if w.lines != nil {
		err = w.lines.flush()
	}
	if w.sides != nil {
		err = errors.Join(err, w.sides.close())
	}
	return err
}

// rows takes all chunks.
func (w *walk) rows(ctx context.Context) error {
	for {
		err := w.reader.Next(ctx, &w.chunk)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if w.queue.err != nil {
			return w.queue.err
		}
		for i := range w.chunk.Rows {
			if err := w.takeRow(i); err != nil {
				return err
			}
		}
		if err := w.between(0); err != nil {
			return err
		}
		w.queue.reset()
		if err != nil {
			return nil
		}
	}
}

// takeRow takes row i of the chunk.
func (w *walk) takeRow(i int) error {
	row := w.chunk.RowAt(i)
	if err := w.between(row); err != nil {
		return err
	}
	rej := &w.row
	rej.row, rej.rules, rej.reasons, rej.warns = row, rej.rules[:0], rej.reasons[:0], rej.warns[:0]
	for k := range w.job.Rejected {
		r := &w.job.Rejected[k]
		if !r.Rows.Has(row) {
			continue
		}
		reason, err := r.Reason(w.reader.Columns(), &w.chunk, i)
		if err != nil {
			return err
		}
		rej.add(r.ID, reason, r.Warns)
	}
	if err := w.checkBytes(i); err != nil {
		return err
	}
	if w.lines != nil {
		for k := range rej.rules {
			w.counts.Failing++
			if err := w.lines.row(w, i, rej.rules[k], rej.reasons[k], row); err != nil {
				return err
			}
		}
	}
	if w.sides == nil {
		return nil
	}
	if rule, reason := rej.failing(); rule != "" {
		w.counts.Bad++
		return w.sides.bad(rule, reason, row)
	}
	w.counts.Good++
	return w.sides.good()
}

// checkBytes rejects rows with values that are not valid UTF-8, as the built-in
// check does.
func (w *walk) checkBytes(i int) error {
	for _, name := range w.bytes {
		at := slices.IndexFunc(w.reader.Columns(), func(c batch.Column) bool { return c.Name == name })
		if at < 0 {
			continue
		}
		v, err := w.chunk.Fill(at)
		if err != nil {
			return err
		}
		for _, e := range v.ElementsOf([]int32{int32(i)}, nil) { //nolint:gosec // a row of a chunk
			plain, k := v.At(int(e))
			if plain.Types[k] == batch.String && !utf8.Valid(plain.Bytes(k)) {
				w.row.add(parsable, name+" is not valid UTF-8", false)
				break
			}
		}
	}
	return nil
}

const parsable = "parsable"

// between takes the records of a text that stand before a row, all that are
// left for 0, and makes that row the current one of the queue.
func (w *walk) between(row int64) error {
	for {
		rec, ok := w.queue.next(row)
		if !ok {
			return nil
		}
		if rec.kind == batch.RowRecord { // of a sample
			continue
		}
		text := w.queue.text[rec.start:rec.end]
		if rec.kind == batch.MalformedRecord && w.lines != nil {
			w.counts.Failing++
			if err := w.lines.malformed(text, rec.reason); err != nil {
				return err
			}
		}
		if w.sides == nil {
			continue
		}
		t := w.sides.(*textSides)
		switch rec.kind {
		case batch.HeaderRecord:
			if err := t.header(text); err != nil {
				return err
			}
		case batch.MalformedRecord:
			w.counts.Bad++
			if err := t.malformed(text, rec.reason); err != nil {
				return err
			}
		default:
			if err := t.other(text); err != nil {
				return err
			}
		}
	}
}

// maxQueue bounds the text that is held at once.
const maxQueue = 1 << 30

// queue holds the records of the chunk at hand.
type queue struct {
	text    []byte
	records []record
	at      int    // the next record
	current []byte // text of the row at hand
	rows    int64
	headers map[string]bool
	err     error
}

type record struct {
	kind       batch.RecordKind
	row        int64
	start, end int
	reason     string
	more       bool
}

// add takes a record from the reader.
func (q *queue) add(r batch.Record) {
	if len(q.text)+len(r.Text) > maxQueue && q.err == nil {
		q.err = &UsageError{fmt.Sprintf("a record is longer than %d MiB; it cannot be kept", maxQueue>>20)}
	}
	if q.err != nil {
		return
	}
	if n := len(q.records); n > 0 && q.records[n-1].more {
		q.text = append(q.text, r.Text...)
		q.records[n-1].end, q.records[n-1].more = len(q.text), r.More
		return
	}
	rec := record{kind: r.Kind, start: len(q.text), reason: r.Reason, more: r.More}
	if r.Kind == batch.RowRecord {
		q.rows++
		rec.row = q.rows
	}
	q.text = append(q.text, r.Text...)
	rec.end = len(q.text)
	q.records = append(q.records, rec)
}

// next returns the next record before a row; ok is false when the row is next,
// which then is the current one.
func (q *queue) next(row int64) (rec record, ok bool) {
	if q.at == len(q.records) {
		return rec, false
	}
	rec = q.records[q.at]
	if rec.kind == batch.RowRecord && row > 0 && rec.row == row {
		q.current = q.text[rec.start:rec.end]
		q.at++
		return rec, false
	}
	q.at++
	return rec, true
}

func (q *queue) reset() { q.text, q.records, q.at, q.current = q.text[:0], q.records[:0], 0, nil }

// lineEnd splits a record from its line end.
func lineEnd(text []byte) (record, end []byte) {
	n := len(text)
	switch {
	case bytes.HasSuffix(text, []byte("\r\n")):
		n -= 2
	case n > 0 && (text[n-1] == '\n' || text[n-1] == '\r'):
		n--
	}
	return text[:n], text[n:]
}

func rowText(row int64) string {
	if row == 0 {
		return ""
	}
	return strconv.FormatInt(row, 10)
}
