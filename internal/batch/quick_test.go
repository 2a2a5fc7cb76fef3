package batch

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// spare appends what must follow a field: bytes that would change what it is.
func spare(field string, fill byte) []byte {
	b := []byte(field)
	for range RawSpare {
		b = append(b, fill)
	}
	return b
}

// sameAsClassifier reports whether quick took a field, and fails unless it says
// what the classifier says.
func sameAsClassifier(tb testing.TB, c *Classifier, field string) bool {
	tb.Helper()
	var ref Classifier
	took := false
	for _, fill := range []byte{'0', '9', ',', 'a', 0, 0xff} {
		for _, quoted := range []bool{false, true} {
			got, ok := c.quick(spare(field, fill), 0, uint32(len(field)), quoted)
			if !ok {
				continue
			}
			took = true
			want := ref.Text([]byte(field))
			if quoted {
				want = ref.Quoted([]byte(field))
			}
			require.Equal(tb, want, got, "%q, quoted %v, followed by %q", field, quoted, fill)
		}
	}
	return took
}

func TestQuickTakesWhatColumnsAreMadeOf(t *testing.T) {
	t.Parallel()
	var c Classifier
	for _, field := range []string{
		"1", "12345678", "123456789", "1234567890123456", "007", "0.5", "12.", "12345.6", "0.000001",
		"2024-02-29 23:59:59", "2024-02-29T00:00:00", "0000-01-01 00:00:00", "9999-12-31 23:59:59",
		"D012345", "élan", "zone", "0123456789abcdef", "00000000000000ab0000000000000000", "3é345678901234567",
	} {
		require.True(t, sameAsClassifier(t, &c, field), "%q is left open", field)
	}
}

func TestQuickLeavesTheRestOpen(t *testing.T) {
	t.Parallel()
	var c Classifier
	for _, field := range []string{
		"-1", "+1", ".5", " 1", "1 ", "\t1", "1e5", "1.2.3", "12345678.5", "12345678901234567", "99999999999999999999",
		"true", "False", "false           ", "NaN", "inf", "Infinity        ", "+infinity",
		"2024-02-30 00:00:00", "2024-13-01 00:00:00", "2024-02-29 24:00:00", "2024-02-29 23:60:00", "2024-02-29 23:59:60",
		"2024-02-29t00:00:00", "2024/02/29 00:00:00", "2024-02-29", "2024-02-29 00:00", "2024-02-29 00:00:00Z", "12:34:56",
		"2024-02-29 0a:00:00", "1a", "1234a", "12:4", "1:345678", "12345/78", "1234567:", "0x10", "1_000", "1234567890123a",
	} {
		sameAsClassifier(t, &c, field)
	}
	for _, field := range []string{"false           ", "true", "-1", "2024-02-30 00:00:00", "1e5", "1a"} {
		_, ok := c.quick(spare(field, '0'), 0, uint32(len(field)), false)
		require.False(t, ok, "%q", field)
	}
}

func TestQuickAgainstClassifierOnRandomFields(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	const letters = "00112233445566778899....--++::  TtZzeEabcdfnNiI/;@\x00\x7f\x80\xc3\xa9"
	var c Classifier
	took := 0
	for range 100_000 {
		var field []byte
		switch rng.IntN(5) {
		case 0:
			field = fmt.Appendf(nil, "%04d-%02d-%02d %02d:%02d:%02d", rng.IntN(10_000), rng.IntN(14), rng.IntN(33), rng.IntN(26), rng.IntN(62), rng.IntN(62))
		case 1:
			field = fmt.Appendf(nil, "%.*f", rng.IntN(7), rng.Float64()*1e7)
		case 2:
			field = fmt.Appendf(nil, "%d", rng.Uint64()>>rng.IntN(64))
		default:
			field = make([]byte, 1+rng.IntN(34))
			for i := range field {
				field[i] = letters[rng.IntN(len(letters))]
			}
		}
		if rng.IntN(4) == 0 { // one byte is another one
			field[rng.IntN(len(field))] = letters[rng.IntN(len(letters))]
		}
		if sameAsClassifier(t, &c, string(field)) {
			took++
		}
	}
	require.Greater(t, took, 20_000)
}

func FuzzQuick(f *testing.F) {
	for _, s := range []string{"2024-02-29 23:59:59", "12.5", "12345678", "00ab45678901234567", "false           "} {
		f.Add(s)
	}
	var c Classifier
	f.Fuzz(func(t *testing.T, field string) {
		if field != "" && len(field) < 100 {
			sameAsClassifier(t, &c, field)
		}
	})
}
