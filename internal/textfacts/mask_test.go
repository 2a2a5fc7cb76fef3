package textfacts

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// naiveMask writes all symbols first, then folds runs, then cuts.
func naiveMask(text []byte) string {
	var symbols []rune
	for _, r := range string(text) {
		switch {
		case unicode.In(r, unicode.Lu, unicode.Lt):
			symbols = append(symbols, 'A')
		case unicode.IsLower(r):
			symbols = append(symbols, 'a')
		case unicode.In(r, unicode.L):
			symbols = append(symbols, 'x')
		case unicode.In(r, unicode.Nd):
			symbols = append(symbols, '9')
		case unicode.In(r, unicode.M):
		default:
			symbols = append(symbols, r)
		}
	}
	var out strings.Builder
	for i := 0; i < len(symbols); {
		n := 1
		for i+n < len(symbols) && symbols[i+n] == symbols[i] {
			n++
		}
		if out.Len() >= 48 {
			out.WriteString("…")
			break
		}
		if n > 8 {
			fmt.Fprintf(&out, "%c{%d}", symbols[i], n)
		} else {
			out.WriteString(strings.Repeat(string(symbols[i]), n))
		}
		i += n
	}
	return out.String()
}

func TestMaskTable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, mask string }{
		{"", ""},
		{"Z123-45", "A999-99"},
		{"2026-03-01 12:30", "9999-99-99 99:99"},
		{"anna.meier@example.org", "aaaa.aaaaa@aaaaaaa.aaa"},
		{"DE89370400440532013000", "AA9{20}"},
		{"ABCDEFGH", "AAAAAAAA"},
		{"ABCDEFGHI", "A{9}"},
		{"----------", "-{10}"},
		{"Straße", "Aaaaaa"},
		{"ÉCOLE école", "AAAAA aaaaa"},
		{"e\u0301cole", "aaaaa"},
		{"\u0301", ""},
		{"中文 12", "xx 99"},
		{"١٢٣", "999"},
		{"ǅ", "A"},
		{"½ €5 😀", "½ €9 😀"},
		{"a\xffb", "a\ufffda"},
		{"{a}", "{a}"},
		{strings.Repeat("ab1-", 30), strings.Repeat("aa9-", 12) + "…"},
		{strings.Repeat("ab1-", 12), strings.Repeat("aa9-", 12)},
		{strings.Repeat("x", 1_000_000), "a{1000000}"},
		{strings.Repeat("1a", 23) + "-" + strings.Repeat("😀", 8) + ".", strings.Repeat("9a", 23) + "-" + strings.Repeat("😀", 8) + "…"},
	} {
		require.Equal(t, c.mask, string(AppendMask(nil, []byte(c.text))), "%.40q", c.text)
		require.Equal(t, c.mask, naiveMask([]byte(c.text)), "%.40q", c.text)
	}
	require.Equal(t, "head A9", string(AppendMask([]byte("head "), []byte("Q7"))))
}

// requireMask proves a mask against the naive one, and its promises.
func requireMask(t *testing.T, text []byte) {
	t.Helper()
	mask := AppendMask(nil, text)
	if want := naiveMask(text); want != string(mask) {
		require.Failf(t, "masks differ", "%q: %q, want %q", text, mask, want)
	}
	if len(mask) > MaxMask || !utf8.Valid(mask) {
		require.Failf(t, "a promise is broken", "%q: %q", text, mask)
	}
}

func TestMaskOfEveryCharacter(t *testing.T) {
	t.Parallel()
	for r := range rune(unicode.MaxRune + 1) {
		requireMask(t, utf8.AppendRune(nil, r))
	}
}

func TestMaskOfRandomTexts(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	parts := []string{"a", "Q", "0", "-", " ", "é", "e\u0301", "中", "😀", "\xff", "12345678", "AAAAAAAA", "…", "{9}"}
	for range 20_000 {
		var b []byte
		for range r.IntN(60) {
			b = append(b, parts[r.IntN(1+r.IntN(len(parts)))]...)
		}
		requireMask(t, b)
	}
}

func FuzzMask(f *testing.F) {
	for _, s := range []string{"", "Z123-45", "grün", "\xff", "e\u0301", strings.Repeat("😀-", 20)} {
		f.Add([]byte(s))
	}
	f.Fuzz(requireMask)
}

func BenchmarkMask(b *testing.B) {
	for _, text := range []string{"Z123-45", "2026-03-01T12:34:56Z", "Straße der Einheit 17", "0123456789abcdef0123456789abcdef"} {
		b.Run(fmt.Sprintf("%d bytes", len(text)), func(b *testing.B) {
			v, dst := []byte(text), make([]byte, 0, MaxMask)
			b.ReportAllocs()
			for b.Loop() {
				dst = AppendMask(dst[:0], v)
			}
		})
	}
}
