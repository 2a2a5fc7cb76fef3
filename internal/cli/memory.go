package cli

import (
	"errors"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/profilerhq/profiler/internal/exact"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

// memory is the flag for what checks that count exactly may take before they
// use temporary files.
type memory int64

// usualMemory is what a profile stays below, tables of thousands of columns left
// aside: the collector works harder rather than to let garbage grow beyond it.
const usualMemory = 400 << 20

// boundMemory keeps garbage from doubling the memory of wide tables. further is
// what may be taken beside the profile. A GOMEMLIMIT of the environment counts
// instead.
func boundMemory(e *env, further int64) {
	if _, set := e.lookup("GOMEMLIMIT"); !set {
		debug.SetMemoryLimit(usualMemory + further)
	}
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
