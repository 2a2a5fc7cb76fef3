package checks

import (
	"fmt"
	"strings"

	"github.com/zeebo/xxh3"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/words"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

var referencesParams = []Param{
	{Name: "source", Form: FormText, Required: true, Summary: "A file beside the rules, or the address of a source."},
	{Name: "column", Form: FormText, Required: true, Summary: "The column of the source that has the values."},
}

var referencesSpec = Spec{
	Kind: "references", Level: RowLevel, Column: true, Params: referencesParams, Example: "references: {source: customers.csv, column: id}",
	Summary: "Every value occurs in a column of another source.",
	parse:   parseReferences,
}

// Reference names a column of a source whose values others refer to. It is
// comparable, so that equal references are read once.
type Reference struct {
	Source, Column string
}

// references is a check against the values of another source.
type references struct {
	ref  Reference
	name string // of the source as the rule has it
}

func parseReferences(c *Check, p params, errs *diag.List) judge {
	if p.node.IsNull() || p.node.Kind() != yamldoc.Map {
		errs.Errorf(p.where(), 10, yamldoc.CodeMissingKey, "check \"references\" needs a source and a column, as in references: {source: customers.csv, column: id}")
		return nil
	}
	m, before := p.mapping("references", referencesParams, errs), len(*errs)
	name, _ := m.Required("source", `check "references"`, errs).String(errs)
	r := &references{ref: Reference{Source: name}, name: name}
	r.ref.Column, _ = m.Required("column", `check "references"`, errs).String(errs)
	if len(*errs) > before {
		return nil
	}
	return r
}

// locate makes the path of a file relative to the rule file.
func (r *references) locate(folder string, _ ReadFile, _ *diag.List) {
	if !strings.Contains(r.name, "://") {
		r.ref.Source = beside(folder, r.name)
	}
}

// References returns the columns of other sources that the checks refer to,
// each once. Plan.Known answers them.
func (p *Plan) References() []Reference {
	var out []Reference
	seen := map[Reference]bool{}
	for _, c := range p.Checks {
		if r, ok := c.judge.(*references); ok && c.Enabled && !seen[r.ref] {
			seen[r.ref] = true
			out = append(out, r.ref)
		}
	}
	return out
}

// knownLimit is how many distinct values a reference may have: 16 bytes each
// in a table that is about half full.
const knownLimit = 12 << 20

// Known is the set of values of a referenced column, exact but for collisions
// of 128-bit hashes. The zero value is an empty set. It is filled by one
// goroutine and then read by any.
type Known struct {
	// Err says in words why the values could not be read; checks then end in
	// error.
	Err    string
	family batch.Type
	// texts are the values as written; values their meanings, nil as long as
	// both are the same set.
	texts, values  map[xxh3.Uint128]struct{}
	raw, canonical []byte
}

// Add takes the values of a vector; nothing of its memory is kept. It reports
// false when there are more values than are remembered.
func (k *Known) Add(v *batch.Vector) bool {
	if k.texts == nil {
		k.texts = map[xxh3.Uint128]struct{}{}
	}
	for i := range v.Len() {
		v, i := v.At(i)
		if v.Types[i] == batch.Null {
			continue
		}
		text := xxh3.Hash128(textOf(v, i, &k.raw))
		k.texts[text] = struct{}{}
		value := k.hashValue(v, i)
		if k.values == nil && value != text {
			k.values = make(map[xxh3.Uint128]struct{}, len(k.texts))
			for h := range k.texts {
				k.values[h] = struct{}{}
			}
		}
		if k.values != nil {
			k.values[value] = struct{}{}
		}
	}
	if len(k.texts) > knownLimit {
		k.texts, k.values = nil, nil
		k.Err = fmt.Sprintf("the referenced column has more than %s distinct values, which is more than this version remembers", words.Count(knownLimit))
		return false
	}
	return true
}

// Finish ends the set with the type of the finished column.
func (k *Known) Finish(kind batch.Type) {
	k.family = kind.Family()
	k.raw, k.canonical = nil, nil
}

func (k *Known) hashValue(v *batch.Vector, i int) xxh3.Uint128 {
	k.canonical = appendMeaning(k.canonical[:0], v, i)
	return xxh3.Hash128(k.canonical)
}

// appendMeaning appends the canonical text of a value, which is the same for
// 3 and 3.0, for a date and its midnight, and for a time in two zones.
func appendMeaning(b []byte, v *batch.Vector, i int) []byte {
	switch v.Types[i] {
	case batch.Integer, batch.Number, batch.Boolean, batch.Time, batch.Duration:
		return v.Value(i).AppendText(b, false)
	case batch.Date, batch.Timestamp:
		val := v.Value(i)
		if val.Int%microsPerDay == 0 && val.Float == 0 {
			val.Type = batch.Date
		}
		return val.AppendText(b, false)
	default:
		return append(b, v.Bytes(i)...)
	}
}

func (r *references) phrase() string { return "not in " + r.ref.Column + " of " + r.name }

func (r *references) good() string { return "in " + r.ref.Column + " of " + r.name }

// evaluator looks values up by their meaning if both columns turn out to be of
// one type, else by their text.
func (r *references) evaluator(s *sampler) rowEvaluator {
	known := s.known[r.ref]
	if known == nil {
		known = &Known{Err: "the values of " + r.ref.Column + " of " + r.name + " were not read"}
	}
	if known.Err != "" {
		return &unknown{known.Err}
	}
	families := []batch.Type{batch.String, batch.Null}
	if known.family != batch.String && known.family != batch.Null {
		families = []batch.Type{known.family, batch.String, batch.Null}
	}
	var buf []byte
	return newValueEvaluator(s, families, func(v *batch.Vector, i int, family batch.Type) verdict {
		v, i = v.At(i)
		if isNull(v, i, family) {
			return skipped
		}
		set, text := known.texts, []byte(nil)
		if family == known.family && family != batch.String && known.values != nil {
			set = known.values
		}
		if family == known.family && family != batch.String {
			buf = appendMeaning(buf[:0], v, i)
			text = buf
		} else {
			text = textOf(v, i, &buf)
		}
		if _, ok := set[xxh3.Hash128(text)]; ok {
			return accepted
		}
		return rejected
	})
}

// unknown is the evaluator of a check that cannot be judged.
type unknown struct{ reason string }

func (*unknown) observe(*rows) {}

func (*unknown) absent(earlier) {}

func (u *unknown) outcome(*profile.Column) outcome { return outcome{err: u.reason} }
