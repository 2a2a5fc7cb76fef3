package cli

import (
	"errors"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/profilerhq/profiler/internal/exact"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

// memory is the flag for what checks that count exactly may take before they
// use temporary files.
type memory int64

// leastHeap is what the memory of a profile may grow to before garbage is
// collected earlier than it would be.
const leastHeap = 56 << 20

// memoryLimit returns the limit for the collector while so many bytes are in
// use. Left alone it lets garbage grow to as much as that; a quarter of it is
// enough room for a profile, which allocates little once its tables are there.
func memoryLimit(inUse, further int64) int64 {
	return max(leastHeap, inUse+inUse/4+16<<20) + further
}

// boundMemory keeps garbage from doubling the memory of a profile. further is
// what may be taken beside it. A GOMEMLIMIT of the environment counts instead.
// The limit follows what is in use after each collection, until stop is called.
func boundMemory(e *env, further int64) (stop func()) {
	if _, set := e.lookup("GOMEMLIMIT"); set {
		return func() {}
	}
	before := debug.SetMemoryLimit(memoryLimit(0, further))
	done := make(chan struct{})
	afterCollection(done, func(inUse int64) { debug.SetMemoryLimit(memoryLimit(inUse, further)) })
	return sync.OnceFunc(func() {
		close(done)
		debug.SetMemoryLimit(before)
	})
}

// afterCollection calls f with the bytes that are in use each time garbage was
// collected, until done is closed.
func afterCollection(done <-chan struct{}, f func(inUse int64)) {
	runtime.AddCleanup(&struct{ _ *byte }{}, func(struct{}) {
		select {
		case <-done:
			return
		default:
		}
		live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(live)
		f(int64(live[0].Value.Uint64())) //nolint:gosec // bytes of memory
		afterCollection(done, f)
	}, struct{}{})
}

// leastMemory is what tables and buffers of a few checks need.
const leastMemory = 1 << 20

func (m *memory) register(cmd *cobra.Command) {
	*m = exact.DefaultMemory
	cmd.Flags().Var(m, "memory", "`amount` of memory for counting exactly (unique); beyond it temporary files are used")
}

// String returns the amount as it may be written.
func (m *memory) String() string { return strings.ReplaceAll(exact.Size(int64(*m)), " ", "") }

// Set reads an amount like 256MiB.
func (m *memory) Set(text string) error {
	n, err := yamldoc.ParseBytes(text)
	switch {
	case err != nil:
		return errors.New(`write an amount like "256MiB"`)
	case n < leastMemory:
		return errors.New("write at least 1MiB")
	}
	*m = memory(n)
	return nil
}

// Type names the kind of the value in help texts.
func (m *memory) Type() string { return "amount" }
