package expr_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/expr"
)

func at(offset int) diag.Position { return diag.Position{Line: 1, Column: offset + 1} }

func compile(t testing.TB, text string) *expr.Program {
	t.Helper()
	var errs diag.List
	p := expr.Compile(text, at, &errs)
	require.NoError(t, errs.Err(), text)
	require.NotNil(t, p)
	return p
}

// empty stands for a quoted empty field, "" for one without quotes.
const empty = `""`

// csvColumn makes a column as the CSV reader does.
func csvColumn(cells ...string) *batch.Vector {
	v := &batch.Vector{HasText: true, Inferred: true}
	var c batch.Classifier
	for _, cell := range cells {
		switch cell {
		case "":
			v.AppendNull()
		case empty:
			v.Append(batch.Value{Type: batch.String}, nil)
		default:
			v.Append(c.Text([]byte(cell)), []byte(cell))
		}
	}
	return v
}

// truths evaluates a condition over columns of which the final types are
// known.
func truths(t testing.TB, text string, columns map[string]*batch.Vector, types map[string]batch.Type) ([]expr.Truth, string) {
	t.Helper()
	e := expr.NewEvaluator(compile(t, text))
	rows := 0
	for _, v := range columns {
		rows = v.Len()
	}
	e.Load(rows, func(name string) *batch.Vector { return columns[name] })
	r, problem := e.Resolve(0, func(name string) (batch.Type, bool) { typ, ok := types[name]; return typ, ok })
	return e.Truth(0, r), problem
}

func TestConditions(t *testing.T) {
	t.Parallel()
	columns := map[string]*batch.Vector{
		"n":     csvColumn("7"),                    // integer
		"big":   csvColumn("9007199254740993"),     // beyond 2^53
		"huge":  csvColumn("9223372036854775807"),  // the largest
		"least": csvColumn("-9223372036854775808"), // the smallest
		"f":     csvColumn("2.5"),
		"nan":   csvColumn("NaN"),
		"code":  csvColumn("007"),
		"s":     csvColumn("Grün "),
		"none":  csvColumn(""),
		"quote": csvColumn(empty), // of a text column
		"blank": csvColumn(empty), // of a number column
		"ok":    csvColumn("TRUE"),
		"d":     csvColumn("2026-03-01"),
		"ts":    csvColumn("2026-03-01T22:30:15.5Z"),
		"tod":   csvColumn("13:45:10"),
		"old":   csvColumn("0001-01-01"),
		"mix":   csvColumn("x"), // a text in a column of numbers
		"a.b":   csvColumn("1"),
		"größe": csvColumn("3"),
	}
	types := map[string]batch.Type{
		"n": batch.Integer, "big": batch.Integer, "huge": batch.Integer, "least": batch.Integer, "f": batch.Number, "nan": batch.Number,
		"code": batch.String, "s": batch.String, "none": batch.Integer, "quote": batch.String, "blank": batch.Integer, "ok": batch.Boolean,
		"d": batch.Date, "ts": batch.Timestamp, "tod": batch.Time, "old": batch.Date, "mix": batch.Integer, "a.b": batch.Integer, "größe": batch.Integer,
	}
	T, F, N, W := expr.True, expr.False, expr.Null, expr.Wrong
	for text, want := range map[string]expr.Truth{
		// arithmetic
		"n + 1 == 8": T, "n - 10 == -3": T, "n * -2 == -14": T, "n / 2 == 3.5": T, "n / 7 == 1": T, "n % 4 == 3": T, "-n % 4 == -3": T, "f % 2 == 0.5": T,
		"n / 0 == 1": N, "n % 0 == 1": N, "f / 0 == 1": N, "f % 0 > 1": N, "is_null(n / 0)": T, "0x10 + n == 23": T, "n + 1_000 == 1007": T,
		"big == 9007199254740993": T, "big == 9007199254740992": F, "big + 1 == 9007199254740994": T, "big > 9007199254740992.0": T, "big / 1 == big": T,
		"huge + 1 > huge": T, "huge + 1 == 9223372036854775808.0": T, "huge * 2 == 18446744073709551614.0": T, "least - 1 < 0": T, "-least > huge": T,
		"least / -1 == 9223372036854775808.0": T, "least % -1 == 0": T, "abs(least) == 9223372036854775808.0": T, "least * 1 == least": T, "least * -1 > huge": T,
		"nan == nan": F, "nan != nan": T, "nan < 1": F, "not (nan < 1)": T, "nan == 1 || n == 7": T,
		"round(f) == 3": T, "round(-f) == -3": T, "floor(f) == 2": T, "ceil(f) == 3": T, "round(0.1 + n * 0.1, 2) == 0.8": T, "round(n, 3) == 7": T, "abs(n - 10) == 3": T,
		"min(n, f, 10) == 2.5": T, "max(n, f) == 7": T, "min(d, ts) == d": T, "min(n, none) == 7": N, "max(n, nan) == 7": F, "round(f, 15) == 2.5": T,
		"1 < n < 10": T, "1 < n < 3": F, "n == +7": T, "-n == -7": T, "--n == n": T,
		// texts as written
		`code == "007"`: T, `code == "7"`: F, `n == "7"`: T, `code in ["007", "008"]`: T, `code not in ["007"]`: F, `n in [1, 7]`: T, `n in [7.0]`: T, `f in [2, 2.5]`: T,
		`s contains "rü"`: T, `s startsWith "Gr"`: T, `s endsWith " "`: T, `s matches "^G.*n"`: T, `s not matches "x"`: T, `len(s) == 5`: T, `len(n) == 1`: T,
		`lower(s) == "grün "`: T, `upper(s) == "GRÜN "`: T, `trim(s) == "Grün"`: T, `len(trim(s)) == 4`: T, `s < "Gs"`: T, `s >= 'Grün'`: T, `lower(s) < upper(s)`: F,
		`code startsWith "00"`: T, `n startsWith "7"`: T, `trim(s) in ["Grün"]`: T, `"ü" == s`: F, `s contains s`: T, `"abc" contains s`: F,
		// nulls
		"none > 1": N, "is_null(none)": T, "is_null(n)": F, "not is_null(none) and none > 1": F, "is_null(none) or none > 1": T, "none > 1 || n > 1": T,
		"none > 1 && n > 100": F, "none > 1 && n > 1": N, "not (none > 1)": N, `none == "x"`: N, "none + 1 > n": N, "len(none) > 0": N, "lower(none) == lower(none)": N,
		`quote == ""`: T, `is_null(quote)`: F, `len(quote) == 0`: T, `is_null(blank)`: T, `blank == ""`: N, `blank > 0`: N, "is_null(none + n)": T, "is_null(none > 1)": T,
		"(none > 1) == (n > 1)": N, "is_null(trim(none))": T, `none in [1]`: N, "n == none": N, "gone == 1": N, "is_null(gone)": T, "gone == n": N, `gone == "2026-03-01"`: N, `len(gone) > 1 || n == 7`: T,
		// conditions
		"ok": T, "!ok": F, "ok == true": T, "ok != true": F, "ok == (n > 1)": T, "true && ok": T, "false or ok": T, "ok and not ok": F,
		// times
		`d == "2026-03-01"`: T, `d < "2026-03-01T00:00:01"`: T, `ts >= "2026-03-01"`: T, `"2026-03-01" <= ts`: T, "d <= ts": T, `tod > "13:00"`: T, `tod == "13:45:10"`: T,
		"year(d) == 2026": T, "month(d) == 3": T, "day(d) == 1": T, "weekday(d) == 7": T, "hour(ts) == 22": T, "minute(ts) == 30": T, "second(ts) == 15": T, "hour(tod) == 13": T, "hour(d) == 0": T,
		"hours(ts - d) > 22.5": T, `ts - d < "23h"`: T, `ts - d > "1d"`: F, "days(d - d) == 0": T, "ts - d > tod - tod": T, `d - old > "100000d"`: T, `d in ["2026-03-01"]`: T, `d not in ["2026-03-02", "2026-03-03"]`: T,
		"seconds(d - ts) == -81015.5": T, "minutes(tod - tod) == 0": T, `d - "2026-02-28" == "1d"`: T, `abs(d - ts) > "1h"`: T, `-(d - ts) > "1h"`: T, "days(d - old) > 100_000": T,
		`d startsWith "2026"`: T,
		// values of another type
		"mix > 1": W, "not (mix > 1)": W, "mix + 1 == 2": W, "mix > 1 || n == 7": T, "mix > 1 && n == 8": F, "mix == n": W, "is_null(mix)": F, `mix == "x"`: T, "none > mix": N, "mix in [1]": W,
		"round(mix) == 1": W, "max(mix, n) > 1": W, "(mix > 1) == (n > 1)": W, "is_null(mix + 1)": W, "none > 1 && mix > 1": N, "-mix > 1": W, "abs(mix) > 1": W, "is_null(mix > 1)": W,
		// names
		`col("a.b") == 1`: T, "größe == 3": T, `col("n") == n`: T,
	} {
		got, problem := truths(t, text, columns, types)
		require.Empty(t, problem, text)
		require.Equal(t, want, got[0], text)
	}
}

// The final types decide how columns compare, whatever each value looks like.
func TestReadings(t *testing.T) {
	t.Parallel()
	a, b := csvColumn("007", "10", empty, "x", "", empty), csvColumn("7", "9", "1", "x", "1", empty)
	columns := map[string]*batch.Vector{"a": a, "b": b}
	T, F, N, W := expr.True, expr.False, expr.Null, expr.Wrong
	for _, tc := range []struct {
		text string
		a, b batch.Type
		want []expr.Truth
	}{
		{"a == b", batch.Integer, batch.Integer, []expr.Truth{T, F, N, W, N, N}},
		{"a == b", batch.String, batch.String, []expr.Truth{F, F, F, T, N, T}},
		{"a == b", batch.String, batch.Integer, []expr.Truth{F, F, F, T, N, N}},
		{"a == b", batch.Integer, batch.String, []expr.Truth{F, F, N, T, N, N}},
		{"a > b", batch.Integer, batch.Integer, []expr.Truth{F, T, N, W, N, N}},
		{"a > b", batch.String, batch.String, []expr.Truth{F, F, F, F, N, F}},
		{`a != "x"`, batch.String, batch.String, []expr.Truth{T, T, T, F, N, T}},
		{`a != "x"`, batch.Integer, batch.String, []expr.Truth{T, T, N, F, N, N}},
		{"is_null(a)", batch.String, batch.String, []expr.Truth{F, F, F, F, T, F}},
		{"is_null(a)", batch.Integer, batch.String, []expr.Truth{F, F, T, F, T, T}},
		{"len(a) > 1", batch.String, batch.String, []expr.Truth{T, T, F, F, N, F}},
		{"is_null(a) == (a != b)", batch.String, batch.String, []expr.Truth{F, F, F, T, N, T}},
		{"is_null(a) == is_null(b)", batch.Null, batch.Null, []expr.Truth{T, T, F, T, F, T}},
	} {
		got, problem := truths(t, tc.text, columns, map[string]batch.Type{"a": tc.a, "b": tc.b})
		require.Empty(t, problem)
		require.Equal(t, tc.want, got, "%s over %s and %s", tc.text, tc.a, tc.b)
	}
}

func TestIllTyped(t *testing.T) {
	t.Parallel()
	types := map[string]batch.Type{"n": batch.Integer, "s": batch.String, "d": batch.Date, "b": batch.Boolean, "l": batch.List, "t": batch.Time, "u": batch.String}
	for text, want := range map[string]string{
		"s > 5":                    `s is a column of type string and 5 is a number, they do not compare; compare with a text: s == "5"`,
		"n > s":                    "n is a column of type integer and s is a column of type string, which have no common order",
		"n == s":                   "",
		"s + 1 > 2":                "s is a column of type string, which cannot be read as a number",
		"s":                        "s is a column of type string, which cannot be read as a condition",
		"n and b":                  "n is a column of type integer, which cannot be read as a condition",
		"n > d":                    "n is a column of type integer and d is a column of type date, they do not compare",
		`n >= "2026-01-01"`:        `n is a column of type integer and "2026-01-01" is a date, they do not compare`,
		`n > "5"`:                  `n is a column of type integer and "5" is a string, which have no common order; write the number without quotes`,
		`d < "x"`:                  `d is a column of type date and "x" is a string, which have no common order`,
		"d - n > 1":                "d is a column of type date and n is a column of type integer, there is no difference of these",
		"n - n > 1":                "",
		`d - d > "1d"`:             "",
		`n - n > "1d"`:             `n - n is a number and "1d" is a duration, they do not compare`,
		"d - d > 1":                "d - d is a duration and 1 is a number, they do not compare",
		"year(n) > 1":              "n is a column of type integer, which cannot be read as a date or timestamp",
		"year(t) > 1":              "t is a column of type time, which cannot be read as a date or timestamp",
		"hour(t) > 1":              "",
		"days(n - n) > 1":          "n - n is a number, which cannot be read as a span of time",
		"round(d) > 1":             "d is a column of type date, which cannot be read as a number",
		"l == l":                   "l is a column of type list and l is a column of type list, they do not compare",
		"b < b":                    "b is a column of type boolean, and booleans have no order",
		"b == b":                   "",
		"len(l) > 1":               "",
		"is_null(l)":               "",
		"s in [1, 2]":              "s is a column of type string and the list holds integers, they do not compare",
		"s == u":                   "",
		"s > u":                    "",
		"min(n, d) > 1":            "n is a column of type integer and d is a column of type date, they do not compare",
		"abs(d) > 1":               "d is a column of type date, which cannot be read as a number or a span of time",
		`s in ["2026-01-01"]`:      "",
		`n in ["2026-01-01"]`:      "n is a column of type integer and the list holds dates, they do not compare",
		`s >= "2026-01-01"`:        "",
		"unknown + 1 > 2":          "",
		"unknown > n && unknown":   "",
		`lower(n) == "x"`:          "",
		`n contains "1"`:           "",
		`d - unknown > "1d"`:       "",
		`-d > "1d"`:                "d is a column of type date, which cannot be read as a number or a span of time",
		`is_null(s + 1)`:           "s is a column of type string, which cannot be read as a number",
		`not (s > 5) or n > 1`:     `s is a column of type string and 5 is a number, they do not compare; compare with a text: s == "5"`,
		`(n > 1) == (s > 5)`:       `s is a column of type string and 5 is a number, they do not compare; compare with a text: s == "5"`,
		`is_null(unknown - s > 1)`: "s is a column of type string, which cannot be read as a number or a time",
	} {
		p := compile(t, text)
		_, problem := p.Resolve(func(name string) (expr.ColumnType, bool) {
			typ, ok := types[name]
			return expr.ColumnType{Type: typ, Inferred: true, HasText: true}, ok
		})
		require.Equal(t, want, problem, text)
	}
	p := compile(t, `n == "5"`)
	_, problem := p.Resolve(func(string) (expr.ColumnType, bool) { return expr.ColumnType{Type: batch.Integer}, true })
	require.Equal(t, `n is a column of type integer, which cannot be read as a text`, problem, "a format with types")
}

// Mistakes name their place, in characters.
func TestMistakes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                   "1:1: the expression is empty; write a condition like amount > 0",
		"a >":                                "1:3: the expression ends too early",
		"a = 1":                              `1:3: unexpected "="; write == to compare`,
		"a <> 1":                             `1:4: unexpected ">"; write != for not equal`,
		"a IS NULL":                          `1:3: unexpected "IS"; write is_null(x) or not is_null(x)`,
		"a > 1 AND b > 2":                    `1:7: unexpected "AND"; write and`,
		"a > 1 & b > 2":                      `1:7: unexpected "&"; write &&`,
		"a ~ 1":                              "1:3: unrecognized character: U+007E '~'",
		"größe ~ 1":                          "1:9: unrecognized character: U+007E '~'",
		"a == 'x":                            "1:8: literal not terminated",
		"a > 1 )":                            `1:7: unexpected ")"`,
		"a + 1":                              "1:1: expected a condition, a + 1 is a number",
		`a == "x" and lenn(a) > 1`:           `1:14: unknown function "lenn"; did you mean "len"?`,
		"now() > a":                          `1:1: unknown function "now"; there is no clock; compare with a literal or use the check freshness`,
		"date(a) > 1":                        `1:1: unknown function "date"; there is no clock; compare with a literal or use the check freshness`,
		"frobnicate(a)":                      `1:1: unknown function "frobnicate"; there are col, is_null, len, lower, upper, trim, abs, round, floor, ceil, min, max, year, month, day, weekday, hour, minute, second, seconds, minutes, hours, days`,
		"len(a, b) > 1":                      "1:1: len is called as len(x)",
		"round(a, b) > 1":                    "1:10: the digits of round are a whole number from 0 to 15, not b",
		"min(a) > 1":                         "1:1: min is called as min(x, y, …)",
		"a.b > 1":                            `1:1: members are not part of expressions; write col("a.b")`,
		"a?.b > 1":                           "1:1: members are not part of expressions",
		"a[0] > 1":                           "1:1: members are not part of expressions",
		"a[1:2] > 1":                         "1:1: slices are not part of expressions",
		"a == nil":                           "1:6: nil is not part of expressions; write is_null(x)",
		"a > 1 ? b : c":                      "1:1: a choice of two values is not part of expressions; write (a and b) or (not a and c)",
		"all(a, # > 1)":                      `1:1: unknown function "all"; there are col, is_null, len, lower, upper, trim, abs, round, floor, ceil, min, max, year, month, day, weekday, hour, minute, second, seconds, minutes, hours, days`,
		"let x = 1; x > a":                   "1:5: variables and several expressions are not part of expressions",
		"a > 1; b > 1":                       "1:1: variables and several expressions are not part of expressions",
		"a in 1..3":                          "1:6: the operator .. is not part of expressions; write x >= 1 and x <= 9",
		"a ?? b":                             "1:1: the operator ?? is not part of expressions; write is_null(x)",
		"a ** 2 > 1":                         "1:1: the operator ** is not part of expressions; write x * x",
		"a in b":                             `1:6: "in" needs a list of values, b is a column; write x in ["a", "b"], or contains for a part of a text`,
		"a in []":                            "1:6: the list is empty, nothing is in it",
		`a in [1, "x"]`:                      "1:10: a list holds values of one kind; this is a text beside a number",
		"a in [b]":                           "1:7: a list holds texts or numbers, not a column",
		"a == [1]":                           "1:6: a list cannot be compared; write in for membership",
		`a matches "("`:                      "1:11: not a regular expression (RE2): missing closing ): (",
		"a matches b":                        `1:11: "matches" needs a regular expression in quotes, not b`,
		`not a == "x"`:                       `1:1: a is negated before it is compared with "x"; put parentheses around what is negated: not (a == b)`,
		`not lower(a) == "x"`:                `1:5: "not" needs a condition, lower(a) is a text; put parentheses around what is negated: not (a == b)`,
		`lower(a) > 5`:                       "1:1: lower(a) is a text and 5 is a number, they do not compare",
		`len(a) == "5"`:                      `1:11: "==" needs numbers or times, "5" is a text`,
		`a + "x" > 1`:                        `1:5: "+" needs numbers or times, "x" is a text`,
		`a + "2026-01-01" > 1`:               `1:5: "+" needs numbers, "2026-01-01" is a date`,
		`len(a) > "2026-01-01"`:              `1:1: len(a) is a number and "2026-01-01" is a date, they do not compare`,
		"(a > 1) > 2":                        "1:11: expected a condition, 2 is a number",
		"(a > 1) > (b > 2)":                  `1:2: conditions have no order; ">" needs numbers, times or texts`,
		"1 < 2":                              "1:1: the condition names no column, so it is the same for all rows",
		`is_null("x")`:                       `1:9: "x" is never null; name a column`,
		"col(a) > 1":                         `1:1: col is called with the name of a column in quotes: col("a.b")`,
		"a.lower() == 1":                     "1:1: methods are not part of expressions",
		`{"a": 1} == a`:                      "1:1: maps are not part of expressions",
		`b"x" == a`:                          "1:1: bytes are not part of expressions",
		"+a > 1":                             "1:1: a plus sign before a name is not part of expressions; leave it out",
		"-a == 'x'":                          `1:7: "==" needs numbers or times, 'x' is a text`,
		"$env > 1":                           `1:1: names that begin with $ are not part of expressions; write col("$env") for a column of that name`,
		"a > 99999999999999999999":           "1:24: invalid integer literal: strconv.ParseInt: parsing \"99999999999999999999\": value out of range",
		"if a > 1 { true } else { b }":       "1:4: a choice of two values is not part of expressions; write (a and b) or (not a and c)",
		"lenn(a) > 1 or uper(a) == 'x'":      "1:1: unknown function \"lenn\"; did you mean \"len\"?\n1:16: unknown function \"uper\"; did you mean \"upper\"?",
		strings.Repeat("a", 20_000):          "1:1: the expression is longer than 16384 bytes; split it into several checks",
		strings.Repeat("!", 3_000) + "a":     "1:1: the expression has more than 2000 parts; split it into several checks",
		"a==b||c==d||e==f||g==h||i==j||k==l": "1:1: the expression compares more than 10 columns whose type it does not say; split it into several checks",
	} {
		var errs diag.List
		p := expr.Compile(text, at, &errs)
		require.Nil(t, p, text)
		require.Equal(t, want, errs.Error(), text)
	}
}

func TestColumnsAndReadings(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		text           string
		columns        []string
		all, selecting int
	}{
		{"a > 1", []string{"a"}, 1, 1},
		{"b > 1 && a > b", []string{"b", "a"}, 2, 2},
		{"a == b", []string{"a", "b"}, 4, 4},
		{`a == "x"`, []string{"a"}, 2, 1},
		{`a == ""`, []string{"a"}, 2, 2},
		{`a != "x"`, []string{"a"}, 2, 2},
		{`a in ["x", "y"] and b startsWith "z"`, []string{"a", "b"}, 4, 1},
		{`a == "x" or not (b == "y")`, []string{"a", "b"}, 4, 2},
		{`a matches "^$" or b matches "."`, []string{"a", "b"}, 4, 2},
		{"not is_null(a)", []string{"a"}, 2, 2},
		{"len(a) > 2", []string{"a"}, 2, 1},
		{`a >= "2026-01-01"`, []string{"a"}, 2, 2},
		{`a == lower(b)`, []string{"a", "b"}, 4, 4},
		{`is_null(a) or a > 1`, []string{"a"}, 1, 1},
	} {
		p := compile(t, tc.text)
		require.Equal(t, tc.text, p.Text())
		require.Equal(t, tc.columns, p.Columns(), tc.text)
		require.Len(t, p.Readings(false), tc.all, tc.text)
		require.Len(t, p.Readings(true), tc.selecting, tc.text)
		for _, selecting := range []bool{true, false} {
			for i, r := range p.Readings(selecting) {
				require.Equal(t, i, p.Index(r, selecting))
			}
		}
	}
}
