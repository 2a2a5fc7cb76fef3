package signal

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// The part of the benchmark that every change must pass: the figures are equal
// on every machine. Limits leave one page, and a few points of recall, to what
// is measured today.
func TestDetectorKeepsItsFigures(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	r, err := Run(t.Context(), Options{Only: []string{"small", "mixing"}, Seed: 1, Batches: 90, Injections: 4, NoPeers: true, NoChains: true})
	require.NoError(t, err)
	f := r.Detectors[0].Group(GroupSynthetic)
	require.Equal(t, 2, f.Sets)
	require.Equal(t, 2*(90-firstJudged), f.Healthy)
	require.LessOrEqual(t, f.FP.Value, 7.0, "pages on healthy batches: %v", r.Sets)
	require.GreaterOrEqual(t, f.Recall[Small].Value, 0.70)
	require.GreaterOrEqual(t, f.Recall[Middle].Value, 0.93)
	require.GreaterOrEqual(t, f.Recall[Large].Value, 0.97)
	require.GreaterOrEqual(t, f.Attribution3, 0.95)
	for _, fault := range f.Faults {
		switch fault.Fault {
		case "unit x100", "type change", "stale copy", "duplicate load", "outliers x1000":
			size := Middle
			if fault.Count[Middle] == 0 {
				size = Small // it has one size
			}
			require.GreaterOrEqual(t, fault.Recall[size], 0.95, fault.Fault)
		}
	}
}

func TestRunIsReproducibleAndWritesAllForms(t *testing.T) {
	o := Options{Only: []string{"tiny"}, Seed: 3, Batches: 70, Injections: 1}
	first, err := Run(t.Context(), o)
	require.NoError(t, err)
	second, err := Run(t.Context(), o)
	require.NoError(t, err)
	require.Len(t, first.Detectors, 6)
	require.NotEmpty(t, first.Chains)
	for _, r := range []*Report{first, second} { // what differs by nature
		r.Date, r.Seconds = first.Date, 0
		for i := range r.Sets {
			r.Sets[i].CPU = 0
		}
		for i := range r.Detectors {
			for j := range r.Detectors[i].Groups {
				r.Detectors[i].Groups[j].CPU = 0
			}
		}
	}
	a, err := json.Marshal(first)
	require.NoError(t, err)
	b, err := json.Marshal(second)
	require.NoError(t, err)
	require.JSONEq(t, string(a), string(b))
	var md, prom bytes.Buffer
	require.NoError(t, first.Markdown(&md))
	require.NoError(t, first.Prometheus(&prom))
	require.NotContains(t, md.String()+prom.String(), "NaN")
	require.Contains(t, md.String(), "| synthetic | kNN |")
	require.Contains(t, prom.String(), `profiler_bench_recall_ratio{detector="profiler",sets="synthetic",size="M"}`)
}

func TestAbsentSetsAreNamed(t *testing.T) {
	r, err := Run(t.Context(), Options{Data: t.TempDir(), Only: []string{"retail", "tiny"}, Batches: 20, Injections: 1, NoPeers: true, NoChains: true})
	require.NoError(t, err)
	require.Equal(t, []string{"retail"}, r.Absent)
	_, err = Run(t.Context(), Options{Only: []string{"retail"}})
	require.ErrorContains(t, err, "absent")
}

func TestCanceledRunEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Run(ctx, Options{Only: []string{"tiny"}})
	require.ErrorIs(t, err, context.Canceled)
}

func TestPartsOfRealData(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "ett"), 0o755))
	text := "date,x\n"
	for _, day := range []string{"2016-07-01", "2016-07-02", "2016-07-03"} {
		for _, hour := range []string{"00", "06", "12", "18"} {
			text += day + " " + hour + ":00:00,1.5\n"
		}
	}
	text += "2016-07-04 00:00:00,2\n" // the file ends within the day
	require.NoError(t, os.WriteFile(filepath.Join(dir, "ett", "a.csv"), []byte(text), 0o600))
	q, err := loadSet(t.Context(), dir, &set{name: "a", source: "ett/*.csv", per: "day", time: []string{"date"}}, 240)
	require.NoError(t, err)
	require.Equal(t, 3, q.len())
	require.Equal(t, 4, q.batch(2).rows())
	require.Equal(t, "2016-07-03 18:00:00", q.batch(2).cols[0][3])
	_, err = loadSet(t.Context(), dir, &set{name: "a", source: "ett/*.csv", per: "day", time: []string{"day"}}, 240)
	require.ErrorContains(t, err, "there is no column day among date, x")
}
