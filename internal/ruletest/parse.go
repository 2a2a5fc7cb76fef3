// Package ruletest runs tests of rules: files that say what batches hold and
// what checks should find in them. A test goes the same way as any batch: it is
// read, profiled, judged, and in a series recorded, so that what a test shows
// is what happens in production.
package ruletest

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/rules"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

// Test is one test of a file.
type Test struct {
	Name    string
	Pos     diag.Position
	Dataset string // namespace/name
	Batches []Batch
	// Series is set if batches are judged against those before them.
	Series bool

	library *rules.Library
	sets    []*rules.Set
	zone    *time.Location
}

// Batch is one batch of a test, or several that are alike.
type Batch struct {
	Pos     diag.Position
	Dataset string    // empty is the test's
	Name    string    // of the batch
	At      time.Time // of the first; zero is the day in the file's name, else now
	Repeat  int       // how many; at least 1
	Every   time.Duration
	Data    Data
	Input   *Data // of a pipeline step whose output this is

	expect *yamldoc.Node
}

// Data is what a batch holds: JSON lines or CSV, or a source.
type Data struct {
	Pos    diag.Position
	Text   []byte
	Format string // of Text
	Source string // a path
}

// File is a file of tests.
type File struct {
	Path  string
	Tests []*Test
	// Problems are the mistakes in the file and in the rules that it names.
	Problems diag.List
	texts    map[string][]byte
}

// Source returns the text of a file that a problem is about.
func (f *File) Source(path string) []byte { return f.texts[path] }

// IsTest reports whether a path is that of a file of tests.
func IsTest(path string) bool {
	return strings.HasSuffix(path, "_test.yaml") || strings.HasSuffix(path, "_test.yml")
}

// Find lists the files of tests among paths and below folders, sorted. A file
// that is named counts whatever its name is.
func Find(paths []string) ([]string, error) {
	var out []string
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			out = append(out, p)
			continue
		}
		err = filepath.WalkDir(strings.TrimRight(p, "/")+"/", func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && IsTest(path) {
				out = append(out, path)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// Env looks up an environment variable.
type Env = func(string) (string, bool)

// Read reads a file of tests. Its mistakes are in the file; the error is of
// reading it.
func Read(path string, env Env) (*File, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	f := &File{Path: path, texts: map[string][]byte{path: data}}
	p := &parser{file: f, folder: filepath.Dir(path), env: env, libraries: map[string]*loaded{}}
	docs, errs := yamldoc.Parse(path, data)
	f.Problems = errs
	for _, doc := range docs {
		p.document(doc.Root())
	}
	f.Problems = f.Problems.Sorted()
	return f, nil
}

// parser reads one file.
type parser struct {
	file      *File
	folder    string
	env       Env
	libraries map[string]*loaded // by path and environment
}

type loaded struct {
	library *rules.Library
	ok      bool
}

func (p *parser) document(root *yamldoc.Node) {
	errs := &p.file.Problems
	m := root.Mapping(errs)
	if m == nil {
		return
	}
	m.Unknown([]string{"version", "tests"}, "the file of tests", errs)
	if v, ok := m.Get("version").Int(errs); ok && v != 1 {
		m.Get("version").Errorf(errs, yamldoc.CodeValue, "version %d is not known; this program reads version 1", v)
	}
	items, ok := m.Required("tests", "", errs).List(errs)
	if !ok {
		return
	}
	names := map[string]diag.Position{}
	for _, item := range items {
		t := p.test(item)
		if t == nil {
			continue
		}
		if first, twice := names[t.Name]; twice {
			errs.Errorf(t.Pos, 1, yamldoc.CodeValue, "the name %q is taken by the test in line %d", t.Name, first.Line)
		}
		names[t.Name] = t.Pos
		p.file.Tests = append(p.file.Tests, t)
	}
}

var (
	dataKeys  = []string{"rows", "csv", "file"}
	testKeys  = slices.Concat([]string{"name", "rules", "dataset", "env", "timezone", "at", "batch", "input", "expect", "batches"}, dataKeys)
	batchKeys = slices.Concat([]string{"dataset", "batch", "at", "repeat", "every", "input", "expect"}, dataKeys)
)

// test reads one test, nil if it cannot be run.
func (p *parser) test(item *yamldoc.Node) *Test {
	errs := &p.file.Problems
	before := len(*errs)
	m := item.Mapping(errs)
	if m == nil {
		return nil
	}
	m.Unknown(testKeys, "the test", errs)
	t := &Test{Pos: item.Pos(), zone: time.UTC}
	t.Name, _ = m.Required("name", "the test", errs).String(errs)
	if zone, ok := m.Get("timezone").String(errs); ok {
		loc, err := time.LoadLocation(zone)
		if err != nil {
			m.Get("timezone").Errorf(errs, yamldoc.CodeValue, "unknown time zone %q; write one like Europe/Berlin", zone)
		} else {
			t.zone = loc
		}
	}
	p.rules(t, m)
	p.batches(t, m)
	if len(*errs) > before {
		return nil
	}
	if !slices.ContainsFunc(t.Batches, func(b Batch) bool { return b.expect != nil }) {
		item.Errorf(errs, yamldoc.CodeMissingKey, "the test expects nothing; add expect:")
		return nil
	}
	return t
}

// rules loads the rules of a test and chooses those that are about its dataset.
func (p *parser) rules(t *Test, m *yamldoc.Mapping) {
	errs := &p.file.Problems
	vars := map[string]string{}
	if e := m.Get("env").Mapping(errs); e != nil {
		for _, entry := range e.Entries() {
			vars[entry.Key.Raw()], _ = entry.Value.String(errs)
		}
	}
	n := m.Required("rules", "the test", errs)
	name, ok := n.String(errs)
	if !ok {
		return
	}
	l := p.load(n, name, vars)
	if l == nil {
		return
	}
	t.library = l
	if d, ok := m.Get("dataset").String(errs); ok {
		t.Dataset = rules.DatasetName(d)
		t.sets = l.For(t.Dataset)
		for _, s := range l.Sets {
			if s.Dataset == "" {
				t.sets = append(t.sets, s)
			}
		}
		if len(t.sets) == 0 {
			d := m.Get("dataset").Diagnostic(yamldoc.CodeValue, "no rule of %s is about the dataset %s", name, t.Dataset)
			d.Hint = diag.Hint(t.Dataset, l.Datasets())
			errs.Add(d)
		}
		return
	}
	about := l.Datasets()
	if len(about) > 1 {
		n.Errorf(errs, yamldoc.CodeMissingKey, "%s is about several datasets (%s); name one with dataset:", name, strings.Join(about, ", "))
		return
	}
	t.Dataset, t.sets = "default/test", l.Sets
	if len(about) == 1 {
		t.Dataset = strings.ReplaceAll(about[0], "*", "test")
	}
}

// load reads rule files; their mistakes are those of the test too.
func (p *parser) load(n *yamldoc.Node, name string, vars map[string]string) *rules.Library {
	errs := &p.file.Problems
	key := name
	for _, k := range slices.Sorted(maps.Keys(vars)) {
		key += "\x00" + k + "=" + vars[k]
	}
	if l := p.libraries[key]; l != nil {
		if !l.ok {
			n.Errorf(errs, yamldoc.CodeValue, "the rules %s have mistakes", name)
			return nil
		}
		return l.library
	}
	lib, diags, err := rules.Load([]string{p.beside(name)}, func(k string) (string, bool) {
		if v, ok := vars[k]; ok {
			return v, true
		}
		if p.env == nil {
			return "", false
		}
		return p.env(k)
	})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		n.Errorf(errs, yamldoc.CodeValue, "there is no rule file %s; the path is relative to this file", p.beside(name))
		return nil
	case err != nil:
		n.Errorf(errs, yamldoc.CodeValue, "%v", err)
		return nil
	}
	for _, f := range lib.Files {
		p.file.texts[f] = lib.Source(f)
	}
	errs.Add(diags...)
	p.libraries[key] = &loaded{lib, !diags.HasErrors()}
	if diags.HasErrors() {
		n.Errorf(errs, yamldoc.CodeValue, "the rules %s have mistakes", name)
		return nil
	}
	return lib
}

func (p *parser) beside(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(p.folder, name)
}

// batches reads the one batch of a test, or its series.
func (p *parser) batches(t *Test, m *yamldoc.Mapping) {
	errs := &p.file.Problems
	list := m.Get("batches")
	if list == nil {
		b := Batch{Pos: t.Pos, Repeat: 1}
		p.batch(t, &b, m)
		t.Batches = append(t.Batches, b)
		return
	}
	t.Series = true
	for _, key := range slices.Concat(dataKeys, []string{"at", "batch", "input", "expect"}) {
		if n := m.KeyNode(key); n != nil {
			n.Errorf(errs, yamldoc.CodeValue, "%q stands beside batches:; write it into one of them", key)
		}
	}
	items, ok := list.List(errs)
	if ok && len(items) == 0 {
		list.Errorf(errs, yamldoc.CodeValue, "the list of batches is empty")
	}
	for _, item := range items {
		bm := item.Mapping(errs)
		if bm == nil {
			continue
		}
		bm.Unknown(batchKeys, "the batch", errs)
		b := Batch{Pos: item.Pos(), Repeat: 1}
		p.batch(t, &b, bm)
		p.repeated(&b, bm)
		t.Batches = append(t.Batches, b)
	}
}

// maxBatches is how many batches one entry may make.
const maxBatches = 10_000

func (p *parser) repeated(b *Batch, m *yamldoc.Mapping) {
	errs := &p.file.Problems
	if b.At.IsZero() && b.Data.Source == "" {
		m.Required("at", "the batch", errs)
	}
	if n := m.Get("repeat"); n != nil {
		v, ok := n.Int(errs)
		switch {
		case ok && (v < 1 || v > maxBatches):
			n.Errorf(errs, yamldoc.CodeValue, "repeat is from 1 to %d", maxBatches)
		case ok && v > 1 && !m.Has("every"):
			n.Errorf(errs, yamldoc.CodeMissingKey, "repeat needs every: the time between the batches, such as 24h")
		case ok && v > 1 && m.Has("batch"):
			m.KeyNode("batch").Errorf(errs, yamldoc.CodeValue, "one name cannot stand for %d batches; leave it out", v)
		}
		b.Repeat = int(v)
	}
	if n := m.Get("every"); n != nil {
		yamldoc.Set(&b.Every, n, (*yamldoc.Node).Duration, errs)
		if b.Every <= 0 {
			n.Errorf(errs, yamldoc.CodeValue, "every has to be longer than nothing")
		}
		if !m.Has("repeat") {
			m.KeyNode("every").Errorf(errs, yamldoc.CodeMissingKey, "every says how far repeated batches are apart; add repeat:")
		}
	}
}

// batch reads what a batch holds and what is expected of it.
func (p *parser) batch(t *Test, b *Batch, m *yamldoc.Mapping) {
	errs := &p.file.Problems
	if n := m.Get("at"); n != nil {
		b.At, _ = n.TimeIn(errs, t.zone)
	}
	yamldoc.Set(&b.Name, m.Get("batch"), (*yamldoc.Node).String, errs)
	if t.Series {
		if d, ok := m.Get("dataset").String(errs); ok {
			b.Dataset = rules.DatasetName(d)
		}
	}
	if d, ok := p.data(m, "the batch"); ok {
		b.Data = d
	}
	if in := m.Get("input").Mapping(errs); in != nil {
		in.Unknown(dataKeys, "input", errs)
		if d, ok := p.data(in, "input"); ok {
			b.Input = &d
		}
	}
	if n := m.Get("expect"); n != nil {
		p.expectation(n)
		b.expect = n
	}
}

// data reads one of rows, csv and file.
func (p *parser) data(m *yamldoc.Mapping, what string) (d Data, ok bool) {
	errs := &p.file.Problems
	var found []string
	for _, key := range dataKeys {
		if m.Has(key) {
			found = append(found, key)
		}
	}
	switch len(found) {
	case 0:
		m.Node().Errorf(errs, yamldoc.CodeMissingKey, "%s has no data; write rows:, csv: or file:", what)
		return d, false
	case 1:
	default:
		m.KeyNode(found[1]).Errorf(errs, yamldoc.CodeValue, "%q and %q both say what %s holds; keep one", found[0], found[1], what)
		return d, false
	}
	n := m.Get(found[0])
	d.Pos = n.Pos()
	switch found[0] {
	case "rows":
		d.Format = "jsonl"
		d.Text, ok = rowsOf(n, errs)
		return d, ok
	case "csv":
		text, ok := n.String(errs)
		d.Format, d.Text = "csv", []byte(text)
		return d, ok
	}
	name, ok := n.String(errs)
	if !ok {
		return d, false
	}
	d.Source = p.beside(name)
	if matches, err := filepath.Glob(d.Source); err == nil && len(matches) == 0 {
		if _, err := os.Stat(d.Source); err != nil {
			n.Errorf(errs, yamldoc.CodeValue, "there is no file %s; the path is relative to this file", d.Source)
			return d, false
		}
	}
	return d, true
}

// statuses are those that may be expected.
var statuses = []string{"pass", "learning", "warn", "fail", "error"}

var (
	expectKeys = []string{"verdict", "rows", "results", "batch", "dataset"}
	resultKeys = []string{
		"id", "check", "name", "column", "status", "severity", "value", "evaluated", "failed", "limit", "reason", "message", "failing_rows",
		"rule", "owner", "tags", "note", "on_fail", "method", "segments", "other", "score", "preset", "lane", "baseline", "evidence",
	}
	segmentKeys = []string{"value", "status", "observed", "evaluated", "failed"}
)

// expectation checks the keys of an expectation: a misspelled one would compare
// nothing.
func (p *parser) expectation(n *yamldoc.Node) {
	errs := &p.file.Problems
	m := n.Mapping(errs)
	if m == nil {
		return
	}
	m.Unknown(expectKeys, "expect", errs)
	if m.Len() == 0 {
		n.Errorf(errs, yamldoc.CodeMissingKey, "expect is empty; write verdict: or results:")
	}
	m.Get("verdict").OneOf(errs, "pass", "warn", "fail", "error")
	list := m.Get("results")
	if list == nil {
		return
	}
	items, _ := list.List(errs)
	for _, item := range items {
		r := item.Mapping(errs)
		if r == nil {
			continue
		}
		r.Unknown(resultKeys, "the expected result", errs)
		r.Required("id", "the expected result", errs)
		r.Get("status").OneOf(errs, statuses...)
		if k := r.Get("check"); k != nil && k.Raw() != "auto" && checks.Find(k.Raw()) == nil {
			d := k.Diagnostic(yamldoc.CodeValue, "unknown check %q", k.Raw())
			d.Hint = diag.Hint(k.Raw(), checks.Kinds())
			errs.Add(d)
		}
		for _, s := range r.Get("segments").Items() {
			if sm := s.Mapping(errs); sm != nil {
				sm.Unknown(segmentKeys, "the expected segment", errs)
				sm.Required("value", "the expected segment", errs)
			}
		}
	}
}

// at returns the time of repetition i of a batch.
func (b *Batch) at(i int) time.Time {
	if b.At.IsZero() {
		return b.At
	}
	return b.At.Add(time.Duration(i) * b.Every)
}

// label names a batch in a message.
func (b *Batch) label(number int, at time.Time) string {
	s := fmt.Sprintf("batch %d", number)
	if b.Name != "" {
		s += " " + b.Name
	}
	if !at.IsZero() {
		s += " at " + at.Format(time.RFC3339)
	}
	return s
}
