// Package profile summarises batches: volume, shape and distribution of every
// column in bounded memory. Profiles of parts merge into the profile of the
// whole, can be saved, and yield the JSON of the contract.
//
// What is exact: counts, nulls, bounds, sums of integers, lengths, always.
// Distinct values, quantiles, top values and histograms are exact while a
// column has at most 16,384 distinct values, or at most 65,536 rows (less in
// tables of hundreds of columns), and 4 MiB of distinct texts. Beyond that
// they come from sketches and carry their bounds.
package profile

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/sketch"
)

// Info is what a profile knows besides the rows.
type Info struct {
	Dataset    string // namespace/name
	Source     Source
	Stats      batch.Stats
	ProfiledAt time.Time
}

// Profile is the mergeable summary of one batch. It is not safe for concurrent
// use, except that Summary and Column may be called from several goroutines once nothing
// changes it any more.
type Profile struct {
	Info
	rows    uint64
	columns []*column
	index   map[string]int
	lists   map[string]int // the first column of each list
	dups    rowSet
	key     string // id of the key of sensitive columns and rows; "" without

	once    sync.Once
	summary *Summary
	lazy    []lazyColumn // by column, made by prepare
	prepare sync.Once
}

// lazyColumn is the summary of a column once somebody asks for it.
type lazyColumn struct {
	once    sync.Once
	done    atomic.Bool // summary is there
	summary Column

	outlineOnce sync.Once
	outline     Column
	digestOnce  sync.Once
	digest      *digest
	numbersOnce sync.Once
	numbers     []sketch.Weighted[float64]
	rankErr     float64
}

// rowSet counts distinct rows by their hash.
type rowSet struct {
	hashes []uint64 // until they are more than exactRows, or partRows of a part
	hll    *sketch.HLL
	isPart bool
}

func (s *rowSet) add(hashes []uint64) {
	if s.hll == nil {
		s.hashes = append(s.hashes, hashes...)
		if len(s.hashes) <= exactRows && !s.isPart || len(s.hashes) <= partRows {
			return
		}
		hashes, s.hashes, s.hll = s.hashes, nil, sketch.NewHLL()
	}
	for _, h := range hashes {
		s.hll.Add(h)
	}
}

func (s *rowSet) merge(o *rowSet) {
	if o.hll == nil {
		s.add(o.hashes)
		return
	}
	if s.hll == nil {
		hashes := s.hashes
		s.hashes, s.hll = nil, sketch.NewHLL()
		s.add(hashes)
	}
	s.hll.Merge(o.hll)
}

// duplicates estimates how many rows repeat an earlier one. An estimate is
// reported only as far as it exceeds its own bound.
func (s *rowSet) duplicates(rows uint64) Estimate {
	if s.hll == nil {
		h := slices.Clone(s.hashes)
		slices.Sort(h)
		return Estimate{Value: int64(rows) - int64(len(slices.Compact(h))), Exact: true}
	}
	bound := int64(math.Ceil(s.hll.Error()))
	d := int64(rows) - int64(math.Round(s.hll.Estimate()))
	if d <= bound {
		d = 0
	}
	return Estimate{Value: d, Error: bound}
}

// Builder accumulates the chunks of one batch. For each chunk Begin is called,
// then Column for each of its columns, then End. Each of them meets the chunks
// in their order, and so does Column with the same column; a chunk whose columns
// are those of the one before may be begun while that one is at work.
type Builder struct {
	elements []elementHashes // by column, of elements of lists
	p        *Profile
	hashes   []uint64
	share    int // columns that share the memory of exact counts, at least

	key       *Key // of sensitive columns; nil without
	sensitive func(column string) bool
	rowKey    *hasher
}

// NewBuilder returns a builder of an empty profile.
func NewBuilder() *Builder { return &Builder{p: empty()} }

// Bounds of the profile of a part, of which there may be a thousand at once.
const (
	partShare = 2_000 // as if the table had so many columns: about 1,000 distinct values are exact
	partRows  = 4_096 // repeated rows are exact up to so many rows
)

// NewPartBuilder returns a builder of one of many profiles that are made at
// once, as of the segments of a batch: it is exact up to fewer values, so that
// a thousand of them fit in the memory of a wide table.
func NewPartBuilder() *Builder {
	b := &Builder{p: empty(), share: partShare}
	b.p.dups.isPart = true
	return b
}

func empty() *Profile { return &Profile{index: map[string]int{}} }

// Begin counts the rows of a chunk. columns are the reader's columns, one for
// each vector; columns may have been added since the last chunk.
func (b *Builder) Begin(columns []batch.Column, c *batch.Chunk) {
	p := b.p
	b.addColumns(columns)
	p.rows += uint64(c.Rows)
}

// Column takes the rows of column i, which is filled, of the chunk that was
// begun. hashes has a place for each row and is added to: the sum over all
// columns is what End wants. Different columns may be taken by different
// goroutines, with hashes of their own. Nothing of the chunk is kept but its
// dictionary, until the column has another one.
//
// A column knows the number of its rows by itself: nothing of it depends on how
// far other columns are.
func (b *Builder) Column(c *batch.Chunk, i int, hashes []uint64) {
	p := b.p
	v, col := &c.Vectors[i], p.columns[i]
	rows := hashes
	if v.Rows != nil {
		hashes = b.elements[i].begin(v.Len())
	}
	if col.sensitive {
		col.addKeyed(v, c, hashes)
	} else {
		col.add(v, c, hashes)
	}
	if v.Rows != nil {
		b.elements[i].addTo(rows, v)
	}
	col.limit(col.rows, max(len(p.columns), b.share))
}

// elementHashes are the hashes of the elements of a chunk on their way to the
// hashes of its rows.
type elementHashes []uint64

func (e *elementHashes) begin(n int) []uint64 {
	*e = slices.Grow((*e)[:0], n)[:n]
	clear(*e)
	return *e
}

// addTo adds the hashes of elements, with their places in their rows, to those
// of the rows.
func (e elementHashes) addTo(rows []uint64, v *batch.Vector) {
	at, last := uint64(0), int32(-1)
	for i, h := range e {
		row := v.Rows[i]
		if at++; row != last {
			at, last = 0, row
		}
		if h != 0 {
			rows[row] += mix64(h, at)
		}
	}
}

// End takes the sums of the hashes of the rows, which it may change.
func (b *Builder) End(hashes []uint64) {
	if b.rowKey != nil {
		b.rowKey.rows(hashes)
	}
	b.p.dups.add(hashes)
}

// Add takes the rows of a chunk, filling its columns: Begin, Column and End
// in one. The error is that of filling.
func (b *Builder) Add(columns []batch.Column, c *batch.Chunk) error {
	b.Begin(columns, c)
	b.hashes = slices.Grow(b.hashes[:0], c.Rows)[:c.Rows]
	clear(b.hashes)
	for i := range c.Vectors {
		if _, err := c.Fill(i); err != nil {
			return err
		}
		b.Column(c, i, b.hashes)
	}
	b.End(b.hashes)
	return nil
}

func (b *Builder) addColumns(columns []batch.Column) {
	p := b.p
	for i := len(p.columns); i < len(columns); i++ {
		p.addColumn(columns[i].Name, columns[i].List)
		c := p.columns[i]
		c.declared, c.part = columns[i].Declared, b.share > 0
		if b.key != nil && b.sensitive(c.name) {
			c.sensitive, c.keyed = true, &keyed{hasher: b.key.hasher()}
		}
	}
	for len(b.elements) < len(p.columns) {
		b.elements = append(b.elements, nil)
	}
}

// addColumn appends a column that has no value in the rows, or elements of the
// list, so far.
func (p *Profile) addColumn(name, list string) {
	c := newColumn(name)
	c.list = list
	c.rows = p.rowsOf(list)
	c.nulls = c.rows
	p.append(c)
}

func (p *Profile) append(c *column) {
	if _, known := p.lists[c.list]; !known && c.list != "" {
		if p.lists == nil {
			p.lists = map[string]int{}
		}
		p.lists[c.list] = len(p.columns)
	}
	p.index[c.name] = len(p.columns)
	p.columns = append(p.columns, c)
}

// rowsOf returns how many values the columns of a list have, those that are null
// counted; without a list it is the number of rows.
func (p *Profile) rowsOf(list string) uint64 {
	if list == "" {
		return p.rows
	}
	if i, ok := p.lists[list]; ok {
		return p.columns[i].rows
	}
	return 0
}

// Finish returns the profile; columns are the reader's columns, so that a
// batch without rows keeps its header. The builder must not be used again.
func (b *Builder) Finish(columns []batch.Column, info Info) *Profile {
	p := b.p
	b.addColumns(columns)
	for _, c := range p.columns {
		c.fold()
		c.order.dict, c.keyed = nil, nil
		c.limit(c.rows, max(len(p.columns), b.share))
	}
	p.Info = info
	b.p = nil
	return p
}

// Rows returns the number of well-formed rows.
func (p *Profile) Rows() int64 { return int64(p.rows) }

// Read returns the number of well-formed rows that were read: more than Rows if
// these are a sample.
func (p *Profile) Read() int64 {
	if p.Stats.Sample > 0 {
		return p.Stats.RowsRead
	}
	return int64(p.rows)
}

// ErrMismatch says that profiles cannot be merged.
var ErrMismatch = errors.New("profiles do not match")

// ErrSamples says that profiles of different shares of their rows cannot be
// merged.
var ErrSamples = errors.New("profiles of different samples do not merge")

// Merge makes p the profile of the rows of both; o is unchanged. A column that
// one of them lacks is null for its rows. Profiles of different datasets do
// not merge (ErrMismatch), nor those of different samples (ErrSamples) or keys
// (ErrKey).
func (p *Profile) Merge(o *Profile) error {
	if !p.isNeutral() && !o.isNeutral() {
		if err := p.keysAgree(o); err != nil {
			return err
		}
	}
	return p.merge(o)
}

// merge merges columns whose keys agree; of the others only the rows count.
func (p *Profile) merge(o *Profile) error {
	for i, c := range p.columns {
		p.columns[i] = c.whole()
	}
	if p.Dataset != o.Dataset && len(p.columns) > 0 && len(o.columns) > 0 {
		return fmt.Errorf("%w: dataset %s and dataset %s", ErrMismatch, p.Dataset, o.Dataset)
	}
	for _, c := range o.columns {
		if i, ok := p.index[c.name]; ok && p.columns[i].list != c.list {
			return fmt.Errorf("%w: column %s holds elements of lists in one of them and values of rows in the other", ErrMismatch, c.name)
		}
	}
	if p.isNeutral() {
		p.Dataset = o.Dataset
	} else if p.Stats.Sample != o.Stats.Sample && !o.isNeutral() {
		return fmt.Errorf("%w: %s and %s", ErrSamples, shareText(p.Stats.Sample), shareText(o.Stats.Sample))
	}
	if p.rows == 0 {
		p.key = o.key
	}
	read := p.Read()
	for _, c := range o.columns {
		if _, ok := p.index[c.name]; !ok {
			p.addColumn(c.name, c.list)
		}
	}
	for _, c := range p.columns {
		if i, ok := o.index[c.name]; ok {
			before := c.first
			c.merge(o.columns[i], p.key == o.key)
			c.moveFirst(before, read)
			continue
		}
		n := o.rowsOf(c.list)
		c.rows += n
		c.nulls += n
	}
	p.rows += o.rows
	for _, c := range p.columns {
		c.limit(c.rows, len(p.columns))
	}
	if p.key == o.key || o.rows == 0 {
		p.dups.merge(&o.dups)
	}
	p.mergeInfo(o)
	p.once, p.summary = sync.Once{}, nil
	p.prepare, p.lazy = sync.Once{}, nil
	return nil
}

// Select returns the profile of some of the columns. It shares their state with
// p and is for reading and for merging into others; duplicate rows are not known
// of it.
func (p *Profile) Select(names []string) *Profile {
	q := empty()
	q.Info, q.rows = p.Info, p.rows
	for _, name := range names {
		if i, ok := p.index[name]; ok {
			q.append(p.columns[i])
		}
	}
	return q
}

// Hollow returns the profile of the columns that Select returns, of which some
// are without their values.
func (p *Profile) Hollow(names []string, without func(name string) bool) *Profile {
	q := p.Select(names)
	for i, c := range q.columns {
		if without(c.name) {
			q.columns[i] = newColumn(c.name)
			q.columns[i].list, q.columns[i].rows, q.columns[i].nulls = c.list, c.rows, c.rows
		}
	}
	return q
}

// isNeutral reports whether a profile is that of no batch.
func (p *Profile) isNeutral() bool { return len(p.columns) == 0 && p.rows == 0 }

func shareText(share float64) string {
	if share == 0 {
		return "all rows"
	}
	return "a sample of " + strconv.FormatFloat(share, 'g', -1, 64)
}

// moveFirst gives the first values that came with a merge their rows in the
// whole: the part's rows follow the given number of rows that were read. before are those
// without the part.
func (c *column) moveFirst(before [batch.TypeCount]firstValue, rows int64) {
	for t := range c.first {
		if before[t].Row == 0 && c.first[t].Row > 0 {
			c.first[t].Row += rows
		}
	}
}

func (p *Profile) mergeInfo(o *Profile) {
	p.Stats = p.Stats.Add(o.Stats)
	if p.Source.URL == "" {
		p.Source = o.Source
	} else {
		p.Source.Files += o.Source.Files
	}
	if o.ProfiledAt.After(p.ProfiledAt) {
		p.ProfiledAt = o.ProfiledAt
	}
}

// Merged returns the merged profile of all, in their order, and leaves them
// unchanged. Without any it is an empty profile.
func Merged(parts ...*Profile) (*Profile, error) {
	m := empty()
	for _, p := range parts {
		if err := m.Merge(p); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// DecodeAll decodes profiles on all cores; nil stays nil. at is the place of the
// one that an error is of.
func DecodeAll(data [][]byte) (out []*Profile, at int, err error) {
	out = make([]*Profile, len(data))
	errs := make([]error, len(data))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(data)) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(data); i = int(next.Add(1)) - 1 {
				if data[i] != nil {
					out[i], errs[i] = Decode(data[i])
				}
			}
		})
	}
	workers.Wait()
	for i, err := range errs {
		if err != nil {
			return nil, i, err
		}
	}
	return out, 0, nil
}

// MergedPast returns the merged profile of earlier batches, as Merged does. A
// column that is hashed with different keys, or in some of them with none, is
// not comparable with anything (see Comparable); the others are merged all the
// same. Repeated rows are not known of profiles of different keys.
func MergedPast(parts ...*Profile) (*Profile, error) {
	m := empty()
	for _, p := range parts {
		if err := m.merge(p); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// Summary returns the statistics of the profile, computed once; it must not be
// changed by the caller.
func (p *Profile) Summary() *Summary {
	p.once.Do(func() { p.summary = p.summarize() })
	return p.summary
}

// Metric returns a metric of the batch as a whole, without the cost of its
// columns' statistics; see Summary.Metric.
func (p *Profile) Metric(name string) (float64, bool) { return p.head().Metric(name) }

func (p *Profile) summarize() *Summary {
	s := p.head()
	for i := range p.columns {
		s.Columns[i] = *p.column(i)
	}
	return s
}

// head is the summary with columns that are empty.
func (p *Profile) head() *Summary {
	s := &Summary{
		Version: Version, Dataset: p.Dataset, Rows: int64(p.rows), Bytes: p.Stats.Bytes,
		Columns: make([]Column, len(p.columns)), Duplicates: p.dups.duplicates(p.rows),
		Malformed:  Malformed{Count: p.Stats.Malformed, First: p.Stats.FirstMalformed},
		Source:     p.Source,
		ProfiledAt: p.ProfiledAt.UTC().Format(time.RFC3339Nano), SensitiveKey: p.key,
	}
	s.Source.BlankLines = p.Stats.BlankLines
	s.Source.Notes = append([]string{}, p.Stats.Notes...)
	s.Source.Sample, s.Source.RowsRead = nil, p.Read()
	if share := p.Stats.Sample; share > 0 {
		s.Source.Sample = &share
	}
	return s
}

// column returns the summary of a column, computed once.
func (p *Profile) column(i int) *Column {
	l := p.lazyColumn(i)
	l.once.Do(func() {
		l.summary = p.columns[i].whole().summarize()
		l.done.Store(true)
	})
	return &l.summary
}

func (p *Profile) lazyColumn(i int) *lazyColumn {
	p.prepare.Do(func() { p.lazy = make([]lazyColumn, len(p.columns)) })
	return &p.lazy[i]
}

// Column returns the statistics of one column, or nil: cheaper than the whole
// Summary where only a few columns matter. It must not be changed.
func (p *Profile) Column(name string) *Column {
	i, ok := p.index[name]
	if !ok {
		return nil
	}
	return p.column(i)
}

// ColumnNames returns the names of the columns in their order.
func (p *Profile) ColumnNames() []string {
	names := make([]string, len(p.columns))
	for i, c := range p.columns {
		names[i] = c.name
	}
	return names
}

// Numbers returns the finite numbers (or, for a column of times, the points in
// time in microseconds, for times of day and durations in nanoseconds) of a
// column by value, and the bound of their ranks, 0 when exact. It returns nil
// for other columns. They are computed once and must not be changed.
func (p *Profile) Numbers(name string) (w []sketch.Weighted[float64], rankErr float64) {
	i, ok := p.index[name]
	if !ok {
		return nil, 0
	}
	l := p.lazyColumn(i)
	l.numbersOnce.Do(func() { l.numbers, l.rankErr = p.columns[i].numbersOf(p.outline(i).kind) })
	return l.numbers, l.rankErr
}

func (c *column) numbersOf(kind batch.Type) (w []sketch.Weighted[float64], rankErr float64) {
	switch {
	case c.sensitive:
		return nil, 0
	case c.pool != nil:
		return c.pool.numbers, 0
	case kind.Numeric():
		w, _, rankErr = c.weightedNumbers(nil)
		return w, rankErr
	case kind.Temporal():
		times, _, rankErr := c.weightedTimes(kind.Family())
		w = make([]sketch.Weighted[float64], len(times))
		for j, t := range times {
			w[j] = sketch.Weighted[float64]{Value: float64(t.Value), Weight: t.Weight}
		}
		return w, rankErr
	}
	return nil, 0
}

// ValueCount is a distinct value as text with its count, at most Error too
// low.
type ValueCount struct {
	Text  string
	Count uint64
	Error uint64
}

// Values returns the most frequent values of a column, at most n, most
// frequent first; those of a sensitive column are keyed hashes. missing is how often a value that is not listed may occur:
// 0 if the list is complete. An inexact list may be empty.
func (p *Profile) Values(name string, n int) (values []ValueCount, missing uint64) {
	i, ok := p.index[name]
	if !ok {
		return nil, 0
	}
	c, typ := p.columns[i].whole(), p.outline(i).kind
	if c.dict == nil {
		return c.frequent(typ, n)
	}
	vals := c.values(typ)
	slices.SortFunc(vals, func(a, b counted) int {
		return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.hash, b.hash))
	})
	if len(vals) > n {
		missing = vals[n].count
	}
	for _, v := range vals[:min(n, len(vals))] {
		values = append(values, ValueCount{Text: v.show(c.zoned), Count: v.count})
	}
	return values, missing
}

// frequent returns the frequent values of a column that is not counted.
func (c *column) frequent(typ batch.Type, n int) (values []ValueCount, missing uint64) {
	g := c.groupOf(typ)
	if g.top == nil {
		return nil, 0
	}
	missing = 2 * g.top.Error()
	for _, it := range g.top.Top(n) {
		values = append(values, ValueCount{Text: c.frequentText(it.Text, typ), Count: it.Count, Error: it.Error})
	}
	if len(values) == n {
		missing = max(missing, values[n-1].Count+values[n-1].Error)
	}
	return values, missing
}
