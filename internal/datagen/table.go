package datagen

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
)

// Kind is the type of a column of a table.
type Kind uint8

// The kinds of columns.
const (
	Integer   Kind = iota // Ints are the values
	Cents                 // numbers with two decimals: Ints are hundredths
	Timestamp             // Ints are seconds since 1970, UTC
	Boolean               // Ints are 0 and 1
	Text                  // words of a list, or bytes of their own
)

// Column describes a column of a table.
type Column struct {
	Name string
	Kind Kind
	// Nullable columns have nulls.
	Nullable bool
	// Repeats says that values come back so often that a writer of Parquet
	// keeps them in a dictionary.
	Repeats bool
	// Decimal makes Cents a DECIMAL(9,2) in Parquet instead of a DOUBLE.
	Decimal bool
	// Quoted texts may hold delimiters, quotes and line ends. Others never do.
	Quoted bool
}

// Values are the values of one column of a block. Texts are either words of a
// list, of which Ints are the indexes, or pieces of Bytes.
type Values struct {
	Ints  []int64  // one for each row
	Null  []bool   // nil, or one for each row
	Words [][]byte // of a Text column
	Bytes []byte   // of a Text column without Words
	Ends  []uint32 // the end of each row's piece of Bytes
}

// Text returns the text of row i; it is not to be written to, and
// valid until the block is filled again.
func (v *Values) Text(i int) []byte {
	if v.Words != nil {
		return v.Words[v.Ints[i]]
	}
	start := uint32(0)
	if i > 0 {
		start = v.Ends[i-1]
	}
	return v.Bytes[start:v.Ends[i]]
}

// IsNull reports whether row i is null.
func (v *Values) IsNull(i int) bool { return v.Null != nil && v.Null[i] }

func (v *Values) end() { v.Ends = append(v.Ends, uint32(len(v.Bytes))) }

// Block is a run of rows of a table. A block is filled again and again; its
// memory is kept.
type Block struct {
	First  int64 // number of the first row, from 0
	Rows   int
	Values []Values // one for each column
}

// Table is a table of any number of rows. Its blocks depend on the seed and
// their number alone: the first rows of a longer table are the shorter one,
// and any goroutine may fill any block.
type Table struct {
	Name    string
	Columns []Column
	// BlockRows is the number of rows of a full block. It divides 122,880, the
	// rows of a row group of Parquet.
	BlockRows int
	// DefaultRows is the size at which engine.md measures the table.
	DefaultRows int64

	fill func(b *Block, r *random)
	json func(buf []byte, b *Block, i int) []byte // nil: a flat object of the columns
}

// Nested reports whether rows have no flat form, so that JSONL is the only one.
func (t *Table) Nested() bool { return t.json != nil }

// Blocks returns the number of blocks that hold so many rows.
func (t *Table) Blocks(rows int64) int64 {
	return (rows + int64(t.BlockRows) - 1) / int64(t.BlockRows)
}

// Fill makes block number n, from 0, of a table of so many rows. Other blocks
// may be filled at the same time.
func (t *Table) Fill(b *Block, seed uint64, n, rows int64) {
	b.First, b.Rows = n*int64(t.BlockRows), t.BlockRows
	if b.Values == nil {
		b.Values = make([]Values, len(t.Columns))
	}
	for i, c := range t.Columns {
		v := &b.Values[i]
		if v.Ints == nil {
			v.Ints = make([]int64, t.BlockRows)
			if c.Nullable {
				v.Null = make([]bool, t.BlockRows)
			}
		}
		v.Bytes, v.Ends = v.Bytes[:0], v.Ends[:0]
	}
	t.fill(b, &random{rand.NewPCG(seed, uint64(n)+0x7ab1e)})
	b.Rows = int(min(int64(t.BlockRows), rows-b.First)) // a short block is the head of a full one
}

// Tables lists the names that Find knows, with what they hold.
func Tables() [][2]string {
	return [][2]string{
		{"trips", "20 columns of a taxi fleet: numbers, times, categories, ids, notes"},
		{"wide", "any number of columns of five kinds in turn"},
		{"quotes", "delimiters, quotes and line ends inside quotes"},
		{"unique", "every value once"},
		{"nested", "objects three levels deep with arrays, JSONL alone"},
	}
}

// Find returns a table by name. Columns counts for wide alone.
func Find(name string, columns int) (*Table, error) {
	switch name {
	case "trips":
		return Trips(), nil
	case "wide":
		if columns < 1 || columns > 100_000 {
			return nil, fmt.Errorf("a table of %d columns cannot be made; write 1 to 100000", columns)
		}
		return Wide(columns), nil
	case "quotes":
		return Quotes(), nil
	case "unique":
		return Unique(), nil
	case "nested":
		return Nested(), nil
	}
	return nil, fmt.Errorf("there is no table %q", name)
}

// random draws integers. Floating point would differ between machines.
type random struct{ *rand.PCG }

// upTo returns 0 … n-1, all equally likely but for n / 2^64.
func (r *random) upTo(n int64) int64 {
	hi, _ := bits.Mul64(r.Uint64(), uint64(n))
	return int64(hi)
}

// skewed returns 0 … n-1 with the density -log(x/n)/n: small values are
// frequent. One of 8 values is drawn evenly, so that all occur.
func (r *random) skewed(n int64) int64 {
	u := r.Uint64()
	if u&7 == 0 {
		return r.upTo(n)
	}
	product := (u >> 32) * (u & 0xffffffff)
	hi, _ := bits.Mul64(product, uint64(n))
	return int64(hi)
}

// percent is true p times of 100.
func (r *random) percent(p int64) bool { return r.upTo(100) < p }

// mix is a bijection of 64 bits without visible order: the finalizer of
// SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number
// generators", 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func words(texts ...string) [][]byte {
	list := make([][]byte, len(texts))
	for i, t := range texts {
		list[i] = []byte(t)
	}
	return list
}

const hexDigits = "0123456789abcdef"

// appendHex appends 16 digits.
func appendHex(b []byte, x uint64) []byte {
	for shift := 60; shift >= 0; shift -= 4 {
		b = append(b, hexDigits[x>>shift&15])
	}
	return b
}
