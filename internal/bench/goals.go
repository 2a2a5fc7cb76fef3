package bench

import (
	"fmt"

	"github.com/profilerhq/profiler/internal/words"
)

// goal is a number that the engine is to reach: at least, and as an aim.
type goal struct {
	work       string
	least, aim float64
	less       bool // smaller is better
	show       func(float64) string
	// measure returns the number with its range; ok is false if it was not
	// measured.
	measure func(r *Report) (s Spread, ok bool)
}

// goals are those of the engine at the full size of trips.
func goals() []goal {
	x := func(f float64) string { return number(f) + "x" }
	mbs := func(f float64) string { return number(f) + " MB/s" }
	mb := func(f float64) string { return number(f/1e6) + " MB" }
	more := func(f float64) string { return fmt.Sprintf("%+.0f %%", 100*f) }
	return []goal{
		{"CSV, CPU of DuckDB SUMMARIZE / ours", 6, 10, false, x, against("csv", duckdbSummarize)},
		{"CSV, CPU of DuckDB without quantiles / ours", 2, 4, false, x, against("csv", duckdbPlain)},
		{"Parquet snappy, CPU of DuckDB SUMMARIZE / ours", 6, 12, false, x, against("parquet", duckdbSummarize)},
		{"Parquet zstd, CPU of DuckDB SUMMARIZE / ours", 6, 12, false, x, against("parquet-zstd", duckdbSummarize)},
		{"Parquet snappy, CPU of DuckDB without quantiles / ours", 2, 4, false, x, against("parquet", duckdbPlain)},
		{"JSONL, CPU of DuckDB SUMMARIZE / ours", 3, 6, false, x, against("jsonl", duckdbSummarize)},
		{"CSV, our wall time / that of wc -l", 12, 6, true, x, func(r *Report) (Spread, bool) {
			t := r.task("csv")
			return ratio(t.result(ours), t.result(wcLines), wallOf)
		}},
		{"CSV, throughput", 450, 800, false, mbs, throughput("csv", ours)},
		{"tap on a pipe, what it profiles", 250, 450, false, mbs, profiledInPipe},
		{"20 row checks on top of a profile", 0.30, 0.15, true, more, func(r *Report) (Spread, bool) {
			t := r.task("checks")
			s, ok := ratio(t.result(oursChecks), t.result(ours), cpuOf)
			return Spread{s.Median - 1, s.Min - 1, s.Max - 1}, ok
		}},
		{"peak memory, CSV of 20 columns", 128e6, 64e6, true, mb, memory("csv", 20)},
		{"peak memory, Parquet of 20 columns", 160e6, 100e6, true, mb, memory("parquet", 20)},
		{"peak memory, 1,000 columns", 500e6, 256e6, true, mb, memory("columns", 1_000)},
		{"CPU per value, 1,000 columns / 5", 6, 3, true, x, func(r *Report) (Spread, bool) {
			return ratio(r.ofColumns("columns", 1_000).perValue(), r.ofColumns("columns", 5).perValue(), cpuOf)
		}},
		{"distinct values, largest error", 0.025, 0.013, true, percent, func(r *Report) (Spread, bool) {
			worst := 0.0
			for _, a := range r.Accuracy {
				worst = max(worst, a.Ours.DistinctError)
			}
			return Spread{worst, worst, worst}, len(r.Accuracy) > 0
		}},
		{"quantiles, largest error of rank", 0.01, 0.005, true, percent, func(r *Report) (Spread, bool) {
			worst, given := 0.0, false
			for _, a := range r.Accuracy {
				if a.Ours.RankError != nil {
					worst, given = max(worst, *a.Ours.RankError), true
				}
			}
			return Spread{worst, worst, worst}, given
		}},
	}
}

func against(task, peer string) func(*Report) (Spread, bool) {
	return func(r *Report) (Spread, bool) {
		t := r.task(task)
		return ratio(t.result(peer), t.result(ours), cpuOf)
	}
}

// throughput is of the bytes that were looked at: a tap that lets half of them
// pass unseen is half as fast.
func throughput(task, contender string) func(*Report) (Spread, bool) {
	return func(r *Report) (Spread, bool) {
		t := r.task(task)
		res := t.result(contender)
		if res == nil || res.Failure != "" || res.Wall.Min <= 0 {
			return Spread{}, false
		}
		var rates []float64
		for _, run := range res.Runs {
			rates = append(rates, float64(t.Bytes)/1e6*run.Seen/run.Wall)
		}
		return spread(rates), true
	}
}

// profiledInPipe is what a tap profiles of the pace at which it profiles most:
// of bytes that come faster than it can take them it leaves many out.
func profiledInPipe(r *Report) (best Spread, ok bool) {
	for _, pace := range paces {
		if s, measured := throughput("tap", paced(oursTap, pace))(r); measured && s.Median > best.Median {
			best, ok = s, true
		}
	}
	return best, ok
}

func memory(task string, columns int) func(*Report) (Spread, bool) {
	return func(r *Report) (Spread, bool) {
		res := r.ofColumns(task, columns).result(ours)
		if res == nil || res.RSS.Max <= 0 {
			return Spread{}, false
		}
		return res.RSS, true
	}
}

// ofColumns returns the task with so many columns, or nil.
func (r *Report) ofColumns(name string, columns int) *Task {
	for i := range r.Tasks {
		if r.Tasks[i].Name == name && r.Tasks[i].Columns == columns {
			return &r.Tasks[i]
		}
	}
	return nil
}

// perValue returns our result with its CPU divided by the number of values.
func (t *Task) perValue() *Result {
	res := t.result(ours)
	if res == nil {
		return nil
	}
	per := Result{Name: res.Name, Failure: res.Failure}
	for _, run := range res.Runs {
		per.Runs = append(per.Runs, Run{CPU: run.CPU / float64(t.Rows*int64(t.Columns))})
	}
	return &per
}

func (m *markdown) goals() {
	m.line("")
	m.line("## Goals")
	m.line("")
	if m.report.Rows < FullRows {
		m.line("Goals are meant for %s rows; %s are too few to judge by.", words.Count(FullRows), words.Count(m.report.Rows))
	} else {
		m.line("A goal is what a release must reach, an aim what it works for.")
	}
	m.table("work", ">measured", ">goal", ">aim", "state")
	for _, g := range goals() {
		s, ok := g.measure(m.report)
		if !ok {
			m.row(g.work, "not measured", g.limit(g.least), g.limit(g.aim), "")
			continue
		}
		shown := g.show(s.Median)
		if s.Min < s.Max {
			shown += fmt.Sprintf(" (%s–%s)", g.show(s.Min), g.show(s.Max))
		}
		state := ""
		if m.report.Rows >= FullRows {
			state = g.state(s.Median)
		}
		m.row(g.work, shown, g.limit(g.least), g.limit(g.aim), state)
	}
}

func (g goal) limit(f float64) string {
	if g.less {
		return "≤ " + g.show(f)
	}
	return "≥ " + g.show(f)
}

// state says what a number reaches.
func (g goal) state(f float64) string {
	reaches := func(limit float64) bool { return g.less && f <= limit || !g.less && f >= limit }
	switch {
	case reaches(g.aim):
		return "aim"
	case reaches(g.least):
		return "goal"
	}
	return "missed"
}
