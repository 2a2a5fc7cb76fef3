package pipeline

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/secret"
	"github.com/profilerhq/profiler/internal/sqltext"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

// Names of the parameters that a statement may have.
const (
	ParamUnit        = "unit_id"
	ParamRun         = "run_id"
	ParamCorrelation = "correlation_id"
	ParamKey         = "idempotency_key"
	ParamInput       = "input"
	ParamPipeline    = "pipeline"
	ParamStep        = "step"
	ParamAttempt     = "attempt"
)

var stepParams = []string{ParamUnit, ParamRun, ParamCorrelation, ParamKey, ParamInput, ParamPipeline, ParamStep, ParamAttempt}

// Idempotency says what an effect in a database takes place once for.
type Idempotency string

// The values of Idempotency.
const (
	// OncePerUnit is once per step and unit, whatever the step does.
	OncePerUnit Idempotency = "unit_id"
	// OncePerKey is once per idempotency key: again when the step does something
	// else.
	OncePerKey Idempotency = "key"
	// EachTime does not keep a record of it.
	EachTime Idempotency = "none"
)

// SQL is what a step does in a database, in one transaction.
type SQL struct {
	Database Database
	// Load writes the rows of the input into a table first; nil does not.
	Load *TableLoad
	// Statement changes something; nil does not. Query gives the rows of the
	// output; without it the output is the input.
	Statement, Query *SQLText
	// Table is the table that Query reads, in quotes, if the file names one.
	Table       string
	Idempotency Idempotency
}

// Database is the address of a database, which may hold a password.
type Database struct{ address secret.Text }

// URL returns the address, with the path of an SQLite file as seen from the
// process. It is a secret.
func (d Database) URL(p *Pipeline) string {
	address := d.address.Reveal()
	if path, ok := strings.CutPrefix(address, "sqlite:"); ok && !strings.HasPrefix(path, "//") {
		return "sqlite:" + p.Path(path)
	}
	return address
}

// IsPostgres reports which of the two dialects the database has.
func (d Database) IsPostgres() bool { return !strings.HasPrefix(d.address.Reveal(), "sqlite:") }

// TableLoad says how rows get into a table.
type TableLoad struct {
	// Table may have a schema before a dot.
	Table string
	// Columns are those of the input that are written; nil is all of them.
	Columns []string
	// Temporary makes the table, with columns of texts, for the transaction alone.
	Temporary bool
	// From is the step whose output is loaded; empty is the only input.
	From string
}

// SQLText is a text in the pipeline file or in a file of its own.
type SQLText struct {
	text  string
	file  string // as written, or empty
	pos   diag.Position
	place func(offset int) diag.Position
}

// maxSQL is the largest file of statements in bytes.
const maxSQL = 1 << 20

// Read returns the text.
func (t *SQLText) Read(p *Pipeline) (string, error) {
	if t.file == "" {
		return t.text, nil
	}
	f, err := os.Open(p.Path(t.file))
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSQL+1))
	switch {
	case err != nil:
		return "", err
	case len(data) > maxSQL:
		return "", errors.New("it is larger than 1 MiB")
	case !utf8.Valid(data):
		return "", errors.New("it is not UTF-8")
	}
	return string(data), nil
}

// Position returns the place of a byte of the text, which Read has returned.
func (t *SQLText) Position(p *Pipeline, text string, offset int) diag.Position {
	if t.file == "" {
		return t.place(offset)
	}
	before := text[:min(offset, len(text))]
	return diag.Position{
		File: p.Path(t.file), Line: strings.Count(before, "\n") + 1,
		Column: utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1,
	}
}

// Statements cuts the text, which Read has returned. Problems are of type
// diag.Diagnostic. single wants one statement that gives rows.
func (t *SQLText) Statements(p *Pipeline, text string, d Database, params []string, single bool) ([]sqltext.Statement, error) {
	problem := func(offset int, format string, args ...any) error {
		return diag.Diagnostic{Pos: t.Position(p, text, offset), Code: CodeCommand, Message: fmt.Sprintf(format, args...)}
	}
	all, err := sqltext.Split(text, d.IsPostgres(), params)
	var bad *sqltext.Error
	if errors.As(err, &bad) {
		return nil, diag.Diagnostic{Pos: t.Position(p, text, bad.Offset), Code: CodeCommand, Message: bad.Message, Hint: diag.Hint(bad.Name, params)}
	}
	if len(all) == 0 {
		return nil, problem(0, "there is no statement in it")
	}
	if single && len(all) > 1 {
		return nil, problem(all[1].Start, "a query is one statement, this is another one")
	}
	for i := range all {
		switch all[i].Word {
		case "BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT":
			return nil, problem(all[i].Start, "%s would end the transaction in which the step does everything; leave it out", all[i].Word)
		}
	}
	return all, nil
}

// Params are the names that the statements of a step may use.
func (s *SQL) Params() []string { return stepParams }

// Address returns the address without user and password.
func (d Database) place() string {
	scheme, rest, _ := strings.Cut(d.address.Reveal(), "://")
	if !d.IsPostgres() {
		return d.address.Reveal()
	}
	rest, _, _ = strings.Cut(rest, "?")
	return scheme + "://" + rest[strings.LastIndexByte(rest, '@')+1:]
}

// Does describes what the step does, for its fingerprint.
func (s *SQL) Does(p *Pipeline) (any, error) {
	if s == nil {
		return nil, nil
	}
	texts := [2]string{}
	for i, t := range []*SQLText{s.Statement, s.Query} {
		if t == nil {
			continue
		}
		var err error
		if texts[i], err = t.Read(p); err != nil {
			return nil, err
		}
	}
	return struct {
		Place, Statement, Query string
		Load                    *TableLoad
		Idempotency             Idempotency
	}{s.Database.place(), texts[0], texts[1], s.Load, s.Idempotency}, nil
}

// check looks at the statements in files, as Parse did at those in the pipeline.
func (s *SQL) check(p *Pipeline, errs *diag.List) {
	if s != nil && s.Statement != nil && s.Statement.file != "" {
		checkText(p, s.Statement, s.Database, s.Params(), false, errs)
	}
}

func checkText(p *Pipeline, t *SQLText, d Database, params []string, single bool, errs *diag.List) {
	text, err := t.Read(p)
	if err != nil {
		errs.Errorf(t.pos, len([]rune(t.file)), CodeFile, "the file %q cannot be read: %s", clip(t.file), reason(err))
		return
	}
	var bad diag.Diagnostic
	if _, err := t.Statements(p, text, d, params, single); errors.As(err, &bad) {
		errs.Add(bad)
	}
}

var tableForm = regexp.MustCompile(`^[\pL_][\pL\pN_$]*(\.[\pL_][\pL\pN_$]*)?$`)

// sql reads what a step does in a database.
func (p *parser) sql(s *Step, m *yamldoc.Mapping, n *yamldoc.Node, where string) {
	s.SQL, s.CommandPos = &SQL{Idempotency: OncePerUnit}, n.Pos()
	for _, other := range []string{"run", "sh", "http", "worker"} {
		if m.Has(other) {
			m.KeyNode(other).Errorf(&p.errs, CodeCommand, "%s has sql and %s; a step has exactly one command", where, other)
		}
	}
	for _, key := range []string{"rejects", "resources"} {
		if m.Has(key) {
			m.KeyNode(key).Errorf(&p.errs, CodeCommand, "%s works in a database, which has no %s here", where, key)
		}
	}
	f := n.Mapping(&p.errs)
	if f == nil {
		return
	}
	p.keys(f, "sql of "+where, []string{"dsn", "load", "file", "statement", "query", "table", "idempotency"}, nil)
	if !p.database(&s.SQL.Database, f, "sql of "+where) {
		return
	}
	s.SQL.Statement = p.sqlText(f, "statement", "file", s.SQL.Database, stepParams, false)
	if s.SQL.Query, s.SQL.Table = p.wholeTable(f, "query"); s.SQL.Query == nil {
		s.SQL.Query = p.sqlText(f, "query", "", s.SQL.Database, stepParams, true)
	}
	if l := f.Get("load"); l != nil {
		s.SQL.Load = p.load(l, where)
	}
	if !f.Has("load") && !f.Has("statement") && !f.Has("file") && !f.Has("query") && !f.Has("table") {
		n.Errorf(&p.errs, CodeCommand, `sql of %s does nothing; give it a query, a statement or file, or load`, where)
	}
	if word, ok := f.Get("idempotency").OneOf(&p.errs, string(OncePerUnit), string(OncePerKey), string(EachTime)); ok {
		s.SQL.Idempotency = Idempotency(word)
	}
}

// sqlSteps checks what sql needs of the other keys of its step.
func (p *parser) sqlSteps(steps *yamldoc.Mapping) {
	for i := range p.pipeline.Steps {
		s := &p.pipeline.Steps[i]
		if s.SQL == nil {
			continue
		}
		m := steps.Get(s.Name).Mapping(&p.errs)
		f := m.Get("format").Mapping(&p.errs)
		if out := s.Format.Out; s.SQL.Query != nil && out != "" && out != "csv" && out != "tsv" && out != "jsonl" {
			f.Get("out").Errorf(&p.errs, yamldoc.CodeValue, "the rows of a query are written as csv, tsv or jsonl, not as %s", out)
		}
		load := s.SQL.Load
		if s.FanIn && (load != nil || s.SQL.Query == nil) {
			m.KeyNode("sql").Errorf(&p.errs, CodeCommand, "step %q joins the units of a run, which sql cannot load; load them one by one in the step before, and give this one a query", s.Name)
			continue
		}
		if load == nil {
			if s.SQL.Query == nil && len(s.Needs) > 1 {
				m.KeyNode("sql").Errorf(&p.errs, CodeCommand, "step %q needs %d steps and has no query that says what its output is", s.Name, len(s.Needs))
			}
			continue
		}
		at := m.Get("sql").Mapping(&p.errs)
		if in := s.Format.In; in != "" && in != "csv" && in != "tsv" && in != "jsonl" {
			f.Get("in").Errorf(&p.errs, yamldoc.CodeValue, "load reads csv, tsv and jsonl, not %s", in)
		}
		var needed []string
		for _, n := range s.Needs {
			needed = append(needed, n.Step)
		}
		switch {
		case len(s.Needs) == 0 && p.pipeline.Source == nil:
			at.KeyNode("load").Errorf(&p.errs, CodeCommand, "step %q has no input to load: it needs no step, and the pipeline has no source", s.Name)
		case len(s.Needs) > 1 && load.From == "":
			at.KeyNode("load").Errorf(&p.errs, CodeCommand, "step %q needs %d steps; say which output is loaded by from: %s", s.Name, len(s.Needs), s.Needs[0].Step)
		case load.From != "" && !slices.Contains(needed, load.From):
			d := at.Get("load").Mapping(&p.errs).Get("from").Diagnostic(CodeCommand, "step %q does not need %q", s.Name, clip(load.From))
			d.Hint = diag.Hint(load.From, needed)
			p.errs.Add(d)
		}
	}
}

func (p *parser) load(n *yamldoc.Node, where string) *TableLoad {
	l := &TableLoad{}
	if n.IsScalar() && !n.IsNull() {
		p.table(&l.Table, n)
		return l
	}
	m := n.Mapping(&p.errs)
	if m == nil {
		return l
	}
	p.keys(m, "load of "+where, []string{"table", "columns", "temporary", "from"}, nil)
	if t := m.Required("table", "load", &p.errs); t != nil {
		p.table(&l.Table, t)
	}
	yamldoc.Set(&l.Temporary, m.Get("temporary"), (*yamldoc.Node).Bool, &p.errs)
	if l.Temporary && strings.Contains(l.Table, ".") {
		m.Get("table").Errorf(&p.errs, yamldoc.CodeValue, "a temporary table has no schema")
	}
	if f := m.Get("from"); f != nil {
		l.From, _ = f.String(&p.errs)
	}
	if c := m.Get("columns"); c != nil && (!c.IsScalar() || c.Raw() != "auto") {
		if c.IsScalar() || len(c.Items()) == 0 {
			c.Errorf(&p.errs, yamldoc.CodeValue, "columns is a list of names, or auto: all columns of the input")
			return l
		}
		l.Columns, _ = c.StringList(&p.errs)
		for i, name := range l.Columns {
			if slices.Contains(l.Columns[:i], name) {
				c.Items()[i].Errorf(&p.errs, yamldoc.CodeValue, "the column %q is there twice", clip(name))
			}
		}
	}
	return l
}

func (p *parser) table(to *string, n *yamldoc.Node) {
	text, ok := n.String(&p.errs)
	if ok && !tableForm.MatchString(text) {
		n.Errorf(&p.errs, yamldoc.CodeValue, "%q is no table; write its name, or schema.name", clip(text))
	}
	*to = text
}

// database reads the address of a database. It reports whether there is one.
func (p *parser) database(to *Database, m *yamldoc.Mapping, where string) bool {
	n := m.Required("dsn", where, &p.errs)
	text, ok := n.String(&p.errs)
	if !ok {
		return false
	}
	to.address = secret.New(text)
	path, isFile := strings.CutPrefix(text, "sqlite:")
	switch {
	case isFile && (path == "" || path == ":memory:" || strings.ContainsAny(path, "?\x00")):
		n.Errorf(&p.errs, yamldoc.CodeValue, "sqlite: is followed by the path of a file, relative to the pipeline file")
	case isFile, strings.HasPrefix(text, "postgres://"), strings.HasPrefix(text, "postgresql://"):
		return true
	default: // the text may be a password
		n.Errorf(&p.errs, yamldoc.CodeValue, "the dsn is like postgres://user@host:5432/database or sqlite:PATH")
	}
	return false
}

// sqlText reads statements that stand under one key, or in the file that another
// key names; the latter is empty if there can be none.
func (p *parser) sqlText(m *yamldoc.Mapping, inline, file string, d Database, params []string, single bool) *SQLText {
	n := m.Get(inline)
	if f := m.Get(file); file != "" && f != nil {
		name, ok := f.String(&p.errs)
		switch {
		case n != nil:
			m.KeyNode(file).Errorf(&p.errs, CodeCommand, "%s and %s both hold the SQL; keep one", inline, file)
		case ok && (name == "" || strings.ContainsRune(name, 0) || strings.HasSuffix(name, string(filepath.Separator))):
			f.Errorf(&p.errs, yamldoc.CodeValue, "%s is no file name", f.Describe())
		}
		return &SQLText{file: name, pos: f.Pos()}
	}
	if n == nil {
		return nil
	}
	t := &SQLText{pos: n.Pos(), place: n.PosAt}
	var ok bool
	if t.text, ok = n.String(&p.errs); ok {
		checkText(p.pipeline, t, d, params, single, &p.errs)
	}
	return t
}
