package queue

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/profilerhq/profiler/internal/db"
	"github.com/profilerhq/profiler/internal/failpoint"
)

// FanIn is a step that joins all units of a run to one.
type FanIn struct {
	Step string
	// Needs are the steps whose units are joined. Any takes also those that a gate
	// keeps back.
	Needs []FanInNeed
	// Before are all steps that a unit of the run may stand in before it gets
	// there, Needs included, and Hold those of them at which a kept back unit keeps
	// the others waiting: they have an edge on the way that wants it through its
	// gate. A dead unit always does.
	Before, Hold []string
	// Unit gives the id of the unit of a run.
	Unit func(run string) string
}

// FanInNeed is an edge into a fan-in.
type FanInNeed struct {
	Step string
	Any  bool
}

// The values of run.gathered.
const (
	gatherLook = iota
	gatherDone
	gatherStalled
)

// Gather looks at the runs of a pipeline whose fan-ins are not complete, and makes
// those ready of which nothing is on its way any more: the source has given all
// units of the run, each has left the needed step, and none is dead or kept back.
// Discarded and cancelled units are no part of a set. A fan-in of which a unit was
// replayed or decided about since is made ready again, as a replay. What it does
// follows from the units alone, so that it may be called by anybody at any time.
// all are in topological order. It returns how many units it made ready.
func (q *Queue) Gather(ctx context.Context, pipeline string, all []FanIn) (ready int, err error) {
	if len(all) == 0 {
		return 0, nil
	}
	runs, err := q.ungathered(ctx, pipeline, all)
	if err != nil {
		return 0, err
	}
	for _, run := range runs {
		n, err := q.gatherRun(ctx, pipeline, run, all)
		if err != nil {
			return ready, fmt.Errorf("join the units of run %s: %w", run, err)
		}
		ready += n
	}
	return ready, nil
}

// Ungathered reports whether somebody has to look at the fan-ins of a pipeline once
// more: that of a run is not complete, or another process looked at it before the
// last unit was through.
func (q *Queue) Ungathered(ctx context.Context, pipeline string, all []FanIn) (bool, error) {
	if len(all) == 0 {
		return false, nil
	}
	runs, err := q.ungathered(ctx, pipeline, all)
	return len(runs) > 0, err
}

// ungathered lists the runs whose fan-ins are to be looked at.
func (q *Queue) ungathered(ctx context.Context, pipeline string, all []FanIn) ([]string, error) {
	args := []any{pipeline}
	for i := range all {
		args = append(args, all[i].Step)
	}
	var runs []string
	// Of a run that has ended before the pipeline had a fan-in none is wanted.
	err := q.db.Select(ctx, &runs, `SELECT id FROM run r WHERE pipeline = ? AND gathered = 0 AND filling = 0 AND state <> 'cancelled'
		AND (state = 'running' OR EXISTS (SELECT 1 FROM unit u WHERE u.run = r.id AND u.step IN (`+marks(len(all))+`)))`, args...)
	if err != nil {
		return nil, fmt.Errorf("look for complete runs of %s: %w", pipeline, err)
	}
	return runs, nil
}

func marks(n int) string { return strings.TrimSuffix(strings.Repeat("?, ", n), ", ") }

func (q *Queue) gatherRun(ctx context.Context, pipeline, run string, all []FanIn) (ready int, err error) {
	err = q.db.Tx(ctx, func(tx *db.Tx) error {
		ready = 0
		var held []string
		lock := "SELECT id FROM run WHERE id = ? AND gathered = 0"
		if tx.Dialect().IsPostgres() {
			lock += " FOR UPDATE SKIP LOCKED" // who holds it is gathering, or changes a unit of it
		}
		if err := tx.Select(ctx, &held, lock, run); err != nil || len(held) == 0 {
			return err
		}
		at := gatherDone
		var unformed []string // fan-ins whose set is not complete
		for i := range all {
			g := gathering{q: q, tx: tx, pipeline: pipeline, run: run, fan: &all[i], key: Key{pipeline, all[i].Step, all[i].Unit(run)}}
			state, made, err := g.look(ctx, unformed)
			if err != nil {
				return err
			}
			if state != gatherDone {
				unformed = append(unformed, all[i].Step)
			}
			if state == gatherLook {
				at = gatherLook
			} else if state == gatherStalled && at == gatherDone {
				at = gatherStalled
			}
			if made {
				ready++
			}
		}
		if at != gatherLook {
			if _, err := tx.Exec(ctx, "UPDATE run SET gathered = ? WHERE id = ?", at, run); err != nil {
				return err
			}
		}
		if ready == 0 {
			return nil
		}
		failpoint.Hit("in_gather")
		q.announce(tx)
		return nil
	})
	return ready, err
}

// gathering is one fan-in of one run.
type gathering struct {
	q             *Queue
	tx            *db.Tx
	pipeline, run string
	fan           *FanIn
	key           Key
}

// member is a unit of a set, as it left its step.
type member struct {
	Step        string `db:"step"`
	Unit        string `db:"unit"`
	Attempt     int    `db:"attempt"`
	Correlation string `db:"correlation_id"`
	Source      string `db:"source"`
}

// look says how far the set is, and makes the unit ready if it is complete and not
// what it was.
func (g *gathering) look(ctx context.Context, unformed []string) (state int, made bool, err error) {
	for _, step := range unformed {
		if slices.Contains(g.fan.Before, step) {
			return gatherStalled, false, nil // the run is looked at again with that one
		}
	}
	moving, kept, err := g.open(ctx)
	if err != nil {
		return gatherLook, false, err
	}
	if moving {
		return gatherLook, false, nil
	}
	if kept != "" {
		return gatherStalled, false, g.wait(ctx, kept)
	}
	set, err := g.set(ctx)
	if err != nil {
		return gatherLook, false, err
	}
	if len(set) > 0 {
		if state, err := g.taken(ctx); err != nil || state != gatherDone {
			return state, false, err
		}
	}
	made, err = g.form(ctx, set)
	return gatherDone, made, err
}

// open tells whether units of the run are on their way to the fan-in, and what is
// given up or kept back on it, for people.
func (g *gathering) open(ctx context.Context) (moving bool, kept string, err error) {
	args := []any{g.run, g.pipeline}
	for _, s := range g.fan.Before {
		args = append(args, s)
	}
	var rows []struct {
		Step   string `db:"step"`
		State  State  `db:"state"`
		Paused bool   `db:"paused"`
		Units  int    `db:"units"`
	}
	err = g.tx.Select(ctx, &rows, `SELECT u.step, u.state, COALESCE(p.paused, '') <> '' AS paused, count(*) AS units FROM unit u
		LEFT JOIN step_state p ON p.pipeline = u.pipeline AND p.step = u.step
		WHERE u.state IN ('ready', 'running', 'dead', 'quarantined') AND u.run = ? AND u.pipeline = ? AND u.step IN (`+marks(len(g.fan.Before))+`)
		GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`, args...)
	var parts []string
	for _, step := range g.fan.Before {
		for _, r := range rows {
			switch {
			case r.Step != step:
			case r.State == Running, r.State == Ready && !r.Paused:
				moving = true
			case r.State == Ready:
				parts = append(parts, fmt.Sprintf("%d before the closed gate of %s", r.Units, step))
			case r.State == Dead, slices.Contains(g.fan.Hold, step):
				parts = append(parts, fmt.Sprintf("%d %s at %s", r.Units, r.State, step))
			}
		}
	}
	return moving, strings.Join(parts, ", "), err
}

// taken looks whether another run is about to work again on units that this one has
// had on the way to the fan-in, as after a crash. They and the units behind them
// leave the set one step after the other; what is left in between is no set. The
// state is gatherDone if there are none.
func (g *gathering) taken(ctx context.Context) (state int, err error) {
	args := []any{g.run, g.run, g.pipeline}
	for _, s := range g.fan.Before {
		args = append(args, s)
	}
	// The order of the tables is that of the loops: a run has few events.
	var paused []bool
	err = g.tx.Select(ctx, &paused, `SELECT COALESCE(p.paused, '') <> '' AND u.state = 'ready' FROM unit_event e CROSS JOIN unit u
		LEFT JOIN step_state p ON p.pipeline = u.pipeline AND p.step = u.step WHERE e.run = ? AND u.run <> ?
		AND u.pipeline = e.pipeline AND u.step = e.step AND u.unit = e.unit AND u.state IN ('ready', 'running')
		AND e.pipeline = ? AND e.step IN (`+marks(len(g.fan.Before))+`) ORDER BY 1 LIMIT 1`, args...)
	switch {
	case err != nil || len(paused) == 0:
		return gatherDone, err
	case paused[0]: // who opens the gate has the run looked at again
		return gatherStalled, nil
	}
	return gatherLook, nil
}

// wait shows that the fan-in waits. One that has been formed before stays as it is.
func (g *gathering) wait(ctx context.Context, kept string) error {
	text := "it joins all units of the run and waits for " + kept + "; replay, release or discard them"
	o := Offer{Key: g.key, Run: g.run, Correlation: g.key.Unit, Source: "run " + g.run}
	if err := g.q.insert(ctx, g.tx, []Offer{o}, Waiting, " ON CONFLICT (pipeline, step, unit) DO NOTHING"); err != nil {
		return err
	}
	_, err := g.tx.Exec(ctx, "UPDATE unit SET error = ? WHERE pipeline = ? AND step = ? AND unit = ? AND state = 'waiting'", text, g.key.Pipeline, g.key.Step, g.key.Unit)
	return err
}

// set lists the units that the fan-in joins, in the order of needs and then by
// source.
func (g *gathering) set(ctx context.Context) ([]member, error) {
	var all []member
	for _, n := range g.fan.Needs {
		states := "state = 'done'"
		if n.Any {
			states = "state IN ('done', 'quarantined')"
		}
		var part []member
		err := g.tx.Select(ctx, &part, "SELECT step, unit, attempt, correlation_id, source FROM unit WHERE run = ? AND pipeline = ? AND step = ? AND "+states,
			g.run, g.pipeline, n.Step)
		if err != nil {
			return nil, err
		}
		all = append(all, part...)
	}
	return all, nil
}

// form makes the unit ready unless it is what it was.
func (g *gathering) form(ctx context.Context, set []member) (made bool, err error) {
	var old []Row
	err = g.tx.Select(ctx, &old, "SELECT "+rowColumns+" FROM unit WHERE pipeline = ? AND step = ? AND unit = ?", g.key.Pipeline, g.key.Step, g.key.Unit)
	if err != nil {
		return false, err
	}
	if len(set) == 0 { // all were discarded, or a later run has them
		_, err = g.tx.Exec(ctx, "UPDATE unit SET state = 'cancelled', died = 0, error = '' WHERE pipeline = ? AND step = ? AND unit = ? AND state = 'waiting'", g.key.Pipeline, g.key.Step, g.key.Unit)
		if err == nil && len(old) > 0 && old[0].State == Waiting && old[0].Died {
			err = g.q.letters(ctx, g.tx, g.key.Pipeline, g.key.Step, 0)
		}
		return false, err
	}
	known := len(old) > 0 && old[0].State != Waiting
	if known {
		same, err := g.same(ctx, set)
		if err != nil || same || old[0].State == Discarded {
			return false, err
		}
	}
	if err := g.store(ctx, set); err != nil {
		return false, err
	}
	o := Offer{Key: g.key, Run: g.run, Correlation: g.key.Unit, Source: "run " + g.run}
	if c, one := common(set, func(m *member) string { return m.Correlation }); one {
		o.Correlation = c
	}
	if s, one := common(set, func(m *member) string { return m.Source }); one && s != "" {
		o.Source = s
	}
	if err := g.q.upsert(ctx, g.tx, []Offer{o}, Ready); err != nil || !known {
		return err == nil, err
	}
	if _, err := g.tx.Exec(ctx, "UPDATE unit SET replay = replay + 1 WHERE pipeline = ? AND step = ? AND unit = ?", g.key.Pipeline, g.key.Step, g.key.Unit); err != nil {
		return false, err
	}
	return true, g.q.event(ctx, g.tx, Event{
		Key: g.key, Run: g.run, Correlation: o.Correlation, Kind: KindReplayed, Attempt: old[0].Attempt, Replay: old[0].Replay + 1,
		Detail: "a unit that it joins has changed",
	})
}

// common returns what all members have, if it is one and the same.
func common(set []member, of func(*member) string) (string, bool) {
	first := of(&set[0])
	return first, !slices.ContainsFunc(set, func(m member) bool { return of(&m) != first })
}

// same reports whether the set is the one that was joined before.
func (g *gathering) same(ctx context.Context, set []member) (bool, error) {
	var before []member
	err := g.tx.Select(ctx, &before, "SELECT parent AS step, member AS unit, attempt FROM member WHERE pipeline = ? AND step = ? AND unit = ?", g.key.Pipeline, g.key.Step, g.key.Unit)
	if err != nil || len(before) != len(set) {
		return false, err
	}
	type id struct {
		step, unit string
		attempt    int
	}
	had := make(map[id]bool, len(before))
	for _, m := range before {
		had[id{m.Step, m.Unit, m.Attempt}] = true
	}
	return !slices.ContainsFunc(set, func(m member) bool { return !had[id{m.Step, m.Unit, m.Attempt}] }), nil
}

func (g *gathering) store(ctx context.Context, set []member) error {
	_, err := g.tx.Exec(ctx, "DELETE FROM member WHERE pipeline = ? AND step = ? AND unit = ?", g.key.Pipeline, g.key.Step, g.key.Unit)
	for len(set) > 0 && err == nil {
		part := set[:min(len(set), g.q.atOnce())]
		set = set[len(part):]
		args := make([]any, 0, 6*len(part))
		for _, m := range part {
			args = append(args, g.key.Pipeline, g.key.Step, g.key.Unit, m.Step, m.Unit, m.Attempt)
		}
		_, err = g.tx.Exec(ctx, "INSERT INTO member (pipeline, step, unit, parent, member, attempt) VALUES "+
			strings.TrimSuffix(strings.Repeat("(?, ?, ?, ?, ?, ?), ", len(part)), ", "), args...)
	}
	return err
}

// lookAgain lets the fan-ins of a run be gathered anew.
func (q *Queue) lookAgain(ctx context.Context, tx *db.Tx, run string) error {
	_, err := tx.Exec(ctx, "UPDATE run SET gathered = 0 WHERE id = ?", run)
	return err
}

// Members returns the units that a fan-in joins as they stand in the steps that
// they come from, by source and id.
func (q *Queue) Members(ctx context.Context, k Key) ([]Row, error) {
	var rows []Row
	err := q.db.Select(ctx, &rows, "SELECT "+rowColumns+` FROM unit WHERE (pipeline, step, unit) IN
		(SELECT pipeline, parent, member FROM member WHERE pipeline = ? AND step = ? AND unit = ?) ORDER BY source, unit`, k.Pipeline, k.Step, k.Unit)
	if err != nil {
		return nil, fmt.Errorf("list what %s joins: %w", k, err)
	}
	return rows, nil
}

// JoinedBy returns the fan-ins that join any of the units of a pipeline.
func (q *Queue) JoinedBy(ctx context.Context, pipeline string, units []string) ([]Row, error) {
	var rows []Row
	for len(units) > 0 {
		part := units[:min(len(units), q.atOnce())]
		units = units[len(part):]
		args := []any{pipeline}
		for _, u := range part {
			args = append(args, u)
		}
		var found []Row
		err := q.db.Select(ctx, &found, "SELECT "+rowColumns+` FROM unit WHERE (pipeline, step, unit) IN
			(SELECT pipeline, step, unit FROM member WHERE pipeline = ? AND member IN (`+marks(len(part))+`)) ORDER BY id`, args...)
		if err != nil {
			return nil, fmt.Errorf("list what joins units: %w", err)
		}
		rows = append(rows, found...)
	}
	return rows, nil
}
