package sketch

import (
	"cmp"
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
	"strings"
)

const (
	frequentCounters = 2048
	frequentMinSlots = 64
)

// Frequent finds the most frequent values in the manner of Misra and Gries,
// with purges by the median of the counts: Anderson et al., "A
// High-Performance Algorithm for Identifying Frequent Items in Data Streams",
// 2017. It holds at most 2,048 counters. Values are told apart by their 64-bit
// hash alone. The zero value is an empty summary.
type Frequent struct {
	// counters holds the live counters; between len and cap lie dead ones whose
	// text buffers are used again.
	counters []counter
	// index is an open addressing table of counter number + 1, 0 is free. It
	// has at least twice as many slots as there are counters.
	index   []uint16
	purged  uint64
	scratch []uint64
}

type counter struct {
	hash, count uint64
	text        []byte
}

// Item is a frequent value. Count is a lower bound of its true count, and
// Count+Error an upper one.
type Item struct {
	Hash         uint64
	Text         string
	Count, Error uint64
}

// NewFrequent returns an empty summary.
func NewFrequent() *Frequent { return &Frequent{} }

// Add counts the value with this hash n times. The text is kept as it is
// given, and copied only when the value gets a new counter; n = 0 changes
// nothing. The total of all n must stay below 2^64.
func (f *Frequent) Add(hash uint64, text []byte, n uint64) {
	if mask := uint64(len(f.index)) - 1; len(f.index) > 0 {
		for i := hash & mask; ; i = (i + 1) & mask {
			e := f.index[i]
			if e == 0 {
				break
			}
			if c := &f.counters[e-1]; c.hash == hash {
				c.count += n
				return
			}
		}
	}
	if n > 0 {
		f.insert(hash, text, n)
	}
}

func (f *Frequent) insert(hash uint64, text []byte, n uint64) {
	if len(f.counters) == frequentCounters {
		f.purge()
	}
	f.push(hash, text, n)
	if 2*len(f.counters) > len(f.index) {
		f.reindex()
		return
	}
	f.place(len(f.counters) - 1)
}

// push appends a counter without touching the index.
func (f *Frequent) push(hash uint64, text []byte, n uint64) {
	k := len(f.counters)
	if k < cap(f.counters) {
		f.counters = f.counters[:k+1]
	} else {
		f.counters = append(f.counters, counter{})
	}
	c := &f.counters[k]
	c.hash, c.count, c.text = hash, n, append(c.text[:0], text...)
}

// place enters counter k into the index.
func (f *Frequent) place(k int) {
	mask := uint64(len(f.index)) - 1
	i := f.counters[k].hash & mask
	for f.index[i] != 0 {
		i = (i + 1) & mask
	}
	f.index[i] = uint16(k + 1)
}

// reindex builds the index anew, four times larger if it is too small.
func (f *Frequent) reindex() {
	size := max(frequentMinSlots, len(f.index))
	for size < 2*len(f.counters) {
		size *= 4
	}
	if size == len(f.index) {
		clear(f.index)
	} else {
		f.index = make([]uint16, size)
	}
	for k := range f.counters {
		f.place(k)
	}
}

// find returns the number of the counter of hash, or -1.
func (f *Frequent) find(hash uint64) int {
	if len(f.index) == 0 {
		return -1
	}
	mask := uint64(len(f.index)) - 1
	for i := hash & mask; f.index[i] != 0; i = (i + 1) & mask {
		if k := int(f.index[i]) - 1; f.counters[k].hash == hash {
			return k
		}
	}
	return -1
}

// purge takes the median from all counts, which frees at least half of the
// counters.
func (f *Frequent) purge() {
	f.lower(f.rank(len(f.counters) / 2))
	f.reindex()
}

// rank returns the count that has k smaller or equal ones before it.
func (f *Frequent) rank(k int) uint64 {
	f.scratch = f.scratch[:0]
	for i := range f.counters {
		f.scratch = append(f.scratch, f.counters[i].count)
	}
	return selectRank(f.scratch, k)
}

// lower takes v from all counts and drops those that have nothing left.
func (f *Frequent) lower(v uint64) {
	f.purged += v
	live := 0
	for i := range f.counters {
		if f.counters[i].count <= v {
			continue
		}
		f.counters[i].count -= v
		// Swapping keeps the text buffer of the dead counter.
		f.counters[live], f.counters[i] = f.counters[i], f.counters[live]
		live++
	}
	f.counters = f.counters[:live]
}

// selectRank returns the k-th smallest value of v, counted from 0, and
// reorders v: Hoare's selection with a partition in three, since counts repeat.
func selectRank(v []uint64, k int) uint64 {
	for len(v) > 1 {
		a, b, c := v[0], v[len(v)/2], v[len(v)-1]
		pivot := max(min(a, b), min(max(a, b), c))
		low, at, high := 0, 0, len(v)
		for at < high {
			switch x := v[at]; {
			case x < pivot:
				v[low], v[at] = x, v[low]
				low++
				at++
			case x > pivot:
				high--
				v[at], v[high] = v[high], x
			default:
				at++
			}
		}
		switch {
		case k < low:
			v = v[:low]
		case k < high:
			return pivot
		default:
			v, k = v[high:], k-high
		}
	}
	return v[0]
}

// Merge adds the counts of o, which stays unchanged. If more than 2,048 values
// come together, the 2,049th largest count is taken from all: Agarwal et al.,
// "Mergeable Summaries", 2012. Merging two summaries gives the same in either
// order.
func (f *Frequent) Merge(o *Frequent) {
	for i := range o.counters {
		c := &o.counters[i]
		if k := f.find(c.hash); k >= 0 {
			f.counters[k].count += c.count
		} else {
			f.push(c.hash, c.text, c.count)
		}
	}
	f.purged += o.purged
	if n := len(f.counters); n > frequentCounters {
		f.lower(f.rank(n - 1 - frequentCounters))
		// A copy, so that the memory beyond the limit is given back.
		f.counters = append(make([]counter, 0, frequentCounters), f.counters...)
	}
	f.reindex()
}

// Error returns how much lower a count may be than the truth, in values; a
// value that is not held occurred at most that often. It is 0 up to 2,048
// distinct values.
func (f *Frequent) Error() uint64 { return f.purged }

// Top returns at most n values by descending count, equal counts by code
// point. Only values whose lower bound exceeds Error are returned: the others
// cannot be told from values that are not held. The caller owns the result.
func (f *Frequent) Top(n int) []Item {
	items := make([]Item, 0, 64)
	for i := range f.counters {
		if c := &f.counters[i]; c.count > f.purged {
			items = append(items, Item{c.hash, string(c.text), c.count, f.purged})
		}
	}
	slices.SortFunc(items, func(a, b Item) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Text, b.Text), cmp.Compare(a.Hash, b.Hash))
	})
	return slices.Clip(items[:min(max(n, 0), len(items))])
}

// AppendBinary appends the encoded summary to b. Equal counters give equal
// bytes. The error is always nil.
func (f *Frequent) AppendBinary(b []byte) ([]byte, error) {
	b = append(b, kindFrequent, version)
	b = binary.AppendUvarint(b, f.purged)
	b = binary.AppendUvarint(b, uint64(len(f.counters)))
	order := make([]int, len(f.counters))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		return cmp.Compare(f.counters[i].hash, f.counters[j].hash)
	})
	for _, i := range order {
		c := &f.counters[i]
		b = binary.LittleEndian.AppendUint64(b, c.hash)
		b = binary.AppendUvarint(b, c.count)
		b = binary.AppendUvarint(b, uint64(len(c.text)))
		b = append(b, c.text...)
	}
	return b, nil
}

// UnmarshalBinary replaces the summary by the encoded one and copies what it
// needs of b. On an error the summary is unchanged.
func (f *Frequent) UnmarshalBinary(b []byte) error {
	r := open(b, kindFrequent, "top")
	out := Frequent{purged: r.uvarint()}
	total := out.purged
	for i := range r.count(frequentCounters, 10) {
		hash, count := r.uint64(), r.uvarint()
		text := r.bytes(r.count(math.MaxInt32, 1))
		if r.err != nil {
			break
		}
		if i > 0 && hash <= out.counters[i-1].hash {
			r.fail("the hashes do not ascend")
			break
		}
		var carry uint64
		if total, carry = bits.Add64(total, count, 0); count == 0 || carry != 0 {
			r.fail("a count is out of range")
			break
		}
		out.push(hash, text, count)
	}
	if err := r.close(); err != nil {
		return err
	}
	out.reindex()
	*f = out
	return nil
}
