package expr

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/profilerhq/profiler/internal/batch"
)

// Evaluator evaluates programs over the chunks of one batch. What several
// programs have in common is computed once for each chunk. It is used by one
// goroutine.
type Evaluator struct {
	programs []loaded
	columns  []column
	nodes    []*state
	index    map[string]int // of nodes by their structure
	rows     int
	epoch    uint64 // of the chunk
	// inner evaluates conditions of one column for entries of its dictionary; nil
	// until there is one.
	inner *Evaluator
}

// loaded is a program as the evaluator knows it.
type loaded struct {
	*Program
	root    int
	columns []int // by index in the program
}

// column is a column that programs read.
type column struct {
	name   string
	v      *batch.Vector // of the chunk, nil for one of nulls
	asText bool          // in the reading in force
	// guessed is set if the types of v were inferred from bare text.
	guessed bool
	// empties tells whether the chunk has quoted empty fields, found when it
	// is first asked for.
	empties      bool
	emptiesEpoch uint64
	// what was seen of the column so far
	inferred, hasText bool
}

// state is a node with its results for the chunk, one for each reading that
// matters to it.
type state struct {
	*node
	args       []int
	column     int
	hard, soft []int // columns whose reading matters
	uses       []int // columns that it is of
	results    []*result
	entries    []*entries // of a condition of one column, by reading
}

// entries are the values of a condition for the entries of the dictionary of its
// column: it is computed once for each, whatever the number of its rows.
type entries struct {
	mask  uint32
	dict  *batch.Vector
	truth []Truth
}

// manyEntries is how many times the rows of a chunk the new entries of a
// dictionary may be, so that it pays to look at all of them.
const manyEntries = 4

// NewEvaluator returns an evaluator of some programs.
func NewEvaluator(programs ...*Program) *Evaluator {
	e := &Evaluator{index: map[string]int{}}
	for _, p := range programs {
		l := loaded{Program: p}
		for _, name := range p.columns {
			i := slices.IndexFunc(e.columns, func(c column) bool { return c.name == name })
			if i < 0 {
				i = len(e.columns)
				e.columns = append(e.columns, column{name: name})
			}
			l.columns = append(l.columns, i)
		}
		l.root = e.intern(&l, p.root)
		e.programs = append(e.programs, l)
	}
	return e
}

// intern returns the index of a node; equal nodes have one.
func (e *Evaluator) intern(l *loaded, n *node) int {
	s := &state{node: n}
	var key strings.Builder
	key.WriteString(strconv.Itoa(int(n.op)))
	for _, a := range n.args {
		i := e.intern(l, a)
		s.args = append(s.args, i)
		key.WriteString("," + strconv.Itoa(i))
		s.hard, s.soft = join(s.hard, e.nodes[i].hard), join(s.soft, e.nodes[i].soft)
		s.uses = join(s.uses, e.nodes[i].uses)
	}
	switch n.op {
	case opColumn, opColumnText, opColumnLen, opColumnNull:
		s.column = l.columns[n.column]
		s.uses = []int{s.column}
		key.WriteString("c" + strconv.Itoa(s.column))
		if n.op != opColumn {
			s.soft = []int{s.column}
		}
	case opEither:
		for _, a := range n.args[0].args {
			if a.op == opColumn {
				s.hard = join(s.hard, []int{l.columns[a.column]})
			}
		}
	default:
	}
	fmt.Fprintf(&key, ":%q", n.detail)
	if i, ok := e.index[key.String()]; ok {
		return i
	}
	e.nodes = append(e.nodes, s)
	e.index[key.String()] = len(e.nodes) - 1
	return len(e.nodes) - 1
}

// join returns the union of two small sets.
func join(a, b []int) []int {
	out := slices.Clone(a)
	for _, x := range b {
		if !slices.Contains(out, x) {
			out = append(out, x)
		}
	}
	return out
}

// Columns returns the names of the columns that the programs read; the caller
// owns the slice.
func (e *Evaluator) Columns() []string {
	names := make([]string, len(e.columns))
	for i := range e.columns {
		names[i] = e.columns[i].name
	}
	return names
}

// Load takes the columns of a chunk of rows; vector returns a column by its
// name, nil for one that is null in all rows. The vectors must stay as they
// are until the next call.
func (e *Evaluator) Load(rows int, vector func(name string) *batch.Vector) {
	e.rows = rows
	e.epoch++
	for i := range e.columns {
		c := &e.columns[i]
		c.v, c.guessed = vector(c.name), false
		if c.v == nil {
			continue
		}
		plain := c.v
		if plain.Dict != nil {
			plain = plain.Dict
		}
		c.guessed = c.v.Inferred || plain.Inferred
		c.inferred = c.inferred || c.guessed
		c.hasText = c.hasText || c.v.HasText || plain.HasText
	}
}

// Truth returns the value of the condition of program i in each row of the
// chunk, under a reading. The slice is valid until the next Load and must not
// be changed.
func (e *Evaluator) Truth(i int, r Reading) []Truth {
	l := &e.programs[i]
	for _, c := range l.columns {
		e.columns[c].asText = false
	}
	for bit, c := range l.variable {
		e.columns[l.columns[c]].asText = r>>bit&1 == 1
	}
	return e.eval(l.root).truth
}

// Resolve picks the reading of program i for the final types of the columns.
// problem says why the expression is ill-typed for them, "" if it is not. A
// column that types does not know suits every place.
func (e *Evaluator) Resolve(i int, types func(column string) (batch.Type, bool)) (r Reading, problem string) {
	return e.programs[i].Resolve(func(name string) (ColumnType, bool) {
		t, ok := types(name)
		at := slices.IndexFunc(e.columns, func(c column) bool { return c.name == name })
		return ColumnType{Type: t, Inferred: e.columns[at].inferred, HasText: e.columns[at].hasText}, ok
	})
}

// hasEmpties reports whether a column has quoted empty fields in the chunk.
func (e *Evaluator) hasEmpties(i int) bool {
	c := &e.columns[i]
	if c.emptiesEpoch == e.epoch {
		return c.empties
	}
	c.empties, c.emptiesEpoch = false, e.epoch
	if c.v == nil || !c.guessed {
		return false
	}
	plain := c.v
	if plain.Dict != nil {
		plain = plain.Dict
	}
	for j, t := range plain.Types {
		if t == batch.String && len(plain.Bytes(j)) == 0 {
			c.empties = true
			break
		}
	}
	return c.empties
}

// mask tells the readings apart that matter to a node in this chunk.
func (e *Evaluator) mask(s *state) (m uint32) {
	for _, c := range s.hard {
		m <<= 1
		if e.columns[c].asText {
			m |= 1
		}
	}
	for _, c := range s.soft {
		m <<= 1
		if e.columns[c].asText && e.hasEmpties(c) {
			m |= 1
		}
	}
	return m
}

// eval returns the values of a node, computed once for a chunk and reading.
func (e *Evaluator) eval(i int) *result {
	s := e.nodes[i]
	m := e.mask(s)
	var free *result
	for _, r := range s.results {
		if r.epoch == e.epoch && r.mask == m {
			return r
		}
		if r.epoch != e.epoch {
			free = r
		}
	}
	if free == nil {
		free = &result{}
		s.results = append(s.results, free)
	}
	free.epoch, free.mask = e.epoch, m
	if !e.byEntries(i, free) {
		e.compute(s, free)
	}
	return free
}

// byEntries fills the result of a condition of one column by its dictionary;
// false if it has none, or one that is too large.
func (e *Evaluator) byEntries(i int, r *result) bool {
	s := e.nodes[i]
	if s.class != classTruth || len(s.uses) != 1 {
		return false
	}
	c := &e.columns[s.uses[0]]
	if c.v == nil || c.v.Dict == nil {
		return false
	}
	at := slices.IndexFunc(s.entries, func(k *entries) bool { return k.mask == r.mask })
	if at < 0 {
		at = len(s.entries)
		s.entries = append(s.entries, &entries{mask: r.mask})
	}
	k := s.entries[at]
	if k.dict != c.v.Dict {
		k.dict, k.truth = c.v.Dict, k.truth[:0]
	}
	switch fresh := k.dict.Len() - len(k.truth); {
	case fresh > manyEntries*e.rows:
		return false
	case fresh > 0:
		k.truth = append(k.truth, e.truthOf(i, k.dict.From(len(k.truth)))...)
	}
	out := r.truths(e.rows)
	for row, code := range c.v.Codes[:e.rows] {
		out[row] = k.truth[code]
	}
	return true
}

// truthOf returns the values of a condition of one column for a plain vector, in
// the reading in force.
func (e *Evaluator) truthOf(i int, v *batch.Vector) []Truth {
	in := e.inner
	if in == nil {
		in = &Evaluator{columns: slices.Clone(e.columns)}
		for _, s := range e.nodes {
			in.nodes = append(in.nodes, &state{node: s.node, args: s.args, column: s.column, hard: s.hard, soft: s.soft, uses: s.uses})
		}
		e.inner = in
	}
	in.rows = v.Len()
	in.epoch++
	c := e.nodes[i].uses[0]
	in.columns[c] = e.columns[c]
	in.columns[c].v, in.columns[c].emptiesEpoch = v, 0
	return in.eval(i).truth
}

// compute fills a result. It never changes what it reads.
func (e *Evaluator) compute(s *state, r *result) {
	switch o := s.op; {
	case o == opColumn:
		r.column(&e.columns[s.column], e.rows)
	case o == opColumnText:
		r.columnText(&e.columns[s.column], e.rows)
	case o == opColumnLen:
		r.columnLen(&e.columns[s.column], e.rows)
	case o == opColumnNull:
		r.columnNull(&e.columns[s.column], e.rows)
	case o == opConst:
		r.constant(s.value, e.rows)
	case o == opConstText:
		r.constantText(s.text, e.rows)
	case o == opEither:
		r.alias(e.eval(s.args[e.alternative(s)]))
	case o == opAnd || o == opOr:
		e.logic(s, r)
	case len(s.args) == 2:
		r.binary(s.node, e.eval(s.args[0]), e.eval(s.args[1]), e.rows)
	default:
		r.unary(s.node, e.eval(s.args[0]), e.rows)
	}
}

// alternative picks how a comparison of columns is read: 0 is by value, 1 as
// texts.
func (e *Evaluator) alternative(s *state) int {
	byValue := e.nodes[s.args[0]]
	for _, a := range byValue.args {
		if n := e.nodes[a]; n.op == opColumn && e.columns[n.column].asText {
			return 1
		}
	}
	return 0
}

// logic computes a && b and a || b; b is left alone if a decides every row.
func (e *Evaluator) logic(s *state, r *result) {
	table, decided := &andTable, False
	if s.op == opOr {
		table, decided = &orTable, True
	}
	a := e.eval(s.args[0])
	if !slices.ContainsFunc(a.truth, func(t Truth) bool { return t != decided }) {
		r.alias(a)
		return
	}
	b := e.eval(s.args[1])
	out := r.truths(e.rows)
	for i := range out {
		out[i] = table[a.truth[i]&3][b.truth[i]&3]
	}
}

// The tables of logic by the values of a and b. False decides &&, True decides
// ||; then null goes before wrong.
var (
	andTable = [4][4]Truth{
		False: {False, False, False, False},
		True:  {False, True, Null, Wrong},
		Null:  {False, Null, Null, Null},
		Wrong: {False, Wrong, Null, Wrong},
	}
	orTable = [4][4]Truth{
		False: {False, True, Null, Wrong},
		True:  {True, True, True, True},
		Null:  {Null, True, Null, Null},
		Wrong: {Wrong, True, Null, Wrong},
	}
)
