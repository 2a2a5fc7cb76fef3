package profile_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/golden"
	"github.com/profilerhq/profiler/internal/profile"
)

const dataFolder = "../../test/data"

// v1Profiles are profiles that version 1 of the format wrote. They are never
// written again: every later version has to read them.
func v1Profiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dataFolder, "v1*.profile"))
	require.NoError(t, err)
	require.Len(t, files, 3)
	return files
}

func decoded(t *testing.T, file string) *profile.Profile {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	p, err := profile.Decode(data)
	require.NoError(t, err)
	return p
}

func summaryText(t *testing.T, p *profile.Profile) []byte {
	t.Helper()
	b, err := json.MarshalIndent(p.Summary(), "", "  ")
	require.NoError(t, err)
	return append(b, '\n')
}

func TestProfilesOfVersion1StayReadable(t *testing.T) {
	t.Parallel()
	for _, file := range v1Profiles(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			golden.Equal(t, summaryText(t, decoded(t, file)), strings.TrimSuffix(file, "profile")+"golden.json")
		})
	}
}

func TestProfilesOfVersion1AreWrittenAgainWithoutLoss(t *testing.T) {
	t.Parallel()
	for _, file := range v1Profiles(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			p := decoded(t, file)
			b, err := p.Encode()
			require.NoError(t, err)
			again, err := profile.Decode(b)
			require.NoError(t, err)
			require.Equal(t, string(summaryText(t, p)), string(summaryText(t, again)))
		})
	}
}

func TestProfilesOfVersion1Merge(t *testing.T) {
	t.Parallel()
	for _, file := range v1Profiles(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			one := decoded(t, file)
			both, err := profile.Merged(one, decoded(t, file))
			require.NoError(t, err)
			require.Equal(t, 2*one.Rows(), both.Rows())
			for _, name := range one.ColumnNames() {
				a, b := one.Column(name), both.Column(name)
				require.Equal(t, 2*a.Count, b.Count, name)
				require.Equal(t, a.Type, b.Type, name)
				require.Equal(t, a.Distinct, b.Distinct, name)
				require.Equal(t, a.Max, b.Max, name)
			}
		})
	}
}
