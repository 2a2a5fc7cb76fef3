package app

import (
	"context"
	"fmt"
	"time"

	"github.com/profilerhq/profiler/internal/anomaly"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/rules"
	"github.com/profilerhq/profiler/internal/store"
)

// Past is an earlier batch that is imported.
type Past struct {
	Dataset, Batch string
	At             time.Time
	Profile        *profile.Profile
	// Rules say how the learned decision works; their checks are not judged.
	Rules []*rules.Set
}

// importBatches is how many batches one transaction imports.
const importBatches = 100

// Import records earlier batches, which come in the order of their times, as if
// each had been seen on its day: the learned decision learns from them. Nobody
// is told, and no rule judges. imported is called after each transaction with
// how many are recorded by then.
func (a *App) Import(ctx context.Context, all []Past, imported func(n int)) error {
	for from := 0; from < len(all); from += importBatches {
		part := all[from:min(len(all), from+importBatches)]
		obs := make([]store.Observation, len(part))
		for i := range part {
			obs[i] = a.observationOf(&part[i])
		}
		if err := a.Store.RecordAll(ctx, obs); err != nil {
			return &StoreError{fmt.Errorf("import: %w", err)}
		}
		imported(from + len(part))
	}
	return nil
}

func (a *App) observationOf(p *Past) store.Observation {
	eval := checks.New(rules.Plan(nil, 0))
	defer eval.Close()
	results := eval.Results(checks.Input{Profile: p.Profile, At: p.At, AsOf: p.At})
	o := store.Observation{
		Profile: p.Profile, RulesFingerprint: rules.Fingerprint(p.Rules), Answer: a.answerOf(p.Dataset, p.Batch, p.At), Metrics: metricsOf(p.Rules),
		Report: checks.Report{Version: 1, Dataset: p.Dataset, Batch: p.Batch, At: p.At.UTC(), Verdict: checks.VerdictOf(results), Rows: p.Profile.Rows(), Sample: checks.SampleOf(p.Profile), Results: results},
	}
	if auto := rules.AutoOf(p.Rules); auto.Preset != anomaly.Off {
		o.Learning = &store.Learning{Features: anomaly.Extract(p.Profile, p.At), Options: anomaly.Options{Preset: auto.Preset, Ignore: auto.Ignore}}
	}
	return o
}
