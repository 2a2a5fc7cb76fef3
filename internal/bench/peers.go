package bench

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"github.com/profilerhq/profiler/internal/datagen"
)

var (
	//go:embed peer_duckdb.py
	duckdbPython string
	//go:embed peer_duckdb.js
	duckdbNode string
	//go:embed peer_polars.py
	polarsPython string
)

// The names of contenders. Our own is that of the program.
const (
	ours            = "profiler"
	duckdbSummarize = "DuckDB SUMMARIZE"
	duckdbPlain     = "DuckDB without quantiles"
	polars          = "polars"
	qsv             = "qsv"
	wcLines         = "wc -l"
	catFile         = "cat"
)

// Peers are the programs that can run beside ours.
func Peers() []string { return []string{"duckdb", "polars", "qsv", "wc", "cat"} }

// input is a file of the benchmark.
type input struct {
	table       *datagen.Table
	path        string
	rows        int64
	format      datagen.Format
	compression datagen.Compression
}

// contender is a program that was found.
type contender struct {
	name  string
	about Program
	start *command // a run that reads nothing
	// work returns the command for a file; nil says that it cannot read such
	// files or does not compute that.
	work func(in input) *command
}

// peer is a program beside ours.
type peer struct {
	name string
	find func(ctx context.Context, threads int) ([]contender, error)
	// computes are the names of its contenders with what they compute.
	computes [][2]string
}

func peers() []peer {
	return []peer{
		{"duckdb", findDuckDB, [][2]string{
			{duckdbSummarize, "SUMMARIZE: counts, nulls, approximate distinct, min, max, mean, stddev, quartiles"},
			{duckdbPlain, "a query for counts, approximate distinct, min, max; of numbers mean and stddev"},
		}},
		{"polars", findPolars, [][2]string{{polars, "counts, nulls, approximate distinct, min, max; of numbers mean, stddev, quartiles"}}},
		{"qsv", findQSV, [][2]string{{qsv, "stats --everything"}}},
		{"wc", findTool("wc"), [][2]string{{wcLines, "counts line ends"}}},
		{"cat", findTool("cat"), [][2]string{{catFile, "copies to nowhere"}}},
	}
}

// findPeers looks for programs. The missing ones are contenders without work.
func findPeers(ctx context.Context, names []string, threads int) []contender {
	var all []contender
	for _, p := range peers() {
		if !slices.Contains(names, p.name) {
			continue
		}
		found, err := p.find(ctx, threads)
		if err != nil {
			for _, c := range p.computes {
				all = append(all, contender{name: c[0], about: Program{Name: c[0], Computes: c[1], Missing: err.Error()}})
			}
			continue
		}
		for i := range found {
			found[i].about.Name, found[i].about.Computes = found[i].name, p.computes[i][1]
		}
		all = append(all, found...)
	}
	return all
}

// say runs a program and returns what it prints, in one line.
func say(ctx context.Context, args ...string) (string, error) {
	path, err := exec.LookPath(args[0])
	if err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, path, args[1:]...).Output() //nolint:gosec // programs of the benchmark
	text, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return text, err
}

func findDuckDB(ctx context.Context, threads int) ([]contender, error) {
	n := strconv.Itoa(threads)
	var run []string
	version, err := say(ctx, "python3", "-c", "import duckdb; print(duckdb.__version__)")
	if err == nil {
		version, run = version+" (Python)", []string{"python3", "-c", duckdbPython, n}
	} else if version, err = say(ctx, "node", "-e", "console.log(require('@duckdb/node-api').version())"); err == nil {
		version, run = version+" (Node.js)", []string{"node", "-e", duckdbNode, n}
	}
	if err != nil {
		return nil, errors.New("not found; pip install duckdb, or npm install @duckdb/node-api")
	}
	contenderOf := func(name string, query func(in input) string) contender {
		return contender{
			name: name, about: Program{Version: version}, start: &command{args: run},
			work: func(in input) *command {
				sql := query(in)
				if sql == "" {
					return nil
				}
				return &command{args: append(slices.Clone(run), sql)}
			},
		}
	}
	return []contender{contenderOf(duckdbSummarize, summarizeQuery), contenderOf(duckdbPlain, plainQuery)}, nil
}

// scan is the table function of DuckDB for a file.
func scan(in input) string {
	read := map[datagen.Format]string{datagen.CSV: "read_csv", datagen.Parquet: "read_parquet", datagen.JSONL: "read_json"}[in.format]
	return read + "('" + strings.ReplaceAll(in.path, "'", "''") + "')"
}

func summarizeQuery(in input) string { return "SUMMARIZE FROM " + scan(in) }

// plainQuery leaves the quantiles out, which are about 60 % of SUMMARIZE.
func plainQuery(in input) string {
	if in.table.Nested() {
		return ""
	}
	var terms []string
	for _, c := range in.table.Columns {
		calls := []string{"count", "approx_count_distinct", "min", "max"}
		if c.Kind == datagen.Integer || c.Kind == datagen.Cents {
			calls = append(calls, "avg", "stddev")
		}
		for _, call := range calls {
			terms = append(terms, fmt.Sprintf("%s(%q) AS %q", call, c.Name, c.Name+" "+call))
		}
	}
	return "SELECT count(*) AS \"rows\", " + strings.Join(terms, ", ") + " FROM " + scan(in)
}

func findPolars(ctx context.Context, threads int) ([]contender, error) {
	version, err := say(ctx, "python3", "-c", "import polars; print(polars.__version__)")
	if err != nil {
		return nil, errors.New("not found; pip install polars")
	}
	env := []string{"POLARS_MAX_THREADS=" + strconv.Itoa(threads)}
	return []contender{{
		name: polars, about: Program{Version: version},
		start: &command{args: []string{"python3", "-c", polarsPython}, env: env},
		work: func(in input) *command {
			if in.table.Nested() {
				return nil
			}
			return &command{args: []string{"python3", "-c", polarsPython, in.path}, env: env}
		},
	}}, nil
}

func findQSV(ctx context.Context, threads int) ([]contender, error) {
	version, err := say(ctx, "qsv", "--version")
	if err != nil {
		return nil, errors.New("not found; see https://github.com/dathere/qsv")
	}
	return []contender{{
		name: qsv, about: Program{Version: version}, start: &command{args: []string{"qsv", "--version"}},
		work: func(in input) *command {
			if in.format != datagen.CSV || in.compression != datagen.None {
				return nil
			}
			return &command{args: []string{"qsv", "stats", "--everything", "--infer-dates", "--jobs", strconv.Itoa(threads), in.path}}
		},
	}}, nil
}

// findTool finds wc or cat; they read texts alone.
func findTool(name string) func(context.Context, int) ([]contender, error) {
	return func(ctx context.Context, _ int) ([]contender, error) {
		if _, err := exec.LookPath(name); err != nil {
			return nil, errors.New("not found on this system")
		}
		version, err := say(ctx, name, "--version")
		if err != nil {
			version = "of the system" // not that of GNU
		}
		args, shown := []string{"cat"}, catFile
		if name == "wc" {
			args, shown = []string{"wc", "-l"}, wcLines
		}
		return []contender{{
			name: shown, about: Program{Version: version},
			work: func(in input) *command {
				if in.format == datagen.Parquet || in.compression != datagen.None {
					return nil
				}
				return &command{args: append(slices.Clone(args), in.path)}
			},
		}}, nil
	}
}
