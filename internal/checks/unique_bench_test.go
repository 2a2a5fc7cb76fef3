package checks

import (
	"fmt"
	"testing"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/exact"
)

// chunkOf makes a chunk of a column of integers and one of texts, as a CSV.
func chunkOf(n int) *batch.Chunk {
	c := &batch.Chunk{Vectors: make([]batch.Vector, 2), Rows: n, First: 1}
	for i := range c.Vectors {
		c.Vectors[i].HasText, c.Vectors[i].Inferred = true, true
	}
	for i := range n {
		c.Vectors[0].Append(batch.Value{Type: batch.Integer, Int: int64(i)}, fmt.Appendf(nil, "%d", i))
		c.Vectors[1].Append(batch.Value{Type: batch.String}, fmt.Appendf(nil, "user-%08d", i))
	}
	return c
}

// BenchmarkUnique observes rows whose keys are in the set already: the cost of
// keys and lookups. BenchmarkSet of package exact has that of growing.
func BenchmarkUnique(b *testing.B) {
	const n = 2000
	c := chunkOf(n)
	for name, r := range map[string]rows{
		"integer": {chunk: c, v: &c.Vectors[0]},
		"text":    {chunk: c, v: &c.Vectors[1]},
		"both":    {chunk: c, cols: []*batch.Vector{&c.Vectors[0], &c.Vectors[1]}},
	} {
		b.Run(name, func(b *testing.B) {
			e := newKeys(nil, &sampler{max: 20})
			if r.v == nil {
				e = newKeys([]string{"a", "b"}, &sampler{max: 20})
			}
			e.useSpace(exact.NewSpace(1<<30, nil))
			defer e.close()
			for b.Loop() {
				e.observe(&r)
				c.First += n
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/row")
		})
	}
}

// No row costs an allocation, repeated ones neither.
func TestUniqueAllocatesNothing(t *testing.T) {
	c := chunkOf(2000)
	for _, r := range []rows{{chunk: c, v: &c.Vectors[0]}, {chunk: c, v: &c.Vectors[1]}, {chunk: c, cols: []*batch.Vector{&c.Vectors[0], &c.Vectors[1]}}} {
		e := newKeys(nil, &sampler{max: 20})
		if r.v == nil {
			e = newKeys([]string{"a", "b"}, &sampler{max: 20})
		}
		e.useSpace(exact.NewSpace(1<<30, nil))
		next := func() {
			e.observe(&r)
			c.First += int64(c.Rows)
		}
		for range 300 { // until hardly a row enters the sample
			next()
		}
		if n := testing.AllocsPerRun(50, next); n > 1 {
			t.Fatalf("%g allocations per chunk", n)
		}
		e.close()
	}
}
