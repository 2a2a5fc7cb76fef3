package dashgen

import "github.com/profilerhq/profiler/internal/metrics"

// dataset answers: what changed in this dataset?
func dataset() (Dashboard, error) {
	b := newBoard("profiler-dataset", "Profiler / Dataset", "What changed in this dataset: volume, nulls, schema, checks, drift?", "now-7d")
	b.scope = map[string]string{metrics.LabelDataset: `dataset="$dataset"`, metrics.LabelStep: `step=~"$step"`}
	b.variable("dataset", "label_values("+b.name("profiler_dataset_info")+`{job=~"$job",instance=~"$instance"}, dataset)`, "")
	b.variable("step", `label_values(`+b.m("profiler_dataset_info")+`, step)`, allAbsent)
	b.variable("column", `label_values(`+b.m("profiler_column_null_ratio")+`, column)`, allAbsent)
	b.variable("check", `label_values(`+b.m("profiler_check_info")+`, check)`, all)
	b.last()
	b.add(states("Checks", "Whether each check stayed inside its limit, by severity. If a row turns red, find the check of that name in the charts below. A check that still learns has no row.",
		passed, Target{Expr: "min by (check, severity, step) (" + b.m("profiler_check_passed", `check=~"$check"`) + ")", LegendFormat: "{{check}} {{severity}} {{step}}"}), 24, 9)
	b.shape()
	b.drift()
	b.limits()
	return b.finish()
}

// last adds the numbers of the last batch.
func (b *board) last() {
	verdict := number("Verdict", unitCount, "The worst check of the last batch over the chosen steps; one that could not be evaluated counts as fail. If it is not pass, the timeline below names the check.",
		"max("+b.verdict("dataset")+")", "", 0)
	verdict.FieldConfig.Defaults.Mappings = mapping(verdicts)
	b.add(verdict, 4, 4)
	b.add(number("Pass rate", unitRatio, "The share of limits that the last batch stayed inside of. If it falls, more than one check is outside: look for a common cause such as a cut load.",
		"avg("+b.m("profiler_check_passed")+")", "", 0), 4, 4)
	b.add(number("Last profile", unitSeconds, "How long ago the last profile was completed. If it is more than the usual time between batches, look whether the load ran.",
		b.age("dataset", "profiler_dataset_last_profile_timestamp_seconds"), "", 0), 4, 4)
	b.add(number("Newest event", unitSeconds, "How old the newest value of the freshness column is; empty without such a column. If profiles are young and this is old, the source repeats old data.",
		b.age("dataset", "profiler_dataset_newest_event_timestamp_seconds"), "", 0), 4, 4)
	b.add(number("Last change of the schema", unitSeconds, "How long ago columns last changed; empty if the service saw no change since its start. If it is recent, look at the chart of schema changes and tell the readers of this dataset.",
		b.age("dataset", "profiler_schema_last_change_timestamp_seconds"), "", 0), 4, 4)
	b.add(number("Columns", unitCount, "The columns of the last batch, the most of any chosen step. If the number moved, look at the chart of schema changes.",
		"max("+b.m("profiler_dataset_columns")+")", "", 0), 4, 4)
}

// columnLink goes from a line of a column to the dashboard of the column.
var columnLink = []Object{{
	"title": "The distribution of ${__field.labels.column}",
	"url":   "/d/profiler-column?${datasource:queryparam}&${job:queryparam}&${instance:queryparam}&${dataset:queryparam}&${step:queryparam}&var-column=${__field.labels.column}&${__url_time_range}",
}}

// shape adds volume, columns and schema.
func (b *board) shape() {
	const byColumn, column = "column, step", "{{column}} {{step}}"
	b.add(lines("Rows", unitCount, "If rows jump or fall, look first whether the load was cut or ran twice; nulls and distinct values often move with it.",
		Target{Expr: b.newest("step", "profiler_dataset_rows"), LegendFormat: "rows {{step}}"}), 8, 8)
	b.add(lines("Size", unitBytes, "If the size moves and rows do not, values became longer or shorter, or a column came or went.",
		Target{Expr: b.newest("step", "profiler_dataset_size_bytes"), LegendFormat: "size {{step}}"}), 8, 8)
	b.add(bars("Malformed records", unitCount, "Records that could not be parsed and are in no profile. If bars appear, the report of the batch shows the first of them.",
		Target{Expr: b.increase("step", "profiler_malformed_records_total"), LegendFormat: "malformed {{step}}"}), 8, 8)
	nulls := lines("Nulls by column", unitRatio, "The share of nulls. If a line jumps, look at the step where it jumps first: a join or a parser there lost values.",
		Target{Expr: b.newest(byColumn, "profiler_column_null_ratio", `column=~"$column"`), LegendFormat: column})
	zero := 0.0
	nulls.FieldConfig.Defaults.Min = &zero
	nulls.FieldConfig.Defaults.Links = columnLink
	b.add(nulls, 12, 8)
	distinct := lines("Distinct values by column", unitCount, "Exact or estimated. If a key has fewer distinct values than rows, it has duplicates; if a category gains many, look for free text or another spelling.",
		Target{Expr: b.newest(byColumn, "profiler_column_distinct_values", `column=~"$column"`), LegendFormat: column})
	distinct.FieldConfig.Defaults.Links = columnLink
	b.add(distinct, 12, 8)
	b.add(bars("Schema changes", unitCount, "Differences to the profile before: added, removed, type, nullable, order. If a bar was not announced, ask the owner of the source before readers break.",
		Target{Expr: b.increase("change, step", "profiler_schema_changes_total"), LegendFormat: "{{change}} {{step}}"}), 12, 8)
	b.add(lines("Failing rows by check", unitCount, "Rows that violated a check in the last batch. If a line rises, `profiler check` on that batch lists the first of these rows.",
		Target{Expr: b.newest("check, step", "profiler_check_failed_rows", `check=~"$check"`), LegendFormat: "{{check}} {{step}}"}), 12, 8)
}

// drift adds the distances to the baseline. Methods have units of their own,
// so that there is one chart for each column.
func (b *board) drift() {
	const in = `column=~"$column"`
	p := lines("Drift of $column", unitCount, "The distance to the baseline and, dashed, the limits. If the score stays above its limit, compare the distributions in the report; if the new state is right, answer the incident with new-normal.",
		Target{Expr: b.newest("column, method, step", "profiler_drift_score", in), LegendFormat: "{{column}} {{method}} {{step}}"},
		Target{Expr: b.newest("column, severity", "profiler_drift_limit", in, `severity="warn"`), LegendFormat: "limit ({{severity}})"},
		Target{Expr: b.newest("column, severity", "profiler_drift_limit", in, `severity="fail"`), LegendFormat: "limit ({{severity}})"})
	p.FieldConfig.Overrides = []Override{limit("limit (warn)", "light-yellow"), limit("limit (fail)", "dark-red")}
	p.Repeat, p.RepeatDirection, p.MaxPerRow = "column", "h", 3
	b.x = 24 // a repeated panel has its own row
	b.add(p, 24, 7)
}

// limits adds one chart of value and limits for each check.
func (b *board) limits() {
	const in = `check=~"$check"`
	p := lines("Check $check", unitCount, "The measured value and, dashed, the limits in force, learned ones too; between them is the band. If the value leaves the band, the data changed; if the band follows bad values, label those batches. Choose one step if steps have different limits.",
		Target{Expr: b.newest("check, step", "profiler_check_value", in), LegendFormat: "{{check}} {{step}}"})
	for _, s := range []struct{ severity, color string }{{"warn", "light-yellow"}, {"fail", "dark-red"}} {
		upper, lower := "upper limit ("+s.severity+")", "lower limit ("+s.severity+")"
		of := `severity="` + s.severity + `"`
		p.Targets = append(p.Targets,
			Target{Expr: b.newest("check, severity", "profiler_check_upper_limit", in, of), LegendFormat: "upper limit ({{severity}})", Range: true},
			Target{Expr: "min by (check, severity) (" + b.m("profiler_check_lower_limit", in, of) + ")", LegendFormat: "lower limit ({{severity}})", Range: true})
		band := limit(upper, s.color)
		band.Properties = append(band.Properties, Object{"id": "custom.fillBelowTo", "value": lower}, Object{"id": "custom.fillOpacity", "value": 8})
		p.FieldConfig.Overrides = append(p.FieldConfig.Overrides, band, limit(lower, s.color))
	}
	p.Repeat, p.RepeatDirection, p.MaxPerRow = "check", "h", 3
	b.x = 24
	b.add(p, 24, 7)
}

// limit is the looks of a line that is a limit.
func limit(name, color string) Override {
	return field(name, "custom.lineStyle", Object{"fill": "dash", "dash": []int{8, 6}},
		"color", Object{"mode": "fixed", "fixedColor": color})
}
