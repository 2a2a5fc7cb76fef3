package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"

	"github.com/profilerhq/profiler/internal/db"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/failpoint"
	"github.com/profilerhq/profiler/internal/pipeline"
)

// effects is the table in a foreign database that says which effects have taken
// place there. A row commits together with the effect.
const (
	effects     = "profiler_effect"
	effectsForm = "CREATE TABLE " + effects + " (idempotency_key TEXT PRIMARY KEY, unit_id TEXT NOT NULL, run_id TEXT NOT NULL, taken_at TEXT NOT NULL)"
)

// databases are the connections to foreign databases. It is safe for concurrent
// use.
type databases struct {
	mu  sync.Mutex
	all map[string]*db.DB
}

// open returns the database at an address, which is a secret. It stays open until
// close.
func (d *databases) open(ctx context.Context, url string) (*db.DB, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if opened := d.all[url]; opened != nil {
		return opened, nil
	}
	opened, err := db.Open(ctx, url, db.Options{Foreign: true, Retry: db.RetryPolicy{Attempts: 1}})
	if err != nil {
		return nil, err
	}
	if d.all == nil {
		d.all = map[string]*db.DB{}
	}
	d.all[url] = opened
	return opened, nil
}

func (d *databases) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for url, opened := range d.all {
		_ = opened.Close() // every transaction has ended
		delete(d.all, url)
	}
}

// sql does the work of a step in its database and writes the output.
func (v *visit) sql(ctx context.Context, temporary string) (retry, ok bool) {
	limited, cancel := context.WithTimeoutCause(ctx, v.s.Timeout, errTimeout)
	defer cancel()
	err := v.sqlAll(limited, temporary)
	switch {
	case ctx.Err() != nil, v.fatal != nil:
		return false, false
	case err == nil:
		return false, true
	case context.Cause(limited) == errTimeout: //nolint:errorlint // the very value
		v.err, v.cause = fmt.Errorf("the database did not finish within %s", v.s.Timeout), CauseTimeout
		return slices.Contains(v.s.Retry.On, pipeline.OnTimeout), false
	}
	fault := db.FaultOf(err)
	v.err, v.cause = errors.New(fault.Message), CauseAttempts
	if errors.Is(err, errUser) {
		v.err = err
	}
	var at *sqlError
	if errors.As(err, &at) {
		v.err = at.words(v.r.options.Pipeline, fault)
	}
	switch {
	case fault.Kind == db.Data, errors.Is(err, errData):
		v.cause = CauseData
		return false, false
	case fault.Kind == db.Temporary:
		return true, false
	}
	return slices.Contains(v.s.Retry.On, pipeline.OnExit), false
}

// errUser marks an error whose text is complete.
var errUser = errors.New("complete")

func complete(format string, args ...any) error {
	return &classified{errUser, fmt.Errorf(format, args...)}
}

// sqlError is the failure of one statement.
type sqlError struct {
	err  error
	text *pipeline.SQLText
	body string
	at   func(char int) int // from a character of the statement to a byte of body
	stmt string             // as the database gets it
}

func (e *sqlError) Error() string { return e.err.Error() }
func (e *sqlError) Unwrap() error { return e.err }

// words puts the place before what the database says.
func (e *sqlError) words(p *pipeline.Pipeline, f db.Fault) error {
	if f.Kind == db.Temporary && !errors.Is(e.err, db.ErrReadOnly) {
		return errors.New(f.Message)
	}
	char := f.Char
	var around *rangeError
	if errors.As(e.err, &around) {
		char = around.within(char, e.stmt)
	}
	pos := placeIn(p, e.text.Position(p, e.body, e.at(max(1, char))))
	if errors.Is(e.err, db.ErrReadOnly) {
		return fmt.Errorf("%s: the query changes data, which only a statement may; a statement takes effect once, a query is repeated", pos)
	}
	return fmt.Errorf("%s: %s", pos, f.Message)
}

// placeIn is a place as messages about a pipeline name it, beside whose file it is.
func placeIn(p *pipeline.Pipeline, pos diag.Position) diag.Position {
	if file, err := filepath.Rel(p.Dir, pos.File); err == nil && filepath.IsLocal(file) {
		pos.File = file
	}
	return pos
}

// sqlAll does everything in one transaction of the foreign database: the record
// that the effect takes place, the load, the statements, the query.
func (v *visit) sqlAll(ctx context.Context, temporary string) error {
	p, work := v.r.options.Pipeline, v.s.SQL
	d, err := v.r.foreign.open(ctx, work.Database.URL(p))
	if err != nil {
		return err
	}
	changes := work.Load != nil || work.Statement != nil
	recorded := changes && work.Idempotency != pipeline.EachTime
	if recorded {
		if err := makeEffects(ctx, d); err != nil {
			return err
		}
	}
	out, err := create(temporary)
	if err != nil {
		v.fatal = fmt.Errorf("work directory: %w", err)
		return nil
	}
	defer out.Close()
	if isRanges(v.s) {
		return v.exportRanges(ctx, d, out)
	}
	err = d.Tx(ctx, func(tx *db.Tx) error {
		if changes {
			first, err := true, error(nil)
			if recorded {
				first, err = v.recordEffect(ctx, tx)
			}
			if err != nil {
				return err
			}
			if first {
				if err := v.change(ctx, tx); err != nil {
					return err
				}
			} else {
				v.r.log.Warn("the effect took place in an earlier attempt and is not repeated", "step", v.s.Name, "unit", v.lease.Unit)
			}
		}
		if work.Query != nil {
			if err := tx.WithoutWrites(ctx, func() error { return v.query(ctx, tx, out) }); err != nil {
				return err
			}
		}
		if l := work.Load; l != nil && l.Temporary && !tx.Dialect().IsPostgres() {
			if _, err := tx.NativeExec(ctx, "DROP TABLE IF EXISTS temp."+quoteName(l.Table)); err != nil {
				return err
			}
		}
		if changes && v.changed() {
			return dataError("the input changed while it was read; run again when it is complete")
		}
		failpoint.Hit("before_effect")
		return nil
	})
	failpoint.Hit("after_effect")
	if err != nil || work.Query != nil {
		return err
	}
	return v.passOn(out)
}

// passOn writes the input as the output.
func (v *visit) passOn(out io.Writer) error {
	path := v.inputPath()
	if path == "" {
		return nil
	}
	in, err := os.Open(path)
	if err == nil {
		defer in.Close()
		_, err = io.Copy(out, in)
	}
	if err != nil {
		v.fatal = fmt.Errorf("store the output of step %q: %w", v.s.Name, err)
	}
	return nil
}

// inputPath is the file that is loaded, or the only input; empty if there is none.
func (v *visit) inputPath() string {
	from := ""
	if v.s.SQL.Load != nil {
		from = v.s.SQL.Load.From
	}
	for _, in := range v.inputs {
		if in.Step == from || from == "" && len(v.inputs) == 1 {
			return in.Path
		}
	}
	return ""
}

// effectKey is what an effect takes place once for.
func (v *visit) effectKey() string {
	if v.s.SQL.Idempotency == pipeline.OncePerKey {
		return v.lease.Pipeline + "/" + v.idempotencyKey()
	}
	return v.lease.Pipeline + "/" + v.s.Name + "." + v.lease.Unit
}

// makeEffects makes the table of effects if it is not there.
func makeEffects(ctx context.Context, d *db.DB) error {
	find := "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?"
	if d.Dialect.IsPostgres() {
		find = "SELECT count(*) FROM (SELECT to_regclass(?) AS found) AS x WHERE found IS NOT NULL"
	}
	var n int
	if err := d.Get(ctx, &n, find, effects); err != nil || n > 0 {
		return err
	}
	return d.Tx(ctx, func(tx *db.Tx) error {
		if d.Dialect.IsPostgres() { // two that make a table at the same time disturb each other
			if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtextextended('profiler effects', 0))"); err != nil {
				return err
			}
		}
		if err := tx.Get(ctx, &n, find, effects); err != nil || n > 0 {
			return err
		}
		if _, err := tx.Exec(ctx, effectsForm); err != nil {
			if f := db.FaultOf(err); f.Kind == db.Other {
				return complete("the table that records what took effect cannot be made (%s); make it: %s; or write idempotency: none", f.Message, effectsForm)
			}
			return err
		}
		return nil
	})
}

// recordEffect writes that the effect takes place. It reports false if it has
// already. Of two attempts at the same time the second one waits for the first.
func (v *visit) recordEffect(ctx context.Context, tx *db.Tx) (first bool, err error) {
	at := v.r.options.Clock.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	res, err := tx.Exec(ctx, "INSERT INTO "+effects+" (idempotency_key, unit_id, run_id, taken_at) VALUES (?, ?, ?, ?) ON CONFLICT (idempotency_key) DO NOTHING",
		v.effectKey(), v.lease.Unit, v.lease.Run, at)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

// change loads the rows and executes the statements.
func (v *visit) change(ctx context.Context, tx *db.Tx) error {
	work := v.s.SQL
	if work.Load != nil {
		if err := v.load(ctx, tx); err != nil {
			return err
		}
	}
	if work.Statement != nil {
		err := v.each(work.Statement, false, func(text string, args []any) error {
			_, err := tx.NativeExec(ctx, text, args...)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// each calls a function with every statement of a text and its arguments.
func (v *visit) each(t *pipeline.SQLText, single bool, do func(text string, args []any) error) error {
	p, work := v.r.options.Pipeline, v.s.SQL
	body, err := t.Read(p)
	if err != nil {
		return complete("the file of the statement cannot be read: %w", err)
	}
	all, err := t.Statements(p, body, work.Database, work.Params(), single)
	if err != nil {
		return complete("%w", err)
	}
	for i := range all {
		args := make([]any, len(all[i].Params))
		for j, name := range all[i].Params {
			args[j] = v.param(name)
		}
		if err := do(all[i].Text, args); err != nil {
			if errors.Is(err, errUser) || v.fatal != nil {
				return err
			}
			return &sqlError{err, t, body, all[i].Offset, all[i].Text}
		}
	}
	return nil
}

// param is the value of a parameter, a text.
func (v *visit) param(name string) string {
	switch name {
	case pipeline.ParamUnit:
		return v.lease.Unit
	case pipeline.ParamRun:
		return v.lease.Run
	case pipeline.ParamCorrelation:
		return v.lease.Correlation
	case pipeline.ParamKey:
		return v.idempotencyKey()
	case pipeline.ParamInput:
		return v.inputPath()
	case pipeline.ParamPipeline:
		return v.lease.Pipeline
	case pipeline.ParamStep:
		return v.s.Name
	case pipeline.ParamAttempt:
		return strconv.Itoa(v.attempts)
	}
	panic("BUG: parameter " + name)
}

// query writes the rows of the query as the output.
func (v *visit) query(ctx context.Context, tx *db.Tx, out *os.File) error {
	return v.each(v.s.SQL.Query, true, func(text string, args []any) error {
		rows, err := tx.NativeQuery(ctx, text, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		types, err := rows.ColumnTypes()
		if err != nil {
			return err
		}
		w, err := newRowWriter(out, types, v.s.Format.Out)
		if err != nil {
			return err
		}
		for rows.Next() {
			if err := w.write(rows.Rows); err != nil {
				var full *storeError
				if errors.As(err, &full) {
					v.fatal = fmt.Errorf("store the output of step %q: %w", v.s.Name, full.err)
				}
				return err
			}
		}
		if err := rows.Err(); err != nil {
			return err
		}
		if err := w.flush(); err != nil {
			v.fatal = fmt.Errorf("store the output of step %q: %w", v.s.Name, err)
			return err
		}
		return nil
	})
}
