package checks

import (
	"slices"

	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

// none reports parameters of a kind that takes none.
func (p params) none(errs *diag.List) bool {
	if p.node.IsNull() {
		return true
	}
	if p.node.Kind() == yamldoc.Map {
		if m := p.node.Mapping(errs); m.Len() == 0 {
			return true
		}
	}
	p.node.Errorf(errs, yamldoc.CodeValue, "this check takes no parameters, got %s", p.node.Describe())
	return false
}

// mapping returns the parameters as a mapping whose keys are known.
func (p params) mapping(kind string, known []Param, errs *diag.List) *yamldoc.Mapping {
	if p.node.IsNull() {
		return nil
	}
	m, names := p.node.Mapping(errs), paramNames(known)
	for _, key := range commonKeys {
		if n := m.KeyNode(key); n != nil && !slices.Contains(names, key) {
			n.Errorf(errs, yamldoc.CodeUnknownKey, "%q stands beside %s, not in it: {%s: {…}, %s: …}", key, kind, kind, key)
			names = append(names, key)
		}
	}
	m.Unknown(names, "check \""+kind+"\"", errs)
	return m
}
