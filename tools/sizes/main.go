// Command sizes prints the ten longest Go files and functions of the working
// tree, tests apart. It is a report and no gate.
package main

import (
	"cmp"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

type size struct {
	name  string
	lines int
}

func main() {
	if err := report(os.Stdout, "."); err != nil {
		fmt.Fprintln(os.Stderr, "sizes:", err)
		os.Exit(1)
	}
}

func report(w io.Writer, root string) error {
	var files, funcs []size
	fset := token.NewFileSet()
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && path != root && (strings.HasPrefix(e.Name(), ".") || e.Name() == "testdata") {
			return filepath.SkipDir
		}
		if e.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files = append(files, size{path, fset.File(f.Pos()).LineCount()})
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok {
				start, end := fset.Position(fn.Pos()).Line, fset.Position(fn.End()).Line
				funcs = append(funcs, size{fmt.Sprintf("%s:%d %s", path, start, fn.Name.Name), end - start + 1})
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return errors.Join(print10(w, "longest files (lines)", files), print10(w, "longest functions (lines)", funcs))
}

func print10(w io.Writer, title string, all []size) error {
	slices.SortFunc(all, func(a, b size) int {
		return cmp.Or(cmp.Compare(b.lines, a.lines), strings.Compare(a.name, b.name))
	})
	var b strings.Builder
	b.WriteString(title + "\n")
	for _, s := range all[:min(10, len(all))] {
		fmt.Fprintf(&b, "%6d  %s\n", s.lines, s.name)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
