package cli

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/profilerhq/profiler/internal/app"
	"github.com/profilerhq/profiler/internal/rules"
	"github.com/profilerhq/profiler/internal/store"
)

func (e *env) historyExportCommand() *cobra.Command {
	var f historyFlags
	cmd := &cobra.Command{
		Use: "export", Short: "Write the stored metrics of batches, oldest first", Args: noArgs,
		Example: "  profiler history export --dataset shop/orders -o csv > orders.csv",
		RunE:    func(cmd *cobra.Command, _ []string) error { return e.historyExport(cmd, &f) },
	}
	cmd.Flags().StringVarP(&f.output.format, "output", "o", "jsonl", "`format`: jsonl or csv")
	cmd.Flags().StringVar(&f.output.file, "output-file", "", "write to a `file` instead of standard output")
	cmd.Flags().StringVar(&f.store, "store", "", "`URL` of the history (default "+defaultStore+")")
	cmd.Flags().StringVar(&f.dataset, "dataset", "", "only this `dataset`")
	cmd.Flags().StringVar(&f.from, "from", "", "from this `time` on")
	cmd.Flags().StringVar(&f.to, "to", "", "before this `time`")
	return cmd
}

// exportLine is a stored number.
type exportLine struct {
	Dataset string    `json:"dataset"`
	Batch   string    `json:"batch"`
	At      time.Time `json:"at"`
	Column  *string   `json:"column"` // null for the dataset itself
	Metric  string    `json:"metric"`
	Value   float64   `json:"value"`
}

func (e *env) historyExport(cmd *cobra.Command, f *historyFlags) error {
	if f.output.format != "jsonl" && f.output.format != "csv" {
		return usage("unknown output format %q; write jsonl or csv", f.output.format)
	}
	from, err := parseTime("--from", f.from, time.UTC)
	if err != nil {
		return err
	}
	to, err := parseTime("--to", f.to, time.UTC)
	if err != nil {
		return err
	}
	s, err := e.openStore(cmd, f.store)
	if err != nil {
		return err
	}
	defer s.Close() //nolint:errcheck // only read
	q := store.HistoryQuery{From: from, To: to}
	if f.dataset != "" {
		q.Dataset = rules.DatasetName(f.dataset)
		if err := knownDataset(cmd, s, q.Dataset); err != nil {
			return err
		}
	}
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	enc := json.NewEncoder(&out)
	if f.output.format == "csv" {
		if err := w.Write([]string{"dataset", "batch", "at", "column", "metric", "value"}); err != nil {
			return err
		}
	}
	err = s.ExportMetrics(cmd.Context(), q, func(m store.ExportedMetric) error {
		if f.output.format == "csv" {
			return w.Write([]string{m.Dataset, m.Batch, m.At.Format(time.RFC3339Nano), m.Column, m.Metric, strconv.FormatFloat(m.Value, 'g', -1, 64)})
		}
		line := exportLine{Dataset: m.Dataset, Batch: m.Batch, At: m.At, Metric: m.Metric, Value: m.Value}
		if m.Column != "" {
			line.Column = &m.Column
		}
		return enc.Encode(line)
	})
	if err != nil {
		return &app.StoreError{Err: err}
	}
	if w.Flush(); w.Error() != nil {
		return w.Error()
	}
	return e.emit(&f.output, &out)
}
