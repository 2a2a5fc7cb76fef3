package profile

import (
	"slices"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/sketch"
)

// codes counts the values of vectors in dictionary form by their codes. They
// are classified and hashed once for each entry, when the dictionary ends.
type codes struct {
	dict   *batch.Vector // the dictionary that the counts are of
	counts []uint64      // by code
	hashes []uint64      // what an entry adds to the hash of its row, by code
}

// addCodes counts the values of a vector in dictionary form.
func (c *column) addCodes(v *batch.Vector, at *batch.Chunk, rowHashes []uint64) {
	k := &c.codes
	if k.dict != v.Dict {
		c.fold()
		k.dict = v.Dict
	}
	if n := v.Dict.Len(); n > len(k.counts) {
		k.extend(n, c.salt)
	}
	counts, hashes := k.counts, k.hashes[:len(k.counts)]
	rowHashes = rowHashes[:len(v.Codes)]
	for i, code := range v.Codes {
		n := counts[code]
		if n == 0 {
			if typ := v.Dict.Types[code]; typ != batch.Null && c.first[typ].Row == 0 && !emptyField(v.Dict, int(code)) {
				c.meet(v.Dict, int(code), at.RowAt(v.RowOf(i)))
			}
		}
		counts[code] = n + 1
		rowHashes[i] += hashes[code]
	}
}

// addEach counts the values of a vector in dictionary form one by one, for
// parts so small that counts of all entries would not pay.
func (c *column) addEach(v *batch.Vector, at *batch.Chunk, rowHashes []uint64) {
	d := v.Dict
	for i, code := range v.Codes {
		j := int(code)
		typ := d.Types[j]
		switch {
		case typ == batch.Null:
			c.nulls++
			continue
		case emptyField(d, j):
			c.empties++
			rowHashes[i] += mix64(1, c.salt)
			continue
		}
		text := d.Bytes(j)
		hash := identity(d, j, text)
		rowHashes[i] += mix64(hash, c.salt)
		if c.first[typ].Row == 0 {
			c.meet(d, j, at.RowAt(v.RowOf(i)))
		}
		c.types[typ]++
		if c.dict == nil {
			c.addWeighted(d.Value(j), text, hash, 1)
		} else if e := c.dict.find(hash, typ); e != nil {
			e.count++
		} else {
			c.addNew(d.Value(j), text, hash, 1)
		}
	}
}

// emptyField reports whether an entry is a quoted empty field, which is a text
// or null by the type that the column turns out to have.
func emptyField(v *batch.Vector, i int) bool {
	return v.Inferred && len(v.Bytes(i)) == 0
}

// extend makes room for the first n entries of the dictionary.
func (k *codes) extend(n int, salt uint64) {
	at := len(k.counts)
	k.counts, k.hashes = slices.Grow(k.counts, n-at)[:n], slices.Grow(k.hashes, n-at)[:n]
	for ; at < n; at++ {
		k.counts[at], k.hashes[at] = 0, 0
		switch {
		case k.dict.Types[at] == batch.Null:
		case emptyField(k.dict, at):
			k.hashes[at] = mix64(1, salt)
		default:
			k.hashes[at] = mix64(identity(k.dict, at, k.dict.Bytes(at)), salt)
		}
	}
}

// fold moves the counts of codes to the values that they stand for.
func (c *column) fold() {
	k := &c.codes
	d := k.dict
	var w weighing
	for i, n := range k.counts {
		if n == 0 {
			continue
		}
		typ := d.Types[i]
		switch {
		case typ == batch.Null:
			c.nulls += n
			continue
		case emptyField(d, i):
			c.empties += n
			continue
		}
		c.types[typ] += n
		text := d.Bytes(i)
		hash := identity(d, i, text)
		if c.dict == nil {
			c.weigh(&w, d.Value(i), text, hash, n)
			continue
		}
		if e := c.dict.find(hash, typ); e != nil {
			e.count += n
			continue
		}
		c.addNew(d.Value(i), text, hash, n)
	}
	c.settle(&w)
	k.dict, k.counts, k.hashes = nil, k.counts[:0], k.hashes[:0]
}

// weighing collects values with their counts for the quantiles, which take
// them together.
type weighing struct {
	nums  []sketch.Weighted[float64]
	times [batch.TypeCount][]sketch.Weighted[int64] // by family
	buf   []byte
}

// weigh feeds a value n times to the sketches and aggregates, but for the
// quantiles, for which settle is called in the end.
func (c *column) weigh(w *weighing, v batch.Value, text []byte, hash, n uint64) {
	var chars uint32
	var flags uint8
	if c.hasText || v.Type == batch.String {
		chars, flags = describe(text, v.Type, c.inferred)
	}
	c.weighDescribed(w, v, text, c.hasText, hash, n, chars, flags)
}

func (c *column) weighDescribed(w *weighing, v batch.Value, text []byte, texts bool, hash, n uint64, chars uint32, flags uint8) {
	c.agg.add(v, text, texts, chars, flags, n)
	text = cutText(text)
	if texts || v.Type == batch.String {
		c.sk.masks.add(v.Type, text, n)
	}
	if v.Type == batch.String {
		c.sk.strings.add(hash, text, n)
		return
	}
	if texts {
		c.sk.texts.add(hash, text, n)
		hash = hashTyped(v, text)
	}
	if flags&flagWord != 0 {
		c.sk.addWord(v, hash, text, n)
	} else {
		w.buf = appendMeaning(w.buf[:0], v, text)
		c.sk.typed.add(hash, w.buf, n)
	}
	switch {
	case v.Type == batch.Integer:
		w.nums = append(w.nums, sketch.Weighted[float64]{Value: float64(v.Int), Weight: n})
	case v.Type == batch.Number && v.Float-v.Float == 0: // finite
		w.nums = append(w.nums, sketch.Weighted[float64]{Value: v.Float, Weight: n})
	case v.Type.Temporal():
		f := v.Type.Family()
		w.times[f] = append(w.times[f], sketch.Weighted[int64]{Value: v.Int, Weight: n})
	}
}

// settle gives the quantiles what was weighed, and ends the sample of masks.
func (c *column) settle(w *weighing) {
	if c.sk != nil {
		c.sk.masks.settle()
	}
	if len(w.nums) > 0 {
		c.sk.numbers().AddCounts(w.nums)
	}
	for f, t := range w.times {
		if len(t) > 0 {
			c.sk.timesOf(batch.Type(f)).AddCounts(t) //nolint:gosec // a type
		}
	}
}

// addWeighted feeds a value n times to the sketches and aggregates.
func (c *column) addWeighted(v batch.Value, text []byte, hash, n uint64) {
	var w weighing
	c.weigh(&w, v, text, hash, n)
	c.settle(&w)
}

// addEntries feeds counted values to the sketches and aggregates. texts says
// that they have source texts.
func (c *column) addEntries(entries []entry, d *dict, texts bool) {
	if c.sk == nil {
		c.sk = newSketches(c.name, c.counters)
	}
	var w weighing
	for i := range entries {
		e := &entries[i]
		c.weighDescribed(&w, e.value(), d.text(e), texts, e.hash, e.count, e.chars, e.flags)
	}
	c.settle(&w)
}
