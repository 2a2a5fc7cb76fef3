package golden

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCompareNamesTheFirstDifference(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "want.txt")
	require.NoError(t, os.WriteFile(path, []byte("one\ntwo\nthree\n"), 0o644))
	for _, tc := range []struct {
		name, got string
		want      []string
	}{
		{"equal content passes", "one\ntwo\nthree\n", nil},
		{"a changed line is shown", "one\n2\nthree\n", []string{"line 2", `want: "two\n"`, `got:  "2\n"`, "-update"}},
		{"a missing last line end is shown", "one\ntwo\nthree", []string{"line 3", `want: "three\n"`, `got:  "three"`}},
		{"missing lines are shown", "one\n", []string{"line 2", `got:  ""`}},
		{"added lines are shown", "one\ntwo\nthree\nfour", []string{"line 4", `got:  "four"`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			msg := compare([]byte(tc.got), path)
			if tc.want == nil {
				require.Empty(t, msg)
			}
			for _, part := range tc.want {
				require.Contains(t, msg, part)
			}
		})
	}
}

func TestCompareFailsOnAMissingFile(t *testing.T) {
	t.Parallel()
	require.Contains(t, compare(nil, filepath.Join(t.TempDir(), "none.txt")), "-update")
}

func TestWriteCreatesFolders(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a", "b", "want.txt")
	require.NoError(t, write(path, []byte("x")))
	require.Empty(t, compare([]byte("x"), path))
	Equal(t, []byte("x"), path)
}
