package rules

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/golden"
)

// TestContradictions compares the findings about a file of contradictions with
// a golden text; nothing is found in one of checks that only look like them.
func TestContradictions(t *testing.T) {
	t.Parallel()
	for name, isGood := range map[string]bool{"contradictions": false, "no_contradictions": true} {
		data, err := os.ReadFile("testdata/" + name + ".yaml")
		require.NoError(t, err)
		sets, diags := Parse(name+".yaml", data, env)
		require.NoError(t, diags.Err())
		found := (&Library{Sets: sets}).Lint()
		if isGood {
			require.Empty(t, found)
			continue
		}
		var out bytes.Buffer
		for _, d := range found {
			diag.Excerpt(&out, d, data)
		}
		golden.Equal(t, out.Bytes(), "testdata/"+name+".golden")
	}
}

// TestFilesAreComparedWithEachOther finds what two files about one dataset say
// against each other, and ids that both have.
func TestFilesAreComparedWithEachOther(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.yaml": "dataset: shop/orders\nchecks: [{row_count: {min: 5}, id: volume}]\n",
		"b.yaml": "dataset: shop/*\nchecks: [{row_count: {max: 3}, id: volume}]\n",
		"c.yaml": "dataset: other/orders\nchecks: [{row_count: {max: 3}, id: volume}]\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	l, diags, err := Load([]string{dir}, env)
	require.NoError(t, err)
	require.NoError(t, diags.Err())
	found := l.Lint()
	require.Len(t, found, 2)
	require.ErrorContains(t, found[0], `it contradicts "row_count" in `+dir+`/a.yaml:2`)
	require.ErrorContains(t, found[1], `the id "volume" is taken by the check in `+dir+`/a.yaml:2, which is about the same dataset`)
	require.Equal(t, filepath.Join(dir, "b.yaml"), found[1].Pos.File)
}
