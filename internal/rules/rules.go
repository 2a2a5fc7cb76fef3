// Package rules reads rule files: YAML that is checked into git and says what
// is expected of datasets. Mistakes are reported all at once, with their
// places.
package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

// Set is one document of a rule file: the expectations of a dataset, or of all
// that match a pattern.
type Set struct {
	File    string
	Pos     diag.Position
	Dataset string // namespace/name or a pattern; empty applies only where the file is named
	Owner   string
	Tags    []string
	Key     []string
	// Sensitive names the columns whose values are masked.
	Sensitive checks.Sensitive
	OnFail    string // block, warn or quarantine; empty is block
	Auto      *Auto  // nil where the file does not say
	Checks    []*checks.Check
	// Scan says what the service reads by itself; nil is nothing.
	Scan   *Scan
	keyPos []diag.Position // of Key
	// hash is the SHA-256 of the document's file.
	hash [sha256.Size]byte
}

// Library is what was read from rule files.
type Library struct {
	Sets []*Set
	// Files are the paths that were read.
	Files   []string
	sources map[string][]byte
}

// Source returns the text of a file that was read, for excerpts.
func (l *Library) Source(file string) []byte { return l.sources[file] }

// Load reads rule files and, below folders, all files that end in .yaml or
// .yml but not in _test.yaml. env looks up ${env:NAME}. The diagnostics hold
// all problems of all files; the library holds what could be read. The error
// is of reading files.
func Load(paths []string, env func(string) (string, bool)) (*Library, diag.List, error) {
	l := &Library{sources: map[string][]byte{}}
	var diags diag.List
	for _, p := range paths {
		files, err := find(p)
		if err != nil {
			return nil, nil, err
		}
		for _, f := range files {
			data, err := os.ReadFile(f)
			if err != nil {
				return nil, nil, fmt.Errorf("read rules: %w", plainPath(err))
			}
			sets, d := Parse(f, data, env)
			diags.Add(d...)
			l.Sets = append(l.Sets, sets...)
			l.Files = append(l.Files, f)
			l.sources[f] = data
		}
	}
	return l, diags, nil
}

// plainPath drops the name of the system call from an error of a file.
func plainPath(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		if errors.Is(pe.Err, fs.ErrNotExist) {
			return &missing{pe.Path, pe.Err}
		}
		return fmt.Errorf("%s: %w", pe.Path, pe.Err)
	}
	return err
}

// missing is a file or folder that is not there.
type missing struct {
	path string
	err  error
}

func (m *missing) Error() string { return m.path + ": no such file or folder; check the path" }

func (m *missing) Unwrap() error { return m.err }

func find(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read rules: %w", plainPath(err))
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	var files []string
	root := strings.TrimRight(path, "/") + "/" // a link to a folder is followed
	err = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && p != root && strings.HasPrefix(d.Name(), ".") {
			return filepath.SkipDir // such as the versions below a mounted ConfigMap
		}
		ext := filepath.Ext(p)
		if d.IsDir() || ext != ".yaml" && ext != ".yml" || strings.HasSuffix(strings.TrimSuffix(p, ext), "_test") {
			return nil
		}
		files = append(files, p)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read rules: %w", plainPath(err))
	}
	return files, nil
}

// Parse reads the documents of one rule file.
func Parse(file string, data []byte, env func(string) (string, bool)) ([]*Set, diag.List) {
	docs, errs := yamldoc.Parse(file, data)
	hash := sha256.Sum256(data)
	var sets []*Set
	for _, doc := range docs {
		errs.Add(yamldoc.ExpandDocument(doc, "vars", nil, env)...)
		s := &Set{File: file, Pos: doc.Root().Pos(), hash: hash}
		s.parse(doc.Root(), &errs)
		sets = append(sets, s)
	}
	return sets, errs.Sorted()
}

func (s *Set) parse(root *yamldoc.Node, errs *diag.List) {
	m := root.Mapping(errs)
	if m == nil {
		return
	}
	m.Unknown(fileKeys, "the rule file", errs)
	if v, ok := m.Get("version").Int(errs); ok && v != 1 {
		m.Get("version").Errorf(errs, yamldoc.CodeValue, "version %d is not known; this program reads version 1", v)
	}
	s.Auto = parseAuto(m.Get("auto"), errs)
	if name, ok := m.Get("dataset").String(errs); ok {
		s.Dataset = DatasetName(name)
	}
	yamldoc.Set(&s.Owner, m.Get("owner"), (*yamldoc.Node).String, errs)
	if n := m.Get("tags"); n != nil {
		s.Tags, _ = n.StringList(errs)
	}
	for _, n := range m.Get("key").Items() {
		if name, ok := n.String(errs); ok {
			s.Key, s.keyPos = append(s.Key, name), append(s.keyPos, n.Pos())
		}
	}
	s.parseSensitive(m.Get("sensitive"), errs)
	s.OnFail, _ = m.Get("on_fail").OneOf(errs, "block", "warn", "quarantine")
	s.parseChecks(m, errs)
	s.nameChecks(errs)
	for _, c := range s.Checks {
		c.LintSensitive(s.Sensitive, errs)
	}
	s.parseScan(m, errs)
	if !m.Has("checks") && !m.Has("columns") && !m.Has("auto") && len(s.Sensitive) == 0 {
		root.Errorf(errs, yamldoc.CodeMissingKey, "the file has no checks; write some below checks: or columns:")
	}
}

// parseSensitive reads the names and patterns of sensitive columns.
func (s *Set) parseSensitive(n *yamldoc.Node, errs *diag.List) {
	for _, item := range n.Items() {
		name, ok := item.String(errs)
		switch {
		case !ok:
		case strings.TrimSpace(name) == "":
			item.Errorf(errs, yamldoc.CodeValue, "a sensitive column has a name, or a pattern like \"card_*\"")
		default:
			s.Sensitive = append(s.Sensitive, name)
		}
	}
}

func (s *Set) parseChecks(m *yamldoc.Mapping, errs *diag.List) {
	if n := m.Get("checks"); n != nil {
		items, _ := n.List(errs)
		s.add(items, nil, errs)
	}
	if n := m.Get("columns"); n != nil {
		for _, e := range n.Mapping(errs).Entries() {
			s.add(e.Value.Items(), e.Key, errs)
		}
	}
}

// add compiles a list of checks; column is the key of the column's list, nil for
// the dataset's.
func (s *Set) add(items []*yamldoc.Node, column *yamldoc.Node, errs *diag.List) {
	for _, item := range items {
		c := checks.Parse(item, column.Raw(), errs)
		if c == nil {
			continue
		}
		c.ColumnPos = column.Pos()
		c.Locate(filepath.Dir(s.File), s.readFile, errs)
		if c.Owner == "" {
			c.Owner = s.Owner
		}
		c.Tags = append(slices.Clone(s.Tags), c.Tags...)
		if c.OnFail == "" {
			c.OnFail = s.OnFail
		}
		s.Checks = append(s.Checks, c)
	}
}

// maxNamed is how many bytes a file that a check names may have.
const maxNamed = 16 << 20

// readFile reads a file that a check names; with it the fingerprint changes.
func (s *Set) readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, plainPath(err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no file", path)
	case info.Size() > maxNamed:
		return nil, fmt.Errorf("%s has more than %d MiB", path, maxNamed>>20)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, plainPath(err)
	}
	s.hash = sha256.Sum256(append(s.hash[:], data...))
	return data, nil
}

// nameChecks gives repeated default ids a number, and reports repeated written
// ones.
func (s *Set) nameChecks(errs *diag.List) {
	first := map[string]*checks.Check{}
	for _, c := range s.Checks {
		if !c.Explicit {
			continue
		}
		if f := first[c.ID]; f != nil {
			errs.Errorf(c.Pos, len(c.Kind), "duplicate-id", "the id %q is taken by the check in line %d; ids are unique in a file", c.ID, f.Pos.Line)
			continue
		}
		first[c.ID] = c
	}
	for _, c := range s.Checks {
		if c.Explicit {
			continue
		}
		id := c.ID
		for n := 2; first[id] != nil; n++ {
			id = fmt.Sprintf("%s-%d", c.ID, n)
		}
		c.ID = id
		first[id] = c
	}
}

// DatasetName returns a name with its namespace: a bare one is default/name.
func DatasetName(name string) string {
	if !strings.Contains(name, "/") {
		return "default/" + name
	}
	return name
}

// For returns the sets that apply to a dataset.
func (l *Library) For(dataset string) []*Set {
	var out []*Set
	for _, s := range l.Sets {
		if s.Dataset != "" && checks.Match(s.Dataset, dataset) {
			out = append(out, s)
		}
	}
	return out
}

// Datasets returns the names and patterns that the rules are about.
func (l *Library) Datasets() []string {
	var out []string
	for _, s := range l.Sets {
		if s.Dataset != "" && !slices.Contains(out, s.Dataset) {
			out = append(out, s.Dataset)
		}
	}
	return out
}

// Plan joins sets into what to judge.
func Plan(sets []*Set, failingRows int) checks.Plan {
	p := checks.Plan{FailingRows: failingRows, Sensitive: SensitiveOf(sets)}
	for _, s := range sets {
		p.Checks = append(p.Checks, s.Checks...)
		for _, k := range s.Key {
			if !slices.Contains(p.Key, k) {
				p.Key = append(p.Key, k)
			}
		}
	}
	return p
}

// SensitiveOf joins the sensitive columns of some sets.
func SensitiveOf(sets []*Set) checks.Sensitive {
	var out checks.Sensitive
	for _, s := range sets {
		out = append(out, s.Sensitive...)
	}
	return out
}

// Fingerprint identifies the rules of some sets: it changes when a file does.
func Fingerprint(sets []*Set) string {
	h := sha256.New()
	for _, s := range sets {
		h.Write(s.hash[:])
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
