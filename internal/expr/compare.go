package expr

import (
	"bytes"

	"github.com/profilerhq/profiler/internal/batch"
)

// orders are the results of the comparisons from opEq on, for less, equal,
// greater and no order.
var orders = [...][4]Truth{
	{False, True, False, False}, // ==
	{True, False, True, True},   // !=
	{True, False, False, False}, // <
	{True, True, False, False},  // <=
	{False, False, True, False}, // >
	{False, True, True, False},  // >=
}

// compare compares values.
func (r *result) compare(o op, a, b *result, rows int) {
	out, table := r.truths(rows), orders[o-opEq]
	ak, bk, ai, bi := a.kinds[:rows], b.kinds[:rows], a.ints[:rows], b.ints[:rows]
	for i := range out {
		switch {
		case ak[i] == batch.Integer && bk[i] == batch.Integer:
			at := 1
			if ai[i] < bi[i] {
				at = 0
			} else if ai[i] > bi[i] {
				at = 2
			}
			out[i] = table[at]
		case ak[i] == batch.Null || bk[i] == batch.Null:
			out[i] = Null
		case !ordered(ak[i]) && ak[i] != batch.Boolean || ak[i].Family() != bk[i].Family():
			out[i] = Wrong
		default:
			at := 3
			if order, ok := batch.Compare(a.value(i), b.value(i)); ok {
				at = order + 1
			}
			out[i] = table[at]
		}
	}
}

// compareTexts compares texts by code point.
func (r *result) compareTexts(o op, a, b *result, rows int) {
	out, table := r.truths(rows), orders[o-opTextEq]
	for i := range out {
		if out[i] = present(a.kinds[i], b.kinds[i]); out[i] != True {
			continue
		}
		switch o {
		case opTextEq:
			out[i] = truthOf(bytes.Equal(a.text.at(i), b.text.at(i)))
		case opTextNe:
			out[i] = truthOf(!bytes.Equal(a.text.at(i), b.text.at(i)))
		default:
			out[i] = table[bytes.Compare(a.text.at(i), b.text.at(i))+1]
		}
	}
}

// present is True if both texts are there, else why not.
func present(a, b batch.Type) Truth {
	switch {
	case a == batch.String && b == batch.String:
		return True
	case a == batch.Null || b == batch.Null:
		return Null
	}
	return Wrong
}

// parts looks for one text in another.
func (r *result) parts(o op, a, b *result, rows int) {
	out := r.truths(rows)
	for i := range out {
		if out[i] = present(a.kinds[i], b.kinds[i]); out[i] != True {
			continue
		}
		text, sub := a.text.at(i), b.text.at(i)
		switch o {
		case opContains:
			out[i] = truthOf(bytes.Contains(text, sub))
		case opStartsWith:
			out[i] = truthOf(bytes.HasPrefix(text, sub))
		default:
			out[i] = truthOf(bytes.HasSuffix(text, sub))
		}
	}
}
