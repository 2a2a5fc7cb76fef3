package disk

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/exact"
)

func create(t *testing.T, dir string) *file {
	t.Helper()
	f, err := New(dir).Create()
	require.NoError(t, err)
	return f.(*file)
}

func entries(t *testing.T, dir string) int {
	t.Helper()
	list, err := os.ReadDir(dir)
	require.NoError(t, err)
	return len(list)
}

func TestFilesHaveNoName(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := create(t, dir)
	if runtime.GOOS != "windows" {
		require.Zero(t, entries(t, dir), "nothing stays behind even if the program is killed")
	}
	require.NoError(t, f.Reserve(5))
	_, err := f.WriteAt([]byte("hello"), 0)
	require.NoError(t, err)
	b := make([]byte, 5)
	_, err = f.ReadAt(b, 0)
	require.NoError(t, err)
	require.Equal(t, "hello", string(b))
	require.NoError(t, f.Close())
	require.Zero(t, entries(t, dir))
}

// Where a file cannot lose its name while it is open, it goes at the end.
func TestNamedFilesGoAtTheEnd(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	named, err := os.Create(filepath.Join(dir, "x"))
	require.NoError(t, err)
	f := &file{File: named, dir: dir, named: true}
	require.Equal(t, 1, entries(t, dir))
	require.NoError(t, f.Close())
	require.Zero(t, entries(t, dir))
}

func TestSpaceIsAskedForAhead(t *testing.T) {
	t.Parallel()
	f := create(t, t.TempDir())
	defer f.Close()
	left, asked := int64(300<<20), 0
	f.free = func(*os.File) (int64, bool) { asked++; return left, true }
	for at := int64(1000); at <= 100<<20; at += 1000 {
		require.NoError(t, f.Reserve(at))
	}
	require.Less(t, asked, 10, "not at every block")
	left = 30 << 20
	err := f.Reserve(200 << 20)
	var missing *Error
	require.ErrorAs(t, err, &missing)
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.Equal(t, int64(200<<20), missing.Needs)
	require.Equal(t, "at least 200 MiB in "+f.dir+" are needed, and 30 MiB are free; set TMPDIR to a folder with more", err.Error())
	f.free = func(*os.File) (int64, bool) { return 0, false }
	require.NoError(t, f.Reserve(1<<40), "where it is not known, writing shows it")
}

func TestFoldersThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "nothing")
	_, err := New(dir).Create()
	require.EqualError(t, err, "a temporary file in "+dir+" is needed: no such file or directory; set TMPDIR to a folder with space")
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestErrorsOfTheSystemNameTheFolder(t *testing.T) {
	t.Parallel()
	f := create(t, t.TempDir())
	require.NoError(t, f.File.Close())
	_, err := f.WriteAt([]byte("x"), 0)
	require.ErrorContains(t, err, f.dir)
	require.ErrorIs(t, err, os.ErrClosed)
	_, err = f.ReadAt(make([]byte, 1), 0)
	require.ErrorContains(t, err, f.dir)
}

func TestAFullDisk(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err != nil {
		t.Skip("there is no /dev/full here:", err)
	}
	f := &file{File: full, dir: "/dev", free: func(*os.File) (int64, bool) { return 12, true }}
	defer f.Close()
	_, err = f.WriteAt([]byte("hello"), 1<<20)
	var missing *Error
	if !errors.As(err, &missing) {
		t.Skip("positions of /dev/full cannot be written here:", err)
	}
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.Equal(t, int64(12), missing.Free)
}

func TestFreeSpaceOfARealFolder(t *testing.T) {
	t.Parallel()
	f := create(t, "")
	defer f.Close()
	n, ok := free(f.File)
	require.Equal(t, runtime.GOOS == "linux" || runtime.GOOS == "darwin" || runtime.GOOS == "freebsd", ok)
	require.Equal(t, ok, n > 0)
	require.Equal(t, "1 MiB", exact.Size(1<<20))
}
