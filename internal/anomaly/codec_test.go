package anomaly

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/source/csv"
)

// dayFeatures are those of a small table of a day.
func dayFeatures(t testing.TB, day int, factor float64) *Features {
	t.Helper()
	rng := rand.New(rand.NewPCG(uint64(day), 5)) //nolint:gosec // a day
	var text strings.Builder
	text.WriteString("amount,kind\n")
	at := time.Date(2026, 1, 1+day, 0, 0, 0, 0, time.UTC)
	for i := range 40 {
		fmt.Fprintf(&text, "%.2f,%c\n", factor*(10+rng.NormFloat64()), 'a'+rune(i%4))
	}
	r, err := csv.New(strings.NewReader(text.String()), csv.Options{Source: "in.csv"})
	require.NoError(t, err)
	b := profile.NewBuilder()
	var c batch.Chunk
	for {
		err := r.Next(t.Context(), &c)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		require.NoError(t, b.Add(r.Columns(), &c))
	}
	return Extract(b.Finish(r.Columns(), profile.Info{Stats: r.Stats(), Source: profile.Source{Format: "csv"}}), at)
}

// FuzzState reads states that no checksum and no compression protects. What is
// read judges, learns and is written as any other.
func FuzzState(f *testing.F) {
	s := NewState()
	for day := range 24 {
		factor := 1.0
		if day == 15 || day == 19 || day == 23 {
			factor = 100
		}
		ft := dayFeatures(f, day, factor)
		s.Add(fmt.Sprint(day), ft, Options{Preset: Normal}, s.Judge(ft, Options{Preset: Normal}), NoLabel)
		if day == 1 || day == 8 || day == 23 {
			var early, late codec
			early.state(s)
			late.late(s)
			f.Add(early.b, late.b)
		}
	}
	next, odd := dayFeatures(f, 24, 1), dayFeatures(f, 25, 0.01)
	f.Fuzz(func(t *testing.T, early, late []byte) {
		s, err := readState(early, len(late)%2 == 1)
		if err != nil {
			require.ErrorIs(t, err, ErrFormat)
			return
		}
		s.readLate(late, nil)
		for i, ft := range []*Features{next, odd, next} {
			d := s.Judge(ft, Options{Preset: High})
			require.False(t, math.IsNaN(d.Score) || math.IsInf(d.Score, 0), "score %v", d.Score)
			s.Add(fmt.Sprint(i), ft, Options{Preset: High}, d, []Label{NoLabel, LabelFine, LabelNewNormal}[i])
		}
		a, err := s.Encode()
		require.NoError(t, err)
		back, err := Decode(a)
		require.NoError(t, err)
		b, err := back.Encode()
		require.NoError(t, err)
		require.True(t, bytes.Equal(a, b))
	})
}
