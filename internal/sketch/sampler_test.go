package sketch

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSamplerRates(t *testing.T) {
	t.Parallel()
	s := NewSampler(1)
	for _, c := range []struct {
		rows uint64
		rate int
	}{
		{0, 1}, {131_071, 1}, {131_072, 2}, {262_143, 2}, {262_144, 4}, {524_287, 4}, {524_288, 8},
		{1_048_575, 8}, {1_048_576, 16}, {1 << 62, 16}, {math.MaxUint64, 16},
	} {
		s.seen = c.rows
		require.Equal(t, c.rate, s.Rate(), "after %d rows", c.rows)
		sample := s.Draw(nil, 100)
		require.Equal(t, c.rate, sample.Rate)
	}
}

// Each group of Rate rows has one row in the sample, and a rest has its own.
func TestSamplerTakesOneOfEachGroup(t *testing.T) {
	t.Parallel()
	for _, seen := range []uint64{131_072, 262_144, 524_288, 1_048_576} {
		s := &Sampler{random: 9, seen: seen}
		rate := s.Rate()
		var buf []int32
		for n := range 300 {
			s.seen = seen
			sample := s.Draw(buf, n)
			buf = sample.Rows
			require.Len(t, sample.Rows, (n+rate-1)/rate)
			total := 0
			for i, row := range sample.Rows {
				from, size := i*rate, min(rate, n-i*rate)
				require.True(t, int(row) >= from && int(row) < from+size, "row %d of group %d", row, i)
				if i == len(sample.Rows)-1 {
					require.Equal(t, size, sample.Last)
					total += sample.Last
				} else {
					total += sample.Rate
				}
			}
			require.Equal(t, n, total, "the weights sum to the rows")
		}
	}
}

func TestSamplerIsFair(t *testing.T) {
	t.Parallel()
	const rounds, n = 32_000, 45 // two groups of 16 and a rest of 13
	s := &Sampler{random: 3}
	var hits [n]float64
	var buf []int32
	for range rounds {
		s.seen = 1 << 40
		sample := s.Draw(buf, n)
		buf = sample.Rows
		for _, row := range sample.Rows {
			hits[row]++
		}
	}
	for row, got := range hits {
		p := 1.0 / 16
		if row >= 32 {
			p = 1.0 / 13
		}
		require.InDelta(t, rounds*p, got, 5*math.Sqrt(rounds*p), "row %d", row)
	}
}

func TestSamplerIsSeeded(t *testing.T) {
	t.Parallel()
	draw := func(seed uint64) []int32 {
		s := NewSampler(seed)
		s.Draw(nil, 1<<21)
		return s.Draw(nil, 2000).Rows
	}
	once := draw(1)
	require.Equal(t, once, draw(1))
	require.NotEqual(t, draw(1), draw(2))
}

func BenchmarkSamplerDraw(b *testing.B) {
	s := &Sampler{seen: 1 << 40}
	var rows []int32
	b.ReportAllocs()
	for b.Loop() {
		rows = s.Draw(rows, benchSlice).Rows
	}
	perValue(b, benchSlice)
}
