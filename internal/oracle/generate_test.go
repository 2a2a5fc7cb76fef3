package oracle

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// cell is a field as it is written: null is an empty unquoted field.
type cell struct {
	text   string
	quoted bool
	null   bool
}

func text(s string) cell { return cell{text: s} }

// maker writes the value of row i of n.
type maker func(rng *rand.Rand, i, n int) cell

// kind is a sort of column. mix makes a maker for one table, so that a column
// may have properties of its own.
type kind struct {
	name string
	make func(rng *rand.Rand) maker
}

// plain is a column whose rows are made alike.
func plain(name string, f func(rng *rand.Rand) string) kind {
	return kind{name, func(*rand.Rand) maker { return func(rng *rand.Rand, _, _ int) cell { return text(f(rng)) } }}
}

// oneOf is a column of a few values.
func oneOf(name string, values ...string) kind {
	return plain(name, func(rng *rand.Rand) string { return values[rng.IntN(len(values))] })
}

// some replaces a share of the values of a column by others.
func some(name string, share float64, of kind, by ...string) kind {
	return kind{name, func(rng *rand.Rand) maker {
		rest := of.make(rng)
		return func(rng *rand.Rand, i, n int) cell {
			if rng.Float64() < share {
				return text(by[rng.IntN(len(by))])
			}
			return rest(rng, i, n)
		}
	}}
}

// exactly replaces a number of rows in a hundred, spread evenly, so that the
// share is what it says.
func exactly(name string, percent int, of kind, by string) kind {
	return kind{name, func(rng *rand.Rand) maker {
		rest := of.make(rng)
		return func(rng *rand.Rand, i, n int) cell {
			if i*percent/100 != (i+1)*percent/100 {
				return text(by)
			}
			return rest(rng, i, n)
		}
	}}
}

// at replaces one row.
func at(name string, row func(n int) int, of kind, by string) kind {
	return kind{name, func(rng *rand.Rand) maker {
		rest := of.make(rng)
		return func(rng *rand.Rand, i, n int) cell {
			if i == row(n) {
				return text(by)
			}
			return rest(rng, i, n)
		}
	}}
}

// holes makes a share of the rows null, and another one quoted empty.
func holes(name string, nulls, empties float64, of kind) kind {
	return kind{name, func(rng *rand.Rand) maker {
		rest := of.make(rng)
		return func(rng *rand.Rand, i, n int) cell {
			switch f := rng.Float64(); {
			case f < nulls:
				return cell{null: true}
			case f < nulls+empties:
				return cell{quoted: true}
			}
			return rest(rng, i, n)
		}
	}}
}

var (
	smallInts = plain("small integers", func(rng *rand.Rand) string { return strconv.Itoa(rng.IntN(200) - 50) })
	prices    = plain("prices", func(rng *rand.Rand) string { return fmt.Sprintf("%.2f", math.Exp(rng.NormFloat64()*2)) })
	names     = plain("names", func(rng *rand.Rand) string {
		return []string{"Ann", "Bo", "Çelik", "Dörte", "Łukasz", "木村", "Ольга", "é", "e\u0301", "👩‍👩‍👧"}[rng.IntN(10)] + " " + string(rune('A'+rng.IntN(26)))
	})
	days   = plain("days", func(rng *rand.Rand) string { return anyTime(rng).Format("2006-01-02") })
	stamps = plain("timestamps", func(rng *rand.Rand) string { return anyTime(rng).Format("2006-01-02T15:04:05") })
)

func anyTime(rng *rand.Rand) time.Time {
	return time.Date(1960+rng.IntN(100), time.Month(1+rng.IntN(12)), 1+rng.IntN(28), rng.IntN(24), rng.IntN(60), rng.IntN(60), 0, time.UTC)
}

// around is a column of integers next to one.
func around(name string, center uint64, negative bool) kind {
	return plain(name, func(rng *rand.Rand) string {
		s := strconv.FormatUint(center+uint64(rng.IntN(9))-4, 10)
		if negative {
			return "-" + s
		}
		return s
	})
}

// kinds are the sorts of columns of a generated table.
var kinds = []kind{
	smallInts, prices, names, days, stamps,
	plain("unique numbers", func(rng *rand.Rand) string { return strconv.FormatFloat(rng.NormFloat64()*1e3, 'g', -1, 64) }),
	plain("unique texts", func(rng *rand.Rand) string { return fmt.Sprintf("%016x", rng.Uint64()) + "x" }),
	plain("signed integers", func(rng *rand.Rand) string { return fmt.Sprintf("%+d", rng.IntN(2000)-1000) }),
	plain("wide range", func(rng *rand.Rand) string {
		return strconv.FormatFloat(rng.NormFloat64()*math.Pow(10, float64(rng.IntN(36)-18)), 'g', -1, 64)
	}),
	plain("large offset", func(rng *rand.Rand) string { return strconv.FormatInt(1e15+rng.Int64N(100), 10) + ".5" }),
	plain("all integers", func(rng *rand.Rand) string { return strconv.FormatInt(int64(rng.Uint64()), 10) }),
	around("2^53", 1<<53, false), around("-2^53", 1<<53, true), around("2^63", 1<<63, false), around("-2^63", 1<<63, true), around("10^18", 1e18, false),
	plain("wider integers", func(rng *rand.Rand) string { return strconv.FormatUint(rng.Uint64(), 10) + strconv.Itoa(rng.IntN(10)) }),
	oneOf("spellings of numbers", "3", "3.0", "+3", " 3", "3e0", "0.3e1", ".5", "5.", "0", "-0", "0.0", "1E2", "100", "1e-7", "1e22", "1e23"),
	oneOf("zeros", "0", "-0.0", "0.0", "-0"),
	oneOf("far numbers", "1e400", "-1e400", "5e-324", "1.7976931348623157e308", "1"),
	oneOf("widest range", "-1.7e308", "1.7976931348623157e308", "-1e300", "0", "1e307"),
	some("nan among numbers", 0.05, prices, "NaN", "nan", "Inf", "-inf", "+Infinity", " INF "),
	some("nan among integers", 0.04, smallInts, "NaN", "-Inf"),
	some("nan among names", 0.2, names, "NaN", "nan", "Inf"),
	some("nan among days", 0.05, days, "NaN", "nan"),
	oneOf("only nan", "NaN", "nan", "Inf", "-Inf"),
	oneOf("booleans", "true", "false", "TRUE", "False"),
	some("mixed booleans", 0.05, oneOf("", "true", "false"), "yes", "1"),
	oneOf("leap days", "2024-02-29", "2000-02-29", "1900-02-28", "2023-02-29", "1900-02-29", "2024-02-30"),
	oneOf("ends of the calendar", "0001-01-01", "9999-12-31", "1582-10-10", "1970-01-01", "1969-12-31"),
	oneOf("days and timestamps", "2024-02-29", "2024-02-29T00:00:00", "2024-02-29 12:30", "2024-03-01T00:00:00.000001", "2024-03-01"),
	plain("zones", func(rng *rand.Rand) string {
		return anyTime(rng).Format("2006-01-02T15:04:05") + []string{"Z", "z", "+00:00", "+02:00", "-0330", "+05", " -08:00", "", "+23:59", "-23:59"}[rng.IntN(10)]
	}),
	plain("no zones", func(rng *rand.Rand) string {
		return anyTime(rng).Format("2006-01-02 15:04:05") + []string{"", ".5", ",25", ".123456", ".123456789", ".1234567891"}[rng.IntN(6)]
	}),
	oneOf("no times", "2024-02-29T24:00:00", "2024-02-29T10:60", "2024-13-01", "10:11", "2024-02-29 10:11:12.", "2024-02-29T10:11:12+24:00", "2024-02-29T10:11:12+01:60"),
	plain("times of day", func(rng *rand.Rand) string {
		return anyTime(rng).Format("15:04:05") + []string{"", ".5", ".000001", ".123456789"}[rng.IntN(4)]
	}),
	some("mixed times", 0.05, stamps, "unknown", "17"),
	some("codes with zeros", 0.03, plain("", func(rng *rand.Rand) string { return strconv.Itoa(10_000 + rng.IntN(80_000)) }), "01067", "00501", "04109"),
	some("few zeros", 0.002, plain("", func(rng *rand.Rand) string { return strconv.Itoa(10_000 + rng.IntN(80_000)) }), "01067"),
	some("codes with text", 0.05, oneOf("", "01067", "10115", "20095"), "none", "A-1"),
	plain("wide codes", func(rng *rand.Rand) string { return strconv.FormatInt(4_006_381_000_000+rng.Int64N(1_000_000), 10) }),
	plain("narrow codes", func(rng *rand.Rand) string { return strconv.FormatInt(100_000_000_000+rng.Int64N(1_000), 10) }),
	plain("epochs", func(rng *rand.Rand) string { return strconv.FormatInt(anyTime(rng).AddDate(40, 0, 0).UnixMilli(), 10) }),
	some("epochs and codes", 0.3, plain("", func(rng *rand.Rand) string { return strconv.FormatInt(1_700_000_000_000+rng.Int64N(1e9), 10) }), "4006381333931"),
	exactly("1 % text", 1, smallInts, "n/a"), exactly("9 % text", 9, smallInts, "n/a"), exactly("10 % text", 10, prices, "?"), exactly("11 % text", 11, smallInts, "n/a"),
	exactly("11 % days", 11, smallInts, "2024-02-29"), exactly("50 % numbers", 50, names, "17"), exactly("5 % numbers in text", 5, names, "17"),
	at("text in the first row", func(int) int { return 0 }, smallInts, "first"),
	at("text in the last row", func(n int) int { return n - 1 }, prices, "last"),
	at("a number in the last row", func(n int) int { return n - 1 }, smallInts, "0.5"),
	at("wide integer in the last row", func(n int) int { return n - 1 }, smallInts, "9223372036854775808"),
	at("timestamp in the last row", func(n int) int { return n - 1 }, days, "2024-02-29T10:00:00+02:00"),
	holes("integers with holes", 0.2, 0.1, smallInts), holes("texts with holes", 0.2, 0.1, names), holes("days with holes", 0.2, 0.1, days),
	holes("texts and empties", 0, 0.5, names), holes("mixed with holes", 0.2, 0.1, exactly("", 30, smallInts, "x")),
	holes("null", 1, 0, names), holes("null or empty", 0.5, 0.5, names), holes("empty", 0, 1, names), holes("nearly null", 0.99, 0, prices),
	oneOf("blanks", " ", "\t", "  ", "x", "\u00a0", "\u2003", "\u200b"),
	oneOf("padded", " a", "a", "a ", " a ", " 1 ", "1"),
	oneOf("bytes", "\xff", "ok", "b\xffd", "\xc3", "\xc3\xa4", "\xed\xa0\x80", "\xf0\x9f", "\x7f"),
	oneOf("structure", "a,b", "a;b", "a\tb", "a|b", "line\nbreak", "line\r\nbreak", "\n", `say "hi"`, `"`, `""`, `5" pipe`, "\rx", "x\r"),
	oneOf("words", "null", "NULL", "NA", "None", "-", ".", "+", "e", "1e", "0x10", "1_000", "1,5", "--1", "1.2.3", "tru", "truee", "infinit"),
	plain("long texts", func(rng *rand.Rand) string {
		return strings.Repeat("long ä ", 30+rng.IntN(30)) + strconv.Itoa(rng.IntN(4))
	}),
	oneOf("constant", "7"), oneOf("constant text", "same"), oneOf("two values", "0.1", "1e6"),
	{"ascending", func(*rand.Rand) maker { return func(_ *rand.Rand, i, _ int) cell { return text(strconv.Itoa(i)) } }},
	{"descending", func(*rand.Rand) maker { return func(_ *rand.Rand, i, n int) cell { return text(strconv.Itoa(n - i)) } }},
	{"heavy ties", func(*rand.Rand) maker {
		return func(_ *rand.Rand, i, _ int) cell { return text("tie-" + strconv.Itoa(i*7919%25)) }
	}},
	{"skewed", func(rng *rand.Rand) maker {
		z := rand.NewZipf(rng, 1.3, 1, 1<<30)
		return func(*rand.Rand, int, int) cell { return text(strconv.FormatUint(z.Uint64(), 10)) }
	}},
}

// grid is a generated table as it is to be written.
type grid struct {
	seed  uint64
	names []string
	cells [][]cell
	// ragged and blank are indexes of rows before which a record of the wrong
	// width, an empty line stands.
	ragged, blank map[int]bool
}

// generate makes a table of the given kinds; a seed gives the same table
// always. The first column is never null, so that no row is an empty line.
func generate(seed uint64, rows int, of ...kind) *grid {
	rng := rand.New(rand.NewPCG(seed, uint64(rows)))
	g := &grid{seed: seed, names: []string{"row"}}
	makers := []maker{func(_ *rand.Rand, i, _ int) cell { return text(strconv.Itoa(i * 7919 % max(1, rows/2))) }}
	for _, k := range of {
		g.names = append(g.names, k.name)
		makers = append(makers, k.make(rng))
	}
	for i := range rows {
		row := make([]cell, len(makers))
		for j, m := range makers {
			row[j] = m(rng, i, rows)
		}
		g.cells = append(g.cells, row)
	}
	return g
}

// damage puts records of the wrong width and empty lines between the rows.
func (g *grid) damage() {
	rng := rand.New(rand.NewPCG(g.seed, 5))
	g.ragged, g.blank = map[int]bool{}, map[int]bool{}
	for i := range g.cells {
		g.ragged[i], g.blank[i] = rng.IntN(20) == 0, rng.IntN(20) == 0
	}
}

// style is how a grid is written as delimited text.
type style struct {
	delimiter byte
	crlf, bom bool
	noHeader  bool
	noEnd     bool   // the last line has no end
	null      string // how null is written; must be told to the reader
	quoteAll  bool   // whatever is not null
}

func (s style) csv() CSV {
	o := CSV{Delimiter: s.delimiter, NoHeader: s.noHeader}
	if s.null != "" {
		o.Nulls = []string{s.null}
	}
	return o
}

// write returns the grid as text, and as the table that it should be read as.
func (g *grid) write(s style) (string, *Table) {
	var b strings.Builder
	end := "\n"
	if s.crlf {
		end = "\r\n"
	}
	if s.bom {
		b.WriteString(bom)
	}
	t := newCSVTable()
	t.Names = g.names
	if s.noHeader {
		t.Names = make([]string, len(g.names))
		for i := range t.Names {
			t.Names[i] = fmt.Sprintf("column_%d", i+1)
		}
		if len(g.cells) == 0 {
			t.Names = nil
		}
	} else {
		b.WriteString(strings.Join(g.names, string(s.delimiter)) + end)
	}
	o := s.csv()
	for i, row := range g.cells {
		if g.blank[i] {
			t.Blank++
			b.WriteString(end)
		}
		if g.ragged[i] && i > 0 {
			t.Malformed++
			b.WriteString("too" + string(s.delimiter) + strings.Repeat("many"+string(s.delimiter), len(row)) + end)
		}
		values := make([]Value, len(row))
		for j, c := range row {
			if j > 0 {
				b.WriteByte(s.delimiter)
			}
			field, quoted := s.field(c)
			values[j] = o.cell(c.text, quoted)
			if c.null {
				values[j] = null
			}
			b.WriteString(field)
		}
		t.Rows = append(t.Rows, values)
		if i < len(g.cells)-1 || !s.noEnd {
			b.WriteString(end)
		}
	}
	return b.String(), t
}

// field writes a cell, in quotes where it needs them.
func (s style) field(c cell) (field string, quoted bool) {
	if c.null {
		return s.null, false
	}
	quoted = c.quoted || s.quoteAll || c.text == "" || c.text[0] == '"' || s.null != "" && c.text == s.null ||
		strings.ContainsAny(c.text, "\r\n") || strings.IndexByte(c.text, s.delimiter) >= 0
	if !quoted {
		return c.text, false
	}
	return `"` + strings.ReplaceAll(c.text, `"`, `""`) + `"`, true
}
