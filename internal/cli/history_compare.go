package cli

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/profilerhq/profiler/internal/app"
	"github.com/profilerhq/profiler/internal/compare"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/report"
	"github.com/profilerhq/profiler/internal/rules"
	"github.com/profilerhq/profiler/internal/store"
)

// compareFlags are those of profiler history compare.
type compareFlags struct {
	store, dataset string
	output         outputFlags
}

func (e *env) historyCompareCommand() *cobra.Command {
	var f compareFlags
	cmd := &cobra.Command{
		Use: "compare A B", Short: "Set two batches beside each other",
		Long: `Shows what two batches differ in: rows, columns that came or went, and how far the
values of each column moved. A and B are saved profiles (x.profile), batches as
DATASET@BATCH, or names of batches with --dataset.`,
		Example: "  profiler history compare shop/orders@2026-03-01 shop/orders@2026-03-02\n  profiler history compare --dataset shop/orders 2026-03-01 2026-03-02 -o json\n  profiler history compare before.profile after.profile",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usage("name two batches or saved profiles: profiler history compare shop/orders@2026-03-01 shop/orders@2026-03-02")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return e.historyCompare(cmd, args, &f) },
	}
	f.output.register(cmd, report.KindHistory, "json")
	cmd.Flags().StringVar(&f.store, "store", "", "`URL` of the history (default "+defaultStore+")")
	cmd.Flags().StringVar(&f.dataset, "dataset", "", "`dataset` of names of batches")
	return cmd
}

func (e *env) historyCompare(cmd *cobra.Command, args []string, f *compareFlags) error {
	if !contains([]string{"table", "markdown", "json"}, f.output.format) {
		return usage("unknown output format %q; write table, markdown or json", f.output.format)
	}
	var s *store.Store
	for _, a := range args {
		if strings.HasSuffix(a, ".profile") || s != nil {
			continue
		}
		var err error
		if s, err = e.openStore(cmd, f.store); err != nil {
			return err
		}
		defer s.Close() //nolint:errcheck // only read
	}
	var sides [2]compare.Side
	var profiles [2]*profile.Profile
	for i, a := range args {
		var err error
		if profiles[i], sides[i], err = e.compared(cmd, s, a, f.dataset); err != nil {
			return err
		}
	}
	res := compare.Profiles(profiles[0], profiles[1], sides[0], sides[1])
	var out bytes.Buffer
	if f.output.format == "json" {
		if err := writeJSON(&out, res); err != nil {
			return err
		}
		return e.emit(&f.output, &out)
	}
	format, _ := report.ParseFormat(f.output.format)
	report.Comparison(&out, format, comparisonOf(&res), e.reportOptions(&f.output, false))
	return e.emit(&f.output, &out)
}

// compared finds the profile behind an argument.
func (e *env) compared(cmd *cobra.Command, s *store.Store, arg, dataset string) (*profile.Profile, compare.Side, error) {
	if strings.HasSuffix(arg, ".profile") {
		p, err := app.ReadProfile(arg)
		switch {
		case errors.Is(err, profile.ErrFormat):
			return nil, compare.Side{}, err
		case err != nil:
			return nil, compare.Side{}, &exitError{exitUnjudged, readError("compare", err).Error()}
		}
		return p, compare.Side{Dataset: p.Dataset, Batch: arg}, nil
	}
	name, batch, ok := strings.Cut(arg, "@")
	if !ok {
		if name, batch = dataset, arg; dataset == "" {
			return nil, compare.Side{}, usage("%s names no dataset; write DATASET@%s or add --dataset", arg, arg)
		}
	}
	name = rules.DatasetName(name)
	if err := knownDataset(cmd, s, name); err != nil {
		return nil, compare.Side{}, err
	}
	p, rep, err := s.Get(cmd.Context(), name, batch)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, compare.Side{}, e.unknownBatch(cmd, s, name, batch)
	case err != nil:
		return nil, compare.Side{}, &app.StoreError{Err: err}
	case p == nil:
		return nil, compare.Side{}, usage("the profile of %s batch %s is no longer kept", name, batch)
	}
	return p, compare.Side{Dataset: name, Batch: batch, At: rep.At}, nil
}

// comparisonOf lays a comparison out for people.
func comparisonOf(r *compare.Result) report.ComparisonTable {
	side := func(s *compare.Side) string {
		if s.Batch == "" {
			return s.Dataset
		}
		return s.Dataset + " " + s.Batch
	}
	change := ""
	if v, ok := r.Change.Float(); ok {
		change = fmt.Sprintf(" (%+.1f %%)", 100*v)
	}
	t := report.ComparisonTable{
		Left: side(&r.Left), Right: side(&r.Right), LeftRows: r.Left.Rows, RightRows: r.Right.Rows, Change: change,
	}
	for _, c := range r.Moved() {
		t.Rows = append(t.Rows, comparisonRow(&c))
	}
	return t
}

func comparisonRow(c *compare.Column) report.ComparisonRow {
	row := report.ComparisonRow{Name: c.Name, Type: c.Type.Right, Status: "same"}
	switch {
	case c.Status != compare.Both:
		row.Status = c.Status
		if c.Status == compare.Removed {
			row.Type = c.Type.Left
		}
	case c.Type.Left != c.Type.Right:
		row.Status, row.Type = "type", c.Type.Left+" → "+c.Type.Right
	case c.Drift == nil:
		row.Status = "moves on"
		if c.Type.Right == "null" {
			row.Status = "same"
		}
	case c.Drift.Significant && c.Drift.Value >= 0.1:
		row.Status = "drift"
	case c.Drift.Significant:
		row.Status = "a little"
	}
	row.Nulls = [2]profile.Scalar{c.NullRate.Left, c.NullRate.Right}
	row.Distinct = [2]profile.Scalar{c.Distinct.Left, c.Distinct.Right}
	row.Middle = [2]profile.Scalar{c.Median.Left, c.Median.Right}
	if d := c.Drift; d != nil {
		row.Distance = fmt.Sprintf("%s %.3f", strings.ToUpper(d.Method), d.Value)
		if d.Significant && len(d.Moved) > 0 {
			m := d.Moved[0]
			row.Note = fmt.Sprintf("%s: %.1f %% → %.1f %%", m.Label, 100*m.Baseline, 100*m.Batch)
		}
	}
	return row
}
