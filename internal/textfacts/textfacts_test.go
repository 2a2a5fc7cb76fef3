package textfacts

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// naive is TextFacts character by character.
func naive(b []byte) (chars int, flags Flags) {
	s := string(b)
	blank, digits := true, s != ""
	for _, r := range s {
		chars++
		// The library counts U+0085 and U+00A0 among spaces as well.
		blank = blank && unicode.IsSpace(r)
		digits = digits && strings.ContainsRune("0123456789", r)
		if r > 127 {
			flags |= NonASCII
		}
	}
	if !utf8.ValidString(s) {
		flags |= Invalid
	}
	if blank {
		flags |= Blank
	}
	if !digits {
		return chars, flags
	}
	flags |= Digits
	if strings.HasPrefix(s, "0") && len(s) > 1 {
		flags |= ZeroFirst
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || len(s) < 12 || len(s) > 19 {
		return chars, flags
	}
	from, to := time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, at := range []time.Time{time.UnixMilli(n), time.UnixMicro(n), time.Unix(0, n)} {
		if !at.Before(from) && at.Before(to) {
			flags |= Epoch
		}
	}
	return chars, flags
}

func requireFacts(t *testing.T, b []byte) {
	t.Helper()
	wantChars, wantFlags := naive(b)
	chars, flags := TextFacts(b)
	if wantChars != chars || wantFlags != flags {
		require.Failf(t, "facts differ", "%q: %d characters, flags %b; want %d, %b", b, chars, flags, wantChars, wantFlags)
	}
	if IsASCII(b) != (wantFlags&NonASCII == 0) {
		require.Failf(t, "ASCII differs", "%q", b)
	}
}

func TestTextFactsTable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text  string
		chars int
		flags Flags
	}{
		{"", 0, Blank},
		{" ", 1, Blank},
		{"\t\n\v\f\r ", 6, Blank},
		{"\u00a0\u2003\u3000", 3, Blank | NonASCII},
		{"\u200b", 1, NonASCII},
		{"\x1c\x1f", 2, 0},
		{" a", 2, 0},
		{"7", 1, Digits},
		{"0", 1, Digits},
		{"00", 2, Digits | ZeroFirst},
		{"01067", 5, Digits | ZeroFirst},
		{"12345678", 8, Digits},
		{"1234567:", 8, 0},
		{"1234567/", 8, 0},
		{"/2345678", 8, 0},
		{"-12345678", 9, 0},
		{"1700000000000", 13, Digits | Epoch},
		{"1700000000000000", 16, Digits | Epoch},
		{"1700000000000000000", 19, Digits | Epoch},
		{"631152000000", 12, Digits | Epoch},
		{"631151999999", 12, Digits},
		{"4102444799999", 13, Digits | Epoch},
		{"4102444800000", 13, Digits},
		{"0631152000000", 13, Digits | ZeroFirst | Epoch},
		{"17000000000000000000", 20, Digits},
		{"9999999999999999999", 19, Digits},
		{"Übermut", 7, NonASCII},
		{"١٢٣", 3, NonASCII},
		{"😀😀😀😀😀", 5, NonASCII},
		{"abc\xff", 4, NonASCII | Invalid},
		{"\xe2\x82", 2, NonASCII | Invalid},
		{"  \xff", 3, NonASCII | Invalid},
		{"\ufffd", 1, NonASCII},
	} {
		chars, flags := TextFacts([]byte(c.text))
		require.Equal(t, c.chars, chars, "%q", c.text)
		require.Equal(t, c.flags, flags, "%q", c.text)
		requireFacts(t, []byte(c.text))
	}
}

// Every byte at every place of every short length.
func TestTextFactsEveryByteAtEveryPlace(t *testing.T) {
	t.Parallel()
	for n := 1; n <= 26; n++ {
		for _, fill := range []byte{'5', 'x', ' '} {
			b := bytes.Repeat([]byte{fill}, n)
			for at := range b {
				for c := range 256 {
					b[at] = byte(c)
					requireFacts(t, b)
				}
				b[at] = fill
			}
		}
	}
}

func TestTextFactsOfRandomTexts(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	parts := []string{"a", "Z", "0", "9", " ", "-", "é", "ß", "中", "😀", "\u00a0", "\xff", "\xe2\x82", "e\u0301", "12345678", "\t"}
	for range 20_000 {
		var b []byte
		for range r.IntN(40) {
			b = append(b, parts[r.IntN(1+r.IntN(len(parts)))]...)
		}
		requireFacts(t, b)
	}
}

func TestIsASCIIAtEveryPlace(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 3, 4, 7, 8, 9, 31, 32, 33, 63, 64, 65, 100} {
		b := bytes.Repeat([]byte{'a'}, n)
		require.True(t, IsASCII(b))
		for at := range b {
			b[at] = 0x80
			require.False(t, IsASCII(b), "%d of %d", at, n)
			b[at] = 'a'
		}
	}
}

func TestAppendColumn(t *testing.T) {
	t.Parallel()
	data := []byte("abc00042 é\xff")
	spans := []Span{{0, 3}, {3, 8}, {8, 9}, {9, 11}, {11, 12}, {4, 4}}
	require.Equal(t, []Fact{
		{1, 0}, {3, 0}, {5, Digits | ZeroFirst}, {1, Blank}, {1, NonASCII}, {1, NonASCII | Invalid}, {0, Blank},
	}, AppendColumn([]Fact{{1, 0}}, data, spans))
}

func TestTextFactsDoNotAllocate(t *testing.T) {
	texts := [][]byte{[]byte("plain text"), []byte("0123456789012"), []byte("grün 中"), []byte("\xff"), nil}
	facts := make([]Fact, 0, 8)
	spans := []Span{{0, 3}, {3, 9}}
	dst := make([]byte, 0, MaxMask)
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		for _, b := range texts {
			TextFacts(b)
			dst = AppendMask(dst[:0], b)
		}
		facts = AppendColumn(facts[:0], texts[0], spans)
	}))
}

func FuzzTextFacts(f *testing.F) {
	for _, s := range []string{"", "00", "grün", "\xff", "1700000000000", "\u2003 ", "aaaaaaaaaaaaaaaa"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) { requireFacts(t, b) })
}

func BenchmarkTextFacts(b *testing.B) {
	for _, text := range []string{
		"7", "PAID", "trip-17", "01067123", "customer 12", "1700000000000", "Main Street 12 B", "2026-03-01T12:34:56Z",
		"0123456789abcdef0123456789abcdef", "Straße der Einheit 17", "中文字符测试",
	} {
		b.Run(fmt.Sprintf("%d bytes %s", len(text), text[:min(4, len(text))]), func(b *testing.B) {
			v := []byte(text)
			b.ReportAllocs()
			for b.Loop() {
				TextFacts(v)
			}
		})
	}
}

func BenchmarkIsASCII(b *testing.B) {
	v := bytes.Repeat([]byte("plain "), 4000)
	b.SetBytes(int64(len(v)))
	for b.Loop() {
		IsASCII(v)
	}
}
