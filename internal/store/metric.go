package store

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/profilerhq/profiler/internal/checks"
)

// Metric names a number of a dataset or, with a column, of a column of it.
// Names of columns' metrics are those of profile.Column.Metric; a dataset has
// row_count, column_count, bytes, malformed and duplicate_rows.
type Metric struct {
	Column string `db:"column_name"`
	Metric string `db:"metric"`
}

// ColumnMetrics returns the metrics that are stored for every column that has
// them. The caller owns the slice.
func ColumnMetrics() []string {
	return []string{"null_rate", "distinct", "distinct_rate", "min", "max", "mean", "stddev", "median", "top_share", "mean_length"}
}

// DatasetMetrics returns the metrics that are stored for every batch. The
// caller owns the slice.
func DatasetMetrics() []string {
	return []string{"row_count", "column_count", "bytes", "malformed", "duplicate_rows"}
}

// metricValues returns the numbers of a batch that become rows. Columns whose
// stored names are equal have the numbers of the first of them.
func metricValues(o *Observation) map[Metric]float64 {
	s := o.Profile.Summary()
	values := map[Metric]float64{}
	put := func(m Metric, v float64, ok bool) {
		// What depends on how many rows a sample has would be taken for the whole's.
		ok = ok && (s.Source.Sample == nil || !checks.CountsRows(m.Metric))
		m = Metric{columnName(m.Column), m.Metric}
		if _, taken := values[m]; ok && !taken && v-v == 0 {
			values[m] = v
		}
	}
	for _, name := range DatasetMetrics() {
		v, ok := s.Metric(name)
		put(Metric{"", name}, v, ok)
	}
	names := ColumnMetrics()
	for i := range s.Columns {
		for _, name := range names {
			v, ok := s.Columns[i].Metric(name)
			put(Metric{s.Columns[i].Name, name}, v, ok)
		}
	}
	for _, m := range o.Metrics {
		if c := s.Column(m.Column); c != nil {
			v, ok := c.Metric(m.Metric)
			put(m, v, ok)
		}
	}
	return values
}

// addMetrics buffers the rows of one batch.
func (w *writer) addMetrics(ctx context.Context, dataset, batch int64, o *Observation) error {
	values := metricValues(o)
	ids, err := w.seriesIDs(ctx, dataset, values)
	if err != nil {
		return err
	}
	at := micros(o.Report.At)
	for m, v := range values {
		w.metrics = append(w.metrics, ids[m], at, batch, v)
	}
	if len(w.metrics) < 4*insertRows {
		return nil
	}
	return w.flush(ctx, len(w.metrics)-len(w.metrics)%(4*insertRows))
}

func (w *writer) flushMetrics(ctx context.Context) error { return w.flush(ctx, len(w.metrics)) }

func (w *writer) flush(ctx context.Context, n int) error {
	err := w.insert(ctx, "INSERT INTO metric (series_id, at_us, batch_id, v) VALUES ", "", 4, w.metrics[:n])
	w.metrics = append(w.metrics[:0], w.metrics[n:]...)
	return err
}

// seriesIDs returns the ids of at least the given metrics of a dataset.
func (w *writer) seriesIDs(ctx context.Context, dataset int64, want map[Metric]float64) (map[Metric]int64, error) {
	ids, ok := w.series[dataset]
	if !ok {
		var err error
		if ids, err = w.readSeries(ctx, dataset); err != nil {
			return nil, err
		}
	}
	var args []any
	for m := range want {
		if _, ok := ids[m]; !ok {
			args = append(args, dataset, m.Column, m.Metric)
		}
	}
	if len(args) == 0 {
		return ids, nil
	}
	err := w.insert(ctx, "INSERT INTO series (dataset_id, column_name, metric) VALUES ", " ON CONFLICT DO NOTHING", 3, args)
	if err != nil {
		return nil, err
	}
	return w.readSeries(ctx, dataset)
}

func (w *writer) readSeries(ctx context.Context, dataset int64) (map[Metric]int64, error) {
	var rows []struct {
		ID int64 `db:"id"`
		Metric
	}
	if err := w.tx.Select(ctx, &rows, "SELECT id, column_name, metric FROM series WHERE dataset_id = ?", dataset); err != nil {
		return nil, err
	}
	ids := make(map[Metric]int64, len(rows))
	for _, r := range rows {
		ids[r.Metric] = r.ID
	}
	w.series[dataset] = ids
	return ids, nil
}

// Point is one value of a series.
type Point struct {
	At    time.Time
	Batch string
	Value float64
}

// Series returns the values of a metric of accepted batches strictly before a
// time (the zero time: of all), newest first, at most limit (0: all). The
// column "" is the dataset itself. Values of a step's input are left out. A
// batch that is about to be recorded again may be among them: Point.Batch
// tells. A metric that was never stored has no points.
func (s *Store) Series(ctx context.Context, dataset, column, metric string, before time.Time, limit int) ([]Point, error) {
	last := int64(math.MaxInt64)
	if !before.IsZero() {
		last = micros(before)
	}
	if limit <= 0 {
		limit = math.MaxInt32
	}
	var rows []struct {
		At    int64   `db:"at_us"`
		Batch string  `db:"name"`
		Value float64 `db:"v"`
	}
	err := s.db.Select(ctx, &rows, `SELECT m.at_us, b.name, m.v FROM metric m JOIN batch b ON b.id = m.batch_id
		WHERE m.series_id = (SELECT s.id FROM series s JOIN dataset d ON d.id = s.dataset_id WHERE d.name = ? AND s.column_name = ? AND s.metric = ?)
		AND m.at_us < ? AND b.side <> 'input' AND `+accepted+`
		ORDER BY m.at_us DESC, m.batch_id DESC LIMIT ?`, clean(dataset), columnName(column), clean(metric), last, limit)
	if err != nil {
		return nil, fmt.Errorf("read series %s %s %s: %w", dataset, column, metric, err)
	}
	points := make([]Point, len(rows))
	for i, r := range rows {
		points[i] = Point{fromMicros(r.At), r.Batch, r.Value}
	}
	return points, nil
}
