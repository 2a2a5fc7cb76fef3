package sketch

import (
	"encoding"
	"encoding/binary"
	"math"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// Not parallel: it reads the bytes allocated by the whole process.
func TestForgedCountsAllocateNothing(t *testing.T) {
	forge := func(head ...byte) []byte { return binary.AppendUvarint(head, math.MaxInt32) }
	level := append([]byte{'R', 1, 0x80, 4, 0}, make([]byte, 8)...)
	for name, c := range map[string]struct {
		to encoding.BinaryUnmarshaler
		b  []byte
	}{
		"quantiles of numbers":  {NewKLL[float64](0), forge(append(level, 9, 1)...)},
		"quantiles of integers": {NewKLL[int64](0), forge(append(append([]byte{'I'}, level[1:]...), 9, 1)...)},
		"text":                  {NewFrequent(), forge('F', 1, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 3)},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := c.to.UnmarshalBinary(c.b)
		runtime.ReadMemStats(&after)
		require.ErrorContains(t, err, "truncated", name)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20), name)
	}
}
