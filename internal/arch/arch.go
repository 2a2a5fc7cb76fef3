// Package arch checks the import rules of the repository: which package may
// import which, where external modules may be used, and a few habits. It is
// used by tests alone.
package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

const (
	module      = "github.com/profilerhq/profiler"
	mainFile    = "cmd/profiler/main.go"
	maxMainSize = 25
	tableFile   = "internal/arch/layers.txt"
	testLayer   = -1
)

// row is one line of the table: what a package below internal/ may import.
type row struct {
	line     int
	layer    int // testLayer for packages that only tests import
	internal []string
	external []string
}

// table is the parsed layers.txt.
type table struct {
	rows map[string]row
	free []string // modules that every package may import
	test []string // modules that every test file may import
}

// parseTable reads the table. Its form is described in its first lines.
func parseTable(text string) (*table, error) {
	t := &table{rows: map[string]row{}}
	for i, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		parts := strings.Split(line, "|")
		for j := range parts {
			parts[j] = strings.TrimSpace(parts[j])
		}
		switch {
		case strings.TrimSpace(line) == "":
			continue
		case parts[0] == "free" && len(parts) == 2:
			t.free = strings.Fields(parts[1])
			continue
		case parts[0] == "test" && len(parts) == 2:
			t.test = strings.Fields(parts[1])
			continue
		case len(parts) != 4:
			return nil, fmt.Errorf("%s:%d: want PACKAGE | LAYER | INTERNAL | EXTERNAL", tableFile, i+1)
		}
		if _, ok := t.rows[parts[0]]; ok {
			return nil, fmt.Errorf("%s:%d: package %s is listed twice", tableFile, i+1, parts[0])
		}
		r := row{line: i + 1, layer: testLayer, internal: strings.Fields(parts[2]), external: strings.Fields(parts[3])}
		if parts[1] != "test" {
			var err error
			if r.layer, err = strconv.Atoi(parts[1]); err != nil || r.layer < 0 {
				return nil, fmt.Errorf("%s:%d: the layer of %s is no number and not the word test", tableFile, i+1, parts[0])
			}
		}
		t.rows[parts[0]] = r
	}
	return t, nil
}

// source is what the checks look at in one Go file.
type source struct {
	path    string // from the root of the tree
	pkg     string // folder below internal/, or the folder itself outside
	test    bool
	imports []string
	inits   []int // lines of init functions
	name    string
	lines   int
}

// check returns every violation in the tree, sorted. Files below testdata and folders that begin with _ or .,
// hidden folders and the folders of other modules are not looked at.
func check(tree fs.FS, tableText string) ([]string, error) {
	t, err := parseTable(tableText)
	if err != nil {
		return nil, err
	}
	files, err := readTree(tree)
	if err != nil {
		return nil, err
	}
	found := t.checkTable(files)
	for _, f := range files {
		found = append(found, t.checkImports(f)...)
		found = append(found, checkHabits(f)...)
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

func readTree(tree fs.FS) ([]source, error) {
	var files []source
	err := fs.WalkDir(tree, ".", func(p string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && p != "." && (strings.HasPrefix(e.Name(), ".") || strings.HasPrefix(e.Name(), "_") || e.Name() == "testdata"):
			return fs.SkipDir
		case e.IsDir() || path.Ext(p) != ".go":
			return nil
		}
		f, err := readSource(tree, p)
		if err != nil {
			return err
		}
		files = append(files, f)
		return nil
	})
	return files, err
}

func readSource(tree fs.FS, p string) (source, error) {
	body, err := fs.ReadFile(tree, p)
	if err != nil {
		return source{}, err
	}
	fset := token.NewFileSet()
	parsed, err := parser.ParseFile(fset, p, body, parser.SkipObjectResolution)
	if err != nil {
		return source{}, err
	}
	dir := path.Dir(p)
	f := source{
		path: p, pkg: strings.TrimPrefix(dir, "internal/"), test: strings.HasSuffix(p, "_test.go"),
		name: strings.TrimSuffix(parsed.Name.Name, "_test"), lines: strings.Count(string(body), "\n"),
	}
	for _, i := range parsed.Imports {
		name, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			return source{}, err
		}
		f.imports = append(f.imports, name)
	}
	for _, d := range parsed.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
			f.inits = append(f.inits, fset.Position(fn.Pos()).Line)
		}
	}
	return f, nil
}

// checkTable compares the packages of the tree with the rows, and the rows
// with each other.
func (t *table) checkTable(files []source) (found []string) {
	exists := map[string]bool{}
	wanted := map[string]map[string]bool{}
	for _, f := range files {
		if !strings.HasPrefix(f.path, "internal/") {
			continue
		}
		exists[f.pkg] = true
		if wanted[f.pkg] == nil {
			wanted[f.pkg] = map[string]bool{}
		}
		for _, i := range f.imports {
			if name, ok := strings.CutPrefix(i, module+"/internal/"); ok && !f.test {
				wanted[f.pkg][name] = true
			}
		}
	}
	for _, pkg := range slices.Sorted(maps.Keys(exists)) {
		if _, ok := t.rows[pkg]; !ok {
			found = append(found, fmt.Sprintf("internal/%s is not in the table: add to %s the line\n\t%s | LAYER | %s |",
				pkg, tableFile, pkg, strings.Join(slices.Sorted(maps.Keys(wanted[pkg])), " ")))
		}
	}
	for pkg, r := range t.rows {
		if !exists[pkg] {
			found = append(found, fmt.Sprintf("%s:%d: there is no package internal/%s: remove the line", tableFile, r.line, pkg))
		}
		for _, dep := range r.internal {
			d, ok := t.rows[dep]
			switch {
			case !ok:
				found = append(found, fmt.Sprintf("%s:%d: %s may import %s, which is not in the table: remove it", tableFile, r.line, pkg, dep))
			case r.layer != testLayer && d.layer >= r.layer:
				found = append(found, fmt.Sprintf("%s:%d: %s (layer %d) may not import %s (layer %d): imports go to lower layers", tableFile, r.line, pkg, r.layer, dep, d.layer))
			case r.layer != testLayer && d.layer == testLayer:
				found = append(found, fmt.Sprintf("%s:%d: %s may not import %s, which is for tests only", tableFile, r.line, pkg, dep))
			}
		}
	}
	return found
}

func (t *table) checkImports(f source) (found []string) {
	r, inTable := t.rows[f.pkg]
	below := strings.HasPrefix(f.path, "internal/")
	for _, i := range f.imports {
		internal, isOurs := strings.CutPrefix(i, module+"/internal/")
		switch {
		case i == "C":
			found = append(found, f.path+`: import "C": the program is built without cgo`)
		case isOurs && f.test:
			// Tests may reach for any package; the compiler refuses cycles.
		case isOurs && below && inTable && !slices.Contains(r.internal, internal):
			found = append(found, fmt.Sprintf("%s: package %s may not import internal/%s: add it to line %d of %s if the direction is right", f.path, f.pkg, internal, r.line, tableFile))
		case isOurs && !below && strings.HasPrefix(f.path, "cmd/") && internal != "cli":
			found = append(found, fmt.Sprintf("%s: a program may import internal/cli alone, not internal/%s", f.path, internal))
		case isOurs && !below:
			continue
		case isOurs, i == module, !isExternal(i):
			continue
		case matches(t.free, i), f.test && matches(t.test, i), below && matches(r.external, i):
			continue
		case f.test && !below:
			continue
		default:
			found = append(found, fmt.Sprintf("%s: package %s may not import %s: external modules are confined by %s", f.path, f.pkg, i, tableFile))
		}
	}
	return found
}

func checkHabits(f source) (found []string) {
	for _, line := range f.inits {
		found = append(found, fmt.Sprintf("%s:%d: func init: build it in a constructor", f.path, line))
	}
	if slices.Contains([]string{"util", "utils", "common", "helper", "helpers", "manager", "models"}, f.name) {
		found = append(found, fmt.Sprintf("%s: package %s: name it after what it does", f.path, f.name))
	}
	if f.path == mainFile && f.lines > maxMainSize {
		found = append(found, fmt.Sprintf("%s has %d lines, at most %d: move the rest to internal/cli", f.path, f.lines, maxMainSize))
	}
	return found
}

// isExternal reports whether an import path is of another module: those of
// the standard library have no dot in their first element.
func isExternal(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return strings.Contains(first, ".")
}

// matches reports whether an import path is one of the modules or below it.
func matches(modules []string, importPath string) bool {
	return slices.ContainsFunc(modules, func(m string) bool {
		return importPath == m || strings.HasPrefix(importPath, m+"/")
	})
}
