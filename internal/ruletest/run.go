package ruletest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/profilerhq/profiler/internal/app"
	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/monitor"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/rules"
	"github.com/profilerhq/profiler/internal/source"
)

// Outcome is what became of a test.
type Outcome struct {
	File string
	Test *Test
	// Differences are between what is expected and what was found; none is a
	// pass.
	Differences []Difference
	// Err says why the test could not be run to its end.
	Err error
	// Batches is how many were judged.
	Batches int
}

// Passed reports whether everything was as expected.
func (o *Outcome) Passed() bool { return o.Err == nil && len(o.Differences) == 0 }

// Difference is one value that is not as expected.
type Difference struct {
	Pos   diag.Position // of the expectation
	Batch string        // which one of a series
	Path  string        // results[amount.range].status
	Want  string
	Got   string
	// Message is that of the result, for its context.
	Message string
}

// Run runs a test.
func Run(ctx context.Context, f *File, t *Test) *Outcome {
	o := &Outcome{File: f.Path, Test: t}
	r := &run{outcome: o, test: t}
	o.Err = r.all(ctx)
	return o
}

// run is one test at work.
type run struct {
	outcome *Outcome
	test    *Test
	app     *app.App
	now     time.Time // the clock of a series
}

func (r *run) all(ctx context.Context) (err error) {
	opts := app.Options{Now: func() time.Time { return r.now }}
	if r.test.Series { // a history of its own
		dir, err := os.MkdirTemp("", "profiler-test-*")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
		opts.Store = "sqlite:" + filepath.Join(dir, "history.db")
	}
	if r.app, err = app.New(ctx, opts); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.app.Close()) }()
	for i := range r.test.Batches {
		b := &r.test.Batches[i]
		for k := range b.Repeat {
			if err := r.batch(ctx, b, b.at(k)); err != nil {
				return err
			}
		}
	}
	return nil
}

// batch judges a batch and compares.
func (r *run) batch(ctx context.Context, b *Batch, at time.Time) error {
	if r.now = at; at.IsZero() {
		r.now = time.Now()
	}
	reader, err := open(ctx, &b.Data)
	if err != nil {
		return err
	}
	defer reader.Close() //nolint:errcheck // only read
	dataset, sets := r.test.Dataset, r.test.sets
	if b.Dataset != "" && b.Dataset != dataset {
		dataset, sets = b.Dataset, r.test.library.For(b.Dataset)
	}
	s := app.Subject(dataset, reader, sets)
	s.Batch, s.At, s.Location = b.Name, at, r.test.zone
	if p, ok := source.PartitionOf(reader.Input(), r.test.zone); ok && at.IsZero() {
		s.At, s.AsOf, r.now = p.From, p.To, p.To
	}
	if r.test.Series && s.At.IsZero() {
		return fmt.Errorf("%s: a batch of a series needs a time: write at:, or a day into the name of the file", b.Pos)
	}
	if s.Batch == "" && r.test.Series {
		s.Batch = s.At.UTC().Format(time.RFC3339)
	}
	if b.Data.Source == "" {
		s.Modified = time.Time{}
	}
	if b.Input != nil {
		if s.Input, err = profiled(ctx, b.Input); err != nil {
			return err
		}
	}
	out, err := r.app.Monitor.Observe(ctx, reader, s)
	if err != nil {
		return err
	}
	r.outcome.Batches++
	if b.expect == nil {
		return nil
	}
	c := comparison{outcome: r.outcome}
	if r.test.Series {
		c.batch = b.label(r.outcome.Batches, s.At)
	}
	return c.report(b.expect, out)
}

// open reads the data of a batch.
func open(ctx context.Context, d *Data) (*source.Reader, error) {
	if d.Source == "" {
		in := source.Input{URL: d.Pos.String(), Name: "test", Files: []string{source.Stdin}, Size: int64(len(d.Text))}
		return source.Open(ctx, in, source.Options{Format: d.Format, Stdin: bytes.NewReader(d.Text)})
	}
	in, err := source.Expand([]string{d.Source}, false)
	if err != nil {
		return nil, err
	}
	return source.Open(ctx, in[0], source.Options{})
}

// profiled profiles the input of a step.
func profiled(ctx context.Context, d *Data) (*profile.Profile, error) {
	r, err := open(ctx, d)
	if err != nil {
		return nil, err
	}
	defer r.Close() //nolint:errcheck // only read
	o, err := monitor.New(monitor.Options{}).Observe(ctx, r, monitor.Subject{Dataset: "default/input", Rules: []*rules.Set{}})
	if err != nil {
		return nil, err
	}
	return o.Profile, nil
}

// decoded returns a value as its JSON has it: maps, lists, json.Number.
func decoded(v any) (any, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("show the report: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var out any
	return out, d.Decode(&out)
}

// Unreadable reports whether a test ended because its data could not be read.
func (o *Outcome) Unreadable() bool {
	var data *batch.DataError
	return errors.As(o.Err, &data)
}
