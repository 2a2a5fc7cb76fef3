package datagen

import "strconv"

// The columns that nested objects are made of.
const (
	nestedID = iota
	nestedAt
	nestedCustomer
	nestedCity
	nestedZip
	nestedLevel
	nestedItems // how many
	nestedSeed  // what the items are
)

var levels = words("basic", "silver", "gold")

// Nested returns a table of orders: objects three levels deep, with an array
// of texts and an array of objects. Its columns are only parts of its rows.
func Nested() *Table {
	return &Table{
		Name: "nested", BlockRows: 8_192, DefaultRows: 500_000, fill: fillNested, json: nestedRow,
		Columns: []Column{
			{Name: "id", Kind: Integer},
			{Name: "at", Kind: Timestamp},
			{Name: "customer", Kind: Integer},
			{Name: "city", Kind: Text, Nullable: true},
			{Name: "zip", Kind: Integer},
			{Name: "level", Kind: Text},
			{Name: "items", Kind: Integer},
			{Name: "seed", Kind: Integer},
		},
	}
}

func fillNested(b *Block, r *random) {
	v := b.Values
	v[nestedCity].Words, v[nestedLevel].Words = districts, levels
	for i := range b.Rows {
		v[nestedID].Ints[i] = b.First + int64(i) + 1
		v[nestedAt].Ints[i] = tripsStart + (b.First+int64(i))*2 + r.upTo(60)
		v[nestedCustomer].Ints[i] = 1 + r.skewed(100_000)
		v[nestedCity].Ints[i], v[nestedCity].Null[i] = r.skewed(zones), r.percent(3)
		v[nestedZip].Ints[i] = 10_000 + r.upTo(90_000)
		v[nestedLevel].Ints[i] = r.skewed(3)
		v[nestedItems].Ints[i] = r.skewed(6)
		v[nestedSeed].Ints[i] = r.upTo(1 << 40)
	}
}

func nestedRow(buf []byte, b *Block, i int) []byte {
	v := b.Values
	buf = strconv.AppendInt(append(buf, `{"id":`...), v[nestedID].Ints[i], 10)
	buf = appendTime(append(buf, `,"at":"`...), v[nestedAt].Ints[i])
	buf = strconv.AppendInt(append(buf, `","customer":{"id":`...), v[nestedCustomer].Ints[i], 10)
	buf = append(append(buf, `,"level":"`...), v[nestedLevel].Text(i)...)
	buf = append(buf, `","address":{"city":`...)
	if v[nestedCity].Null[i] {
		buf = append(buf, "null"...)
	} else {
		buf = append(append(append(buf, '"'), v[nestedCity].Text(i)...), '"')
	}
	buf = appendDigits(append(buf, `,"zip":"`...), v[nestedZip].Ints[i], 5)
	buf = append(buf, `"}},"tags":[`...)
	seed := mix(uint64(v[nestedSeed].Ints[i]))
	for n := range seed & 3 {
		if n > 0 {
			buf = append(buf, ',')
		}
		buf = append(append(append(buf, '"'), rates[(seed>>8+n)%6]...), '"')
	}
	buf = append(buf, `],"items":[`...)
	for n := range v[nestedItems].Ints[i] {
		if n > 0 {
			buf = append(buf, ',')
		}
		seed = mix(seed)
		buf = appendDigits(append(buf, `{"sku":"S`...), int64(seed>>32)%5_000, 4)
		buf = strconv.AppendUint(append(buf, `","quantity":`...), 1+seed&7, 10)
		buf = appendCents(append(buf, `,"price":`...), int64(seed>>8)%20_000+50)
		buf = append(buf, '}')
	}
	return append(buf, "]}\n"...)
}
