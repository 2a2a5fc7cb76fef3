package checks

import (
	"fmt"
	"math"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/words"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

var rangeParams = []Param{
	{Name: "min", Form: FormLimit, Summary: "The smallest allowed value."},
	{Name: "max", Form: FormLimit, Summary: "The largest allowed value."},
	{Name: "above", Form: FormLimit, Summary: "All values are larger than this one."},
	{Name: "below", Form: FormLimit, Summary: "All values are smaller than this one."},
}

var rangeSpec = Spec{
	Kind: "range", Level: RowLevel, Column: true, Params: rangeParams, Example: "range: {min: 0, max: 10_000}",
	Summary: "Every value lies between limits: min and max are allowed values, above and below are not.",
	parse:   parseRange,
}

// bounds are the limits of a range.
type bounds struct {
	lo, hi         *literal
	loOpen, hiOpen bool // above and below
	// families are the types that the limits can be read as, in the order of
	// preference; the last one is used for all other columns.
	families []batch.Type
}

func parseRange(_ *Check, p params, errs *diag.List) judge {
	m := p.mapping("range", rangeParams, errs)
	if m == nil {
		if p.node.IsNull() {
			errs.Errorf(p.where(), 5, yamldoc.CodeMissingKey, "check \"range\" needs a limit: min, max, above or below")
		}
		return nil
	}
	b, before := &bounds{}, len(*errs)
	b.lo, b.loOpen = parseEnd(m, "min", "above", errs)
	b.hi, b.hiOpen = parseEnd(m, "max", "below", errs)
	if len(*errs) > before || m.Len() > 0 && b.lo == nil && b.hi == nil { // reported already
		return nil
	}
	if m.Len() == 0 {
		p.node.Errorf(errs, yamldoc.CodeMissingKey, "check \"range\" needs a limit: min, max, above or below")
		return nil
	}
	if !b.resolve(p.node, errs) {
		return nil
	}
	return b
}

// where returns a position for messages about absent parameters.
func (p params) where() diag.Position {
	if p.node != nil {
		return p.node.Pos()
	}
	if p.item != nil {
		return p.item.Node().Pos()
	}
	return p.at
}

func parseEnd(m *yamldoc.Mapping, closed, open string, errs *diag.List) (*literal, bool) {
	key := closed
	if m.Has(open) {
		if m.Has(closed) {
			m.KeyNode(open).Errorf(errs, yamldoc.CodeValue, "%q and %q both limit the same side; keep one", closed, open)
			return nil, false
		}
		key = open
	}
	n := m.Get(key)
	if n == nil {
		return nil, false
	}
	l, ok := literalOf(n, errs)
	if !ok {
		return nil, false
	}
	if !l.quoted && l.value.Type.Family() != batch.Number && !l.value.Type.Temporal() {
		n.Errorf(errs, yamldoc.CodeType, "%q is neither a number nor a date or time; put quotes around a text", l.text)
		return nil, false
	}
	return &l, key == open
}

// resolve finds the types that both limits can be read as, and refuses empty
// ranges.
func (b *bounds) resolve(n *yamldoc.Node, errs *diag.List) bool {
	ends := []*literal{}
	for _, l := range []*literal{b.lo, b.hi} {
		if l != nil {
			ends = append(ends, l)
		}
	}
	first := ends[0].value.Type.Family()
	same, quoted := true, true
	for _, l := range ends {
		same = same && l.value.Type.Family() == first
		quoted = quoted && l.quoted
	}
	switch {
	case quoted:
		if same && first != batch.String {
			b.families = append(b.families, first)
		}
		b.families = append(b.families, batch.String)
	case !same:
		n.Errorf(errs, yamldoc.CodeValue, "the limits %q and %q are of different types", ends[0].text, ends[1].text)
		return false
	default:
		b.families = []batch.Type{first}
	}
	if b.lo != nil && b.hi != nil && same && first != batch.String {
		if order, ok := batch.Compare(b.lo.value, b.hi.value); ok && (order > 0 || order == 0 && (b.loOpen || b.hiOpen)) {
			n.Errorf(errs, yamldoc.CodeValue, "no value can be in the range %s", b.words())
			return false
		}
	}
	return true
}

// words describes the range: "0 … 10", "at least 0", "above 0 and below 10".
func (b *bounds) words() string {
	switch {
	case b.lo != nil && b.hi != nil && !b.loOpen && !b.hiOpen:
		return b.lo.show() + " … " + b.hi.show()
	case b.lo != nil && b.hi != nil:
		return b.side(b.lo, b.loOpen, true) + " and " + b.side(b.hi, b.hiOpen, false)
	case b.lo != nil:
		return b.side(b.lo, b.loOpen, true)
	}
	return b.side(b.hi, b.hiOpen, false)
}

func (b *bounds) side(l *literal, open, low bool) string {
	word := map[[2]bool]string{{true, true}: "above", {true, false}: "below", {false, true}: "at least", {false, false}: "at most"}[[2]bool{open, low}]
	return word + " " + l.show()
}

// show formats a literal for a message.
func (l *literal) show() string {
	if !l.quoted && l.value.Type == batch.Integer {
		return words.Count(l.value.Int)
	}
	return l.text
}

func (b *bounds) phrase() string {
	if b.lo != nil && b.hi != nil && !b.loOpen && !b.hiOpen {
		return "outside " + b.words()
	}
	return "not " + b.words()
}

func (b *bounds) good() string {
	if b.lo != nil && b.hi != nil && !b.loOpen && !b.hiOpen {
		return "inside " + b.words()
	}
	return b.words()
}

func (b *bounds) evaluator(s *sampler) rowEvaluator {
	e := newValueEvaluator(s, b.families, b.judge)
	e.sure = b.sure()
	e.check = func(col *profile.Column) string {
		kind := col.Kind().Family()
		if len(b.families) == 1 && b.families[0] == batch.String && kind != batch.String && kind != batch.Null {
			return fmt.Sprintf("the limits %s are texts, but %q is a column of type %s; write them as such values", b.words(), col.Name, col.Type)
		}
		return ""
	}
	return e
}

func (b *bounds) judge(v *batch.Vector, i int, family batch.Type) verdict {
	if isNull(v, i, family) {
		return skipped
	}
	if family == batch.String {
		var buf []byte
		return b.judgeText(textOf(v, i, &buf))
	}
	val := v.Value(i)
	if b.lo != nil {
		order, ok := batch.Compare(val, b.lo.value)
		if !ok || order < 0 || order == 0 && b.loOpen {
			return rejected
		}
	}
	if b.hi != nil {
		order, ok := batch.Compare(val, b.hi.value)
		if !ok || order > 0 || order == 0 && b.hiOpen {
			return rejected
		}
	}
	return accepted
}

// sure returns the loop over the rows of a plain vector that are inside the
// limits in all readings: as numbers that are exact as float64, or as timestamps,
// and as texts if that is a reading. The limits themselves are left to judge. It
// is nil for other limits.
func (b *bounds) sure() func(v *batch.Vector, i int) int {
	inside := b.numbersInside()
	if inside == nil {
		inside = b.timesInside()
	}
	if inside == nil {
		return nil
	}
	texts := b.families[len(b.families)-1] == batch.String
	var buf []byte
	return func(v *batch.Vector, i int) int {
		for ; i < len(v.Types) && inside(v, i); i++ {
			if texts && b.judgeText(textOf(v, i, &buf)) != accepted {
				break
			}
		}
		return i
	}
}

// numbersInside returns whether a row is a number between the limits; nil if they
// are no numbers.
func (b *bounds) numbersInside() func(v *batch.Vector, i int) bool {
	const exact = 1 << 53
	low, high := math.Inf(-1), math.Inf(1)
	for l, limit := range map[*literal]*float64{b.lo: &low, b.hi: &high} {
		switch {
		case l == nil:
		case l.value.Type == batch.Integer && l.value.Int >= -exact && l.value.Int <= exact:
			*limit = float64(l.value.Int)
		case l.value.Type == batch.Number:
			*limit = l.value.Float
		default:
			return nil
		}
	}
	return func(v *batch.Vector, i int) bool {
		switch v.Types[i] {
		case batch.Integer:
			x := v.Ints[i]
			return x >= -exact && x <= exact && float64(x) > low && float64(x) < high
		case batch.Number:
			return v.Floats[i] > low && v.Floats[i] < high
		default:
			return false
		}
	}
}

// timesInside returns whether a row is a timestamp between the limits; nil if
// they are no timestamps of whole microseconds.
func (b *bounds) timesInside() func(v *batch.Vector, i int) bool {
	low, high := int64(math.MinInt64), int64(math.MaxInt64)
	for l, limit := range map[*literal]*int64{b.lo: &low, b.hi: &high} {
		switch {
		case l == nil:
		case l.value.Type == batch.Timestamp && l.value.Float == 0:
			*limit = l.value.Int
		default:
			return nil
		}
	}
	return func(v *batch.Vector, i int) bool {
		return v.Types[i] == batch.Timestamp && v.Ints[i] > low && v.Ints[i] < high
	}
}

func (b *bounds) judgeText(text []byte) verdict {
	if b.lo != nil && (string(text) < b.lo.text || b.loOpen && string(text) == b.lo.text) {
		return rejected
	}
	if b.hi != nil && (string(text) > b.hi.text || b.hiOpen && string(text) == b.hi.text) {
		return rejected
	}
	return accepted
}
