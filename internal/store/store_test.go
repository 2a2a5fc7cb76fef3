package store_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/alert"
	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/db"
	"github.com/profilerhq/profiler/internal/dbtest"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/source/csv"
	"github.com/profilerhq/profiler/internal/store"
)

const dataset = "shop/orders"

var start = time.Date(2026, 3, 1, 6, 0, 0, 0, time.UTC)

func day(n int) time.Time { return start.AddDate(0, 0, n) }

func open(t testing.TB, url string, o store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), url, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// ofCSV profiles a text as the product does.
func ofCSV(t testing.TB, name, text string) *profile.Profile {
	t.Helper()
	r, err := csv.New(strings.NewReader(text), csv.Options{Source: "in.csv"})
	require.NoError(t, err)
	b := profile.NewBuilder()
	var c batch.Chunk
	for {
		err := r.Next(t.Context(), &c)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		require.NoError(t, b.Add(r.Columns(), &c))
	}
	return b.Finish(r.Columns(), profile.Info{Dataset: name, Stats: r.Stats(), ProfiledAt: start})
}

func rows(amounts ...int) string {
	var b strings.Builder
	b.WriteString("amount,zone\n")
	for i, a := range amounts {
		fmt.Fprintf(&b, "%d,z%d\n", a, i%2)
	}
	return b.String()
}

// seen is a judged batch of dataset with the given amounts.
func seen(t testing.TB, name string, at time.Time, amounts ...int) store.Observation {
	t.Helper()
	return store.Observation{
		Profile: ofCSV(t, dataset, rows(amounts...)), RulesFingerprint: "r1",
		Report: checks.Report{Version: 1, Dataset: dataset, Batch: name, At: at, Rows: int64(len(amounts)), Verdict: checks.Pass},
	}
}

func judged(o store.Observation, v checks.Status) store.Observation {
	o.Report.Verdict = v
	o.Report.Results = []checks.Result{{ID: "amount.range", Kind: "range", Column: "amount", Status: v, Severity: checks.SeverityFail, Value: profile.FloatScalar(0.5)}}
	return o
}

func record(t testing.TB, s *store.Store, all ...store.Observation) {
	t.Helper()
	for _, o := range all {
		messages, err := s.Record(t.Context(), o, nil)
		require.NoError(t, err)
		require.Empty(t, messages)
	}
}

func names(t testing.TB, s *store.Store, q store.Query) []string {
	t.Helper()
	if q.Dataset == "" {
		q.Dataset = dataset
	}
	found, err := s.Batches(t.Context(), q)
	require.NoError(t, err)
	out := []string{}
	for _, b := range found {
		out = append(out, b.Batch)
	}
	return out
}

// opened decides on a new incident with one message.
func opened(id, name string) func(store.IncidentState) store.IncidentChange {
	return func(store.IncidentState) store.IncidentChange {
		in := alert.Incident{ID: id, Dataset: name, Status: alert.Open, Severity: checks.SeverityFail, OpenedAt: start, UpdatedAt: start, Revision: 1}
		return store.IncidentChange{
			Incidents: []alert.Incident{in},
			Notices:   []alert.Notice{{Story: id, Dataset: name, Channel: "data", Event: alert.EventOpened, Revision: 1}},
		}
	}
}

// empty requires that the tables have no row.
func empty(t testing.TB, s *store.Store, tables ...string) {
	t.Helper()
	for _, table := range tables {
		var n int
		require.NoError(t, s.DB().Get(t.Context(), &n, "SELECT count(*) FROM "+table))
		require.Zero(t, n, table)
	}
}

func TestOrderIsByTimeOfData(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := open(t, url, store.Options{})
		record(t, s, seen(t, "d1", day(1), 1), seen(t, "d5", day(5), 5), seen(t, "d3", day(3), 3), seen(t, "d2", day(2), 2),
			seen(t, "d3b", day(3), 3))
		require.Equal(t, []string{"d5", "d3b", "d3", "d2", "d1"}, names(t, s, store.Query{}))
		// Strictly before: neither the batch itself nor one of the same moment.
		require.Equal(t, []string{"d2", "d1"}, names(t, s, store.Query{Before: day(3)}))
		require.Equal(t, []string{"d3b", "d3", "d2", "d1"}, names(t, s, store.Query{Before: day(3).Add(time.Microsecond)}))
		require.Equal(t, []string{"d3b", "d3"}, names(t, s, store.Query{Since: day(3), Before: day(5)}))
		require.Equal(t, []string{"d3", "d2"}, names(t, s, store.Query{Before: day(4), Except: "d3b", Limit: 2}))
		require.Equal(t, []string{"d2"}, names(t, s, store.Query{Batch: "d2"}))
		require.Empty(t, names(t, s, store.Query{Dataset: "shop/other"}))

		profiles, err := s.Profiles(t.Context(), store.Query{Dataset: dataset, Before: day(5), Limit: 3})
		require.NoError(t, err)
		var means []string
		for _, p := range profiles {
			means = append(means, p.Summary().Column("amount").Mean.String())
		}
		require.Equal(t, []string{"3", "3", "2"}, means)

		points, err := s.Series(t.Context(), dataset, "amount", "mean", day(3), 0)
		require.NoError(t, err)
		require.Equal(t, []store.Point{{At: day(2), Batch: "d2", Value: 2}, {At: day(1), Batch: "d1", Value: 1}}, points)
		points, err = s.Series(t.Context(), dataset, "amount", "mean", time.Time{}, 1)
		require.NoError(t, err)
		require.Equal(t, []store.Point{{At: day(5), Batch: "d5", Value: 5}}, points)
		points, err = s.Series(t.Context(), dataset, "amount", "no_such", time.Time{}, 1)
		require.NoError(t, err)
		require.Empty(t, points)
	})
}

func TestTimesKeepMicroseconds(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := open(t, url, store.Options{})
		at := start.Add(123456 * time.Microsecond)
		zone := time.FixedZone("", 5*3600)
		old := time.Date(1815, 12, 10, 0, 0, 0, 1000, time.UTC)
		record(t, s, seen(t, "a", at.In(zone), 1), seen(t, "b", at.Add(time.Microsecond), 1), seen(t, "old", old, 1))
		require.Equal(t, []string{"a", "old"}, names(t, s, store.Query{Before: at.Add(time.Microsecond + 999)}))
		found, err := s.Batches(t.Context(), store.Query{Dataset: dataset})
		require.NoError(t, err)
		require.Equal(t, at, found[1].At)
		require.Equal(t, old, found[2].At)
	})
}

func TestSupersede(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		now := day(100)
		s := open(t, url, store.Options{Now: func() time.Time { return now }})
		record(t, s, seen(t, "a", day(1), 1), seen(t, "b", day(2), 2))
		now = day(101)
		record(t, s, seen(t, "a", day(1), 10))
		require.Equal(t, []string{"b", "a"}, names(t, s, store.Query{}))
		profiles, err := s.Profiles(t.Context(), store.Query{Dataset: dataset})
		require.NoError(t, err)
		require.Len(t, profiles, 2)
		require.Equal(t, "10", profiles[1].Summary().Column("amount").Mean.String())
		points, err := s.Series(t.Context(), dataset, "amount", "mean", day(2), 0)
		require.NoError(t, err)
		require.Equal(t, []store.Point{{At: day(1), Batch: "a", Value: 10}}, points)

		all, err := s.Batches(t.Context(), store.Query{Dataset: dataset, All: true})
		require.NoError(t, err)
		require.Len(t, all, 3)
		require.Equal(t, [3]bool{true, true, false}, [3]bool{all[0].Accepted, all[1].Accepted, all[2].Accepted})
		require.Equal(t, now, all[2].SupersededAt)
		require.Zero(t, all[1].SupersededAt)

		// Another step or side is another story.
		other := seen(t, "a", day(1), 99)
		other.Report.Origin = checks.Origin{Pipeline: "p", Step: "load", Run: "run", Unit: "u", CorrelationID: "c"}
		other.Side = store.SideOutput
		in := other
		in.Side = store.SideInput
		record(t, s, other, in)
		require.Equal(t, []string{"b", "a", "a"}, names(t, s, store.Query{}))
		found, err := s.Batches(t.Context(), store.Query{Dataset: dataset, Input: true})
		require.NoError(t, err)
		require.Len(t, found, 1)
		require.Equal(t, other.Report.Origin, found[0].Origin)
		require.Equal(t, store.SideInput, found[0].Side)
		points, err = s.Series(t.Context(), dataset, "amount", "mean", day(2), 0)
		require.NoError(t, err)
		require.Len(t, points, 2)

		history, err := s.History(t.Context(), store.HistoryQuery{Dataset: dataset})
		require.NoError(t, err)
		require.Len(t, history, 3)
		history, err = s.History(t.Context(), store.HistoryQuery{Dataset: dataset, All: true})
		require.NoError(t, err)
		require.Len(t, history, 5)
		infos, err := s.Datasets(t.Context())
		require.NoError(t, err)
		require.Equal(t, []store.DatasetInfo{{Dataset: dataset, Batch: "b", At: day(2), Rows: 1, Batches: 3}}, infos)
	})
}

func TestAcceptedBatches(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := open(t, url, store.Options{})
		ctx := t.Context()
		unread := judged(seen(t, "unread", day(3), 3), checks.Error)
		unread.Profile = nil
		record(t, s, seen(t, "pass", day(1), 1), judged(seen(t, "error", day(2), 2), checks.Error), unread,
			judged(seen(t, "fail", day(4), 4), checks.Fail), judged(seen(t, "warn", day(5), 5), checks.Warn))
		require.Equal(t, []string{"warn", "fail", "pass"}, names(t, s, store.Query{}))
		for _, tc := range []struct {
			label store.Label
			want  []string
		}{
			{store.LabelReal, []string{"warn", "pass"}},
			{store.LabelFine, []string{"warn", "fail", "pass"}},
			{store.LabelFineOnce, []string{"warn", "pass"}},
			{store.LabelNewNormal, []string{"warn", "fail", "pass"}},
			{"", []string{"warn", "fail", "pass"}},
		} {
			require.NoError(t, s.SetLabel(ctx, dataset, "fail", tc.label, "ann"))
			require.Equal(t, tc.want, names(t, s, store.Query{}), tc.label)
			points, err := s.Series(ctx, dataset, "", "row_count", time.Time{}, 0)
			require.NoError(t, err)
			require.Len(t, points, len(tc.want))
			require.Equal(t, []string{"warn", "fail", "unread", "error", "pass"}, names(t, s, store.Query{All: true}))
			profiles, err := s.Profiles(ctx, store.Query{Dataset: dataset})
			require.NoError(t, err)
			require.Len(t, profiles, len(tc.want))
		}
		var answers int
		require.NoError(t, s.DB().Get(ctx, &answers, "SELECT count(*) FROM label WHERE who = 'ann'"))
		require.Equal(t, 5, answers)
		require.ErrorIs(t, s.SetLabel(ctx, dataset, "none", store.LabelFine, ""), store.ErrNotFound)
		require.ErrorIs(t, s.SetLabel(ctx, "shop/none", "fail", store.LabelFine, ""), store.ErrNotFound)
		require.ErrorIs(t, s.SetLabel(ctx, dataset, "fail", "great", ""), store.ErrInvalid)
		require.ErrorIs(t, s.SetLabel(ctx, dataset, "fail", store.LabelFine, "a\x00"), store.ErrInvalid)
	})
}

func TestLabelStaysWithTheData(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := open(t, url, store.Options{})
		record(t, s, seen(t, "a", day(1), 1, 2))
		require.NoError(t, s.SetLabel(t.Context(), dataset, "a", store.LabelReal, "ann"))
		label := func() store.Label {
			found, err := s.Batches(t.Context(), store.Query{Dataset: dataset, Batch: "a", All: true, Limit: 1})
			require.NoError(t, err)
			return found[0].Label
		}
		again := judged(seen(t, "a", day(1), 1, 2), checks.Fail)
		again.Profile.ProfiledAt = day(9)
		record(t, s, again)
		require.Equal(t, store.LabelReal, label(), "judged again")
		require.Empty(t, names(t, s, store.Query{}))
		record(t, s, seen(t, "a", day(1), 1, 3))
		require.Empty(t, label(), "delivered again, repaired")
		require.Equal(t, []string{"a"}, names(t, s, store.Query{}))
	})
}

func TestHistoryAndGet(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		now := day(100)
		s := open(t, url, store.Options{Now: func() time.Time { return now }})
		ctx := t.Context()
		low, high, score := math.Inf(-1), 2.5, 0.75
		n := int64(3)
		full := seen(t, "b", day(2), 1, 2, 3)
		full.Report.Verdict = checks.Fail
		full.Report.Origin = checks.Origin{Pipeline: "p", Step: "s", Run: "r", Unit: "u", CorrelationID: "c"}
		full.Side, full.Score = store.SideOutput, &score
		full.Report.Results = []checks.Result{
			{ID: "amount.range", Kind: "range", Column: "amount", Status: checks.Fail, Severity: checks.SeverityFail, Value: profile.FloatScalar(0.25),
				Evaluated: &n, Failed: &n, Limit: "at most 0", Message: "it's \"bad\"\x00?", Tags: []string{"gold"}, Owner: "team",
				FailingRows: []checks.FailingRow{{Row: 1, Key: map[string]*string{"id": new("7")}, Value: profile.IntScalar(-4)}},
				Rule:        &checks.Rule{File: "rules/a.yaml", Line: 3}, WarnLimit: checks.Zone{Lower: &low}, FailLimit: checks.Zone{Upper: &high}},
			{ID: "zone.mode", Kind: "most_common", Column: "zone", Status: checks.Pass, Severity: checks.SeverityWarn, Value: profile.TextScalar("z0"), FailingRows: []checks.FailingRow{}},
		}
		record(t, s, full, seen(t, "a", day(1), 1))
		other := seen(t, "z", day(3), 1)
		other.Profile, other.Report.Dataset = ofCSV(t, "a/first", rows(1)), "a/first"
		record(t, s, other)

		p, report, err := s.Get(ctx, dataset, "b")
		require.NoError(t, err)
		require.Equal(t, full.Report, report)
		want, err := full.Profile.Encode()
		require.NoError(t, err)
		got, err := p.Encode()
		require.NoError(t, err)
		require.Equal(t, want, got)
		_, report, err = s.Get(ctx, dataset, "a")
		require.NoError(t, err)
		require.Equal(t, []checks.Result{}, report.Results)
		for _, miss := range [][2]string{{dataset, "none"}, {"shop/none", "b"}} {
			_, _, err = s.Get(ctx, miss[0], miss[1])
			require.ErrorIs(t, err, store.ErrNotFound)
			require.ErrorContains(t, err, miss[0]+" batch "+miss[1])
		}

		require.NoError(t, s.SetLabel(ctx, dataset, "b", store.LabelReal, ""))
		answer := store.LabelReal
		history, err := s.History(ctx, store.HistoryQuery{})
		require.NoError(t, err)
		require.Equal(t, []store.Entry{
			{Dataset: dataset, Batch: "a", At: day(1), Rows: 1, RecordedAt: now},
			{Dataset: dataset, Batch: "b", At: day(2), Rows: 3, Verdict: checks.Fail, Score: &score, Label: &answer, RecordedAt: now},
			{Dataset: "a/first", Batch: "z", At: day(3), Rows: 1, RecordedAt: now},
		}, history)
		history, err = s.History(ctx, store.HistoryQuery{From: day(2), To: day(3)})
		require.NoError(t, err)
		require.Len(t, history, 1)
		infos, err := s.Datasets(ctx)
		require.NoError(t, err)
		require.Equal(t, []store.DatasetInfo{
			{Dataset: "a/first", Batch: "z", At: day(3), Rows: 1, Batches: 1},
			{Dataset: dataset, Batch: "b", At: day(2), Rows: 3, Verdict: checks.Fail, Batches: 2},
		}, infos)
		// What stands in columns of the table for queries.
		var row struct {
			Status string  `db:"status"`
			Value  float64 `db:"value"`
		}
		require.NoError(t, s.DB().Get(ctx, &row, "SELECT status, value FROM result WHERE check_id = 'amount.range'"))
		require.Equal(t, "fail", row.Status)
		require.InDelta(t, 0.25, row.Value, 0)
	})
}

func TestMetricRows(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := open(t, url, store.Options{})
		o := seen(t, "a", day(1), 1, 2, 3, 6)
		o.Metrics = []store.Metric{{Column: "amount", Metric: "sum"}, {Column: "zone", Metric: "sum"}, {Column: "none", Metric: "sum"}, {Column: "amount", Metric: "mean"}}
		record(t, s, o)
		sum := o.Profile.Summary()
		stored := 0
		want := func(column, metric string, v float64) {
			points, err := s.Series(t.Context(), dataset, column, metric, time.Time{}, 0)
			require.NoError(t, err)
			require.Len(t, points, 1, "%s.%s", column, metric)
			require.InDelta(t, v, points[0].Value, 0, "%s.%s", column, metric)
			stored++
		}
		want("", "row_count", 4)
		want("", "column_count", 2)
		want("", "bytes", float64(sum.Bytes))
		want("", "malformed", 0)
		want("", "duplicate_rows", 0)
		want("amount", "sum", 12)
		for _, column := range []string{"amount", "zone"} {
			for _, metric := range store.ColumnMetrics() {
				if v, ok := sum.Column(column).Metric(metric); ok {
					want(column, metric, v)
				}
			}
		}
		require.Greater(t, stored, 15)
		var n int
		require.NoError(t, s.DB().Get(t.Context(), &n, "SELECT count(*) FROM metric"))
		require.Equal(t, stored, n)
	})
}

func TestHostileNames(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := open(t, url, store.Options{})
		ctx := t.Context()
		for i, name := range []string{`a'b/"c"`, "größe/日本語\u202e", "x'; DROP TABLE batch; --/y", "a/?", "a/%s\n\t", strings.Repeat("n", 512)} {
			o := seen(t, name, day(i), 1)
			o.Report.Dataset, o.Profile = name, ofCSV(t, name, "\"a'\"\"b\",日本,\"\x00\",\"\u2400\",\xff\n1,2,3,4,5\n")
			record(t, s, o)
			require.Equal(t, []string{name}, names(t, s, store.Query{Dataset: name}))
			p, report, err := s.Get(ctx, name, name)
			require.NoError(t, err)
			require.Equal(t, name, report.Dataset)
			require.Equal(t, o.Profile.ColumnNames(), p.ColumnNames())
			for _, column := range p.ColumnNames() {
				points, err := s.Series(ctx, name, column, "null_rate", time.Time{}, 0)
				require.NoError(t, err)
				require.Len(t, points, 1, "%q", column)
			}
		}
		for name, breakIt := range map[string]func(*store.Observation){
			"NUL in the dataset":         func(o *store.Observation) { o.Report.Dataset = "a\x00b"; o.Profile.Dataset = "a\x00b" },
			"NUL in the batch":           func(o *store.Observation) { o.Report.Batch = "\x00" },
			"NUL in the step":            func(o *store.Observation) { o.Report.Origin.Step = "\x00" },
			"bytes that are not UTF-8":   func(o *store.Observation) { o.Report.Batch = "\xff" },
			"a name that is too long":    func(o *store.Observation) { o.Report.Batch = strings.Repeat("n", 513) },
			"a score that is none":       func(o *store.Observation) { o.Score = new(math.NaN()) },
			"no dataset":                 func(o *store.Observation) { o.Report.Dataset = "" },
			"no batch":                   func(o *store.Observation) { o.Report.Batch = "" },
			"no time":                    func(o *store.Observation) { o.Report.At = time.Time{} },
			"a side that is none":        func(o *store.Observation) { o.Side = "left" },
			"a profile of another":       func(o *store.Observation) { o.Report.Dataset = "shop/other" },
			"a fingerprint with a NUL":   func(o *store.Observation) { o.RulesFingerprint = "\x00" },
			"a correlation id not UTF-8": func(o *store.Observation) { o.Report.Origin.CorrelationID = "\xc3" },
		} {
			o := seen(t, "bad", day(1), 1)
			breakIt(&o)
			_, err := s.Record(ctx, o, nil)
			require.ErrorIs(t, err, store.ErrInvalid, name)
			require.NotContains(t, err.Error(), "\x00")
			require.ErrorIs(t, s.RecordAll(ctx, []store.Observation{seen(t, "good", day(1), 1), o}), store.ErrInvalid, name)
		}
		require.Empty(t, names(t, s, store.Query{All: true}))
	})
}

// Names of columns come from the data, and no data may keep its batch from
// being recorded.
func TestHugeColumnNames(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := open(t, url, store.Options{})
		rng := rand.New(rand.NewPCG(1, 2))
		var long strings.Builder
		for range 20000 {
			long.WriteRune('\u4e00' + rng.Int32N(20000))
		}
		o := seen(t, "a", day(1), 1)
		o.Profile = ofCSV(t, dataset, long.String()+"a,"+long.String()+"b\n1,2\n")
		o.Report.Results = []checks.Result{{ID: long.String(), Column: long.String()}}
		record(t, s, o)
		for i, end := range []string{"a", "b"} {
			points, err := s.Series(t.Context(), dataset, long.String()+end, "mean", time.Time{}, 0)
			require.NoError(t, err)
			require.Len(t, points, 1)
			require.InDelta(t, i+1, points[0].Value, 0)
		}
	})
}

func TestDecideIsAllOrNothing(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := open(t, url, store.Options{})
		ctx := t.Context()
		good := opened("01A", dataset)
		for name, spoil := range map[string]func(*store.IncidentChange){
			"an incident without id":     func(c *store.IncidentChange) { c.Incidents[0].ID = "" },
			"an incident without status": func(c *store.IncidentChange) { c.Incidents[0].Status = "" },
			"an incident of no dataset":  func(c *store.IncidentChange) { c.Incidents[0].Dataset = "" },
			"two open incidents": func(c *store.IncidentChange) {
				second := c.Incidents[0]
				second.ID = "01B"
				c.Incidents = append(c.Incidents, second)
			},
			"a message with a NUL":    func(c *store.IncidentChange) { c.Notices[0].Story = "a\x00" },
			"a message to no channel": func(c *store.IncidentChange) { c.Notices[0].Channel = "" },
		} {
			_, err := s.Record(ctx, seen(t, "a", day(1), 1), func(st store.IncidentState) store.IncidentChange {
				c := good(st)
				spoil(&c)
				return c
			})
			require.ErrorIs(t, err, store.ErrInvalid, name)
			empty(t, s, "batch", "profile", "metric", "result", "series", "incident", "outbox", "dataset")
		}
		require.Panics(t, func() {
			_, _ = s.Record(ctx, seen(t, "a", day(1), 1), func(store.IncidentState) store.IncidentChange { panic("mine") })
		})
		empty(t, s, "batch", "profile", "metric", "result", "incident", "outbox", "dataset")

		done, err := s.Record(ctx, judged(seen(t, "a", day(1), 1), checks.Fail), good)
		require.NoError(t, err)
		require.Equal(t, store.Changed{Stories: []string{"01A"}}, done)
		incidents, err := s.Incidents(ctx, store.IncidentQuery{Dataset: dataset, Open: true})
		require.NoError(t, err)
		require.Len(t, incidents, 1)
	})
}

func TestImportIsAllOrNothing(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := open(t, url, store.Options{})
		ctx := t.Context()
		_, err := s.DB().Exec(ctx, "DROP TABLE result")
		require.NoError(t, err)
		require.Error(t, s.RecordAll(ctx, []store.Observation{seen(t, "a", day(1), 1), judged(seen(t, "b", day(2), 2), checks.Fail)}))
		empty(t, s, "batch", "profile", "metric", "series", "dataset")
		require.NoError(t, s.RecordAll(ctx, nil))
		require.NoError(t, s.RecordAll(ctx, []store.Observation{seen(t, "a", day(1), 1), seen(t, "b", day(2), 2), seen(t, "a", day(3), 3)}))
		require.Equal(t, []string{"a", "b"}, names(t, s, store.Query{}))
		require.Len(t, names(t, s, store.Query{All: true}), 3)
	})
}

func TestIncidentStates(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := open(t, url, store.Options{})
		ctx := t.Context()
		var got store.IncidentState
		look := func(pipeline, run, name string, change func(store.IncidentState) store.IncidentChange) {
			t.Helper()
			o := seen(t, "a", day(1), 1)
			o.Profile, o.Report.Dataset = nil, name
			o.Report.Origin = checks.Origin{Pipeline: pipeline, Run: run}
			_, err := s.Record(ctx, o, func(st store.IncidentState) store.IncidentChange {
				got = st
				if change == nil {
					return store.IncidentChange{}
				}
				return change(st)
			})
			require.NoError(t, err)
		}
		inRun := func(id, name, pipeline, run string, status alert.Status, at time.Time) func(store.IncidentState) store.IncidentChange {
			return func(store.IncidentState) store.IncidentChange {
				return store.IncidentChange{Incidents: []alert.Incident{{ID: id, Dataset: name, Status: status, Severity: checks.SeverityFail,
					OpenedAt: at, UpdatedAt: at, ResolvedAt: at, LastRun: run, Origin: checks.Origin{Pipeline: pipeline, Run: run}}}}
			}
		}
		look("p", "r1", "s/raw", inRun("01", "s/raw", "p", "r1", alert.Open, day(1)))
		require.Nil(t, got.Current)
		require.Empty(t, got.Pipeline)
		look("p", "r1", "s/other", inRun("02", "s/other", "p", "r1", alert.Snoozed, day(2)))
		look("p", "r1", "s/done", inRun("03", "s/done", "p", "r1", alert.Resolved, day(1)))
		look("q", "r1", "s/q", inRun("04", "s/q", "q", "r1", alert.Open, day(1)))
		look("p", "r2", "s/r2", inRun("05", "s/r2", "p", "r2", alert.Open, day(1)))
		ids := func() (out []string) {
			for _, in := range got.Pipeline {
				out = append(out, in.ID)
			}
			return out
		}
		look("p", "r1", "s/waits", inRun("07", "s/waits", "p", "r1", alert.Pending, day(1)))
		look("p", "r1", "s/clean", nil)
		require.Equal(t, []string{"01", "05", "02"}, ids(), "of all runs, oldest first, neither resolved nor pending")
		look("p", "r1", "s/raw", nil)
		require.Equal(t, "01", got.Current.ID)
		require.Equal(t, []string{"05", "02"}, ids())
		look("p", "r1", "s/waits", nil)
		require.Equal(t, alert.Pending, got.Current.Status)
		look("", "", "s/raw", nil)
		require.Empty(t, got.Pipeline)
		// The newest counts, resolved or not.
		look("p", "r1", "s/done", inRun("06", "s/done", "p", "r1", alert.Resolved, day(3)))
		require.Equal(t, "03", got.Current.ID)
		look("p", "r1", "s/done", nil)
		require.Equal(t, "06", got.Current.ID)

		all, err := s.Incidents(ctx, store.IncidentQuery{})
		require.NoError(t, err)
		require.Len(t, all, 6)
		require.Equal(t, "06", all[0].ID)
		some, err := s.Incidents(ctx, store.IncidentQuery{Open: true, Limit: 2})
		require.NoError(t, err)
		require.Len(t, some, 2)
		require.Equal(t, "02", some[0].ID)
		one, err := s.Incidents(ctx, store.IncidentQuery{ID: "05"})
		require.NoError(t, err)
		require.Len(t, one, 1)

		_, err = s.ChangeIncident(ctx, "01", func(in alert.Incident) (store.IncidentChange, error) {
			in.Status = alert.Acknowledged
			return store.IncidentChange{Incidents: []alert.Incident{in}, Notices: []alert.Notice{{Story: "01", Channel: "c", Event: alert.EventUpdated}}}, nil
		})
		require.NoError(t, err)
		one, err = s.Incidents(ctx, store.IncidentQuery{ID: "01"})
		require.NoError(t, err)
		require.Equal(t, alert.Acknowledged, one[0].Status)
		pending, err := s.Pending(ctx, 0)
		require.NoError(t, err)
		require.Len(t, pending, 1)
		_, err = s.ChangeIncident(ctx, "none", func(alert.Incident) (store.IncidentChange, error) { return store.IncidentChange{}, nil })
		require.ErrorIs(t, err, store.ErrNotFound)
		_, err = s.ChangeIncident(ctx, "01", func(in alert.Incident) (store.IncidentChange, error) {
			in.Status = alert.Open
			return store.IncidentChange{Incidents: []alert.Incident{in}}, io.ErrUnexpectedEOF
		})
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		one, err = s.Incidents(ctx, store.IncidentQuery{ID: "01", Since: day(1)})
		require.NoError(t, err)
		require.Equal(t, alert.Acknowledged, one[0].Status, "an error changes nothing")
		_, err = s.ChangeIncident(ctx, "07", func(in alert.Incident) (store.IncidentChange, error) {
			return store.IncidentChange{Forget: []string{in.ID}}, nil
		})
		require.NoError(t, err)
		none, err := s.Incidents(ctx, store.IncidentQuery{ID: "07", Pending: true})
		require.NoError(t, err)
		require.Empty(t, none)
	})
}

// Recorders in stores of their own, as in processes of their own, that open an
// incident if they see none and count in it otherwise.
// Dead units of a step and the data that it writes are two stories.
func TestDeadLettersStandBesideTheData(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := open(t, url, store.Options{})
		ctx := t.Context()
		dead := func(id, step string, status alert.Status, at time.Time) (newest *alert.Incident, err error) {
			in := alert.Incident{ID: id, Dataset: dataset, Status: status, Severity: checks.SeverityFail, OpenedAt: at, UpdatedAt: at, ResolvedAt: at,
				Origin: checks.Origin{Pipeline: "p", Step: step, Run: "r"}, LastRun: "r", DeadLetters: &alert.DeadLetters{Pipeline: "p", Step: step}}
			err = s.DB().Tx(ctx, func(tx *db.Tx) error {
				_, err := s.ChangeDeadLetters(ctx, tx, "p", step, func(n *alert.Incident) store.IncidentChange {
					newest = n
					return store.IncidentChange{Incidents: []alert.Incident{in}}
				})
				return err
			})
			return newest, err
		}
		newest, err := dead("1", "a", alert.Resolved, day(1))
		require.NoError(t, err)
		require.Nil(t, newest)
		newest, err = dead("2", "a", alert.Open, day(2))
		require.NoError(t, err)
		require.Equal(t, "1", newest.ID)
		_, err = dead("3", "a", alert.Open, day(3))
		require.ErrorIs(t, err, store.ErrInvalid)
		require.ErrorContains(t, err, "step a of pipeline p has an open incident already")
		newest, err = dead("4", "b", alert.Open, day(2))
		require.NoError(t, err)
		require.Nil(t, newest, "that of another step, which writes the same, is none of this one's")

		for _, name := range []string{dataset, "s/other"} {
			o := seen(t, "x", day(3), 1)
			o.Profile, o.Report.Dataset, o.Report.Origin = nil, name, checks.Origin{Pipeline: "p", Step: "z", Run: "r"}
			_, err = s.Record(ctx, o, func(st store.IncidentState) store.IncidentChange {
				require.Nil(t, st.Current, name)
				require.Empty(t, st.Pipeline, name)
				return store.IncidentChange{}
			})
			require.NoError(t, err)
		}
		_, err = s.Record(ctx, judged(seen(t, "y", day(3), 1), checks.Fail), func(store.IncidentState) store.IncidentChange {
			return store.IncidentChange{Incidents: []alert.Incident{{ID: "5", Dataset: dataset, Status: alert.Open, Severity: checks.SeverityFail, OpenedAt: day(3), UpdatedAt: day(3)}}}
		})
		require.NoError(t, err)
		open, err := s.Incidents(ctx, store.IncidentQuery{Dataset: dataset, Open: true})
		require.NoError(t, err)
		require.Len(t, open, 3)
	})
}

func TestConcurrentRecordersOpenOneIncident(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		const recorders, each = 4, 8
		decide := func(id string) func(store.IncidentState) store.IncidentChange {
			return func(st store.IncidentState) store.IncidentChange {
				in := alert.Incident{ID: id, Dataset: dataset, Status: alert.Open, Severity: checks.SeverityFail, OpenedAt: start, UpdatedAt: start}
				event := alert.EventOpened
				if st.Current != nil {
					in, event = *st.Current, alert.EventUpdated
				}
				in.Batches++
				return store.IncidentChange{Incidents: []alert.Incident{in},
					Notices: []alert.Notice{{Story: in.ID, Dataset: in.Dataset, Channel: "c", Event: event, Revision: in.Batches}}}
			}
		}
		stores := make([]*store.Store, recorders)
		for i := range stores {
			stores[i] = open(t, url, store.Options{})
		}
		errs := make([]error, recorders)
		gate := make(chan struct{})
		var wg sync.WaitGroup
		for i := range stores {
			var todo []store.Observation
			for k := range each {
				todo = append(todo, judged(seen(t, fmt.Sprintf("b%d-%d", i, k), day(k), k), checks.Fail))
			}
			wg.Go(func() {
				<-gate
				for k := range todo {
					_, err := stores[i].Record(t.Context(), todo[k], decide(fmt.Sprintf("0%d-%d", i, k)))
					errs[i] = errors.Join(errs[i], err)
				}
			})
		}
		close(gate)
		wg.Wait()
		require.NoError(t, errors.Join(errs...))
		s := stores[0]
		incidents, err := s.Incidents(t.Context(), store.IncidentQuery{})
		require.NoError(t, err)
		require.Len(t, incidents, 1)
		require.Equal(t, recorders*each, incidents[0].Batches)
		pending, err := s.Pending(t.Context(), 0)
		require.NoError(t, err)
		require.Len(t, pending, 1, "one entry tells all of it")
		require.Equal(t, alert.EventOpened, pending[0].Event)
		require.Equal(t, recorders*each, pending[0].Revision)
		require.Len(t, names(t, s, store.Query{}), recorders*each)
	})
}

func TestReopen(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		ctx := t.Context()
		s, err := store.Open(ctx, url, store.Options{})
		require.NoError(t, err)
		_, err = s.Record(ctx, seen(t, "a", day(1), 1), opened("01A", dataset))
		require.NoError(t, err)
		require.NoError(t, s.Close())
		require.NoError(t, s.Close())

		s = open(t, url, store.Options{MustExist: true})
		require.Equal(t, []string{"a"}, names(t, s, store.Query{}))
		pending, err := s.Pending(ctx, 0)
		require.NoError(t, err)
		require.Len(t, pending, 1)
		record(t, s, seen(t, "a", day(1), 2), seen(t, "b", day(2), 2))
		points, err := s.Series(ctx, dataset, "amount", "mean", time.Time{}, 0)
		require.NoError(t, err)
		require.Len(t, points, 2)
		var steps int
		require.NoError(t, s.DB().Get(ctx, &steps, "SELECT count(*) FROM schema_migration WHERE area = 'history'"))
		require.Equal(t, 2, steps)
	})
}

func TestReadOnly(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		ctx := t.Context()
		if strings.HasPrefix(url, "sqlite:") {
			_, err := store.Open(ctx, url, store.Options{ReadOnly: true})
			require.ErrorIs(t, err, db.ErrUnavailable)
			_, err = store.Open(ctx, url, store.Options{MustExist: true})
			require.ErrorIs(t, err, db.ErrUnavailable)
		}
		record(t, open(t, url, store.Options{}), seen(t, "a", day(1), 1))
		s := open(t, url, store.Options{ReadOnly: true})
		require.Equal(t, []string{"a"}, names(t, s, store.Query{}))
		_, _, err := s.Get(ctx, dataset, "a")
		require.NoError(t, err)
		_, err = s.Record(ctx, seen(t, "b", day(1), 1), nil)
		require.ErrorIs(t, err, db.ErrReadOnly)
		require.ErrorIs(t, s.RecordAll(ctx, []store.Observation{seen(t, "b", day(1), 1)}), db.ErrReadOnly)
		require.ErrorIs(t, s.SetLabel(ctx, dataset, "a", store.LabelFine, ""), db.ErrReadOnly)
		require.ErrorIs(t, s.Sent(ctx, store.Delivery{}, alert.Thread{}), db.ErrReadOnly)
		require.ErrorIs(t, s.Failed(ctx, store.Delivery{}, alert.Thread{}, "", start), db.ErrReadOnly)
		_, err = s.Prune(ctx, day(1000), store.Retention{Profiles: time.Hour})
		require.ErrorIs(t, err, db.ErrReadOnly)
	})
}

func TestDamagedProfileNamesItsBatch(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := open(t, url, store.Options{})
		record(t, s, seen(t, "a", day(1), 1))
		_, err := s.DB().Exec(t.Context(), "UPDATE profile SET data = ?", []byte("PRFL nonsense"))
		require.NoError(t, err)
		_, err = s.Profiles(t.Context(), store.Query{Dataset: dataset})
		require.ErrorIs(t, err, profile.ErrFormat)
		require.ErrorContains(t, err, dataset+" batch a")
		_, _, err = s.Get(t.Context(), dataset, "a")
		require.ErrorIs(t, err, profile.ErrFormat)
	})
}
