package dashboards

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWrite(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "folder")
	written, err := Write(dir, Options{})
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, f := range written {
		require.Equal(t, "new", f.State, f.Path)
		name, err := filepath.Rel(dir, f.Path)
		require.NoError(t, err)
		seen[filepath.ToSlash(name)] = true
		want, err := os.ReadFile(name)
		require.NoError(t, err)
		got, err := os.ReadFile(f.Path)
		require.NoError(t, err)
		require.Equal(t, string(want), string(got), "the file of this folder")
	}
	// Nothing of this folder is left out but Go files and the tests of rules.
	require.NoError(t, fs.WalkDir(os.DirFS("."), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		internal := strings.HasSuffix(path, ".go") || strings.HasSuffix(path, ".test.yml")
		require.Equal(t, !internal, seen[path], path)
		return nil
	}))

	written, err = Write(dir, Options{GrafanaURL: "https://grafana.example", RunbookURL: "https://wiki.example/"})
	require.NoError(t, err)
	for _, f := range written {
		data, err := os.ReadFile(f.Path)
		require.NoError(t, err)
		require.NotContains(t, string(data), GrafanaURL)
		require.NotContains(t, string(data), RunbookURL)
		if strings.HasSuffix(f.Path, "meta.rules.yml") {
			require.Equal(t, "changed", f.State)
			require.Contains(t, string(data), "runbook_url: https://wiki.example/ProfilerDown.md")
			require.Contains(t, string(data), "dashboard_url: 'https://grafana.example/d/profiler-overview?")
		}
		if strings.HasSuffix(f.Path, "datasources.yaml") {
			require.Equal(t, "same", f.State)
		}
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	_, err = Write(filepath.Join(dir, "file"), Options{})
	require.ErrorContains(t, err, "not a directory")
}
