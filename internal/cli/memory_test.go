package cli

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	require.Equal(t, int64(56*mib), memoryLimit(0, 0), "small profiles have a floor")
	require.Equal(t, int64(216*mib), memoryLimit(0, 160*mib))
	for inUse := int64(0); inUse < 8<<30; inUse += 31 * mib {
		limit := memoryLimit(inUse, 0)
		require.Greater(t, limit, inUse+15*mib, "without room the collector would never rest")
		require.LessOrEqual(t, limit, inUse+max(56*mib, inUse/4+16*mib))
	}
}

// The limit follows what is in use: it is asked for again after each collection.
func TestAfterCollection(t *testing.T) {
	t.Parallel()
	done, seen := make(chan struct{}), make(chan int64, 1)
	afterCollection(done, func(inUse int64) {
		select {
		case seen <- inUse:
		default:
		}
	})
	held := make([]byte, 64<<20)
	held[len(held)-1] = 1
	for range 3 {
		for got := int64(0); got < 64<<20; { // the first one may be of a collection before
			runtime.GC()
			got = <-seen
		}
	}
	runtime.KeepAlive(held)
	close(done)
}
