package checks

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/zeebo/xxh3"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

var uniqueSpec = Spec{
	Kind: "unique", Level: RowLevel, Column: true, Dataset: true,
	Summary: "No value, or combination of the values of several columns, occurs twice; every row of a repeated group fails.",
	parse: func(c *Check, p params, errs *diag.List) judge {
		if c.Column != "" {
			if !p.none(errs) {
				return nil
			}
			return &unique{}
		}
		if p.node == nil {
			errs.Errorf(p.where(), 6, yamldoc.CodeMissingKey, "check \"unique\" needs columns here: unique: [order_id, line_no]")
			return nil
		}
		cols, ok := p.node.StringList(errs)
		if !ok {
			return nil
		}
		if len(cols) == 0 {
			p.node.Errorf(errs, yamldoc.CodeValue, "the list of columns is empty")
			return nil
		}
		c.Columns = cols
		return &unique{columns: cols}
	},
}

type unique struct{ columns []string }

func (u *unique) phrase() string {
	if len(u.columns) > 0 {
		return "repeated in " + strings.Join(u.columns, ", ")
	}
	return "repeated"
}

func (u *unique) good() string {
	if len(u.columns) > 0 {
		return "unique in " + strings.Join(u.columns, ", ")
	}
	return "unique"
}

// uniqueLimit is how many distinct keys one check remembers: 16 bytes each in
// a table that is at most three quarters full.
const uniqueLimit = 12 << 20

func (u *unique) evaluator(s *sampler) rowEvaluator {
	return &uniqueEvaluator{s: s, byText: &keySet{}}
}

// uniqueEvaluator remembers the keys of all rows. In a text column keys are
// the texts as written, elsewhere their meanings, where 3 and 3.0 are one. As
// long as every value is written in its canonical form the two are the same
// set; the first other value splits them.
type uniqueEvaluator struct {
	s               *sampler
	byText, byValue *keySet // byValue is nil until they differ
	raw, canonical  []byte
}

// keySet tells repeated keys by 94 bits of their hash and remembers where each
// came first.
type keySet struct {
	slots     []keySlot
	n         int
	evaluated int64
	failed    int64
	sample    sample
	full      bool
	// firsts are the first rows of repeated keys; their values are no longer
	// at hand, that of the repetition stands for it.
	firsts []FailingRow
}

type keySlot struct {
	hash uint64
	row  uint32 // low bits of the first row
	meta uint32 // 30 more bits of the hash, slotTaken, slotRepeated
}

const (
	slotTaken    = 1 << 31
	slotRepeated = 1 << 30
	slotCheck    = slotRepeated - 1
)

func (k *keySet) clone() *keySet {
	c := *k
	c.slots, c.firsts = slices.Clone(k.slots), slices.Clone(k.firsts)
	c.sample.drawn = slices.Clone(k.sample.drawn)
	return &c
}

func (k *keySet) add(key xxh3.Uint128, s *sampler, r *rows, i int) {
	hash, check := key.Lo, uint32(key.Hi)&slotCheck
	k.evaluated++
	if k.full {
		return
	}
	if 4*(k.n+1) > 3*len(k.slots) {
		k.grow()
	}
	mask := uint64(len(k.slots) - 1)
	at := hash & mask
	for ; k.slots[at].meta != 0; at = (at + 1) & mask {
		if sl := &k.slots[at]; sl.hash == hash && sl.meta&slotCheck == check {
			k.repeat(sl, s, r, i)
			return
		}
	}
	row := r.chunk.First + int64(i)
	k.slots[at] = keySlot{hash: hash, row: uint32(row), meta: check | slotTaken}
	if k.n++; k.n >= uniqueLimit {
		k.full, k.slots = true, nil
	}
}

func (k *keySet) repeat(sl *keySlot, s *sampler, r *rows, i int) {
	k.failed++
	if sl.meta&slotRepeated == 0 {
		sl.meta |= slotRepeated
		k.failed++ // the first one fails as well
		if len(k.firsts) < s.max {
			f := r.show(i)
			f.Row = int64(sl.row)
			if !r.keyIsJudged() {
				f.Key = nil
			}
			k.firsts = append(k.firsts, f)
		}
	}
	k.sample.offer(s, r, i)
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

func (k *keySet) grow() {
	old := k.slots
	k.slots = make([]keySlot, max(1024, 2*len(old)))
	mask := uint64(len(k.slots) - 1)
	for _, sl := range old {
		if sl.meta == 0 {
			continue
		}
		at := sl.hash & mask
		for k.slots[at].meta != 0 {
			at = (at + 1) & mask
		}
		k.slots[at] = sl
	}
}

func (e *uniqueEvaluator) absent(int64, int64) {}

func (e *uniqueEvaluator) observe(r *rows) {
	cols := r.cols
	if r.v != nil {
		cols = []*batch.Vector{r.v}
	}
	for i := range r.chunk.Rows {
		e.raw, e.canonical = e.raw[:0], e.canonical[:0]
		hasText, hasValue := true, true
		for _, v := range cols {
			hasText = hasText && v.Types[i] != batch.Null
			hasValue = hasValue && !isNull(v, i, batch.Null)
			e.appendKeys(v, i)
		}
		if e.byValue == nil && (hasText != hasValue || string(e.raw) != string(e.canonical)) {
			e.byValue = e.byText.clone()
		}
		if hasText {
			e.byText.add(xxh3.Hash128(e.raw), e.s, r, i)
		}
		if hasValue && e.byValue != nil {
			e.byValue.add(xxh3.Hash128(e.canonical), e.s, r, i)
		}
	}
}

// appendKeys appends the value of row i to both forms of the key, each with
// its length, so that parts cannot run together.
func (e *uniqueEvaluator) appendKeys(v *batch.Vector, i int) {
	typ := v.Types[i]
	if typ == batch.Null {
		return
	}
	kind := byte(0)
	if !v.Inferred && (typ == batch.String || typ == batch.Binary) {
		kind = 1 // a text is never a number where values have types
	}
	start := len(e.raw)
	e.raw = append(e.raw, kind, 0, 0, 0, 0)
	e.raw = v.AppendText(e.raw, i)
	binary.LittleEndian.PutUint32(e.raw[start+1:], uint32(len(e.raw)-start))
	if kind == 1 || typ == batch.String {
		e.canonical = append(e.canonical, e.raw[start:]...)
		return
	}
	val := v.Value(i)
	if typ == batch.Timestamp && val.Int%microsPerDay == 0 && val.Float == 0 {
		val.Type = batch.Date // midnight, however it is written
	}
	start = len(e.canonical)
	e.canonical = append(e.canonical, kind, 0, 0, 0, 0)
	e.canonical = val.AppendText(e.canonical, false)
	binary.LittleEndian.PutUint32(e.canonical[start+1:], uint32(len(e.canonical)-start))
}

const microsPerDay = 86_400_000_000

func (e *uniqueEvaluator) outcome(col *profile.Column) outcome {
	k := e.byText
	if e.byValue != nil && (col == nil || col.Kind() != batch.String) {
		k = e.byValue
	}
	if k.full {
		return outcome{err: fmt.Sprintf("more than %s distinct keys are more than this version remembers; use distinct_rate: {min: 1}", count(uniqueLimit))}
	}
	k.sample.merge(k.firsts, e.s)
	return outcome{evaluated: k.evaluated, failed: k.failed, failing: k.sample.rows()}
}

// merge adds rows that are known to fail; the smallest numbers come first.
func (s *sample) merge(firsts []FailingRow, by *sampler) {
	for _, f := range firsts {
		p := sampledRow{hash: mix(uint64(f.Row) ^ by.seed), FailingRow: f}
		if s.first == nil || f.Row < s.first.Row {
			s.first = &p
		}
		s.insert(p, by.max)
	}
}
