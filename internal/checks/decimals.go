package checks

import (
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/words"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

var decimalsParams = []Param{
	{Name: "max", Form: FormCount, Required: true, Summary: "The largest number of decimal places."},
}

var decimalsSpec = Spec{
	Kind: "decimals", Level: RowLevel, Column: true, Params: decimalsParams,
	Short: &Param{Form: FormCount, Summary: "The largest number of decimal places."}, Example: "decimals: {max: 2}",
	Summary: "Every number has at most so many decimal places, zeros at its end not counted.",
	parse:   parseDecimals,
}

type decimals struct{ max int64 }

func parseDecimals(_ *Check, p params, errs *diag.List) judge {
	n := p.node
	if n.IsNull() || n.Kind() == yamldoc.Map {
		if n = p.mapping("decimals", decimalsParams, errs).Get("max"); n == nil {
			errs.Errorf(p.where(), 8, yamldoc.CodeMissingKey, "check \"decimals\" needs a limit, as in decimals: {max: 2}")
			return nil
		}
	}
	limit, ok := n.Int(errs)
	if !ok {
		return nil
	}
	if limit < 0 {
		n.Errorf(errs, yamldoc.CodeValue, "no number can have fewer than 0 decimal places")
		return nil
	}
	return &decimals{max: limit}
}

func (d *decimals) phrase() string { return "not " + d.good() }

func (d *decimals) good() string {
	switch d.max {
	case 0:
		return "whole"
	case 1:
		return "within 1 decimal place"
	}
	return "within " + words.Count(d.max) + " decimal places"
}

func (d *decimals) evaluator(s *sampler) rowEvaluator {
	return decimalEvaluator(s, func(n decimal) bool { return int64(n.places()) <= d.max })
}
