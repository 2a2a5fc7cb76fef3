package faults

import (
	"context"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/db"
)

// server is a Postgres of its own, which tests may kill.
type server struct {
	t    *testing.T
	dir  string
	bin  string
	host string
	port string
	as   *syscall.Credential // nil is this user
	cmd  *exec.Cmd
}

// newServer starts a server that listens on an address of this machine.
func newServer(t *testing.T, host string) *server {
	t.Helper()
	s := &server{t: t, host: host}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if path, err := exec.LookPath("postgres"); err == nil {
		found = append(found, path)
	}
	if len(found) == 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("no Postgres for this test")
		}
		t.Skip("no Postgres for this test")
	}
	slices.Sort(found)
	s.bin = filepath.Dir(found[len(found)-1])
	var err error
	s.dir, err = os.MkdirTemp("", "profiler-faults-postgres") //nolint:usetesting // another user reads it, and sockets have short paths
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(s.dir) })
	if os.Getuid() == 0 { // the server refuses to run as root
		u, err := user.Lookup("postgres")
		require.NoError(t, err)
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		require.NoError(t, err)
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		require.NoError(t, err)
		s.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		require.NoError(t, os.Chown(s.dir, int(uid), int(gid)))
	}
	out, err := s.command("initdb", "-D", filepath.Join(s.dir, "data"), "-U", "profiler", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync").CombinedOutput()
	require.NoError(t, err, string(out))
	rules := "host all all 0.0.0.0/0 trust\nlocal all all trust\n"
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "data", "pg_hba.conf"), []byte(rules), 0o644))
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	require.NoError(t, err)
	_, s.port, err = net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	require.NoError(t, l.Close())
	s.start()
	t.Cleanup(s.kill)
	return s
}

func (s *server) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, program), args...)
	cmd.Dir, cmd.Env = s.dir, append(os.Environ(), "LC_ALL=C.UTF-8")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.as, Setpgid: true}
	return cmd
}

func (s *server) url() string {
	return "postgres://profiler@" + net.JoinHostPort(s.host, s.port) + "/postgres?sslmode=disable"
}

// start returns when the server answers.
func (s *server) start() {
	s.t.Helper()
	s.cmd = s.command("postgres", "-D", filepath.Join(s.dir, "data"), "-p", s.port, "-c", "listen_addresses="+s.host, "-c", "unix_socket_directories=", "-c", "max_connections=100")
	require.NoError(s.t, s.cmd.Start())
	require.Eventually(s.t, func() bool {
		d, err := db.Open(context.Background(), s.url(), db.Options{})
		if err == nil {
			d.Close()
		}
		return err == nil
	}, time.Minute, 50*time.Millisecond, "the server does not start")
}

// kill is an immediate shutdown: no session ends orderly, and the next start
// recovers from the log.
func (s *server) kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGQUIT)
	_ = s.cmd.Wait()
	s.cmd = nil
}
