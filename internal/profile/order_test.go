package profile

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
)

// cellOf is a value with its text.
type cellOf struct {
	value batch.Value
	text  string
}

func intCell(n int64) cellOf {
	return cellOf{batch.Value{Type: batch.Integer, Int: n}, strconv.FormatInt(n, 10)}
}

func floatCell(f float64) cellOf {
	return cellOf{batch.Value{Type: batch.Number, Float: f}, fmt.Sprint(f)}
}

func textCell(s string) cellOf { return cellOf{batch.Value{Type: batch.String}, s} }

func timeCell(t batch.Type, n int64, nanos float64) cellOf {
	v := batch.Value{Type: t, Int: n, Float: nanos}
	return cellOf{v, string(v.AppendText(nil, false))}
}

var nullCell = cellOf{}

// vectorOf makes a plain vector, or one with a dictionary.
func vectorOf(cells []cellOf, withDict bool) *batch.Vector {
	v := &batch.Vector{HasText: true}
	if !withDict {
		for _, c := range cells {
			v.Append(c.value, []byte(c.text))
		}
		return v
	}
	v.Dict = &batch.Vector{HasText: true}
	codes := map[string]uint32{}
	for _, c := range cells {
		key := fmt.Sprint(c.value.Type, c.text)
		code, ok := codes[key]
		if !ok {
			code = uint32(len(codes))
			codes[key] = code
			v.Dict.Append(c.value, []byte(c.text))
		}
		v.Codes = append(v.Codes, code)
	}
	return v
}

// stateOf adds cells in vectors of random sizes and forms.
func stateOf(rng *rand.Rand, cells []cellOf) *column {
	c := newColumn("v")
	for len(cells) > 0 {
		n := 1 + rng.IntN(len(cells))
		c.add(vectorOf(cells[:n], rng.IntN(2) == 0), &batch.Chunk{First: 1}, make([]uint64, n))
		cells = cells[n:]
	}
	c.fold()
	c.order.dict, c.order.entries, c.order.present = nil, 0, 0
	return c
}

func sortedOf(c *column) string {
	s := c.summarize()
	if s.Sorted == nil {
		return ""
	}
	return *s.Sorted
}

func TestSorted(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 300)
	for _, c := range []struct {
		name, want string
		cells      []cellOf
	}{
		{"nothing", "", nil},
		{"nulls", "", []cellOf{nullCell, nullCell}},
		{"one value", "constant", []cellOf{nullCell, intCell(3)}},
		{"equal numbers of two types", "constant", []cellOf{intCell(3), floatCell(3)}},
		{"ascending with ties and holes", "ascending", []cellOf{intCell(1), nullCell, intCell(1), floatCell(1.5), intCell(2)}},
		{"numbers, not texts", "ascending", []cellOf{intCell(9), intCell(10), intCell(100)}},
		{"beyond 2^53", "ascending", []cellOf{intCell(1 << 60), intCell(1<<60 + 1), floatCell(1<<60 + 1024)}},
		{"integer above its float", "descending", []cellOf{intCell(1<<60 + 1), floatCell(1 << 60)}},
		{"infinities", "ascending", []cellOf{floatCell(math.Inf(-1)), intCell(0), floatCell(math.Inf(1))}},
		{"NaN is passed over", "ascending", []cellOf{floatCell(1), floatCell(math.NaN()), floatCell(2)}},
		{"descending", "descending", []cellOf{intCell(3), intCell(2), intCell(2), intCell(-1)}},
		{"unsorted", "", []cellOf{intCell(1), intCell(3), intCell(2)}},
		{"texts", "ascending", []cellOf{textCell(""), textCell("A"), textCell("a"), textCell("ab"), textCell("é")}},
		{"text out of order", "", []cellOf{textCell("b"), textCell("a"), textCell("c")}},
		{"dates and timestamps", "ascending", []cellOf{timeCell(batch.Date, 0, 0), timeCell(batch.Timestamp, 5, 0), timeCell(batch.Timestamp, 5, 7)}},
		{"clocks", "descending", []cellOf{timeCell(batch.Time, 9e9, 0), timeCell(batch.Time, 5e9, 0)}},
		{"long and equal", "constant", []cellOf{textCell(long), textCell(long)}},
		{"long and different behind 256 bytes", "", []cellOf{textCell(long + "a"), textCell(long + "b")}},
		{"cut at 256 bytes", "ascending", []cellOf{textCell(long[:256]), textCell(long)}},
		{"longer is larger", "descending", []cellOf{textCell(long), textCell(long[:256]), textCell(long[:255])}},
		{"booleans have no order", "", []cellOf{{batch.Value{Type: batch.Boolean}, "false"}, {batch.Value{Type: batch.Boolean, Int: 1}, "true"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(1, 2))
			for range 8 {
				require.Equal(t, c.want, sortedOf(stateOf(rng, c.cells)))
			}
		})
	}
}

// Values of other types do not count in the order of the column, as they do not
// in its bounds.
func TestSortedIgnoresMixedValues(t *testing.T) {
	t.Parallel()
	var cells []cellOf
	for i := range 40 {
		cells = append(cells, intCell(int64(i)))
	}
	cells = slices.Insert(cells, 20, textCell("n/a"))
	require.Equal(t, "ascending", sortedOf(stateOf(rand.New(rand.NewPCG(1, 1)), cells)))
}

// randomCells are runs that are mostly in order, so that some parts are.
func randomCells(rng *rand.Rand) []cellOf {
	make1 := [](func(n int64) cellOf){
		intCell,
		func(n int64) cellOf { return floatCell(float64(n) / 2) },
		func(n int64) cellOf { return textCell(strings.Repeat("ab", int(n%3)*100) + strconv.FormatInt(n/3, 36)) },
		func(n int64) cellOf { return timeCell(batch.Timestamp, n, 0) },
		func(n int64) cellOf { return timeCell(batch.Duration, n, 0) },
		func(int64) cellOf { return nullCell },
	}
	kind, other := make1[rng.IntN(len(make1))], make1[rng.IntN(len(make1))]
	out := make([]cellOf, rng.IntN(12))
	at, step := int64(rng.IntN(5)), int64(rng.IntN(3)-1)
	for i := range out {
		out[i] = kind(at)
		if rng.IntN(20) == 0 {
			out[i] = other(at)
		}
		if at += step * int64(rng.IntN(2)); rng.IntN(25) == 0 {
			at -= step
		}
		at = max(at, 0)
	}
	return out
}

// The order of joined parts is that of the whole, however they are put
// together; through a file nothing is lost.
func TestOrderOfParts(t *testing.T) {
	t.Parallel()
	words := map[string]int{}
	for seed := range uint64(4000) {
		rng := rand.New(rand.NewPCG(seed, 5))
		cells := randomCells(rng)
		whole := stateOf(rng, cells)
		words[sortedOf(whole)]++
		i := rng.IntN(len(cells) + 1)
		j := i + rng.IntN(len(cells)-i+1)
		parts := func() (a, b, c order) {
			return stateOf(rng, cells[:i]).order, stateOf(rng, cells[i:j]).order, stateOf(rng, cells[j:]).order
		}
		a, b, c := parts()
		a.merge(&b)
		a.merge(&c)
		require.Equal(t, encodedOrder(&whole.order), encodedOrder(&a), "seed %d, from the left", seed)
		a, b, c = parts()
		b.merge(&c)
		a.merge(&b)
		require.Equal(t, encodedOrder(&whole.order), encodedOrder(&a), "seed %d, from the right", seed)
		var back order
		r := &reader{b: encodedOrder(&a)}
		r.order(&back)
		require.NoError(t, r.err)
		require.Empty(t, r.b)
		require.Equal(t, encodedOrder(&a), encodedOrder(&back))
		back.merge(&order{})
		require.Equal(t, encodedOrder(&a), encodedOrder(&back))
	}
	for _, w := range []string{"", "constant", "ascending", "descending"} {
		require.Greater(t, words[w], 100, "%v", words)
	}
}

func encodedOrder(o *order) []byte {
	var w writer
	w.order(o)
	return w.b
}

// Which part comes first matters: parts that are each in order are not in any.
func TestMergeTakesPartsInOrder(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 3))
	low, high := []cellOf{intCell(1), intCell(2)}, []cellOf{intCell(2), intCell(3)}
	a := stateOf(rng, low)
	a.merge(stateOf(rng, high), true)
	require.Equal(t, "ascending", sortedOf(a))
	b := stateOf(rng, high)
	b.merge(stateOf(rng, low), true)
	require.Empty(t, sortedOf(b))
}

func TestMergedOrderIsIndependentOfItsParts(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(4, 4))
	part := stateOf(rng, []cellOf{textCell("b"), textCell("c")})
	before := bytes.Clone(encodedOrder(&part.order))
	m := newColumn("v")
	m.merge(part, true)
	m.add(vectorOf([]cellOf{textCell("d")}, false), &batch.Chunk{First: 3}, make([]uint64, 1))
	require.Equal(t, before, encodedOrder(&part.order))
	require.Equal(t, "ascending", sortedOf(m))
}

func TestDamagedOrdersAreRefused(t *testing.T) {
	t.Parallel()
	good := encodedOrder(&stateOf(rand.New(rand.NewPCG(1, 1)), []cellOf{textCell("b"), intCell(7)}).order)
	for n := range len(good) {
		r := &reader{b: good[:n]}
		r.order(&order{})
		require.ErrorIs(t, r.err, ErrFormat, n)
	}
	for name, b := range map[string][]byte{
		"a trend of no value": {byte(rose), 0, 0, 0, 0},
		"an unknown trend":    {8, 0, 0, 0, 0},
		"a time of numbers":   append([]byte{0, byte(met), byte(batch.Time)}, make([]byte, 30)...),
		"a short long text":   append([]byte{byte(met), 1, 'x', 1}, make([]byte, 40)...),
	} {
		r := &reader{b: b}
		r.order(&order{})
		require.ErrorIs(t, r.err, ErrFormat, name)
	}
}

// Following a column that is in order allocates nothing for a row.
func TestOrderAllocatesNothing(t *testing.T) { //nolint:paralleltest // it counts allocations
	var cells []cellOf
	for i := range 1000 {
		cells = append(cells, textCell(fmt.Sprintf("%08d", i/10)))
	}
	for _, v := range []*batch.Vector{vectorOf(cells, false), vectorOf(cells, true)} {
		o := stateOf(rand.New(rand.NewPCG(1, 1)), []cellOf{textCell("0"), textCell("00")}).order
		require.Zero(t, testing.AllocsPerRun(20, func() {
			o.text.last.text = o.text.last.text[:1]
			o.add(v)
		}))
		require.Equal(t, "00000099", string(o.text.last.text))
		require.Equal(t, "ascending", *o.text.trend.word())
	}
}
