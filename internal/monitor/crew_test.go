package monitor_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/monitor"
)

// script is a reader of chunks of 10 rows of two columns, a and b, that says
// when a column of a chunk is filled.
type script struct {
	chunks int
	end    error
	fill   func(chunk int64, column int) error // called at the start of filling
	filled func(chunk int64, column int)       // and at its end; may be nil
	next   int64
}

func (s *script) Columns() []batch.Column { return []batch.Column{{Name: "a"}, {Name: "b"}} }

func (s *script) Stats() batch.Stats { return batch.Stats{} }

func (s *script) Close() error { return nil }

func (s *script) Next(_ context.Context, c *batch.Chunk) error {
	c.Reset(2, s)
	if s.next == int64(s.chunks) {
		return s.end
	}
	c.First, c.Rows = 10*s.next+1, 10
	s.next++
	return nil
}

func (s *script) Fill(c *batch.Chunk, column int, v *batch.Vector) error {
	chunk := c.First / 10
	if err := s.fill(chunk, column); err != nil {
		return err
	}
	for range c.Rows {
		v.Append(batch.Value{Type: batch.Integer, Int: chunk}, nil)
	}
	if s.filled != nil {
		s.filled(chunk, column)
	}
	return nil
}

// A column that takes long holds up nothing but itself: the others go on with
// the next chunk. If they did not, all would wait for each other.
func TestColumnsDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ahead := make(chan struct{})
		s := &script{chunks: 8, end: io.EOF, fill: func(chunk int64, column int) error {
			switch {
			case chunk == 3 && column == 0:
				<-ahead
			case chunk == 4 && column == 1:
				close(ahead)
			}
			return nil
		}}
		o, err := monitor.New(monitor.Options{Now: clock, Workers: 2}).Observe(t.Context(), s, monitor.Subject{Dataset: "a/b"})
		require.NoError(t, err)
		require.Equal(t, int64(80), o.Profile.Rows())
	})
}

// What looks at several columns of a chunk needs all of them as they are at its
// end, when no dictionary has grown for the next one.
func TestChunksWaitForEachOtherWhereChecksLookAtAllColumns(t *testing.T) {
	t.Parallel()
	for name, rules := range map[string]string{
		"row":   "checks: [{row: a <= b}]",
		"where": "columns: {a: [{range: {min: 0}, where: b >= 0}]}",
		"keys":  "key: [b]\ncolumns: {a: [not_null]}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				done := map[int64]int{}
				s := &script{chunks: 9, end: io.EOF, fill: func(chunk int64, column int) error {
					if column == 0 {
						synctest.Wait() // all others do what they can
					}
					mu.Lock()
					defer mu.Unlock()
					if chunk > 0 && done[chunk-1] < 2 {
						return fmt.Errorf("column %d of chunk %d comes before the end of the chunk before", column, chunk)
					}
					return nil
				}, filled: func(chunk int64, _ int) {
					mu.Lock()
					defer mu.Unlock()
					done[chunk]++
				}}
				_, err := monitor.New(monitor.Options{Now: clock, Workers: 2}).Observe(t.Context(), s, monitor.Subject{Dataset: "a/b", Rules: setsOf(t, rules)})
				require.NoError(t, err)
			})
		})
	}
}

// The first error in the order of the data ends a batch, whichever is met first.
func TestTheFirstErrorInTheDataCounts(t *testing.T) {
	t.Parallel()
	first, second, cut := errors.New("a of chunk 2"), errors.New("b of chunk 2"), errors.New("cable cut")
	synctest.Test(t, func(t *testing.T) {
		met := make(chan struct{})
		s := &script{chunks: 4, end: cut, fill: func(chunk int64, column int) error {
			switch {
			case chunk == 2 && column == 0:
				<-met
				return first
			case chunk == 2 && column == 1:
				close(met)
				return second
			case chunk > 2 && column == 0:
				return errors.New("a chunk after one that failed is taken")
			}
			return nil
		}}
		_, err := monitor.New(monitor.Options{Now: clock, Workers: 3}).Observe(t.Context(), s, monitor.Subject{Dataset: "a/b"})
		require.ErrorIs(t, err, first)
	})
	s := &script{chunks: 2, end: cut, fill: func(chunk int64, _ int) error {
		if chunk == 1 {
			return first
		}
		return nil
	}}
	_, err := monitor.New(monitor.Options{Now: clock}).Observe(t.Context(), s, monitor.Subject{Dataset: "a/b"})
	require.ErrorIs(t, err, first, "the chunk before the end of the input fails")
	s = &script{chunks: 2, end: cut, fill: func(int64, int) error { return nil }}
	_, err = monitor.New(monitor.Options{Now: clock}).Observe(t.Context(), s, monitor.Subject{Dataset: "a/b"})
	require.ErrorIs(t, err, cut)
}

func TestAPanicOfAColumnIsThatOfTheCaller(t *testing.T) {
	t.Parallel()
	s := &script{chunks: 9, end: io.EOF, fill: func(chunk int64, column int) error {
		if chunk == 5 && column == 1 {
			panic("a mistake of a column")
		}
		return nil
	}}
	require.PanicsWithValue(t, "a mistake of a column", func() {
		monitor.New(monitor.Options{Now: clock, Workers: 2}).Observe(t.Context(), s, monitor.Subject{Dataset: "a/b"})
	})
}
