package checks

import (
	"strings"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/words"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

var inSpec = Spec{
	Kind: "in", Level: RowLevel, Column: true,
	Short: &Param{Form: FormLimits, Summary: "The values."}, Example: "in: [paid, shipped]",
	Summary: "Every value is one of a list.",
	parse:   func(_ *Check, p params, errs *diag.List) judge { return parseSet(p, "in", accepted, errs) },
}

var notInSpec = Spec{
	Kind: "not_in", Level: RowLevel, Column: true,
	Short: &Param{Form: FormLimits, Summary: "The values."}, Example: "not_in: [-1, 9999]",
	Summary: "No value is one of a list.",
	parse:   func(_ *Check, p params, errs *diag.List) judge { return parseSet(p, "not_in", rejected, errs) },
}

// set is a list of allowed or forbidden values, prepared for each family of
// types.
type set struct {
	literals []literal
	found    verdict // of a value that is in the list
	texts    map[string]bool
	quoted   map[string]bool // texts that are texts by their spelling
	// values by family; cast holds those that only a cast of a quoted literal
	// makes one of the family.
	values, cast map[batch.Identity]bool
}

func parseSet(p params, kind string, found verdict, errs *diag.List) judge {
	items, ok := p.node.List(errs)
	if p.node == nil {
		errs.Errorf(p.item.Node().Pos(), 1, yamldoc.CodeMissingKey, "check %q needs a list of values", kind)
		return nil
	}
	if !ok {
		return nil
	}
	if len(items) == 0 {
		p.node.Errorf(errs, yamldoc.CodeValue, "the list of check %q is empty", kind)
		return nil
	}
	s := &set{found: found, texts: map[string]bool{}, quoted: map[string]bool{}, values: map[batch.Identity]bool{}, cast: map[batch.Identity]bool{}}
	for _, n := range items {
		l, ok := literalOf(n, errs)
		if !ok {
			continue
		}
		s.literals = append(s.literals, l)
		s.texts[l.text] = true
		if l.quoted || l.value.Type == batch.String {
			s.quoted[l.text] = true
		}
		if l.value.Type != batch.String {
			s.cast[batch.IdentityOf(l.value)] = true
			if !l.quoted {
				s.values[batch.IdentityOf(l.value)] = true
			}
		}
	}
	return s
}

func (s *set) phrase() string { return s.words(s.found == rejected) }

func (s *set) good() string { return s.words(s.found == accepted) }

// words names the list: "one of a, b" or "none of a, b".
func (s *set) words(member bool) string {
	names := make([]string, 0, 6)
	for i, l := range s.literals {
		if i == 5 && len(s.literals) > 6 {
			names = append(names, "… "+words.Count(len(s.literals)-5)+" more")
			break
		}
		names = append(names, l.text)
	}
	if member {
		return "one of " + strings.Join(names, ", ")
	}
	return "none of " + strings.Join(names, ", ")
}

func (s *set) evaluator(by *sampler) rowEvaluator {
	missing := accepted
	if s.found == accepted {
		missing = rejected
	}
	return newValueEvaluator(by, []batch.Type{batch.String, batch.Null}, func(v *batch.Vector, i int, family batch.Type) verdict {
		if isNull(v, i, family) {
			return skipped
		}
		if s.has(v, i, family) {
			return s.found
		}
		return missing
	})
}

// has looks a value up: in a text column by its text, else by its meaning. A
// format without types of its own casts the listed values to the type of the
// column; where values have a type, a text never equals a number.
func (s *set) has(v *batch.Vector, i int, family batch.Type) bool {
	typ := v.Types[i]
	if v.Inferred {
		if family == batch.String || typ == batch.String {
			return s.texts[string(v.Bytes(i))]
		}
		return s.cast[batch.IdentityOf(v.Value(i))]
	}
	if typ == batch.String || typ == batch.Binary {
		return s.quoted[string(v.Bytes(i))]
	}
	if typ.Temporal() {
		return s.cast[batch.IdentityOf(v.Value(i))]
	}
	return s.values[batch.IdentityOf(v.Value(i))]
}
