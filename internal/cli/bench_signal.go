package cli

import (
	"bytes"
	"strings"

	"github.com/spf13/cobra"

	"github.com/profilerhq/profiler/internal/bench/signal"
)

// benchSignalFlags are those of profiler bench signal.
type benchSignalFlags struct {
	data                string
	only                []string
	seed                uint64
	batches, injections int
	threads             int
	noPeers, noChains   bool
	format, file, cache string
}

func (e *env) benchSignalCommand() *cobra.Command {
	var f benchSignalFlags
	public, generated := signal.SetNames()
	cmd := &cobra.Command{
		Use: "signal", Short: "Measure how often auto pages wrongly, and which faults it finds", Args: noArgs,
		Long: `Profiles sequences of batches, replays them in order with the defaults, and prints how many
healthy batches are paged and how many broken ones are found, by fault and size, beside other
tools' rules on the same profiles.

Generated sets: ` + strings.Join(generated, ", ") + `.
Real sets, below --data: ` + strings.Join(public, ", ") + `.
Sets whose data is absent are named as absent.`,
		Example: "  profiler bench signal\n  profiler bench signal --data ../data --output-file signal.md\n  profiler bench signal --only tiny,small --batches 60 --no-peers --output json",
		RunE:    func(cmd *cobra.Command, _ []string) error { return e.benchSignal(cmd, &f) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.data, "data", "", "the `folder` with the real sets (default: only generated ones)")
	fl.StringSliceVar(&f.only, "only", nil, "measure only these `sets`")
	fl.Uint64Var(&f.seed, "seed", 1, "`seed` of the generated sets and of the faults")
	fl.IntVar(&f.batches, "batches", 0, "at most `N` batches of each set (default: 240, fewer of large sets)")
	fl.IntVar(&f.injections, "injections", 9, "break `N` batches of each set in every way")
	fl.IntVar(&f.threads, "threads", 0, "measure `N` sets at once (default: one for each core)")
	fl.BoolVar(&f.noPeers, "no-peers", false, "leave out the other tools' rules")
	fl.BoolVar(&f.noChains, "no-sequences", false, "leave out the faults that stretch over several batches")
	fl.StringVar(&f.cache, "cache", "", "keep profiles in a `folder` for further runs of the same profiler: a change of the detector alone\nthen profiles nothing again")
	fl.StringVarP(&f.format, "output", "o", "markdown", "`format`: markdown, json, prometheus")
	fl.StringVar(&f.file, "output-file", "", "write the result to a `file` instead of standard output")
	return cmd
}

// options checks the flags.
func (f *benchSignalFlags) options() (signal.Options, error) {
	o := signal.Options{
		Data: f.data, Only: f.only, Seed: f.seed, Batches: f.batches, Injections: f.injections,
		NoPeers: f.noPeers, NoChains: f.noChains, Threads: f.threads, Cache: f.cache,
	}
	switch {
	case f.batches != 0 && f.batches < 20:
		return o, usage("--batches %d: write at least 20; pages count from batch 15 on", f.batches)
	case f.injections < 1 || f.injections > 9:
		return o, usage("--injections %d: write 1 to 9", f.injections)
	case f.threads < 0:
		return o, usage("--threads %d: write at least 1", f.threads)
	case !contains([]string{"markdown", "json", "prometheus"}, f.format):
		return o, usage("unknown output format %q; write markdown, json or prometheus", f.format)
	}
	public, generated := signal.SetNames()
	for _, name := range f.only {
		if !contains(public, name) && !contains(generated, name) {
			return o, usage("unknown set %q; write some of %s", name, strings.Join(append(public, generated...), ", "))
		}
	}
	return o, nil
}

func (e *env) benchSignal(cmd *cobra.Command, f *benchSignalFlags) error {
	o, err := f.options()
	if err != nil {
		return err
	}
	o.Version, o.Say = e.version, e.note
	r, err := signal.Run(cmd.Context(), o)
	if err != nil {
		return benchError(cmd.Context(), err)
	}
	var out bytes.Buffer
	switch f.format {
	case "json":
		err = writeJSON(&out, r)
	case "prometheus":
		err = r.Prometheus(&out)
	default:
		err = r.Markdown(&out)
	}
	if err != nil {
		return err
	}
	return e.emit(&outputFlags{file: f.file}, &out)
}
