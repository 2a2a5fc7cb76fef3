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

	// versionSampled is the version of an encoded summary that holds samples.
	versionSampled = 2

	// An entry of the index has the counter number + 1 in its low bits and the
	// high bits of the hash above, so that a miss never looks at a counter.
	frequentNumber = 1<<12 - 1

	// maxRate is the most rows that a sampled one may stand for.
	maxRate = 64

	// maxFrequentText is how long a text of an encoded summary may be: much more
	// than anybody keeps.
	maxFrequentText = 1 << 16

	// frequentSmall is the size of the histogram in which a purge looks for its
	// median first.
	frequentSmall = 64
)

// Frequent finds the most frequent values in the manner of Misra and Gries,
// with purges by the median of the counts: Anderson et al., "A
// High-Performance Algorithm for Identifying Frequent Items in Data Streams",
// 2017. It holds at most 2,048 counters. Values are told apart by their 64-bit
// hash alone. A column with very many distinct values may enter as a sample;
// then all bounds include its error. The zero value is an empty summary.
type Frequent struct {
	// The counters: those of a value have the same place in each of these.
	hashes, counts []uint64
	ends           []uint32 // of its text in texts, where that of the one before ends
	texts          []byte
	form           func(b, text []byte) []byte
	raw            bool // texts come as form wants them
	late           int  // counters at the end that have a row in the place of a text
	// index is an open addressing table, 0 is free. It has at least twice as
	// many slots as there are counters.
	index   []uint32
	purged  uint64
	fewer   int    // counters below 2,048 that it may hold
	sampled uint64 // rows that sampled ones stand for
	rate    uint64 // the most rows that one of them stands for; 0 without any
	scratch []uint64
}

// Item is a frequent value. Its true count is at least Count and at most
// Count+Error while nothing was sampled. With samples it lies within Error of
// Count on both sides, as surely as three standard errors.
type Item struct {
	Hash         uint64
	Text         string
	Count, Error uint64
}

// NewFrequent returns an empty summary.
func NewFrequent() *Frequent { return &Frequent{} }

// NewFrequentOf returns an empty summary of at most n counters, from 16 to
// 2,048: less memory, and a larger error. Merged summaries have the larger of
// their limits; the encoding does not keep it.
func NewFrequentOf(n int) *Frequent {
	return &Frequent{fewer: frequentCounters - min(frequentCounters, max(16, n))}
}

// Formed makes the summary keep the texts that it is given from now on as they
// are until they are asked for: form appends the text that they stand for to b.
// Most values of a long column lose their counters again, and theirs is then
// never made.
func (f *Frequent) Formed(form func(b, text []byte) []byte) {
	f.form, f.raw = form, true
}

// most is how many counters the summary holds.
func (f *Frequent) most() int { return frequentCounters - f.fewer }

// Add counts the value with this hash n times. The text is kept as it is
// given, and copied only when the value gets a new counter; n = 0 changes
// nothing. The total of all n must stay below 2^64.
func (f *Frequent) Add(hash uint64, text []byte, n uint64) {
	if k := f.find(hash); k >= 0 {
		f.counts[k] += n
		return
	}
	if n > 0 {
		f.insert(hash, text, n)
	}
}

// AddSlice counts each of the values with these hashes once. text returns the
// text of value i and is asked for values that get a new counter alone; the
// memory may be used again after the next call.
func (f *Frequent) AddSlice(hashes []uint64, text func(i int) []byte) {
	var slots [256]uint32
	for from := 0; from < len(hashes); from += len(slots) {
		part := hashes[from:min(from+len(slots), len(hashes))]
		f.look(part, &slots)
		for i, hash := range part {
			// A counter that has moved has another hash.
			if k := slots[i]&frequentNumber - 1; uint(k) < uint(len(f.counts)) && f.hashes[k] == hash {
				f.counts[k]++
			} else {
				f.addLate(hash, from+i, 1)
			}
		}
	}
	f.settle(text)
}

// AddSample counts the rows that a Sampler drew from a slice of values with
// these hashes, each with the weight that the sample gives it, at most 64. Of
// hashes only those of the drawn rows are read. text returns the
// text of row i, as with AddSlice. From then on all bounds include three
// standard errors of the sampling.
func (f *Frequent) AddSample(hashes []uint64, sample Sample, text func(i int) []byte) {
	if sample.Rate == 1 {
		f.AddSlice(hashes, text)
		return
	}
	n := uint64(sample.Rate)
	f.rate = max(f.rate, n)
	f.sampled += uint64(len(hashes))
	for i, row := range sample.Rows {
		hash := hashes[row]
		if i == len(sample.Rows)-1 {
			n = uint64(sample.Last)
		}
		f.addLate(hash, int(row), n)
	}
	f.settle(text)
}

// addLate counts a value n times. Its text is that of a row, which settle asks
// for: many a counter is lost before.
func (f *Frequent) addLate(hash uint64, row int, n uint64) {
	if k := f.find(hash); k >= 0 {
		f.counts[k] += n
		return
	}
	f.makeRoom()
	f.late++
	f.push(hash, uint32(row), n) //nolint:gosec // rows of a slice
	f.enter()
}

// settle gives the counters that came since the last time their texts.
func (f *Frequent) settle(text func(i int) []byte) {
	for k := len(f.counts) - f.late; f.late > 0; k++ {
		f.ends[k] = f.keep(text(int(f.ends[k])), f.raw)
		f.late--
	}
}

func (f *Frequent) insert(hash uint64, text []byte, n uint64) {
	f.makeRoom()
	f.push(hash, f.keep(text, f.raw), n)
	f.enter()
}

func (f *Frequent) makeRoom() {
	if len(f.counts) >= f.most() {
		f.purge()
	}
}

// unformed marks the end of a text that form has not seen.
const unformed = 1 << 31

// keep appends the text of the next counter and returns where it ends.
func (f *Frequent) keep(text []byte, raw bool) (end uint32) {
	f.texts = append(f.texts, text...)
	end = uint32(len(f.texts)) //nolint:gosec // 4,096 texts of maxFrequentText at most
	if raw {
		end |= unformed
	}
	return end
}

// push appends a counter without touching the index.
func (f *Frequent) push(hash uint64, end uint32, n uint64) {
	if n := len(f.counts); n == cap(f.counts) {
		more := max(min(max(4*n, 16), f.most())-n, 1)
		f.hashes, f.counts, f.ends = slices.Grow(f.hashes, more), slices.Grow(f.counts, more), slices.Grow(f.ends, more)
	}
	f.hashes, f.counts, f.ends = append(f.hashes, hash), append(f.counts, n), append(f.ends, end)
}

// enter makes the last counter known to the index.
func (f *Frequent) enter() {
	if 2*len(f.counts) > len(f.index) {
		f.reindex()
		return
	}
	f.place(len(f.counts) - 1)
}

// kept returns the text of counter k as it was given; raw says that form has not
// seen it.
func (f *Frequent) kept(k int) (text []byte, raw bool) {
	start := uint32(0)
	if k > 0 {
		start = f.ends[k-1] &^ unformed
	}
	return f.texts[start : f.ends[k]&^unformed], f.ends[k]&unformed != 0
}

// appendText appends the text of counter k to b.
func (f *Frequent) appendText(b []byte, k int) []byte {
	text, raw := f.kept(k)
	if raw {
		return f.form(b, text)
	}
	return append(b, text...)
}

// place enters counter k into the index.
func (f *Frequent) place(k int) {
	mask := uint64(len(f.index)) - 1
	i := f.hashes[k] & mask
	for f.index[i] != 0 {
		i = (i + 1) & mask
	}
	f.index[i] = indexEntry(f.hashes[k], k)
}

// indexEntry is the entry of the index for counter k.
func indexEntry(hash uint64, k int) uint32 { return uint32(hash>>44)<<12 | uint32(k+1) }

// reindex builds the index anew, four times larger if it is too small.
func (f *Frequent) reindex() {
	size := max(frequentMinSlots, len(f.index))
	for size < 2*len(f.counts) {
		size *= 4
	}
	if size == len(f.index) {
		clear(f.index)
	} else {
		f.index = make([]uint32, size)
	}
	for k := range f.hashes {
		f.place(k)
	}
}

// look returns what the index has where the search for each of the hashes begins.
// The processor reads many places at a time, but waits for one after the other
// where it first has to find out what to do next.
func (f *Frequent) look(hashes []uint64, slots *[256]uint32) {
	if len(f.index) == 0 {
		clear(slots[:])
		return
	}
	mask := uint64(len(f.index)) - 1
	for i, hash := range hashes {
		slots[i&255] = f.index[hash&mask]
	}
}

// find returns the number of the counter of hash, or -1.
func (f *Frequent) find(hash uint64) int {
	if len(f.index) == 0 {
		return -1
	}
	mask := uint64(len(f.index)) - 1
	for i := hash & mask; ; i = (i + 1) & mask {
		e := f.index[i]
		if e == 0 {
			return -1
		}
		if k := int(e&frequentNumber) - 1; e>>12 == uint32(hash>>44) && f.hashes[k] == hash {
			return k
		}
	}
}

// purge takes the median from all counts, which frees at least half of the
// counters.
func (f *Frequent) purge() {
	f.lower(f.rank(len(f.counts) / 2))
	f.reindex()
}

// rank returns the count that has k smaller or equal ones before it. Mostly it
// is small: then one pass over the counts finds it.
func (f *Frequent) rank(k int) uint64 {
	var small [frequentSmall]uint16
	for _, n := range f.counts {
		small[min(n, frequentSmall-1)]++
	}
	rest := k
	for v, n := range small[:frequentSmall-1] {
		if rest -= int(n); rest < 0 {
			return uint64(v)
		}
	}
	f.scratch = append(f.scratch[:0], f.counts...)
	return selectRank(f.scratch, k)
}

// lower takes v from all counts and drops those that have nothing left.
func (f *Frequent) lower(v uint64) {
	f.purged += v
	live, from, to := 0, uint32(0), uint32(0)
	settled := len(f.counts) - f.late
	f.late = 0
	for i, n := range f.counts {
		end := f.ends[i]
		next := end &^ unformed
		if n > v {
			f.hashes[live], f.counts[live] = f.hashes[i], n-v
			if i < settled {
				to += uint32(copy(f.texts[to:], f.texts[from:next])) //nolint:gosec // see keep
				end = to | end&unformed
			} else {
				f.late++
			}
			f.ends[live] = end
			live++
		}
		from = next
	}
	f.hashes, f.counts, f.ends, f.texts = f.hashes[:live], f.counts[:live], f.ends[:live], f.texts[:to]
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
	if o.form != nil {
		f.form = o.form
	}
	for i, hash := range o.hashes {
		if k := f.find(hash); k >= 0 {
			f.counts[k] += o.counts[i]
		} else {
			text, raw := o.kept(i)
			f.push(hash, f.keep(text, raw), o.counts[i])
		}
	}
	f.purged += o.purged
	f.sampled += o.sampled
	f.rate = max(f.rate, o.rate)
	f.fewer = min(f.fewer, o.fewer)
	if n := len(f.counts); n > f.most() {
		f.lower(f.rank(n - 1 - f.most()))
		// Copies, so that the memory beyond the limit is given back.
		f.hashes, f.counts = slices.Clone(f.hashes), slices.Clone(f.counts)
		f.ends, f.texts = slices.Clone(f.ends), slices.Clone(f.texts)
	}
	f.reindex()
}

// Error returns how often a value that is not held may have occurred; with
// samples as surely as three standard errors. It is 0 up to 2,048 distinct
// values without samples. While nothing was sampled no count of a held value is
// further from the truth either.
func (f *Frequent) Error() uint64 { return f.purged + f.above(f.purged) }

// above returns by how much the true count may exceed x, which is a count with
// everything in it that was purged: three standard errors of its sampled part.
//
// A row is in the sample with the chance 1/w and stands for w rows, so that the
// estimate of a true count c has at most the variance c·(w−1). The largest c
// for which x is not below c − 3·√(c·(w−1)) is ((s + √(s²+4x))/2)² with s =
// 3·√(w−1). Groups of w rows with one sample each can only vary less.
func (f *Frequent) above(x uint64) uint64 {
	if f.sampled == 0 {
		return 0
	}
	s := f.threeSigma()
	x = min(x, f.sampled)
	root := (s + math.Sqrt(s*s+4*float64(x))) / 2
	return uint64(math.Ceil(root*root)) - x
}

// below returns by how much the true count may lie below x because of the
// sampling: the mirror image of above.
func (f *Frequent) below(x uint64) uint64 {
	if f.sampled == 0 {
		return 0
	}
	s := f.threeSigma()
	x = min(x, f.sampled)
	root := (math.Sqrt(s*s+4*float64(x)) - s) / 2
	return x - min(x, uint64(root*root))
}

func (f *Frequent) threeSigma() float64 { return 3 * math.Sqrt(float64(f.rate-1)) }

// bounds returns the least and the largest true count of a held value.
func (f *Frequent) bounds(count uint64) (low, high uint64) {
	whole := count + f.purged
	return count - f.below(count), whole + f.above(whole)
}

// Top returns at most n values by descending count, equal counts by code
// point. Only values whose lower bound exceeds Error are returned: the others
// cannot be told from values that are not held. The caller owns the result.
func (f *Frequent) Top(n int) []Item {
	items := make([]Item, 0, 64)
	limit := f.Error()
	var buf []byte
	for i, n := range f.counts {
		if n <= limit {
			continue
		}
		if low, high := f.bounds(n); low > limit {
			buf = f.appendText(buf[:0], i)
			items = append(items, Item{f.hashes[i], string(buf), n, high - n})
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
	if f.sampled == 0 {
		b = append(b, kindFrequent, version)
	} else {
		b = append(b, kindFrequent, versionSampled)
		b = binary.AppendUvarint(b, f.sampled)
		b = binary.AppendUvarint(b, f.rate)
	}
	b = binary.AppendUvarint(b, f.purged)
	b = binary.AppendUvarint(b, uint64(len(f.counts)))
	order := make([]int, len(f.counts))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		return cmp.Compare(f.hashes[i], f.hashes[j])
	})
	var buf []byte
	for _, i := range order {
		buf = f.appendText(buf[:0], i)
		b = binary.LittleEndian.AppendUint64(b, f.hashes[i])
		b = binary.AppendUvarint(b, f.counts[i])
		b = binary.AppendUvarint(b, uint64(len(buf)))
		b = append(b, buf...)
	}
	return b, nil
}

// UnmarshalBinary replaces the summary by the encoded one and copies what it
// needs of b. On an error the summary is unchanged.
func (f *Frequent) UnmarshalBinary(b []byte) error {
	r, got := openUpTo(b, kindFrequent, "top", versionSampled)
	var out Frequent
	if r.err == nil && got == versionSampled {
		out.sampled, out.rate = r.uvarint(), r.uvarint()
		if r.err == nil && (out.sampled == 0 || out.sampled > 1<<62 || out.rate < 2 || out.rate > maxRate) {
			r.fail("a sample of %d rows, one of %d, is out of range", out.sampled, out.rate)
		}
	}
	out.purged = r.uvarint()
	total := out.purged
	for i := range r.count(frequentCounters, 10) {
		hash, count := r.uint64(), r.uvarint()
		text := r.bytes(r.count(math.MaxInt32, 1))
		if r.err != nil {
			break
		}
		if len(text) > maxFrequentText {
			r.fail("a text has %d bytes", len(text))
			break
		}
		if i > 0 && hash <= out.hashes[i-1] {
			r.fail("the hashes do not ascend")
			break
		}
		var carry uint64
		if total, carry = bits.Add64(total, count, 0); count == 0 || carry != 0 {
			r.fail("a count is out of range")
			break
		}
		out.push(hash, out.keep(text, false), count)
	}
	if err := r.close(); err != nil {
		return err
	}
	out.reindex()
	*f = out
	return nil
}
