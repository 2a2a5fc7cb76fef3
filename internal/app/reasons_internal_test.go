package app

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/queue"
	"github.com/profilerhq/profiler/internal/runner"
)

// A one-shot command and a service that watches the store give an attempt the same
// reason, whatever made it fail.
func TestReasonsOfFailedAttempts(t *testing.T) {
	t.Parallel()
	wants := map[runner.Cause]string{
		runner.CauseData: "error", runner.CauseAttempts: "error", runner.CauseUnreadable: "error",
		runner.CauseTimeout: "timeout", runner.CauseMemory: "memory",
		runner.CauseGate: "check", runner.CauseUnjudged: "unjudged",
		runner.CauseLease: "lost", runner.CauseCrash: "lost",
	}
	for _, name := range runner.Causes() {
		cause, state, kind := runner.Cause(name), runner.Dead, queue.Kind(queue.Dead)
		if cause == runner.CauseGate || cause == runner.CauseUnjudged {
			state, kind = runner.Quarantined, queue.Kind(queue.Quarantined)
		}
		require.Contains(t, wants, cause)
		require.Equal(t, wants[cause], reasonOf(runner.Event{Kind: runner.Finished, State: state, Cause: cause}), cause)
		require.Equal(t, wants[cause], reasonOfEvent(&queue.Event{Kind: kind, Cause: name}), cause)
	}
	require.Empty(t, reasonOf(runner.Event{Kind: runner.Finished, State: runner.Done}))
	require.Empty(t, reasonOfEvent(&queue.Event{Kind: queue.Kind(queue.Done)}))
	require.Equal(t, "memory", reasonOf(runner.Event{Kind: runner.Retrying, Cause: runner.CauseMemory}))
}
