package runner

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/profilerhq/profiler/internal/db"
	"github.com/profilerhq/profiler/internal/queue"
)

// keptStates are those of dead letters.
var keptStates = []queue.State{queue.Dead, queue.Quarantined}

// Letters returns the units that were given up or are kept back.
func (l *Ledger) Letters(ctx context.Context, f queue.Filter) ([]DeadLetter, error) {
	f.States, f.Real = keptStates, true
	rows, err := l.q.Units(ctx, f)
	if err != nil {
		return nil, err
	}
	letters := make([]DeadLetter, len(rows))
	for i := range rows {
		letters[i] = l.runner(rows[i].Pipeline).letter(&rows[i])
	}
	return letters, nil
}

// Rejects returns the records that steps gave up and nobody has decided about.
func (l *Ledger) Rejects(ctx context.Context, f queue.Filter) ([]queue.Reject, error) {
	f.States = []queue.State{queue.Dead}
	return l.q.Rejects(ctx, f)
}

// Key returns the place of the letter's unit.
func (d *DeadLetter) Key() queue.Key {
	return queue.Key{Pipeline: d.Pipeline, Step: d.Step, Unit: d.Unit}
}

// Replay sends a unit through a step again, and through what is behind it. from
// is the step, empty for the letter's own. force does the work anew even if
// neither the input nor the step has changed.
func (l *Ledger) Replay(ctx context.Context, k queue.Key, from string, force bool, d queue.Decision) error {
	if from != "" {
		if steps := l.Steps(k.Pipeline); !slices.Contains(steps, from) {
			return fmt.Errorf("pipeline %s has no step %q; there are %s", k.Pipeline, from, strings.Join(steps, ", "))
		}
		k.Step = from
	}
	return l.q.Replay(ctx, k, force, d)
}

// Release lets the kept output of a quarantined unit go on. record writes what
// belongs to the decision in the same transaction; nil writes nothing.
func (l *Ledger) Release(ctx context.Context, k queue.Key, d queue.Decision, record func(*db.Tx) error) error {
	def := l.defs[k.Pipeline]
	if def == nil {
		return fmt.Errorf("the store does not know the steps of pipeline %s; run it once", k.Pipeline)
	}
	return l.q.Release(ctx, k, d, func(r *queue.Row) (string, string, []queue.Offer) {
		body, also := r.Body, ""
		var parts []part
		if s := decode(body); s != nil {
			also, parts = s.Set, s.Parts // the next run finds it done, until its rules change
			s.State, s.Cause, s.Error = Done, "", ""
			if b, err := encode(s); err == nil {
				body = b
			}
		}
		return body, also, offers(def.graph(), r.Step, Done, queue.Offer{Key: r.Key, Run: r.Run, Correlation: r.Correlation, Source: r.Source, Priority: r.Priority}, parts)
	}, record)
}

// Discard gives a unit up for good.
func (l *Ledger) Discard(ctx context.Context, k queue.Key, d queue.Decision) error {
	return l.q.Discard(ctx, k, d)
}

// ReplayRejects makes one new unit of records of one step, which enters that step
// with their bodies as its input: JSON objects and texts line by line, behind the
// header if there is one. It returns the id of the unit.
func (l *Ledger) ReplayRejects(ctx context.Context, all []queue.Reject, header string, d queue.Decision) (string, error) {
	if len(all) == 0 {
		return "", errors.New("no records to replay")
	}
	first := all[0]
	def := l.defs[first.Pipeline]
	if def == nil {
		return "", fmt.Errorf("the store does not know the steps of pipeline %s; run it once", first.Pipeline)
	}
	var text strings.Builder
	if header != "" {
		text.WriteString(header + "\n")
	}
	for _, r := range all {
		if r.Pipeline != first.Pipeline || r.Step != first.Step {
			return "", fmt.Errorf("records %d and %d are of different steps; replay those of one step at a time with --step", first.ID, r.ID)
		}
		text.WriteString(strings.TrimSuffix(r.Body, "\n") + "\n")
	}
	sum := sha256.Sum256([]byte(text.String()))
	source := fmt.Sprintf("%d records of %s", len(all), first.Unit)
	id := UnitID(first.Pipeline, "records:"+first.Step+":"+hex.EncodeToString(sum[:]))
	path := filepath.Join(def.Work, "replays", id)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", fmt.Errorf("write the records: %w", err)
	}
	temporary := path + ".tmp"
	if err := os.WriteFile(temporary, []byte(text.String()), 0o644); err != nil {
		return "", fmt.Errorf("write the records: %w", err)
	}
	if err := publish(temporary, path); err != nil {
		return "", fmt.Errorf("write the records: %w", err)
	}
	input, err := statSource(path)
	if err != nil {
		return "", err
	}
	unit := queue.Offer{
		Key: queue.Key{Pipeline: first.Pipeline, Step: first.Step, Unit: id}, Run: first.Run, Correlation: first.Correlation, Source: source, Input: input.text(),
	}
	return id, l.q.ReplayRejects(ctx, all, unit, d)
}

// DiscardRejects gives records up for good.
func (l *Ledger) DiscardRejects(ctx context.Context, all []queue.Reject, d queue.Decision) error {
	return l.q.DiscardRejects(ctx, all, d)
}
