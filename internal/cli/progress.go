package cli

import (
	"fmt"
	"os"
	"time"

	"github.com/profilerhq/profiler/internal/source"
)

// progress shows on a terminal how far reading is, from the second on that it
// lasts.
type progress struct {
	out         *os.File
	name        string
	size        int64
	start, last time.Time
	shown       bool
}

func newProgress(out *os.File, in source.Input) *progress {
	return &progress{out: out, name: in.URL, size: in.Size, start: time.Now()}
}

// update is called with the bytes read so far.
func (p *progress) update(n int64) {
	now := time.Now()
	if now.Sub(p.start) < time.Second || now.Sub(p.last) < 200*time.Millisecond {
		return
	}
	p.last, p.shown = now, true
	rate := float64(n) / now.Sub(p.start).Seconds()
	line := fmt.Sprintf("%s  %.0f MB  %.0f MB/s", p.name, float64(n)/1e6, rate/1e6)
	if p.size > 0 && rate > 0 {
		left := time.Duration(float64(p.size-n)/rate*float64(time.Second)) + time.Second
		line += fmt.Sprintf("  %d %%  %s left", 100*n/p.size, left.Truncate(time.Second))
	}
	fmt.Fprintf(p.out, "\r\x1b[K%s", line)
}

// clear removes the line.
func (p *progress) clear() {
	if p.shown {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}
