package dashgen

import "github.com/profilerhq/profiler/internal/metrics"

// overview answers: which datasets are bad, stale or late now?
func overview() (Dashboard, error) {
	b := newBoard("profiler-overview", "Profiler / Overview", "Which datasets are bad, stale or late now?", "now-24h")
	b.scope = map[string]string{metrics.LabelDataset: `dataset=~"$dataset"`, metrics.LabelStep: `step=~"$step"`}
	b.variable("dataset", "label_values("+b.name("profiler_dataset_info")+`{job=~"$job",instance=~"$instance"}, dataset)`, all)
	b.variable("step", `label_values(`+b.m("profiler_dataset_info")+`, step)`, allAbsent)
	b.late()
	b.state()
	b.table()
	b.add(states("Verdict", "The verdict of each dataset and step over time. If a row is red, look at the first step that turned red: later steps read its output.",
		verdicts, Target{Expr: b.verdict("dataset, step"), LegendFormat: "{{dataset}} {{step}}"}), 24, 8)
	b.trends()
	return b.finish()
}

// late adds the choice of the age at which a dataset is late.
func (b *board) late() {
	v := Variable{Name: "late", Label: "Late after", Type: "custom", Query: "1h : 3600,6h : 21600,1d : 86400,2d : 172800,7d : 604800"}
	for _, o := range []Option{{Text: "1h", Value: "3600"}, {Text: "6h", Value: "21600"}, {Text: "1d", Value: "86400"}, {Text: "2d", Value: "172800"}, {Text: "7d", Value: "604800"}} {
		if o.Text == "1d" {
			o.Selected = true
			v.Current = o
		}
		v.Options = append(v.Options, o)
	}
	b.d.Templating.List = append(b.d.Templating.List, v)
}

// state adds the numbers of now.
func (b *board) state() {
	b.add(number("Datasets", unitCount, "Datasets that the service knows. If one is missing here, look whether its source or pipeline is still configured.",
		"count(count by (dataset) ("+b.m("profiler_dataset_info")+"))", "", 0), 4, 4)
	b.add(number("Datasets that fail", unitCount, "Datasets with a check outside of a limit of severity fail, or that could not be evaluated. If it is not 0, open the red rows of the table below.",
		"sum(1 - min by (dataset) ("+b.m("profiler_check_passed", `severity="fail"`)+"))", "dark-red", 1), 4, 4)
	b.add(number("Datasets outside a limit", unitCount, "Datasets with a check outside of a limit of any severity. If it grows while no dataset fails, data is moving towards its limits: look at the yellow rows below.",
		"sum(1 - min by (dataset) ("+b.m("profiler_check_passed")+"))", "light-yellow", 1), 4, 4)
	b.add(number("Late datasets", unitCount, "Datasets whose last profile is older than the choice at the top. If it is not 0, sort the table by age and look whether the load that feeds the dataset ran.",
		"sum("+b.age("dataset", "profiler_dataset_last_profile_timestamp_seconds")+" > bool $late)", "dark-red", 1), 4, 4)
	b.add(number("Active incidents", unitCount, "Incidents that are not resolved, snoozed ones too. If it is not 0, open the pages of the service and acknowledge or answer them.",
		"sum("+b.m("profiler_incidents_active")+")", "dark-red", 1), 4, 4)
	loaded := number("Configuration", unitCount, "Whether the service could load its configuration and rules the last time; empty for a demo. If it failed, the service judges by the old rules: its log names file and line.",
		"min("+b.m("profiler_config_last_reload_successful")+")", "", 0)
	loaded.FieldConfig.Defaults.Mappings = mapping(map[string]Word{"0": {"failed", "dark-red", 0}, "1": {"loaded", "semi-dark-blue", 1}})
	b.add(loaded, 4, 4)
}

// table adds one row for each dataset and step.
func (b *board) table() {
	const by = "dataset, step"
	targets := []Target{
		{Expr: b.verdict(by)},
		{Expr: "sum by (" + by + ") (1 - " + b.m("profiler_check_passed", `severity="fail"`) + ")"},
		{Expr: b.newest(by, "profiler_dataset_rows")},
		{Expr: b.age(by, "profiler_dataset_last_profile_timestamp_seconds")},
		{Expr: b.age(by, "profiler_dataset_newest_event_timestamp_seconds")},
		{Expr: b.newest(by+", pipeline, source_kind, data_owner", "profiler_dataset_info")},
		{Expr: "avg by (" + by + ") (" + b.m("profiler_check_passed") + ")"},
	}
	for i := range targets {
		targets[i].Instant, targets[i].Format = true, "table"
	}
	link := []Object{
		{
			"title": "What changed in ${__value.text}",
			"url":   "/d/profiler-dataset?${datasource:queryparam}&${job:queryparam}&${instance:queryparam}&var-dataset=${__value.text}&${__url_time_range}",
		},
		{"title": "Its page in profiler", "url": "${pages}/datasets/${__value.text}", "targetBlank": true},
	}
	pipelines := []Object{{
		"title": "Steps and units of ${__value.text}",
		"url":   "/d/profiler-pipeline?${datasource:queryparam}&${job:queryparam}&${instance:queryparam}&var-pipeline=${__value.text}&${__url_time_range}",
	}}
	background := Object{"type": "color-background"}
	b.add(Panel{
		Type: "table", Title: "Datasets", Targets: targets,
		Description: "The last batch of each dataset and step. If a row is red or its age is high, follow the link on the dataset: it shows what changed. Ask the owner that the row names.",
		Options:     Object{"sortBy": []Object{{"displayName": "Verdict", "desc": true}}},
		FieldConfig: FieldConfig{Defaults: Defaults{Unit: unitCount}, Overrides: []Override{
			field("dataset", "displayName", "Dataset", "links", link), field("step", "displayName", "Step"),
			field("pipeline", "displayName", "Pipeline", "links", pipelines), field("source_kind", "displayName", "Source"), field("data_owner", "displayName", "Owner"),
			field("Value #A", "displayName", "Verdict", "mappings", mapping(verdicts), "custom.cellOptions", background),
			field("Value #B", "displayName", "Failing checks"), field("Value #C", "displayName", "Rows"),
			field("Value #D", "displayName", "Profile age", "unit", unitSeconds), field("Value #E", "displayName", "Newest event age", "unit", unitSeconds),
			field("Value #G", "displayName", "Pass rate", "unit", unitRatio),
		}},
		Transformations: []Object{{"id": "merge", "options": Object{}}, {"id": "organize", "options": Object{
			"excludeByName": Object{"Time": true, "Value #F": true},
			"indexByName": Object{"dataset": 0, "step": 1, "Value #A": 2, "Value #B": 3, "Value #G": 4, "Value #C": 5, "Value #D": 6, "Value #E": 7,
				"pipeline": 8, "source_kind": 9, "data_owner": 10},
		}}},
	}, 24, 10)
}

// trends adds the charts over time.
func (b *board) trends() {
	const by, legend = "dataset, step", "{{dataset}} {{step}}"
	b.add(lines("Rows of the last batch", unitCount, "If a line drops to 0 or jumps, the load was cut or ran twice: compare with the row count in the source.",
		Target{Expr: b.newest(by, "profiler_dataset_rows"), LegendFormat: legend}), 12, 8)
	b.add(lines("Age of the last profile", unitSeconds, "A healthy line is a saw tooth. If it only climbs, batches no longer arrive: look at the load that feeds the dataset and at the log of the service.",
		Target{Expr: b.age(by, "profiler_dataset_last_profile_timestamp_seconds"), LegendFormat: legend}), 12, 8)
	b.add(bars("Checks that failed", unitCount, "Evaluations that ended in fail. If bars appear at each batch, repair the data or correct the limit: a check that always fails is not read any more.",
		Target{Expr: b.increase(by, "profiler_check_failures_total"), LegendFormat: legend}), 12, 8)
	b.add(bars("Checks and profiles that ended in an error", unitCount, "Nothing could be judged here, which never counts as a pass. If bars appear, read the log of the service: a column, a source or the history is missing.",
		Target{Expr: b.increase(by, "profiler_check_errors_total"), LegendFormat: "check: " + legend},
		Target{Expr: b.increase(by, "profiler_profile_failures_total"), LegendFormat: "profile: " + legend}), 12, 8)
	b.add(bars("Malformed records", unitCount, "Input records that could not be parsed and are in no profile. If bars appear, look at the batch's report for the first of them, and at what writes the file.",
		Target{Expr: b.increase(by, "profiler_malformed_records_total"), LegendFormat: legend}), 8, 8)
	b.add(lines("Active incidents", unitCount, "Incidents that are not resolved. If open ones stay for days, nobody feels responsible: look at the owners and the routes of alerts.",
		Target{Expr: "sum by (severity, status) (" + b.m("profiler_incidents_active") + ")", LegendFormat: "{{severity}} {{status}}"}), 8, 8)
	b.add(bars("Notifications given up", unitCount, "Messages lost after all retries, so that people were not told. If bars appear, look at the address and the token of the channel: the reason says what it answered.",
		Target{Expr: b.increase("channel, reason", "profiler_notification_failures_total"), LegendFormat: "{{channel}} {{reason}}"}), 8, 8)
}
