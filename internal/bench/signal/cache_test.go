package signal

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// keptProfiles lists the files of a cache.
func keptProfiles(t *testing.T, dir string) (files []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, path)
		}
		return err
	}))
	return files
}

// Kept profiles give the same figures, are read in the place of tables, and are
// made again where they are damaged.
func TestProfilesAreKept(t *testing.T) {
	o := Options{Only: []string{"tiny"}, Seed: 3, Batches: 40, Injections: 1, NoPeers: true, NoChains: true, Cache: t.TempDir(), Version: "test"}
	figures := func() Figures {
		r, err := Run(t.Context(), o)
		require.NoError(t, err)
		f := *r.Detectors[0].Group(GroupSynthetic)
		f.CPU = 0
		return f
	}
	first := figures()
	kept := keptProfiles(t, o.Cache)
	require.Greater(t, len(kept), 60)
	require.Equal(t, first, figures())
	require.Equal(t, kept, keptProfiles(t, o.Cache))

	o.Version = "another" // of the profiler
	require.Equal(t, first, figures())
	require.Len(t, keptProfiles(t, o.Cache), 2*len(kept))
	o.Version = "test"

	one, err := os.ReadFile(kept[0])
	require.NoError(t, err)
	for _, f := range kept {
		require.NoError(t, os.WriteFile(f, one, 0o600))
	}
	require.NotEqual(t, first, figures(), "they are read")
	for _, f := range kept {
		require.NoError(t, os.WriteFile(f, one[:len(one)/2], 0o600))
	}
	require.Equal(t, first, figures(), "damaged ones are made again")
}
