// Package exact tells exactly which keys occur more than once among any number
// of rows: in memory up to a limit, and on disk beyond. A key is 93 bits of a
// hash: among 100 million rows the chance that two keys fall together is below
// 1e-12. There is no other approximation: what cannot be counted is an error.
package exact

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
)

// DefaultMemory is how many bytes the sets of a process take before they go to
// disk.
const DefaultMemory = 256 << 20

// Spill makes files for what does not fit in memory.
type Spill interface {
	// Create returns an empty file. It is called by several goroutines.
	Create() (File, error)
}

// File is a temporary file of one set, used by one goroutine at a time. It is
// gone once it is closed.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Reserve makes sure, before anything is written, that the file may grow to
	// so many bytes. Its error says how many are missing and where.
	Reserve(size int64) error
}

// Space is what sets share: memory with its limit, and a place beyond it. It is
// safe for concurrent use.
type Space struct {
	shared *shared
	stop   func() error
}

type shared struct {
	memory int64
	used   atomic.Int64
	spill  Spill
}

// NewSpace returns a space of so many bytes of memory. Without a spill, nil, a
// set that needs more ends in a *MemoryError.
func NewSpace(memory int64, spill Spill) *Space {
	return &Space{shared: &shared{memory: max(0, memory), spill: spill}, stop: func() error { return nil }}
}

// Until returns the same space for sets that end with the error of a context
// once that is done.
func (s *Space) Until(ctx context.Context) *Space {
	return &Space{shared: s.shared, stop: ctx.Err}
}

// Used returns how many bytes of memory the sets have at this moment.
func (s *Space) Used() int64 { return s.shared.used.Load() }

// take reserves memory if there is so much.
func (s *Space) take(n int64) bool {
	if s.shared.used.Add(n) > s.shared.memory {
		s.shared.used.Add(-n)
		return false
	}
	return true
}

// force reserves memory that has to be there: the smallest tables and the
// buffers of files.
func (s *Space) force(n int64) { s.shared.used.Add(n) }

func (s *Space) give(n int64) { s.shared.used.Add(-n) }

// part returns a share of the memory as a power of two within bounds.
func (s *Space) part(share, low, high int64) int {
	n := low
	for n < high && 2*n <= s.shared.memory/share {
		n *= 2
	}
	return int(n)
}

// MemoryError says that keys do not fit in the memory and that there is no
// disk to use.
type MemoryError struct {
	Limit int64 // bytes
}

// Error returns one line with the limit.
func (e *MemoryError) Error() string {
	return "they need more than " + Size(e.Limit) + " of memory, and no disk is there to be used"
}

// Size returns a number of bytes as people write it: 300 MiB, 1.2 GiB.
func Size(n int64) string {
	units := []string{"bytes", "KiB", "MiB", "GiB", "TiB"}
	f, u := float64(n), 0
	for ; f >= 1024 && u < len(units)-1; u++ {
		f /= 1024
	}
	if u == 0 || f >= 100 || f == float64(int64(f)) {
		return fmt.Sprintf("%.0f %s", f, units[u])
	}
	return fmt.Sprintf("%.1f %s", f, units[u])
}
