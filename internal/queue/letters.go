package queue

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/profilerhq/profiler/internal/db"
)

// MaxLetters is up to which number dead units are counted, so that a step that
// gives all units up costs no more with each of them.
const MaxLetters = 1000

// Letters are the units of one step that were given up and have not gone through
// it since, as they stand after a change. Canaries are none of them.
type Letters struct {
	Pipeline, Step string
	// Died counts those that have died just now; 0 if one of them was sent through
	// the step again, went through, or was discarded.
	Died int
	// Dead counts those that are dead, Again those that were sent through the step
	// again and are not done yet, both up to MaxLetters; More says that there are
	// more.
	Dead, Again int
	More        bool
	// First and Last are the dead unit that died first and the one that died last,
	// nil without any.
	First, Last *Letter
	// Definition is what Define kept of the pipeline, empty if that is nothing.
	Definition string
}

// Letter is a dead unit.
type Letter struct {
	Unit        string `db:"unit"`
	Run         string `db:"run"`
	Correlation string `db:"correlation_id"`
	Source      string `db:"source"`
	Cause       string `db:"cause"`
	Err         string `db:"error"`
	Tries       int    `db:"tries"`
	EndedUS     int64  `db:"ended_us"`
}

// letters tells Options.Letters about the dead units of a step, in the
// transaction that changed them. Transactions that change those of one step take
// their turns from here on, so that each sees what the one before it left.
func (q *Queue) letters(ctx context.Context, tx *db.Tx, pipeline, step string, died int) error {
	if q.opts.Letters == nil {
		return nil
	}
	if tx.Dialect().IsPostgres() {
		_, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtextextended(?, 0))", "profiler letters "+pipeline+"\x1f"+step)
		if err != nil {
			return err
		}
	}
	l := Letters{Pipeline: pipeline, Step: step, Died: died}
	for _, of := range []struct {
		states string
		n      *int
	}{{"= 'dead'", &l.Dead}, {"<> 'dead'", &l.Again}} {
		query := fmt.Sprintf("SELECT count(*) FROM (SELECT 1 FROM unit WHERE pipeline = ? AND step = ? AND died = 1 AND state %s LIMIT %d) AS died", of.states, MaxLetters+1)
		if err := tx.Get(ctx, of.n, query, pipeline, step); err != nil {
			return err
		}
		if *of.n > MaxLetters {
			*of.n, l.More = MaxLetters, true
		}
	}
	if l.Dead > 0 {
		for _, end := range []struct {
			order string
			to    **Letter
		}{{"ended_us, id", &l.First}, {"ended_us DESC, id DESC", &l.Last}} {
			*end.to = &Letter{}
			err := tx.Get(ctx, *end.to, `SELECT unit, run, correlation_id, source, cause, error, tries, ended_us FROM unit
				WHERE pipeline = ? AND step = ? AND died = 1 AND state = 'dead' ORDER BY `+end.order+` LIMIT 1`, pipeline, step)
			if err != nil {
				return err
			}
		}
	}
	var kept []string
	if err := tx.Select(ctx, &kept, "SELECT body FROM definition WHERE pipeline = ?", pipeline); err != nil {
		return err
	}
	l.Definition = strings.Join(kept, "")
	return q.opts.Letters(ctx, tx, l)
}

// lettersOf tells about several steps, with how many units have died in each, in
// the same order in all transactions.
func (q *Queue) lettersOf(ctx context.Context, tx *db.Tx, died map[[2]string]int) error {
	steps := slices.SortedFunc(maps.Keys(died), func(a, b [2]string) int {
		return cmp.Or(strings.Compare(a[0], b[0]), strings.Compare(a[1], b[1]))
	})
	for _, s := range steps {
		if err := q.letters(ctx, tx, s[0], s[1], died[s]); err != nil {
			return err
		}
	}
	return nil
}
