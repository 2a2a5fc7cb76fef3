package expr

import (
	"slices"

	"github.com/profilerhq/profiler/internal/batch"
)

// use says how the columns of a tree are read.
type use struct {
	// strict columns are read by value; if one is a column of texts the
	// expression is ill-typed.
	strict map[int]bool
	// hard columns are read by value or as texts by their type, soft ones as
	// texts or for being null, where the type only says whether "" is null.
	hard, soft map[int]bool
}

func uses(n *node) use {
	u := use{map[int]bool{}, map[int]bool{}, map[int]bool{}}
	u.walk(n)
	return u
}

func (u *use) walk(n *node) {
	switch n.op {
	case opColumn:
		u.strict[n.column] = true
	case opColumnText, opColumnLen, opColumnNull:
		u.soft[n.column] = true
	case opEither:
		for _, a := range n.args[0].args {
			if a.op == opColumn {
				u.hard[a.column] = true
			}
		}
		return
	default:
	}
	for _, a := range n.args {
		u.walk(a)
	}
}

// analyse finds the columns with several readings; it reports whether they are
// few enough.
func (p *Program) analyse() bool {
	u := uses(p.root)
	for i := range p.columns {
		if !u.strict[i] && (u.hard[i] || u.soft[i]) {
			p.variable = append(p.variable, i)
		}
	}
	if len(p.variable) > maxVariable {
		return false
	}
	for i, column := range p.variable {
		if u.hard[column] || !p.indifferent(p.root, column) {
			p.selecting |= 1 << i
		}
	}
	return true
}

// indifferent reports whether a condition is true in the same rows, whether
// "" in a column is a text or null. It may say no where it is.
func (p *Program) indifferent(n *node, column int) bool {
	if n.op == opAnd || n.op == opOr {
		return !slices.ContainsFunc(n.args, func(a *node) bool { return !p.indifferent(a, column) })
	}
	u := uses(n)
	if !u.soft[column] {
		return true
	}
	if len(u.soft)+len(u.strict)+len(u.hard) > 1 {
		return false
	}
	alone := &Program{text: p.text, root: n, columns: p.columns, variable: []int{column}}
	e := NewEvaluator(alone)
	empty := &batch.Vector{HasText: true, Inferred: true}
	empty.Append(batch.Value{Type: batch.String}, nil)
	e.Load(1, func(string) *batch.Vector { return empty })
	asNull := e.Truth(0, 0)[0]
	return (asNull == True) == (e.Truth(0, 1)[0] == True)
}
