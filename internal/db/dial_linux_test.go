package db_test

import (
	"net"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/db"
)

func TestConnectionsNoticeThatTheOtherSideIsGone(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	c, err := db.Dialer{}.DialContext(t.Context(), "tcp", l.Addr().String())
	require.NoError(t, err)
	defer c.Close()
	raw, err := c.(*net.TCPConn).SyscallConn()
	require.NoError(t, err)
	got := map[string]int{}
	require.NoError(t, raw.Control(func(fd uintptr) {
		for name, o := range map[string][2]int{
			"user timeout, ms": {syscall.IPPROTO_TCP, 18}, "probes": {syscall.SOL_SOCKET, syscall.SO_KEEPALIVE},
			"first probe, s": {syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE}, "next, s": {syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL}, "number": {syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT},
		} {
			got[name], err = syscall.GetsockoptInt(int(fd), o[0], o[1])
			if err != nil {
				t.Error(name, err)
			}
		}
	}))
	require.Equal(t, map[string]int{"user timeout, ms": 20_000, "probes": 1, "first probe, s": 10, "next, s": 5, "number": 2}, got)

	path := filepath.Join(t.TempDir(), "s")
	u, err := net.Listen("unix", path)
	require.NoError(t, err)
	defer u.Close()
	c, err = db.Dialer{}.Dial("unix", path)
	require.NoError(t, err)
	require.NoError(t, c.Close())
}
