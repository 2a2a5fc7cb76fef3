package cli

import (
	"bytes"
	"errors"

	"github.com/spf13/cobra"

	"github.com/profilerhq/profiler/internal/app"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/report"
	"github.com/profilerhq/profiler/internal/rules"
)

type mergeFlags struct {
	output        outputFlags
	save, dataset string
	sketch        bool
}

func (e *env) mergeCommand() *cobra.Command {
	var f mergeFlags
	cmd := &cobra.Command{
		Use: "merge PROFILE...", Short: "Merge the saved profiles of parts into that of the whole",
		Long:    "Merges files that profile --save wrote. A column that a part lacks is null for its\nrows. Parts of other datasets need --dataset, which names the whole.",
		Example: "  profiler merge part-*.profile --save day.profile",
		RunE:    func(_ *cobra.Command, args []string) error { return e.runMerge(args, &f) },
	}
	f.output.register(cmd, report.KindProfile)
	cmd.Flags().StringVar(&f.save, "save", "", "save the merged profile to a `file`")
	cmd.Flags().StringVar(&f.dataset, "dataset", "", "`name` of the merged dataset")
	cmd.Flags().BoolVar(&f.sketch, "sketch", false, "put the binary form into the JSON, as base64")
	return cmd
}

func (e *env) runMerge(args []string, f *mergeFlags) error {
	format, err := f.output.reportFormat(report.KindProfile)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		return usage("name the profiles to merge: profiler merge a.profile b.profile")
	}
	parts := make([]*profile.Profile, len(args))
	for i, path := range args {
		p, err := app.ReadProfile(path)
		if err != nil {
			if errors.Is(err, profile.ErrFormat) {
				return err
			}
			return readError("merge", err)
		}
		if f.dataset != "" {
			p.Dataset = rules.DatasetName(f.dataset)
		}
		parts[i] = p
	}
	merged, err := profile.Merged(parts...)
	if errors.Is(err, profile.ErrMismatch) {
		return usage("%v; name the whole with --dataset", err)
	}
	if errors.Is(err, profile.ErrKey) {
		return &exitError{exitUnjudged, err.Error() + "; profile the parts with the same " + keyVariable}
	}
	if errors.Is(err, profile.ErrSamples) {
		return &exitError{exitUnjudged, err.Error() + "; profile the parts with the same --sample"}
	}
	if err != nil {
		return err
	}
	if f.save != "" {
		if err := saveProfile(f.save, merged); err != nil {
			return usage("%v", err)
		}
	}
	sum, err := summaryOf(merged, f.sketch)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := report.Profile(&out, format, sum, e.reportOptions(&f.output, false)); err != nil {
		return err
	}
	return e.emit(&f.output, &out)
}
