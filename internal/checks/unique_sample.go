package checks

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"strings"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/exact"
	"github.com/profilerhq/profiler/internal/profile"
)

// picks is a fair sample of repeated rows, as sample is, whose values may still
// have to be looked up.
type picks struct {
	first *pick
	drawn []pick // by hash
}

// pick is a repeated row. via is the row of the log that shows it, 0 if it is
// shown already.
type pick struct {
	sampledRow
	via int64
}

// wants reports whether a row enters the sample.
func (p *picks) wants(row int64, hash uint64, limit int) bool {
	return p.first == nil || row < p.first.Row || len(p.drawn) < limit || hash < p.drawn[len(p.drawn)-1].hash
}

func (p *picks) insert(row pick, limit int) {
	if p.first == nil || row.Row < p.first.Row {
		p.first = &row
	}
	at, _ := slices.BinarySearchFunc(p.drawn, row, func(a, b pick) int { return cmp.Compare(a.hash, b.hash) })
	if at >= limit {
		return
	}
	p.drawn = slices.Insert(p.drawn, at, row)
	p.drawn = p.drawn[:min(len(p.drawn), limit)]
}

// told returns what a set calls for each repeated row, nil where none is shown.
func (e *keys) told(k *keySet) func(exact.Repeat) {
	if e.s.max <= 0 && !e.s.mark {
		return nil
	}
	return func(r exact.Repeat) {
		if e.s.mark {
			k.markRow(r)
		}
		if e.s.max <= 0 {
			return
		}
		hash := mix(uint64(r.Row) ^ e.s.seed)
		all := r.All && k.all.wants(r.Row, hash, e.s.max)
		unmarked := r.Unmarked && k.unmarked.wants(r.Row, hash, e.s.max)
		if !all && !unmarked {
			return
		}
		p := e.pick(k, r)
		p.hash = hash
		if all {
			k.all.insert(p, e.s.max)
		}
		if unmarked {
			k.unmarked.insert(p, e.s.max)
		}
	}
}

// markRow remembers the number of a repeated row.
func (k *keySet) markRow(r exact.Repeat) {
	if r.All {
		k.rejected.Add(r.Row)
	}
	if r.Unmarked {
		k.rejectedUnmarked.Add(r.Row)
	}
}

// pick shows a repeated row by the row at hand, if there is one: the values are
// equal, so either stands for both, but their keys may differ. What is not known
// yet is looked up in the log at the end.
func (e *keys) pick(k *keySet, r exact.Repeat) (p pick) {
	if r.At >= 0 {
		p.FailingRow = e.r.show(int(k.at[r.At]))
		if r.Row != r.Via && e.otherKey {
			p.Key = nil
		}
	} else {
		p.Value = profile.TextScalar(notKept)
		p.via = r.Via
	}
	if e.logAll && (r.At < 0 || r.Row != r.Via) {
		p.via = r.Row
	}
	p.Row = r.Row
	return p
}

// show joins two samples and looks up what is not shown yet.
func (e *keys) show(a, b *picks) []FailingRow {
	var s sample
	for _, p := range []*picks{a, b} {
		if p.first != nil && (s.first == nil || p.first.Row < s.first.Row) {
			s.first = &e.lookup(p.first).sampledRow
		}
		for i := range p.drawn {
			s.insert(e.lookup(&p.drawn[i]).sampledRow, e.s.max)
		}
	}
	return s.rows()
}

// notKept is shown for a value that the log had no room for.
const notKept = "…"

// lookup completes a pick.
func (e *keys) lookup(p *pick) *pick {
	b, ok := []byte(nil), false
	if p.via > 0 {
		b, ok = e.log.Get(p.via)
	}
	if ok {
		shown := e.readRecord(b)
		p.Value = shown.Value
		if p.via == p.Row || !e.otherKey {
			p.Key = shown.Key
		}
	}
	p.via = 0
	return p
}

// keep writes the rows of the chunk that were taken to the log.
func (e *keys) keep() {
	for _, i := range e.taken {
		b := e.record[:0]
		for _, v := range e.cols {
			b = appendScalar(b, v, int(i))
		}
		b = binary.AppendUvarint(b, uint64(len(e.r.keys)))
		for _, k := range e.r.keys {
			at := slices.Index(e.keyNames, k.name)
			if at < 0 {
				at = len(e.keyNames)
				e.keyNames = append(e.keyNames, k.name)
			}
			b = appendScalar(binary.AppendUvarint(b, uint64(at)), k.v, e.r.rowOf(int(i)))
		}
		e.log.Append(e.r.number(int(i)), b)
		e.record = b
	}
}

// readRecord reads what keep wrote: the row as rows.show shows it.
func (e *keys) readRecord(b []byte) (f FailingRow) {
	parts := make([]string, len(e.state))
	for c := range parts {
		f.Value, b = readScalar(b)
		parts[c] = f.Value.String()
	}
	if e.names != nil {
		f.Value = profile.TextScalar(strings.Join(parts, ", "))
	}
	n, size := binary.Uvarint(b)
	b = b[size:]
	for range n {
		at, size := binary.Uvarint(b)
		var value profile.Scalar
		value, b = readScalar(b[size:])
		f.setKey(e.keyNames[at], value)
	}
	return f
}

// appendScalar appends row i as scalarOf shows it, without allocating: the
// type, and an integer, a float or a text with its length.
func appendScalar(b []byte, v *batch.Vector, i int) []byte {
	hide := v.Masked
	v, i = v.At(i)
	switch typ := v.Types[i]; {
	case typ == batch.Null:
		return append(b, byte(batch.Null))
	case hide:
		b = binary.AppendUvarint(append(b, byte(batch.String)), uint64(len(profile.Masked)))
		return append(b, profile.Masked...)
	case typ == batch.Integer && (!v.Inferred || v.Bytes(i)[0] != '0' || len(v.Bytes(i)) == 1):
		return binary.AppendVarint(append(b, byte(batch.Integer)), v.Ints[i])
	case typ == batch.Number && v.Floats[i]-v.Floats[i] == 0: // finite
		return binary.LittleEndian.AppendUint64(append(b, byte(batch.Number)), math.Float64bits(v.Floats[i]))
	}
	var buf [64]byte
	text := v.AppendText(buf[:0], i)
	tail := ""
	if len(text) > maxShown {
		text, tail = text[:maxShown], "…"
	}
	b = binary.AppendUvarint(append(b, byte(batch.String)), uint64(len(text)+len(tail)))
	return append(append(b, text...), tail...)
}

// readScalar reads what appendScalar wrote and returns the rest.
func readScalar(b []byte) (profile.Scalar, []byte) {
	typ, b := batch.Type(b[0]), b[1:]
	switch typ {
	case batch.Null:
		return profile.Scalar{}, b
	case batch.Integer:
		i, n := binary.Varint(b)
		return profile.IntScalar(i), b[n:]
	case batch.Number:
		return profile.FloatScalar(math.Float64frombits(binary.LittleEndian.Uint64(b))), b[8:]
	default:
		size, n := binary.Uvarint(b)
		b = b[n:]
		return profile.TextScalar(string(b[:size])), b[size:]
	}
}

// keyIsJudged reports whether all key columns are among those that are judged,
// so that equal values mean an equal key.
func (r *rows) keyIsJudged() bool {
	for _, k := range r.keys {
		if k.v != r.v && !slices.Contains(r.cols, k.v) {
			return false
		}
	}
	return true
}
