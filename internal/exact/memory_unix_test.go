//go:build linux || darwin || freebsd

package exact

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Tables outside of the heap are given back: after the rows, at the end, and if
// a set is closed in the middle. No test runs beside this one.
func TestMappedTablesAreGivenBack(t *testing.T) {
	require.Zero(t, mapped.Load())
	for name, end := range map[string]func(s *Set){
		"settled":  func(s *Set) { s.Settle() },
		"finished": func(s *Set) { require.NoError(t, s.Finish()) },
		"closed":   func(s *Set) { require.NoError(t, s.Close()) },
	} {
		s := NewSet(NewSpace(1<<30, nil), nil)
		for i := range uint64(1 << 19) {
			s.Add([]Row{{Key: NewKey(i*0x9e3779b97f4a7c15, i*0xbf58476d1ce4e5b9), Number: int64(i + 1)}})
		}
		require.Positive(t, mapped.Load())
		end(s)
		require.Zero(t, mapped.Load(), name)
	}
}
