package signal

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
)

// Prometheus writes the figures in Prometheus' text format, for a dashboard of
// how the detector develops.
func (r *Report) Prometheus(w io.Writer) error {
	var b bytes.Buffer
	gauge := func(name, help string, samples func(sample func(value float64, labels ...string))) {
		fmt.Fprintf(&b, "# HELP profiler_bench_%s %s\n# TYPE profiler_bench_%s gauge\n", name, help, name)
		samples(func(value float64, labels ...string) {
			fmt.Fprintf(&b, "profiler_bench_%s{", name)
			for i := 0; i < len(labels); i += 2 {
				if i > 0 {
					b.WriteByte(',')
				}
				fmt.Fprintf(&b, "%s=%q", labels[i], labels[i+1])
			}
			fmt.Fprintf(&b, "} %s\n", strconv.FormatFloat(value, 'g', -1, 64))
		})
	}
	each := func(f func(d *DetectorReport, g *Figures)) {
		for i := range r.Detectors {
			for j := range r.Detectors[i].Groups {
				f(&r.Detectors[i], &r.Detectors[i].Groups[j])
			}
		}
	}
	type emit = func(value float64, labels ...string)
	gauge("false_pages_per_1000", "Pages on 1,000 healthy batches.", func(sample emit) {
		each(func(d *DetectorReport, g *Figures) {
			sample(g.FP.Value, "detector", d.Name, "sets", g.Group, "of", "pooled")
			sample(g.Median, "detector", d.Name, "sets", g.Group, "of", "median")
			sample(g.P90, "detector", d.Name, "sets", g.Group, "of", "p90")
			sample(g.Worst, "detector", d.Name, "sets", g.Group, "of", "worst")
			sample(g.Episodes, "detector", d.Name, "sets", g.Group, "of", "episodes")
		})
	})
	gauge("recall_ratio", "Share of broken batches that are paged.", func(sample emit) {
		each(func(d *DetectorReport, g *Figures) {
			for s, v := range g.Recall {
				sample(v.Value, "detector", d.Name, "sets", g.Group, "size", Size(s).String()) //nolint:gosec // three sizes
			}
		})
	})
	gauge("recall_at_ratio", "Share of broken batches that are paged at so many false pages per 1,000.", func(sample emit) {
		each(func(d *DetectorReport, g *Figures) {
			for _, v := range g.RecallAt {
				sample(v.Recall.Value, "detector", d.Name, "sets", g.Group, "false_pages", strconv.Itoa(v.FP))
			}
		})
	})
	gauge("fault_recall_ratio", "Share of broken batches that are paged, by fault.", func(sample emit) {
		for _, g := range r.Detectors[0].Groups {
			for _, f := range g.Faults {
				for s, v := range f.Recall {
					if f.Count[s] > 0 {
						sample(v, "sets", g.Group, "fault", f.Fault, "size", Size(s).String()) //nolint:gosec // three sizes
					}
				}
			}
		}
	})
	gauge("attribution_ratio", "Share of the pages on broken batches that name the broken column among the first lines.", func(sample emit) {
		each(func(d *DetectorReport, g *Figures) {
			sample(g.Attribution1, "detector", d.Name, "sets", g.Group, "among", "1")
			sample(g.Attribution3, "detector", d.Name, "sets", g.Group, "among", "3")
		})
	})
	gauge("decision_cpu_seconds", "Processor's time of one decision.", func(sample emit) {
		each(func(d *DetectorReport, g *Figures) { sample(g.CPU/1000, "detector", d.Name, "sets", g.Group) })
	})
	_, err := w.Write(b.Bytes())
	return err
}
