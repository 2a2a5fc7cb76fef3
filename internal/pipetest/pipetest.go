// Package pipetest runs tests of pipelines: files that say what the source holds
// and what outputs, verdicts and dead letters should come of it. A test runs the
// real commands in a folder of its own, with a store of its own; only waiting for
// retries takes no time.
package pipetest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/pipeline"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

// Test is one test of a file.
type Test struct {
	Name string
	Pos  diag.Position
	// Pipeline is the path of the pipeline file.
	Pipeline string
	// Files are what is written into the folder before the run, by their path
	// relative to the pipeline file.
	Files map[string][]byte
	// Env are variables of the environment, for the pipeline and its commands.
	Env map[string]string

	expect *yamldoc.Node
}

// File is a file of tests.
type File struct {
	Path  string
	Tests []*Test
	// Problems are the mistakes in the file and in the pipelines that it names.
	Problems diag.List
	texts    map[string][]byte
}

// Source returns the text of a file that a problem is about.
func (f *File) Source(path string) []byte { return f.texts[path] }

var (
	testKeys   = []string{"name", "pipeline", "files", "env", "expect"}
	expectKeys = []string{"verdict", "first_bad_step", "exit", "steps", "outputs", "dead_letters", "rejects"}
)

// Read reads a file of tests. Its mistakes are in the file; the error is of
// reading it.
func Read(path string) (*File, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	f := &File{Path: path, texts: map[string][]byte{path: data}}
	docs, errs := yamldoc.Parse(path, data)
	f.Problems = errs
	for _, doc := range docs {
		f.document(doc.Root())
	}
	f.Problems = f.Problems.Sorted()
	return f, nil
}

func (f *File) document(root *yamldoc.Node) {
	errs := &f.Problems
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
	for _, item := range items {
		before := len(*errs)
		if t := f.test(item); t != nil && len(*errs) == before {
			f.Tests = append(f.Tests, t)
		}
	}
}

func (f *File) test(item *yamldoc.Node) *Test {
	errs := &f.Problems
	m := item.Mapping(errs)
	if m == nil {
		return nil
	}
	m.Unknown(testKeys, "the test", errs)
	t := &Test{Pos: item.Pos(), Files: map[string][]byte{}, Env: map[string]string{}}
	t.Name, _ = m.Required("name", "the test", errs).String(errs)
	if e := m.Get("env").Mapping(errs); e != nil {
		for _, entry := range e.Entries() {
			t.Env[entry.Key.Raw()], _ = entry.Value.String(errs)
		}
	}
	f.pipeline(t, m.Required("pipeline", "the test", errs))
	if files := m.Get("files").Mapping(errs); files != nil {
		for _, entry := range files.Entries() {
			f.content(t, entry)
		}
	}
	t.expect = m.Required("expect", "the test", errs)
	if e := t.expect.Mapping(errs); e != nil {
		e.Unknown(expectKeys, "expect", errs)
		if e.Len() == 0 {
			t.expect.Errorf(errs, yamldoc.CodeMissingKey, "the test expects nothing")
		}
	}
	return t
}

// pipeline finds the pipeline file and its mistakes.
func (f *File) pipeline(t *Test, n *yamldoc.Node) {
	name, ok := n.String(&f.Problems)
	if !ok {
		return
	}
	t.Pipeline = filepath.Join(filepath.Dir(f.Path), name)
	data, err := os.ReadFile(t.Pipeline)
	if err != nil {
		n.Errorf(&f.Problems, yamldoc.CodeValue, "the pipeline %s cannot be read: %v", name, err)
		return
	}
	f.texts[t.Pipeline] = data
	env := func(key string) (string, bool) {
		if v, ok := t.Env[key]; ok {
			return v, true
		}
		return os.LookupEnv(key)
	}
	if _, err := pipeline.Parse(t.Pipeline, data, env); err != nil {
		var list diag.List
		if d, ok := err.(diag.List); ok { //nolint:errorlint // Parse returns it bare
			list = d
		}
		f.Problems.Add(list...)
		n.Errorf(&f.Problems, yamldoc.CodeValue, "the pipeline %s has mistakes", name)
	}
}

// content reads what a file holds: a text, or a file to copy.
func (f *File) content(t *Test, e yamldoc.Entry) {
	name := e.Key.Raw()
	if !filepath.IsLocal(name) {
		e.Key.Errorf(&f.Problems, yamldoc.CodeValue, "%q does not lie below the pipeline file; write a relative path without ..", name)
		return
	}
	if e.Value.Kind() != yamldoc.Map {
		text, _ := e.Value.String(&f.Problems)
		t.Files[name] = []byte(text)
		return
	}
	m := e.Value.Mapping(&f.Problems)
	m.Unknown([]string{"file"}, "the file", &f.Problems)
	from, ok := m.Required("file", "the file", &f.Problems).String(&f.Problems)
	if !ok {
		return
	}
	data, err := os.ReadFile(filepath.Join(filepath.Dir(f.Path), from))
	if err != nil {
		e.Value.Errorf(&f.Problems, yamldoc.CodeValue, "%s cannot be read: %v", from, err)
		return
	}
	t.Files[name] = data
}

// stage makes the folder that a test runs in: links to what lies beside the
// pipeline file, without what earlier runs left and without the test's own files.
func (t *Test) stage(dir string) error {
	from := filepath.Dir(t.Pipeline)
	own := map[string]bool{".profiler": true, ".git": true}
	for name := range t.Files {
		first, _, _ := strings.Cut(filepath.ToSlash(name), "/")
		own[first] = true
	}
	for _, first := range t.sources() {
		own[first] = true
		if err := os.MkdirAll(filepath.Join(dir, first), 0o755); err != nil {
			return err
		}
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if own[e.Name()] || strings.Contains(e.Name(), ".db") {
			continue
		}
		abs, err := filepath.Abs(filepath.Join(from, e.Name()))
		if err != nil {
			return err
		}
		if err := os.Symlink(abs, filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	for name, data := range t.Files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	return nil
}

// sources lists the folders beside the pipeline file that its source reads.
func (t *Test) sources() (first []string) {
	p, err := pipeline.Load(t.Pipeline)
	if err != nil || p.Source == nil {
		return nil
	}
	if p.Source.Streams() {
		return []string{"messages"}
	}
	for _, pattern := range p.Source.Files {
		head, _, deep := strings.Cut(filepath.ToSlash(pattern), "/")
		if deep {
			first = append(first, head)
		}
	}
	return first
}
