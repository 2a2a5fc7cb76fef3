package checks_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/golden"
)

// The head of each page is made from the catalogue; -update writes it.
func TestHeadsOfPagesAreFresh(t *testing.T) {
	t.Parallel()
	for _, s := range checks.Catalog() {
		path := filepath.Join(docsFolder, s.Kind+".md")
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		title, rest, ok := strings.Cut(string(data), "\n\n")
		require.True(t, ok, path)
		if strings.HasPrefix(rest, "<!-- made from") {
			_, rest, ok = strings.Cut(rest, "<!-- end -->\n\n")
			require.True(t, ok, path)
		}
		want := title + "\n\n" + s.Head() + "\n" + rest
		if golden.Updating() {
			require.NoError(t, os.WriteFile(path, []byte(want), 0o644))
			continue
		}
		require.Equal(t, want, string(data), "%s: run the test with -update", path)
	}
}

// The table of metrics of the catalogue page is made like the heads.
func TestTheCatalogueOfMetricsIsFresh(t *testing.T) {
	t.Parallel()
	path := filepath.Join(docsFolder, "README.md")
	text := page(t, "README.md")
	before, rest, ok := strings.Cut(text, "<!-- made from")
	require.True(t, ok)
	_, after, ok := strings.Cut(rest, "<!-- end -->\n")
	require.True(t, ok)
	want := before + checks.MetricTable() + after
	if golden.Updating() {
		require.NoError(t, os.WriteFile(path, []byte(want), 0o644))
		return
	}
	require.Equal(t, want, text, "%s: run the test with -update", path)
}
