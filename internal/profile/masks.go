package profile

import (
	"cmp"
	"slices"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/sketch"
	"github.com/profilerhq/profiler/internal/textfacts"
)

const (
	// maxMasks is how many shapes of texts a summary shows.
	maxMasks = 10

	// maskCounters is how many shapes a column follows that is not counted.
	maskCounters = 512

	// maskRate is of how many rows one gives its mask once a column is not
	// counted any more.
	maskRate = 64

	// singleRate is of how many values that were counted once, while values were
	// counted, one gives its mask.
	singleRate = 16
)

// masks counts the shapes of the texts of a column that is not counted: all of
// those that come with a number, and of the others a sample. That of a text is
// the mask of what is kept of it.
type masks struct {
	n       uint64           // values that are in them
	strings *sketch.Frequent // of String values; nil without any
	others  *sketch.Frequent // of the source texts of all others

	random  uint64
	singles [2]singles // of strings and others
	rows    []int32
	hashes  []uint64 // of the chosen rows
	ends    []uint32 // of their masks in buf
	buf     []byte
}

// singles is a group of values that occur once, of which one is chosen.
type singles struct {
	n    int
	text []byte // of the chosen one
}

// MaskCount is a shape of texts: digits are 9, capital letters A, small ones a,
// other letters x, and all else stands for itself; see textfacts.AppendMask. Its
// true count lies within Error of Count.
type MaskCount struct {
	Mask  string `json:"mask"`
	Count int64  `json:"count"`
	Error int64  `json:"error"`
}

// of returns the counts for values of a type.
func (m *masks) of(typ batch.Type) *sketch.Frequent {
	f := &m.others
	if typ == batch.String {
		f = &m.strings
	}
	if *f == nil {
		*f = sketch.NewFrequentOf(maskCounters)
	}
	return *f
}

// mask returns the mask of a text, valid until the next call.
func (m *masks) mask(text []byte) []byte {
	m.buf = textfacts.AppendMask(m.buf[:0], cutText(text))
	return m.buf
}

// add takes a text n times. It must stay unchanged until settle is called.
func (m *masks) add(typ batch.Type, text []byte, n uint64) {
	m.n += n
	if n > 1 {
		mask := m.mask(text)
		m.of(typ).Add(hashText(mask), mask, n)
		return
	}
	s := &m.singles[b2i(typ != batch.String)]
	if s.n++; m.next()%uint64(s.n) == 0 { //nolint:gosec // a few
		s.text = text
	}
	if s.n == singleRate {
		m.settleSingles(typ, s)
	}
}

// settle counts what add left open.
func (m *masks) settle() {
	m.settleSingles(batch.String, &m.singles[0])
	m.settleSingles(batch.Null, &m.singles[1])
}

func (m *masks) settleSingles(typ batch.Type, s *singles) {
	if s.n > 0 {
		mask := m.mask(s.text)
		m.hashes = slices.Grow(m.hashes[:0], s.n)[:s.n]
		m.hashes[0] = hashText(mask)
		m.rows = append(m.rows[:0], 0)
		m.of(typ).AddSample(m.hashes, sketch.Sample{Rows: m.rows, Rate: singleRate, Last: s.n}, func(int) []byte { return mask })
	}
	*s = singles{}
}

func (m *masks) next() uint64 {
	m.random += 0x9e3779b97f4a7c15
	return mix64(m.random, 0)
}

// addLane takes the texts of a lane, of which it looks at one in maskRate.
func (m *masks) addLane(typ batch.Type, l *lane) {
	n := len(l.hashes)
	if n == 0 {
		return
	}
	s := m.draw(n)
	m.hashes, m.ends = slices.Grow(m.hashes[:0], n)[:n], slices.Grow(m.ends[:0], n+1)[:n+1]
	m.buf = m.buf[:0]
	for _, row := range s.Rows {
		from := len(m.buf)
		m.buf = textfacts.AppendMask(m.buf, l.text(int(row)))
		m.hashes[row] = hashText(m.buf[from:])
		m.ends[row], m.ends[row+1] = uint32(from), uint32(len(m.buf)) //nolint:gosec // at most MaxMask bytes a row
	}
	m.of(typ).AddSample(m.hashes, s, func(i int) []byte { return m.buf[m.ends[i]:m.ends[i+1]] })
	m.n += uint64(n)
}

// draw chooses a random row of each maskRate of n, and one of the rest.
func (m *masks) draw(n int) sketch.Sample {
	m.rows = m.rows[:0]
	last := maskRate
	for at := 0; at < n; at += maskRate {
		last = min(maskRate, n-at)
		m.rows = append(m.rows, int32(at)+int32(m.next()%uint64(last))) //nolint:gosec // rows of a chunk
	}
	return sketch.Sample{Rows: m.rows, Rate: maskRate, Last: last}
}

func (m *masks) merge(o *masks) {
	m.n += o.n
	if o.strings != nil {
		m.of(batch.String).Merge(o.strings)
	}
	if o.others != nil {
		m.of(batch.Null).Merge(o.others)
	}
}

// masksOf counts the shapes of distinct texts exactly.
func masksOf(vals []counted) []MaskCount {
	counts := map[string]*MaskCount{}
	var buf []byte
	for i := range vals {
		buf = textfacts.AppendMask(buf[:0], vals[i].text)
		m := counts[string(buf)]
		if m == nil {
			m = &MaskCount{Mask: string(buf)}
			counts[m.Mask] = m
		}
		m.Count += int64(vals[i].count)
	}
	all := make([]MaskCount, 0, len(counts))
	for _, m := range counts {
		all = append(all, *m)
	}
	slices.SortFunc(all, func(a, b MaskCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Mask, b.Mask))
	})
	return slices.Clip(all[:min(maxMasks, len(all))])
}

// estimateMasks returns the frequent shapes of a column of texts that is not
// counted; nil if they are not known of all its values: older profiles lack
// them, and a part without source texts does.
func (c *column) estimateMasks(values uint64) []MaskCount {
	m := &c.sk.masks
	if m.n+c.empties != values {
		return nil
	}
	f := sketch.NewFrequentOf(maskCounters)
	for _, part := range []*sketch.Frequent{m.strings, m.others} {
		if part != nil {
			f.Merge(part)
		}
	}
	if c.empties > 0 {
		f.Add(hashText(nil), nil, c.empties)
	}
	out := []MaskCount{}
	for _, it := range f.Top(maxMasks) {
		out = append(out, MaskCount{Mask: validText(it.Text), Count: int64(it.Count), Error: int64(it.Error)})
	}
	return out
}
