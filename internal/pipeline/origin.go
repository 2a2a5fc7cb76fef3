package pipeline

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

// DefaultSQLKey makes a part of a query another unit when its rows change.
const DefaultSQLKey = "{part}#{sha256}"

// DefaultKeep is how long the inputs that a source has stored are kept after their
// units are finished.
const DefaultKeep = 30 * 24 * time.Hour

const (
	// DefaultMaxBytes is the largest body that a push may have.
	DefaultMaxBytes = 64 << 20
	maxPushBytes    = 1 << 40
	maxParts        = 10_000
)

// SQLSource is a query whose rows are the units of a pipeline.
type SQLSource struct {
	Database Database
	Query    *SQLText
	// Table is the table that Query reads, in quotes, if the file names one.
	Table string
	// Format is csv, tsv or jsonl.
	Format string
}

// HTTPSource takes units by POST.
type HTTPSource struct {
	// Path begins with /in/.
	Path string
	// MaxBytes is the largest body, unpacked.
	MaxBytes int64
}

// Portion says how what a source gives is cut to units.
type Portion struct {
	// Rows is how many records a unit has; 0 does not cut by records.
	Rows int
	// Kind says how rows are divided to Parts ranges; it is empty if they are not.
	Kind RangeKind
	// Column is the one whose values are divided. It is empty for pages, and for the
	// primary key of the table.
	Column string
	Parts  int
	// Pos is the place of the ranges in the file.
	Pos diag.Position
}

// RangeKind is a way to divide the rows of a query or table.
type RangeKind string

const (
	// WidthRanges divides a column of whole numbers to ranges of the same width.
	WidthRanges RangeKind = "key_range"
	// KeyRanges divides a column of any type to ranges of about as many rows.
	KeyRanges RangeKind = "key_ranges"
	// CtidRanges divides a table by its pages, one of SQLite by its rowid.
	CtidRanges RangeKind = "ctid_ranges"
)

// String returns the ranges as they stand in a pipeline file.
func (p Portion) String() string {
	if p.Column == "" {
		return fmt.Sprintf("%s(%d)", p.Kind, p.Parts)
	}
	return fmt.Sprintf("%s(%s, %d)", p.Kind, p.Column, p.Parts)
}

var (
	rowsForm  = regexp.MustCompile(`^rows\(\s*([0-9_]+)\s*\)$`)
	rangeForm = regexp.MustCompile(`^(key_ranges?|ctid_ranges)\(\s*(?:([\pL_][\pL\pN_]*)\s*,\s*)?([0-9]+)\s*\)$`)
	pathForm  = regexp.MustCompile(`^/in/[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$`)
)

// portion reads how units are cut; whole is the word for not at all.
func (p *parser) portion(s *Source, n *yamldoc.Node, whole string, ranges bool) {
	s.Unit = whole
	text, ok := n.String(&p.errs)
	if !ok || text == whole {
		return
	}
	forms := whole + " or rows(1000)"
	if ranges {
		forms = whole + ", rows(50000), key_range(id, 16), key_ranges(id, 16) or ctid_ranges(16)"
	}
	s.Unit = text
	if m := rowsForm.FindStringSubmatch(text); m != nil {
		rows, err := strconv.Atoi(strings.ReplaceAll(m[1], "_", ""))
		if s.Portion.Rows = rows; err == nil && rows > 0 {
			return
		}
	}
	if ranges && p.ranges(&s.Portion, n, text, s.SQL.Table) {
		return
	}
	n.Errorf(&p.errs, yamldoc.CodeValue, "%q is no unit here; write %s", clip(text), forms)
}

// ranges reads how rows are divided, of a query or of a table, which is then not
// empty. It reports whether the text is about that.
func (p *parser) ranges(to *Portion, n *yamldoc.Node, text, table string) bool {
	m := rangeForm.FindStringSubmatch(text)
	if m == nil {
		return false
	}
	to.Kind, to.Column, to.Pos = RangeKind(m[1]), m[2], n.Pos()
	to.Parts, _ = strconv.Atoi(m[3]) // 0 is refused
	switch {
	case to.Parts < 1 || to.Parts > maxParts:
		n.Errorf(&p.errs, yamldoc.CodeValue, "the number of ranges is from 1 to %d", maxParts)
	case to.Kind == CtidRanges && to.Column != "":
		n.Errorf(&p.errs, yamldoc.CodeValue, "ctid_ranges divides the pages of a table, not a column; write ctid_ranges(%d), or key_ranges(%s, %d)", to.Parts, to.Column, to.Parts)
	case to.Kind == CtidRanges && table == "":
		n.Errorf(&p.errs, yamldoc.CodeValue, "ctid_ranges divides a table; write table: NAME instead of the query, or key_ranges(column, %d)", to.Parts)
	case to.Kind == KeyRanges && to.Column == "" && table == "":
		n.Errorf(&p.errs, yamldoc.CodeValue, "key_ranges(%d) divides the primary key of a table; write table: NAME instead of the query, or name a column: key_ranges(id, %d)", to.Parts, to.Parts)
	case to.Kind == WidthRanges && to.Column == "":
		n.Errorf(&p.errs, yamldoc.CodeValue, "key_range has a column of whole numbers, such as key_range(id, %d)", to.Parts)
	}
	return true
}

// wholeTable reads a table as the query of all its rows; nil if none is named. The
// name comes back in quotes.
func (p *parser) wholeTable(m *yamldoc.Mapping, others ...string) (t *SQLText, quoted string) {
	n := m.Get("table")
	if n == nil {
		return nil, ""
	}
	for _, other := range others {
		if m.Has(other) {
			m.KeyNode(other).Errorf(&p.errs, CodeCommand, "table and %s both say which rows are read; keep one", other)
		}
	}
	var name string
	p.table(&name, n)
	quoted = `"` + strings.ReplaceAll(name, ".", `"."`) + `"`
	return &SQLText{text: "SELECT * FROM " + quoted, pos: n.Pos(), place: func(int) diag.Position { return n.Pos() }}, quoted
}

// sqlSource reads a source of rows.
func (p *parser) sqlSource(s *Source, m *yamldoc.Mapping, n *yamldoc.Node) {
	s.SQL, s.Key, s.Unit, s.Keep = &SQLSource{Format: "jsonl"}, DefaultSQLKey, "query", DefaultKeep
	p.alone(m, "sql")
	f := n.Mapping(&p.errs)
	if f == nil {
		return
	}
	p.keys(f, "sql of the source", []string{"dsn", "query", "table", "file", "format"}, nil)
	if !p.database(&s.SQL.Database, f, "sql of the source") {
		return
	}
	if s.SQL.Query, s.SQL.Table = p.wholeTable(f, "query", "file"); s.SQL.Query == nil {
		s.SQL.Query = p.sqlText(f, "query", "file", s.SQL.Database, nil, true)
	}
	if s.SQL.Query == nil {
		n.Errorf(&p.errs, CodeCommand, "sql of the source has no query; give it query, table or file")
	}
	if word, ok := f.Get("format").OneOf(&p.errs, "csv", "tsv", "jsonl"); ok {
		s.SQL.Format = word
	}
	if unit := m.Get("unit"); unit != nil {
		p.portion(s, unit, "query", true)
	}
	if key := m.Get("key"); key != nil {
		p.keyOf(key, []string{"{part}", "{sha256}"})
	}
}

// httpSource reads a source that takes what others send.
func (p *parser) httpSource(s *Source, m *yamldoc.Mapping, n *yamldoc.Node) {
	s.HTTP, s.Unit, s.Keep = &HTTPSource{MaxBytes: DefaultMaxBytes}, "body", DefaultKeep
	p.alone(m, "http")
	at := n
	if n.Kind() == yamldoc.Map {
		f := n.Mapping(&p.errs)
		p.keys(f, "http of the source", []string{"path", "max_bytes"}, nil)
		at = f.Required("path", "http of the source", &p.errs)
		if b := f.Get("max_bytes"); b != nil {
			yamldoc.Set(&s.HTTP.MaxBytes, b, (*yamldoc.Node).Bytes, &p.errs)
			if s.HTTP.MaxBytes < 1 || s.HTTP.MaxBytes > maxPushBytes {
				b.Errorf(&p.errs, yamldoc.CodeValue, "max_bytes is from 1 to 1TiB, such as 64MiB")
			}
		}
	}
	if text, ok := at.String(&p.errs); ok {
		if s.HTTP.Path = text; !pathForm.MatchString(text) || strings.Contains(text, "..") {
			at.Errorf(&p.errs, yamldoc.CodeValue, "%q is no path; it is like /in/orders", clip(text))
		}
	}
	if unit := m.Get("unit"); unit != nil {
		p.portion(s, unit, "body", false)
	}
	if key := m.KeyNode("key"); key != nil {
		key.Errorf(&p.errs, yamldoc.CodeValue, "what is the same unit is said by the header Idempotency-Key of each request; leave key out")
	}
}

// alone reports other kinds of sources beside one.
func (p *parser) alone(m *yamldoc.Mapping, kind string) {
	for _, other := range []string{"files", "watch", "nats", "sql", "http"} {
		if other != kind && m.Has(other) {
			m.KeyNode(other).Errorf(&p.errs, yamldoc.CodeValue, "the source has %s and %s; keep one", kind, other)
		}
	}
}

// stored reads what is said of the inputs that a source stores.
func (p *parser) stored(s *Source, m *yamldoc.Mapping) {
	n := m.Get("keep")
	if n == nil {
		return
	}
	if s.SQL == nil && s.HTTP == nil {
		m.KeyNode("keep").Errorf(&p.errs, yamldoc.CodeValue, "keep is for inputs that the source stores, of sql and http")
		return
	}
	keep, ok := n.Duration(&p.errs)
	if s.Keep = keep; ok && keep < time.Hour {
		n.Errorf(&p.errs, yamldoc.CodeValue, "keep is at least 1h, such as 30d")
	}
}

// check looks at the query in a file.
func (s *Source) check(p *Pipeline, errs *diag.List) {
	if s != nil && s.SQL != nil && s.SQL.Query != nil && s.SQL.Query.file != "" {
		checkText(p, s.SQL.Query, s.SQL.Database, nil, true, errs)
	}
}

// String describes the source for people.
func (s *Source) String() string {
	switch {
	case s.SQL != nil:
		return fmt.Sprintf("%s of %s", s.Unit, s.SQL.Database.place())
	case s.HTTP != nil:
		return "POST " + s.HTTP.Path
	case s.NATS != nil:
		return strings.TrimSpace("stream " + s.NATS.Stream + " " + s.NATS.Subject)
	}
	return strings.Join(s.Files, ", ")
}
