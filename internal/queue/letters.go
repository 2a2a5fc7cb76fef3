package queue

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/profilerhq/profiler/internal/db"
)

// MaxLetters is up to which number dead units are counted, so that a step that
// gives all units up costs no more with each of them.
const MaxLetters = 1000

// Letters are the units of one step that were given up and have not gone through
// it since, as they stand after a change: those that are dead, and those that a
// Result calls a Letter. Canaries are none of them.
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
	if err := q.countLetters(ctx, tx, &l); err != nil {
		return err
	}
	if l.Dead > 0 {
		if err := q.endLetters(ctx, tx, &l); err != nil {
			return err
		}
	}
	return q.opts.Letters(ctx, tx, l)
}

// countLetters counts the units of a step that have died, and reads what is kept of
// the pipeline. It is one question, since others wait for the answer.
func (q *Queue) countLetters(ctx context.Context, tx *db.Tx, l *Letters) error {
	var n struct {
		Dead       int    `db:"dead"`
		Again      int    `db:"again"`
		Definition string `db:"definition"`
	}
	count := "(SELECT count(*) FROM (SELECT 1 FROM unit WHERE pipeline = ? AND step = ? AND died = 1 AND state %s ('dead', 'quarantined') LIMIT " + strconv.Itoa(MaxLetters+1) + ") AS died)"
	err := tx.Get(ctx, &n, "SELECT "+fmt.Sprintf(count, "IN")+" AS dead, "+fmt.Sprintf(count, "NOT IN")+
		" AS again, COALESCE((SELECT body FROM definition WHERE pipeline = ?), '') AS definition", l.Pipeline, l.Step, l.Pipeline, l.Step, l.Pipeline)
	l.Dead, l.Again, l.More, l.Definition = min(n.Dead, MaxLetters), min(n.Again, MaxLetters), max(n.Dead, n.Again) > MaxLetters, n.Definition
	return err
}

// endLetters reads the dead units that died first and last.
func (q *Queue) endLetters(ctx context.Context, tx *db.Tx, l *Letters) error {
	const end = `SELECT * FROM (SELECT unit, run, correlation_id, source, cause, error, tries, ended_us FROM unit
		WHERE pipeline = ? AND step = ? AND died = 1 AND state IN ('dead', 'quarantined') ORDER BY `
	var ends []Letter
	err := tx.Select(ctx, &ends, end+"ended_us, id LIMIT 1) AS first UNION ALL "+end+"ended_us DESC, id DESC LIMIT 1) AS last", l.Pipeline, l.Step, l.Pipeline, l.Step)
	if err == nil && len(ends) == 2 {
		l.First, l.Last = &ends[0], &ends[1]
	}
	return err
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
