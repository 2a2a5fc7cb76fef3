package oracle

import (
	"cmp"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Profile is what a table should be summarised to.
type Profile struct {
	Rows             int64
	Columns          []Column
	Malformed, Blank int64
	// Duplicates are the rows that repeat an earlier one; SameEmpty are they if
	// a quoted empty field is the same as a null.
	Duplicates, SameEmpty int64
}

// Column is what one column should be summarised to.
type Column struct {
	Name, Type   string
	List         string // of whose elements it is; "" for rows
	Types        map[string]int64
	Mixed        int64
	First        Offender
	Count, Nulls int64
	Distinct     int64
	Unique       int64
	Spellings    int       // distinct texts
	TextBytes    int       // of them
	Top          []Counted // all values, most frequent first, ties by text
	Invalid      int64
	Blank        int64
	NonASCII     int64
	Texts        *Texts
	Lists        *Lengths
	Numbers      *Numbers
	Times        *Times
	Trues        *big.Rat
	Shape
	Zoned, IsCode bool
	// WordAmongNumbers is set where spellings of NaN count as texts although
	// numbers are the most frequent.
	WordAmongNumbers bool
}

// Offender is the first value of another type than the column's.
type Offender struct {
	Row         int64
	Type, Value string
}

// Counted is a distinct value with its count.
type Counted struct {
	Text  string
	Count int64
}

// Lengths are of texts in characters, of lists in items.
type Lengths struct {
	Min, Max, Sum, N int64
}

// Texts are the lengths and the ends of a column of texts.
type Texts struct {
	Lengths
	First, Last string
}

// Numbers are the statistics of a column of numbers.
type Numbers struct {
	Zeros, Negatives, Infinite, NaN int64
	Sorted                          []float64 // the finite ones
	Whole                           *big.Int  // the sum if all are integers
	Wide                            bool      // an integer is beyond 2^53
	Moments
}

// Times are the statistics of a column of dates and times; Sorted are
// microseconds since 1970, for times of day nanoseconds since midnight.
type Times struct {
	Sorted      []float64
	First, Last string
	Moments
}

// Of computes the profile of a table.
func Of(t *Table) *Profile {
	p := &Profile{Rows: int64(len(t.Rows)), Malformed: t.Malformed, Blank: t.Blank}
	for c := range t.Names {
		values := make([]Value, len(t.Rows))
		for i, row := range t.Rows {
			values[i] = row[c]
		}
		declared := tNull
		if t.Declared != nil {
			declared = t.Declared[c]
		}
		p.Columns = append(p.Columns, ofColumn(t, t.Names[c], declared, values))
	}
	for _, e := range t.Elements {
		c := ofColumn(t, e.Name, e.Declared, slices.Clone(e.Values))
		if c.List = e.List; c.First.Row > 0 {
			c.First.Row = int64(e.Rows[c.First.Row-1] + 1)
		}
		p.Columns = append(p.Columns, c)
	}
	p.Duplicates, p.SameEmpty = duplicates(t, "\x01"), duplicates(t, "\x00")
	return p
}

// spellings counts the distinct texts of values and their bytes.
func spellings(values []Value) (n, bytes int) {
	seen := map[string]bool{}
	for _, v := range values {
		if !seen[v.Text] {
			seen[v.Text] = true
			bytes += len(v.Text)
		}
	}
	return len(seen), bytes
}

// duplicates counts rows that repeat an earlier one: fields by their texts
// where there are any, else by their meaning.
func duplicates(t *Table, empty string) (n int64) {
	seen := make(map[string]bool, len(t.Rows))
	var b strings.Builder
	elements := make([]strings.Builder, len(t.Rows))
	for _, e := range t.Elements {
		for i, v := range e.Values {
			text := "\x02" + v.key(v.Type)
			if v.Type == tNull {
				text = "\x00"
			} else if t.HasText {
				text = "\x02" + v.Text
			}
			fmt.Fprintf(&elements[e.Rows[i]], "%q%q", e.Name, text)
		}
	}
	for i, row := range t.Rows {
		b.Reset()
		b.WriteString(elements[i].String() + "\xff")
		for _, v := range row {
			switch {
			case v.Type == tNull:
				b.WriteString("\x00")
			case v.Empty:
				b.WriteString(empty)
			case t.HasText:
				b.WriteString("\x02" + v.Text)
			default:
				b.WriteString("\x02" + v.key(v.Type))
			}
			b.WriteString("\xff\xfe\xff")
		}
		if seen[b.String()] {
			n++
		}
		seen[b.String()] = true
	}
	return n
}

// typeOf decides the type of a column from all its values, and moves values to
// the types they count under. Empties have no say.
func typeOf(t *Table, declared string, values []Value) (typ string, code bool) {
	var plain, numeric, empties, present int
	for _, v := range values {
		switch {
		case v.Type == tNull:
		case v.Empty:
			empties++
		default:
			present++
			if v.Word {
				continue
			}
			plain++
			if family(v.Type) == tNumber {
				numeric++
			}
		}
	}
	if t.Inferred && plain > 0 && 10*numeric < 9*plain {
		for i := range values {
			if values[i].Word {
				values[i].Type = tString
			}
		}
	}
	switch {
	case declared != tNull:
		return declared, false
	case present == 0 && empties == 0:
		return tNull, false
	case present == 0:
		return tString, false
	}
	families := map[string]int{}
	own := map[string]int{}
	for _, v := range values {
		if v.Type != tNull && !v.Empty {
			families[family(v.Type)]++
			own[v.Type]++
		}
	}
	typ = tString
	for f, n := range families {
		if 10*n >= 9*present {
			typ = f
		}
	}
	switch {
	case typ == tNumber && t.Inferred && isCode(values):
		for i := range values {
			if values[i].Type == tInteger {
				values[i].Type = tString
			}
		}
		return tString, true
	case typ == tNumber && own[tNumber] == 0:
		return tInteger, false
	case typ == tTimestamp && own[tTimestamp] == 0:
		return tDate, false
	}
	return typ, false
}

func ofColumn(t *Table, name, declared string, values []Value) Column {
	c := Column{Name: name, Types: map[string]int64{}}
	original := slices.Clone(values)
	c.Type, c.IsCode = typeOf(t, declared, values)
	largest := c.Type
	if c.Type == tString && !c.IsCode && declared == tNull {
		largest = largestFamily(values)
	}
	var kept []Value // the non-null ones under the column's type
	var last int64
	for i, v := range values {
		if v.Type == tNull || v.Empty && c.Type != tString {
			c.Nulls++
			continue
		}
		kept = append(kept, v)
		typ := v.Type
		if family(typ) == family(c.Type) && (c.Type == tNumber || c.Type == tTimestamp) {
			typ = c.Type
		}
		c.Types[typ]++
		c.Zoned = c.Zoned || v.Zoned
		c.countText(t, v)
		if v.Empty || c.IsCode || family(v.Type) == family(largest) {
			continue
		}
		if largest == tString && c.Type == tString && stringShare(values) {
			continue
		}
		c.Mixed++
		c.WordAmongNumbers = c.WordAmongNumbers || v.Word && largest == tNumber
		if last == 0 {
			last = int64(i + 1)
			c.First = Offender{last, original[i].Type, v.Text}
			if v.Word {
				c.First.Type = v.Type
			}
		}
	}
	if c.Nulls > 0 {
		c.Types[tNull] = c.Nulls
	}
	c.Count = int64(len(kept))
	c.Spellings, c.TextBytes = spellings(kept)
	c.countValues(kept)
	c.measure(kept)
	c.shape(kept)
	return c
}

// largestFamily returns the family with the most values; a tie goes to texts.
func largestFamily(values []Value) string {
	count := map[string]int{}
	for _, v := range values {
		if v.Type != tNull && !v.Empty {
			count[family(v.Type)]++
		}
	}
	order := []string{tString, tBoolean, tNumber, tTime, tTimestamp, tBinary, tList, tStruct}
	best := tString
	for _, f := range order {
		if count[f] > count[best] {
			best = f
		}
	}
	return best
}

// stringShare reports whether at least 90 % of the values are texts, so that
// any value among them is one.
func stringShare(values []Value) bool {
	var texts, all int
	for _, v := range values {
		if v.Type != tNull && !v.Empty {
			all++
			if v.Type == tString {
				texts++
			}
		}
	}
	return 10*texts >= 9*all
}

func (c *Column) countText(t *Table, v Value) {
	if !t.HasText && v.Type != tString {
		return
	}
	if !utf8.ValidString(v.Text) {
		c.Invalid++
	}
	if c.Type != tString {
		return
	}
	if strings.TrimFunc(v.Text, unicode.IsSpace) == "" {
		c.Blank++
	}
	for i := range len(v.Text) {
		if v.Text[i] >= utf8.RuneSelf {
			c.NonASCII++
			break
		}
	}
}

// countValues fills what depends on distinct values.
func (c *Column) countValues(values []Value) {
	type group struct {
		text  string
		count int64
	}
	groups := map[string]*group{}
	for _, v := range values {
		k := v.key(c.Type)
		if groups[k] == nil {
			groups[k] = &group{text: v.show(c.Type, c.Zoned)}
		}
		groups[k].count++
	}
	c.Distinct = int64(len(groups))
	for _, g := range groups {
		c.Top = append(c.Top, Counted{g.text, g.count})
		if g.count == 1 {
			c.Unique++
		}
	}
	slices.SortFunc(c.Top, func(a, b Counted) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Text, b.Text))
	})
}

// measure fills what depends on the type.
func (c *Column) measure(values []Value) {
	switch c.Type {
	case tInteger, tNumber:
		c.Numbers = numbersOf(values)
	case tDate, tTimestamp, tTime:
		c.Times = timesOf(c.Type, values, c.Zoned)
	case tString:
		c.Texts = textsOf(values)
	case tList:
		l := Lengths{}
		for _, v := range values {
			if v.Type == tList {
				l.add(v.Int)
			}
		}
		if l.N > 0 {
			c.Lists = &l
		}
	case tBoolean:
		var n, trues int64
		for _, v := range values {
			if v.Type == tBoolean {
				n++
				trues += v.Int
			}
		}
		if n > 0 {
			c.Trues = big.NewRat(trues, n)
		}
	}
}

func (l *Lengths) add(n int64) {
	if l.N == 0 {
		l.Min, l.Max = n, n
	}
	l.Min, l.Max = min(l.Min, n), max(l.Max, n)
	l.Sum += n
	l.N++
}

func textsOf(values []Value) *Texts {
	if len(values) == 0 {
		return nil
	}
	t := &Texts{}
	for i, v := range values {
		s := v.show(tString, false)
		if i == 0 {
			t.First, t.Last = s, s
		}
		t.First, t.Last = min(t.First, s), max(t.Last, s)
		t.add(int64(utf8.RuneCountInString(s)))
	}
	return t
}

func numbersOf(values []Value) *Numbers {
	n := &Numbers{Whole: new(big.Int)}
	for _, v := range values {
		f, k := v.Float, number{bits: math.Float64bits(v.Float)}
		switch v.Type {
		case tInteger:
			f, k = float64(v.Int), number{true, uint64(v.Int)}
			n.Wide = n.Wide || v.Int > 1<<53 || v.Int < -(1<<53)
			if n.Whole != nil {
				n.Whole.Add(n.Whole, big.NewInt(v.Int))
			}
		case tNumber:
			n.Whole = nil
		default:
			continue
		}
		if f < 0 {
			n.Negatives++
		}
		switch {
		case math.IsNaN(f):
			n.NaN++
			continue
		case math.IsInf(f, 0):
			n.Infinite++
			continue
		case f == 0:
			n.Zeros++
		}
		n.Sorted = append(n.Sorted, f)
		n.add(k)
	}
	slices.Sort(n.Sorted)
	n.finish()
	return n
}

func timesOf(typ string, values []Value, zoned bool) *Times {
	t := &Times{}
	var lo, hi Value
	for _, v := range values {
		if family(v.Type) != family(typ) {
			continue
		}
		x := v.Int
		if v.Type != tTime {
			x = v.At.UnixMicro()
		}
		if len(t.Sorted) == 0 || earlier(v, lo) {
			lo = v
		}
		if len(t.Sorted) == 0 || earlier(hi, v) {
			hi = v
		}
		t.Sorted = append(t.Sorted, float64(x))
		t.add(number{true, uint64(x)})
	}
	if len(t.Sorted) == 0 {
		return nil
	}
	slices.Sort(t.Sorted)
	t.First, t.Last = lo.show(typ, zoned), hi.show(typ, zoned)
	t.finish()
	return t
}

func earlier(a, b Value) bool {
	if a.Type == tTime {
		return a.Int < b.Int
	}
	return a.At.Before(b.At)
}

// showMicros returns the canonical text of a point in time of a column.
func showMicros(us float64, typ string, zoned bool) string {
	v := Value{Type: typ, Int: int64(math.Round(us)), At: time.UnixMicro(int64(math.Round(us))).UTC()}
	return v.show(typ, zoned)
}
