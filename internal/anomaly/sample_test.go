package anomaly

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// ofSample returns a copy of features as if they were of a share of the rows.
func ofSample(f *Features, share float64) *Features {
	g := *f
	g.sample = share
	return &g
}

// Batches of another share of the rows are not compared with those before, and
// what is learned then is of that share, also after encoding.
func TestSamplesAreLearnedByThemselves(t *testing.T) {
	t.Parallel()
	o := Options{Preset: Normal}
	s := NewState()
	add := func(day int, share float64) Decision {
		t.Helper()
		f := ofSample(dayFeatures(t, day, 1), share)
		data, err := f.Encode()
		require.NoError(t, err)
		read, err := DecodeFeatures(data)
		require.NoError(t, err)
		require.Equal(t, share, read.sample)
		d := s.Judge(read, o)
		s.Add(fmt.Sprint(day), read, o, d, NoLabel)
		if data, err = s.Encode(); err == nil {
			s, err = Decode(data)
		}
		require.NoError(t, err)
		require.Equal(t, s, s.Clone())
		return d
	}
	for day := range 10 {
		require.Equal(t, day, add(day, 0).Batches)
	}
	require.Equal(t, 0, add(10, 0.1).Batches, "of a sample nothing is known")
	require.Equal(t, 1, s.Batches())
	for day := 11; day < 41; day++ {
		require.Equal(t, day-10, add(day, 0.1).Batches)
	}
	odd := dayFeatures(t, 41, 0.01)
	require.Equal(t, Fail, s.Judge(ofSample(odd, 0.1), o).Status)
	require.Equal(t, Learning, s.Judge(odd, o).Status, "not compared with samples")
	require.Equal(t, Learning, s.Judge(ofSample(odd, 0.2), o).Status)
	require.Equal(t, 31, s.Batches(), "judging changes nothing")
}

func TestSharesThatAreNone(t *testing.T) {
	t.Parallel()
	for _, share := range []float64{1, -0.5, 1.5, math.SmallestNonzeroFloat64} {
		f := ofSample(dayFeatures(t, 1, 1), 0.5)
		data, err := f.Encode()
		require.NoError(t, err)
		rest, of, err := checkMagic(featuresMagic, featuresVersion, data)
		require.NoError(t, err)
		require.True(t, of)
		b, err := decompress(rest)
		require.NoError(t, err)
		c := codec{b: b[:len(b)-8]}
		c.float(&share)
		data, err = pack(featuresMagic, featuresVersion|sampled, c.b)
		require.NoError(t, err)
		_, err = DecodeFeatures(data)
		if share > 0 && share < 1 {
			require.NoError(t, err)
			continue
		}
		require.ErrorIs(t, err, ErrFormat)
	}
}
