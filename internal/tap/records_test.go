package tap

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// naive follows the rules of records byte by byte and returns the state behind
// b and the indexes behind the records that end in it.
func naive(k *scanner, s state, b []byte) (state, []int) {
	var ends []int
	for i, c := range b {
		switch {
		case s == quoted:
			if c == k.quote {
				s = quoteSeen
			}
		case s == quoteSeen && c == k.quote:
			s = quoted
		case c == '\n':
			s = recordStart
			ends = append(ends, i+1)
		case s == quoteSeen && c == k.delimiter:
			s = fieldStart
		case s == quoteSeen && c == '\r':
			s = quoteCR
		case s == quoteSeen, s == quoteCR:
			s = broken
		case s == broken, s == comment:
		case s == recordStart && k.comment != 0 && c == k.comment:
			s = comment
		case k.quote != 0 && c == k.quote && s != bare:
			s = quoted
		case k.quote != 0 && c == k.delimiter:
			s = fieldStart
		default:
			s = bare
		}
	}
	return s, ends
}

// noise is text of the characters that matter.
func noise(r *rand.Rand, n int) []byte {
	const alphabet = "\"\",,\n\n\r#aaaab"
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[r.IntN(len(alphabet))]
	}
	return b
}

var scanners = []scanner{{quote: '"', delimiter: ','}, {quote: '"', delimiter: ',', comment: '#'}, {}, {quote: '\'', delimiter: '\t'}}

func TestScannersAgreeWithTheNaiveOne(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 40_000 {
		k := &scanners[i%len(scanners)]
		b := noise(r, r.IntN(40))
		from := state(r.IntN(int(lost)))
		if k.quote == 0 {
			from = []state{recordStart, bare}[r.IntN(2)]
		}
		want, ends := naive(k, from, b)
		got, last := k.last(from, b)
		require.Equal(t, want, got, "%q from %d", b, from)
		if len(ends) == 0 {
			require.Equal(t, -1, last, "%q from %d", b, from)
			got, n := k.first(from, b)
			require.Equal(t, -1, n, "%q from %d", b, from)
			require.Equal(t, want, got, "%q from %d", b, from)
			continue
		}
		require.Equal(t, ends[len(ends)-1], last, "%q from %d", b, from)
		before, n := k.first(from, b)
		require.Equal(t, ends[0], n, "%q from %d", b, from)
		front, _ := naive(k, from, b[:n-1])
		require.Equal(t, front, before, "%q from %d", b, from)
	}
}

func TestMovesAreThoseOfEveryState(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	for i := range 4_000 {
		k := &scanners[i%2]
		b := noise(r, r.IntN(3000))
		cut := r.IntN(len(b) + 1)
		m, n := stay(), stay()
		m.over(k, b[:cut])
		n.over(k, b[cut:])
		m.then(&n, int64(len(b)-cut))
		for s := range lost {
			want, ends := naive(k, s, b)
			require.Equal(t, want, m.to[s])
			if len(ends) > 0 {
				require.Equal(t, int64(len(b)-ends[len(ends)-1]), m.run[s])
			} else {
				require.Equal(t, int64(len(b)), m.run[s])
			}
		}
		require.Equal(t, lost, m.to[lost])
	}
}

func TestALongQuoteIsLost(t *testing.T) {
	t.Parallel()
	text := make([]byte, recordLimit+1)
	for i := range text {
		text[i] = 'x'
		if i%100 == 99 {
			text[i] = '\n'
		}
	}
	whole, parts := stay(), stay()
	whole.over(&scanners[0], text)
	for b := text; len(b) > 0; b = b[min(len(b), 100_000):] {
		m := stay()
		m.over(&scanners[0], b[:min(len(b), 100_000)])
		parts.then(&m, int64(min(len(b), 100_000)))
	}
	for _, m := range []moves{whole, parts} {
		require.Equal(t, lost, m.to[quoted], "nobody knows whether the reader gave the quote up")
		require.Equal(t, bare, m.to[recordStart])
	}
}

func BenchmarkScanner(b *testing.B) {
	plain := []byte("A12345,ann@example.com,19.90,paid,2026-03-01T08:12:00Z\n")
	quotes := []byte("\"A12345\",\"ann@example.com\",\"19.90\",\"paid\",\"2026-03-01T08:12:00Z\"\n")
	for name, line := range map[string][]byte{"plain": plain, "quoted": quotes} {
		var block []byte
		for len(block) < BlockBytes {
			block = append(block, line...)
		}
		b.Run("last/"+name, func(b *testing.B) {
			b.SetBytes(int64(len(block)))
			b.ReportAllocs()
			for b.Loop() {
				scanners[0].last(recordStart, block)
			}
		})
		b.Run("moves/"+name, func(b *testing.B) {
			b.SetBytes(int64(len(block)))
			b.ReportAllocs()
			for b.Loop() {
				m := stay()
				m.over(&scanners[0], block)
			}
		})
	}
}
