package expr_test

import (
	"math/rand/v2"

	"github.com/profilerhq/profiler/internal/batch"
)

// generator writes random expressions.
type generator struct{ r *rand.Rand }

func (g *generator) pick(options ...string) string { return options[g.r.IntN(len(options))] }

func (g *generator) number(depth int) string {
	if depth <= 0 || g.r.IntN(4) == 0 {
		return g.pick("n", "n", "m", "x", "0", "1", "2.5", "-3", "7", "9007199254740993", "9223372036854775807", "0.1")
	}
	switch g.r.IntN(7) {
	case 0, 1:
		return "(" + g.number(depth-1) + " " + g.pick("+", "-", "*", "/", "%") + " " + g.number(depth-1) + ")"
	case 2:
		return g.pick("abs", "round", "floor", "ceil") + "(" + g.number(depth-1) + ")"
	case 3:
		return g.pick("min", "max") + "(" + g.number(depth-1) + ", " + g.number(depth-1) + ")"
	case 4:
		return "len(" + g.text(depth-1) + ")"
	case 5:
		return g.pick("year", "month", "day", "weekday", "hour", "minute") + "(" + g.pick("d", "e") + ")"
	}
	return g.pick("-"+g.number(depth-1), g.pick("days", "hours")+"("+g.span()+")")
}

func (g *generator) text(depth int) string {
	if depth <= 0 || g.r.IntN(3) == 0 {
		return g.pick("s", "s", "t", "n", "d", "b")
	}
	return g.pick("lower", "upper", "trim") + "(" + g.text(depth-1) + ")"
}

func (g *generator) span() string { return "(" + g.pick("d", "e") + " - " + g.pick("d", "e") + ")" }

func (g *generator) word() string {
	return `"` + g.pick("", "a", "Ab", "007", "7", "ü", "x", "2026-01-01", "10:00:00", "true") + `"`
}

func (g *generator) truth(depth int) string {
	compare := g.pick("==", "!=", "<", "<=", ">", ">=")
	same := g.pick("==", "!=")
	if depth > 0 && g.r.IntN(2) == 0 {
		switch g.r.IntN(4) {
		case 0:
			return "not (" + g.truth(depth-1) + ")"
		case 1:
			return "((" + g.truth(depth-1) + ") " + same + " (" + g.truth(depth-1) + "))"
		}
		return "(" + g.truth(depth-1) + ") " + g.pick("&&", "||", "and", "or") + " (" + g.truth(depth-1) + ")"
	}
	switch g.r.IntN(13) {
	case 0, 1:
		return g.number(depth) + " " + compare + " " + g.number(depth)
	case 2:
		return g.text(depth) + " " + same + " " + g.word()
	case 3:
		return g.text(1) + " " + g.pick("contains", "startsWith", "endsWith") + " " + g.pick(g.word(), g.text(1))
	case 4:
		return g.text(depth) + ` matches "` + g.pick("^a", "b$", ".", "^$", "[0-9]+") + `"`
	case 5:
		return g.pick("d", "e", "s") + " " + compare + " " + g.pick(`"2026-01-01"`, `"2026-01-02 10:00:00"`, "e", "d")
	case 6:
		return "is_null(" + g.pick("n", "s", "d", "b", g.number(depth-1), g.truth(0)) + ")"
	case 7:
		return g.pick("b", "b == c", "b != true", "c", "c != b")
	case 8:
		return g.pick("n", "m", "s", "t", "d", "b", "k") + " " + same + " " + g.pick("n", "m", "s", "t", "e", "c", "k")
	case 9:
		return g.pick("n", g.number(0)) + " " + g.pick("in", "not in") + " [1, 7, 2.5]"
	case 10:
		return g.text(1) + " " + g.pick("in", "not in") + " [" + g.word() + ", " + g.word() + "]"
	case 11:
		return g.span() + " " + compare + ` "` + g.pick("1h", "36h", "0s") + `"`
	}
	return g.pick("k", "d") + " " + compare + " " + g.pick(`"10:00:00"`, "k")
}

var columnTypes = map[string]batch.Type{
	"n": batch.Integer, "m": batch.Number, "x": batch.Number, "s": batch.String, "t": batch.String, "d": batch.Timestamp, "e": batch.Date,
	"b": batch.Boolean, "c": batch.Boolean, "k": batch.Time,
}

var samples = map[batch.Type][]string{
	batch.Integer:   {"0", "1", "-3", "7", "007", "9007199254740993", "9223372036854775807", "-9223372036854775808", "2"},
	batch.Number:    {"0.1", "2.5", "-0.5", "1e300", "NaN", "3.0", "7"},
	batch.String:    {"a", "Ab", " x ", "ü", "Übung", "7", "007", "2026-01-01", "true", "abc"},
	batch.Timestamp: {"2026-01-01T10:20:30Z", "2026-01-02 10:00:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-01-01T12:20:30+02:00"},
	batch.Date:      {"2026-01-01", "1969-07-20", "2026-01-04", "2024-02-29"},
	batch.Boolean:   {"true", "false"},
	batch.Time:      {"10:00:00", "23:59:59", "00:00:01"},
}

func (g *generator) cell(typ batch.Type) string {
	switch g.r.IntN(16) {
	case 0:
		return ""
	case 1:
		return empty
	case 2: // of any type
		for t := range samples {
			typ = t
			break
		}
	}
	return g.pick(samples[typ]...)
}

// dictionary puts a column into its second form.
func dictionary(cells []string) *batch.Vector {
	var distinct []string
	v := &batch.Vector{HasText: true, Inferred: true}
	for _, c := range cells {
		at := len(distinct)
		for i, d := range distinct {
			if d == c {
				at = i
			}
		}
		if at == len(distinct) {
			distinct = append(distinct, c)
		}
		v.Codes = append(v.Codes, uint32(at))
	}
	v.Dict = csvColumn(distinct...)
	return v
}
