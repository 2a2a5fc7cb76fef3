package dashgen

import "github.com/profilerhq/profiler/internal/metrics"

// column answers: how did this column's distribution move, and against which
// limit?
func column() (Dashboard, error) {
	b := newBoard("profiler-column", "Profiler / Column", "How did this column's distribution move, and against which limit?", "now-7d")
	b.scope = map[string]string{metrics.LabelDataset: `dataset="$dataset"`, metrics.LabelStep: `step=~"$step"`, metrics.LabelColumn: `column="$column"`}
	b.variable("dataset", "label_values("+b.name("profiler_column_null_ratio")+`{`+of+`}, dataset)`, "")
	b.variable("step", "label_values("+b.m("profiler_dataset_info")+", step)", allAbsent)
	b.variable("column", "label_values("+b.m("profiler_column_null_ratio", `column=~".+"`)+", column)", "")
	b.variable("check", "label_values("+b.m("profiler_check_info", `check=~"$column[.].+"`)+", check)", all)
	b.columnNow()
	b.distribution()
	b.distance()
	b.columnChecks()
	return b.finish()
}

// columnNow adds the numbers of the last batch.
func (b *board) columnNow() {
	b.add(number("Nulls", unitRatio, "The share of nulls in the last batch, the highest of the chosen steps. If it jumped, look at the first step where it did: a join or a parser there lost values.",
		"max("+b.m("profiler_column_null_ratio")+")", "", 0), 5, 4)
	b.add(number("Distinct values", unitCount, "Distinct values of the last batch, exact or estimated. If a key has fewer than the dataset has rows, it has duplicates.",
		"max("+b.m("profiler_column_distinct_values")+")", "", 0), 5, 4)
	drifted := number("Drift", unitCount, "Whether the last batch is further from its baseline than a limit allows; empty without a drift check. If it says drift, compare the quantiles below with the time before.",
		"max("+b.m("profiler_drift_detected")+")", "", 0)
	drifted.FieldConfig.Defaults.Mappings = mapping(map[string]Word{"0": {"none", "semi-dark-blue", 0}, "1": {"drift", "dark-red", 1}})
	b.add(drifted, 5, 4)
	b.add(number("Share of limit", unitRatio, "The drift score as a share of its tightest limit, the highest of the chosen steps. If it creeps towards 100 %, the world changes: decide before it pages whether that is the new normal.",
		"max("+b.newest("column, method, step", "profiler_drift_score")+" / min by (column, method, step) ("+b.m("profiler_drift_limit")+"))", "dark-red", 1), 5, 4)
	b.add(number("Age of the baseline", unitSeconds, "How old the newest batch of the baseline is. If it is much older than the batch before, baselines are pinned or recent batches were not accepted: new data is compared with old times.",
		b.age("dataset", "profiler_drift_baseline_timestamp_seconds"), "", 0), 4, 4)
}

// needsValues tells how to get the opt-in families.
func needsValues(family string) string {
	return " Empty unless profiler.yaml has metrics: {families: [" + family + "]}."
}

// distribution adds the values over time.
func (b *board) distribution() {
	b.add(Panel{
		Type: "heatmap", Title: "Values", Targets: []Target{{Expr: "sum(" + b.m("profiler_column_values") + ")", Range: true, Format: "heatmap", LegendFormat: "values"}},
		Description: "How many values of the last batch lie where, over time. If the dark band moves, splits or gets wider, the distribution has drifted; a band that is gone is a part of the data that is missing. Needs native histograms in Prometheus." + needsValues("values"),
		FieldConfig: FieldConfig{Defaults: Defaults{Unit: unitCount, Custom: Object{"hideFrom": Object{"legend": false, "tooltip": false, "viz": false}, "scaleDistribution": Object{"type": "linear"}}}},
		Options: Object{
			"calculate": false, "cellGap": 1, "cellValues": Object{"unit": unitCount}, "rowsFrame": Object{"layout": "auto"},
			"color":  Object{"mode": "scheme", "scheme": "Viridis", "reverse": true, "fill": "dark-blue", "exponent": 0.5, "scale": "exponential", "steps": 64},
			"yAxis":  Object{"axisPlacement": "left", "reverse": false, "unit": unitCount},
			"legend": Object{"show": true}, "tooltip": Object{"mode": "single", "yHistogram": true}, "filterValues": Object{"le": 1e-9}, "exemplars": Object{"color": "orange"},
		},
	}, 12, 10)
	quantiles := lines("Quantiles", unitCount, "Quantiles of the values in the last batch, of all chosen steps together. If only p95 moves, the tail grew; if all move alike, the unit or the source changed."+needsValues("values"))
	for _, q := range []struct{ q, name string }{{"0.05", "p05"}, {"0.25", "p25"}, {"0.5", "median"}, {"0.75", "p75"}, {"0.95", "p95"}} {
		quantiles.Targets = append(quantiles.Targets, Target{Expr: "histogram_quantile(" + q.q + ", sum(" + b.m("profiler_column_values") + "))", LegendFormat: q.name, Range: true})
	}
	b.add(quantiles, 12, 10)
	b.add(lines("Mean and extremes", unitCount, "Mean, smallest and largest value of the last batch. If an extreme jumps and the mean does not, look at single bad values; the report names their rows."+needsValues("min, max, mean"),
		Target{Expr: b.newest("step", "profiler_column_max"), LegendFormat: "max {{step}}"},
		Target{Expr: b.newest("step", "profiler_column_mean"), LegendFormat: "mean {{step}}"},
		Target{Expr: "min by (step) (" + b.m("profiler_column_min") + ")", LegendFormat: "min {{step}}"}), 8, 8)
	b.add(lines("Standard deviation", unitCount, "Sample standard deviation of the last batch. If it falls to 0, the column became constant; if it jumps, two populations were mixed."+needsValues("stddev"),
		Target{Expr: b.newest("step", "profiler_column_stddev"), LegendFormat: "{{step}}"}), 8, 8)
	nulls := lines("Nulls and distinct values", unitRatio, "The share of nulls, and on the right axis the distinct values. If both move together, values were lost; if only distinct values fall, a category is missing.",
		Target{Expr: b.newest("step", "profiler_column_null_ratio"), LegendFormat: "nulls {{step}}"},
		Target{Expr: b.newest("step", "profiler_column_distinct_values"), LegendFormat: "distinct {{step}}"})
	nulls.FieldConfig.Overrides = []Override{{
		Matcher:    Object{"id": "byRegexp", "options": "/^distinct/"},
		Properties: []Object{{"id": "unit", "value": unitCount}, {"id": "custom.axisPlacement", "value": "right"}},
	}}
	b.add(nulls, 8, 8)
}

// distance adds the drift score between its limits.
func (b *board) distance() {
	p := lines("Drift and its limits", unitCount, "The distance to the baseline in the unit of the method and, dashed, the limits. If the score stays above its limit, decide in the incident: real, or the new normal. Each method has a unit of its own.",
		Target{Expr: b.newest("method, step", "profiler_drift_score"), LegendFormat: "{{method}} {{step}}"},
		Target{Expr: b.newest("severity", "profiler_drift_limit", `severity="warn"`), LegendFormat: "limit ({{severity}})"},
		Target{Expr: b.newest("severity", "profiler_drift_limit", `severity="fail"`), LegendFormat: "limit ({{severity}})"})
	p.FieldConfig.Overrides = []Override{limit("limit (warn)", "light-yellow"), limit("limit (fail)", "dark-red")}
	b.add(p, 24, 8)
}

// columnChecks adds the checks whose ids begin with the column.
func (b *board) columnChecks() {
	const in = `check=~"$check"`
	b.add(states("Checks of the column", "Whether each check stayed inside its limit; those whose id is another than column.kind are on the dashboard of the dataset. If a row turns red, its chart below shows value and limit.",
		passed, Target{Expr: "min by (check, severity, step) (" + b.m("profiler_check_passed", in) + ")", LegendFormat: "{{check}} {{severity}} {{step}}"}), 24, 7)
	b.limits()
}
