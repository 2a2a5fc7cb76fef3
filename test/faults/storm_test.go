package faults

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/dbtest"
	"github.com/profilerhq/profiler/internal/queue"
)

// storm kills the processes of a plant at random moments, in several lanes at
// once.
type storm struct {
	p    *plant
	want int // kills of any kind

	mu       sync.Mutex
	rng      *rand.Rand
	runners  int
	workers  int
	children int
	killed   map[int]time.Time // when, by process number
	// outside are the ends of processes that nobody killed and that did not succeed.
	outside []string
}

func newStorm(p *plant, seed uint64, want int) *storm {
	return &storm{p: p, want: want, rng: rand.New(rand.NewPCG(seed, seed+1)), killed: map[int]time.Time{}}
}

func (s *storm) kills() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.runners + s.workers + s.children
}

func (s *storm) roll(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rng.IntN(n)
}

// lane starts programs and kills them until there were enough kills. One of
// every so many programs is a runner, which offers all units anew.
func (s *storm) lane(every int, longest time.Duration) {
	for k := 0; s.kills() < s.want; k++ {
		args, runner := []string{"worker", "p.yaml", "-q"}, k%every == every-1
		if runner {
			args = []string{"run", "p.yaml", "-q"}
		}
		s.live(s.p.command("A=b", args...), runner, longest)
	}
}

// live starts a program, kills some of its commands and then itself.
func (s *storm) live(cmd *exec.Cmd, runner bool, longest time.Duration) {
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if cmd.Start() != nil {
		return
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	for {
		select {
		case <-ended:
			if !cmd.ProcessState.Success() {
				s.mu.Lock()
				s.outside = append(s.outside, fmt.Sprintf("%v: %s", cmd.ProcessState, errs.String()))
				s.mu.Unlock()
			}
			return
		case <-time.After(50*time.Millisecond + time.Duration(s.roll(int(longest)))):
		}
		if s.roll(2) == 0 {
			if pid := s.next(cmd.Process.Pid, ended); pid != 0 && syscall.Kill(pid, syscall.SIGKILL) == nil {
				s.mu.Lock()
				s.children++
				s.mu.Unlock()
			}
			continue
		}
		s.mu.Lock()
		s.killed[cmd.Process.Pid] = time.Now()
		if runner {
			s.runners++
		} else {
			s.workers++
		}
		s.mu.Unlock()
		_ = cmd.Process.Kill()
		<-ended
		return
	}
}

// next waits for a process that a program starts, for a while; commands are short.
func (s *storm) next(pid int, ended <-chan struct{}) int {
	for range 100 {
		if c := child(pid); c != 0 {
			return c
		}
		select {
		case <-ended:
			return 0
		case <-time.After(time.Millisecond):
		}
	}
	return 0
}

// recoveries returns how long after the kill of its worker each lost unit was
// taken back, sorted.
func (s *storm) recoveries(events []queue.Event) (all []time.Duration) {
	for i := range events {
		e := &events[i]
		if e.Kind != queue.KindLost {
			continue
		}
		pid, err := strconv.Atoi(e.Worker[strings.LastIndexByte(e.Worker, '/')+1:])
		if at, ok := s.killed[pid]; ok && err == nil && e.At().After(at) {
			all = append(all, e.At().Sub(at))
		}
	}
	slices.Sort(all)
	return all
}

// child returns a process that a program has started, 0 if there is none now.
func child(pid int) int {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, path := range tasks {
		text, _ := os.ReadFile(path)
		if fields := strings.Fields(string(text)); len(fields) > 0 {
			n, _ := strconv.Atoi(fields[0])
			return n
		}
	}
	return 0
}

// replayCrashed sends what the crash guard gave up through its steps again, as
// people would, and returns how many units that were.
func (p *plant) replayCrashed() int {
	p.t.Helper()
	q, _ := p.queue()
	rows, err := q.Units(p.t.Context(), queue.Filter{States: []queue.State{queue.Dead}})
	require.NoError(p.t, err)
	for i := range rows {
		require.Equal(p.t, queue.CauseCrash, rows[i].Cause, rows[i].Err)
	}
	if len(rows) > 0 {
		out, err := p.command("A=b", "dlq", "replay", "--cause", queue.CauseCrash).CombinedOutput()
		require.NoError(p.t, err, string(out))
	}
	return len(rows)
}

// finishCrashed runs the pipeline to its end, and replays what the crash guard gave
// up. It returns how many units that were.
func (p *plant) finishCrashed() (crashed int) {
	p.t.Helper()
	for {
		out, err := p.command("A=b", "run", "p.yaml", "-q").CombinedOutput()
		if err == nil {
			return crashed
		}
		n := p.replayCrashed()
		require.Positive(p.t, n, string(out))
		crashed += n
	}
}

// The plan of the design: runner, workers and their children are killed at random
// moments, on Postgres several of them at once.
func TestPlan(t *testing.T) {
	if testing.Short() {
		t.Skip("starts the program many times")
	}
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		begun := time.Now()
		p := newFanned(t, url, either(8, 2000))
		s := newStorm(p, 5, either(6, 200))
		longest := either(600*time.Millisecond, 3*time.Second)
		offer := p.command("A=b", "run", "p.yaml", "-q")
		s.live(offer, true, longest)
		var lanes sync.WaitGroup
		lanes.Go(func() { s.lane(5, longest) })
		if !strings.HasPrefix(url, "sqlite:") {
			lanes.Go(func() { s.lane(7, longest) })
			lanes.Go(func() { s.lane(1<<30, longest) })
		}
		lanes.Wait()
		require.Empty(t, s.outside, "a program ended by itself and not well")
		calm := time.Now()
		crashed := p.finishCrashed()
		executions, commits := p.checkFanned()
		q, _ := p.queue()
		events, err := q.Events(t.Context(), queue.Filter{})
		require.NoError(t, err)
		oldest := time.Duration(0)
		for i := range events {
			oldest = max(oldest, time.Duration(events[i].WaitUS)*time.Microsecond)
		}
		t.Logf("%d runners, %d workers and %d children killed in %s, then %s to the end; %d executions for %d commits; %d units dead by the crash guard and replayed; longest wait of a unit %s",
			s.runners, s.workers, s.children, calm.Sub(begun).Round(time.Second), time.Since(calm).Round(time.Second), executions, commits, crashed, oldest.Round(time.Millisecond))
		if all := s.recoveries(events); len(all) > 0 {
			t.Logf("%d units lost with their workers; taken back after %s (median), %s (at most)", len(all), all[len(all)/2].Round(time.Millisecond), all[len(all)-1].Round(time.Millisecond))
		}
	})
}

// checkFanned looks for what must never be in the plan. It returns executions and
// commits.
func (p *plant) checkFanned() (executions, commits int) {
	p.t.Helper()
	q, d := p.queue()
	rows, err := q.Units(p.t.Context(), queue.Filter{})
	require.NoError(p.t, err)
	joins, joined := 0, 0 // one for each run; that of a run whose units a later one took over is called off
	for i := range rows {
		if rows[i].Step != "join" {
			require.Equal(p.t, queue.Done, rows[i].State, rows[i].Key)
			p.fannedOutput(&rows[i])
			continue
		}
		joins++
		if rows[i].State == queue.Done {
			joined++
			p.fannedOutput(&rows[i])
			continue
		}
		require.Equal(p.t, queue.Cancelled, rows[i].State, rows[i].Key)
	}
	require.NotZero(p.t, joined)
	require.Len(p.t, rows, 5*p.units+joins, "units lost or made up")
	events, err := q.Events(p.t.Context(), queue.Filter{})
	require.NoError(p.t, err)
	done := map[queue.Key]int{}
	for _, e := range events {
		if e.Kind == queue.Kind(queue.Done) && e.Step != "join" { // a set that grew later is joined again
			done[e.Key]++
		}
	}
	require.Len(p.t, done, 5*p.units)
	for k, n := range done {
		require.Equal(p.t, 1, n, "%s was committed %d times", k, n)
	}
	var live int
	require.NoError(p.t, d.Get(p.t.Context(), &live, "SELECT count(*) FROM batch WHERE superseded_us IS NULL"))
	// A later run that joins the same set has nothing to do.
	require.LessOrEqual(p.t, live, len(rows), "a batch was recorded twice")
	require.Greater(p.t, live, 5*p.units, "profiles and units differ")
	ran, err := os.ReadFile(filepath.Join(p.dir, "ran"))
	require.NoError(p.t, err)
	return bytes.Count(ran, []byte("\n")), len(done) + 1
}

// fannedOutput compares the output of a unit with what it has to be.
func (p *plant) fannedOutput(r *queue.Row) {
	p.t.Helper()
	text := p.result(r)
	if r.Step == "join" {
		require.Equal(p.t, 4*2*p.units, strings.Count(text, "\n"), "the join has not all lines")
		return
	}
	in, err := os.ReadFile(filepath.Join(p.dir, r.Source))
	require.NoError(p.t, err)
	want := string(in)
	if r.Step != "parse" {
		want = r.Step + strings.ReplaceAll(strings.TrimSuffix(want, "\n"), "\n", "\n"+r.Step) + "\n"
	}
	require.Equal(p.t, want, text, r.Key)
}
