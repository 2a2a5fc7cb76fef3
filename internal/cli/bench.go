package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/profilerhq/profiler/internal/bench"
	"github.com/profilerhq/profiler/internal/datagen"
)

func (e *env) benchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "bench", Short: "Measure the program on generated data",
		RunE: needSubcommand,
	}
	cmd.AddCommand(e.benchSpeedCommand(), e.benchSignalCommand(), e.benchDataCommand())
	return cmd
}

// benchSpeedFlags are those of profiler bench speed.
type benchSpeedFlags struct {
	peers, only   []string
	runs, threads int
	rows          int64
	quick, growth bool
	data          string
	format, file  string
}

func (e *env) benchSpeedCommand() *cobra.Command {
	var f benchSpeedFlags
	cmd := &cobra.Command{
		Use: "speed", Short: "Measure CPU, time and memory beside other programs", Args: noArgs,
		Long: `Generates tables, profiles them, runs other programs on the same files in turn, and
prints medians with their ranges: seconds of CPU, seconds of wall time, peak memory.
Programs that are not installed are named as missing.

The full size writes 4 GB of data (--growth 8 GB) and takes most of an hour; --quick
takes seconds and shows that everything runs, not how fast it is.`,
		Example: "  profiler bench speed --quick\n  profiler bench speed --data /var/tmp/bench --output-file speed.md\n  profiler bench speed --only csv,parquet --peers duckdb --rows 1000000",
		RunE:    func(cmd *cobra.Command, _ []string) error { return e.benchSpeed(cmd, &f) },
	}
	fl := cmd.Flags()
	fl.StringSliceVar(&f.peers, "peers", bench.Peers(), "`programs` to run beside: "+strings.Join(bench.Peers(), ", ")+", or none")
	fl.StringSliceVar(&f.only, "only", nil, "measure only these `tasks`: "+strings.Join(taskNames(), ", ")+" (default: all but growth)")
	fl.IntVar(&f.runs, "runs", 5, "run each program `N` times")
	fl.Int64Var(&f.rows, "rows", bench.FullRows, "make the table trips `N` rows long, the others in proportion")
	fl.IntVar(&f.threads, "threads", 2, "let each program use `N` threads")
	fl.BoolVar(&f.quick, "quick", false, "20,000 rows and 1 run, unless they are written")
	fl.BoolVar(&f.growth, "growth", false, "also measure how cost grows with rows")
	fl.StringVar(&f.data, "data", "", "keep the data in this `folder` and use what is there (default: a temporary one)")
	fl.StringVarP(&f.format, "output", "o", "markdown", "`format`: markdown, json")
	fl.StringVar(&f.file, "output-file", "", "write the result to a `file` instead of standard output")
	return cmd
}

func taskNames() []string {
	var names []string
	for _, t := range bench.Tasks() {
		names = append(names, t[0])
	}
	return names
}

// options checks the flags.
func (f *benchSpeedFlags) options(cmd *cobra.Command) (bench.Options, error) {
	changed := cmd.Flags().Changed
	if f.quick && !changed("rows") {
		f.rows = 20_000
	}
	if f.quick && !changed("runs") {
		f.runs = 1
	}
	o := bench.Options{Runs: f.runs, Rows: f.rows, Threads: f.threads, Data: f.data}
	switch {
	case f.runs < 1 || f.runs > 1000:
		return o, usage("--runs %d: write 1 to 1000", f.runs)
	case f.rows < 7 || f.rows > 1_000_000_000:
		return o, usage("--rows %d: write 7 to 1000000000", f.rows)
	case f.threads < 1:
		return o, usage("--threads %d: write at least 1", f.threads)
	case f.format != "markdown" && f.format != "json":
		return o, usage("unknown output format %q; write markdown or json", f.format)
	}
	if !slices.Equal(f.peers, []string{"none"}) {
		o.Peers = f.peers
	}
	o.Tasks = f.only
	if len(f.only) == 0 {
		o.Tasks = slices.DeleteFunc(taskNames(), func(t string) bool { return t == "growth" })
	}
	if f.growth {
		o.Tasks = append(o.Tasks, "growth")
	}
	for _, p := range o.Peers {
		if !contains(bench.Peers(), p) {
			return o, usage("unknown program %q; write some of %s, or none", p, strings.Join(bench.Peers(), ", "))
		}
	}
	for _, t := range o.Tasks {
		if !contains(taskNames(), t) {
			return o, usage("unknown task %q; write some of %s", t, strings.Join(taskNames(), ", "))
		}
	}
	return o, nil
}

func (e *env) benchSpeed(cmd *cobra.Command, f *benchSpeedFlags) error {
	o, err := f.options(cmd)
	if err != nil {
		return err
	}
	if o.Program, err = os.Executable(); err != nil {
		return usage("the program cannot find its own file: %v", err)
	}
	o.Version, o.Say = e.version, e.note
	o.Tap = slices.ContainsFunc(cmd.Root().Commands(), func(c *cobra.Command) bool { return c.Name() == "tap" })
	r, err := bench.Speed(cmd.Context(), o)
	if err != nil {
		return benchError(cmd.Context(), err)
	}
	var out bytes.Buffer
	if f.format == "json" {
		err = writeJSON(&out, r)
	} else {
		err = r.Markdown(&out)
	}
	if err != nil {
		return err
	}
	return e.emit(&outputFlags{file: f.file}, &out)
}

// benchError is an answer that could not be had.
func benchError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return &exitError{exitUnjudged, err.Error()}
}

// benchDataFlags are those of profiler bench data.
type benchDataFlags struct {
	rows                      int64
	columns                   int
	seed                      uint64
	format, compression, file string
}

func (e *env) benchDataCommand() *cobra.Command {
	var f benchDataFlags
	var tables strings.Builder
	var names []string
	for _, t := range datagen.Tables() {
		tables.WriteString("\n  " + t[0] + strings.Repeat(" ", 8-len(t[0])) + t[1])
		names = append(names, t[0])
	}
	cmd := &cobra.Command{
		Use: "data TABLE", Short: "Write a table of the benchmark", ValidArgs: names,
		Long: "Writes a generated table. The same table, rows and seed give the same bytes on every\nmachine, and a shorter table is the head of a longer one. The tables are:\n" + tables.String(),
		Example: "  profiler bench data trips --rows 1000000 > trips.csv\n  profiler bench data trips --output-file trips.parquet\n" +
			"  profiler bench data wide --columns 100 --format csv --compression gzip > wide.csv.gz",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage("name one table: %s", strings.Join(names, ", "))
			}
			return e.benchData(cmd, args[0], names, &f)
		},
	}
	fl := cmd.Flags()
	fl.Int64Var(&f.rows, "rows", 0, "write `N` rows (default: the size at which speed is measured, 7000000 of trips)")
	fl.IntVar(&f.columns, "columns", 100, "`N` columns of wide")
	fl.Uint64Var(&f.seed, "seed", 1, "`seed` of the values")
	fl.StringVar(&f.format, "format", "", "`form`: csv, jsonl, parquet (default: by the end of --output-file, else csv, or jsonl of nested)")
	fl.StringVar(&f.compression, "compression", "", "`packing`: none, gzip, zstd; inside Parquet none, snappy, zstd (default: none, snappy in Parquet)")
	fl.StringVar(&f.file, "output-file", "", "write to a `file` instead of standard output")
	return cmd
}

func (e *env) benchData(cmd *cobra.Command, name string, names []string, f *benchDataFlags) error {
	if !contains(names, name) {
		return usage("unknown table %q; write one of %s", name, strings.Join(names, ", "))
	}
	table, err := datagen.Find(name, f.columns)
	if err != nil {
		return usage("--columns: %v", err)
	}
	if f.rows < 0 || f.rows == 0 && cmd.Flags().Changed("rows") {
		return usage("--rows %d: write at least 1", f.rows)
	}
	o := datagen.WriteOptions{Seed: f.seed, Rows: f.rows, Format: datagen.Format(f.format), Compression: datagen.Compression(f.compression)}
	if f.format == "" {
		o.Format = formatOf(table, f.file)
	}
	if err := table.Supports(o); err != nil {
		return usage("%v", err)
	}
	if f.file == "" {
		err = writeTable(cmd.Context(), table, e.stdout, o)
		if errors.Is(err, syscall.EPIPE) {
			return nil // the reader has seen enough
		}
		return err
	}
	if err := tableFile(cmd.Context(), table, f.file, o); err != nil && cmd.Context().Err() == nil {
		return writeError("write the table", err)
	}
	return cmd.Context().Err()
}

// formatOf is the form that a file's name asks for.
func formatOf(table *datagen.Table, file string) datagen.Format {
	switch {
	case table.Nested() || strings.HasSuffix(file, ".jsonl"):
		return datagen.JSONL
	case strings.HasSuffix(file, ".parquet"):
		return datagen.Parquet
	}
	return datagen.CSV
}

// tableFile writes a table to a file, whole or not at all.
func tableFile(ctx context.Context, table *datagen.Table, path string, o datagen.WriteOptions) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return plainFileError(path, err)
	}
	err = writeTable(ctx, table, tmp, o)
	err = errors.Join(err, tmp.Chmod(0o644), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		os.Remove(tmp.Name()) //nolint:errcheck // it may be gone
		return plainFileError(path, err)
	}
	return nil
}

func writeTable(ctx context.Context, table *datagen.Table, w io.Writer, o datagen.WriteOptions) error {
	b := bufio.NewWriterSize(untilDone{ctx, w}, 1<<20)
	return errors.Join(table.Write(b, o), b.Flush())
}

// untilDone is a writer that fails once its context is done.
type untilDone struct {
	ctx context.Context
	w   io.Writer
}

func (u untilDone) Write(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.w.Write(p)
}
