// Package suggest makes a starter rule file of the profiles of one or many
// batches. It prefers to say too little: a rule that fails on healthy data is
// switched off within a week, and takes the others with it.
package suggest

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/draft"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/words"
)

// Batch is one batch that suggestions are made from.
type Batch struct {
	Profile *profile.Profile
	// AsOf is the moment from which freshness of the batch is measured; zero if
	// that is not known.
	AsOf time.Time
}

// Tally says how many values of a column are not valid in a format.
type Tally struct {
	Evaluated, Failed int64
	// Worst is the largest share of a batch that is not valid.
	Worst float64
}

// Add counts the values of one more batch.
func (t Tally) Add(evaluated, failed int64) Tally {
	t.Evaluated += evaluated
	t.Failed += failed
	if evaluated > 0 {
		t.Worst = max(t.Worst, float64(failed)/float64(evaluated))
	}
	return t
}

// Options say what suggestions are made for.
type Options struct {
	Dataset string
	// Formats are the tallies of formats by column, from the data itself. A
	// column that is not in it is judged by its values, if all are known.
	Formats map[string]map[string]Tally
	// Location is the zone of times that name none; nil is UTC.
	Location *time.Location
}

// minRows is how many rows are needed before their values say anything.
const minRows = 30

// subject is what the batches have of one dataset.
type subject struct {
	batches []Batch
	opts    Options
	rows    int64
	columns []*series
}

// series is one column over all batches.
type series struct {
	name string
	// cols are the summaries, nil for batches that lack the column; profiles are
	// those of the same batches.
	cols     []*profile.Column
	profiles []*profile.Profile
	count    int64 // of values
	nulls    int64
	present  int // batches that have the column
}

// Rules returns the suggested rule file. Batches are in the order of time.
func Rules(batches []Batch, o Options) *draft.File {
	s := collect(batches, o)
	f := &draft.File{Head: s.head(), Dataset: o.Dataset}
	s.volume(f)
	s.schema(f)
	s.freshness(f)
	for _, c := range s.columns {
		if c.sensitive() {
			f.Sensitive = append(f.Sensitive, c.name)
		}
		c.suggest(f, s)
	}
	s.duplicates(f)
	return f
}

func collect(batches []Batch, o Options) *subject {
	s := &subject{batches: batches, opts: o}
	index := map[string]*series{}
	for _, b := range batches {
		s.rows += b.Profile.Rows()
		for _, name := range b.Profile.ColumnNames() {
			if index[name] == nil {
				index[name] = &series{name: name}
				s.columns = append(s.columns, index[name])
			}
		}
	}
	for _, c := range s.columns {
		for _, b := range batches {
			col := b.Profile.Column(c.name)
			c.cols, c.profiles = append(c.cols, col), append(c.profiles, b.Profile)
			if col != nil {
				c.present++
				c.count += col.Count
				c.nulls += col.Nulls
			}
		}
	}
	return s
}

func (s *subject) head() []string {
	of := fmt.Sprintf("%s of %s", words.Things(s.rows, "row"), words.Plural(len(s.batches), "batch", "batches"))
	lines := []string{
		"yaml-language-server: $schema=./profiler.schema.json",
		"",
		"Suggested by profiler from " + of + ".",
		"Each rule says what it was made from. Keep those that are promises about the",
		"data, and drop those that only describe it.",
	}
	if len(s.batches) < 20 {
		lines = append(lines, "More batches make narrower limits: profiler rules suggest --each, or --store.")
	}
	return lines
}

// volume suggests a band of rows.
func (s *subject) volume(f *draft.File) {
	var rows []float64
	for _, b := range s.batches {
		rows = append(rows, float64(b.Profile.Read()))
	}
	lo, hi := slices.Min(rows), slices.Max(rows)
	if hi == 0 {
		return
	}
	text := words.Things(int64(lo), "row")
	if lo != hi {
		text = words.Count(int64(lo)) + " … " + words.Things(int64(hi), "row")
	}
	text += " in " + words.Plural(len(s.batches), "batch", "batches")
	if len(rows) < 3 {
		f.Add("", draft.Item{Kind: "row_count", Value: "{min: 1}"}.Because("%s: too few batches for an upper limit", text))
		return
	}
	limits := draft.Map(draft.Pair{Key: "min", Value: "0"}, draft.Pair{Key: "max", Value: draft.Number(roundUp(band(rows, logScale).hi))})
	if lo > 0 {
		b := band(rows, logScale)
		limits = draft.Map(draft.Pair{Key: "min", Value: draft.Number(math.Max(1, roundDown(b.lo)))}, draft.Pair{Key: "max", Value: draft.Number(roundUp(b.hi))})
	}
	f.Add("", draft.Item{Kind: "row_count", Value: limits}.Because("%s, with head-room on a scale of ratios", text))
}

// schema suggests the columns that every batch had, and their types.
func (s *subject) schema(f *draft.File) {
	var names, types, mixed []string
	for _, c := range s.columns {
		if c.present < len(s.batches) {
			continue
		}
		names = append(names, draft.Text(c.name))
		t, ok := c.kind()
		switch {
		case ok && t != batch.Null:
			types = append(types, "  "+draft.Text(c.name)+": "+t.String())
		case !ok:
			mixed = append(mixed, c.name)
		}
	}
	if len(names) == 0 {
		return
	}
	item := draft.Item{Kind: "schema", Lines: wrap("columns: [", names, "]")}
	if len(types) > 0 {
		item.Lines = append(append(item.Lines, "types:"), types...)
	}
	why := "the columns that every batch had; add closed: true if others are mistakes"
	if len(mixed) > 0 {
		why += "; values of several types in " + strings.Join(mixed, ", ")
	}
	f.Add("", item.Because("%s", why))
}

// wrap breaks a list of YAML scalars into lines.
func wrap(open string, items []string, end string) []string {
	const width = 100
	var lines []string
	line := open
	for i, item := range items {
		if i+1 < len(items) {
			item += ","
		}
		if len(line)+1+len(item) > width && line != open {
			lines = append(lines, line)
			line = strings.Repeat(" ", len(open))
		} else if line != open && !strings.HasSuffix(line, " ") {
			line += " "
		}
		line += item
	}
	return append(lines, line+end)
}

// kind returns the type that the column had in all batches; false if its values
// are of several types.
func (c *series) kind() (batch.Type, bool) {
	totals := map[batch.Type]int64{}
	for _, col := range c.cols {
		if col == nil {
			continue
		}
		for name, n := range col.Types {
			if t, ok := batch.ParseType(name); ok && t != batch.Null && n > 0 {
				totals[t] += n
			}
		}
	}
	wider := func(wide, narrow batch.Type) {
		if totals[wide] > 0 && totals[narrow] > 0 {
			totals[wide] += totals[narrow]
			delete(totals, narrow)
		}
	}
	wider(batch.Number, batch.Integer)
	wider(batch.Timestamp, batch.Date)
	switch {
	case len(totals) == 0:
		return batch.Null, true
	case len(totals) == 1:
		for t := range totals {
			return c.settled(t)
		}
	case totals[batch.String]*2 > c.count: // texts, some of which look like numbers
		return c.settled(batch.String)
	}
	return batch.Null, false
}

// settled returns a type if the column had it, or a narrower one, in every
// batch.
func (c *series) settled(want batch.Type) (batch.Type, bool) {
	for _, col := range c.cols {
		if col == nil || col.Count == 0 {
			continue
		}
		k := col.Kind()
		if k != want && (want != batch.Number || k != batch.Integer) && (want != batch.Timestamp || k != batch.Date) {
			return batch.Null, false
		}
	}
	return want, true
}

// duplicates suggests that no row repeats, where no column tells rows apart.
func (s *subject) duplicates(f *draft.File) {
	if len(f.Key) > 0 || s.rows < 1000 {
		return
	}
	for _, b := range s.batches {
		if d := b.Profile.Summary().Duplicates; d.Value > 0 || !d.Exact {
			return
		}
	}
	f.Add("", draft.Item{Kind: "duplicate_rows", Value: "0"}.With("severity", "warn").
		Because("no row repeats another one in %s", words.Plural(len(s.batches), "batch", "batches")))
}

// placeholders are texts that stand for nothing.
var placeholders = []string{"NA", "N/A", "n/a", "NULL", "null", "None", "nan", "-", "?", "#N/A", "\\N"}

// Placeholders returns the texts that probably mean null, by the column of
// numbers or times in which they stand: reading them as nulls makes better
// rules.
func Placeholders(batches []Batch) map[string]string {
	out := map[string]string{}
	for _, b := range batches {
		for _, name := range b.Profile.ColumnNames() {
			col := b.Profile.Column(name)
			if col.Mixed != nil && col.Kind() != batch.String && slices.Contains(placeholders, col.Mixed.First.Value) {
				out[name] = col.Mixed.First.Value
			}
		}
	}
	return out
}
