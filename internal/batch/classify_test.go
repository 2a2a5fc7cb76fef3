package batch

import (
	"math"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestText(t *testing.T) {
	t.Parallel()
	us := func(s string) int64 {
		v, err := time.Parse(time.RFC3339Nano, s)
		require.NoError(t, err)
		return v.UnixMicro()
	}
	for in, want := range map[string]Value{
		"0": {Type: Integer}, "-7": {Type: Integer, Int: -7}, "+7": {Type: Integer, Int: 7}, " 42\t": {Type: Integer, Int: 42}, "007": {Type: Integer, Int: 7},
		"9223372036854775807":  {Type: Integer, Int: math.MaxInt64},
		"-9223372036854775808": {Type: Integer, Int: math.MinInt64},
		"9223372036854775808":  {Type: Number, Float: 9223372036854775808},
		"1.5":                  {Type: Number, Float: 1.5}, ".5": {Type: Number, Float: 0.5}, "5.": {Type: Number, Float: 5}, "-1e3": {Type: Number, Float: -1000}, "1E-2": {Type: Number, Float: 0.01},
		"1e400": {Type: Number, Float: math.Inf(1)}, "-inf": {Type: Number, Float: math.Inf(-1)}, "Infinity": {Type: Number, Float: math.Inf(1)},
		"true": {Type: Boolean, Int: 1}, "FALSE": {Type: Boolean}, "t": {Type: String}, "yes": {Type: String},
		"2024-02-29": {Type: Date, Int: us("2024-02-29T00:00:00Z")}, "2023-02-29": {Type: String}, "2024-2-9": {Type: String}, "0000-01-01": {Type: Date, Int: us("0000-01-01T00:00:00Z")},
		"2024-02-29T10:11:12.123456789Z": {Type: Timestamp, Zoned: true, Int: us("2024-02-29T10:11:12.123456Z"), Float: 789},
		"2024-02-29 10:11":               {Type: Timestamp, Int: us("2024-02-29T10:11:00Z")},
		"2024-02-29 10:11:12+02:00":      {Type: Timestamp, Zoned: true, Int: us("2024-02-29T08:11:12Z")},
		"2024-02-29 10:11:12 -0330":      {Type: Timestamp, Zoned: true, Int: us("2024-02-29T13:41:12Z")},
		"2024-02-29 10:11:12+02:0":       {Type: String}, "2024-02-29 24:00:00": {Type: String}, "2024-02-29 10:60": {Type: String}, "2024-02-29 10:11:12.": {Type: String},
		"10:11:12":   {Type: Time, Int: int64(10*time.Hour + 11*time.Minute + 12*time.Second)},
		"10:11:12.5": {Type: Time, Int: int64(10*time.Hour + 11*time.Minute + 12*time.Second + 500*time.Millisecond)},
		"10:11":      {Type: String}, "": {Type: String}, " ": {Type: String}, "-": {Type: String}, ".": {Type: String}, "+.e1": {Type: String}, "1_000": {Type: String},
		"0x1p3": {Type: String}, "1,5": {Type: String}, "1e": {Type: String}, "1e+": {Type: String}, "--1": {Type: String}, "1.2.3": {Type: String}, "1 2": {Type: String},
	} {
		var c Classifier
		require.Equal(t, want, c.Text([]byte(in)), "%q", in)
	}
	var c Classifier
	require.True(t, math.IsNaN(c.Text([]byte("NaN")).Float))
	require.True(t, IsNumberWord([]byte(" -INF ")))
	require.False(t, IsNumberWord([]byte("info")))
}

func TestQuotedTextsAreNeverNumbers(t *testing.T) {
	t.Parallel()
	var c Classifier
	for in, want := range map[string]Type{"1": String, "2024-02-29": Date, "2024-02-29T10:00:00Z": Timestamp, "true": String, "NaN": String, "12345678": String} {
		require.Equal(t, want, c.Quoted([]byte(in)).Type, in)
	}
}

// spelled is what counts as a decimal number, in words of another engine.
var spelled = regexp.MustCompile(`^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$`)

// oracle classifies by the standard library.
func oracle(text string) Value {
	s := strings.Trim(text, " \t")
	if len(s) > 64 || s == "" {
		return Value{Type: String}
	}
	if i, err := strconv.ParseInt(s, 10, 64); err == nil && !strings.Contains(s, "_") && len(strings.TrimLeft(s, "+-")) <= 19 {
		return Value{Type: Integer, Int: i}
	}
	if spelled.MatchString(s) {
		f, _ := strconv.ParseFloat(s, 64) // out of range is infinite
		return Value{Type: Number, Float: f}
	}
	return Value{Type: String}
}

func FuzzNumbers(f *testing.F) {
	for _, s := range []string{"1", "-0", "1.25", "1e5", "123456789012345678", "0.000001", "9007199254740993", "1234567.89012345678", "5e-324", "1e22", "00000000000000000001", "1e23", "-.5e+1"} {
		f.Add(s)
	}
	digits := regexp.MustCompile(`^[0-9eE+\-. \t]*$`)
	f.Fuzz(func(t *testing.T, s string) {
		if !digits.MatchString(s) {
			return
		}
		var c Classifier
		got := c.Text([]byte(s))
		if got.Type.Temporal() {
			return
		}
		want := oracle(s)
		require.Equal(t, want.Type, got.Type, "%q", s)
		require.Equal(t, want.Int, got.Int, "%q", s)
		require.Equal(t, math.Float64bits(want.Float+0), math.Float64bits(got.Float+0), "%q", s)
	})
}

// TestNumbersAreBitEqual reads random numbers in several spellings.
func TestNumbersAreBitEqual(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	var c Classifier
	for range 200_000 {
		f := math.Float64frombits(rng.Uint64())
		if rng.IntN(2) == 0 {
			f = math.Round(rng.NormFloat64()*1e6) / 100
		}
		if math.IsNaN(f) || math.IsInf(f, 0) {
			continue
		}
		s := strconv.FormatFloat(f, "efg"[rng.IntN(3)], rng.IntN(20)-1, 64)
		if len(s) > 64 {
			continue
		}
		want := oracle(s)
		got := c.Text([]byte(s))
		require.Equal(t, want, got, s)
	}
}

func FuzzTimestamps(f *testing.F) {
	for _, s := range []string{"2024-02-29T10:11:12Z", "1999-12-31T23:59:59.999999999+14:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-00:30", "2024-02-30T00:00:00Z"} {
		f.Add(s)
	}
	shape := regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$`)
	// The standard library takes offsets of 24 hours and 60 minutes, RFC 3339
	// ends at 23:59.
	beyond := regexp.MustCompile(`[+-](24:..|..:60)$`)
	f.Fuzz(func(t *testing.T, s string) {
		if !shape.MatchString(s) {
			return
		}
		var c Classifier
		got := c.Text([]byte(s))
		want, err := time.Parse(time.RFC3339Nano, s)
		if err != nil || beyond.MatchString(s) {
			require.Equal(t, String, got.Type, s)
			return
		}
		require.Equal(t, Value{Type: Timestamp, Zoned: true, Int: want.UnixMicro(), Float: float64(want.Nanosecond() % 1000)}, got, s)
		require.True(t, want.Equal(time.UnixMicro(got.Int).Add(time.Duration(got.Float))))
	})
}

func TestEveryDayOfFourCenturies(t *testing.T) {
	t.Parallel()
	var c Classifier
	for d := time.Date(1800, 1, 1, 0, 0, 0, 0, time.UTC); d.Year() < 2201; d = d.AddDate(0, 0, 1) {
		require.Equal(t, Value{Type: Date, Int: d.UnixMicro()}, c.Text([]byte(d.Format("2006-01-02"))))
	}
}

func TestAppendTextReadsBack(t *testing.T) {
	t.Parallel()
	var c Classifier
	for _, s := range []string{"-5", "0.1", "1e300", "123456789.5", "2024-02-29", "2024-02-29T10:11:12.123456789", "10:11:12.5", "true"} {
		v := c.Text([]byte(s))
		require.Equal(t, v, c.Text(v.AppendText(nil, false)), s)
	}
	require.Equal(t, "2024-02-29T08:11:12Z", string(c.Text([]byte("2024-02-29T10:11:12+02:00")).AppendText(nil, true)))
	require.Equal(t, "1000000", string(AppendFloat(nil, 1e6)))
	require.Equal(t, "1e+21", string(AppendFloat(nil, 1e21)))
	require.Equal(t, "NaN", string(AppendFloat(nil, math.NaN())))
}

func TestVector(t *testing.T) {
	t.Parallel()
	var v Vector
	v.Append(Value{Type: String}, []byte("ab"))
	v.AppendNull()
	v.Append(Value{Type: Timestamp, Zoned: true}, []byte("x"))
	v.PadTo(5)
	require.Equal(t, 5, v.Len())
	require.Equal(t, "ab", string(v.Bytes(0)))
	require.Empty(t, v.Bytes(1))
	require.Equal(t, "x", string(v.Bytes(2)))
	require.True(t, v.Zoned)
	v.Truncate(1)
	require.Equal(t, 1, v.Len())
	v.HasText, v.Inferred, v.Declared = true, true, Integer
	v.Reset()
	require.Zero(t, v.Len()+v.Size())
	require.False(t, v.Zoned)
	require.False(t, v.HasText || v.Inferred || v.Declared != Null, "a vector forgets its column")
	var c Chunk
	c.Reset(3, nil)
	c.Vectors[2].AppendNull()
	c.Reset(2, nil)
	c.Reset(4, nil)
	for i := range c.Vectors {
		require.Zero(t, c.Vectors[i].Len())
	}
}

func TestDataError(t *testing.T) {
	t.Parallel()
	cause := &time.ParseError{}
	e := &DataError{Source: "a.csv", Offset: 12, Reason: "is cut", Advice: "copy it again", Err: cause}
	require.EqualError(t, e, "a.csv: is cut (byte 12); copy it again")
	require.ErrorIs(t, e, cause)
	e.Row = 3
	require.EqualError(t, e, "a.csv: is cut (row 3); copy it again")
}

func BenchmarkText(b *testing.B) {
	for _, s := range []string{"12345", "1234.56", "2026-01-02 03:04:05", "north zone"} {
		b.Run(s, func(b *testing.B) {
			var c Classifier
			text := []byte(s)
			b.ReportAllocs()
			for b.Loop() {
				c.Text(text)
			}
		})
	}
}

// TestTimesAsTheStandardLibraryWritesThem formats random and extreme times.
func TestTimesAsTheStandardLibraryWritesThem(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 4))
	check := func(us int64, ns int64) {
		at := time.UnixMicro(us).UTC().Add(time.Duration(ns))
		require.Equal(t, at.Format("2006-01-02T15:04:05.999999999"), string(Value{Type: Timestamp, Int: us, Float: float64(ns)}.AppendText(nil, false)), us)
		require.Equal(t, time.UnixMicro(us).UTC().Format("2006-01-02"), string(Value{Type: Date, Int: us}.AppendText(nil, false)), us)
		of := us & (1<<46 - 1)
		require.Equal(t, time.Unix(0, of).UTC().Format("15:04:05.999999999"), string(Value{Type: Time, Int: of}.AppendText(nil, false)), of)
	}
	for day := int64(-719_530); day < 2_932_900; day += 17 {
		check(day*microsPerDay, 0)
		check(day*microsPerDay-1, 999)
	}
	for range 100_000 {
		check(rng.Int64N(4e17)-2e17, rng.Int64N(1000))
	}
	for _, us := range []int64{0, -1, 1, math.MinInt64 / 2, math.MaxInt64 / 2} {
		check(us, 0)
	}
}
