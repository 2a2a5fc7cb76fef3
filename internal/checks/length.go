package checks

import (
	"unicode/utf8"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/textfacts"
	"github.com/profilerhq/profiler/internal/words"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

var lengthParams = []Param{
	{Name: "min", Form: FormCount, Summary: "The shortest allowed length."},
	{Name: "max", Form: FormCount, Summary: "The longest allowed length."},
	{Name: "equals", Form: FormCount, Summary: "The only allowed length; stands alone."},
}

var lengthSpec = Spec{
	Kind: "length", Level: RowLevel, Column: true, Params: lengthParams,
	Short: &Param{Form: FormCount, Summary: "The only allowed length."}, Example: "length: {min: 2, max: 40}",
	Summary: "Every text has a length in characters between limits; a list its number of items.",
	parse:   parseLength,
}

type length struct {
	min, max int64 // max is -1 without a limit
}

func parseLength(_ *Check, p params, errs *diag.List) judge {
	l := &length{max: -1}
	if p.node != nil && p.node.Kind() == yamldoc.Int {
		l.min, _ = p.node.Int(errs)
		l.max = l.min
		return l
	}
	m := p.mapping("length", lengthParams, errs)
	if m.Len() == 0 {
		errs.Errorf(p.where(), 6, yamldoc.CodeMissingKey, "check \"length\" needs a limit: min, max or equals")
		return nil
	}
	before := len(*errs)
	yamldoc.Set(&l.min, m.Get("min"), (*yamldoc.Node).Int, errs)
	yamldoc.Set(&l.max, m.Get("max"), (*yamldoc.Node).Int, errs)
	if n := m.Get("equals"); n != nil {
		if m.Len() > 1 {
			n.Errorf(errs, yamldoc.CodeValue, "\"equals\" stands alone; leave out min and max")
			return nil
		}
		l.min, _ = n.Int(errs)
		l.max = l.min
	}
	if len(*errs) > before {
		return nil
	}
	if l.min < 0 || (m.Has("max") || m.Has("equals")) && l.max < l.min {
		p.node.Errorf(errs, yamldoc.CodeValue, "no text can have a length of %s", l.words())
		return nil
	}
	return l
}

func (l *length) words() string {
	switch {
	case l.min == l.max:
		return words.Count(l.min)
	case l.max < 0:
		return "at least " + words.Count(l.min)
	case l.min == 0:
		return "at most " + words.Count(l.max)
	}
	return words.Count(l.min) + " … " + words.Count(l.max)
}

func (l *length) phrase() string { return "not " + l.good() }

func (l *length) good() string {
	if l.words() == "1" || l.words() == "at least 1" || l.words() == "at most 1" {
		return l.words() + " character long"
	}
	return l.words() + " characters long"
}

func (l *length) evaluator(s *sampler) rowEvaluator {
	var buf []byte
	e := newValueEvaluator(s, []batch.Type{batch.String, batch.Null}, func(v *batch.Vector, i int, family batch.Type) verdict {
		if isNull(v, i, family) {
			return skipped
		}
		n := int64(0)
		switch v.Types[i] {
		case batch.List:
			n = v.Ints[i]
		case batch.Binary:
			n = int64(len(v.Bytes(i)))
		default:
			n = int64(utf8.RuneCount(textOf(v, i, &buf)))
		}
		if !l.allows(n) {
			return rejected
		}
		return accepted
	})
	e.sure = func(v *batch.Vector, i int) int {
		for ; i < len(v.Types) && hasValue(v, i); i++ {
			if t := v.Types[i]; t == batch.List || t == batch.Binary || !l.allowsText(textOf(v, i, &buf)) {
				break
			}
		}
		return i
	}
	return e
}

func (l *length) allows(n int64) bool { return n >= l.min && (l.max < 0 || n <= l.max) }

// allowsText counts characters only where the bytes do not tell: there are as
// many as characters in ASCII, else more, but at most four times as many.
func (l *length) allowsText(text []byte) bool {
	n := int64(len(text))
	if l.allows(n) && l.allows((n+utf8.UTFMax-1)/utf8.UTFMax) {
		return true
	}
	if !textfacts.IsASCII(text) {
		n = int64(utf8.RuneCount(text))
	}
	return l.allows(n)
}
