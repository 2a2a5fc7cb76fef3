package yamldoc_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

var update = flag.Bool("update", false, "rewrite the expected diagnostics")

// parse reads a file like a consumer would: it expands the variables and reads
// the checks of the file.
func parse(file string, data []byte) ([]*yamldoc.Document, diag.List) {
	docs, errs := yamldoc.Parse(file, data)
	for _, doc := range docs {
		errs.Add(yamldoc.ExpandDocument(doc, "vars", nil, testEnv)...)
		read(doc, &errs)
	}
	return docs, errs.Sorted()
}

func testEnv(name string) (string, bool) {
	switch name {
	case "SECRET":
		return "hunter2", true
	case "EMPTY":
		return "", true
	}
	return "", false
}

func read(doc *yamldoc.Document, errs *diag.List) {
	var n int
	var f float64
	m := doc.Root().Mapping(errs)
	m.Required("version", "the file", errs)
	m.Fill("the file", yamldoc.Fields{
		"version": &n, "owner": new(string), "key": new([]string), "ratio": func(n *yamldoc.Node) { n.Percent(errs) },
		"max": &f, "min": &f, "enabled": new(bool), "every": func(n *yamldoc.Node) { n.Duration(errs) },
		"memory": func(n *yamldoc.Node) { n.Bytes(errs) }, "at": func(n *yamldoc.Node) { n.Time(errs) },
		"vars": func(*yamldoc.Node) {}, "any": func(*yamldoc.Node) {}, "where": new(string),
		"mode": func(n *yamldoc.Node) { n.OneOf(errs, "block", "warn", "quarantine") },
	}, errs)
}

// Each testdata/*.bad.yaml breaks one rule; its .txt holds what the user sees.
func TestBrokenFiles(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.bad.yaml")
	require.NoError(t, err)
	require.Greater(t, len(files), 40)
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			_, errs := parse(name, data)
			require.NotEmpty(t, errs, "the file is accepted")
			var b strings.Builder
			for _, d := range errs {
				diag.Excerpt(&b, d, data)
			}
			golden := strings.TrimSuffix(file, ".yaml") + ".txt"
			if *update {
				require.NoError(t, os.WriteFile(golden, []byte(b.String()), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), b.String())
			requirePositionsInside(t, data, errs)
			for _, leak := range []string{"yaml:", "*yaml", "int64", "float64", "!!", "did not find", "mapping values", "%!", "%c", "hunter2"} {
				for _, d := range errs {
					require.NotContains(t, d.Message+d.Hint, leak)
				}
			}
		})
	}
}

// requirePositionsInside proves that every diagnostic points into the file.
func requirePositionsInside(t *testing.T, data []byte, errs diag.List) {
	t.Helper()
	lines := strings.Split(strings.TrimPrefix(string(data), "\ufeff"), "\n")
	for _, d := range errs {
		require.GreaterOrEqual(t, d.Pos.Line, 1, d.Error())
		require.LessOrEqual(t, d.Pos.Line, len(lines), d.Error())
		require.GreaterOrEqual(t, d.Pos.Column, 1, d.Error())
		require.LessOrEqual(t, d.Pos.Column, len([]rune(lines[d.Pos.Line-1]))+1, d.Error())
	}
}

// seedFiles returns the broken files for the fuzz target.
func seedFiles() ([][]byte, error) {
	files, err := filepath.Glob("testdata/*.bad.yaml")
	if err != nil {
		return nil, err
	}
	var seeds [][]byte
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		seeds = append(seeds, data)
	}
	return seeds, nil
}
