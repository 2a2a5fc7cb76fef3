package checks

import (
	"regexp/syntax"
	"unicode"
)

// shape matches the expressions that most rules have, `^D[0-9]{6}$`, by one
// look at each byte of a text: a sequence of sets of ASCII characters, each some
// number of times, anchored at both ends or at the start alone. No set that may
// be repeated shares a character with what may follow, so that there is nothing
// to go back to.
type shape struct {
	steps []shapeStep
	open  bool // anything may follow
}

type shapeStep struct {
	set      [2]uint64 // bits of the ASCII characters
	min, max int       // max is -1 without a limit
}

func (s *shapeStep) has(c byte) bool {
	return c < unicode.MaxASCII+1 && s.set[c>>6]>>(c&63)&1 != 0
}

// shapeOf returns the shape of an expression; nil if it has none.
func shapeOf(expr string) *shape {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil
	}
	if re.Op != syntax.OpConcat || len(re.Sub) < 2 || re.Sub[0].Op != syntax.OpBeginText {
		return nil
	}
	s := &shape{open: true}
	body := re.Sub[1:]
	if last := body[len(body)-1]; last.Op == syntax.OpEndText {
		s.open, body = false, body[:len(body)-1]
	}
	for _, sub := range body {
		if !s.add(sub) {
			return nil
		}
	}
	if len(s.steps) == 0 || !s.decided() {
		return nil
	}
	return s
}

// add appends the steps of a part of an expression, and reports whether it has
// any.
func (s *shape) add(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			if !s.add(sub) {
				return false
			}
		}
		return true
	case syntax.OpCapture:
		return s.add(re.Sub[0])
	case syntax.OpStar, syntax.OpPlus, syntax.OpQuest, syntax.OpRepeat:
		set, ok := setOf(re.Sub[0])
		step := shapeStep{set: set, max: -1}
		switch re.Op {
		case syntax.OpPlus:
			step.min = 1
		case syntax.OpQuest:
			step.max = 1
		case syntax.OpRepeat:
			step.min, step.max = re.Min, re.Max
		default:
		}
		s.append(step)
		return ok && re.Flags&syntax.NonGreedy == 0
	case syntax.OpLiteral:
		for _, r := range re.Rune {
			set, ok := setOfRanges(caseRanges(r, re.Flags&syntax.FoldCase != 0))
			if !ok {
				return false
			}
			s.append(shapeStep{set: set, min: 1, max: 1})
		}
		return true
	default:
		set, ok := setOf(re)
		s.append(shapeStep{set: set, min: 1, max: 1})
		return ok
	}
}

// append joins a step with the one before it where both are the same set so
// often as they say.
func (s *shape) append(step shapeStep) {
	if n := len(s.steps) - 1; n >= 0 && s.steps[n].set == step.set && s.steps[n].min == s.steps[n].max && step.min == step.max {
		s.steps[n].min += step.min
		s.steps[n].max += step.max
		return
	}
	s.steps = append(s.steps, step)
}

// decided reports whether the next character always tells how to go on: behind
// a step without a fixed number no step that may come next shares a character
// with it.
func (s *shape) decided() bool {
	for i, step := range s.steps {
		if step.min == step.max {
			continue
		}
		for _, next := range s.steps[i+1:] {
			if step.set[0]&next.set[0]|step.set[1]&next.set[1] != 0 {
				return false
			}
			if next.min > 0 {
				break
			}
		}
	}
	return true
}

// setOf returns the characters that one character of a text may be.
func setOf(re *syntax.Regexp) (set [2]uint64, ok bool) {
	switch {
	case re.Op == syntax.OpCharClass:
		return setOfRanges(re.Rune)
	case re.Op == syntax.OpLiteral && len(re.Rune) == 1:
		return setOfRanges(caseRanges(re.Rune[0], re.Flags&syntax.FoldCase != 0))
	}
	return set, false
}

// caseRanges returns a character, or all that differ from it in case alone, as
// ranges.
func caseRanges(r rune, fold bool) []rune {
	ranges := []rune{r, r}
	if fold {
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			ranges = append(ranges, f, f)
		}
	}
	return ranges
}

// setOfRanges is false for sets with characters beyond ASCII: they are more than
// a byte of a text.
func setOfRanges(ranges []rune) (set [2]uint64, ok bool) {
	for i := 0; i < len(ranges); i += 2 {
		if ranges[i+1] > unicode.MaxASCII {
			return set, false
		}
		for c := ranges[i]; c <= ranges[i+1]; c++ {
			set[c>>6] |= 1 << (c & 63)
		}
	}
	return set, len(ranges) > 0
}

// match reports whether a text matches.
func (s *shape) match(text []byte) bool {
	at := 0
	for i := range s.steps {
		step := &s.steps[i]
		n := 0
		for at < len(text) && n != step.max && step.has(text[at]) {
			at++
			n++
		}
		if n < step.min {
			return false
		}
	}
	return s.open || at == len(text)
}
