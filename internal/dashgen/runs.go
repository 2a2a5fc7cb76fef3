package dashgen

import "github.com/profilerhq/profiler/internal/metrics"

// runs answers: which step is slow, retrying, or full of dead letters?
func runs() (Dashboard, error) {
	b := newBoard("profiler-pipeline", "Profiler / Pipeline", "Which step is slow, retrying, or full of dead letters?", "now-24h")
	b.scope = map[string]string{metrics.LabelPipeline: `pipeline=~"$pipeline"`, metrics.LabelStep: `step=~"$step"`}
	b.variable("pipeline", "label_values("+b.name("profiler_runner_runs_total")+"{"+of+"}, pipeline)", all)
	b.variable("step", "label_values("+b.m("profiler_runner_units_total", `step=~".+"`)+", step)", all)
	b.pipelineNow()
	b.attempts()
	b.times()
	b.queues()
	return b.finish()
}

const (
	byStep     = "pipeline, step"
	stepLegend = "{{pipeline}} {{step}}"
)

// pipelineNow adds the numbers of now.
func (b *board) pipelineNow() {
	b.add(number("Last good run", unitSeconds, "How long ago a run of the chosen pipelines last succeeded, the longest of them; empty if none did yet. If it is more than the usual time between runs, look below whether runs start and where they fail.",
		"max("+b.age("pipeline", "profiler_runner_last_success_timestamp_seconds")+")", "", 0), 4, 4)
	b.add(number("Units waiting", unitCount, "Units without a worker. If it only grows, add workers or look for a closed gate.",
		"sum("+b.m("profiler_runner_queue_units")+")", "", 0), 4, 4)
	b.add(number("Oldest waits for", unitSeconds, "How long the unit has waited that waits longest; empty while none waits. If it is more than minutes, workers are missing, stuck or behind a closed gate.",
		"max("+"time() - min by ("+byStep+") ("+b.m("profiler_runner_queue_oldest_unit_timestamp_seconds")+"))", "dark-red", 900), 4, 4)
	b.add(number("Units in flight", unitCount, "Units that a worker holds now. If it is 0 while units wait, no worker takes them.",
		"sum("+b.m("profiler_runner_units_in_flight")+")", "", 0), 4, 4)
	b.add(number("Workers", unitCount, "Workers attached to the chosen steps. If it is less than you started, some died: look at their log.",
		"sum("+b.m("profiler_runner_workers")+")", "", 0), 4, 4)
	b.add(number("Dead letters", unitCount, "Units that were given up and that nobody has replayed or discarded yet. If it is not 0, `profiler dlq list` says why; their data is missing in the output.",
		"sum("+b.m("profiler_runner_dead_letter_units")+")", "dark-red", 1), 4, 4)
}

// attempts adds runs, attempts and their failures.
func (b *board) attempts() {
	b.add(bars("Runs", unitCount, "Runs that started and, of them, those that failed. If failed bars are as high as the others, the pipeline does not get through: the charts below name the step.",
		Target{Expr: b.increase("pipeline", "profiler_runner_runs_total"), LegendFormat: "started {{pipeline}}"},
		Target{Expr: b.increase("pipeline", "profiler_runner_run_failures_total"), LegendFormat: "failed {{pipeline}}"}), 8, 8)
	b.add(lines("Attempts per second", unitRate, "Attempts to process a unit. If a step falls to 0 while the one before does not, it is stuck or its gate is closed.",
		Target{Expr: b.rate(byStep, "profiler_runner_units_total"), LegendFormat: stepLegend}), 8, 8)
	share := lines("Share of failed attempts", unitRatio, "Failed attempts as a share of all. If one step stands out, its failures by reason are in the next chart.",
		Target{Expr: b.rate(byStep, "profiler_runner_unit_failures_total") + " / (" + b.rate(byStep, "profiler_runner_units_total") + " > 0)", LegendFormat: stepLegend})
	zero, one := 0.0, 1.0
	share.FieldConfig.Defaults.Min, share.FieldConfig.Defaults.Max = &zero, &one
	b.add(share, 8, 8)
	b.add(bars("Failed attempts by reason", unitCount, "Why attempts failed: timeout, memory (beyond the limit of the step), error, check (a gate), unjudged (no verdict could be had), cancelled, lost (a worker that died). If it is timeout, look at what the step calls; if it is check, at the data.",
		Target{Expr: b.increase("step, reason", "profiler_runner_unit_failures_total"), LegendFormat: "{{step}} {{reason}}"}), 8, 8)
	b.add(bars("Retries", unitCount, "Units that were scheduled again. If they are more than half of the attempts, the step wastes its workers: repair what it calls before adding any.",
		Target{Expr: b.increase(byStep, "profiler_runner_unit_retries_total"), LegendFormat: stepLegend}), 8, 8)
	b.add(bars("Dead letters and replays", unitCount, "Units that were given up and units that were replayed. If units are given up again right after a replay, the cause is still there.",
		Target{Expr: b.increase(byStep, "profiler_runner_dead_lettered_units_total"), LegendFormat: "given up " + stepLegend},
		Target{Expr: b.increase(byStep, "profiler_runner_replayed_units_total"), LegendFormat: "replayed " + stepLegend}), 8, 8)
}

// times adds how long attempts take and wait. They need native histograms.
func (b *board) times() {
	took := lines("Time of an attempt", unitSeconds, "Median and 95th percentile of one attempt; a dot is an attempt, with its run and its trace. If the 95th leaves the median behind, single units are large or stuck. Needs native histograms in Prometheus.",
		Target{Expr: b.quantile("0.5", "step", "profiler_runner_step_duration_seconds"), LegendFormat: "{{step}} median"},
		Target{Expr: b.quantile("0.95", "step", "profiler_runner_step_duration_seconds"), LegendFormat: "{{step}} p95", Exemplar: true})
	b.add(took, 8, 8)
	b.add(lines("Time in the queue", unitSeconds, "Median and 95th percentile of the wait for a worker. If it is longer than the attempt itself, more workers help; if not, they do not. Needs native histograms in Prometheus.",
		Target{Expr: b.quantile("0.5", "step", "profiler_runner_queue_wait_seconds"), LegendFormat: "{{step}} median"},
		Target{Expr: b.quantile("0.95", "step", "profiler_runner_queue_wait_seconds"), LegendFormat: "{{step}} p95"}), 8, 8)
	b.add(lines("Share of time spent profiling", unitRatio, "Time in profiling hooks as a share of the attempts' time. If it is more than a few percent, sample large outputs, or profile after the steps that matter. Needs native histograms in Prometheus.",
		Target{Expr: b.rate("step", "profiler_runner_hook_duration_seconds_total") + " / (histogram_sum(" + b.rate("step", "profiler_runner_step_duration_seconds") + ") > 0)", LegendFormat: "{{step}}"}), 8, 8)
}

// queues adds what waits and who works.
func (b *board) queues() {
	b.add(lines("Units waiting and in flight", unitCount, "If waiting units grow while units in flight stay at the number of workers, the step is the bottleneck.",
		Target{Expr: "sum by (" + byStep + ") (" + b.m("profiler_runner_queue_units") + ")", LegendFormat: "waiting " + stepLegend},
		Target{Expr: "sum by (" + byStep + ") (" + b.m("profiler_runner_units_in_flight") + ")", LegendFormat: "in flight " + stepLegend}), 12, 8)
	b.add(lines("Workers", unitCount, "Workers by step. If a line falls without a deployment, workers died: their leases run out, which the next chart shows.",
		Target{Expr: "sum by (" + byStep + ") (" + b.m("profiler_runner_workers") + ")", LegendFormat: stepLegend},
		Target{Expr: "sum by (" + byStep + ") (" + b.m("profiler_runner_scaled_workers") + ")", LegendFormat: "units at once " + stepLegend}), 6, 8)
	b.add(bars("Leases that ran out", unitCount, "Units taken back from workers that no longer answered. If bars appear, look for workers that were killed, often for their memory.",
		Target{Expr: b.increase(byStep, "profiler_runner_lease_expirations_total"), LegendFormat: stepLegend}), 6, 8)
	b.add(lines("Dead letters", unitCount, "Units in the dead letter queue. If the line only rises, nobody replays or discards: data is missing in the output.",
		Target{Expr: "sum by (" + byStep + ") (" + b.m("profiler_runner_dead_letter_units") + ")", LegendFormat: stepLegend}), 12, 8)
	b.add(lines("Held back", unitCount, "1 while a step gets no units because more than half of its last attempts failed, while a source waits because too many units stand before a step, or while the last canary failed. If a line is at 1, repair what the step needs, or add workers; of a canary the incident says what differs.",
		Target{Expr: "max by (" + byStep + ") (" + b.m("profiler_runner_circuit_open") + ")", LegendFormat: "failing " + stepLegend},
		Target{Expr: "max by (pipeline) (" + b.m("profiler_runner_source_held") + ")", LegendFormat: "source {{pipeline}}"},
		Target{Expr: "1 - max by (pipeline) (" + b.m("profiler_runner_canary_success") + ")", LegendFormat: "canary {{pipeline}}"}), 12, 8)
	b.add(lines("Age of the last good run", unitSeconds, "A healthy line is a saw tooth. If it only climbs, runs fail or do not start.",
		Target{Expr: b.age("pipeline", "profiler_runner_last_success_timestamp_seconds"), LegendFormat: "{{pipeline}}"}), 12, 8)
}
