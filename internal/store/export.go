package store

import (
	"context"
	"fmt"
	"time"
)

// ExportedMetric is a stored number of a batch; Column is empty for the dataset
// itself.
type ExportedMetric struct {
	Dataset, Batch string
	At             time.Time
	Column, Metric string
	Value          float64
}

// ExportMetrics calls take with the stored metrics of the batches that a query
// finds, oldest batch first, then by column and metric. An error of take ends
// it.
func (s *Store) ExportMetrics(ctx context.Context, q HistoryQuery, take func(ExportedMetric) error) error {
	where, args := q.where()
	var rows []struct {
		Dataset string  `db:"dataset"`
		Batch   string  `db:"batch"`
		At      int64   `db:"at_us"`
		Column  string  `db:"column_name"`
		Metric  string  `db:"metric"`
		Value   float64 `db:"v"`
	}
	err := s.db.Select(ctx, &rows, `SELECT d.name AS dataset, b.name AS batch, b.at_us, x.column_name, x.metric, m.v
		FROM dataset d JOIN batch b ON b.dataset_id = d.id JOIN series x ON x.dataset_id = d.id JOIN metric m ON m.series_id = x.id AND m.at_us = b.at_us AND m.batch_id = b.id`+
		where+" ORDER BY b.at_us, b.id, x.column_name, x.metric", args...)
	if err != nil {
		return fmt.Errorf("export metrics: %w", err)
	}
	for _, r := range rows {
		if err := take(ExportedMetric{r.Dataset, r.Batch, fromMicros(r.At), r.Column, r.Metric, r.Value}); err != nil {
			return err
		}
	}
	return nil
}
