package queue

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/profilerhq/profiler/internal/db"
)

// Ingest is messages of a stream that become a unit.
type Ingest struct {
	Pipeline string
	// Source identifies the stream, Numbers are those of the messages in it,
	// ascending.
	Source  string
	Numbers []uint64
	// Run is begun if it is not there, and stays open for more.
	Run string
	// Unit is the id, also if all messages are rejected and Offers is empty.
	Unit   string
	Offers []Offer
	// Rejects are messages that are no records.
	Rejects []Reject
}

// Ingest writes a unit of a stream, in one transaction. If any of its messages has
// become part of a unit before, it writes nothing and returns those that have:
// they were delivered again because their acknowledgement was lost or late.
func (q *Queue) Ingest(ctx context.Context, in *Ingest) (known []uint64, err error) {
	if len(in.Numbers) == 0 {
		return nil, nil
	}
	err = q.db.Tx(ctx, func(tx *db.Tx) error {
		if tx.Dialect().IsPostgres() { // two who got the same message take their turns
			_, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtextextended(?, 0))", "profiler stream "+in.Pipeline+"\x1f"+in.Source)
			if err != nil {
				return err
			}
		}
		if known, err = q.taken(ctx, tx, in); err != nil || len(known) > 0 {
			return err
		}
		now, err := q.clock(ctx, tx)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO run (id, pipeline, state, started_us, verdict, first_bad_step, gathered, filling) VALUES (?, ?, 'running', ?, '', '', 0, 1)
			ON CONFLICT (id) DO UPDATE SET state = 'running', ended_us = NULL, gathered = 0`, in.Run, in.Pipeline, now)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "INSERT INTO taken (pipeline, source, high, low, unit, numbers) VALUES (?, ?, ?, ?, ?, ?)",
			in.Pipeline, in.Source, int64(in.Numbers[len(in.Numbers)-1]), int64(in.Numbers[0]), in.Unit, Spans(in.Numbers)) //nolint:gosec // a stream does not get that long
		if err != nil {
			return err
		}
		for _, r := range in.Rejects {
			_, err := tx.Exec(ctx, `INSERT INTO reject (pipeline, step, unit, run, correlation_id, n, record, reason, body, state, at_us, detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'dead', ?, '')`,
				r.Pipeline, r.Step, r.Unit, r.Run, r.Correlation, r.N, r.Record, r.Reason, r.Body, now)
			if err != nil {
				return err
			}
		}
		return q.Offer(ctx, tx, in.Offers)
	})
	if err != nil {
		return nil, fmt.Errorf("take messages of %s: %w", in.Source, err)
	}
	return known, nil
}

// taken returns which of the messages are part of a unit.
func (q *Queue) taken(ctx context.Context, tx *db.Tx, in *Ingest) ([]uint64, error) {
	var spans []string
	err := tx.Select(ctx, &spans, "SELECT numbers FROM taken WHERE pipeline = ? AND source = ? AND high >= ? AND low <= ?",
		in.Pipeline, in.Source, int64(in.Numbers[0]), int64(in.Numbers[len(in.Numbers)-1])) //nolint:gosec // as above
	if err != nil {
		return nil, err
	}
	var known []uint64
	for _, text := range spans {
		err := eachSpan(text, func(low, high uint64) {
			at, _ := slices.BinarySearch(in.Numbers, low)
			for ; at < len(in.Numbers) && in.Numbers[at] <= high; at++ {
				known = append(known, in.Numbers[at])
			}
		})
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(known)
	return known, nil
}

// Spans writes ascending numbers as spans: 1-100,102.
func Spans(numbers []uint64) string {
	var b strings.Builder
	for i := 0; i < len(numbers); {
		k := i
		for k+1 < len(numbers) && numbers[k+1] == numbers[k]+1 {
			k++
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatUint(numbers[i], 10))
		if k > i {
			b.WriteString("-" + strconv.FormatUint(numbers[k], 10))
		}
		i = k + 1
	}
	return b.String()
}

func eachSpan(text string, f func(low, high uint64)) error {
	for span := range strings.SplitSeq(text, ",") {
		from, to, two := strings.Cut(span, "-")
		low, err := strconv.ParseUint(from, 10, 64)
		high := low
		if err == nil && two {
			high, err = strconv.ParseUint(to, 10, 64)
		}
		if err != nil {
			return fmt.Errorf("the store has damaged spans of messages: %q", text)
		}
		f(low, high)
	}
	return nil
}

// Forget drops what is known of messages up to a number, which will not come again.
func (q *Queue) Forget(ctx context.Context, pipeline, source string, floor uint64) error {
	_, err := q.db.Exec(ctx, "DELETE FROM taken WHERE pipeline = ? AND source = ? AND high <= ?", pipeline, source, int64(floor)) //nolint:gosec // as above
	return err
}

// Fill opens a run for units that come one after the other.
func (q *Queue) Fill(ctx context.Context, run string) error {
	_, err := q.db.Exec(ctx, "UPDATE run SET filling = 1 WHERE id = ?", run)
	return err
}

// Filled says that the runs of a pipeline get no more units; but is one that still
// does, or empty.
func (q *Queue) Filled(ctx context.Context, pipeline, but string) error {
	return q.change(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, "UPDATE run SET filling = 0 WHERE pipeline = ? AND filling = 1 AND id <> ?", pipeline, but)
		return err
	})
}
