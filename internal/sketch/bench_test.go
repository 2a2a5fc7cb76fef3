package sketch

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
)

const benchSize = 1 << 16

func benchFloats() []float64 {
	r := rand.New(rand.NewPCG(1, 2))
	v := make([]float64, benchSize)
	for i := range v {
		v[i] = 100 + 15*r.NormFloat64()
	}
	return v
}

func BenchmarkHLLAdd(b *testing.B) {
	h := NewHLL()
	var i uint64
	for b.Loop() {
		h.Add(mix(i))
		i++
	}
}

func BenchmarkHLLAddHashes(b *testing.B) {
	h := NewHLL()
	hashes := make([]uint64, benchSize)
	for i := range hashes {
		hashes[i] = mix(uint64(i))
	}
	i := 0
	for b.Loop() {
		h.AddHashes(hashes[i : i+benchSlice])
		i = (i + benchSlice) % (benchSize - benchSlice)
	}
	perValue(b, benchSlice)
}

func BenchmarkHLLMerge(b *testing.B) {
	h, o := NewHLL(), NewHLL()
	for i := range uint64(100_000) {
		o.Add(mix(i))
	}
	for b.Loop() {
		h.Merge(o)
	}
}

func BenchmarkHLLEstimate(b *testing.B) {
	h := NewHLL()
	for i := range uint64(100_000) {
		h.Add(mix(i))
	}
	for b.Loop() {
		h.Estimate()
	}
}

func BenchmarkKLLAdd(b *testing.B) {
	v := benchFloats()
	b.Run("real", func(b *testing.B) {
		s, i := NewKLL[float64](1), 0
		b.ReportAllocs()
		for b.Loop() {
			s.Add(v[i%benchSize])
			i++
		}
	})
	b.Run("integer", func(b *testing.B) {
		s, i := NewKLL[int64](1), 0
		b.ReportAllocs()
		for b.Loop() {
			s.Add(int64(v[i%benchSize]))
			i++
		}
	})
	b.Run("weight 16", func(b *testing.B) {
		s, i := NewKLL[float64](1), 0
		b.ReportAllocs()
		for b.Loop() {
			s.AddWeighted(v[i%benchSize], 16)
			i++
		}
	})
	b.Run("weight 1e6", func(b *testing.B) {
		s, i := NewKLL[float64](1), 0
		b.ReportAllocs()
		for b.Loop() {
			s.AddWeighted(v[i%benchSize], 1_000_000+uint64(i%1000))
			i++
		}
	})
}

// perValue reports the time of one of n values of an iteration.
func perValue(b *testing.B, n int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/value")
}

// benchSlice is how many values a block of a file has.
const benchSlice = 2000

func BenchmarkKLLAddSlice(b *testing.B) {
	v := benchFloats()
	times := make([]int64, len(v))
	for i := range times {
		times[i] = 1_700_000_000 + int64(i)
	}
	b.Run("real", func(b *testing.B) {
		s, i := NewKLL[float64](1), 0
		b.ReportAllocs()
		for b.Loop() {
			s.AddSlice(v[i : i+benchSlice])
			i = (i + benchSlice) % (benchSize - benchSlice)
		}
		perValue(b, benchSlice)
	})
	b.Run("ascending", func(b *testing.B) {
		s, i := NewKLL[int64](1), 0
		for b.Loop() {
			s.AddSlice(times[i : i+benchSlice])
			i = (i + benchSlice) % (benchSize - benchSlice)
		}
		perValue(b, benchSlice)
	})
	b.Run("sampled", func(b *testing.B) {
		s, sampler, i := NewKLL[float64](1), &Sampler{seen: 1 << 40}, 0
		var rows []int32
		b.ReportAllocs()
		for b.Loop() {
			sample := sampler.Draw(rows, benchSlice)
			rows = sample.Rows
			s.AddSample(v[i:i+benchSlice], sample)
			i = (i + benchSlice) % (benchSize - benchSlice)
		}
		perValue(b, benchSlice)
	})
}

func BenchmarkKLLCounts(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	sorted := make([]Weighted[float64], 8000)
	for i := range sorted {
		sorted[i] = Weighted[float64]{float64(i) / 100, 1 + r.Uint64N(2000)}
	}
	shuffled := slices.Clone(sorted)
	r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	b.Run("one by one", func(b *testing.B) {
		for b.Loop() {
			s := NewKLL[float64](1)
			for _, w := range shuffled {
				s.AddWeighted(w.Value, w.Weight)
			}
		}
		perValue(b, len(sorted))
	})
	b.Run("ascending", func(b *testing.B) {
		for b.Loop() {
			NewKLL[float64](1).AddCounts(sorted)
		}
		perValue(b, len(sorted))
	})
	b.Run("in any order", func(b *testing.B) {
		c := make([]Weighted[float64], len(sorted))
		for b.Loop() {
			copy(c, shuffled)
			NewKLL[float64](1).AddCounts(c)
		}
		perValue(b, len(sorted))
	})
}

func BenchmarkKLLMerge(b *testing.B) {
	s, o := NewKLL[float64](1), NewKLL[float64](2)
	for _, v := range benchFloats() {
		o.Add(v)
	}
	for b.Loop() {
		s.Merge(o)
	}
}

func BenchmarkKLLWeighted(b *testing.B) {
	s := NewKLL[float64](1)
	for _, v := range benchFloats() {
		s.Add(v)
	}
	for b.Loop() {
		s.Weighted()
	}
}

func BenchmarkFrequentAdd(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	zipf := rand.NewZipf(r, 1.1, 1, 1<<20)
	type entry struct {
		hash uint64
		text []byte
	}
	skewed, unique := make([]entry, benchSize), make([]entry, benchSize)
	for i := range skewed {
		v := zipf.Uint64()
		skewed[i] = entry{mix(v), strconv.AppendUint(nil, v, 10)}
		unique[i] = entry{mix(uint64(i)), strconv.AppendInt(nil, int64(i), 10)}
	}
	for _, shape := range []struct {
		name string
		data []entry
	}{{"skewed", skewed}, {"unique", unique}, {"few", skewed[:1000]}} {
		data := shape.data
		b.Run(shape.name, func(b *testing.B) {
			f, i := NewFrequent(), 0
			b.ReportAllocs()
			for b.Loop() {
				e := &data[i%len(data)]
				f.Add(e.hash, e.text, 1)
				i++
			}
		})
		hashes := make([]uint64, len(data)/1000*1000)
		for i := range hashes {
			hashes[i] = data[i].hash
		}
		b.Run("slice/"+shape.name, func(b *testing.B) {
			f, i := NewFrequent(), 0
			text := func(row int) []byte { return data[i+row].text }
			b.ReportAllocs()
			for b.Loop() {
				f.AddSlice(hashes[i:i+1000], text)
				i = (i + 1000) % len(hashes)
			}
			perValue(b, 1000)
		})
		b.Run("sampled/"+shape.name, func(b *testing.B) {
			f, sampler, i := NewFrequent(), &Sampler{seen: 1 << 40}, 0
			text := func(row int) []byte { return data[i+row].text }
			var rows []int32
			b.ReportAllocs()
			for b.Loop() {
				sample := sampler.Draw(rows, 1000)
				rows = sample.Rows
				f.AddSample(hashes[i:i+1000], sample, text)
				i = (i + 1000) % len(hashes)
			}
			perValue(b, 1000)
		})
	}
}

func BenchmarkMomentsAdd(b *testing.B) {
	v := benchFloats()
	var m Moments
	i := 0
	for b.Loop() {
		m.Add(v[i%benchSize])
		i++
	}
}

func BenchmarkMomentsAddSlice(b *testing.B) {
	v := benchFloats()[:1600]
	ints := make([]int64, len(v))
	counts := make([]Weighted[float64], len(v))
	for i, x := range v {
		ints[i] = int64(100 * x)
		counts[i] = Weighted[float64]{x, uint64(i)}
	}
	var m Moments
	var sum Sum128
	b.Run("real", func(b *testing.B) {
		for b.Loop() {
			m.AddSlice(v)
		}
		perValue(b, len(v))
	})
	b.Run("integer", func(b *testing.B) {
		for b.Loop() {
			m.AddInts(ints, &sum)
		}
		perValue(b, len(v))
	})
	b.Run("counts", func(b *testing.B) {
		for b.Loop() {
			m.AddCounts(counts)
		}
		perValue(b, len(v))
	})
	b.Run("weighted", func(b *testing.B) {
		for b.Loop() {
			for _, w := range counts {
				m.AddWeighted(w.Value, w.Weight)
			}
		}
		perValue(b, len(v))
	})
}

func BenchmarkSum128Add(b *testing.B) {
	var s Sum128
	var i int64
	for b.Loop() {
		s.Add(i)
		i++
	}
}

func BenchmarkFrequentEntropy(b *testing.B) {
	z := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), 1.2, 1, 1<<20)
	column := numberedOf(draw(benchSize, func(int) uint64 { return z.Uint64() }))
	f := NewFrequent()
	column.feed(f, nil, benchSlice)
	for b.Loop() {
		f.Entropy(benchSize, 10_000, 250)
	}
}
