// Package partition takes one table apart by a column of times and profiles
// each span of time by itself: the batches of a history that was kept in one
// piece.
package partition

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/profile"
)

// Unit is the length of a span.
type Unit string

// The units of --partition-by.
const (
	Hour  Unit = "hour"
	Day   Unit = "day"
	Week  Unit = "week" // from Monday
	Month Unit = "month"
)

// maxSpans bounds the profiles in memory.
const maxSpans = 10_000

// By says how a table is taken apart.
type By struct {
	Column string
	Unit   Unit
}

// Parse reads COLUMN or COLUMN:UNIT; without a unit it is day.
func Parse(text string) (By, error) {
	b := By{Column: text, Unit: Day}
	if i := strings.LastIndexByte(text, ':'); i >= 0 {
		switch u := Unit(text[i+1:]); u {
		case Hour, Day, Week, Month:
			b = By{text[:i], u}
		default:
			return By{}, fmt.Errorf("%q is no unit; write hour, day, week or month", text[i+1:])
		}
	}
	if b.Column == "" {
		return By{}, errors.New("the column is empty; write one like created_at:day")
	}
	return b, nil
}

// span returns the start of the span that a time falls in, and its name.
func (u Unit) span(us int64) (start time.Time, name string) {
	t := time.UnixMicro(us).UTC()
	day := time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
	switch u {
	case Hour:
		start = t.Truncate(time.Hour)
		return start, start.Format("2006-01-02T15")
	case Week:
		start = day.AddDate(0, 0, -(int(day.Weekday())+6)%7)
		year, week := start.ISOWeek()
		return start, fmt.Sprintf("%04d-W%02d", year, week)
	case Month:
		start = time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
		return start, start.Format("2006-01")
	default:
	}
	return day, day.Format(time.DateOnly)
}

// Part is the profile of one span.
type Part struct {
	Name    string
	At      time.Time // the start of the span
	Profile *profile.Profile
}

// Split is a table that was taken apart.
type Split struct {
	Parts []Part // by time
	// Left counts the rows without a time in the column: they are in no part.
	Left int64
}

// ErrNoColumn says that the table has no such column.
var ErrNoColumn = errors.New("no such column")

// splitter is a split at work.
type splitter struct {
	by      By
	parts   map[int64]*building // by the start of the span in microseconds
	columns []batch.Column
	column  int
	left    int64
	rows    map[int64][]int32 // of the chunk at hand
	chunk   batch.Chunk
}

type building struct {
	name    string
	builder *profile.Builder
}

// Read takes the batch of a reader apart. info is that of every part. An error
// matches ErrNoColumn, or is that of the reader.
func Read(ctx context.Context, r batch.Reader, by By, info profile.Info) (Split, error) {
	s := &splitter{by: by, parts: map[int64]*building{}, column: -1, rows: map[int64][]int32{}}
	var c batch.Chunk
	for {
		err := r.Next(ctx, &c)
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = c.FillAll()
		}
		if err == nil {
			err = s.take(r.Columns(), &c)
		}
		if err != nil {
			return Split{}, err
		}
	}
	if s.column < 0 && !s.find(r.Columns()) {
		return Split{}, fmt.Errorf("%w %q", ErrNoColumn, by.Column)
	}
	return s.finish(r.Columns(), info), nil
}

func (s *splitter) find(columns []batch.Column) bool {
	s.column = slices.IndexFunc(columns, func(c batch.Column) bool { return c.Name == s.by.Column && c.List == "" })
	return s.column >= 0
}

func (s *splitter) take(columns []batch.Column, c *batch.Chunk) error {
	s.columns = columns
	if s.column < 0 && !s.find(columns) {
		s.left += int64(c.Rows)
		return nil
	}
	for k := range s.rows {
		delete(s.rows, k)
	}
	v := &c.Vectors[s.column]
	for i := range c.Rows {
		p, j := v.At(i)
		if t := p.Types[j]; t != batch.Date && t != batch.Timestamp {
			s.left++
			continue
		}
		start, name := s.by.Unit.span(p.Value(j).Int)
		key := start.UnixMicro()
		if s.parts[key] == nil {
			if len(s.parts) == maxSpans {
				return fmt.Errorf("the column %q has more than %d %ss; choose a longer unit", s.by.Column, maxSpans, s.by.Unit)
			}
			s.parts[key] = &building{name, profile.NewBuilder()}
		}
		s.rows[key] = append(s.rows[key], int32(i)) //nolint:gosec // an index of a chunk
	}
	for key, rows := range s.rows {
		s.chunk.Reset(len(c.Vectors), nil)
		s.chunk.Filled()
		s.chunk.Rows, s.chunk.First = len(rows), c.RowAt(int(rows[0]))
		for k := range c.Vectors {
			s.chunk.Vectors[k].AppendRows(&c.Vectors[k], rows)
		}
		if err := s.parts[key].builder.Add(columns, &s.chunk); err != nil {
			return err
		}
	}
	return nil
}

func (s *splitter) finish(columns []batch.Column, info profile.Info) Split {
	out := Split{Left: s.left}
	for key, b := range s.parts {
		out.Parts = append(out.Parts, Part{b.name, time.UnixMicro(key).UTC(), b.builder.Finish(columns, info)})
	}
	slices.SortFunc(out.Parts, func(a, b Part) int { return cmp.Compare(a.At.UnixMicro(), b.At.UnixMicro()) })
	return out
}
