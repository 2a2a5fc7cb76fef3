package datagen

import "strconv"

// Wide returns a table of many columns of five kinds in turn: integers of
// 10,000 values, numbers with two decimals, 50 categories, times, and texts of
// which most are unique. engine.md measures 20 million cells of it.
func Wide(columns int) *Table {
	t := &Table{Name: "wide", BlockRows: 8_192, DefaultRows: max(1, 20_000_000/int64(columns)), fill: fillWide}
	if columns > 64 {
		t.BlockRows = 1_024 // a block of 1,000 columns has 8 MB then
	}
	names := [5]string{"count", "amount", "category", "at", "code"}
	kinds := [5]Column{{Kind: Integer, Repeats: true}, {Kind: Cents}, {Kind: Text, Repeats: true, Nullable: true}, {Kind: Timestamp}, {Kind: Text}}
	for i := range columns {
		c := kinds[i%5]
		c.Name = names[i%5] + "_" + strconv.Itoa(i+1)
		t.Columns = append(t.Columns, c)
	}
	return t
}

var categories = func() [][]byte {
	names := make([]string, 50)
	for i := range names {
		names[i] = "category " + strconv.Itoa(i+1)
	}
	return words(names...)
}()

func fillWide(b *Block, r *random) {
	for c := range b.Values {
		v := &b.Values[c]
		switch c % 5 {
		case 0:
			for i := range v.Ints {
				v.Ints[i] = r.skewed(10_000)
			}
		case 1:
			for i := range v.Ints {
				v.Ints[i] = r.skewed(5_000_000) - 100_000
			}
		case 2:
			v.Words = categories
			for i := range v.Ints {
				v.Ints[i], v.Null[i] = r.skewed(50), r.percent(5)
			}
		case 3:
			for i := range v.Ints {
				v.Ints[i] = tripsStart + b.First + int64(i) + r.upTo(86_400)
			}
		case 4:
			for range b.Rows {
				v.Bytes = appendHex(append(v.Bytes, 'x'), r.Uint64())
				v.Bytes = v.Bytes[:len(v.Bytes)-9]
				v.end()
			}
		}
	}
}

// Quotes returns a table whose texts hold delimiters, quotes and line ends.
func Quotes() *Table {
	return &Table{
		Name: "quotes", BlockRows: 8_192, DefaultRows: 500_000, fill: fillQuotes,
		Columns: []Column{
			{Name: "id", Kind: Integer},
			{Name: "subject", Kind: Text, Quoted: true},
			{Name: "body", Kind: Text, Quoted: true, Nullable: true},
			{Name: "price", Kind: Cents, Repeats: true},
			{Name: "author", Kind: Text, Quoted: true, Repeats: true},
		},
	}
}

// pieces are what texts of quotes are made of.
var pieces = []string{"hello", `"`, ",", "\n", "\r\n", ";", "some words", "żółw", `""`, "\t", "a, b", `he said "no"`, "|", "end.", "\\", " "}

func fillQuotes(b *Block, r *random) {
	for i := range b.Rows {
		b.Values[0].Ints[i] = b.First + int64(i) + 1
		b.Values[3].Ints[i] = r.skewed(20_000)
		text(&b.Values[1], r, 1, 4)
		body := &b.Values[2]
		body.Null[i] = r.percent(20)
		text(body, r, 2, 24)
		author := &b.Values[4]
		author.Bytes = append(strconv.AppendInt(append(author.Bytes, "Doe, "...), r.upTo(200), 10), ` "JD"`...)
		author.end()
	}
}

// text appends a text of least … most pieces.
func text(v *Values, r *random, least, most int64) {
	for range least + r.upTo(most-least+1) {
		v.Bytes = append(v.Bytes, pieces[r.upTo(int64(len(pieces)))]...)
	}
	v.end()
}

// Unique returns a table in which every value of a column occurs once.
func Unique() *Table {
	return &Table{
		Name: "unique", BlockRows: 8_192, DefaultRows: 2_000_000,
		Columns: []Column{
			{Name: "sequence", Kind: Integer},
			{Name: "shuffled", Kind: Integer},
			{Name: "uuid", Kind: Text},
			{Name: "amount", Kind: Cents},
			{Name: "at", Kind: Timestamp},
			{Name: "email", Kind: Text},
		},
		fill: func(b *Block, _ *random) {
			v := b.Values
			for i := range b.Rows {
				row := b.First + int64(i)
				v[0].Ints[i] = row
				v[1].Ints[i] = int64(mix(uint64(row)) >> 1) //nolint:gosec // 63 bits; two rows of 2 million meet with 1e-7, and the test counts
				h := appendHex(appendHex(nil, mix(uint64(row)^0xa)), mix(uint64(row)^0xb))
				for part, end := range [5]int{8, 12, 16, 20, 32} {
					if part > 0 {
						v[2].Bytes = append(v[2].Bytes, '-')
					}
					v[2].Bytes = append(v[2].Bytes, h[[5]int{0, 8, 12, 16, 20}[part]:end]...)
				}
				v[2].end()
				v[3].Ints[i] = row*7_919%1_000_000_007 - 500_000_000
				v[4].Ints[i] = tripsStart + row
				v[5].Bytes = append(append(append(v[5].Bytes, "user."...), h[:12]...), "@example.com"...)
				v[5].end()
			}
		},
	}
}
