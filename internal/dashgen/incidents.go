package dashgen

import (
	"github.com/profilerhq/profiler/dashboards"
	"github.com/profilerhq/profiler/internal/metrics"
)

// incidents answers: what was sent, suppressed or failed, and is the service
// itself healthy?
func incidents() (Dashboard, error) {
	b := newBoard("profiler-incidents", "Profiler / Incidents and service", "What was sent, suppressed or failed, and is the service itself healthy?", "now-24h")
	b.scope = map[string]string{metrics.LabelChannel: `channel=~"$channel"`}
	b.variable("channel", "label_values("+b.name("profiler_notifications_total")+"{"+of+"}, channel)", all)
	b.incidentsNow()
	b.messages()
	b.service()
	return b.finish()
}

// incidentsNow adds the numbers of now.
func (b *board) incidentsNow() {
	page := []Object{{"title": "The datasets in profiler", "url": "${pages}/", "targetBlank": true}}
	for _, s := range []struct{ status, title, description string }{
		{"open", "Open incidents", "Incidents that nobody has acknowledged. If it is not 0, look at the pages of the service and acknowledge what you take on."},
		{"acknowledged", "Acknowledged", "Incidents that somebody works on. If it stays for days, ask who: people are not told again about these."},
		{"snoozed", "Snoozed", "Incidents that are quiet for a time. If it only grows, snoozing replaces repair: look for the rules behind them."},
	} {
		color := ""
		from := 0.0
		if s.status == "open" {
			color, from = "dark-red", 1
		}
		p := number(s.title, unitCount, s.description, "sum("+b.m("profiler_incidents_active", `status="`+s.status+`"`)+")", color, from)
		p.FieldConfig.Defaults.Links = page
		b.add(p, 4, 4)
	}
	b.add(number("Messages waiting", unitCount, "Messages that are not delivered yet. If it is not 0 for minutes, a channel is away: the chart of failures names the reason.",
		"sum("+b.m("profiler_notification_queue_messages")+")", "light-yellow", 1), 4, 4)
	loaded := number("Configuration", unitCount, "Whether the service could load its configuration and rules the last time; empty for a demo. If it failed, the old rules are in force: `profiler config check` names file and line.",
		"min("+b.m("profiler_config_last_reload_successful")+")", "", 0)
	loaded.FieldConfig.Defaults.Mappings = mapping(map[string]Word{"0": {"failed", "dark-red", 0}, "1": {"loaded", "semi-dark-blue", 1}})
	b.add(loaded, 4, 4)
	b.add(number("Services up", unitRatio, "The share of the job's targets that answer. If it is below 100 %, look at Status → Targets in Prometheus for the error.",
		"avg("+foreign("up")+")", "", 0), 4, 4)
}

// messages adds incidents and deliveries over time.
func (b *board) messages() {
	b.add(lines("Incidents that are not resolved", unitCount, "By severity and status. If a line of open incidents stays up for days, nobody feels responsible: look at owners and routes.",
		Target{Expr: "sum by (severity, status) (" + b.m("profiler_incidents_active") + ")", LegendFormat: "{{severity}} {{status}}"}), 12, 8)
	b.add(bars("Deliveries by channel", unitCount, "Messages that were attempted, edits too. If a channel has none for days while incidents open, its route matches nothing.",
		Target{Expr: b.increase("channel", "profiler_notifications_total"), LegendFormat: "{{channel}}"}), 12, 8)
	b.add(bars("Deliveries given up", unitCount, "Messages lost after all retries: people were not told. If it is client_error, repair token and channel; server_error and timeout are the receiver's; `profiler alert test` sends a sample.",
		Target{Expr: b.increase("channel, reason", "profiler_notification_failures_total"), LegendFormat: "{{channel}} {{reason}}"}), 8, 8)
	b.add(bars("Messages not sent on purpose", unitCount, "By reason: grouped, silenced, acknowledged, snoozed, flapping, rate_limited. If rate_limited bars appear, too many incidents open at once: one upstream fault is often behind them.",
		Target{Expr: b.increase("reason", "profiler_notifications_suppressed_total"), LegendFormat: "{{reason}}"}), 8, 8)
	b.add(lines("Time to deliver", unitSeconds, "95th percentile with all retries. If it is more than seconds, the receiver answers slowly or limits us. Needs native histograms in Prometheus.",
		Target{Expr: b.quantile("0.95", "channel", "profiler_notification_duration_seconds"), LegendFormat: "{{channel}} p95"}), 8, 8)
	firing := []Target{{Expr: "max by (alertname, severity, dataset, pipeline, step, check, column, channel) (" + b.alerts() + ")", Instant: true, Format: "table"}}
	b.add(Panel{
		Type: "table", Title: "Alerts of Prometheus that fire", Targets: firing,
		Description: "Alerts of dashboards/prometheus; empty where these rules are not loaded, or all is well. If one is here, its runbook has the same name: docs/runbooks.",
		Options:     Object{"sortBy": []Object{{"displayName": "Severity", "desc": false}}},
		FieldConfig: FieldConfig{Defaults: Defaults{Unit: unitCount}, Overrides: []Override{
			field("alertname", "displayName", "Alert", "links", []Object{{"title": "Runbook of ${__value.text}", "url": dashboards.RunbookURL + "${__value.text}.md", "targetBlank": true}}),
			field("severity", "displayName", "Severity"), field("dataset", "displayName", "Dataset"),
		}},
		Transformations: []Object{{"id": "organize", "options": Object{"excludeByName": Object{"Time": true, "Value": true},
			"indexByName": Object{"alertname": 0, "severity": 1, "dataset": 2, "pipeline": 3, "step": 4, "check": 5, "column": 6, "channel": 7}}}},
	}, 24, 8)
}

// service adds the health of the service itself.
func (b *board) service() {
	b.add(lines("Time of a profile", unitSeconds, "Median and 95th percentile over all datasets, by step. If it grows with the data, it is well; if it jumps, look at memory and CPU. Needs native histograms in Prometheus.",
		Target{Expr: b.quantile("0.5", "step", "profiler_profile_duration_seconds"), LegendFormat: "median {{step}}"},
		Target{Expr: b.quantile("0.95", "step", "profiler_profile_duration_seconds"), LegendFormat: "p95 {{step}}"}), 8, 8)
	b.add(lines("Memory", unitBytes, "Resident memory of the service. If it climbs without an end, restart the service and report it with a heap profile.",
		Target{Expr: foreign("process_resident_memory_bytes"), LegendFormat: "{{instance}}"}), 8, 8)
	b.add(lines("CPU", unitCount, "Cores in use. If it stays at the number of cores, batches wait for each other: give it more, or judge on the machines of the pipelines.",
		Target{Expr: "sum by (instance) (rate(" + foreign("process_cpu_seconds_total") + "[$__rate_interval]))", LegendFormat: "{{instance}}"}), 8, 8)
	b.add(lines("Connections to the store", unitCount, "Connections in use and open. If those in use stay at the limit, the store is the bottleneck: look at waits and at slow disks.",
		Target{Expr: "sum by (db_name) (" + foreign("go_sql_in_use_connections") + ")", LegendFormat: "in use {{db_name}}"},
		Target{Expr: "sum by (db_name) (" + foreign("go_sql_open_connections") + ")", LegendFormat: "open {{db_name}}"}), 6, 8)
	b.add(lines("Waits for a connection", unitSeconds, "Seconds spent waiting per second. If it is above 0 for long, more writers come than the store takes: use Postgres instead of SQLite.",
		Target{Expr: "sum by (db_name) (rate(" + foreign("go_sql_wait_duration_seconds_total") + "[$__rate_interval]))", LegendFormat: "{{db_name}}"}), 6, 8)
	b.add(lines("Series", unitCount, "Series that are exported, by budget. If the lines reach metrics.series, series are left out: the next chart counts them.",
		Target{Expr: "sum by (budget) (" + b.m("profiler_metric_series") + ")", LegendFormat: "{{budget}}"}), 6, 8)
	b.add(bars("Series left out", unitCount, "Counted at each profile. If bars appear, export fewer columns (metrics.columns: rules) or raise the budget.",
		Target{Expr: b.increase("budget", "profiler_metric_series_dropped_total"), LegendFormat: "{{budget}}"}), 6, 8)
	b.add(bars("Profiles", unitCount, "Profiles that started and, of them, those that ended with an error. If failed bars appear, the source is damaged or away: the dashboard of the dataset names it.",
		Target{Expr: "sum(increase(" + b.m("profiler_profiles_total") + "[$__rate_interval]))", LegendFormat: "started"},
		Target{Expr: "sum(increase(" + b.m("profiler_profile_failures_total") + "[$__rate_interval]))", LegendFormat: "failed"}), 6, 8)
	b.add(lines("Bytes profiled per second", unitByteRate, "Read by the engine. If it falls while CPU stays high, values became harder to parse; if both fall, less data arrives.",
		Target{Expr: "sum(rate(" + b.m("profiler_profiled_bytes_total") + "[$__rate_interval]))", LegendFormat: "bytes"}), 6, 8)
	b.add(lines("Rows profiled per second", unitRate, "Read by the engine. If it is 0 for longer than usual, nothing arrives: look at late datasets.",
		Target{Expr: "sum(rate(" + b.m("profiler_profiled_rows_total") + "[$__rate_interval]))", LegendFormat: "rows"}), 6, 8)
	b.add(bars("Checks evaluated", unitCount, "Evaluations attempted, and those that ended in an error. If errors appear, data goes through unjudged: see ProfilerCheckErrors.",
		Target{Expr: "sum(increase(" + b.m("profiler_check_evaluations_total") + "[$__rate_interval]))", LegendFormat: "evaluated"},
		Target{Expr: "sum(increase(" + b.m("profiler_check_errors_total") + "[$__rate_interval]))", LegendFormat: "errors"}), 6, 8)
	b.add(lines("Scrapes", unitRate, "Scrapes per second by status. If there are others than 200, the exposition fails: the log of the service says why.",
		Target{Expr: "sum by (code) (rate(" + foreign("promhttp_metric_handler_requests_total") + "[$__rate_interval]))", LegendFormat: "{{code}}"}), 8, 8)
	b.add(lines("Goroutines", unitCount, "If it only climbs, something hangs: report it with the output of a goroutine profile.",
		Target{Expr: foreign("go_goroutines"), LegendFormat: "{{instance}}"}), 8, 8)
	b.add(lines("Age of the configuration", unitSeconds, "How long ago configuration and rules were last loaded with success. If you deployed rules later than that, nobody reloaded the service.",
		Target{Expr: b.age("instance", "profiler_config_last_reload_success_timestamp_seconds"), LegendFormat: "{{instance}}"}), 8, 8)
	b.add(lines("Versions", unitCount, "Running services by version. If there is more than one for long, a deployment is stuck.",
		Target{Expr: "sum by (version, revision, goversion) (" + b.m("profiler_build_info") + ")", LegendFormat: "{{version}} {{goversion}}"}), 24, 6)
}
