package db

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// RetryPolicy bounds how often and how fast a transaction is run again. A zero
// field has the value of DefaultRetry.
type RetryPolicy struct {
	// Attempts counts all runs, the first one included. 1 switches retries off.
	Attempts int
	// Backoff is the pause before the second attempt; it doubles after each.
	// The real pause is between half of it and all of it, at random.
	Backoff time.Duration
	// MaxBackoff is the longest pause.
	MaxBackoff time.Duration
	// Within bounds the time from the first run to the beginning of the last one,
	// where each fails late: a server that does not answer takes its time to be
	// given up.
	Within time.Duration
}

// DefaultRetry returns the policy of an Options without one: 10 attempts with
// pauses from 50 ms to 2 s, about 9 s in all, which outlasts a restart of
// Postgres, and one more after a connection that has died without a word.
func DefaultRetry() RetryPolicy {
	return RetryPolicy{Attempts: 10, Backoff: 50 * time.Millisecond, MaxBackoff: 2 * time.Second, Within: deadAfter + 5*time.Second}
}

func (p RetryPolicy) withDefaults() RetryPolicy {
	def := DefaultRetry()
	if p.Attempts <= 0 {
		p.Attempts = def.Attempts
	}
	if p.Backoff <= 0 {
		p.Backoff = def.Backoff
	}
	if p.Within <= 0 {
		p.Within = def.Within
	}
	if p.MaxBackoff <= 0 {
		p.MaxBackoff = max(def.MaxBackoff, p.Backoff)
	}
	return p
}

// pause returns the longest pause after the given attempt, from 1.
func (p RetryPolicy) pause(attempt int) time.Duration {
	d := p.Backoff
	for range attempt - 1 {
		if d >= p.MaxBackoff/2 {
			return p.MaxBackoff
		}
		d *= 2
	}
	return min(d, p.MaxBackoff)
}

// run calls fn until it succeeds, fails for good, the attempts are used up or
// ctx ends. It returns the last error of fn; after a cancellation the error
// matches ctx.Err as well, whatever the driver made of it.
func (p RetryPolicy) run(ctx context.Context, fn func() error) error {
	begun := time.Now()
	for attempt := 1; ; attempt++ {
		err := fn()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return joinContext(ctx, err)
		}
		if attempt >= p.Attempts || !Retryable(err) || p.Within > 0 && time.Since(begun) > p.Within {
			return err
		}
		longest := p.pause(attempt)
		timer := time.NewTimer(longest/2 + rand.N(longest/2+1))
		select {
		case <-ctx.Done():
			timer.Stop()
			return joinContext(ctx, err)
		case <-timer.C:
		}
	}
}

func joinContext(ctx context.Context, err error) error {
	if errors.Is(err, ctx.Err()) {
		return err
	}
	return fmt.Errorf("%w (%w)", ctx.Err(), err)
}
