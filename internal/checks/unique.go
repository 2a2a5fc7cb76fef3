package checks

import (
	"errors"
	"slices"
	"strings"

	"github.com/zeebo/xxh3"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/exact"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/rowset"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

var uniqueSpec = Spec{
	Kind: "unique", Level: RowLevel, Column: true, Dataset: true,
	Bare:  true,
	Short: &Param{Form: FormTexts, Summary: "Below checks: the columns whose values together occur once."}, Example: "unique: [order_id, line_no]",
	Summary: "No value, or combination of the values of several columns, occurs twice; every row of a repeated group fails.",
	parse: func(c *Check, p params, errs *diag.List) judge {
		if c.Column != "" {
			if !p.none(errs) {
				return nil
			}
			return &unique{}
		}
		if p.node == nil {
			errs.Errorf(p.where(), 6, yamldoc.CodeMissingKey, "check \"unique\" needs columns here: unique: [order_id, line_no]")
			return nil
		}
		cols, ok := p.node.StringList(errs)
		if !ok {
			return nil
		}
		if len(cols) == 0 {
			p.node.Errorf(errs, yamldoc.CodeValue, "the list of columns is empty")
			return nil
		}
		for i, name := range cols {
			if slices.Contains(cols[:i], name) {
				p.node.Items()[i].Errorf(errs, yamldoc.CodeValue, "the column %q is listed twice", name)
				return nil
			}
		}
		if len(cols) > maxUniqueColumns {
			p.node.Errorf(errs, yamldoc.CodeValue, "there are %d columns, at most %d can be compared", len(cols), maxUniqueColumns)
			return nil
		}
		c.Columns = cols
		return &unique{columns: cols}
	},
}

// maxUniqueColumns is how many columns fit in the mask of a row.
const maxUniqueColumns = 64

type unique struct{ columns []string }

func (u *unique) phrase() string {
	if len(u.columns) > 0 {
		return "repeated in " + strings.Join(u.columns, ", ")
	}
	return "repeated"
}

func (u *unique) good() string {
	if len(u.columns) > 0 {
		return "unique in " + strings.Join(u.columns, ", ")
	}
	return "unique"
}

func (u *unique) evaluator(s *sampler) rowEvaluator {
	return newKeys(u.columns, s)
}

// keys finds the rows of one or several columns whose values are repeated, by
// an exact set: in memory, beyond its limit on disk.
//
// Whether a column holds texts, which are compared as they are written, or other
// values, which are compared by their meaning, is known only at its end. So
// there are two readings: rows has all rows by meaning, where those with an
// unusual spelling of a text are marked, and texts has the marked ones by their
// spelling. A usual text never equals an unusual one. Which reading counts is
// known for a single column at its end. Of several columns each one that has an
// unusual spelling is guessed to hold texts or not when the first one comes; if
// the end proves a guess wrong and it matters, the check ends in error.
type keys struct {
	names  []string // of several columns, nil for one
	s      *sampler
	space  *exact.Space
	r      *rows // the chunk
	cols   []*batch.Vector
	state  []keyState
	byRows keySet // by meaning
	texts  keySet // unusual texts by spelling; empty in most columns

	plain   int64            // rows with all values
	empties map[uint64]int64 // rows with empty texts, which are null unless in a column of texts, by their columns
	untold  bool             // a list without its items was met

	taken        []int32 // rows of the chunk
	parts, spelt []byte
	ids          []xxh3.Uint128
	// log shows rows of which it is not known yet whether they are repeated:
	// those from the first one on that waits on disk, or all if equal values do
	// not mean an equal key.
	log      *exact.Log
	logAll   bool
	otherKey bool // equal values may have different keys
	record   []byte
	keyNames []string
}

// keyState is what is known of a column.
type keyState struct {
	spelling
	ambiguous bool // an unusual spelling or an empty text was met
	asText    bool // and the column is taken for one of texts
}

// keySet is an exact set with the rows of the chunk that it is about to get and
// the samples of what it found.
type keySet struct {
	*exact.Set
	pending       []exact.Row
	at            []int32 // of the chunk, for each pending row
	all, unmarked picks
	// rejected are the repeated rows, of all and of the unmarked ones, if they
	// are marked.
	rejected, rejectedUnmarked rowset.Set
}

func newKeys(columns []string, s *sampler) *keys {
	return &keys{names: columns, s: s, empties: map[uint64]int64{}, state: make([]keyState, max(1, len(columns)))}
}

// useSpace sets the memory and the disk of the check. It comes before the rows.
func (e *keys) useSpace(space *exact.Space) { e.space = space }

// start makes the sets at the first rows.
func (e *keys) start(r *rows) {
	if e.space == nil {
		e.space = exact.NewSpace(exact.DefaultMemory, nil)
	}
	e.byRows.Set = exact.NewSet(e.space, e.told(&e.byRows))
	e.texts.Set = exact.NewSet(e.space, e.told(&e.texts))
	if e.s.max > 0 {
		e.log = exact.NewLog(e.space)
		e.logAll = !r.keyIsJudged()
		e.byRows.OnFull(e.log.Drop)
		e.texts.OnFull(e.log.Drop)
	}
}

func (e *keys) absent(earlier) {}

// observe takes the rows of a chunk.
func (e *keys) observe(r *rows) {
	e.begin(r)
	defer e.end()
	if r.sel != nil {
		for _, i := range r.sel {
			e.take(int(i))
		}
		return
	}
	n := r.chunk.Rows
	if r.v != nil {
		n = r.v.Len()
	}
	for i := range n {
		e.take(i)
	}
}

// begin starts a chunk, of which any rows may be taken in their order.
func (e *keys) begin(r *rows) {
	if e.byRows.Set == nil {
		e.start(r)
	}
	e.r, e.cols = r, append(e.cols[:0], r.cols...)
	if r.v != nil {
		e.cols = append(e.cols[:0], r.v)
	}
	e.taken = e.taken[:0]
	e.otherKey = e.otherKey || !r.keyIsJudged()
}

// take offers row i of the chunk.
func (e *keys) take(i int) {
	if len(e.cols) == 1 {
		e.takeOne(i)
		return
	}
	e.parts, e.ids = e.parts[:0], e.ids[:0]
	empty, odd := uint64(0), uint64(0)
	for c, v := range e.cols {
		p, j := v.At(i)
		if p.Types[j] == batch.Null {
			return
		}
		st := &e.state[c]
		id := identity(p, j)
		switch {
		case p.Inferred && len(p.Bytes(j)) == 0:
			empty |= 1 << c
		case st.usual(p, j):
		default:
			odd |= 1 << c
		}
		if (empty|odd)>>c&1 != 0 {
			if !st.ambiguous {
				st.ambiguous, st.asText = true, looksLikeText(v)
			}
			if !st.asText {
				odd &^= 1 << c
			}
		}
		e.parts, e.ids = appendID(e.parts, id), append(e.ids, id)
		e.untold = e.untold || p.Types[j] == batch.List && !p.HasText
	}
	key := rowKey(e.parts)
	e.taken = append(e.taken, int32(i))
	e.add(i, key, empty, odd != 0)
	if empty|odd == 0 {
		return
	}
	e.spelt = e.spelt[:0]
	for c, v := range e.cols {
		id := e.ids[c]
		switch {
		case empty>>c&1 != 0 && !e.state[c].asText:
			return // null in a column that is not one of texts
		case (empty|odd)>>c&1 != 0:
			p, j := v.At(i)
			id = xxh3.Hash128(p.Bytes(j))
			id.Hi ^= tagSpelt
		}
		e.spelt = appendID(e.spelt, id)
	}
	e.texts.add(e.r, i, exact.Row{Key: rowKey(e.spelt)})
}

// tagSpelt keeps a spelling apart from the text of a value.
const tagSpelt = 0x589965cc75374cc3

// takeOne offers row i of a single column.
func (e *keys) takeOne(i int) {
	p, j := e.cols[0].At(i)
	typ := p.Types[j]
	if typ == batch.Null {
		return
	}
	e.taken = append(e.taken, int32(i))
	st := &e.state[0]
	empty := uint64(0)
	if p.Inferred && len(p.Bytes(j)) == 0 {
		empty = 1
	}
	odd := empty == 0 && !st.usual(p, j)
	id := identity(p, j)
	e.add(i, exact.NewKey(id.Hi, id.Lo), empty, odd)
	if odd || empty != 0 {
		st.ambiguous, st.asText = true, true
		id := xxh3.Hash128(p.Bytes(j))
		e.texts.add(e.r, i, exact.Row{Key: exact.NewKey(id.Hi, id.Lo)})
	}
	e.untold = e.untold || typ == batch.List && !p.HasText
}

// add offers row i to the reading by meaning, unless an empty text is null
// there.
func (e *keys) add(i int, key exact.Key, empty uint64, odd bool) {
	if empty != 0 {
		e.empties[empty]++
		return
	}
	e.plain++
	e.byRows.add(e.r, i, exact.Row{Key: key, Marked: odd})
}

func (k *keySet) add(r *rows, i int, row exact.Row) {
	row.Number = r.number(i)
	k.pending, k.at = append(k.pending, row), append(k.at, int32(i))
}

// end hands the rows of the chunk over.
func (e *keys) end() {
	for _, k := range []*keySet{&e.byRows, &e.texts} {
		k.Add(k.pending)
		k.pending, k.at = k.pending[:0], k.at[:0]
	}
	if e.log != nil && (e.logAll || e.byRows.Spilled() || e.texts.Spilled()) {
		e.keep()
	}
	e.r = nil
}

// settle gives back the memory that is not needed after the last row.
func (e *keys) settle() {
	if e.byRows.Set != nil {
		e.byRows.Settle()
		e.texts.Settle()
	}
}

// close removes the files.
func (e *keys) close() {
	if e.byRows.Set == nil {
		return
	}
	_ = errors.Join(e.byRows.Close(), e.texts.Close()) // what they hold is not wanted any more
	if e.log != nil {
		e.log.Close()
	}
}

// reading is what was found in the reading that counts.
type reading struct {
	evaluated int64 // rows
	failed    int64 // rows of repeated keys
	repeated  int64 // repeated keys
	failing   []FailingRow
	rejected  *rowset.Set
	err       string
}

func (e *keys) outcome(col *profile.Column) outcome {
	return e.outcomeOf(func(int) *profile.Column { return col })
}

// datasetOutcome is the outcome of a check over several columns.
func (e *keys) datasetOutcome(s *profile.Summary) outcome {
	return e.outcomeOf(func(c int) *profile.Column { return s.Column(e.names[c]) })
}

func (e *keys) outcomeOf(column func(int) *profile.Column) outcome {
	r := e.read(column)
	return outcome{evaluated: r.evaluated, failed: r.failed, failing: r.failing, rejected: r.rejected, err: r.err}
}

// read ends the batch.
func (e *keys) read(column func(int) *profile.Column) (r reading) {
	if e.byRows.Set == nil {
		return r
	}
	defer e.close()
	if err := errors.Join(e.byRows.Finish(), e.texts.Finish()); err != nil {
		r.err = "the keys cannot be counted: " + strings.ReplaceAll(err.Error(), "\n", "; ")
		return r
	}
	texts, guessed, late := uint64(0), uint64(0), ""
	for c := range e.state {
		st, col := &e.state[c], column(c)
		isText := col != nil && col.Kind() == batch.String
		if e.untold && col != nil && col.Kind() == batch.List {
			r.err = "the items of the lists of " + col.Name + " are not kept, so that lists cannot be compared"
			return r
		}
		if !st.ambiguous {
			continue
		}
		if st.asText {
			guessed |= 1 << c
		}
		if isText {
			texts |= 1 << c
		}
		if isText != st.asText && late == "" {
			late = col.Name
		}
	}
	r.evaluated = e.plain
	for empty, n := range e.empties {
		if empty&^texts == 0 {
			r.evaluated += n
		}
	}
	switch {
	case texts == 0, e.byRows.All.Rows == 0 && r.evaluated == e.plain:
		r.failed, r.repeated = e.byRows.All.Rows, e.byRows.All.Keys
		r.failing = e.show(&e.byRows.all, &picks{})
		r.rejected = &e.byRows.rejected
	case texts == guessed:
		r.failed = e.byRows.Unmarked.Rows + e.texts.All.Rows
		r.repeated = e.byRows.Unmarked.Keys + e.texts.All.Keys
		r.failing = e.show(&e.byRows.unmarked, &e.texts.all)
		r.rejected = &e.byRows.rejectedUnmarked
		r.rejected.Union(&e.texts.rejected)
	default:
		r.err = "whether the values of " + late + " are texts showed only at the end, too late to tell whether rows are repeated that spell it in several ways"
	}
	return r
}
