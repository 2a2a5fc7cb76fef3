package translate

import (
	"math"
	"strconv"
	"strings"

	"github.com/profilerhq/profiler/internal/draft"
)

// Bounds are the allowed zone of a number, as YAML; empty ends are open.
type Bounds struct{ Min, Max, Above, Below, Equals string }

// Zone returns the zone as YAML, "" if it is open on both sides. unit is
// appended to each number: % for percentages.
func (b Bounds) Zone(unit string) string {
	of := func(s string) string {
		if s == "" {
			return ""
		}
		return s + unit
	}
	if b == (Bounds{}) {
		return ""
	}
	return draft.Map(draft.Pair{Key: "min", Value: of(b.Min)}, draft.Pair{Key: "max", Value: of(b.Max)}, draft.Pair{Key: "above", Value: of(b.Above)},
		draft.Pair{Key: "below", Value: of(b.Below)}, draft.Pair{Key: "equals", Value: of(b.Equals)})
}

// Tolerance returns how many bad rows a zone of their number (or percentage)
// allows, as the value of fail. remark says what is not quite the same. reason
// says why there is no such tolerance.
func (b Bounds) Tolerance(percent bool) (fail, remark, reason string) {
	upper, strict := b.Max, false
	switch {
	case b.Equals != "":
		upper = b.Equals
		if f, err := strconv.ParseFloat(b.Equals, 64); err != nil || f != 0 {
			return "", "", "it wants exactly so many bad rows; a check tolerates up to a number"
		}
	case b.Below != "":
		upper, strict = b.Below, true
	}
	if b.Above != "" || b.Min != "" && !isZero(b.Min) {
		return "", "", "it wants at least so many bad rows; a check tolerates up to a number"
	}
	f, err := strconv.ParseFloat(upper, 64)
	if err != nil || f < 0 || f == 0 && strict {
		return "", "", "no number of bad rows fits it"
	}
	if percent {
		if strict {
			remark = "exactly " + upper + " % passes here"
		}
		if f == 0 {
			return "", remark, ""
		}
		return draft.Percent(min(f, 100) / 100), remark, ""
	}
	n := math.Floor(f)
	if strict && n == f {
		n--
	}
	if n == 0 {
		return "", "", ""
	}
	return draft.Number(n), "", ""
}

func isZero(s string) bool {
	f, err := strconv.ParseFloat(s, 64)
	return err == nil && f == 0
}

// Compare reads a comparison such as "> 5", "<= 10", "= 0", "between 1 and 2"
// or "!= 3". ok is false for what is none, and for !=, which is no zone.
func Compare(text string) (b Bounds, percent, ok bool) {
	text = strings.TrimSpace(text)
	clean := func(s string) (string, bool) {
		s = strings.TrimSpace(s)
		p := strings.HasSuffix(s, "%")
		s = strings.TrimSpace(strings.TrimSuffix(s, "%"))
		_, err := strconv.ParseFloat(s, 64)
		percent = percent || p
		return s, err == nil
	}
	if rest, found := strings.CutPrefix(text, "between "); found {
		lo, hi, both := strings.Cut(rest, " and ")
		b.Min, ok = clean(lo)
		high, okHigh := clean(hi)
		b.Max = high
		return b, percent, both && ok && okHigh
	}
	for _, op := range []struct {
		sign string
		end  *string
	}{{">=", &b.Min}, {"<=", &b.Max}, {">", &b.Above}, {"<", &b.Below}, {"==", &b.Equals}, {"=", &b.Equals}} {
		if rest, found := strings.CutPrefix(text, op.sign); found {
			*op.end, ok = clean(rest)
			return b, percent, ok
		}
	}
	return b, false, false
}

// types are names of types by those of other tools.
var types = map[string]string{
	"string": "string", "varchar": "string", "nvarchar": "string", "char": "string", "nchar": "string", "character varying": "string", "character": "string",
	"text": "string", "str": "string", "object_": "string", "stringtype": "string", "uuid": "string", "string[python]": "string",
	"integer": "integer", "int": "integer", "bigint": "integer", "smallint": "integer", "tinyint": "integer", "mediumint": "integer", "int2": "integer", "int4": "integer", "int8": "integer",
	"int16": "integer", "int32": "integer", "int64": "integer", "long": "integer", "short": "integer", "byteint": "integer", "serial": "integer", "bigserial": "integer",
	"integertype": "integer", "longtype": "integer", "int64dtype": "integer",
	"number": "number", "numeric": "number", "decimal": "number", "float": "number", "double": "number", "double precision": "number", "real": "number", "float4": "number",
	"float8": "number", "float32": "number", "float64": "number", "bignumeric": "number", "money": "number", "floattype": "number", "doubletype": "number", "decimaltype": "number",
	"boolean": "boolean", "bool": "boolean", "booleantype": "boolean", "bit": "boolean",
	"date": "date", "datetype": "date",
	"timestamp": "timestamp", "datetime": "timestamp", "datetime2": "timestamp", "timestamptz": "timestamp", "timestamp with time zone": "timestamp", "timestamp without time zone": "timestamp",
	"timestamp_ntz": "timestamp", "timestamp_ltz": "timestamp", "timestamp_tz": "timestamp", "timestamptype": "timestamp", "datetime64": "timestamp", "datetime64[ns]": "timestamp",
	"time": "time", "time without time zone": "time", "binary": "binary", "bytea": "binary", "varbinary": "binary", "bytes": "binary", "blob": "binary", "binarytype": "binary",
	"array": "list", "list": "list", "arraytype": "list",
}

// Type returns the name of a type; ok is false for one that has no counterpart.
func Type(name string) (string, bool) {
	name = strings.ToLower(strings.TrimSpace(name))
	if i := strings.IndexByte(name, '('); i > 0 {
		name = strings.TrimSpace(name[:i])
	}
	t, ok := types[name]
	return t, ok
}
