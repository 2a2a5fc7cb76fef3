// Package bench measures the program beside others on generated data: CPU,
// wall time and memory of whole processes, run in turn on the same files.
package bench

import (
	"slices"
	"time"
)

// Report is the outcome of a benchmark of speed. Times are seconds, sizes
// bytes.
type Report struct {
	Version  int        `json:"version"` // of this document: 1
	Date     time.Time  `json:"date"`
	Machine  Machine    `json:"machine"`
	Threads  int        `json:"threads"` // that each program may use
	Runs     int        `json:"runs"`    // of each program on each task
	Rows     int64      `json:"rows"`    // of the table trips
	Programs []Program  `json:"programs"`
	Tasks    []Task     `json:"tasks"`
	Accuracy []Accuracy `json:"accuracy"` // of the task csv, by column
}

// Machine is where the benchmark ran.
type Machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Memory int64  `json:"memory"` // 0 if unknown
	System string `json:"system"`
}

// Program is a contender. Start is a run that reads nothing: its cost is part
// of all other runs, and its memory is the least that can be measured.
type Program struct {
	Name     string  `json:"name"`
	Version  string  `json:"version"`
	Computes string  `json:"computes"`
	Missing  string  `json:"missing"` // why it did not run, and how to install it
	Start    *Result `json:"start"`
}

// Task is one piece of work that all contenders do.
type Task struct {
	Name    string   `json:"name"`
	Title   string   `json:"title"`
	Rows    int64    `json:"rows"`
	Columns int      `json:"columns"`
	Bytes   int64    `json:"bytes"` // of the file
	Results []Result `json:"results"`
}

// Result holds the runs of one contender on one task.
type Result struct {
	Name    string `json:"name"`
	Failure string `json:"failure"` // what it said instead of an answer
	Runs    []Run  `json:"runs"`
	CPU     Spread `json:"cpu"`
	Wall    Spread `json:"wall"`
	RSS     Spread `json:"rss"`
	Seen    Spread `json:"seen"`
}

// Run is what one process took: seconds of CPU (user and system) and of wall
// time, and the peak of its resident memory in bytes. Seen is the share of the
// input that it looked at: below 1 for a tap that could not keep up, which
// lets bytes pass unseen instead of waiting.
type Run struct {
	CPU  float64 `json:"cpu"`
	Wall float64 `json:"wall"`
	RSS  float64 `json:"rss"`
	Seen float64 `json:"seen"`
}

// Spread is the median of some runs, with their range.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

func spread(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	s := slices.Sorted(slices.Values(values))
	n := len(s)
	return Spread{Median: (s[(n-1)/2] + s[n/2]) / 2, Min: s[0], Max: s[n-1]}
}

func (r *Result) summarize() {
	var cpu, wall, rss, seen []float64
	for _, run := range r.Runs {
		cpu, wall, rss, seen = append(cpu, run.CPU), append(wall, run.Wall), append(rss, run.RSS), append(seen, run.Seen)
	}
	r.CPU, r.Wall, r.RSS, r.Seen = spread(cpu), spread(wall), spread(rss), spread(seen)
}

// ratio compares a measure of two results: the quotient of the medians, and
// the range of the quotients of runs of the same round. ok is false where
// there is nothing to compare.
func ratio(of, by *Result, measure func(Run) float64) (s Spread, ok bool) {
	if of == nil || by == nil || of.Failure != "" || by.Failure != "" || len(of.Runs) == 0 || len(by.Runs) == 0 {
		return Spread{}, false
	}
	var ofs, bys, quotients []float64
	for i := range min(len(of.Runs), len(by.Runs)) {
		a, b := measure(of.Runs[i]), measure(by.Runs[i])
		if b <= 0 {
			return Spread{}, false
		}
		ofs, bys, quotients = append(ofs, a), append(bys, b), append(quotients, a/b)
	}
	s = spread(quotients)
	s.Median = spread(ofs).Median / spread(bys).Median
	s.Min, s.Max = min(s.Min, s.Median), max(s.Max, s.Median)
	return s, true
}

func cpuOf(r Run) float64  { return r.CPU }
func wallOf(r Run) float64 { return r.Wall }

// task returns a task by name, or nil.
func (r *Report) task(name string) *Task {
	for i := range r.Tasks {
		if r.Tasks[i].Name == name {
			return &r.Tasks[i]
		}
	}
	return nil
}

// result returns the result of a contender, or nil.
func (t *Task) result(name string) *Result {
	if t == nil {
		return nil
	}
	for i := range t.Results {
		if t.Results[i].Name == name {
			return &t.Results[i]
		}
	}
	return nil
}
