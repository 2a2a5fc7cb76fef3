package checks

import (
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

var parsableSpec = Spec{
	Kind: "parsable", Level: RowLevel, Dataset: true,
	Bare: true, Example: "parsable",
	Summary: "Every record could be read. It is judged without a rule too; a rule sets its limits.",
	parse: func(c *Check, p params, errs *diag.List) judge {
		if !p.none(errs) {
			return nil
		}
		for _, key := range []string{"where", "by"} {
			if n := p.item.KeyNode(key); n != nil {
				n.Errorf(errs, yamldoc.CodeUnknownKey, "check \"parsable\" is about records that are no rows yet; it has no %q", key)
				return nil
			}
		}
		if !c.Enabled {
			errs.Errorf(p.where(), 8, yamldoc.CodeValue, "check \"parsable\" cannot be switched off; fail: 100%% tolerates everything")
			return nil
		}
		return parsableLimits{}
	},
}

// parsableLimits is the judge of a rule about the built-in check: the
// evaluation takes the rule in place of its defaults.
type parsableLimits struct{}

// takeParsable takes the rule about the built-in check out of a list, nil if
// there is none. Of several the first one counts.
func takeParsable(all []*Check) (rule *Check, rest []*Check) {
	for _, c := range all {
		if _, ok := c.judge.(parsableLimits); !ok {
			rest = append(rest, c)
		} else if rule == nil {
			rule = c
		}
	}
	return rule, rest
}

// parsableFrame returns the frame of the built-in result and its limits.
func (e *Evaluation) parsableFrame() (res Result, warn, fail *Tolerance) {
	if c := e.parsableRule; c != nil {
		return c.result(e.ownID(c.ID), ""), c.Warn, c.Fail
	}
	return Result{ID: "parsable", Kind: "parsable", Severity: SeverityFail}, nil, &e.plan.Parsable
}
