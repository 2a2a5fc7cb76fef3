package tap

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/profilerhq/profiler/internal/batch"
)

// errShort ends the bytes of a profile where the ones behind were left out and
// no record can be found again.
var errShort = errors.New("the bytes that follow were left out")

// stream gives the profile the bytes of the queue, window by window, each from
// the start of a record to the end of one. It holds back what follows the last
// end of a record, so that bytes that are left out never make half a record of
// a whole one. It is used by one goroutine.
type stream struct {
	q     *queue
	every Every

	form  form
	known bool // form is
	mark  int  // bytes of the byte order mark that are still to pass

	segs   []item // data that was taken from the queue and not delivered
	carry  *item  // data behind the cut of a window, not yet scanned
	held   int    // bytes in segs
	ready  int    // of them, up to the last certain end of a record
	offset int64  // in the stream, behind segs

	state     state // behind segs, or behind what is skipped
	record    recordShape
	header    []byte // the record that names the columns, with its end
	hasHeader bool   // it is complete
	skipping  bool   // behind a gap, up to the end of the record

	win   *Window
	next  time.Time // when the next window starts; zero is with its first record
	ended bool
	err   error // what ended the stream early
}

// recordShape is what is known of a record that is not yet complete.
type recordShape struct {
	bytes int
	first byte
}

// blank reports whether the record, now complete, is an empty line.
func (r recordShape) blank() bool { return r.bytes == 1 || r.bytes == 2 && r.first == '\r' }

// nextWindow passes over what is left of the current window and waits until
// there is something to say of the next one: a record, or that its time is
// over. It returns io.EOF when there is none.
func (s *stream) nextWindow() (*Window, error) {
	before := s.win
	if before != nil {
		if err := s.drain(); err != nil {
			return nil, s.over(err)
		}
	}
	w := &Window{stream: s, Start: s.next}
	s.win = w
	for !w.closed && !s.ended && !s.begun(before == nil) {
		err := s.more()
		if errors.Is(err, errShort) && before == nil {
			break
		}
		if err != nil {
			return nil, s.over(err)
		}
	}
	if s.ended && before != nil && !s.begun(false) {
		return nil, io.EOF
	}
	s.name(w, before)
	w.form = s.form
	if before != nil && s.form.header {
		w.header = s.header
		w.rest = w.header
	}
	return w, nil
}

// begun reports whether the current window has anything.
func (s *stream) begun(first bool) bool {
	if s.every.Rows > 0 && !first {
		return s.win.records > 0
	}
	return s.ready > 0
}

// name gives a window its number and its start, which is later than that of
// the one before.
func (s *stream) name(w, before *Window) {
	if w.Start.IsZero() {
		w.Start = time.Now()
	}
	if before == nil {
		return
	}
	w.Index = before.Index + 1
	if earliest := before.Start.Add(time.Microsecond); w.Start.Before(earliest) {
		w.Start = earliest
	}
}

// over is what the end of the stream means for the windows that do not come.
func (s *stream) over(err error) error {
	if errors.Is(err, errShort) && !s.every.set() {
		return io.EOF // the window that ended there says so
	}
	return err
}

// drain passes over the rest of the current window.
func (s *stream) drain() error {
	for {
		s.win.passed += int64(s.ready)
		s.discard(s.ready)
		switch {
		case s.err != nil:
			return s.err
		case s.win.closed, s.ended:
			return nil
		}
		if err := s.more(); err != nil {
			return err
		}
	}
}

// read delivers bytes of the current window.
func (s *stream) read(p []byte) (int, error) {
	for s.ready == 0 {
		switch {
		case s.err != nil:
			return 0, s.err
		case s.win.closed, s.ended:
			return 0, io.EOF
		}
		if err := s.more(); err != nil {
			return 0, err
		}
	}
	n := 0
	for n < len(p) && s.ready > 0 {
		seg := &s.segs[0]
		s.win.delivers(seg.pos)
		k := copy(p[n:min(len(p), n+s.ready)], seg.block.buf[seg.from:seg.to])
		n += k
		s.win.seen += int64(k)
		s.discard(k)
	}
	return n, nil
}

// discard drops the first n bytes of segs.
func (s *stream) discard(n int) {
	s.held -= n
	s.ready = max(0, s.ready-n)
	for n > 0 {
		seg := &s.segs[0]
		k := min(n, seg.to-seg.from)
		seg.from += k
		seg.pos += int64(k)
		n -= k
		if seg.from == seg.to {
			s.q.release(seg.block)
			s.segs = s.segs[1:]
		}
	}
}

// more takes the next item.
func (s *stream) more() error {
	it, err := s.take()
	if err != nil {
		return err
	}
	switch it.kind {
	case itemData:
		return s.data(it)
	case itemGap:
		return s.gap(it)
	case itemTick:
		s.win.closed, s.next = true, it.at
	case itemEnd:
		s.ended = true
		if it.err != nil {
			return s.fail(it.err)
		}
		if s.ready = s.held; s.record.bytes > 0 {
			s.complete(s.state)
		}
	}
	return nil
}

func (s *stream) take() (it item, err error) {
	if s.carry != nil {
		it, s.carry = *s.carry, nil
		return it, nil
	}
	if it, err = s.q.pop(); err != nil {
		return it, s.fail(err)
	}
	if !s.known && it.kind != itemTick {
		s.form, s.known = s.q.shape(), true
		s.mark = s.form.mark
	}
	return it, nil
}

// uncut is the error of windows whose records cannot be told.
func (s *stream) uncut() error {
	return &batch.DataError{
		Source: "standard input", Offset: s.offset, Reason: "the stream cannot be cut into windows: " + s.form.why,
		Advice: "--every needs CSV or JSON lines that are not packed",
	}
}

// fail ends the stream for the profile.
func (s *stream) fail(err error) error {
	s.err = err
	return err
}

// data takes bytes and scans them for ends of records.
func (s *stream) data(it item) error {
	if !s.form.records && s.every.set() {
		s.q.release(it.block)
		return s.fail(s.uncut())
	}
	if s.skipping && !s.land(&it) {
		s.q.release(it.block)
		return nil
	}
	b, base := it.block.buf[it.from:it.to], s.held
	it.pos = s.offset
	s.segs = append(s.segs, it)
	s.held += len(b)
	s.offset += int64(len(b))
	if !s.form.records {
		s.ready = s.held
		return nil
	}
	pos := min(s.mark, len(b))
	s.mark -= pos
	for pos < len(b) {
		if (s.hasHeader || !s.form.header) && s.every.Rows == 0 {
			var last int
			if s.state, last = s.form.scanner.last(s.state, b[pos:]); last >= 0 {
				s.ready = base + pos + last
			}
			break
		}
		n := s.one(b[pos:])
		pos += n
		if s.record.bytes > 0 {
			break // goes on in the next item
		}
		s.ready = base + pos
		if s.every.Rows > 0 && s.win.records == s.every.Rows {
			s.cut(it, pos)
			break
		}
	}
	return s.bound()
}

// one scans to the next end of a record, or to the end of b, and returns the
// number of bytes.
func (s *stream) one(b []byte) int {
	end, n := s.form.scanner.first(s.state, b)
	if s.record.bytes == 0 {
		s.record.first = b[0]
	}
	whole := n >= 0
	if !whole {
		s.state, n = end, len(b)
	}
	s.record.bytes += n
	if s.form.header && !s.hasHeader {
		s.header = append(s.header, b[:n]...)
	}
	if whole {
		s.complete(end)
	}
	return n
}

// complete counts a record that stood in the given state in front of its line
// end.
func (s *stream) complete(end state) {
	r := s.record
	s.record, s.state = recordShape{}, recordStart
	naming := s.form.header && !s.hasHeader
	switch {
	case r.blank(), end == comment:
	case !naming:
		s.win.records++
		return
	case end != broken: // the reader takes the first record that is well formed
		s.hasHeader = true
		return
	}
	if naming {
		s.header = s.header[:0]
	}
}

// cut ends the window behind the first n bytes of the item that was appended
// last.
func (s *stream) cut(it item, n int) {
	s.win.closed = true
	left := it.to - it.from - n
	if left == 0 {
		return
	}
	s.q.retain(it.block)
	rest := it
	rest.from += n
	s.carry = &rest
	s.segs[len(s.segs)-1].to -= left
	s.held -= left
	s.offset -= int64(left)
}

// bound gives up telling records where one is too long to hold back.
func (s *stream) bound() error {
	if s.held-s.ready <= recordLimit {
		return nil
	}
	s.form.records, s.form.why = false, fmt.Sprintf("a record is longer than %d MiB, or a quote is not closed", recordLimit>>20)
	if s.every.set() {
		return s.fail(s.uncut())
	}
	s.ready = s.held
	return nil
}

// gap passes over bytes that were left out, and over the record that began
// before them.
func (s *stream) gap(it item) error {
	if s.form.header && !s.hasHeader {
		s.form.records, s.form.why = false, "the names of the columns were left out"
	}
	behind := it.moves.to[s.state]
	if s.form.records && behind == lost {
		s.form.records, s.form.why = false, fmt.Sprintf("a record among them is longer than %d MiB, or a quote is not closed", recordLimit>>20)
	}
	if !s.form.records {
		s.win.short = s.form.why
		s.win.lose(s.offset, -1)
		if s.every.set() {
			return s.fail(s.uncut())
		}
		return s.fail(errShort)
	}
	from := s.offset - int64(s.held-s.ready)
	s.dropPending()
	s.offset += it.bytes
	s.win.lose(from, s.offset)
	s.state, s.record = behind, recordShape{}
	s.skipping = behind != recordStart
	return nil
}

// dropPending drops what follows the last end of a record.
func (s *stream) dropPending() {
	for s.held > s.ready {
		i := len(s.segs) - 1
		seg := &s.segs[i]
		k := min(s.held-s.ready, seg.to-seg.from)
		seg.to -= k
		s.held -= k
		if seg.from == seg.to {
			s.q.release(seg.block)
			s.segs = s.segs[:i]
		}
	}
}

// land passes over the rest of the record in which a gap ended. It reports
// false if all of the item belongs to it.
func (s *stream) land(it *item) bool {
	b := it.block.buf[it.from:it.to]
	end, n := s.form.scanner.first(s.state, b)
	s.state, s.skipping = end, n < 0
	if s.skipping {
		n = len(b)
	} else {
		s.state = recordStart
	}
	s.win.lose(s.offset, s.offset+int64(n))
	s.offset += int64(n)
	it.from += n
	return it.from < it.to
}

// Range is a part of the stream: bytes From … To, To not counted; -1 is the
// end of the stream.
type Range struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

// Coverage says which part of a window the profile saw.
type Coverage struct {
	Seen int64 // bytes
	// LeftOut are the parts that it did not see because it could not keep up,
	// with the whole records at their edges.
	LeftOut []Range
	// Short is why nothing behind the last of LeftOut was seen; empty if the
	// profile went on there.
	Short string
}

// Partial reports whether bytes were left out.
func (c Coverage) Partial() bool { return len(c.LeftOut) > 0 }

// Missing returns how many of total bytes were left out.
func (c Coverage) Missing(total int64) (n int64) {
	for _, r := range c.LeftOut {
		to := r.To
		if to < 0 {
			to = max(total, r.From)
		}
		n += to - r.From
	}
	return n
}

// Window is one batch of the stream: all of it, or what --every says.
type Window struct {
	// Index counts from 0.
	Index int
	// Start is when it began. Windows of one stream have different ones.
	Start time.Time

	stream  *stream
	form    form
	header  []byte // bytes in front of those of the stream
	rest    []byte // of header, not yet read
	records int64
	closed  bool // nothing of the stream is added any more
	seen    int64
	passed  int64
	lost    []Range
	short   string
	parts   []part
}

// part says where a run of delivered bytes stands: at text of the window's
// bytes, its header counted, and at pos of the stream.
type part struct{ text, pos int64 }

// Coverage returns what was seen so far; it is final when the judge returns.
func (w *Window) Coverage() Coverage {
	return Coverage{Seen: w.seen, LeftOut: slices.Clone(w.lost), Short: w.short}
}

// Total returns the bytes of the window, those that were left out counted; of a
// window that is short only up to there.
func (w *Window) Total() int64 {
	c := w.Coverage()
	return w.seen + w.passed + c.Missing(0)
}

// Read implements io.Reader over the bytes of the window.
func (w *Window) Read(p []byte) (int, error) {
	if len(w.rest) > 0 {
		n := copy(p, w.rest)
		w.rest = w.rest[n:]
		return n, nil
	}
	if w.stream.win != w {
		return 0, io.EOF
	}
	return w.stream.read(p)
}

// lose notes bytes that the profile does not see.
func (w *Window) lose(from, to int64) {
	if from == to {
		return
	}
	if k := len(w.lost) - 1; k >= 0 && w.lost[k].To == from {
		w.lost[k].To = to
		return
	}
	w.lost = append(w.lost, Range{from, to})
}

// delivers notes where the next delivered byte stands in the stream.
func (w *Window) delivers(pos int64) {
	text := int64(len(w.header)) + w.seen
	if k := len(w.parts) - 1; k >= 0 && w.parts[k].pos+text-w.parts[k].text == pos {
		return
	}
	w.parts = append(w.parts, part{text, pos})
}

// place turns an offset of the window's bytes into one of the stream.
func (w *Window) place(text int64) int64 {
	for _, p := range slices.Backward(w.parts) {
		if p.text <= text {
			return p.pos + text - p.text
		}
	}
	return text
}
