package profile_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/profile"
)

// The profile of kept rows is that of a batch of these rows, but for the row
// numbers, which are those of the source. Entries of a dictionary that no kept
// row has count nothing.
func TestKeptRowsAreProfiledAsABatch(t *testing.T) {
	t.Parallel()
	columns := []batch.Column{{Name: "plain"}, {Name: "coded"}}
	rng := rand.New(rand.NewPCG(7, 11))
	dict := &batch.Vector{}
	for i := range 50 {
		dict.Append(batch.Value{Type: batch.Integer, Int: int64(i)}, nil)
	}
	dict.Append(batch.Value{Type: batch.String}, []byte("odd"))
	sampled, direct := profile.NewBuilder(), profile.NewBuilder()
	first, odd := int64(1), int64(0)
	for range 20 {
		const n = 300
		var c, d batch.Chunk
		c.Reset(2, nil)
		d.Reset(2, nil)
		c.Vectors[1].Dict, d.Vectors[1].Dict = dict, dict
		kept := []int32{}
		for i := range n {
			value, text := batch.Value{Type: batch.Integer, Int: rng.Int64N(1000)}, []byte(nil)
			if rng.IntN(30) == 0 {
				value, text = batch.Value{Type: batch.String}, []byte("x")
			}
			code := uint32(rng.IntN(40))
			if rng.IntN(60) == 0 {
				code = 50
			}
			c.Vectors[0].Append(value, text)
			c.Vectors[1].Codes = append(c.Vectors[1].Codes, code)
			if rng.IntN(5) > 0 {
				continue
			}
			kept = append(kept, int32(i))
			d.Vectors[0].Append(value, text)
			d.Vectors[1].Codes = append(d.Vectors[1].Codes, code)
			if odd == 0 && code == 50 {
				odd = first + int64(i)
			}
		}
		c.Rows, c.First, d.Rows, d.First = n, first, len(kept), first
		c.Keep(kept)
		for i := range c.Vectors {
			c.Vectors[i].Select(kept)
		}
		c.Filled()
		d.Filled()
		first += n
		require.NoError(t, sampled.Add(columns, &c))
		require.NoError(t, direct.Add(columns, &d))
	}
	got := sampled.Finish(columns, profile.Info{ProfiledAt: time.Unix(0, 0), Stats: batch.Stats{Sample: 0.2, RowsRead: first - 1}})
	want := direct.Finish(columns, profile.Info{ProfiledAt: time.Unix(0, 0)})
	gs, ws := *got.Summary(), *want.Summary()
	require.Equal(t, 0.2, *gs.Source.Sample)
	require.Equal(t, int64(6000), gs.Source.RowsRead)
	require.Equal(t, odd, gs.Columns[1].Mixed.First.Row)
	rows, ok := gs.Metric("row_count")
	require.True(t, ok)
	require.Equal(t, 6000.0, rows, "all rows are counted")
	gs.Source = ws.Source
	for i := range gs.Columns {
		require.NotNil(t, ws.Columns[i].Mixed)
		ws.Columns[i].Mixed.First.Row = gs.Columns[i].Mixed.First.Row
	}
	require.Equal(t, ws, gs)

	b, err := got.Encode()
	require.NoError(t, err)
	back, err := profile.Decode(b)
	require.NoError(t, err)
	require.Equal(t, got.Summary(), back.Summary())

	_, err = profile.Merged(got, want)
	require.ErrorIs(t, err, profile.ErrSamples)
	whole, err := profile.Merged(got, back)
	require.NoError(t, err)
	require.Equal(t, int64(12_000), whole.Summary().Source.RowsRead)
	require.Equal(t, got.Rows()*2, whole.Rows())
}
