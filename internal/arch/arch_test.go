package arch

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

// The files are read through os, so a change of any of them makes the cached
// result of this test stale.
func TestRepository(t *testing.T) {
	t.Parallel()
	table, err := os.ReadFile("layers.txt")
	require.NoError(t, err)
	found, err := check(os.DirFS("../.."), string(table))
	require.NoError(t, err)
	require.Empty(t, found, "\n"+strings.Join(found, "\n"))
}

const goodTable = `
test | example.com/require
low  | 0 |     | example.com/only/low
high | 1 | low |
kit  | test |  |
`

func goodTree() map[string]string {
	return map[string]string{
		"internal/low/low.go":        "package low\nimport (\n\"fmt\"\n\"example.com/only/low/part\"\n)",
		"internal/low/low_test.go":   "package low_test\nimport (\n\"example.com/require\"\n\"github.com/profilerhq/profiler/internal/kit\"\n)",
		"internal/high/high.go":      "package high\nimport \"github.com/profilerhq/profiler/internal/low\"",
		"internal/kit/kit.go":        "package kit",
		"internal/low/testdata/x.go": "this is no Go",
		"cmd/profiler/main.go":       "package main\nfunc main() {}",
	}
}

func TestCheckReports(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, file, body, table, want string
	}{
		{name: "nothing in a good tree"},
		{name: "an import that is not listed", file: "internal/low/x.go", body: "package low\nimport \"github.com/profilerhq/profiler/internal/high\"",
			want: "package low may not import internal/high"},
		{name: "a test package in the product", file: "internal/high/x.go", body: "package high\nimport \"github.com/profilerhq/profiler/internal/kit\"",
			want: "package high may not import internal/kit"},
		{name: "a module outside its package", file: "internal/high/x.go", body: "package high\nimport \"example.com/only/low\"",
			want: "package high may not import example.com/only/low: external modules are confined"},
		{name: "a module that only begins alike", file: "internal/low/x.go", body: "package low\nimport \"example.com/only/lower\"",
			want: "package low may not import example.com/only/lower"},
		{name: "a module for tests in the product", file: "internal/low/x.go", body: "package low\nimport \"example.com/require\"",
			want: "package low may not import example.com/require"},
		{name: "a part of a module that is not for tests", file: "internal/low/x_test.go", body: "package low\nimport \"example.com/assert\"",
			want: "package low may not import example.com/assert"},
		{name: "an unknown package, with its line", file: "internal/new/x.go", body: "package new\nimport \"github.com/profilerhq/profiler/internal/low\"",
			want: "add to internal/arch/layers.txt the line\n\tnew | LAYER | low |"},
		{name: "a stale line", table: "gone | 0 | |", want: "there is no package internal/gone: remove the line"},
		{name: "a line that points up", table: "mid | 0 | high |", file: "internal/mid/x.go", body: "package mid",
			want: "mid (layer 0) may not import high (layer 1)"},
		{name: "a line that names a test package", table: "mid | 2 | kit |", file: "internal/mid/x.go", body: "package mid",
			want: "mid may not import kit, which is for tests only"},
		{name: "a line that names no package", table: "mid | 2 | none |", file: "internal/mid/x.go", body: "package mid",
			want: "mid may import none, which is not in the table"},
		{name: "cgo", file: "internal/low/x.go", body: "package low\nimport \"C\"", want: `import "C"`},
		{name: "cgo in a tool", file: "tools/x/x.go", body: "package main\nimport \"C\"", want: `import "C"`},
		{name: "init", file: "internal/low/x.go", body: "package low\n\nfunc init() {}", want: "internal/low/x.go:3: func init"},
		{name: "a name that says nothing", file: "internal/low/x.go", body: "package util", want: "package util: name it after what it does"},
		{name: "a long main", file: "cmd/profiler/main.go", body: "package main\n" + strings.Repeat("\n", 25), want: "has 26 lines, at most 25"},
		{name: "a program that reaches below cli", file: "cmd/profiler/main.go", body: "package main\nimport \"github.com/profilerhq/profiler/internal/low\"",
			want: "a program may import internal/cli alone, not internal/low"},
		{name: "a module in a program", file: "cmd/profiler/main.go", body: "package main\nimport \"example.com/x\"", want: "may not import example.com/x"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tree := fstest.MapFS{}
			for name, body := range goodTree() {
				tree[name] = &fstest.MapFile{Data: []byte(body)}
			}
			if tc.file != "" {
				tree[tc.file] = &fstest.MapFile{Data: []byte(tc.body)}
			}
			found, err := check(tree, goodTable+tc.table)
			require.NoError(t, err)
			if tc.want == "" {
				require.Empty(t, found)
				return
			}
			require.Len(t, found, 1)
			require.Contains(t, found[0], tc.want)
		})
	}
}

func TestInitMethodsAreNoInits(t *testing.T) {
	t.Parallel()
	tree := fstest.MapFS{"internal/low/x.go": {Data: []byte("package low\ntype T int\nfunc (T) init() {}")}}
	found, err := check(tree, "low | 0 | |")
	require.NoError(t, err)
	require.Empty(t, found)
}

func TestTableErrorsNameTheLine(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		"a | 0 |":              "layers.txt:1: want PACKAGE",
		"\na | x | |":          "layers.txt:2: the layer of a",
		"a | -1 | |":           "layers.txt:1: the layer of a",
		"a | 0 | |\na | 1 | |": "layers.txt:2: package a is listed twice",
	} {
		_, err := parseTable(body)
		require.ErrorContains(t, err, want)
	}
}
