package exact_test

import (
	"math/bits"
	"runtime"
	"testing"

	"github.com/profilerhq/profiler/internal/exact"
	"github.com/profilerhq/profiler/internal/exact/disk"
)

// key spreads a number over a key.
func key(x uint64) exact.Key {
	hi, lo := bits.Mul64(x+0x9e3779b97f4a7c15, 0xd6e8feb86659fd93)
	lo ^= hi
	lo = (lo ^ lo>>30) * 0xbf58476d1ce4e5b9
	lo = (lo ^ lo>>27) * 0x94d049bb133111eb
	hi = (lo ^ lo>>31) * 0xff51afd7ed558ccd
	return exact.NewKey(hi^hi>>32, lo^lo>>31)
}

// BenchmarkSet adds distinct keys and counts them, in memory and beyond.
func BenchmarkSet(b *testing.B) {
	for _, c := range []struct {
		name   string
		keys   int
		memory int64
	}{
		{"1M/memory", 1e6, 1 << 40}, {"10M/memory", 10e6, 1 << 40}, {"10M/256MiB", 10e6, 256 << 20}, {"10M/64MiB", 10e6, 64 << 20},
		{"50M/256MiB", 50e6, 256 << 20}, {"100M/256MiB", 100e6, 256 << 20},
	} {
		b.Run(c.name, func(b *testing.B) {
			if testing.Short() && c.keys > 1e6 {
				b.Skip("takes long")
			}
			rows := make([]exact.Row, 2000)
			var meter meter
			before := cpu()
			for b.Loop() {
				meter = measured(disk.New(b.TempDir()))
				space := exact.NewSpace(c.memory, &meter)
				s := exact.NewSet(space, nil)
				var peak int64
				for n := 0; n < c.keys; n += len(rows) {
					for i := range rows {
						rows[i] = exact.Row{Key: key(uint64(n + i)), Number: int64(n + i + 1)}
					}
					s.Add(rows)
					peak = max(peak, space.Used())
				}
				if err := s.Finish(); err != nil || s.All.Rows != 0 {
					b.Fatal(err, s.All)
				}
				_ = s.Close()
				b.ReportMetric(float64(peak)/(1<<20), "MiB")
			}
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			b.ReportMetric(float64(m.HeapSys-m.HeapReleased)/(1<<20), "heap-MiB")
			b.ReportMetric(float64(meter.largest.Load())/(1<<20), "disk-MiB")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(c.keys), "ns/key")
			b.ReportMetric(float64((cpu()-before).Nanoseconds())/float64(b.N)/float64(c.keys), "cpu-ns/key")
		})
	}
}
