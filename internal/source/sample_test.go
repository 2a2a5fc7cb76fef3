package source

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
)

// sampledRows reads an input and returns the numbers of its rows, and checks
// that the column n of each is its number.
func sampledRows(t *testing.T, in Input, opts Options) (rows []int64, stats batch.Stats) {
	t.Helper()
	r, err := Open(t.Context(), in, opts)
	require.NoError(t, err)
	defer func() { require.NoError(t, r.Close()) }()
	var c batch.Chunk
	for {
		err := r.Next(t.Context(), &c)
		if errors.Is(err, io.EOF) {
			return rows, r.Stats()
		}
		require.NoError(t, err)
		at := slices.IndexFunc(r.Columns(), func(c batch.Column) bool { return c.Name == "n" })
		require.NoError(t, c.FillAll())
		for i := range c.Vectors {
			require.Equal(t, c.Rows, c.Vectors[i].Len())
		}
		for i := range c.Rows {
			v, k := c.Vectors[at].At(i)
			require.Equal(t, c.RowAt(i), v.Ints[k])
			rows = append(rows, v.Ints[k])
		}
	}
}

// numbered writes files of the numbers from 1 on, with a text that repeats.
func numbered(t *testing.T, format string, sizes ...int) Input {
	t.Helper()
	dir, n := t.TempDir(), 0
	for f, size := range sizes {
		var b strings.Builder
		if format == "csv" {
			b.WriteString("word,n\n")
		}
		for range size {
			n++
			if format == "csv" {
				fmt.Fprintf(&b, "w%d,%d\n", n%7, n)
			} else {
				fmt.Fprintf(&b, "{\"word\":\"w%d\",\"n\":%d}\n", n%7, n)
			}
		}
		write(t, dir, fmt.Sprintf("part%05d.%s", f, format), []byte(b.String()))
	}
	in, err := Expand([]string{dir}, false)
	require.NoError(t, err)
	return in[0]
}

func TestSampleTakesRowsByTheirNumber(t *testing.T) {
	t.Parallel()
	const n = 60_000
	for _, share := range []float64{0.00001, 0.1, 0.999} {
		var want []int64
		s := newSampler(share, 1)
		for _, i := range s.take(1, n) {
			want = append(want, int64(i)+1)
		}
		bound := 5 * math.Sqrt(n*share*(1-share))
		taken := float64(len(want))
		require.InDelta(t, n*share, taken, bound+1, "share %g", share)
		small := slices.Repeat([]int{200}, n/200)
		for name, in := range map[string]Input{
			"csv": numbered(t, "csv", n), "jsonl": numbered(t, "jsonl", n), "300 files": numbered(t, "csv", small...),
		} {
			got, stats := sampledRows(t, in, Options{Sample: share})
			require.Equal(t, want, got, "share %g, %s", share, name)
			require.Equal(t, share, stats.Sample)
			require.Equal(t, int64(n), stats.RowsRead)
		}
	}
}

func TestSampleOfAllIsNone(t *testing.T) {
	t.Parallel()
	for _, share := range []float64{0, 1} {
		rows, stats := sampledRows(t, numbered(t, "csv", 10), Options{Sample: share})
		require.Len(t, rows, 10)
		require.Zero(t, stats.Sample)
		require.Zero(t, stats.RowsRead)
	}
}

func TestSampleOfTheFirstRows(t *testing.T) {
	t.Parallel()
	in := numbered(t, "csv", 20_000)
	all, _ := sampledRows(t, in, Options{Sample: 0.1})
	for _, limit := range []int64{1, 5, 9_999, 20_000, 30_000} {
		want := all
		if i := slices.IndexFunc(all, func(r int64) bool { return r > limit }); i >= 0 {
			want = all[:i]
		}
		got, stats := sampledRows(t, in, Options{Sample: 0.1, Rows: limit})
		require.Equal(t, append([]int64{}, want...), append([]int64{}, got...), "the sample of the first %d rows", limit)
		require.Equal(t, min(limit, 20_000), stats.RowsRead, "--rows counts what is read")
	}
}

// The choice must not follow a pattern of the rows, as data of every second or
// every tenth row would show.
func TestSampleFollowsNoPattern(t *testing.T) {
	t.Parallel()
	const n, share = 1_000_000, 0.1
	taken := newSampler(share, 1).take(1, n)
	for _, period := range []int{2, 3, 7, 10, 16, 24, 64, 100} {
		counts := make([]float64, period)
		for _, i := range taken {
			counts[int(i)%period]++
		}
		want, chi := float64(len(taken))/float64(period), 0.0
		for _, c := range counts {
			chi += (c - want) * (c - want) / want
		}
		// mean and variance of χ² with period-1 degrees of freedom; five deviations
		require.Less(t, chi, float64(period-1)+5*math.Sqrt(2*float64(period-1)), "period %d", period)
	}
}

func TestSampleAllocatesNothing(t *testing.T) { //nolint:paralleltest // counts allocations
	s := newSampler(0.5, batch.InFlight)
	for range batch.InFlight {
		s.take(1, 8192)
	}
	first := int64(1)
	require.Zero(t, testing.AllocsPerRun(20, func() {
		s.take(first, 4096)
		first += 4096
	}))
}

// BenchmarkSample reads one row of a hundred of delimited text and of JSON.
func BenchmarkSample(b *testing.B) {
	const n = 30_000
	var csv, lines strings.Builder
	csv.WriteString("id,zone,fare,at,note\n")
	for i := range n {
		fmt.Fprintf(&csv, "%d,zone %d,%d.%02d,2026-01-%02dT10:00:%02d,note of %d\n", i, i%50, i%90, i%100, 1+i%28, i%60, i*7919)
		fmt.Fprintf(&lines, "{\"id\":%d,\"zone\":\"zone %d\",\"fare\":%d.%02d,\"at\":\"2026-01-%02dT10:00:%02d\",\"note\":\"note of %d\"}\n", i, i%50, i%90, i%100, 1+i%28, i%60, i*7919)
	}
	for name, text := range map[string]string{"csv": csv.String(), "jsonl": lines.String()} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				r, err := Open(b.Context(), Input{URL: "-", Files: []string{Stdin}, Size: -1}, Options{Stdin: strings.NewReader(text), Sample: 0.01})
				require.NoError(b, err)
				var c batch.Chunk
				for err == nil {
					if err = r.Next(b.Context(), &c); err == nil {
						err = c.FillAll()
					}
				}
				require.ErrorIs(b, err, io.EOF)
			}
		})
	}
}
