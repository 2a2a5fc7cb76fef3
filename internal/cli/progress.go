package cli

import (
	"fmt"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/profilerhq/profiler/internal/source"
)

// progress shows on a terminal how far reading is, from the second on that it
// lasts. With several batches it counts over all of them.
type progress struct {
	out         *os.File
	total       int64 // bytes of all batches, -1 if unknown
	before      int64 // bytes of the batches that are done
	size        int64 // bytes of the batch at hand
	batch, many int   // number of the batch at hand, from 1, and of all
	name        string
	start, last time.Time
	shown       bool
}

// Times of the progress line.
const (
	progressAfter = time.Second
	progressEvery = 200 * time.Millisecond
)

func newProgress(out *os.File, inputs []source.Input) *progress {
	p := &progress{out: out, many: len(inputs), start: time.Now()}
	for _, in := range inputs {
		if in.Size < 0 {
			p.total = -1
			break
		}
		p.total += in.Size
	}
	return p
}

// next is called before a batch is read.
func (p *progress) next(in source.Input) {
	p.before += p.size
	p.batch++
	p.name, p.size = in.URL, max(0, in.Size)
	if in.URL == source.Stdin {
		p.name = "standard input"
	}
}

// update is called with the bytes read so far of the batch.
func (p *progress) update(n int64) {
	now := time.Now()
	if now.Sub(p.start) < progressAfter || now.Sub(p.last) < progressEvery {
		return
	}
	width := 80
	if w, _, err := term.GetSize(int(p.out.Fd())); err == nil && w > 0 {
		width = w
	}
	p.last, p.shown = now, true
	fmt.Fprintf(p.out, "\r\x1b[K%s", p.line(n, now.Sub(p.start), width-1))
}

// line tells how far reading is after n bytes of the batch, in at most room
// characters: the name gives way first, then the rest is cut.
func (p *progress) line(n int64, took time.Duration, room int) string {
	done := p.before + n
	rate := float64(done) / took.Seconds()
	parts := []string{}
	if p.total > 0 && rate > 0 {
		left := time.Duration(float64(max(0, p.total-done)) / rate * float64(time.Second)).Round(time.Second)
		parts = append(parts, fmt.Sprintf("%d %%", min(100, 100*done/p.total)), max(left, time.Second).String()+" left")
	}
	parts = append(parts, fmt.Sprintf("%.0f MB/s", rate/1e6), amount(done))
	if p.many > 1 {
		parts = append(parts, fmt.Sprintf("%d of %d", p.batch, p.many))
	}
	text := strings.Join(parts, "  ")
	if free := room - utf8.RuneCountInString(text) - 2; free >= 8 {
		return shortened(p.name, free) + "  " + text
	}
	return shortened(text, room)
}

func amount(bytes int64) string {
	if bytes < 1e9 {
		return fmt.Sprintf("%.0f MB", float64(bytes)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(bytes)/1e9)
}

// shortened returns a text of at most room characters, all of them printable;
// of a longer one the end is kept, where file names differ.
func shortened(s string, room int) string {
	r := []rune(strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '?'
		}
		return r
	}, s))
	switch {
	case len(r) <= room:
		return string(r)
	case room <= 1:
		return strings.Repeat("…", max(0, room))
	}
	return "…" + string(r[len(r)-room+1:])
}

// clear removes the line.
func (p *progress) clear() {
	if p.shown {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.shown, p.last = false, time.Time{}
	}
}
