package metrics

import "slices"

// The types of families.
const (
	Gauge     = "gauge"
	Counter   = "counter"
	Histogram = "histogram"
)

// The names of labels.
const (
	LabelDataset  = "dataset"
	LabelStep     = "step"
	LabelColumn   = "column"
	LabelCheck    = "check"
	LabelPipeline = "pipeline"
	LabelSeverity = "severity"
	LabelChange   = "change"
	LabelMethod   = "method"
	LabelReason   = "reason"
	LabelStatus   = "status"
	LabelChannel  = "channel"
	LabelBudget   = "budget"
)

// Family describes one metric family. A label whose value is empty is left out
// of a series: step where no pipeline runs, for example.
type Family struct {
	// Name is the whole name with prefix, unit and suffix.
	Name string
	// Type is Gauge, Counter or Histogram.
	Type string
	// Labels are the names of the labels, in the order of values in this package.
	Labels []string
	// Help is one sentence for people.
	Help string
	// Section is the heading under which the documentation lists the family.
	Section string
	// Bound is how many series there are at most: of one dataset and step, or of
	// one pipeline and step, unless it says otherwise.
	Bound string
	// OptIn tells that the family is exported only where Options.Families names
	// it by Short.
	OptIn bool
	// Short is the word of the configuration for an opt-in family.
	Short string
}

var (
	labelsD  = []string{LabelDataset, LabelStep}
	labelsC  = []string{LabelDataset, LabelStep, LabelColumn}
	labelsK  = []string{LabelDataset, LabelStep, LabelCheck}
	labelsKS = []string{LabelDataset, LabelStep, LabelCheck, LabelSeverity}
	labelsP  = []string{LabelPipeline}
	labelsPS = []string{LabelPipeline, LabelStep}
)

// The list is the only place that names families; everything else looks them
// up here, so that a dashboard made of it cannot miss one.
var families = slices.Concat(
	in("Profiles: volume and shape", []Family{
		{Name: "profiler_dataset_rows", Type: Gauge, Labels: labelsD, Help: "Rows in the last profile.", Bound: "1"},
		{Name: "profiler_dataset_columns", Type: Gauge, Labels: labelsD, Help: "Columns in the last profile.", Bound: "1"},
		{Name: "profiler_dataset_size_bytes", Type: Gauge, Labels: labelsD, Help: "Encoded size of the last profiled data.", Bound: "1"},
		{Name: "profiler_dataset_last_profile_timestamp_seconds", Type: Gauge, Labels: labelsD, Help: "When the last profile was completed.", Bound: "1"},
		{Name: "profiler_dataset_newest_event_timestamp_seconds", Type: Gauge, Labels: labelsD, Help: "Newest event in the freshness column.", Bound: "1"},
		{Name: "profiler_dataset_info", Type: Gauge, Labels: []string{LabelDataset, LabelStep, LabelPipeline, "source_kind", "data_owner"}, Help: "Static facts about the dataset, for joins; always 1.", Bound: "1"},
		{Name: "profiler_profiles_total", Type: Counter, Labels: labelsD, Help: "Profiles started.", Bound: "1"},
		{Name: "profiler_profile_failures_total", Type: Counter, Labels: labelsD, Help: "Profiles that ended with an error.", Bound: "1"},
		{Name: "profiler_profiled_rows_total", Type: Counter, Labels: labelsD, Help: "Rows read by the engine.", Bound: "1"},
		{Name: "profiler_profiled_bytes_total", Type: Counter, Labels: labelsD, Help: "Bytes read by the engine.", Bound: "1"},
		{Name: "profiler_malformed_records_total", Type: Counter, Labels: labelsD, Help: "Input records that could not be parsed.", Bound: "1"},
		{Name: "profiler_profile_duration_seconds", Type: Histogram, Labels: []string{LabelStep}, Help: "Time to compute one profile.", Bound: "1 native, 12 classic per step"},
		{Name: "profiler_schema_changes_total", Type: Counter, Labels: []string{LabelDataset, LabelStep, LabelChange}, Help: "Differences to the schema of the previous profile.", Bound: "5"},
		{Name: "profiler_schema_last_change_timestamp_seconds", Type: Gauge, Labels: labelsD, Help: "When the schema last changed.", Bound: "1"},
	}),
	in("Profiles: distribution", []Family{
		{Name: "profiler_column_null_ratio", Type: Gauge, Labels: labelsC, Help: "Share of nulls in the last profile, 0 to 1.", Bound: "1 per column"},
		{Name: "profiler_column_distinct_values", Type: Gauge, Labels: labelsC, Help: "Distinct values in the last profile, exact or estimated.", Bound: "1 per column"},
		{Name: "profiler_column_min", Type: Gauge, Labels: labelsC, Help: "Smallest value in the last profile.", OptIn: true, Short: "min", Bound: "1 per numeric column"},
		{Name: "profiler_column_max", Type: Gauge, Labels: labelsC, Help: "Largest value in the last profile.", OptIn: true, Short: "max", Bound: "1 per numeric column"},
		{Name: "profiler_column_mean", Type: Gauge, Labels: labelsC, Help: "Mean of the values in the last profile.", OptIn: true, Short: "mean", Bound: "1 per numeric column"},
		{Name: "profiler_column_stddev", Type: Gauge, Labels: labelsC, Help: "Sample standard deviation of the values in the last profile.", OptIn: true, Short: "stddev", Bound: "1 per numeric column"},
		{Name: "profiler_column_values", Type: Histogram, Labels: labelsC, Help: "Distribution of the values in the last profile: a state, so never use rate on it.", OptIn: true, Short: "values", Bound: "1 per numeric column"},
	}),
	in("Checks", []Family{
		{Name: "profiler_check_passed", Type: Gauge, Labels: labelsKS, Help: "Whether the last evaluation stayed inside this limit: 1 or 0.", Bound: "at most 2 per check"},
		{Name: "profiler_check_value", Type: Gauge, Labels: labelsK, Help: "Value measured by the last evaluation.", Bound: "1 per check"},
		{Name: "profiler_check_upper_limit", Type: Gauge, Labels: labelsKS, Help: "Upper limit in force.", Bound: "at most 2 per check"},
		{Name: "profiler_check_lower_limit", Type: Gauge, Labels: labelsKS, Help: "Lower limit in force.", Bound: "at most 2 per check"},
		{Name: "profiler_check_failed_rows", Type: Gauge, Labels: labelsK, Help: "Rows that violated the check in the last evaluation.", Bound: "1 per check"},
		{Name: "profiler_check_evaluations_total", Type: Counter, Labels: labelsK, Help: "Evaluations attempted.", Bound: "1 per check"},
		{Name: "profiler_check_failures_total", Type: Counter, Labels: labelsK, Help: "Evaluations that ended in fail.", Bound: "1 per check"},
		{Name: "profiler_check_errors_total", Type: Counter, Labels: labelsK, Help: "Evaluations that ended in error.", Bound: "1 per check"},
		{Name: "profiler_check_last_evaluation_timestamp_seconds", Type: Gauge, Labels: labelsK, Help: "When the check was last evaluated.", Bound: "1 per check"},
		{Name: "profiler_check_info", Type: Gauge, Labels: []string{LabelDataset, LabelStep, LabelCheck, "kind", "data_owner", "rule_file"}, Help: "Static facts about the check, for joins; always 1.", Bound: "1 per check"},
	}),
	in("Drift", []Family{
		{Name: "profiler_drift_score", Type: Gauge, Labels: []string{LabelDataset, LabelStep, LabelColumn, LabelMethod}, Help: "Distance to the baseline, in the unit of the method.", Bound: "1 per column"},
		{Name: "profiler_drift_limit", Type: Gauge, Labels: []string{LabelDataset, LabelStep, LabelColumn, LabelMethod, LabelSeverity}, Help: "Score above which drift is reported.", Bound: "at most 2 per column"},
		{Name: "profiler_drift_detected", Type: Gauge, Labels: []string{LabelDataset, LabelStep, LabelColumn, LabelSeverity}, Help: "Whether drift is reported now: 1 or 0.", Bound: "at most 2 per column"},
		{Name: "profiler_drift_baseline_timestamp_seconds", Type: Gauge, Labels: labelsD, Help: "Time of the baseline.", Bound: "1"},
	}),
	in("Runner", []Family{
		{Name: "profiler_runner_runs_total", Type: Counter, Labels: labelsP, Help: "Runs started.", Bound: "1"},
		{Name: "profiler_runner_run_failures_total", Type: Counter, Labels: labelsP, Help: "Runs that failed.", Bound: "1"},
		{Name: "profiler_runner_last_success_timestamp_seconds", Type: Gauge, Labels: labelsP, Help: "When the last successful run ended.", Bound: "1"},
		{Name: "profiler_runner_source_held", Type: Gauge, Labels: labelsP, Help: "Whether the source is held back because too many units stand before a step.", Bound: "1"},
		{Name: "profiler_runner_canary_success", Type: Gauge, Labels: labelsP, Help: "Whether the last canary came through as expected.", Bound: "1"},
		{Name: "profiler_runner_step_duration_seconds", Type: Histogram, Labels: labelsPS, Help: "Time of one attempt.", Bound: "1 native, 12 classic"},
		{Name: "profiler_runner_queue_wait_seconds", Type: Histogram, Labels: labelsPS, Help: "Time a unit waited for a worker.", Bound: "1 native, 12 classic"},
		{Name: "profiler_runner_units_total", Type: Counter, Labels: labelsPS, Help: "Attempts to process a unit.", Bound: "1"},
		{Name: "profiler_runner_unit_failures_total", Type: Counter, Labels: []string{LabelPipeline, LabelStep, LabelReason}, Help: "Failed attempts to process a unit.", Bound: "7"},
		{Name: "profiler_runner_unit_retries_total", Type: Counter, Labels: labelsPS, Help: "Units scheduled again.", Bound: "1"},
		{Name: "profiler_runner_queue_units", Type: Gauge, Labels: labelsPS, Help: "Units waiting.", Bound: "1"},
		{Name: "profiler_runner_queue_oldest_unit_timestamp_seconds", Type: Gauge, Labels: labelsPS, Help: "When the oldest waiting unit was queued; absent while none waits.", Bound: "1"},
		{Name: "profiler_runner_units_in_flight", Type: Gauge, Labels: labelsPS, Help: "Units held by a worker now.", Bound: "1"},
		{Name: "profiler_runner_workers", Type: Gauge, Labels: labelsPS, Help: "Workers attached.", Bound: "1"},
		{Name: "profiler_runner_scaled_workers", Type: Gauge, Labels: labelsPS, Help: "How many units of a step with scale_at this process works on at once at most.", Bound: "1"},
		{Name: "profiler_runner_circuit_open", Type: Gauge, Labels: labelsPS, Help: "Whether claims of the step are paused because more than half of its last attempts failed.", Bound: "1"},
		{Name: "profiler_runner_lease_expirations_total", Type: Counter, Labels: labelsPS, Help: "Units taken back because a lease ran out.", Bound: "1"},
		{Name: "profiler_runner_dead_letter_units", Type: Gauge, Labels: labelsPS, Help: "Units in the dead letter queue now.", Bound: "1"},
		{Name: "profiler_runner_dead_lettered_units_total", Type: Counter, Labels: labelsPS, Help: "Units moved to the dead letter queue.", Bound: "1"},
		{Name: "profiler_runner_replayed_units_total", Type: Counter, Labels: labelsPS, Help: "Units replayed from the dead letter queue.", Bound: "1"},
		{Name: "profiler_runner_hook_duration_seconds_total", Type: Counter, Labels: labelsPS, Help: "Time spent in profiling hooks.", Bound: "1"},
	}),
	in("Incidents and the service itself", []Family{
		{Name: "profiler_incidents_active", Type: Gauge, Labels: []string{LabelSeverity, LabelStatus}, Help: "Incidents that are not resolved.", Bound: "6"},
		{Name: "profiler_notifications_total", Type: Counter, Labels: []string{LabelChannel}, Help: "Deliveries attempted.", Bound: "1 per channel"},
		{Name: "profiler_notification_failures_total", Type: Counter, Labels: []string{LabelChannel, LabelReason}, Help: "Deliveries given up after retries.", Bound: "5 per channel"},
		{Name: "profiler_notifications_suppressed_total", Type: Counter, Labels: []string{LabelReason}, Help: "Messages that were not sent on purpose.", Bound: "6"},
		{Name: "profiler_notification_duration_seconds", Type: Histogram, Labels: []string{LabelChannel}, Help: "Time to deliver a message.", Bound: "1 native, 12 classic per channel"},
		{Name: "profiler_notification_queue_messages", Type: Gauge, Labels: []string{LabelChannel}, Help: "Messages waiting to be sent.", Bound: "1 per channel"},
		{Name: "profiler_config_last_reload_successful", Type: Gauge, Help: "Whether the last load of the configuration succeeded: 1 or 0.", Bound: "1"},
		{Name: "profiler_config_last_reload_success_timestamp_seconds", Type: Gauge, Help: "When the configuration was last loaded with success.", Bound: "1"},
		{Name: "profiler_metric_series", Type: Gauge, Labels: []string{LabelBudget}, Help: "Series exported, by the budget that they count in.", Bound: "1 per budget"},
		{Name: "profiler_metric_series_dropped_total", Type: Counter, Labels: []string{LabelBudget}, Help: "Series not exported because the budget was used up, counted at each profile.", Bound: "1 per budget"},
		{Name: "profiler_build_info", Type: Gauge, Labels: []string{"version", "revision", "goversion"}, Help: "Version of the program; always 1.", Bound: "1"},
	}),
)

// in puts families under a heading.
func in(section string, fs []Family) []Family {
	for i := range fs {
		fs[i].Section = section
	}
	return fs
}

// Families returns all metric families, in the order of the documentation. The
// result belongs to the caller.
func Families() []Family {
	out := slices.Clone(families)
	for i := range out {
		out[i].Labels = slices.Clone(out[i].Labels)
	}
	return out
}

// OptIn returns the words that Options.Families may hold.
func OptIn() []string {
	var out []string
	for i := range families {
		if families[i].OptIn {
			out = append(out, families[i].Short)
		}
	}
	return out
}
