package runner

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"os"
	"path/filepath"
	"strings"

	"github.com/profilerhq/profiler/internal/db"
	"github.com/profilerhq/profiler/internal/pipeline"
	"github.com/profilerhq/profiler/internal/queue"
)

// originDir is where the inputs of units are that a source stored, by unit id.
func (r *Runner) originDir() string { return filepath.Join(r.work, "source") }

// origin is a file that becomes the input of a unit.
type origin struct {
	*os.File
	sum hash.Hash
}

// newOrigin begins one. It must be kept or dropped.
func (r *Runner) newOrigin() (*origin, error) {
	if err := os.MkdirAll(r.originDir(), 0o755); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(r.originDir(), ".*.tmp")
	if err != nil {
		return nil, err
	}
	return &origin{f, sha256.New()}, nil
}

func (o *origin) Write(p []byte) (int, error) {
	n, err := o.File.Write(p)
	o.sum.Write(p[:n])
	return n, err
}

func (o *origin) sha() string { return hex.EncodeToString(o.sum.Sum(nil)) }

// drop removes it, if it was not kept.
func (o *origin) drop() {
	o.Close()
	os.Remove(o.Name()) //nolint:errcheck // it may be kept under another name
}

// errOther says that a unit has other content than before.
var errOther = errors.New("the unit is there with other content")

// keep makes it durable as the input of a unit. What is there already stays; the
// error is errOther if it has other content.
func (o *origin) keep(unit string) (sourceFile, error) {
	path := filepath.Join(filepath.Dir(o.Name()), unit)
	if err := o.Sync(); err != nil {
		return sourceFile{}, err
	}
	err := os.Link(o.Name(), path)
	if errors.Is(err, os.ErrExist) {
		sum, _, err := hashFile(path)
		if err != nil {
			return sourceFile{}, err
		}
		if sum != o.sha() {
			return sourceFile{}, errOther
		}
		if err := freshen(path); err != nil {
			return sourceFile{}, err
		}
		// The one who made it may not have come to this.
		return o.settled(path)
	}
	if err != nil {
		return sourceFile{}, err
	}
	return o.settled(path)
}

func (o *origin) settled(path string) (sourceFile, error) {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return sourceFile{}, err
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil {
		return sourceFile{}, err
	}
	return statSource(path)
}

// rowUnits stores the rows of the source's query as inputs of units. All of them
// are of one state of the database.
func (r *Runner) rowUnits(ctx context.Context) ([]queue.Offer, error) {
	p := r.options.Pipeline
	s := p.Source.SQL
	fail := func(err error) error {
		if errors.Is(err, errUser) || errors.As(err, new(*storeError)) {
			return &classified{ErrSource, fmt.Errorf("source of %s: %w", p.Name, err)}
		}
		said, at := errors.New(db.FaultOf(err).Message), new(*sqlError)
		if errors.As(err, at) {
			said = (*at).words(p, db.FaultOf(err))
		}
		return &classified{ErrSource, fmt.Errorf("source of %s: %w", p.Name, said)}
	}
	if err := r.sweepOrigins(ctx); err != nil {
		return nil, fail(err)
	}
	body, err := s.Query.Read(p)
	if err != nil {
		return nil, fail(complete("the file of the query cannot be read: %w", err))
	}
	statements, err := s.Query.Statements(p, body, s.Database, nil, true)
	if err != nil {
		return nil, fail(complete("%w", err))
	}
	d, err := db.Open(ctx, s.Database.URL(p), db.Options{Foreign: true, ReadOnly: true, Retry: db.RetryPolicy{Attempts: 1}})
	if err != nil {
		return nil, fail(err)
	}
	defer d.Close() //nolint:errcheck // only read
	placed := func(err error) error {
		return &sqlError{err, s.Query, body, statements[0].Offset, statements[0].Text}
	}
	var all []queue.Offer
	err = d.ReadTx(ctx, func(tx *db.Tx) error {
		all = nil
		parts, err := rangesOf(ctx, tx, p, relation{query: statements[0].Text, table: s.Table}, p.Source.Portion)
		if err != nil {
			return placed(err)
		}
		for _, piece := range parts {
			units, err := r.storePart(ctx, tx, piece)
			if err != nil {
				return placed(err)
			}
			all = append(all, units...)
		}
		return nil
	})
	if err != nil {
		return nil, fail(err)
	}
	return all, nil
}

// storePart stores the rows of a part, as several units if they are cut by their
// number.
func (r *Runner) storePart(ctx context.Context, tx *db.Tx, piece rowPart) ([]queue.Offer, error) {
	source := r.options.Pipeline.Source
	rows, err := tx.NativeQuery(ctx, piece.query, piece.args...)
	if err != nil {
		return nil, &rangeError{err, piece.query}
	}
	defer rows.Close()
	types, err := rows.ColumnTypes() // the last row closes them
	if err != nil {
		return nil, err
	}
	var all []queue.Offer
	size, more := source.Portion.Rows, rows.Next()
	for n := int64(1); more || len(all) == 0 && size == 0; {
		from := n
		unit, err := r.storeRows(source, piece, rows.Rows, types, &n, &more)
		if err != nil {
			return nil, err
		}
		if n == from && (size > 0 || source.Portion.Kind != "") {
			break // no rows, no unit; a query as a whole that gives none is one
		}
		all = append(all, unit)
	}
	return all, rows.Err()
}

// storeRows stores the rows of one unit. n is the number of the next row, more
// whether there is one.
func (r *Runner) storeRows(source *pipeline.Source, piece rowPart, rows *sql.Rows, types []*sql.ColumnType, n *int64, more *bool) (queue.Offer, error) {
	out, err := r.newOrigin()
	if err != nil {
		return queue.Offer{}, &storeError{err}
	}
	defer out.drop()
	w, err := newRowWriter(out, types, source.SQL.Format)
	if err != nil {
		return queue.Offer{}, err
	}
	first := *n
	for *more && (source.Portion.Rows == 0 || *n < first+int64(source.Portion.Rows)) {
		if err := w.write(rows); err != nil {
			return queue.Offer{}, err
		}
		*n++
		*more = rows.Next()
	}
	if err := rows.Err(); err != nil {
		return queue.Offer{}, err
	}
	if err := w.flush(); err != nil {
		return queue.Offer{}, &storeError{err}
	}
	name := piece.name
	if source.Portion.Rows > 0 {
		name = fmt.Sprintf("rows %d to %d", first, *n-1)
	}
	sum := out.sha()
	key := strings.NewReplacer("{part}", name, "{sha256}", sum).Replace(source.Key)
	id := UnitID(r.options.Pipeline.Name, "sql:"+key)
	file, err := out.keep(id)
	if errors.Is(err, errOther) { // the key says that it is the same unit all the same
		r.log.Info("the rows have the key of a unit with other rows, which stays", "part", name, "unit", id)
		file, err = statSource(filepath.Join(r.originDir(), id))
	}
	if err != nil {
		return queue.Offer{}, &storeError{err}
	}
	return r.offer(id, name+" #"+sum[:8], file.text()), nil
}
