package db

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNetworkFileSystems(t *testing.T) {
	t.Parallel()
	require.True(t, isNetworkMagic(nfsMagic))
	require.True(t, isNetworkMagic(smb2Magic))
	require.False(t, isNetworkMagic(0xef53)) // ext4
	require.False(t, onNetworkFS(t.TempDir()))
}

// asNobody runs fn on a thread that has the file rights of an unprivileged
// user; root may write anywhere. The thread is thrown away.
func asNobody(t *testing.T, fn func()) {
	t.Helper()
	if os.Getuid() != 0 {
		fn()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends here
		if err := syscall.Setfsuid(65534); err != nil {
			t.Errorf("setfsuid: %v", err)
			return
		}
		fn()
	}()
	<-done
}

func TestSQLiteWithoutTheRightToWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755))
	path := filepath.Join(dir, "store.db")
	d, err := Open(t.Context(), "sqlite:"+path, Options{})
	require.NoError(t, err)
	_, err = d.Exec(t.Context(), "CREATE TABLE t (id INTEGER)")
	require.NoError(t, err)
	require.NoError(t, d.Close())
	require.NoError(t, os.Chmod(path, 0o444))
	require.NoError(t, os.Chmod(dir, 0o555))
	t.Cleanup(func() { _ = os.Chmod(dir, 0o755) })

	asNobody(t, func() {
		_, err := Open(t.Context(), "sqlite:"+path, Options{})
		if !errors.Is(err, ErrReadOnly) {
			t.Errorf("file without the right to write: %v", err)
		}
		_, err = Open(t.Context(), "sqlite:"+filepath.Join(dir, "new.db"), Options{})
		if !errors.Is(err, ErrReadOnly) {
			t.Errorf("folder without the right to write: %v", err)
		}
		// Reading needs no right to write, not even for the files of WAL mode.
		r, err := Open(t.Context(), "sqlite:"+path, Options{ReadOnly: true})
		if err != nil {
			t.Errorf("open to read: %v", err)
			return
		}
		var n int
		if err := r.Get(t.Context(), &n, "SELECT count(*) FROM t"); err != nil {
			t.Errorf("read: %v", err)
		}
		_ = r.Close()
	})
}
