package checks

import (
	"cmp"
	"hash/fnv"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/exact"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/rowset"
	"github.com/profilerhq/profiler/internal/words"
)

// DefaultFailingRows is how many failing rows a result keeps.
const DefaultFailingRows = 20

// Plan says what to judge and how.
type Plan struct {
	Checks []*Check
	// Key names the columns whose values name a failing row.
	Key []string
	// FailingRows is how many failing rows a result keeps.
	FailingRows int
	// MarkRows remembers the numbers of all failing rows, for
	// Evaluation.Rejected.
	MarkRows bool
	// Sensitive names the columns whose values are masked in all results.
	Sensitive Sensitive
	// Known has the values that the checks refer to, by Plan.References.
	Known map[Reference]*Known
	// Parsable is how many malformed records and values the built-in check
	// "parsable" puts up with.
	Parsable Tolerance
	// Space is the memory, and the disk beyond it, of the checks that count
	// exactly; nil is the default memory alone.
	Space *exact.Space
}

// Need is something of the past that a check compares with. It is comparable,
// so that equal needs are fetched once.
type Need struct {
	// Profile asks for the merged profile of the window, else the series of a
	// metric is meant.
	Profile bool
	// Column and Metric name the metric; Column is empty for the dataset's.
	Column, Metric string
	Window         Window
	// Results asks for the values that the check of this id had on the last
	// accepted batches that it judged; nothing else is set then.
	Results string
	// Dataset asks for another dataset's batch of the same name or time, else
	// its newest one before; empty is the batch's own dataset.
	Dataset string
}

// Window names a part of the accepted past of a dataset, before the batch.
type Window struct {
	Batches     int           // the last N batches; 1 is the previous one
	Span        time.Duration // those not older than this
	SameWeekday bool          // the last 4 of the batch's weekday
	Input       bool          // the input of the pipeline step
	Pinned      string        // a saved profile, a path
}

// Past answers a Need.
type Past struct {
	// Values of the metric, or of the check, newest first.
	Values []float64
	// Methods are those of the values of a drift check, parallel to them.
	Methods []string
	// Profile is the merged profile of the window, nil if there is none.
	Profile *profile.Profile
	// Batches is how many batches are behind it.
	Batches int
	// At is the time of the newest of them; zero if unknown.
	At time.Time
	// Baseline is set when a baseline that somebody chose stands for the past.
	Baseline bool
	// Err says in words why the past could not be read; the check then ends in
	// error.
	Err string
}

// Input is everything that judging needs besides the rows.
type Input struct {
	Profile *profile.Profile
	// At is the time of the batch. AsOf is what freshness measures from.
	At, AsOf time.Time
	// Location is the zone of times that name none; nil is UTC.
	Location *time.Location
	// Modified is when the source's newest file was written; zero if unknown.
	Modified time.Time
	// Past answers the needs that Evaluation.Needs returned.
	Past map[Need]Past
	// Rejects is how many records of its input the pipeline step has reported as
	// bad, instead of passing them on.
	Rejects int64
}

// batchJudge is a kind that judges the finished batch. col is nil for checks
// of the dataset.
type batchJudge interface {
	needs(column string) []Need
	result(in *Input, col *profile.Column, res Result) Result
}

// scanJudge is a kind that takes a number from the rows themselves, which the
// profile does not have.
type scanJudge interface {
	// scanner returns the state that observes the rows of one batch.
	scanner() rowEvaluator
	// result judges the finished batch with that state.
	result(in *Input, col *profile.Column, e rowEvaluator, res Result) Result
}

// Evaluation judges one batch: it observes the rows and then the profile. It
// is used by one goroutine, but for Column, and has to be closed.
type Evaluation struct {
	plan Plan
	// parsableRule sets the limits of the built-in check; nil is the plan's.
	parsableRule *Check
	names        []string            // of the columns so far
	listOf       []string            // by column: the list of whose elements it is, "" for one of rows
	lists        map[string]*earlier // the elements so far, by list
	bound        []*binding
	// Those of bound that judge rows: of one column, by its index, and of
	// several.
	single [][]*binding
	across []*binding
	keys   []keyColumn             // of the chunk at hand
	rowsOf []rows                  // what the checks of a column see, by its index, then those of several
	hidden []bool                  // columns by index: their values are masked
	plain  map[string]*plainColumn // sensitive columns whose values a check needs
	open   map[place]bool          // bindings, to add each once
	ids    map[string]bool         // ids that are taken
	rows   int64                   // so far
	first  int64                   // number of the first of them
	// withoutRows is set when a batch is judged again that is gone.
	withoutRows bool
	// of the checks that need several columns of a chunk at once
	cond     *conditions
	known    []batch.Column // of the batch so far, for subsets
	elements []int32        // of the rows at hand
	cuts     []*cut
	subsets  []*subset
	profiles map[*subset]subsetProfiles // of the finished batch
}

// place is where a binding stands: the check in the plan and the column.
type place struct{ order, index int }

// binding is a check on one column of this batch.
type binding struct {
	check  *Check
	id     string
	column string
	index  int // of the column, -1 if there is none
	eval   rowEvaluator
	joint  *joint // of checks with where or by, and of kind row; eval is nil then
	order  int    // of the check in the plan
	// rejected are the rows that fail a row check, once it is judged, if they
	// are marked and there are any.
	rejected *rowset.Set
}

// New starts the evaluation of a batch.
func New(plan Plan) *Evaluation {
	if plan.Space == nil {
		plan.Space = exact.NewSpace(exact.DefaultMemory, nil)
	}
	rule, rest := takeParsable(plan.Checks)
	plan.Checks = rest
	e := &Evaluation{lists: map[string]*earlier{}, plan: plan, parsableRule: rule, open: map[place]bool{}, plain: map[string]*plainColumn{}, ids: map[string]bool{}, profiles: map[*subset]subsetProfiles{}}
	e.divide()
	return e
}

// ByColumn reports whether no check looks at several columns of a chunk, nor is
// a failing row named by other columns than the judged one: then a chunk whose
// columns are those of the one before may be begun while that one is at work. It
// is known once a chunk was begun.
func (e *Evaluation) ByColumn() bool {
	return len(e.plan.Key) == 0 && len(e.across) == 0 && len(e.cuts) == 0
}

// Begin starts a chunk; columns are the reader's, one for each vector. It fills
// the columns that name failing rows. Then Column is called for each column,
// and End.
func (e *Evaluation) Begin(columns []batch.Column, c *batch.Chunk) error {
	e.bind(columns)
	if len(e.plan.Key) == 0 {
		return nil
	}
	e.keys = e.keys[:0]
	for _, k := range e.plan.Key {
		i := slices.Index(e.names, k)
		if i < 0 {
			continue
		}
		v, err := c.Fill(i)
		if err != nil {
			return err
		}
		if v.Rows != nil {
			continue // a row may have several values there
		}
		e.mask(v, i)
		e.keys = append(e.keys, keyColumn{k, v})
	}
	return nil
}

// Column judges column i, which is filled, of the chunk that was begun.
// Different columns may be judged by different goroutines. Nothing of the chunk
// is kept but the values of failing rows, and its dictionary until the column
// has another one.
func (e *Evaluation) Column(c *batch.Chunk, i int) {
	e.mask(&c.Vectors[i], i)
	r := &e.rowsOf[i] // outlives the call, so that it costs no memory
	*r = rows{chunk: c, v: &c.Vectors[i], keys: e.keys}
	for _, b := range e.single[i] {
		b.eval.observe(r)
	}
}

// mask marks a column of a chunk whose values must not be shown. That of a key
// is marked before its column is judged.
func (e *Evaluation) mask(v *batch.Vector, i int) {
	if e.hidden[i] && !v.Masked {
		v.Masked = true
	}
}

// End judges what needs several columns, once all are filled.
func (e *Evaluation) End(c *batch.Chunk) {
	r := &e.rowsOf[len(e.names)]
	*r = rows{chunk: c, keys: e.keys, cols: r.cols}
	for _, b := range e.across {
		r.v, r.cols = nil, r.cols[:0]
		if b.index >= 0 {
			r.v = &c.Vectors[b.index]
		}
		if r.v != nil && r.v.Rows != nil {
			continue
		}
		if e.gather(b.check.Columns, c, r) {
			b.eval.observe(r)
		}
	}
	r.v, r.cols = nil, r.cols[:0]
	e.observeJoint(c, r)
	e.countElements(c)
	if e.rows == 0 && c.Rows > 0 {
		e.first = c.RowAt(0)
	}
	e.rows += int64(c.Rows)
}

// Observe takes the rows of a chunk, filling its columns: Begin, Column and End
// in one. The error is that of filling.
func (e *Evaluation) Observe(columns []batch.Column, c *batch.Chunk) error {
	if err := e.Begin(columns, c); err != nil {
		return err
	}
	for i := range c.Vectors {
		if _, err := c.Fill(i); err != nil {
			return err
		}
		e.Column(c, i)
	}
	e.End(c)
	return nil
}

// gather collects the vectors of a check over several columns.
func (e *Evaluation) gather(names []string, c *batch.Chunk, r *rows) bool {
	for _, n := range names {
		i := slices.Index(e.names, n)
		if i < 0 || c.Vectors[i].Rows != nil {
			return false
		}
		r.cols = append(r.cols, &c.Vectors[i])
	}
	return true
}

// firstOf calls f for each list with a column of its elements.
func (e *Evaluation) firstOf(f func(list string, column int)) {
	for i, list := range e.listOf {
		if list != "" && slices.Index(e.listOf, list) == i {
			f(list, i)
		}
	}
}

// countElements counts the elements of the lists of a chunk.
func (e *Evaluation) countElements(c *batch.Chunk) {
	e.firstOf(func(list string, column int) {
		if e.lists[list] == nil {
			e.lists[list] = &earlier{}
		}
		e.lists[list].add(c, c.Vectors[column].Rows, e.plan.MarkRows)
	})
}

// add counts elements by their rows.
func (b *earlier) add(c *batch.Chunk, rows []int32, mark bool) {
	if len(rows) > 0 && b.n == 0 {
		b.first = c.RowAt(int(rows[0]))
	}
	b.n += int64(len(rows))
	for i, row := range rows {
		if mark && (i == 0 || rows[i-1] != row) {
			if b.rows == nil {
				b.rows = &rowset.Set{}
			}
			b.rows.Add(c.RowAt(int(row)))
		}
	}
}

// before returns what came before a new column of a list, or of rows without
// one.
func (e *Evaluation) before(list string) earlier {
	if list == "" {
		return earlier{first: e.first, n: e.rows}
	}
	if b := e.lists[list]; b != nil {
		return b.clone()
	}
	return earlier{}
}

func (b *earlier) clone() earlier {
	got := *b
	if b.rows != nil {
		rows := b.rows.Clone()
		got.rows = &rows
	}
	return got
}

// isElements reports whether a column has a value for each element of a list.
func (e *Evaluation) isElements(name string) bool {
	i := slices.Index(e.names, name)
	return e.listAt(i) != ""
}

// misplaced returns a column of elements that a check wants to have one value in
// each row, "" if there is none.
func (e *Evaluation) misplaced(c *Check, column string) string {
	names := append([]string{c.By}, c.Columns...)
	if c.Where != nil {
		names = append(names, c.Where.Columns()...)
	}
	if len(c.Columns) > 0 {
		names = append(names, column)
	}
	for _, name := range names {
		if e.isElements(name) {
			return name
		}
	}
	return ""
}

// bind starts the checks of columns that are new.
func (e *Evaluation) bind(columns []batch.Column) {
	if len(columns) == len(e.names) && len(e.names) > 0 {
		return
	}
	from := len(e.names)
	for _, c := range columns[from:] {
		e.names, e.listOf = append(e.names, c.Name), append(e.listOf, c.List)
		e.single = append(e.single, nil)
		e.hidden = append(e.hidden, e.plan.Sensitive.Has(c.Name))
	}
	for i := from; i < len(e.names); i++ {
		if e.hidden[i] {
			e.bindPlain(i)
		}
	}
	e.rowsOf = make([]rows, len(e.names)+1)
	for order, c := range e.plan.Checks {
		if !c.Enabled {
			continue
		}
		if c.Column == "" {
			e.bindTo(c, "", -1, order)
			continue
		}
		for i := from; i < len(e.names); i++ {
			if c.Column == e.names[i] || IsPattern(c.Column) && Match(c.Column, e.names[i]) {
				e.bindTo(c, e.names[i], i, order)
			}
		}
	}
}

func (e *Evaluation) bindTo(c *Check, column string, index, order int) {
	if e.open[place{order, index}] {
		return
	}
	e.open[place{order, index}] = true
	id := c.ID
	if IsPattern(c.Column) {
		if c.Explicit {
			id += "-" + column
		} else {
			id = column + strings.TrimPrefix(c.ID, c.Column)
		}
	}
	id = e.ownID(id)
	b := &binding{check: c, id: id, column: column, index: index, order: order}
	e.bound = append(e.bound, b)
	if e.withoutRows {
		return
	}
	if c.isJoint() {
		e.bindJoint(b)
		return
	}
	if j, ok := c.judge.(rowJudge); ok {
		b.eval = j.evaluator(e.sampler(id))
		if before := e.before(e.listAt(index)); before.n > 0 {
			b.eval.absent(before)
		}
	}
	if j, ok := c.judge.(scanJudge); ok {
		b.eval = j.scanner()
	}
	if m, ok := c.judge.(*metric); ok && m.isCounted() {
		b.eval = m.counter()
	}
	if x, ok := b.eval.(exactEvaluator); ok {
		x.useSpace(e.plan.Space)
	}
	switch {
	case b.eval == nil:
	case index < 0 || len(c.Columns) > 0:
		e.across = append(e.across, b)
	default:
		e.single[index] = append(e.single[index], b)
	}
}

// listAt returns the list of whose elements column i is, "" for one of rows.
func (e *Evaluation) listAt(i int) string {
	if i < 0 || i >= len(e.listOf) { // of a batch that is gone
		return ""
	}
	return e.listOf[i]
}

// ownID returns the id, with a number if a check of another file or of a
// pattern has taken it.
func (e *Evaluation) ownID(id string) string {
	own := id
	for n := 2; e.ids[own]; n++ {
		own = id + "-" + strconv.Itoa(n)
	}
	e.ids[own] = true
	return own
}

func (e *Evaluation) sampler(id string) *sampler {
	return &sampler{seed: seedOf(id), max: e.plan.FailingRows, mark: e.plan.MarkRows, known: e.plan.Known}
}

func seedOf(id string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(id))
	return h.Sum64()
}

// IsPattern reports whether a column name is a pattern.
func IsPattern(column string) bool { return strings.Contains(column, "*") }

// Match reports whether a name matches a pattern in which * stands for any
// text, dots included.
func Match(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == name
	}
	if !strings.HasPrefix(name, parts[0]) {
		return false
	}
	name = name[len(parts[0]):]
	last := parts[len(parts)-1]
	for _, p := range parts[1 : len(parts)-1] {
		i := strings.Index(name, p)
		if i < 0 {
			return false
		}
		name = name[i+len(p):]
	}
	return strings.HasSuffix(name, last)
}

// Needs returns what of the past the checks want to compare with. columns are
// the final columns of the batch.
func (e *Evaluation) Needs(columns []batch.Column) []Need {
	if !e.withoutRows {
		e.bind(columns)
	}
	var out []Need
	for _, b := range e.bound {
		j, ok := b.check.judge.(batchJudge)
		if !ok {
			continue
		}
		for _, n := range j.needs(b.column) {
			if !slices.Contains(out, n) {
				out = append(out, n)
			}
		}
		if d, ok := b.check.judge.(*driftCheck); ok && d.wantsPast() {
			out = append(out, Need{Results: b.id})
		}
	}
	return out
}

// Results judges the batch. The results stand in the order of the rules,
// "parsable" first; those of a pattern in the order of the columns.
func (e *Evaluation) Results(in Input) []Result {
	s := in.Profile.Summary()
	e.eachExact(exactEvaluator.settle)
	out := []Result{e.parsable(s)}
	e.sortBound()
	done := make([]bool, len(e.plan.Checks))
	next := 0
	for order, c := range e.plan.Checks {
		from := len(out)
		for ; next < len(e.bound) && e.bound[next].order == order; next++ {
			res := e.judge(e.bound[next], &in, s)
			c.tellSample(&res, s)
			out = append(out, res)
			done[order] = true
		}
		if IsPattern(c.Column) {
			limitDiscoveries(out[from:])
		}
		if c.Enabled && !done[order] {
			out = append(out, c.missing(c.Column, e.ownID(c.ID), s))
		}
	}
	return out
}

// sortBound orders the bindings by the rules and then by the columns.
func (e *Evaluation) sortBound() {
	slices.SortStableFunc(e.bound, func(a, b *binding) int {
		return cmp.Or(cmp.Compare(a.order, b.order), cmp.Compare(a.index, b.index))
	})
}

// Close gives back the memory and the files of an evaluation, whether its
// results were asked for or not.
func (e *Evaluation) Close() { e.eachExact(exactEvaluator.close) }

func (e *Evaluation) eachExact(f func(exactEvaluator)) {
	for _, b := range e.bound {
		for _, eval := range b.evaluators() {
			if x, ok := eval.(exactEvaluator); ok {
				f(x)
			}
		}
	}
}

func (e *Evaluation) judge(b *binding, in *Input, s *profile.Summary) Result {
	c := b.check
	res := c.result(b.id, b.column)
	res.hide = e.plan.Sensitive.hides(c.Columns) || b.index >= 0 && e.hidden[b.index]
	var col *profile.Column
	if b.index >= 0 {
		col = &s.Columns[b.index]
	}
	for _, name := range c.Columns {
		if s.Column(name) == nil {
			return c.missing(name, b.id, s)
		}
	}
	if name := e.misplaced(c, b.column); name != "" {
		return res.errorf("%s has a value for each element of a list, not for each row: it can be judged by itself alone, and divided by columns of rows", name)
	}
	res.elements = e.listAt(b.index) != ""
	if b.joint != nil {
		return e.judgeJoint(b, in, s, col, res)
	}
	if name := e.revealed(c, b.column); name != "" {
		return e.judgePlain(b, name, *in, res)
	}
	switch j := c.judge.(type) {
	case rowJudge:
		o := outcomeOf(b.eval, col, s)
		b.rejected = o.rejected
		res = c.rowResult(res, j, o)
		if e.plan.FailingRows <= 0 {
			res.FailingRows = nil // the first one was drawn for the message
		}
		return res
	case scanJudge:
		return j.result(in, col, b.eval, res)
	case *metric:
		if b.eval != nil {
			return j.exactResult(in, col, b.eval, res)
		}
		return j.result(in, col, res)
	case batchJudge:
		return j.result(in, col, res)
	}
	panic("BUG: a check without a judge: " + c.Kind)
}

// result returns the frame of a result.
func (c *Check) result(id, column string) Result {
	return Result{
		ID: id, Kind: c.Kind, Name: c.Name, Column: column, Severity: c.Severity, Owner: c.Owner, Tags: c.Tags, Note: c.Note,
		OnFail: c.OnFail, Condition: c.condition(column), Rule: &Rule{File: c.Pos.File, Line: c.Pos.Line, Column: c.Pos.Column},
	}
}

// missing is the result of a check whose column is not there.
func (c *Check) missing(column, id string, s *profile.Summary) Result {
	res := c.result(id, column)
	names := make([]string, len(s.Columns))
	for i := range s.Columns {
		names[i] = s.Columns[i].Name
	}
	what := "column"
	if IsPattern(column) {
		what = "column that matches"
	}
	hint := ""
	if near := diag.Hint(column, names); near != "" {
		hint = "; " + near
	} else if len(names) > 0 {
		hint = "; there are " + list(names, 8)
	}
	return res.lacks(column, "there is no %s %q%s", what, column, hint)
}

// list joins names, at most n of them.
func list(names []string, n int) string {
	if len(names) > n {
		return strings.Join(names[:n], ", ") + " and " + words.Count(len(names)-n) + " more"
	}
	return strings.Join(names, ", ")
}

// parsable is the built-in check that every record could be read.
func (e *Evaluation) parsable(s *profile.Summary) Result {
	res, warn, fail := e.parsableFrame()
	invalid, where := int64(0), ""
	for i := range s.Columns {
		if n := s.Columns[i].InvalidUTF8; n > 0 {
			invalid += n
			if where == "" {
				where = s.Columns[i].Name
			}
		}
	}
	read := s.Read()
	if read > s.Rows && s.Rows > 0 { // of a sample; records are all read
		invalid = int64(math.Ceil(float64(invalid) / float64(s.Rows) * float64(read)))
	}
	failed := s.Malformed.Count + invalid
	evaluated := read + s.Malformed.Count
	res.Evaluated, res.Failed = &evaluated, &failed
	share := 0.0
	if evaluated > 0 {
		share = min(1, float64(failed)/float64(evaluated)) // a record may hold several bad values
	}
	res.Value = profile.FloatScalar(share)
	limit := fail
	switch {
	case fail.exceeded(failed, evaluated):
		res.Status = Fail
		if res.Severity == SeverityWarn {
			res.Status = Warn
		}
	case warn.exceeded(failed, evaluated):
		res.Status, limit = Warn, warn
	}
	if limit == nil {
		limit = warn
	}
	res.Limit = limit.String()
	res.FailLimit, res.WarnLimit = fail.zone(evaluated), warn.zone(evaluated)
	var parts []string
	if s.Malformed.Count > 0 {
		verb := "are"
		if s.Malformed.Count == 1 {
			verb = "is"
		}
		text := words.Count(s.Malformed.Count) + " of " + words.Count(evaluated) + " records " + verb + " malformed"
		if f := s.Malformed.First; f != nil {
			text += "; first: record " + words.Count(f.Row) + " of " + f.Source + " at byte " + words.Count(f.Offset) + ": " + f.Reason
		}
		parts = append(parts, text)
	}
	if invalid > 0 {
		verb := " values are"
		if invalid == 1 {
			verb = " value is"
		}
		parts = append(parts, words.Count(invalid)+verb+" not valid UTF-8, first in column "+where+"; name the encoding with --encoding")
	}
	res.Message = strings.Join(parts, "; ")
	if res.Message == "" {
		res.Message = "all records could be read"
	}
	return res
}

// Needs returns what of the past the check compares with.
func (c *Check) Needs() []Need {
	if j, ok := c.judge.(batchJudge); ok {
		return j.needs(c.Column)
	}
	return nil
}
