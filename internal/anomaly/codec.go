package anomaly

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"

	"github.com/klauspost/compress/zstd"
)

// ErrFormat says that bytes are no state or no features of this version.
// Whoever meets it learns anew from stored profiles.
var ErrFormat = errors.New("not a readable state of learned detection")

const (
	stateMagic      = "ANOS"
	featuresMagic   = "ANOF"
	stateVersion    = 3
	featuresVersion = 1
	sampled         = 0x80 // added to the version: of a sample, whose share comes last
	maxDecoded      = 1 << 30
)

// codec writes or reads fields: one description of a form serves both ways. In
// reading mode b is what is left and err is set once.
type codec struct {
	b       []byte
	reading bool
	err     error
	batches []batchRecord // of the state: most series have one value of each
}

func (c *codec) fail() {
	if c.err == nil {
		c.err = errDamaged()
	}
	c.b = nil
}

func (c *codec) uint(v *uint64) {
	if !c.reading {
		c.b = binary.AppendUvarint(c.b, *v)
		return
	}
	x, n := binary.Uvarint(c.b)
	if n <= 0 {
		c.fail()
		return
	}
	*v, c.b = x, c.b[n:]
}

func (c *codec) int(v *int64) {
	u := uint64(*v<<1) ^ uint64(*v>>63) //nolint:gosec // zigzag
	c.uint(&u)
	*v = int64(u>>1) ^ -int64(u&1) //nolint:gosec // zigzag
}

func (c *codec) float(v *float64) {
	if !c.reading {
		c.b = binary.LittleEndian.AppendUint64(c.b, math.Float64bits(*v))
		return
	}
	if len(c.b) < 8 {
		c.fail()
		return
	}
	*v, c.b = math.Float64frombits(binary.LittleEndian.Uint64(c.b)), c.b[8:]
	if *v-*v != 0 {
		c.fail()
	}
}

func (c *codec) bool(v *bool) {
	u := uint64(0)
	if *v {
		u = 1
	}
	c.uint(&u)
	*v = u == 1
}

func (c *codec) text(s *string) {
	n := c.len(len(*s))
	if !c.reading {
		c.b = append(c.b, *s...)
		return
	}
	*s, c.b = string(c.b[:n]), c.b[n:]
}

// len writes a length, or reads one that what is left can hold.
func (c *codec) len(n int) int {
	u := uint64(n) //nolint:gosec // a length
	c.uint(&u)
	if c.err != nil || c.reading && u > uint64(len(c.b)) {
		c.fail()
		return 0
	}
	return int(u) //nolint:gosec // bounded above
}

func small[T ~uint8 | ~int8 | ~int](c *codec, v *T, below int) {
	u := uint64(*v) //nolint:gosec // small and not negative
	c.uint(&u)
	if u >= uint64(below) { //nolint:gosec // not negative
		c.fail()
		u = 0
	}
	*v = T(u) //nolint:gosec // bounded above
}

// list goes through the elements of a slice, which it makes when reading.
func list[T any](c *codec, s *[]T, each func(*T)) {
	n := c.len(len(*s))
	if c.reading {
		*s = nil
		if n > 0 {
			*s = make([]T, 0, min(n, 1<<16))
		}
	}
	for i := 0; i < n && c.err == nil; i++ {
		if c.reading {
			var zero T
			*s = append(*s, zero)
		}
		each(&(*s)[i])
	}
}

func (c *codec) floats(s *[]float64) { list(c, s, c.float) }

func (c *codec) digest(d *digest) {
	list(c, &d.numbers, func(p *point) { c.float(&p.Value); c.uint(&p.Weight) })
	list(c, &d.values, func(v *value) { c.text(&v.text); c.float(&v.count) })
	c.float(&d.rest)
	c.float(&d.missing)
	c.floats(&d.hours)
	c.floats(&d.weekdays)
	if n := len(d.hours); n != 0 && n != 24 {
		c.fail()
	}
	if n := len(d.weekdays); n != 0 && n != 7 {
		c.fail()
	}
}

func (c *codec) measure(m *measure) {
	small(c, &m.kind, int(kindCount))
	c.float(&m.value)
	c.float(&m.n)
	c.float(&m.extra)
}

func (c *codec) features(f *Features) {
	at := f.at.UnixMicro()
	c.int(&at)
	f.at = micros(at)
	c.int(&f.rows)
	c.uint(&f.fingerprint)
	c.bool(&f.copyable)
	c.text(&f.format)
	list(c, &f.measures, c.measure)
	list(c, &f.columns, func(x *column) {
		c.text(&x.name)
		c.bool(&x.offset)
		small(c, &x.kind, 256)
		c.bool(&x.declared)
		c.bool(&x.mixed)
		c.int(&x.count)
		c.float(&x.spread)
		c.float(&x.low)
		c.float(&x.high)
		c.bool(&x.stepping)
		list(c, &x.measures, c.measure)
		c.digest(&x.digest)
	})
}

func (c *codec) key(k *columnKey) {
	c.text(&k.name)
	c.bool(&k.offset)
}

func (c *codec) window(w *errorWindow) {
	c.floats(&w.ring)
	if len(w.ring) > keptErrors {
		c.fail()
	}
	if c.reading {
		w.sorted = slices.Clone(w.ring)
		slices.Sort(w.sorted)
	}
}

// records go as a mask of those that are not 0, and those.
func (c *codec) records(r *records) {
	c.int(&r.block)
	if r.block < 0 {
		c.fail()
		return
	}
	for side := range r.most {
		mask := uint64(0)
		for i, x := range r.most[side] {
			if x != 0 {
				mask |= 1 << i
			}
		}
		c.uint(&mask)
		for i := range r.most[side] {
			if mask>>i&1 != 0 {
				c.float(&r.most[side][i])
			}
		}
	}
}

// entries go without their numbers and times where they are those of batches in
// a row that the state has.
func (c *codec) entries(x *series) {
	n := c.len(len(x.entries))
	if n > keptValues {
		c.fail()
	}
	if n == 0 || c.err != nil {
		return
	}
	if c.reading {
		x.entries = make([]entry, n, keptValues)
	}
	first := x.entries[0].seq
	c.int(&first)
	row := c.inRow(first, n)
	plain := row != nil
	if !c.reading {
		for i := 0; plain && i < n; i++ {
			plain = x.entries[i].seq == row[i].seq && x.entries[i].at == row[i].at
		}
	}
	c.bool(&plain)
	if c.reading && plain && row == nil {
		c.fail()
		return
	}
	var bits [2]uint64
	for i := range x.entries {
		e := &x.entries[i]
		switch {
		case !plain:
			c.int(&e.seq)
			c.int(&e.at)
		case c.reading:
			e.seq, e.at = row[i].seq, row[i].at
		}
		if e.accepted {
			bits[i/64] |= 1 << (i % 64)
		}
	}
	c.uint(&bits[0])
	c.uint(&bits[1])
	for i := range x.entries {
		e := &x.entries[i]
		e.accepted = bits[i/64]>>(i%64)&1 != 0
		c.float(&e.value)
	}
}

// inRow returns the n batches from one on; nil if the state has not all.
func (c *codec) inRow(first int64, n int) []batchRecord {
	i, ok := slices.BinarySearchFunc(c.batches, first, func(b batchRecord, seq int64) int { return cmp.Compare(b.seq, seq) })
	if !ok || i+n > len(c.batches) || c.batches[i+n-1].seq != first+int64(n-1) {
		return nil
	}
	return c.batches[i : i+n]
}

// series is what judging needs of one; see late for the rest.
func (c *codec) series(x *series) {
	c.entries(x)
	small(c, &x.accepted, 1<<40)
	small(c, &x.current, predictors)
	for k := range predictors {
		c.float(&x.scales[k])
		c.records(&x.records[k])
	}
	// What follows from the entries, since sorting takes longer than reading.
	for i := range x.medians {
		c.float(&x.medians[i])
	}
	c.bool(&x.haveCycle)
	list(c, &x.odd, func(o *oddError) { c.int(&o.seq); c.float(&o.e) })
	c.bool(&x.zero)
	c.bool(&x.one)
	c.float(&x.rows)
	c.float(&x.noise)
	c.float(&x.floor)
}

// late is the part of a state that only learning needs.
func (c *codec) late(s *State) {
	for _, col := range s.columns {
		for _, x := range col.series {
			if x != nil {
				for k := range predictors {
					c.window(&x.errors[k])
				}
			}
		}
	}
}

func (c *codec) column(x *columnState) {
	c.key(&x.key)
	for k := range x.series {
		there := x.series[k] != nil
		c.bool(&there)
		if there && c.err == nil {
			if c.reading {
				x.series[k] = &series{}
			}
			c.series(x.series[k])
		}
	}
	c.floats(&x.spreads)
	list(c, &x.steps, c.bool)
	c.float(&x.high)
	c.bool(&x.stepped)
	list(c, &x.pool, c.digest)
	small(c, &x.inBlock, poolBlock+1)
}

func (c *codec) direction(d *direction) {
	list(c, &d.top, func(h *heading) {
		c.key(&h.column)
		small(c, &h.kind, int(kindCount))
		up := h.sign > 0
		c.bool(&up)
		h.sign = -1
		if up {
			h.sign = 1
		}
	})
	c.text(&d.contract)
}

func (c *codec) state(s *State) {
	c.int(&s.seq)
	small(c, &s.accepted, 1<<40)
	list(c, &s.batches, func(b *batchRecord) {
		c.int(&b.seq)
		c.int(&b.at)
		c.text(&b.id)
		c.bool(&b.accepted)
		c.bool(&b.paged)
		c.bool(&b.scored)
		c.float(&b.d)
		c.float(&b.q)
		c.float(&b.c)
	})
	c.batches = s.batches
	list(c, &s.columns, func(x **columnState) {
		if c.reading {
			*x = &columnState{}
		}
		c.column(*x)
	})
	list(c, &s.schemas, func(sc *schema) {
		list(c, (*[]field)(sc), func(f *field) {
			c.text(&f.name)
			small(c, &f.kind, 256)
			c.int(&f.count)
			c.bool(&f.declared)
			c.bool(&f.mixed)
		})
	})
	list(c, &s.prints, c.uint)
	c.bool(&s.repeats)
	c.bool(&s.hadRows)
	c.bool(&s.hadNone)
	list(c, &s.pending, func(h *held) {
		if c.reading {
			h.f = &Features{}
		}
		c.int(&h.seq)
		c.bool(&h.low)
		c.features(h.f)
		list(c, &h.values, func(v *observed) {
			c.key(&v.column)
			small(c, &v.kind, int(kindCount))
			c.float(&v.x)
			c.float(&v.noise)
			c.float(&v.floor)
			c.float(&v.n)
		})
	})
	list(c, &s.told, func(t *toldChange) {
		c.key(&t.column)
		small(c, &t.kind, int(kindCount))
		c.int(&t.seq)
		c.float(&t.size)
	})
	c.int(&s.slowPage)
	c.int(&s.level)
	list(c, &s.run, c.int)
	c.direction(&s.heading)
	small(c, &s.calm, 1<<40)
	c.float(&s.thK)
}

// share goes behind the other fields of what is of a sample; the version says so.
func (c *codec) share(v *float64) {
	if c.float(v); *v <= 0 || *v >= 1 {
		c.fail()
	}
}

// versionOf returns the version of a form, with the mark of a sample.
func versionOf(version byte, share float64) byte {
	if share > 0 {
		return version | sampled
	}
	return version
}

// Encode returns the state as bytes: equal states give equal bytes. They are two
// compressed parts, of which judging reads only the first.
func (s *State) Encode() ([]byte, error) {
	s.thaw()
	var c, l codec
	c.state(s)
	if s.sample > 0 {
		c.share(&s.sample)
	}
	l.late(s)
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(1<<20))
	if err != nil {
		return nil, fmt.Errorf("encode learned state: %w", err)
	}
	early, late := z.EncodeAll(c.b, nil), z.EncodeAll(l.b, nil)
	out := append([]byte(stateMagic), versionOf(stateVersion, s.sample))
	out = binary.AppendUvarint(out, uint64(len(early)))
	out = binary.LittleEndian.AppendUint32(out, crc32.ChecksumIEEE(late))
	out = append(out, early...)
	return append(out, late...), z.Close()
}

// Decode reads what Encode wrote. Errors match ErrFormat.
func Decode(data []byte) (*State, error) {
	rest, ofSample, err := checkMagic(stateMagic, stateVersion, data)
	if err != nil {
		return nil, err
	}
	n, k := binary.Uvarint(rest)
	if k <= 0 || len(rest) < k+4 || n > uint64(len(rest)-k-4) {
		return nil, errDamaged()
	}
	sum, rest := binary.LittleEndian.Uint32(rest[k:]), rest[k+4:]
	early, late := rest[:n], rest[n:]
	if crc32.ChecksumIEEE(late) != sum {
		return nil, errDamaged()
	}
	b, err := decompress(early)
	if err != nil {
		return nil, err
	}
	s, err := readState(b, ofSample)
	if err != nil {
		return nil, err
	}
	s.late = slices.Clone(late)
	return s, nil
}

// readState reads what judging needs.
func readState(b []byte, ofSample bool) (*State, error) {
	c, s := codec{b: b, reading: true}, &State{}
	c.state(s)
	if ofSample {
		c.share(&s.sample)
	}
	s.shareOut()
	if c.err == nil && (len(c.b) > 0 || !s.isSound()) {
		c.fail()
	}
	if c.err != nil {
		return nil, c.err
	}
	s.derive()
	return s, nil
}

// shareOut gives the share to the features that the state keeps.
func (s *State) shareOut() {
	for i := range s.pending {
		s.pending[i].f.sample = s.sample
	}
}

// thaw decodes what only learning needs. Bytes with the right sum that are not
// what Encode wrote count as no errors of the past.
func (s *State) thaw() {
	if s.late == nil {
		return
	}
	b, err := decompress(s.late)
	s.late = nil
	s.readLate(b, err)
}

func (s *State) readLate(b []byte, err error) {
	c := codec{b: b, reading: true, err: err}
	if err == nil {
		c.late(s)
	}
	if c.err == nil && len(c.b) == 0 {
		return
	}
	for _, col := range s.columns {
		for _, x := range col.series {
			if x != nil {
				x.errors = [predictors]errorWindow{}
			}
		}
	}
}

// isSound reports whether the parts of a decoded state fit each other.
func (s *State) isSound() bool {
	if s.accepted > 0 && len(s.schemas) == 0 || s.seq < 0 || len(s.batches) > keptBatches {
		return false
	}
	last := int64(-1)
	for i := range s.batches {
		if s.batches[i].seq <= last || s.batches[i].seq >= s.seq {
			return false
		}
		last = s.batches[i].seq
	}
	for _, c := range s.columns {
		for _, x := range c.series {
			if x == nil {
				continue
			}
			last = -1
			for i := range x.entries {
				if x.entries[i].seq <= last || x.entries[i].seq >= s.seq {
					return false
				}
				last = x.entries[i].seq
			}
		}
	}
	return true
}

// Clone returns an independent copy.
func (s *State) Clone() *State {
	s.thaw()
	var w codec
	w.state(s)
	w.late(s)
	r, out := codec{b: w.b, reading: true}, &State{}
	r.state(out)
	r.late(out)
	if r.err != nil {
		panic("BUG: a state that cannot be copied: " + r.err.Error())
	}
	out.sample = s.sample
	out.shareOut()
	out.derive()
	return out
}

// Encode returns the features as bytes.
func (f *Features) Encode() ([]byte, error) {
	var c codec
	c.features(f)
	if f.sample > 0 {
		c.share(&f.sample)
	}
	return pack(featuresMagic, versionOf(featuresVersion, f.sample), c.b)
}

// DecodeFeatures reads what Encode wrote. Errors match ErrFormat.
func DecodeFeatures(data []byte) (*Features, error) {
	rest, ofSample, err := checkMagic(featuresMagic, featuresVersion, data)
	if err != nil {
		return nil, err
	}
	b, err := decompress(rest)
	if err != nil {
		return nil, err
	}
	c, f := codec{b: b, reading: true}, &Features{}
	c.features(f)
	if ofSample {
		c.share(&f.sample)
	}
	if c.err == nil && len(c.b) > 0 {
		c.fail()
	}
	return f, c.err
}

func pack(magic string, version byte, b []byte) ([]byte, error) {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(1<<20))
	if err != nil {
		return nil, fmt.Errorf("encode learned state: %w", err)
	}
	out := append([]byte(magic), version)
	return z.EncodeAll(b, out), z.Close()
}

func checkMagic(magic string, version byte, data []byte) (rest []byte, ofSample bool, err error) {
	if len(data) < 5 || string(data[:4]) != magic || data[4]&^sampled != version {
		return nil, false, fmt.Errorf("%w: it is of another version", ErrFormat)
	}
	return data[5:], data[4]&sampled != 0, nil
}

func errDamaged() error { return fmt.Errorf("%w: damaged or truncated", ErrFormat) }

func decompress(data []byte) ([]byte, error) {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxDecoded))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	b, err := z.DecodeAll(data, nil)
	if err != nil {
		return nil, errDamaged()
	}
	return b, nil
}
