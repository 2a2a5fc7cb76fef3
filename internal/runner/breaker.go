package runner

import "github.com/profilerhq/profiler/internal/queue"

// worked says whether the step did its work in this attempt: what the data or the
// hooks are to blame for is no fault of the step.
func (v *visit) worked() queue.Outcome {
	switch {
	case !v.began:
		return queue.NoOutcome
	case v.output != "", v.cause == CauseData:
		return queue.Worked
	case v.cause == CauseAttempts, v.cause == CauseTimeout:
		return queue.Faulty
	default:
		return queue.NoOutcome
	}
}

// tellBreaker tells when the end of the attempt paused the claims of the step, or
// let them go on.
func (v *visit) tellBreaker() {
	switch {
	case v.lease.Closed:
		v.r.log.Info("step works again, claims go on", "step", v.s.Name)
	case !v.lease.PausedUntil.IsZero():
		v.r.log.Error("step fails too often, claims pause", "step", v.s.Name, "until", v.lease.PausedUntil, "err", v.err)
	}
}
