package expr

import (
	"bytes"
	"slices"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/profilerhq/profiler/internal/batch"
)

// result holds the values of a node in the rows of a chunk. A condition has
// truth; a value has kinds with ints and floats as a batch.Vector, a text has
// kinds and text. kinds is Null where there is no value, wrong where it is not
// of the type that its place asks for. The slices may be those of a column;
// those that begin with own belong to the result and are reused.
type result struct {
	epoch uint64
	mask  uint32

	truth  []Truth
	kinds  []batch.Type
	ints   []int64
	floats []float64
	text   texts

	ownTruth  []Truth
	ownKinds  []batch.Type
	ownInts   []int64
	ownFloats []float64
	arena     []byte
	ends      []int
}

// texts are the texts of the rows: those of a column, computed ones, or one
// for all.
type texts struct {
	plain *batch.Vector
	codes []uint32
	arena []byte
	ends  []int
	all   []byte
}

// at returns the text of row i.
func (t *texts) at(i int) []byte {
	switch {
	case t.plain != nil && t.codes != nil:
		return t.plain.Bytes(int(t.codes[i]))
	case t.plain != nil:
		return t.plain.Bytes(i)
	case t.ends != nil:
		start := 0
		if i > 0 {
			start = t.ends[i-1]
		}
		return t.arena[start:t.ends[i]]
	}
	return t.all
}

// alias takes the values of another result.
func (r *result) alias(o *result) {
	r.truth, r.kinds, r.ints, r.floats, r.text = o.truth, o.kinds, o.ints, o.floats, o.text
}

func sized[T any](s []T, n int) []T { return slices.Grow(s[:0], n)[:n] }

// truths returns the result's own memory for n conditions.
func (r *result) truths(n int) []Truth {
	r.ownTruth = sized(r.ownTruth, n)
	r.truth = r.ownTruth
	return r.truth
}

// values returns the result's own memory for n values.
func (r *result) values(n int) (kinds []batch.Type, ints []int64, floats []float64) {
	r.ownKinds, r.ownInts, r.ownFloats = sized(r.ownKinds, n), sized(r.ownInts, n), sized(r.ownFloats, n)
	r.kinds, r.ints, r.floats = r.ownKinds, r.ownInts, r.ownFloats
	return r.kinds, r.ints, r.floats
}

// kindsOf returns the result's own memory for the kinds of n texts.
func (r *result) kindsOf(n int) []batch.Type {
	r.ownKinds = sized(r.ownKinds, n)
	r.kinds = r.ownKinds
	return r.kinds
}

func (r *result) value(i int) batch.Value {
	return batch.Value{Type: r.kinds[i], Int: r.ints[i], Float: r.floats[i]}
}

// column takes a column by value: the memory of a plain vector, or a copy. A
// quoted empty field is null.
func (r *result) column(c *column, n int) {
	v := c.v
	switch {
	case v == nil:
		kinds, ints, floats := r.values(n)
		clear(kinds)
		clear(ints)
		clear(floats)
	case v.Dict == nil:
		r.kinds, r.ints, r.floats = v.Types, v.Ints, v.Floats
		if c.guessed && slices.Contains(v.Types, batch.String) {
			r.ownKinds = append(r.ownKinds[:0], v.Types...)
			r.kinds = r.ownKinds
			for i, t := range v.Types {
				if t == batch.String && len(v.Bytes(i)) == 0 {
					r.kinds[i] = batch.Null
				}
			}
		}
	default:
		kinds, ints, floats := r.values(n)
		for i, code := range v.Codes {
			kinds[i], ints[i], floats[i] = v.Dict.Types[code], v.Dict.Ints[code], v.Dict.Floats[code]
			if c.guessed && kinds[i] == batch.String && len(v.Dict.Bytes(int(code))) == 0 {
				kinds[i] = batch.Null
			}
		}
	}
}

// textKind returns how a value counts where a text is asked for: String if it
// has one, Null or wrong.
func (c *column) textKind(plain *batch.Vector, j int) batch.Type {
	t := plain.Types[j]
	switch {
	case t == batch.Null:
		return batch.Null
	case c.guessed:
		if t == batch.String && !c.asText && len(plain.Bytes(j)) == 0 {
			return batch.Null
		}
		return batch.String
	case t == batch.String, t == batch.Binary, t.Temporal() && plain.HasText:
		return batch.String
	}
	return wrong
}

// columnText takes a column as the texts as written.
func (r *result) columnText(c *column, n int) {
	kinds := r.kindsOf(n)
	if c.v == nil {
		clear(kinds)
		r.text = texts{}
		return
	}
	r.text = texts{plain: c.v}
	if c.v.Dict != nil {
		r.text = texts{plain: c.v.Dict, codes: c.v.Codes}
	}
	for i := range kinds {
		plain, j := c.v.At(i)
		kinds[i] = c.textKind(plain, j)
	}
}

// columnLen takes the lengths of the values of a column.
func (r *result) columnLen(c *column, n int) {
	kinds, ints, floats := r.values(n)
	clear(floats)
	if c.v == nil {
		clear(kinds)
		clear(ints)
		return
	}
	for i := range kinds {
		plain, j := c.v.At(i)
		ints[i] = 0
		if plain.Types[j] == batch.List {
			kinds[i], ints[i] = batch.Integer, plain.Ints[j]
			continue
		}
		if kinds[i] = c.textKind(plain, j); kinds[i] != batch.String {
			continue
		}
		kinds[i], ints[i] = batch.Integer, int64(len(plain.Bytes(j)))
		if plain.Types[j] != batch.Binary {
			ints[i] = int64(utf8.RuneCount(plain.Bytes(j)))
		}
	}
}

// columnNull tells where a column has no value.
func (r *result) columnNull(c *column, n int) {
	out := r.truths(n)
	for i := range out {
		out[i] = True
		if c.v == nil {
			continue
		}
		plain, j := c.v.At(i)
		if t := plain.Types[j]; t != batch.Null && (c.asText || !c.guessed || t != batch.String || len(plain.Bytes(j)) > 0) {
			out[i] = False
		}
	}
}

// constant repeats a value; what an earlier chunk wrote is kept.
func (r *result) constant(v batch.Value, n int) {
	for len(r.ownKinds) < n {
		r.ownKinds, r.ownInts, r.ownFloats = append(r.ownKinds, v.Type), append(r.ownInts, v.Int), append(r.ownFloats, v.Float)
	}
	r.kinds, r.ints, r.floats = r.ownKinds, r.ownInts, r.ownFloats
}

func (r *result) constantText(text string, n int) {
	for len(r.ownKinds) < n {
		r.ownKinds = append(r.ownKinds, batch.String)
	}
	if r.text.all == nil {
		r.text.all = []byte(text)
	}
	r.kinds = r.ownKinds
}

// unary computes a node with one operand.
func (r *result) unary(n *node, a *result, rows int) {
	switch n.op {
	case opNot, opIsNull, opTruth, opIn, opTextIn, opMatches:
		r.condition(n, a, rows)
	case opLower, opUpper, opTrim:
		r.changed(n.op, a, rows)
	case opLen:
		r.lengths(a, rows)
	default:
		kinds, ints, floats := r.values(rows)
		for i := range kinds {
			v := single(n, a.value(i))
			kinds[i], ints[i], floats[i] = v.Type, v.Int, v.Float
		}
	}
}

// single computes a function of one value.
func single(n *node, v batch.Value) batch.Value {
	switch n.op {
	case opNeg:
		return negative(v)
	case opAbs, opRound, opFloor, opCeil:
		return rounded(n.op, v, n.unit)
	case opSpan:
		switch {
		case absent(v.Type):
			return none
		case v.Type != batch.Duration:
			return mistyped()
		}
		return number(float64(v.Int) / float64(n.unit))
	default:
	}
	return part(n.op, v)
}

// part takes a time apart, as a clock of UTC shows it.
func part(o op, v batch.Value) batch.Value {
	var t time.Time
	switch {
	case absent(v.Type):
		return none
	case v.Type.Family() == batch.Timestamp:
		t = time.UnixMicro(v.Int).UTC()
	case v.Type == batch.Time && (o == opHour || o == opMinute || o == opSecond):
		t = time.Unix(0, v.Int).UTC()
	default:
		return mistyped()
	}
	switch o {
	case opYear:
		return integer(int64(t.Year()))
	case opMonth:
		return integer(int64(t.Month()))
	case opDay:
		return integer(int64(t.Day()))
	case opWeekday:
		return integer(int64(t.Weekday()+6)%7 + 1)
	case opHour:
		return integer(int64(t.Hour()))
	case opMinute:
		return integer(int64(t.Minute()))
	default:
	}
	return integer(int64(t.Second()))
}

var notTable = [4]Truth{False: True, True: False, Null: Null, Wrong: Wrong}

// condition computes a condition over one operand.
func (r *result) condition(n *node, a *result, rows int) {
	out := r.truths(rows)
	if n.op == opNot {
		for i := range out {
			out[i] = notTable[a.truth[i]&3]
		}
		return
	}
	if n.op == opIsNull && a.truth != nil {
		for i := range out {
			out[i] = [4]Truth{Null: True, Wrong: Wrong}[a.truth[i]&3]
		}
		return
	}
	for i := range out {
		switch k := a.kinds[i]; k {
		case batch.Null:
			out[i] = Null
			if n.op == opIsNull {
				out[i] = True
			}
		case wrong:
			out[i] = Wrong
		default:
			out[i] = n.holds(a, i)
		}
	}
}

// holds judges one value that is there.
func (n *node) holds(a *result, i int) Truth {
	switch n.op {
	case opTruth:
		if a.kinds[i] != batch.Boolean {
			return Wrong
		}
		return truthOf(a.ints[i] != 0)
	case opIn:
		v := a.value(i)
		if v.Type.Family() != n.value.Type.Family() {
			return Wrong
		}
		return truthOf(n.values[batch.IdentityOf(v)])
	case opTextIn:
		return truthOf(n.texts[string(a.text.at(i))])
	case opMatches:
		return truthOf(n.re.Match(a.text.at(i)))
	default:
	}
	return False // is_null
}

func truthOf(b bool) Truth {
	if b {
		return True
	}
	return False
}

// changed computes texts from texts.
func (r *result) changed(o op, a *result, rows int) {
	kinds := r.kindsOf(rows)
	r.arena, r.ends = r.arena[:0], sized(r.ends, rows)
	for i := range kinds {
		if kinds[i] = a.kinds[i]; kinds[i] == batch.String {
			switch text := a.text.at(i); o {
			case opTrim:
				r.arena = append(r.arena, bytes.TrimSpace(text)...)
			case opLower:
				r.arena = appendMapped(r.arena, text, 'A', unicode.ToLower)
			default:
				r.arena = appendMapped(r.arena, text, 'a', unicode.ToUpper)
			}
		}
		r.ends[i] = len(r.arena)
	}
	r.text = texts{arena: r.arena, ends: r.ends}
}

// appendMapped appends a text with each letter in the other case, as
// strings.Map does. from is the first of the 26 letters that change.
func appendMapped(b, text []byte, from byte, mapped func(rune) rune) []byte {
	for len(text) > 0 {
		if ch := text[0]; ch < utf8.RuneSelf {
			if ch-from < 26 {
				ch ^= 'a' - 'A'
			}
			b, text = append(b, ch), text[1:]
			continue
		}
		ch, size := utf8.DecodeRune(text)
		b, text = utf8.AppendRune(b, mapped(ch)), text[size:]
	}
	return b
}

// lengths computes the lengths of texts in characters.
func (r *result) lengths(a *result, rows int) {
	kinds, ints, floats := r.values(rows)
	clear(floats)
	for i := range kinds {
		kinds[i], ints[i] = a.kinds[i], 0
		if kinds[i] == batch.String {
			kinds[i], ints[i] = batch.Integer, int64(utf8.RuneCount(a.text.at(i)))
		}
	}
}

// binary computes a node with two operands that are no conditions to join.
func (r *result) binary(n *node, a, b *result, rows int) {
	switch o := n.op; {
	case o >= opEq && o <= opGe:
		r.compare(o, a, b, rows)
	case o >= opTextEq && o <= opTextGe:
		r.compareTexts(o, a, b, rows)
	case o == opSameTruth || o == opOtherTruth:
		out := r.truths(rows)
		for i := range out {
			switch x, y := a.truth[i], b.truth[i]; {
			case x == Null || y == Null:
				out[i] = Null
			case x == Wrong || y == Wrong:
				out[i] = Wrong
			default:
				out[i] = truthOf((x == y) == (o == opSameTruth))
			}
		}
	case o == opContains || o == opStartsWith || o == opEndsWith:
		r.parts(o, a, b, rows)
	default:
		kinds, ints, floats := r.values(rows)
		for i := range kinds {
			v := pair(o, a, b, i)
			kinds[i], ints[i], floats[i] = v.Type, v.Int, v.Float
		}
	}
}

func pair(o op, a, b *result, i int) batch.Value {
	if o == opMin || o == opMax {
		return extreme(o, a.value(i), b.value(i))
	}
	return arithmetic(o, a.value(i), b.value(i))
}
