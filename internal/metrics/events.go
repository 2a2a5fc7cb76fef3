package metrics

import (
	"slices"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
)

// The reasons of failed attempts, as the label reason has them.
const (
	ReasonTimeout   = "timeout"
	ReasonMemory    = "memory"
	ReasonError     = "error"
	ReasonCheck     = "check"
	ReasonUnjudged  = "unjudged"
	ReasonCancelled = "cancelled"
	ReasonLost      = "lost"
)

var (
	unitReasons   = []string{ReasonTimeout, ReasonMemory, ReasonError, ReasonCheck, ReasonUnjudged, ReasonCancelled, ReasonLost}
	notifyReasons = []string{"timeout", "connection", "client_error", "server_error", "rate_limited"}
	suppressions  = []string{"grouped", "silenced", "acknowledged", "snoozed", "flapping", "rate_limited"}
)

// DeclarePipeline makes the counters of a pipeline and its steps start at 0, so
// that the first failure is visible as an increase.
func (m *Metrics) DeclarePipeline(pipeline string, steps ...string) {
	m.mu.Lock()
	defer m.unlock()
	m.declarePipeline(pipeline)
	for _, s := range steps {
		m.declareStep(pipeline, s)
	}
}

func (m *Metrics) declarePipeline(pipeline string) {
	m.counter("profiler_runner_runs_total", pipeline)
	m.counter("profiler_runner_run_failures_total", pipeline)
}

func (m *Metrics) declareStep(pipeline, step string) {
	for _, name := range []string{"profiler_runner_units_total", "profiler_runner_unit_retries_total", "profiler_runner_lease_expirations_total", "profiler_runner_dead_lettered_units_total", "profiler_runner_replayed_units_total", "profiler_runner_hook_duration_seconds_total"} {
		m.counter(name, pipeline, step)
	}
	for _, r := range unitReasons {
		m.counter("profiler_runner_unit_failures_total", pipeline, step, r)
	}
	m.histogram("profiler_runner_step_duration_seconds", pipeline, step)
	m.histogram("profiler_runner_queue_wait_seconds", pipeline, step)
	for _, name := range []string{"profiler_runner_queue_units", "profiler_runner_units_in_flight", "profiler_runner_workers", "profiler_runner_dead_letter_units"} {
		m.gauge(name, pipeline, step)
	}
}

// ForgetPipeline removes the series of a pipeline that is configured no more.
func (m *Metrics) ForgetPipeline(pipeline string) {
	m.mu.Lock()
	defer m.unlock()
	m.forget(LabelPipeline, clean(pipeline))
}

// RunStarted counts a run of a pipeline.
func (m *Metrics) RunStarted(pipeline string) {
	m.mu.Lock()
	defer m.unlock()
	m.declarePipeline(pipeline)
	m.counter("profiler_runner_runs_total", pipeline).Add(1)
}

// RunEnded notes the end of a run that was started.
func (m *Metrics) RunEnded(pipeline string, ok bool, at time.Time) {
	m.mu.Lock()
	defer m.unlock()
	m.declarePipeline(pipeline)
	if ok {
		m.gauge("profiler_runner_last_success_timestamp_seconds", pipeline).Set(seconds(at))
		return
	}
	m.counter("profiler_runner_run_failures_total", pipeline).Add(1)
}

// Succeeded notes when a pipeline last succeeded, as an earlier process has
// counted it.
func (m *Metrics) Succeeded(pipeline string, at time.Time) {
	m.mu.Lock()
	defer m.unlock()
	m.declarePipeline(pipeline)
	m.gauge("profiler_runner_last_success_timestamp_seconds", pipeline).Set(seconds(at))
}

// Attempt is one try of a step to process a unit.
type Attempt struct {
	Pipeline, Step string
	Took           time.Duration
	// Reason is "" for success, else why it failed: one of the Reason constants.
	// Any other word counts as ReasonError.
	Reason string
	// Retry tells that the unit was scheduled again.
	Retry bool
	// Dead tells that the unit was moved to the dead letter queue.
	Dead bool
	// TraceID and RunID become the exemplar; empty ones are left out.
	TraceID, RunID string
}

// Step counts an attempt.
func (m *Metrics) Step(a Attempt) {
	m.mu.Lock()
	defer m.unlock()
	m.declareStep(a.Pipeline, a.Step)
	m.counter("profiler_runner_units_total", a.Pipeline, a.Step).Add(1)
	if a.Reason != "" {
		m.counter("profiler_runner_unit_failures_total", a.Pipeline, a.Step, oneOf(a.Reason, unitReasons, ReasonError)).Add(1)
	}
	if a.Retry {
		m.counter("profiler_runner_unit_retries_total", a.Pipeline, a.Step).Add(1)
	}
	if a.Dead {
		m.counter("profiler_runner_dead_lettered_units_total", a.Pipeline, a.Step).Add(1)
	}
	timed(m.histogram("profiler_runner_step_duration_seconds", a.Pipeline, a.Step), a.Took, exemplar(a.TraceID, a.RunID))
}

// timed counts a time; a nil exemplar is none.
func timed(h timer, took time.Duration, e prometheus.Labels) {
	if e == nil {
		h.Observe(took.Seconds())
		return
	}
	h.ObserveWithExemplar(took.Seconds(), e)
}

// Waited counts the time that a unit waited for a worker. The ids become the
// exemplar; empty ones are left out.
func (m *Metrics) Waited(pipeline, step string, waited time.Duration, traceID, runID string) {
	m.mu.Lock()
	defer m.unlock()
	m.declareStep(pipeline, step)
	timed(m.histogram("profiler_runner_queue_wait_seconds", pipeline, step), max(waited, 0), exemplar(traceID, runID))
}

// Queue is the state of one step's queue.
type Queue struct {
	Pipeline, Step string
	// Waiting units have no worker, units in flight have one.
	Waiting, InFlight int
	// Oldest is when the unit that waits longest was queued; it means nothing
	// while none waits.
	Oldest time.Time
	// Workers are those attached to the step.
	Workers int
	// Open says that claims are paused because attempts fail.
	Open bool
}

// Queued sets the state of a step's queue.
func (m *Metrics) Queued(q Queue) {
	m.mu.Lock()
	defer m.unlock()
	m.declareStep(q.Pipeline, q.Step)
	m.gauge("profiler_runner_queue_units", q.Pipeline, q.Step).Set(float64(q.Waiting))
	m.gauge("profiler_runner_units_in_flight", q.Pipeline, q.Step).Set(float64(q.InFlight))
	m.gauge("profiler_runner_workers", q.Pipeline, q.Step).Set(float64(q.Workers))
	m.gauge("profiler_runner_circuit_open", q.Pipeline, q.Step).Set(truth(q.Open))
	const oldest = "profiler_runner_queue_oldest_unit_timestamp_seconds"
	if q.Waiting == 0 || q.Oldest.IsZero() {
		m.absent(oldest, q.Pipeline, q.Step) // a time of 0 would look like a unit that waits for ever
		return
	}
	m.gauge(oldest, q.Pipeline, q.Step).Set(seconds(q.Oldest))
}

// Scaled sets how many units of a step this process works on at once at most.
func (m *Metrics) Scaled(pipeline, step string, workers int) {
	m.mu.Lock()
	defer m.unlock()
	m.declareStep(pipeline, step)
	m.gauge("profiler_runner_scaled_workers", pipeline, step).Set(float64(workers))
}

// SourceHeld sets whether the source of a pipeline is held back.
func (m *Metrics) SourceHeld(pipeline string, held bool) {
	m.mu.Lock()
	defer m.unlock()
	m.declarePipeline(pipeline)
	m.gauge("profiler_runner_source_held", pipeline).Set(truth(held))
}

// DeadLettered counts a unit that was given up without another attempt.
func (m *Metrics) DeadLettered(pipeline, step string) {
	m.mu.Lock()
	defer m.unlock()
	m.declareStep(pipeline, step)
	m.counter("profiler_runner_dead_lettered_units_total", pipeline, step).Add(1)
}

// Canary sets whether the last canary of a pipeline came through as expected.
func (m *Metrics) Canary(pipeline string, ok bool) {
	m.mu.Lock()
	defer m.unlock()
	m.declarePipeline(pipeline)
	m.gauge("profiler_runner_canary_success", pipeline).Set(truth(ok))
}

// LeasesExpired counts units that were taken back because a lease ran out.
func (m *Metrics) LeasesExpired(pipeline, step string, units int) {
	m.mu.Lock()
	defer m.unlock()
	m.declareStep(pipeline, step)
	m.counter("profiler_runner_lease_expirations_total", pipeline, step).Add(float64(max(units, 0)))
}

// Replayed counts units that left the dead letter queue for another attempt.
func (m *Metrics) Replayed(pipeline, step string, units int) {
	m.mu.Lock()
	defer m.unlock()
	m.declareStep(pipeline, step)
	m.counter("profiler_runner_replayed_units_total", pipeline, step).Add(float64(max(units, 0)))
}

// exemplar returns the labels of an exemplar, or nil if there are none or they
// are longer than OpenMetrics allows.
func exemplar(trace, run string) prometheus.Labels {
	e := prometheus.Labels{}
	size := 0
	for _, l := range [][2]string{{"trace_id", trace}, {"run_id", run}} {
		if l[1] != "" {
			e[l[0]] = clean(l[1])
			size += len(l[0]) + utf8.RuneCountInString(e[l[0]])
		}
	}
	if len(e) == 0 || size > prometheus.ExemplarMaxRunes {
		return nil
	}
	return e
}

// Hook adds the time that profiling hooks took around a step.
func (m *Metrics) Hook(pipeline, step string, took time.Duration) {
	m.mu.Lock()
	defer m.unlock()
	m.declareStep(pipeline, step)
	m.counter("profiler_runner_hook_duration_seconds_total", pipeline, step).Add(max(took, 0).Seconds())
}

// DeadLetters sets how many units of a step are in the dead letter queue now.
func (m *Metrics) DeadLetters(pipeline, step string, units int) {
	m.mu.Lock()
	defer m.unlock()
	m.declareStep(pipeline, step)
	m.gauge("profiler_runner_dead_letter_units", pipeline, step).Set(float64(units))
}

// DeclareChannel makes the counters of a channel of alerts start at 0.
func (m *Metrics) DeclareChannel(channel string) {
	m.mu.Lock()
	defer m.unlock()
	m.declareChannel(channel)
}

func (m *Metrics) declareChannel(channel string) {
	m.counter("profiler_notifications_total", channel)
	for _, r := range notifyReasons {
		m.counter("profiler_notification_failures_total", channel, r)
	}
	m.histogram("profiler_notification_duration_seconds", channel)
	m.gauge("profiler_notification_queue_messages", channel)
}

// ForgetChannel removes the series of a channel that is configured no more.
func (m *Metrics) ForgetChannel(channel string) {
	m.mu.Lock()
	defer m.unlock()
	m.forget(LabelChannel, clean(channel))
}

// Notification counts a delivery: how long it took with all its retries, and
// why it failed or "". An unknown reason counts as "client_error".
func (m *Metrics) Notification(channel string, took time.Duration, reason string) {
	m.mu.Lock()
	defer m.unlock()
	m.declareChannel(channel)
	m.counter("profiler_notifications_total", channel).Add(1)
	if reason != "" {
		m.counter("profiler_notification_failures_total", channel, oneOf(reason, notifyReasons, "client_error")).Add(1)
	}
	m.histogram("profiler_notification_duration_seconds", channel).Observe(took.Seconds())
}

// NotificationQueue sets how many messages wait for a channel.
func (m *Metrics) NotificationQueue(channel string, messages int) {
	m.mu.Lock()
	defer m.unlock()
	m.declareChannel(channel)
	m.gauge("profiler_notification_queue_messages", channel).Set(float64(messages))
}

// Suppressed counts a message that was not sent on purpose: grouped, silenced,
// acknowledged, snoozed, flapping or rate_limited. Any other word counts as
// grouped.
func (m *Metrics) Suppressed(reason string) {
	m.mu.Lock()
	defer m.unlock()
	m.counter("profiler_notifications_suppressed_total", oneOf(reason, suppressions, "grouped")).Add(1)
}

// IncidentKind is what incidents are counted by.
type IncidentKind struct {
	Severity string // "warn" or "fail"
	Status   string // "open", "acknowledged" or "snoozed"
}

// Incidents sets the numbers of incidents that are not resolved. Kinds that are
// not named have none; kinds that do not exist are left out.
func (m *Metrics) Incidents(active map[IncidentKind]int) {
	m.mu.Lock()
	defer m.unlock()
	for _, severity := range []string{"fail", "warn"} {
		for _, status := range []string{"acknowledged", "open", "snoozed"} {
			m.gauge("profiler_incidents_active", severity, status).Set(float64(active[IncidentKind{severity, status}]))
		}
	}
}

// ConfigLoaded notes a load of the configuration, the first one too.
func (m *Metrics) ConfigLoaded(ok bool, at time.Time) {
	m.mu.Lock()
	defer m.unlock()
	m.gauge("profiler_config_last_reload_successful").Set(truth(ok))
	if ok {
		m.gauge("profiler_config_last_reload_success_timestamp_seconds").Set(seconds(at))
	}
}

func oneOf(word string, words []string, other string) string {
	if slices.Contains(words, word) {
		return word
	}
	return other
}
