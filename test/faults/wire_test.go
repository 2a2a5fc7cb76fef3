package faults

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/queue"
)

// wire is a cable between this machine and a network namespace, of which the test
// passes on each packet, or loses it, or holds it back. No interface goes down and
// nobody gets an error. It needs /dev/net/tun and no more of the kernel.
type wire struct {
	space, host, guest string
	// up loses what goes to this machine, down what goes to the namespace.
	up, down atomic.Bool
	// late is how long each packet takes, in nanoseconds.
	late atomic.Int64
	// at, if set, cuts both ways as soon as a packet to this machine has this text;
	// that packet arrives.
	at   []byte
	once sync.Once
	cut  chan struct{} // closed by it

	passed, lost atomic.Int64
}

var wires atomic.Int64

func newWire(t *testing.T) *wire {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("networks can be made by root alone")
	}
	n := wires.Add(1)
	id := fmt.Sprintf("%d-%d", os.Getpid()%10000, n)
	net := fmt.Sprintf("10.214.%d.", (int64(os.Getpid())+n)%250)
	w := &wire{space: "pw" + id, host: net + "1", guest: net + "2", cut: make(chan struct{})}
	ip := func(args ...string) error { return exec.Command("ip", args...).Run() }
	if ip("netns", "add", w.space) != nil {
		t.Skip("no network namespace can be made")
	}
	t.Cleanup(func() { _ = ip("netns", "del", w.space) })
	here, there := "pwh"+id, "pwt"+id
	ends := []*os.File{tunnel(t, here), tunnel(t, there)}
	for _, args := range [][]string{
		{"link", "set", there, "netns", w.space},
		{"addr", "add", w.host + "/30", "dev", here}, {"link", "set", here, "up"},
		{"-n", w.space, "addr", "add", w.guest + "/30", "dev", there}, {"-n", w.space, "link", "set", there, "up"}, {"-n", w.space, "link", "set", "lo", "up"},
	} {
		if err := ip(args...); err != nil {
			t.Skipf("no network can be made: ip %v: %v", args, err)
		}
	}
	var all sync.WaitGroup
	all.Go(func() { w.pass(ends[1], ends[0], &w.up, w.watch) })
	all.Go(func() { w.pass(ends[0], ends[1], &w.down, nil) })
	t.Cleanup(func() {
		for _, f := range ends {
			f.Close()
		}
		all.Wait()
	})
	return w
}

// tunnel makes a network interface whose packets are read from the file.
func tunnel(t *testing.T, name string) *os.File {
	t.Helper()
	fd, err := syscall.Open("/dev/net/tun", syscall.O_RDWR|syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Skip("no network interface can be made: ", err)
	}
	const set, tun, bare = 0x400454ca, 1, 0x1000 // TUNSETIFF, IFF_TUN, IFF_NO_PI
	var req struct {
		name  [syscall.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}
	copy(req.name[:syscall.IFNAMSIZ-1], name)
	req.flags = tun | bare
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), set, uintptr(unsafe.Pointer(&req))); errno != 0 {
		syscall.Close(fd)
		t.Skip("no network interface can be made: ", errno)
	}
	return os.NewFile(uintptr(fd), name)
}

// watch looks for the text that cuts the wire.
func (w *wire) watch(packet []byte) {
	if len(w.at) > 0 && bytes.Contains(packet, w.at) {
		w.once.Do(func() {
			w.lose(true, true)
			close(w.cut)
		})
	}
}

// pass carries packets one way until the ends are closed.
func (w *wire) pass(from, to *os.File, lose *atomic.Bool, watch func([]byte)) {
	type packet struct {
		data []byte
		due  time.Time
	}
	way := make(chan packet, 4096)
	var sender sync.WaitGroup
	sender.Go(func() {
		for p := range way {
			if d := time.Until(p.due); d > 0 {
				<-time.After(d)
			}
			_, _ = to.Write(p.data) // what an end does not take is lost
		}
	})
	defer sender.Wait()
	defer close(way)
	for buffer := make([]byte, 1<<16); ; {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		if lose.Load() {
			w.lost.Add(1)
			continue
		}
		w.passed.Add(1)
		way <- packet{bytes.Clone(buffer[:n]), time.Now().Add(time.Duration(w.late.Load()))}
		if watch != nil {
			watch(buffer[:n])
		}
	}
}

// lose cuts the wire, or mends it.
func (w *wire) lose(up, down bool) {
	w.up.Store(up)
	w.down.Store(down)
}

// sessions counts the connections to the server that come over the wire: those in
// the middle of a transaction, which may hold locks, and those that listen and are
// newer than a time.
func (w *wire) sessions(t *testing.T, q *queue.Queue, since time.Time) (open, listening int) {
	t.Helper()
	d := q.DB()
	from := "SELECT count(*) FROM pg_stat_activity WHERE client_addr = CAST(? AS inet) AND "
	require.NoError(t, d.Get(t.Context(), &open, from+"xact_start IS NOT NULL", w.guest))
	require.NoError(t, d.Get(t.Context(), &listening, from+"backend_start >= to_timestamp(?) AND query ILIKE 'listen%'", w.guest, float64(since.UnixMicro())/1e6))
	return open, listening
}

// connected counts the connections that a process in a namespace of its own believes
// to have.
func connected(t *testing.T, pid int) (n int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/tcp", pid))
	require.NoError(t, err)
	for _, line := range strings.Split(string(text), "\n") {
		if f := strings.Fields(line); len(f) > 3 && f[3] == "01" {
			n++
		}
	}
	return n
}

// Packets between a service and the server are lost without a word, both ways or
// one way, while a command runs or in the middle of a commit. Another worker takes
// the unit over; the service goes on by itself when packets arrive again.
func TestHalfOpen(t *testing.T) {
	if !long() {
		t.Skip("waits for connections to be given up; PROFILER_FAULTS=long")
	}
	t.Parallel()
	for _, tt := range []struct {
		name     string
		up, down bool
		at       string
	}{
		{"both ways", true, true, ""}, {"to the server", true, false, ""}, {"from the server", false, true, ""},
		{"in the middle of a commit", true, true, "INSERT INTO unit_event"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWire(t)
			w.at = []byte(tt.at)
			halfOpen(t, w, tt.up, tt.down)
		})
	}
}

func halfOpen(t *testing.T, w *wire, up, down bool) {
	p := newPlant(t, newServer(t, w.host).url(), 2)
	p.write(fmt.Sprintf(`version: 1
pipeline: p
source: {watch: "in/*.csv"}
steps: {a: {sh: 'echo "a $PROFILER_UNIT_ID" >>ran; test -e free || sleep 600; cat', timeout: {heartbeat: %s}, workers: {max: 1}, retry: {attempts: 1000}}}
`, lease))
	p.config("pipelines: [p.yaml]\n")
	free := func() { require.NoError(t, os.WriteFile(filepath.Join(p.dir, "free"), nil, 0o600)) }
	if len(w.at) > 0 {
		free()
	}
	p.space = w.space
	s := p.serve("A=b")
	p.space = ""
	q, _ := p.queue()
	if len(w.at) > 0 {
		<-w.cut
	} else {
		require.Eventually(t, func() bool { return p.inState(q, "a", queue.Running) > 0 && child(s.cmd.Process.Pid) != 0 }, time.Minute, 20*time.Millisecond)
		w.lose(up, down)
	}
	cut := time.Now()
	held, err := q.Units(t.Context(), queue.Filter{States: []queue.State{queue.Running}})
	require.NoError(t, err)
	require.Len(t, held, 1)
	free()
	p.drain() // another worker
	row, err := q.Get(t.Context(), held[0].Key)
	require.NoError(t, err)
	require.Equal(t, queue.Done, row.State)
	require.Greater(t, row.Attempt, held[0].Attempt)
	over := time.UnixMicro(row.StartedUS).Sub(cut)
	require.Less(t, over, 40*time.Second, "the unit was taken over late")
	ended := time.Duration(0)
	require.Eventually(t, func() bool {
		ended = time.Since(cut)
		open, _ := w.sessions(t, q, cut)
		return open == 0
	}, time.Minute, 100*time.Millisecond, "the server keeps transactions of a client that is gone")
	s.await(t, "level=ERROR")
	told := time.Since(cut)
	require.Eventually(t, func() bool { return connected(t, s.cmd.Process.Pid) == 0 }, time.Minute, 100*time.Millisecond, "the service keeps a connection")
	w.lose(false, false)
	mended := time.Now()
	require.NoError(t, os.WriteFile(filepath.Join(p.dir, "in", "late.csv"), []byte("n\nlate\n"), 0o600))
	require.Eventually(t, func() bool { return p.inState(q, "a", queue.Done) == 4 }, 2*time.Minute, 50*time.Millisecond, "the service goes on by itself")
	again := time.Since(mended)
	require.Eventually(t, func() bool { _, n := w.sessions(t, q, mended); return n == 1 }, time.Minute, 50*time.Millisecond, "it hears of units again")
	t.Logf("taken over after %s; no transaction was open after %s; the service told of it after %s; once packets arrived it worked after %s and listened after %s; %d packets lost",
		over.Round(100*time.Millisecond), ended.Round(100*time.Millisecond), told.Round(100*time.Millisecond), again.Round(100*time.Millisecond), time.Since(mended).Round(100*time.Millisecond), w.lost.Load())
	rows, err := q.Units(t.Context(), queue.Filter{})
	require.NoError(t, err)
	for i := range rows {
		require.Equal(t, queue.Done, rows[i].State)
		in, err := os.ReadFile(filepath.Join(p.dir, rows[i].Source))
		require.NoError(t, err)
		require.Equal(t, string(in), p.result(&rows[i]))
	}
	events, err := q.Events(t.Context(), queue.Filter{})
	require.NoError(t, err)
	done := map[queue.Key]int{}
	for _, e := range events {
		if e.Kind == queue.Kind(queue.Done) {
			done[e.Key]++
		}
	}
	for k, n := range done {
		require.Equal(t, 1, n, "%s was committed %d times", k, n)
	}
	require.Len(t, done, 4)
}

// The network is slow: an answer takes 200 ms.
func TestSlowNetwork(t *testing.T) {
	if !long() {
		t.Skip("waits for packets; PROFILER_FAULTS=long")
	}
	t.Parallel()
	w := newWire(t)
	p := newFanned(t, newServer(t, w.host).url(), 2)
	out, err := p.command("A=b", "dlq", "list").CombinedOutput() // makes the tables
	require.NoError(t, err, string(out))
	w.late.Store(int64(100 * time.Millisecond)) // one way
	p.space = w.space
	begun := time.Now()
	p.finishFanned()
	took := time.Since(begun)
	p.space = ""
	executions, commits := p.checkFanned()
	require.Equal(t, commits, executions, "no lease was lost")
	t.Logf("%d units in %s: %d executions for %d commits, %d packets", p.units, took.Round(time.Millisecond), executions, commits, w.passed.Load())
}
