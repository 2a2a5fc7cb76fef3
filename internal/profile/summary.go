package profile

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"github.com/profilerhq/profiler/internal/batch"
)

// Version is the version of the profile JSON.
const Version = 1

// Summary is what people and scripts read of a profile: the JSON of the
// contract. All keys are always there; null says that a statistic has no
// meaning for the column.
type Summary struct {
	Version    int       `json:"version"`
	Dataset    string    `json:"dataset"`
	Rows       int64     `json:"rows"`
	Bytes      int64     `json:"bytes"`
	Columns    []Column  `json:"columns"`
	Duplicates Estimate  `json:"-"`
	Malformed  Malformed `json:"malformed"`
	Source     Source    `json:"source"`
	ProfiledAt string    `json:"profiled_at"`
	// SensitiveKey is the id of the key that sensitive columns are hashed with.
	SensitiveKey string `json:"sensitive_key,omitempty"`
	// Sketch is the binary form in base64, where it is asked for.
	Sketch string `json:"sketch,omitempty"`
}

// Malformed counts the records that could not be parsed.
type Malformed struct {
	Count int64        `json:"count"`
	First *batch.Place `json:"first"`
}

// Source says where the data of a profile came from.
type Source struct {
	URL         string   `json:"url"`
	Format      string   `json:"format"`
	Compression string   `json:"compression"`
	Files       int      `json:"files"`
	BlankLines  int64    `json:"blank_lines"`
	Notes       []string `json:"notes"`
	// Sample is the share of the rows that were taken, nil if all were.
	Sample *float64 `json:"sample"`
	// RowsRead counts the rows that were read, taken or not.
	RowsRead int64 `json:"rows_read"`
}

// Estimate is a number of values or rows with its bound: Error is three
// standard errors, 0 when exact.
type Estimate struct {
	Value int64 `json:"value"`
	Exact bool  `json:"exact"`
	Error int64 `json:"error"`
}

// Column summarises one column. Pointers are nil and scalars empty where a
// statistic has no meaning for the type of the column.
type Column struct {
	Name string `json:"name"`
	// List is the path of the lists whose elements are the values, as a[] of a[]
	// and a[].b: Count and Nulls are of elements. Columns of rows have none.
	List          *string          `json:"list,omitempty"`
	Type          string           `json:"type"`
	Types         map[string]int64 `json:"types"`
	Sensitive     bool             `json:"sensitive"` // its values are masked
	Mixed         *Mixed           `json:"mixed"`
	Count         int64            `json:"count"`
	Nulls         int64            `json:"nulls"`
	Distinct      Estimate         `json:"distinct"`
	DistinctRatio *float64         `json:"distinct_ratio"`
	Min           Scalar           `json:"min"`
	Max           Scalar           `json:"max"`
	Sum           Scalar           `json:"sum"`
	Mean          Scalar           `json:"mean"`
	StdDev        Scalar           `json:"stddev"`
	Skewness      Scalar           `json:"skewness"`
	Kurtosis      Scalar           `json:"kurtosis"`
	Zeros         *int64           `json:"zeros"`
	Negatives     *int64           `json:"negatives"`
	Infinite      *int64           `json:"infinite"`
	NaN           *int64           `json:"nan"`
	Quantiles     *Quantiles       `json:"quantiles"`
	Top           []TopValue       `json:"top"`
	Length        *Length          `json:"length"`
	Blank         *int64           `json:"blank"`
	NonASCII      *int64           `json:"non_ascii"`
	InvalidUTF8   int64            `json:"invalid_utf8"`
	Histogram     *Histogram       `json:"histogram"`
	Entropy       *Entropy         `json:"entropy"`
	// Sorted is "ascending", "descending" (equal neighbours allowed in both),
	// "constant", or nil: no order, or none is known.
	Sorted *string     `json:"sorted"`
	Masks  []MaskCount `json:"masks"` // of a column of texts, else nil

	kind   batch.Type
	zoned  bool
	codes  bool
	minVal batch.Value
	maxVal batch.Value
	trues  int64
	unique *int64 // values that occur once, known while values are counted
	// topCount is how often the most frequent value of a sensitive column occurs;
	// Top has it for others.
	topCount int64
}

// Mixed counts the values that are not of the column's type and shows the
// first of them.
type Mixed struct {
	Count int64      `json:"count"`
	First MixedFirst `json:"first"`
}

// MixedFirst is the first value of another type; Row counts from 1.
type MixedFirst struct {
	Row   int64  `json:"row"`
	Type  string `json:"type"`
	Value string `json:"value"`
}

// Quantiles of the values, by linear interpolation (type 7 of Hyndman and Fan
// 1996) while exact. Error is a share of ranks.
type Quantiles struct {
	Exact bool    `json:"exact"`
	Error float64 `json:"error"`
	P01   Scalar  `json:"p01"`
	P05   Scalar  `json:"p05"`
	P25   Scalar  `json:"p25"`
	P50   Scalar  `json:"p50"`
	P75   Scalar  `json:"p75"`
	P95   Scalar  `json:"p95"`
	P99   Scalar  `json:"p99"`
}

// TopValue is a frequent value; its true count lies in Count … Count+Error.
type TopValue struct {
	Value string `json:"value"`
	Count int64  `json:"count"`
	Error int64  `json:"error"`
}

// Length summarises the lengths of texts in characters, of lists in items.
type Length struct {
	Min  int64   `json:"min"`
	Max  int64   `json:"max"`
	Mean float64 `json:"mean"`
}

// Histogram counts values in bins of equal width. Edges has one more entry
// than Counts; every bin but the last is open at its upper edge.
type Histogram struct {
	Edges  []Scalar `json:"edges"`
	Counts []int64  `json:"counts"`
}

// Scalar is a number or a text in the JSON, or null. The zero value is null.
type Scalar struct {
	kind  scalarKind
	i     int64
	f     float64
	text  string
	isSet bool
}

type scalarKind uint8

const (
	scalarInt scalarKind = iota
	scalarFloat
	scalarText
	scalarRaw // a decimal integer beyond 64 bits
)

// IntScalar makes a scalar of a whole number.
func IntScalar(v int64) Scalar { return Scalar{kind: scalarInt, i: v, isSet: true} }

// FloatScalar makes a scalar of a float; NaN and infinities are null, and -0 is
// 0.
func FloatScalar(v float64) Scalar {
	if v-v != 0 {
		return Scalar{}
	}
	if v == 0 {
		v = 0 // without its sign
	}
	return Scalar{kind: scalarFloat, f: v, isSet: true}
}

// TextScalar makes a scalar of a text.
func TextScalar(s string) Scalar { return Scalar{kind: scalarText, text: validText(s), isSet: true} }

// IsNull reports whether the scalar has no value.
func (s Scalar) IsNull() bool { return !s.isSet }

// Float returns the number; ok is false for null and for texts.
func (s Scalar) Float() (f float64, ok bool) {
	switch {
	case !s.isSet || s.kind == scalarText:
		return 0, false
	case s.kind == scalarInt:
		return float64(s.i), true
	case s.kind == scalarRaw:
		f, err := strconv.ParseFloat(s.text, 64)
		return f, err == nil
	}
	return s.f, true
}

// Int returns the number when it is an integer of 64 bits.
func (s Scalar) Int() (i int64, ok bool) { return s.i, s.isSet && s.kind == scalarInt }

// String returns the text as a report shows it, "" for null.
func (s Scalar) String() string {
	switch {
	case !s.isSet:
		return ""
	case s.kind == scalarInt:
		return strconv.FormatInt(s.i, 10)
	case s.kind == scalarFloat:
		return string(batch.AppendFloat(nil, s.f))
	}
	return s.text
}

// MarshalJSON writes the number, the text or null.
func (s Scalar) MarshalJSON() ([]byte, error) {
	switch {
	case !s.isSet:
		return []byte("null"), nil
	case s.kind == scalarText:
		return json.Marshal(s.text)
	case s.kind == scalarFloat:
		return json.Marshal(s.f)
	}
	return []byte(s.String()), nil
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (s *Scalar) UnmarshalJSON(b []byte) error {
	text := string(b)
	switch {
	case text == "null":
		*s = Scalar{}
	case strings.HasPrefix(text, `"`):
		var t string
		if err := json.Unmarshal(b, &t); err != nil {
			return err
		}
		*s = TextScalar(t)
	default:
		if i, err := strconv.ParseInt(text, 10, 64); err == nil {
			*s = IntScalar(i)
			return nil
		}
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return err
		}
		*s = FloatScalar(f)
	}
	return nil
}

// MarshalJSON writes the summary with the duplicates as the contract has them.
func (s *Summary) MarshalJSON() ([]byte, error) {
	type plain Summary // without this method
	return json.Marshal(struct {
		*plain
		Duplicates duplicatesJSON `json:"duplicates"`
	}{(*plain)(s), duplicatesJSON{s.Duplicates.Value, s.Duplicates.Exact, s.Duplicates.Error}})
}

type duplicatesJSON struct {
	Rows  int64 `json:"rows"`
	Exact bool  `json:"exact"`
	Error int64 `json:"error"`
}

// Column returns the summary of the named column, or nil.
func (s *Summary) Column(name string) *Column {
	for i := range s.Columns {
		if s.Columns[i].Name == name {
			return &s.Columns[i]
		}
	}
	return nil
}

// Kind returns the type of the column.
func (c *Column) Kind() batch.Type { return c.kind }

// Bounds returns the smallest and the largest value of a column of numbers or
// times; ok is false if it has none.
func (c *Column) Bounds() (lo, hi batch.Value, ok bool) {
	return c.minVal, c.maxVal, c.minVal.Type != batch.Null
}

// Codes reports whether the column holds codes: texts of digits that were not
// taken for numbers.
func (c *Column) Codes() bool { return c.codes }

// Zoned reports whether timestamps of the column name their zone.
func (c *Column) Zoned() bool { return c.zoned }

// Metric returns a number of the column by the name that rules use for it. ok
// is false if the column has no such number. Rates are fractions of the
// non-null values, null_rate of all rows. An empty batch has a null_rate of 0.
func (c *Column) Metric(name string) (v float64, ok bool) {
	rate := func(n *int64) (float64, bool) {
		if n == nil || c.Count == 0 {
			return 0, false
		}
		return float64(*n) / float64(c.Count), true
	}
	switch name {
	case "null_count":
		return float64(c.Nulls), true
	case "null_rate":
		if c.Count+c.Nulls == 0 {
			return 0, true
		}
		return float64(c.Nulls) / float64(c.Count+c.Nulls), true
	case "distinct":
		return float64(c.Distinct.Value), true
	case "distinct_rate":
		if c.DistinctRatio == nil {
			return 0, false
		}
		return *c.DistinctRatio, true
	case "unique_rate":
		return rate(c.unique)
	case "min":
		return c.Min.Float()
	case "max":
		return c.Max.Float()
	case "mean":
		if c.kind.Temporal() {
			return 0, false
		}
		return c.Mean.Float()
	case "median":
		if c.Quantiles == nil || c.kind.Temporal() {
			return 0, false
		}
		return c.Quantiles.P50.Float()
	case "stddev":
		return c.StdDev.Float()
	case "variance":
		f, ok := c.StdDev.Float()
		return f * f, ok
	case "sum":
		return c.Sum.Float()
	case "skewness":
		return c.Skewness.Float()
	case "kurtosis":
		return c.Kurtosis.Float()
	case "zero_rate":
		return rate(c.Zeros)
	case "negative_rate":
		return rate(c.Negatives)
	case "blank_rate":
		return rate(c.Blank)
	case "true_rate":
		if c.kind != batch.Boolean || c.Sensitive {
			return 0, false
		}
		return rate(&c.trues)
	case "min_length", "max_length", "mean_length":
		if c.Length == nil {
			return 0, false
		}
		return map[string]float64{"min_length": float64(c.Length.Min), "max_length": float64(c.Length.Max), "mean_length": c.Length.Mean}[name], true
	case "top_share":
		n := c.topCount
		if len(c.Top) > 0 {
			n = c.Top[0].Count
		}
		if n == 0 || c.Count == 0 {
			return 0, false
		}
		return float64(n) / float64(c.Count), true
	}
	return 0, false
}

func validText(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func floatBits(f float64) uint64 { return math.Float64bits(f) }

// Read returns the number of rows that were read: more than Rows if these are a
// sample.
func (s *Summary) Read() int64 {
	if s.Source.Sample == nil {
		return s.Rows
	}
	return s.Source.RowsRead
}

// Metric returns a number of the batch by the name that rules use for it.
func (s *Summary) Metric(name string) (v float64, ok bool) {
	switch name {
	case "row_count":
		return float64(s.Read()), true
	case "column_count":
		return float64(len(s.Columns)), true
	case "bytes":
		return float64(s.Bytes), true
	case "duplicate_rows":
		return float64(s.Duplicates.Value), true
	case "malformed":
		return float64(s.Malformed.Count), true
	}
	return 0, false
}
