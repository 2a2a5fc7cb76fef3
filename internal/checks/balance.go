package checks

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

var balanceParams = []Param{
	{Name: "with", Form: FormTextOrTexts, Required: true, Summary: "A dataset, several whose numbers are added, or input: the input of the pipeline step."},
	{Name: "of", Form: FormText, Summary: "The number: a metric of the dataset, or column.metric.", Default: "row_count"},
	{Name: "max", Form: FormShare, Summary: "The largest difference, as a number or a percentage.", Default: "0"},
}

var balanceSpec = Spec{
	Kind: "balance", Level: BatchLevel, Dataset: true, Params: balanceParams, Example: "balance: {with: shop/raw, max: 0.1%}",
	Summary: "A number of the batch agrees with that of other datasets together, or of the step's input.",
	parse:   parseBalance,
}

// balanceInput is the name that stands for the input of the pipeline step.
const balanceInput = "input"

// balance compares a number with the sum of those of other datasets.
type balance struct {
	with  []string // datasets with their namespaces, or balanceInput alone
	of    change   // the number; only its column, metric and share are set
	limit changeLimit
}

func parseBalance(_ *Check, p params, errs *diag.List) judge {
	if p.zoned("balance", errs) {
		return nil
	}
	m := p.mapping("balance", balanceParams, errs)
	if m == nil {
		if p.node.IsNull() {
			errs.Errorf(p.where(), 7, yamldoc.CodeMissingKey, "check \"balance\" needs a dataset, as in balance: {with: shop/raw, of: row_count, max: 0.1%%}")
		}
		return nil
	}
	before := len(*errs)
	b := &balance{of: change{metric: "row_count"}}
	b.parseWith(m.Required("with", `check "balance"`, errs), errs)
	if m.Has("of") {
		b.of.parseOf(m, errs)
	}
	b.parseMax(m.Get("max"), errs)
	if len(*errs) > before {
		return nil
	}
	return b
}

func (b *balance) parseWith(n *yamldoc.Node, errs *diag.List) {
	if n == nil {
		return
	}
	names := []string{}
	if n.IsScalar() {
		name, ok := n.String(errs)
		if !ok {
			return
		}
		names = append(names, name)
	} else {
		var ok bool
		if names, ok = n.StringList(errs); !ok {
			return
		}
	}
	for _, name := range names {
		switch {
		case name == balanceInput && len(names) > 1:
			n.Errorf(errs, yamldoc.CodeValue, "the step's input stands alone; leave out the other datasets")
			return
		case name != balanceInput && !strings.Contains(name, "/"):
			name = "default/" + name
		}
		if slices.Contains(b.with, name) {
			n.Errorf(errs, yamldoc.CodeValue, "the dataset %q is listed twice", name)
			return
		}
		b.with = append(b.with, name)
	}
	if len(b.with) == 0 {
		n.Errorf(errs, yamldoc.CodeValue, "the list of datasets is empty")
	}
}

// parseMax reads the largest difference, none by default.
func (b *balance) parseMax(n *yamldoc.Node, errs *diag.List) {
	zero := 0.0
	b.limit = changeLimit{max: &zero}
	if n == nil {
		return
	}
	f, ok := n.Percent(errs)
	if ok && f < 0 {
		n.Errorf(errs, yamldoc.CodeValue, "a difference cannot be negative; max bounds its size")
	}
	b.limit = changeLimit{max: &f, relative: n.IsPercent()}
}

func (b *balance) needs(string) []Need {
	needs := make([]Need, len(b.with))
	for i, name := range b.with {
		needs[i] = Need{Dataset: name, Column: b.of.column, Metric: b.of.metric, Window: Window{Batches: 1}}
		if name == balanceInput {
			needs[i].Dataset, needs[i].Window = "", Window{Input: true}
		}
	}
	return needs
}

func (b *balance) words() string {
	if b.limit.relative {
		return "a difference of at most " + percent(*b.limit.max)
	}
	return "a difference of at most " + number(*b.limit.max)
}

func (b *balance) result(in *Input, _ *profile.Column, res Result) Result {
	res.Limit, res.Column = b.words(), b.of.column
	value, ok := in.Profile.Summary().Metric(b.of.metric)
	if b.of.column != "" {
		col := in.Profile.Summary().Column(b.of.column)
		if col == nil {
			return res.lacks(b.of.column, "there is no column %q", b.of.column)
		}
		value, ok = col.Metric(b.of.metric)
	}
	if !ok {
		return res.failReason("no value", "%s has no value to judge", b.of.subject())
	}
	total, parts := 0.0, make([]string, len(b.with))
	for i, need := range b.needs("") {
		past := in.Past[need]
		switch {
		case past.Err != "":
			return res.errorf("%s", past.Err)
		case len(past.Values) == 0:
			return res.errorf("there is no batch of %s to balance with; it needs a store, and the other batch in it", b.with[i])
		}
		total += past.Values[0]
		parts[i] = fmt.Sprintf("%s has %s", strings.Replace(b.with[i], balanceInput, "the step's input", 1), metricText(past.Values[0], b.of.share))
	}
	observed := fmt.Sprintf("%s is %s, %s", b.of.subject(), metricText(value, b.of.share), list(parts, 5))
	if in.Rejects > 0 && b.with[0] == balanceInput && b.of.column == "" && b.of.metric == "row_count" {
		rejects := float64(in.Rejects)
		observed = fmt.Sprintf("%s is %s and %s rejected, together %s, %s", b.of.subject(), metricText(value, false), metricText(rejects, false), metricText(value+rejects, false), parts[0])
		value += rejects
	}
	if len(parts) > 1 {
		observed += ", together " + metricText(total, b.of.share)
	}
	if total != 0 {
		fraction := (value - total) / math.Abs(total)
		res.Value = profile.FloatScalar(fraction)
		observed += ": " + signedPercent(fraction)
	} else if value == 0 {
		res.Value = profile.FloatScalar(0)
	}
	if !b.limit.inside(value, total) {
		return res.fails(observed + ", expected " + res.Limit)
	}
	res.Message = observed + ", as expected (" + res.Limit + ")"
	return res
}
