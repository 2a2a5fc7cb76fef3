package tap

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// filesIn returns the names of what stands in a folder.
func filesIn(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	names := []string{}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestHoldReleasesWhatItGot(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 1))
	for _, memory := range []int64{0, 1, BlockBytes - 1, BlockBytes, 3*BlockBytes + 7, 1 << 40} {
		dir := t.TempDir()
		h := NewHold(dir, memory)
		var want []byte
		for range 40 {
			b := make([]byte, r.IntN(BlockBytes/4))
			for i := range b {
				b[i] = byte(r.Uint32())
			}
			n, err := h.Write(b)
			require.NoError(t, err)
			require.Equal(t, len(b), n)
			want = append(want, b...)
		}
		require.Equal(t, int64(len(want)), h.Size())
		require.Equal(t, h.Size() > memory, h.spool != nil)
		var got bytes.Buffer
		require.NoError(t, h.Release(&got))
		require.True(t, bytes.Equal(want, got.Bytes()))
		require.NoError(t, h.Close())
		require.Empty(t, filesIn(t, dir))
		_, err := h.Write([]byte("x"))
		require.ErrorIs(t, err, errClosed)
	}
}

func TestHoldKeepsWhatItGot(t *testing.T) {
	t.Parallel()
	for name, memory := range map[string]int64{"in memory": 1 << 20, "on disk": 4} {
		for _, named := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				h := NewHold(dir, memory)
				if named { // as where the system has no nameless files
					f, err := os.CreateTemp(dir, ".profiler-hold-*")
					require.NoError(t, err)
					h.spool = &spool{f, false}
				}
				_, err := h.Write([]byte("id\n1\n2\n"))
				require.NoError(t, err)
				path, err := h.Keep("shop-orders")
				require.NoError(t, err)
				require.NoError(t, h.Close())
				require.Equal(t, []string{filepath.Base(path)}, filesIn(t, dir))
				require.True(t, strings.HasPrefix(filepath.Base(path), "shop-orders-"))
				got, err := os.ReadFile(path)
				require.NoError(t, err)
				require.Equal(t, "id\n1\n2\n", string(got))
			})
		}
	}
}

func TestANamedSpoolIsRemoved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f, err := os.CreateTemp(dir, ".profiler-hold-*")
	require.NoError(t, err)
	h := NewHold(dir, 0)
	h.spool = &spool{f, false}
	require.NoError(t, h.Close())
	require.Empty(t, filesIn(t, dir))
}

func TestACopyIsKeptWithoutProc(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := newSpool(dir)
	require.NoError(t, err)
	defer s.Close()
	_, err = s.WriteString("rows")
	require.NoError(t, err)
	place, err := os.CreateTemp(dir, "x")
	require.NoError(t, err)
	defer place.Close()
	require.NoError(t, s.copyTo(place))
	got, err := os.ReadFile(place.Name())
	require.NoError(t, err)
	require.Equal(t, "rows", string(got))
}

type unwilling struct{ err error }

func (u unwilling) Write([]byte) (int, error) { return 0, u.err }

func TestHoldErrors(t *testing.T) {
	t.Parallel()
	h := NewHold(filepath.Join(t.TempDir(), "nope"), 3)
	_, err := h.Write([]byte("abc"))
	require.NoError(t, err)
	_, err = h.Write([]byte("d"))
	var held *HoldError
	require.ErrorAs(t, err, &held)
	require.ErrorContains(t, err, "nope: cannot hold more than 3 bytes: no such file or directory; name a folder with more space with --hold")

	for _, memory := range []int64{0, 100} {
		h = NewHold(t.TempDir(), memory)
		_, err = h.Write([]byte("abc"))
		require.NoError(t, err)
		err = h.Release(unwilling{syscall.EPIPE})
		require.True(t, BrokenPipe(err), "%v", err)
		require.NoError(t, h.Close())
	}
	require.False(t, BrokenPipe(&CopyError{Write: true, Err: syscall.ENOSPC}))
	require.False(t, BrokenPipe(errors.New("x")))
	require.False(t, BrokenPipe(&CopyError{Err: io.ErrClosedPipe}))
}

func TestFileName(t *testing.T) {
	t.Parallel()
	require.Equal(t, "shop-orders.v2", FileName("shop/orders.v2"))
	require.Equal(t, "a--b", FileName("a\x00/b"))
}
