package checks_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/rules"
	"github.com/profilerhq/profiler/internal/source/jsonl"
)

// judgeReader runs rules over a reader as the product does.
func judgeReader(t testing.TB, ruleText string, r batch.Reader) []checks.Result {
	t.Helper()
	sets, diags := rules.Parse("r.yaml", []byte(ruleText), nil)
	require.NoError(t, diags.Err())
	ev, b := checks.New(rules.Plan(sets, checks.DefaultFailingRows)), profile.NewBuilder()
	var c batch.Chunk
	for {
		err := r.Next(t.Context(), &c)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		b.Add(r.Columns(), &c)
		ev.Observe(r.Columns(), &c)
	}
	ev.Needs(r.Columns())
	return ev.Results(checks.Input{Profile: b.Finish(r.Columns(), profile.Info{Stats: r.Stats()})})
}

// judgeJSON judges a single column of JSON lines.
func judgeJSON(t testing.TB, column, item, data string) checks.Result {
	t.Helper()
	r, err := jsonl.New(strings.NewReader(data), jsonl.Options{})
	require.NoError(t, err)
	res := judgeReader(t, "columns:\n  "+column+":\n    - "+item+"\n", r)
	require.Len(t, res, 2)
	return res[1]
}

func TestRowKinds(t *testing.T) {
	t.Parallel()
	numbers := "v\n10\n20\n\n30\n" + strings.Repeat("40\n", 20) + "n/a\n" // 24 of 25 values are numbers; the empty line is no row
	blanks := "v,w\nx,1\n,2\n\"\",3\n\" \t\",4\n\u00a0,5\n"
	for _, tc := range []struct {
		name, column, item, data string
		status                   checks.Status
		evaluated, failed        int64
		row                      int64 // first failing
	}{
		{"format: nulls are passed over", "email", "format: email", orders, checks.Fail, 4, 1, 4},
		{"format: a blank text is no e-mail address", "v", "format: email", blanks, checks.Fail, 4, 4, 1},
		{"format: all good", "v", "format: country", "v\nDE\nUSA\n", checks.Pass, 2, 0, 0},
		{"format: the text of numbers counts", "v", "format: ean", "v\n4006381333931\n0012345678905\n4006381333930\n", checks.Fail, 3, 1, 3},
		{"format: codes keep their zeros", "v", "format: ean", "v\n0012345678905\n0000000000000\n", checks.Pass, 2, 0, 0},
		{"format: a quoted empty field of numbers is null", "v", "format: luhn", "v\n18\n\"\"\n26\n", checks.Pass, 2, 0, 0},
		{"format: dates", "at", "format: date", orders, checks.Fail, 5, 4, 1},
		{"format: no rows", "v", "format: uuid", "v\n", checks.Pass, 0, 0, 0},
		{"format: all null", "v", "format: uuid", "v,w\n,1\n,2\n", checks.Pass, 0, 0, 0},
		{"format: at the limit", "email", "{format: email, fail: 25%}", orders, checks.Pass, 4, 1, 4},
		{"format: beyond the limit", "email", "{format: email, fail: 24%}", orders, checks.Fail, 4, 1, 4},

		{"is_null: a value", "v", "is_null", blanks, checks.Fail, 5, 4, 1},
		{"is_null: nothing but nulls", "v", "is_null", "v,w\n,1\n,2\n", checks.Pass, 2, 0, 0},
		{"is_null: a quoted empty field of numbers", "v", "is_null", "v,w\n1,1\n\"\",2\n", checks.Fail, 2, 1, 1},
		{"is_null: no rows", "v", "is_null", "v\n", checks.Pass, 0, 0, 0},

		{"not_blank: blanks and nulls fail", "v", "not_blank", blanks, checks.Fail, 5, 4, 2},
		{"not_blank: numbers are not blank", "w", "not_blank", blanks, checks.Pass, 5, 0, 0},
		{"not_blank: all null", "v", "not_blank", "v,w\n,1\n,2\n", checks.Fail, 2, 2, 1},
		{"not_blank: no rows", "v", "not_blank", "v\n", checks.Pass, 0, 0, 0},

		{"finite: words of numbers", "v", "finite", "v\n1\nNaN\n-inf\n2.5\n1e999\n\"\"\n", checks.Fail, 5, 3, 2},
		{"finite: a text in a number column", "v", "finite", numbers, checks.Fail, 24, 1, 24},
		{"finite: a text column", "v", "finite", "v\nx\ny\n1\n", checks.Fail, 3, 2, 1},
		{"finite: integers", "v", "finite", "v\n1\n-9223372036854775808\n", checks.Pass, 2, 0, 0},

		{"multiple_of: decimals are exact", "v", "multiple_of: 0.1", "v\n0.3\n0.7\n1.1\n-2.30\n1e-1\n100\n0\n", checks.Pass, 7, 0, 0},
		{"multiple_of: one digit too many", "v", "multiple_of: 0.1", "v\n0.30\n0.31\n0.3000000000000000000000000000001\n", checks.Fail, 3, 2, 2},
		{"multiple_of: integers", "v", "multiple_of: 5", "v\n5\n10\n12\n-15\n", checks.Fail, 4, 1, 3},
		{"multiple_of: of a quarter", "v", "multiple_of: 0.25", "v\n0.5\n1.75\n0.1\n1e3\n", checks.Fail, 4, 1, 3},
		{"multiple_of: of tens", "v", "multiple_of: 1e2", "v\n100\n1.5e3\n150\n", checks.Fail, 3, 1, 3},
		{"multiple_of: a text in a number column", "v", "multiple_of: 10", numbers, checks.Fail, 24, 1, 24},
		{"multiple_of: NaN and infinity", "v", "multiple_of: 1", "v\n1\nNaN\nInf\n", checks.Fail, 3, 2, 2},
		{"multiple_of: larger than 64 bits", "v", "multiple_of: 3", "v\n1\n300000000000000000000000000000000\n100000000000000000000000000000000\n", checks.Fail, 3, 2, 1},
		{"multiple_of: white space is passed over", "v", "multiple_of: 2", "v\n 2\n4 \n", checks.Pass, 2, 0, 0},

		{"decimals: of money", "v", "decimals: {max: 2}", "v\n1\n1.5\n1.25\n1.125\n1.500\n1e-3\n1.5e1\n", checks.Fail, 7, 2, 4},
		{"decimals: none", "v", "decimals: 0", "v\n1\n1.0\n1.5\n", checks.Fail, 3, 1, 3},
		{"decimals: a text in a number column", "v", "decimals: {max: 0}", numbers, checks.Fail, 24, 1, 24},

		{"increasing: equal neighbours", "v", "increasing", "v\n1\n2\n2\n3\n", checks.Pass, 4, 0, 0},
		{"increasing: strictly", "v", "increasing: {strictly: true}", "v\n1\n2\n2\n3\n", checks.Fail, 4, 1, 3},
		{"increasing: against the value before", "v", "increasing", "v\n1\n9\n2\n3\n", checks.Fail, 4, 1, 3},
		{"increasing: over nulls", "v", "increasing", "v,w\n5,1\n,1\n4,1\n,1\n6,1\n", checks.Fail, 3, 1, 3},
		{"increasing: numbers by value", "v", "increasing", "v\n9\n10\n9.5\n100\n", checks.Fail, 4, 1, 3},
		{"increasing: texts by code point", "v", "increasing", "v\nB\na\n10\n9\n", checks.Fail, 4, 1, 3},
		{"increasing: a text in a number column fails by itself", "v", "increasing", numbers + "50\n", checks.Fail, 25, 1, 24},
		{"increasing: dates and timestamps", "at", "increasing", orders, checks.Fail, 5, 1, 5},
		{"increasing: NaN", "v", "increasing", "v\n1\nNaN\n2\n", checks.Fail, 3, 1, 2},
		{"increasing: one row", "v", "increasing: {strictly: true}", "v\n1\n", checks.Pass, 1, 0, 0},
		{"increasing: no rows", "v", "increasing", "v\n", checks.Pass, 0, 0, 0},
		{"increasing: all null", "v", "increasing", "v,w\n,1\n,2\n", checks.Pass, 0, 0, 0},
		{"decreasing", "v", "decreasing", "v\n3\n3\n2\n5\n", checks.Fail, 4, 1, 4},
		{"decreasing: strictly", "v", "decreasing: {strictly: true}", "v\n3\n3\n2\n1\n", checks.Fail, 4, 1, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			res := one(t, tc.column, tc.item, tc.data)
			require.Equal(t, tc.status, res.Status, res.Message)
			require.Equal(t, tc.evaluated, *res.Evaluated, res.Message)
			require.Equal(t, tc.failed, *res.Failed, res.Message)
			if tc.failed > 0 {
				require.Equal(t, tc.row, res.FailingRows[0].Row)
				require.Len(t, res.FailingRows, int(min(tc.failed, 20)))
			}
		})
	}
}

func TestRowKindsOverTypedValues(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, item, data  string
		evaluated, failed int64
	}{
		{"a text of digits is no number", "multiple_of: 1", `{"v":1}` + "\n" + `{"v":"2"}` + "\n" + `{"v":null}`, 2, 1},
		{"a text of digits is not finite", "finite", `{"v":1}` + "\n" + `{"v":"2"}`, 2, 1},
		{"the format of a number is that of its text", "format: latitude", `{"v":90}` + "\n" + `{"v":90.5}`, 2, 1},
		{"the format of a text", "format: uri", `{"v":"a:b"}` + "\n" + `{"v":"b"}`, 2, 1},
		{"an empty text has no format", "format: hex", `{"v":"ab"}` + "\n" + `{"v":""}`, 2, 1},
		{"an empty text is blank", "not_blank", `{"v":"ab"}` + "\n" + `{"v":""}` + "\n" + `{"w":1}` + "\n" + `{"v":"\u2003"}`, 4, 3},
		{"rows before the column are null", "is_null", `{"w":1}` + "\n" + `{"w":2}` + "\n" + `{"v":3}`, 3, 1},
		{"rows before the column are blank", "not_blank", `{"w":1}` + "\n" + `{"w":2}` + "\n" + `{"v":3}`, 3, 2},
		{"decimals of a literal", "decimals: 1", `{"v":0.50}` + "\n" + `{"v":0.05}` + "\n" + `{"v":5e-2}`, 3, 2},
		{"booleans are ordered by their text", "increasing", `{"v":false}` + "\n" + `{"v":true}` + "\n" + `{"v":false}`, 3, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			res := judgeJSON(t, "v", tc.item, tc.data)
			require.Equal(t, tc.evaluated, *res.Evaluated, res.Message)
			require.Equal(t, tc.failed, *res.Failed, res.Message)
		})
	}
}

// table is a reader of one column v of typed values, in chunks of a given size.
type table struct {
	values []batch.Value
	texts  []string // of strings
	size   int
	at     int
}

func (r *table) Columns() []batch.Column { return []batch.Column{{Name: "v"}} }

func (r *table) Stats() batch.Stats { return batch.Stats{} }

func (r *table) Close() error { return nil }

func (r *table) Next(_ context.Context, c *batch.Chunk) error { return r.next(c) }

func (r *table) next(c *batch.Chunk) error {
	c.Reset(1, nil)
	c.First = int64(r.at) + 1
	for ; c.Rows < r.size && r.at < len(r.values); r.at++ {
		text := ""
		if r.texts != nil {
			text = r.texts[r.at]
		}
		c.Vectors[0].Append(r.values[r.at], []byte(text))
		c.Rows++
	}
	if c.Rows == 0 {
		return io.EOF
	}
	c.Filled()
	return nil
}

func floats(values ...float64) (out []batch.Value) {
	for _, f := range values {
		out = append(out, batch.Value{Type: batch.Number, Float: f})
	}
	return out
}

func TestBinaryFloatsCountAsTheirShortestDecimalText(t *testing.T) {
	t.Parallel()
	for item, failed := range map[string]int64{"multiple_of: 0.1": 1, "decimals: 1": 1, "multiple_of: 0.05": 0, "finite": 0, "format: latitude": 0} {
		res := judgeReader(t, "columns:\n  v:\n    - "+item+"\n", &table{values: floats(0.3, 0.7, 1.1, 0.35, -2), size: 2})[1]
		require.Equal(t, failed, *res.Failed, "%s: %s", item, res.Message)
		require.Equal(t, int64(5), *res.Evaluated)
	}
}

func TestOrderRunsOverTheBordersOfChunks(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 6))
	for _, n := range []int{0, 1, 2, 7, 8, 9, 63, 64, 65, 255, 256, 257, 1023} {
		values := make([]float64, n)
		for i := range values {
			values[i] = float64(r.IntN(50)) / 2
		}
		for _, item := range []string{"increasing", "increasing: {strictly: true}", "decreasing", "decreasing: {strictly: true}"} {
			want := int64(0)
			for i := 1; i < n; i++ {
				before, now := values[i-1], values[i]
				if strings.HasPrefix(item, "de") {
					before, now = now, before
				}
				if now < before || now == before && strings.Contains(item, "strictly") {
					want++
				}
			}
			for _, size := range []int{1, 3, 2000} {
				if n == 0 {
					continue
				}
				res := judgeReader(t, "columns:\n  v:\n    - "+item+"\n", &table{values: floats(values...), size: size})[1]
				require.Equal(t, want, *res.Failed, "%s of %d rows in chunks of %d", item, n, size)
				require.Equal(t, int64(n), *res.Evaluated)
			}
		}
	}
}

// The remainder of long decimals agrees with rational numbers.
func TestMultipleOfIsExact(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(7, 8))
	random := func() string {
		s := strconv.Itoa(r.IntN(1_000_000))
		if r.IntN(2) == 0 {
			s += "." + strconv.Itoa(r.IntN(10_000))
		}
		if r.IntN(4) == 0 {
			s += "e" + strconv.Itoa(r.IntN(9)-4)
		}
		return s
	}
	for range 200 {
		step := random()
		s, ok := new(big.Rat).SetString(step)
		require.True(t, ok)
		if s.Sign() == 0 {
			continue
		}
		var data strings.Builder
		data.WriteString("v\n")
		want := int64(0)
		for i := range 50 {
			text := random()
			v, ok := new(big.Rat).SetString(text)
			require.True(t, ok)
			if i%2 == 0 { // make it a multiple
				v.Mul(s, big.NewRat(int64(r.IntN(100_000)), 1))
				text = v.FloatString(20)
			}
			data.WriteString(text + "\n")
			if !new(big.Rat).Quo(v, s).IsInt() {
				want++
			}
		}
		res := one(t, "v", "multiple_of: "+step, data.String())
		require.Equal(t, want, *res.Failed, "multiples of %s", step)
		require.Equal(t, int64(50), *res.Evaluated)
	}
}

func TestRowKindsSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	for item, want := range map[string]string{
		"format: email":                "1 of 2 rows (50 %) is not in the format email; first: row 1 is 2.55",
		"multiple_of: 0.1":             "1 of 2 rows (50 %) is not a multiple of 0.1; first: row 1 is 2.55",
		"decimals: {max: 1}":           "1 of 2 rows (50 %) is not within 1 decimal place; first: row 1 is 2.55",
		"is_null":                      "",
		"decreasing":                   "all 2 rows are in decreasing order",
		"increasing":                   "1 of 2 rows (50 %) is smaller than the value before; first: row 2 is 1",
		"increasing: {strictly: true}": "1 of 2 rows (50 %) is smaller than the value before, or equal to it; first: row 2 is 1",
	} {
		data := "v\n2.55\n1\n"
		if strings.HasPrefix(item, "format") {
			data = "v\n2.55\na@b\n"
		}
		res := one(t, "v", item, data)
		if want == "" {
			want = "2 of 2 rows (100 %) are not null; first: row 1 is 2.55"
		}
		require.Equal(t, want, res.Message)
	}
}

func TestMistakesInRowKinds(t *testing.T) {
	t.Parallel()
	for item, want := range map[string]string{
		"format: emial":                     `got text "emial"; did you mean "email"?`,
		"format":                            `check "format" needs the name of a format`,
		"format: [email]":                   "expected a text",
		"multiple_of: 0":                    "needs a number above 0",
		"multiple_of: -1":                   "needs a number above 0",
		"multiple_of: x":                    "expected a number without quotes",
		"multiple_of: 1234567890.123456789": "the number has 19 significant digits; write at most 18",
		"multiple_of":                       `check "multiple_of" needs a number`,
		"multiple_of: .inf":                 "expected a number",
		"decimals: -1":                      "fewer than 0",
		"decimals: 1.5":                     "expected a whole number",
		"decimals":                          "needs a limit",
		"decimals: {maks: 2}":               `did you mean "max"?`,
		"increasing: {strictly: yes}":       "write true",
		"increasing: {strict: true}":        `did you mean "strictly"?`,
		"increasing: 5":                     "expected a mapping",
		"finite: 1":                         "this check takes no parameters",
		"is_null: x":                        "this check takes no parameters",
		"not_blank: {min: 1}":               "this check takes no parameters",
		"is_null: false":                    "cannot be false",
	} {
		_, diags := rules.Parse("r.yaml", []byte("columns:\n  v:\n    - "+item+"\n"), nil)
		require.Error(t, diags.Err(), item)
		require.Contains(t, fmt.Sprint(diags.Err()), want, item)
	}
}

func TestRowKindsDoNotAllocate(t *testing.T) {
	for _, item := range []string{"format: email", "format: date", "is_null", "not_blank", "finite", "multiple_of: 0.01", "decimals: 2", "increasing", "decreasing"} {
		sets, diags := rules.Parse("r.yaml", []byte("columns: {v: [{"+strings.Replace(item, ":", ": ", 1)+"}]}"), nil)
		if !strings.Contains(item, ":") {
			sets, diags = rules.Parse("r.yaml", []byte("columns: {v: ["+item+"]}"), nil)
		}
		require.NoError(t, diags.Err(), item)
		values := floats(0.5, 12.25, math.Inf(1), 1e300, -3)
		for i := range 2000 {
			values = append(values, batch.Value{Type: batch.Integer, Int: int64(i)})
		}
		r := &table{values: values, size: len(values)}
		var c batch.Chunk
		require.NoError(t, r.next(&c))
		ev := checks.New(rules.Plan(sets, 1))
		ev.Observe(r.Columns(), &c)
		// The sample may still take in rows; nothing is left per row.
		allocs := testing.AllocsPerRun(5, func() { ev.Observe(r.Columns(), &c) })
		require.Less(t, allocs, 40.0, "%s allocates for %d rows", item, len(values))
	}
}
