package diag_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/diag"
)

func TestDiagnosticText(t *testing.T) {
	t.Parallel()
	tests := []struct {
		d    diag.Diagnostic
		want string
	}{
		{diag.Diagnostic{Pos: diag.Position{"rules/orders.yaml", 14, 7}, Message: `unknown key "maks" in check "range"`, Hint: `did you mean "max"?`},
			`rules/orders.yaml:14:7: unknown key "maks" in check "range"; did you mean "max"?`},
		{diag.Diagnostic{Pos: diag.Position{"a.yaml", 3, 0}, Severity: diag.Warning, Message: "m"}, "a.yaml:3: warning: m"},
		{diag.Diagnostic{Pos: diag.Position{"a.yaml", 0, 9}, Message: "m"}, "a.yaml: m"},
		{diag.Diagnostic{Pos: diag.Position{"", 3, 4}, Message: "m"}, "3:4: m"},
		{diag.Diagnostic{Message: "two\r\nlines", Hint: "a\nb"}, "two lines; a b"},
	}
	for _, tt := range tests {
		require.Equal(t, tt.want, tt.d.Error())
	}
}

func TestListSortsAndSplits(t *testing.T) {
	t.Parallel()
	at := func(file string, line, column int, s diag.Severity) diag.Diagnostic {
		return diag.Diagnostic{Pos: diag.Position{File: file, Line: line, Column: column}, Severity: s, Message: fmt.Sprint(s)}
	}
	l := diag.List{at("b", 1, 1, diag.Error), at("a", 10, 1, diag.Warning), at("a", 2, 5, diag.Error), at("a", 2, 1, diag.Error), at("b", 1, 1, diag.Error)}
	require.Equal(t, "a:2:1: error\na:2:5: error\na:10:1: warning: warning\nb:1:1: error", l.Sorted().Error())
	require.Equal(t, "b:1:1: error", l[0].Error(), "sorting does not change the list")
	require.EqualError(t, l.Err(), "a:2:1: error\na:2:5: error\nb:1:1: error")
	require.NoError(t, l[1:2].Err())
	require.NoError(t, diag.List(nil).Err())
	var list diag.List
	require.ErrorAs(t, fmt.Errorf("load: %w", l.Err()), &list)
	require.Len(t, list, 3)
	var one diag.Diagnostic
	require.ErrorAs(t, l.Err(), &one)
}

func TestErrorfUnderlines(t *testing.T) {
	t.Parallel()
	var l diag.List
	l.Errorf(diag.Position{Line: 1, Column: 2}, 3, "c", "%d of %d", 1, 2)
	require.Equal(t, diag.List{{Pos: diag.Position{Line: 1, Column: 2}, Width: 3, Code: "c", Message: "1 of 2"}}, l)
}

func TestExcerpt(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 120) + "BAD" + strings.Repeat("z", 120)
	tests := []struct {
		name   string
		source string
		line   int
		column int
		width  int
		want   string
	}{
		{"plain", "x\n  maks: 5\r\n", 2, 3, 4, "   2 |   maks: 5\n     |   ^^^^\n"},
		{"width 0", "abc", 1, 2, 0, "   1 | abc\n     |  ^\n"},
		{"tab", "\tmaks", 1, 2, 4, "   1 |     maks\n     |     ^^^^\n"},
		{"wide", "語語: x", 1, 5, 1, "   1 | 語語: x\n     |       ^\n"},
		{"wide underlined", "語: x", 1, 1, 1, "   1 | 語: x\n     | ^^\n"},
		{"combining", "e\u0301x", 1, 3, 1, "   1 | e\u0301x\n     |  ^\n"},
		{"escape codes", "a\x1b[31mb", 1, 1, 1, "   1 | a\ufffd[31mb\n     | ^\n"},
		{"byte order mark", "\ufeffab", 1, 1, 2, "   1 | ab\n     | ^^\n"},
		{"past the end", "ab", 1, 3, 1, "   1 | ab\n     |   ^\n"},
		{"too wide", "ab", 1, 2, 50, "   1 | ab\n     |  ^\n"},
		{"no column", "ab", 1, 0, 1, "   1 | ab\n"},
		{"no such line", "ab", 7, 1, 1, ""},
		{"no line", "ab", 0, 1, 1, ""},
		{"long", long, 1, 121, 3, "   1 | …" + strings.Repeat("a", 40) + "BAD" + strings.Repeat("z", 57) + "…\n     |  " + strings.Repeat(" ", 40) + "^^^\n"},
		{"long line number", strings.Repeat("\n", 99999) + "x", 100000, 1, 1, "100000 | x\n       | ^\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := diag.Diagnostic{Pos: diag.Position{Line: tt.line, Column: tt.column}, Width: tt.width, Message: "m"}
			var b strings.Builder
			diag.Excerpt(&b, d, []byte(tt.source))
			require.Equal(t, d.Error()+"\n"+tt.want, b.String())
		})
	}
}

func TestHint(t *testing.T) {
	t.Parallel()
	kinds := []string{"not_null", "unique", "range", "max", "min", "mean", "median", "max_length", "distinct", "distinct_rate", "row_count", "warn", "fail", "in", "by", "of", "owner"}
	tests := []struct{ word, want string }{
		{"maks", "max"},
		{"MAX", "max"},
		{"not-null", "not_null"},
		{"notnull", "not_null"},
		{"rnage", "range"},
		{"uniqe", "unique"},
		{"dist", "distinct"},
		{"warn_if", "warn"},
		{"ownr", "owner"},
		{"medain", "median"},
		{"rowcount", "row_count"},
		{"max_lenght", "max_length"},
		{"zzz", ""},
		{"qq", ""},
		{"x", ""},
		{"", ""},
		{"in", ""},
		{strings.Repeat("max", 30), ""},
	}
	for _, tt := range tests {
		want := ""
		if tt.want != "" {
			want = `did you mean "` + tt.want + `"?`
		}
		require.Equal(t, want, diag.Hint(tt.word, kinds), tt.word)
	}
	_, ok := diag.Nearest("max", nil)
	require.False(t, ok)
}

func FuzzExcerpt(f *testing.F) {
	f.Add([]byte("a\n\tb語\n"), 2, 2, 1)
	f.Fuzz(func(t *testing.T, source []byte, line, column, width int) {
		var b strings.Builder
		diag.Excerpt(&b, diag.Diagnostic{Pos: diag.Position{Line: line, Column: column}, Width: width, Message: "m"}, source)
		require.LessOrEqual(t, strings.Count(b.String(), "\n"), 3)
	})
}
