package cli

import (
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/source"
)

func TestProgressLine(t *testing.T) {
	t.Parallel()
	file := source.Input{URL: "in/orders.csv", Size: 400e6}
	for _, c := range []struct {
		name   string
		inputs []source.Input
		read   int // batches before the one at hand
		n      int64
		took   time.Duration
		room   int
		want   string
	}{
		{"a file", []source.Input{file}, 0, 100e6, 2 * time.Second, 79, "in/orders.csv  25 %  6s left  50 MB/s  100 MB"},
		{"the last bytes", []source.Input{file}, 0, 400e6, 2 * time.Second, 79, "in/orders.csv  100 %  1s left  200 MB/s  400 MB"},
		{"a file that grew", []source.Input{file}, 0, 500e6, 2 * time.Second, 79, "in/orders.csv  100 %  1s left  250 MB/s  500 MB"},
		{"hours", []source.Input{{URL: "a", Size: 72e9}}, 0, 10e6, time.Second, 79, "a  0 %  1h59m59s left  10 MB/s  10 MB"},
		{"standard input", []source.Input{{URL: "-", Size: -1}}, 0, 2_340e6, 10 * time.Second, 79, "standard input  234 MB/s  2.3 GB"},
		{"the second of two", []source.Input{file, file}, 1, 200e6, 3 * time.Second, 79, "in/orders.csv  75 %  1s left  200 MB/s  600 MB  2 of 2"},
		{"little room for the name", []source.Input{file}, 0, 100e6, 2 * time.Second, 42, "…rders.csv  25 %  6s left  50 MB/s  100 MB"},
		{"no room for the name", []source.Input{file}, 0, 100e6, 2 * time.Second, 35, "25 %  6s left  50 MB/s  100 MB"},
		{"hardly any room", []source.Input{file}, 0, 100e6, 2 * time.Second, 10, "…s  100 MB"},
		{"a name that is no text", []source.Input{{URL: "a\x1b[2Jb\nc", Size: 400e6}}, 0, 100e6, 2 * time.Second, 79, "a?[2Jb?c  25 %  6s left  50 MB/s  100 MB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newProgress(nil, c.inputs)
			for i := range c.read + 1 {
				p.next(c.inputs[i])
			}
			got := p.line(c.n, c.took, c.room)
			require.Equal(t, c.want, got)
			require.LessOrEqual(t, utf8.RuneCountInString(got), c.room)
		})
	}
}
