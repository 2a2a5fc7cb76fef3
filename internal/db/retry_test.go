package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
	"github.com/stretchr/testify/require"
)

func TestRetryable(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"08000", "08006", "40001", "40P01", "53300", "57P01", "57P02", "57P03", "25P03"} {
		require.True(t, Retryable(fmt.Errorf("commit: %w", &pq.Error{Code: pqerror.Code(code)})), code)
	}
	for _, code := range []string{"23505", "53100", "57014", "42P01", "25006", "28P01", "XX001"} {
		require.False(t, Retryable(&pq.Error{Code: pqerror.Code(code)}), code)
	}
	for _, err := range []error{driver.ErrBadConn, io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE} {
		require.True(t, Retryable(fmt.Errorf("read: %w", err)))
	}
	for _, err := range []error{nil, sql.ErrNoRows, context.Canceled, context.DeadlineExceeded, errors.New("other")} {
		require.False(t, Retryable(err))
	}
}

// A server that does not answer is given up 20 s later, time and again: that takes
// as long as it takes to be sure, and no ten times as long.
func TestRetryOfWhatFailsLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begun, attempts := time.Now(), 0
		err := DefaultRetry().run(t.Context(), func() error {
			attempts++
			time.Sleep(deadAfter) //nolint:forbidigo // of the bubble
			return syscall.ETIMEDOUT
		})
		require.ErrorIs(t, err, syscall.ETIMEDOUT)
		require.Equal(t, 2, attempts)
		require.Less(t, time.Since(begun), 2*deadAfter+time.Second)
	})
}

func TestRetryBacksOffAndGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := RetryPolicy{Attempts: 6, Backoff: 100 * time.Millisecond, MaxBackoff: 400 * time.Millisecond}
		var at []time.Time
		err := p.run(t.Context(), func() error {
			at = append(at, time.Now())
			return driver.ErrBadConn
		})
		require.ErrorIs(t, err, driver.ErrBadConn)
		require.Len(t, at, 6)
		for i, longest := range []time.Duration{100, 200, 400, 400, 400} {
			longest *= time.Millisecond
			got := at[i+1].Sub(at[i])
			require.GreaterOrEqual(t, got, longest/2)
			require.LessOrEqual(t, got, longest)
		}
	})
}

func TestRetryStopsAtSuccessAndAtOtherErrors(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		require.NoError(t, DefaultRetry().run(t.Context(), func() error {
			if calls++; calls < 3 {
				return syscall.ECONNRESET
			}
			return nil
		}))
		require.Equal(t, 3, calls)
		calls = 0
		require.ErrorIs(t, DefaultRetry().run(t.Context(), func() error { calls++; return io.ErrShortWrite }), io.ErrShortWrite)
		require.Equal(t, 1, calls)
	})
}

func TestRetryEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		err := RetryPolicy{Attempts: 1000, Backoff: time.Minute}.withDefaults().run(ctx, func() error { return io.EOF })
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, io.EOF)
		require.Equal(t, time.Second, time.Since(start))
	})
}

func TestRetryDefaultsOutlastARestart(t *testing.T) {
	t.Parallel()
	p := RetryPolicy{}.withDefaults()
	require.Equal(t, DefaultRetry(), p)
	var shortest time.Duration
	for i := 1; i < p.Attempts; i++ {
		shortest += p.pause(i) / 2
	}
	require.Greater(t, shortest, 4*time.Second)
}
