package profile

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/sketch"
)

// The .profile file is described in docs/format/profile.md: a fixed head, then
// one zstd frame of sections, each with a tag, a length and a CRC-32C.
const (
	magic        = "PRFL"
	majorVersion = 1 // a reader refuses a newer one
	minorVersion = 3 // a reader passes over what it does not know
)

// Tags of sections and, within a column, of its parts.
const (
	tagEnd = iota
	tagHead
	tagColumn
	tagRows

	tagName = iota + 12
	tagCounts
	tagFirst
	tagDict
	tagAggregates
	tagGroups
	tagNumbersKLL
	tagTimesKLL
	tagOrder   // since 1.1
	tagMasks   // since 1.1
	tagLengths // since 1.2
	tagKeyed   // since 1.2, of sensitive columns alone
	tagWords   // since 1.2
)

// tagElements is a column of elements of lists, since 1.3: with the content of
// tagColumn, and with tagPath. What does not know it reads the columns of rows
// alone.
const (
	tagElements = 4
	tagPath     = 29 // the path of the lists
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// head is the JSON of the head section.
type head struct {
	Hash       string       `json:"hash"`
	Key        string       `json:"key,omitempty"` // id of the key of sensitive columns
	Dataset    string       `json:"dataset"`
	Rows       uint64       `json:"rows"`
	Source     Source       `json:"source"`
	ProfiledAt time.Time    `json:"profiled_at"`
	Stats      statsJSON    `json:"stats"`
	First      *batch.Place `json:"first_malformed,omitempty"`
}

type statsJSON struct {
	Bytes      int64    `json:"bytes"`
	BlankLines int64    `json:"blank_lines"`
	Malformed  int64    `json:"malformed"`
	Notes      []string `json:"notes,omitempty"`
	Sample     float64  `json:"sample,omitempty"`
	RowsRead   int64    `json:"rows_read,omitempty"`
}

// Encode returns the profile in its binary form. Equal profiles give equal
// bytes.
func (p *Profile) Encode() ([]byte, error) {
	var w writer
	h := head{
		Hash: HashName, Key: p.key, Dataset: p.Dataset, Rows: p.rows, Source: p.Source, ProfiledAt: p.ProfiledAt.UTC(),
		Stats: statsJSON{p.Stats.Bytes, p.Stats.BlankLines, p.Stats.Malformed, p.Stats.Notes, p.Stats.Sample, p.Stats.RowsRead}, First: p.Stats.FirstMalformed,
	}
	hb, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("encode profile: %w", err)
	}
	w.section(tagHead, func(w *writer) { w.raw(hb) })
	for _, c := range p.columns {
		c = c.whole()
		if c.list == "" {
			w.section(tagColumn, func(w *writer) { w.column(c) })
			continue
		}
		w.section(tagElements, func(w *writer) {
			w.section(tagPath, func(w *writer) { w.text(c.list) })
			w.column(c)
		})
	}
	w.section(tagRows, func(w *writer) { w.rowSet(&p.dups) })
	w.uint(tagEnd)
	if w.err != nil {
		return nil, fmt.Errorf("encode profile: %w", w.err)
	}
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(1<<20))
	if err != nil {
		return nil, fmt.Errorf("encode profile: %w", err)
	}
	out := append([]byte(magic), majorVersion, minorVersion, 0, 0)
	return z.EncodeAll(w.b, out), z.Close()
}

// ErrFormat says that data is no profile, damaged, or of a newer version.
var ErrFormat = errors.New("not a readable profile")

func formatError(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrFormat, fmt.Sprintf(format, args...))
}

// maxDecoded bounds the memory that a damaged or hostile file can ask for.
const maxDecoded = 1 << 30

// Decode reads what Encode wrote, of this or an earlier version. The data is
// not kept.
func Decode(data []byte) (*Profile, error) {
	if len(data) < 8 || string(data[:4]) != magic {
		return nil, formatError("it does not begin with %q", magic)
	}
	if data[4] > majorVersion {
		return nil, formatError("it has version %d, this program reads up to %d", data[4], majorVersion)
	}
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxDecoded))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	body, err := z.DecodeAll(data[8:], nil)
	if err != nil {
		return nil, formatError("damaged or truncated")
	}
	p := empty()
	r := &reader{b: body}
	for {
		tag, part := r.section()
		switch {
		case r.err != nil:
			return nil, r.err
		case tag == tagEnd:
			return p, p.validate()
		case tag == tagHead:
			err = p.decodeHead(part.b)
		case tag == tagColumn || tag == tagElements:
			err = p.decodeColumn(part, tag == tagElements)
		case tag == tagRows:
			err = part.rowSet(&p.dups)
		}
		if err != nil {
			return nil, err
		}
	}
}

func (p *Profile) validate() error {
	for _, c := range p.columns {
		c = c.whole()
		if c.rows != p.rowsOf(c.list) || c.nulls+c.empties > c.rows {
			return formatError("column %q does not have the rows of the profile", c.name)
		}
		if c.dict == nil && c.sk == nil {
			return formatError("column %q has no values", c.name)
		}
	}
	return nil
}

func (p *Profile) decodeHead(b []byte) error {
	var h head
	if err := json.Unmarshal(b, &h); err != nil {
		return formatError("the head is damaged")
	}
	if h.Hash != HashName {
		return formatError("its values are hashed by %q, this program uses %q", h.Hash, HashName)
	}
	p.Info = Info{
		Dataset: h.Dataset, Source: h.Source, ProfiledAt: h.ProfiledAt,
		Stats: batch.Stats{Bytes: h.Stats.Bytes, BlankLines: h.Stats.BlankLines, Malformed: h.Stats.Malformed, Notes: h.Stats.Notes, FirstMalformed: h.First,
			Sample: h.Stats.Sample, RowsRead: h.Stats.RowsRead},
	}
	p.rows, p.key = h.Rows, h.Key
	if s := h.Stats; s.Sample < 0 || s.Sample >= 1 || s.RowsRead < 0 || s.Sample > 0 && uint64(s.RowsRead) < h.Rows {
		return formatError("the head is damaged")
	}
	return nil
}

// writer appends little-endian fields.
type writer struct {
	b   []byte
	err error
}

func (w *writer) uint(v uint64)   { w.b = binary.AppendUvarint(w.b, v) }
func (w *writer) int(v int64)     { w.b = binary.AppendVarint(w.b, v) }
func (w *writer) float(v float64) { w.b = binary.LittleEndian.AppendUint64(w.b, math.Float64bits(v)) }
func (w *writer) fixed(v uint64)  { w.b = binary.LittleEndian.AppendUint64(w.b, v) }
func (w *writer) raw(b []byte)    { w.b = append(w.b, b...) }
func (w *writer) byte(v uint8)    { w.b = append(w.b, v) }
func (w *writer) bool(v bool)     { w.byte(uint8(b2i(v))) }
func (w *writer) bytes(b []byte)  { w.uint(uint64(len(b))); w.raw(b) }
func (w *writer) text(s string)   { w.bytes([]byte(s)) }
func (w *writer) value(v batch.Value) {
	w.byte(uint8(v.Type))
	w.int(v.Int)
	w.float(v.Float)
}

// section writes a tag, the length of what f writes, that, and its CRC.
func (w *writer) section(tag uint64, f func(*writer)) {
	var part writer
	f(&part)
	if part.err != nil {
		w.err = part.err
	}
	w.uint(tag)
	w.bytes(part.b)
	w.b = binary.LittleEndian.AppendUint32(w.b, crc32.Checksum(part.b, castagnoli))
}

type marshaler interface{ AppendBinary([]byte) ([]byte, error) }

// sketch writes an optional sketch with its length; 0 is none.
func (w *writer) sketch(there bool, s marshaler) {
	if !there {
		w.uint(0)
		return
	}
	b, err := s.AppendBinary(nil)
	if err != nil {
		w.err = err
	}
	w.bytes(b)
}

func (w *writer) column(c *column) {
	w.section(tagName, func(w *writer) { w.text(c.name) })
	w.section(tagCounts, func(w *writer) {
		w.byte(uint8(c.declared))
		w.bool(c.hasText)
		w.bool(c.inferred)
		for _, n := range []uint64{c.rows, c.nulls, c.empties, uint64(b2i(c.zoned))} {
			w.uint(n)
		}
		w.uint(uint64(len(c.types)))
		for _, n := range c.types {
			w.uint(n)
		}
	})
	w.section(tagFirst, func(w *writer) {
		for t := range c.first {
			if c.first[t].Row > 0 {
				w.byte(uint8(t))
				w.int(c.first[t].Row)
				w.text(c.first[t].Text)
			}
		}
	})
	w.section(tagOrder, func(w *writer) { w.order(&c.order) })
	if c.sensitive {
		w.section(tagKeyed, func(w *writer) { w.aggregates(&c.agg) })
	}
	if c.dict != nil {
		w.section(tagDict, func(w *writer) { w.dict(c.dict) })
		return
	}
	if !c.sensitive {
		w.section(tagAggregates, func(w *writer) { w.aggregates(&c.agg) })
	}
	w.section(tagGroups, func(w *writer) {
		for _, g := range []group{c.sk.strings, c.sk.typed, c.sk.texts} {
			w.sketch(g.hll != nil, g.hll)
			w.sketch(g.top != nil, g.top)
		}
	})
	if n := &c.agg.nums; n.bounds.some || c.sk.words.hll != nil {
		w.section(tagWords, func(w *writer) {
			w.bool(n.bounds.some)
			w.float(n.bounds.low)
			w.float(n.bounds.high)
			for _, g := range []group{c.sk.words, c.sk.wordTexts} {
				w.sketch(g.hll != nil, g.hll)
				w.sketch(g.top != nil, g.top)
			}
		})
	}
	w.section(tagNumbersKLL, func(w *writer) { w.sketch(c.sk.nums != nil, c.sk.nums) })
	w.section(tagTimesKLL, func(w *writer) {
		for t, k := range c.sk.times {
			if k != nil {
				w.byte(uint8(t))
				w.sketch(true, k)
			}
		}
	})
	w.section(tagMasks, func(w *writer) {
		m := &c.sk.masks
		w.uint(m.n)
		w.sketch(m.strings != nil, m.strings)
		w.sketch(m.others != nil, m.others)
	})
	w.section(tagLengths, func(w *writer) { w.lengths(c.agg.lengths) })
}

func (w *writer) lengths(l lengths) {
	for _, n := range l {
		w.uint(n)
	}
}

func (w *writer) order(o *order) {
	t := &o.text
	w.byte(uint8(t.trend))
	if t.trend != 0 && t.trend != broken {
		w.textEnd(t.first)
		w.textEnd(t.last)
	}
	for i := range o.runs {
		r := &o.runs[i]
		w.byte(uint8(r.trend))
		if r.trend == 0 || r.trend == broken {
			continue
		}
		for _, p := range []point{r.first, r.last} {
			w.value(batch.Value{Type: p.typ, Int: p.int, Float: p.float})
		}
	}
}

func (w *writer) textEnd(e textEnd) {
	w.bytes(e.text)
	w.bool(e.long)
	if e.long {
		w.fixed(e.hash)
	}
}

func (w *writer) dict(d *dict) {
	entries := d.sorted()
	w.uint(uint64(len(entries)))
	for i := range entries {
		e := &entries[i]
		w.fixed(e.hash)
		w.byte(uint8(e.typ))
		w.byte(e.flags)
		w.uint(e.count)
		w.fixed(e.bits)
		w.uint(uint64(e.sub))
		w.uint(uint64(e.chars))
		w.bytes(d.text(e))
	}
}

func (w *writer) textStats(s *textStats) {
	w.uint(s.n)
	w.uint(s.sum)
	w.uint(uint64(s.min))
	w.uint(uint64(s.max))
	w.bool(s.haveBounds)
	w.text(s.first)
	w.text(s.last)
}

func (w *writer) aggregates(a *aggregates) {
	f := &a.facts
	for _, n := range []uint64{f.digits, f.zeroFirst, f.epochs, f.words, f.blank, f.nonASCII, f.invalid, uint64(f.minWidth), uint64(f.maxWidth), a.trues} {
		w.uint(n)
	}
	w.textStats(&a.text)
	w.textStats(&a.lists)
	n := &a.nums
	w.sketch(true, n.moments)
	w.sketch(true, &n.ints)
	for _, v := range []uint64{n.floats, n.intN, n.zeros, n.negatives, n.infinite, n.nan} {
		w.uint(v)
	}
	w.int(n.minInt)
	w.int(n.maxInt)
	w.bool(n.minInf)
	w.bool(n.maxInf)
	for t, s := range a.times {
		if s == nil {
			continue
		}
		w.byte(uint8(t))
		w.uint(s.n)
		w.sketch(true, &s.sum)
		w.sketch(true, s.moments)
		w.bool(s.haveBounds)
		w.value(s.min)
		w.value(s.max)
	}
}

func (w *writer) rowSet(s *rowSet) {
	w.sketch(s.hll != nil, s.hll)
	w.uint(uint64(len(s.hashes)))
	for _, h := range s.hashes {
		w.fixed(h)
	}
}

var _ = []marshaler{(*sketch.HLL)(nil), (*sketch.Frequent)(nil), sketch.Moments{}}
