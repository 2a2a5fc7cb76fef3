package bench

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/profilerhq/profiler/internal/datagen"
	"github.com/profilerhq/profiler/internal/words"
)

// FullRows is the size of trips at which goals are judged.
const FullRows = 7_000_000

// Options say what Speed measures.
type Options struct {
	Program string   // path of the program itself
	Version string   // of the program
	Tap     bool     // whether the program has the command tap
	Peers   []string // names of Peers
	Tasks   []string // names of Tasks
	Runs    int      // of each contender on each task
	Rows    int64    // of trips; the other tables are in proportion
	Threads int      // that each program may use
	Data    string   // folder of the generated files, which are kept and used again; "" is a temporary one
	Say     func(format string, args ...any)
}

// Tasks are the names of tasks with what they measure. All but the last run if
// nothing else is asked for.
func Tasks() [][2]string {
	return [][2]string{
		{"csv", "trips as CSV"},
		{"parquet", "trips as Parquet, snappy"},
		{"parquet-zstd", "trips as Parquet, zstd"},
		{"jsonl", "the first 2 of 7 million rows as JSON lines"},
		{"gzip", "1 of 7 million rows as CSV in gzip"},
		{"zstd", "1 of 7 million rows as CSV in zstd"},
		{"quotes", "delimiters, quotes and line ends inside quotes"},
		{"unique", "every value once"},
		{"nested", "JSON objects three levels deep"},
		{"columns", "20 million cells as 5, 100 and 1,000 columns"},
		{"tap", "CSV through a pipe"},
		{"checks", "20 row checks on top of a profile"},
		{"growth", "1, 4 and 16 of 7 million rows"},
	}
}

//go:embed checks.yaml
var rowChecks []byte

const seed = 1

// The names of results of our other commands.
const (
	oursTap    = "profiler tap"
	oursChecks = "profiler check, 20 row checks"
)

// job is a task with its file and its contenders.
type job struct {
	name, title string
	in          input
	with        []contender
}

// speed is a running benchmark.
type speed struct {
	Options

	ctx    context.Context
	work   string // temporary folder
	self   contender
	found  []contender
	report *Report
}

// Speed measures the program and its peers. A peer that fails is reported
// with its message; that the program itself fails is an error.
func Speed(ctx context.Context, o Options) (*Report, error) {
	work, err := os.MkdirTemp("", "profiler-bench-")
	if err != nil {
		return nil, fmt.Errorf("make a temporary folder: %w", err)
	}
	defer os.RemoveAll(work) //nolint:errcheck // a temporary folder
	if o.Data == "" {
		o.Data = work
	}
	if o.Data, err = filepath.Abs(o.Data); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Data, 0o755); err != nil {
		return nil, fmt.Errorf("make the folder of the data: %w", err)
	}
	s := &speed{Options: o, ctx: ctx, work: work}
	s.report = &Report{Version: 1, Date: time.Now().UTC(), Machine: thisMachine(), Threads: o.Threads, Runs: o.Runs, Rows: o.Rows}
	s.self = s.ourselves()
	s.found = findPeers(ctx, o.Peers, o.Threads)
	if err := s.starts(); err != nil {
		return nil, err
	}
	for _, j := range s.jobs() {
		if err := s.run(j); err != nil {
			return nil, err
		}
	}
	if s.report.task("csv") != nil {
		o.Say("compare distinct values and quantiles with exact ones")
		if s.report.Accuracy, err = s.accuracy(); err != nil {
			return nil, err
		}
	}
	return s.report, nil
}

// command returns a call of the program itself, away from its configuration.
func (s *speed) command(args ...string) *command {
	return &command{args: append([]string{s.Program}, args...), env: []string{"GOMAXPROCS=" + strconv.Itoa(s.Threads)}, dir: s.work}
}

func (s *speed) ourselves() contender {
	return contender{
		name:  ours,
		about: Program{Name: ours, Version: s.Version, Computes: "profile: counts, types, nulls, distinct, min, max, moments, quantiles, top values, histogram, lengths"},
		start: s.command("version"),
		work:  func(in input) *command { return s.command("profile", in.path, "-q", "-o", "json") },
	}
}

// paces are how fast bytes are sent through a pipe, in MB a second: as fast as
// it goes, and as a program sends them that has to make them first.
var paces = []float64{0, 450, 250, 100}

// paced is the name of a program in a pipe with a pace.
func paced(name string, pace float64) string {
	if pace == 0 {
		return name
	}
	return fmt.Sprintf("%s, %g MB/s sent", name, pace)
}

// pipeContenders are what stands in the middle of a pipe.
func (s *speed) pipeContenders() (all []contender) {
	for _, pace := range paces {
		tap := contender{name: paced(oursTap, pace), work: func(in input) *command {
			report := filepath.Join(s.work, "tap.json")
			c := s.command("tap", "-q", "--dataset", "bench/trips", "--format", "csv", "-o", "json", "--output-file", report)
			c.pipe, c.tap, c.pace = in.path, report, 1e6*pace
			return c
		}}
		if !s.Tap {
			tap.about.Missing = "this version has no command tap"
		}
		all = append(all, tap, contender{name: paced(catFile, pace), work: func(in input) *command {
			return &command{args: []string{"cat"}, pipe: in.path, pace: 1e6 * pace}
		}})
	}
	return all
}

func (s *speed) checkContenders() []contender {
	return []contender{s.self, {name: oursChecks, work: func(in input) *command {
		return s.command("check", in.path, "-q", "-o", "json", "--dataset", "bench/trips", "--rules", s.rules())
	}}}
}

func (s *speed) rules() string { return filepath.Join(s.work, "checks.yaml") }

// jobs are what is measured, in order.
func (s *speed) jobs() []job {
	all := append([]contender{s.self}, s.found...)
	part := func(n int64) int64 { return max(1, s.Rows*n/7) } // n millions of 7
	trips := datagen.Trips()
	csv := input{table: trips, rows: s.Rows, format: datagen.CSV, compression: datagen.None}
	jobs := []job{
		{"csv", "CSV", csv, all},
		{"parquet", "Parquet, snappy", input{trips, "", s.Rows, datagen.Parquet, datagen.Snappy}, all},
		{"parquet-zstd", "Parquet, zstd", input{trips, "", s.Rows, datagen.Parquet, datagen.Zstd}, all},
		{"jsonl", "JSON lines", input{trips, "", part(2), datagen.JSONL, datagen.None}, all},
		{"gzip", "CSV in gzip", input{trips, "", part(1), datagen.CSV, datagen.Gzip}, all},
		{"zstd", "CSV in zstd", input{trips, "", part(1), datagen.CSV, datagen.Zstd}, all},
	}
	for _, other := range []struct {
		table  *datagen.Table
		format datagen.Format
		title  string
	}{
		{datagen.Quotes(), datagen.CSV, "delimiters, quotes and line ends inside quotes"},
		{datagen.Unique(), datagen.CSV, "every value once"},
		{datagen.Nested(), datagen.JSONL, "objects three levels deep"},
	} {
		rows := max(1, other.table.DefaultRows*s.Rows/FullRows)
		jobs = append(jobs, job{other.table.Name, other.title, input{other.table, "", rows, other.format, datagen.None}, all})
	}
	narrow := slices.DeleteFunc(slices.Clone(all), func(c contender) bool { return c.name != ours && c.name != duckdbSummarize })
	for _, columns := range []int{5, 100, 1_000} {
		table := datagen.Wide(columns)
		rows := max(1, table.DefaultRows*s.Rows/FullRows)
		jobs = append(jobs, job{"columns", strconv.Itoa(columns) + " columns", input{table, "", rows, datagen.CSV, datagen.None}, narrow})
	}
	jobs = append(jobs, job{"tap", "through a pipe", csv, s.pipeContenders()}, job{"checks", "with row checks", csv, s.checkContenders()})
	for _, form := range []struct {
		title       string
		format      datagen.Format
		compression datagen.Compression
	}{{"CSV", datagen.CSV, datagen.None}, {"Parquet, snappy", datagen.Parquet, datagen.Snappy}} {
		for _, n := range []int64{1, 4, 16} {
			jobs = append(jobs, job{"growth", form.title, input{trips, "", part(n), form.format, form.compression}, []contender{s.self}})
		}
	}
	return slices.DeleteFunc(jobs, func(j job) bool { return !slices.Contains(s.Tasks, j.name) })
}

// starts measures what each program takes before it reads anything.
func (s *speed) starts() error {
	if err := os.WriteFile(s.rules(), rowChecks, 0o644); err != nil {
		return fmt.Errorf("write the rules: %w", err)
	}
	for _, c := range append([]contender{s.self}, s.found...) {
		p := c.about
		if p.Missing != "" {
			s.Say("%s: %s", c.name, p.Missing)
		}
		if c.start != nil {
			r, err := s.rounds("start", input{}, []contender{{name: c.name, work: func(input) *command { return c.start }}})
			if err != nil {
				return err
			}
			p.Start = &r[0]
		}
		s.report.Programs = append(s.report.Programs, p)
	}
	return nil
}

// run measures one job.
func (s *speed) run(j job) error {
	path, err := s.file(j.in)
	if err != nil {
		return err
	}
	j.in.path = path
	size, err := warm(path)
	if err != nil {
		return err
	}
	s.Say("%s: %s, %s of %s, %s MB", j.name, j.title, words.Things(j.in.rows, "row"), words.Things(len(j.in.table.Columns), "column"), number(float64(size)/1e6))
	results, err := s.rounds(j.name, j.in, j.with)
	if err != nil {
		return err
	}
	s.report.Tasks = append(s.report.Tasks, Task{
		Name: j.name, Title: j.title, Rows: j.in.rows, Columns: len(j.in.table.Columns), Bytes: size, Results: results,
	})
	return nil
}

// rounds runs all contenders once in each round, so that a slow minute of the
// machine meets all of them.
func (s *speed) rounds(job string, in input, with []contender) ([]Result, error) {
	var results []Result
	commands := map[string]*command{}
	for _, c := range with {
		switch {
		case c.about.Missing != "":
			if c.name == oursTap {
				results = append(results, Result{Name: c.name, Failure: "missing: " + c.about.Missing})
			}
		case c.work(in) != nil:
			commands[c.name] = c.work(in)
			results = append(results, Result{Name: c.name})
		}
	}
	for range s.Runs {
		for i := range results {
			r := &results[i]
			if r.Failure != "" {
				continue
			}
			c := *commands[r.Name]
			if job == "csv" && (r.Name == ours || r.Name == duckdbSummarize) {
				c.out = s.answer(r.Name)
			}
			run, err := measure(s.ctx, c)
			switch {
			case s.ctx.Err() != nil:
				return nil, s.ctx.Err()
			case err != nil && c.args[0] == s.Program:
				return nil, fmt.Errorf("%s %s: %w", ours, c.args[1], err)
			case err != nil:
				r.Failure = "failed: " + err.Error()
				s.Say("%s failed: %v", r.Name, err)
			default:
				r.Runs = append(r.Runs, run)
			}
		}
	}
	for i := range results {
		results[i].summarize()
	}
	return results, nil
}

// answer is the file of what a contender last said of the task csv.
func (s *speed) answer(contender string) string {
	return filepath.Join(s.work, contender+".out")
}

// file returns the path of a file of the benchmark and makes it if it is not
// there. Another process makes it: this one is to stay small, see peakRSS.
func (s *speed) file(in input) (string, error) {
	name := in.table.Name
	if name == "wide" {
		name += strconv.Itoa(len(in.table.Columns))
	}
	name = fmt.Sprintf("%s-%d.%s", name, in.rows, in.format)
	switch {
	case in.format == datagen.Parquet:
		name = fmt.Sprintf("%s-%d.%s.parquet", in.table.Name, in.rows, in.compression)
	case in.compression == datagen.Gzip:
		name += ".gz"
	case in.compression == datagen.Zstd:
		name += ".zst"
	}
	path := filepath.Join(s.Data, name)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	s.Say("make %s", name)
	c := s.command("bench", "data", in.table.Name, "--rows", strconv.FormatInt(in.rows, 10), "--columns", strconv.Itoa(len(in.table.Columns)),
		"--format", string(in.format), "--compression", string(in.compression), "--seed", strconv.Itoa(seed), "--output-file", path)
	if _, err := measure(s.ctx, *c); err != nil {
		return "", fmt.Errorf("make %s: %w", name, err)
	}
	return path, nil
}

// warm reads a file, so that all find it in the cache, and returns its size.
func warm(path string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	n, err := io.Copy(io.Discard, f)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", path, err)
	}
	return n, nil
}
