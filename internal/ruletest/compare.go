package ruletest

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/monitor"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

// comparison compares what is expected of a batch with its report. What is not
// named is not compared.
type comparison struct {
	outcome *Outcome
	batch   string
	message string // of the result at hand
}

func (c *comparison) differ(n *yamldoc.Node, path, want, got string) {
	c.outcome.Differences = append(c.outcome.Differences, Difference{
		Pos: n.Pos(), Batch: c.batch, Path: path, Want: want, Got: got, Message: c.message,
	})
}

// Compare compares what is expected with a value in the form of decoded JSON
// whose numbers are json.Number. What is not named is not compared.
func (o *Outcome) Compare(want *yamldoc.Node, path string, got any) {
	(&comparison{outcome: o}).value(want, path, got)
}

// Differ notes one value that is not as expected.
func (o *Outcome) Differ(n *yamldoc.Node, path, want, got string) {
	(&comparison{outcome: o}).differ(n, path, want, got)
}

// report compares a whole report.
func (c *comparison) report(want *yamldoc.Node, o *monitor.Outcome) error {
	got, err := decoded(o.Report)
	if err != nil {
		return err
	}
	var ignored diag.List
	for _, e := range want.Mapping(&ignored).Entries() {
		key := e.Key.Raw()
		if key == "results" {
			c.results(e.Value, got.(map[string]any)["results"].([]any))
			continue
		}
		if key == "verdict" {
			c.message = worst(o.Report)
		}
		c.value(e.Value, key, got.(map[string]any)[key])
		c.message = ""
	}
	return nil
}

// worst names the results that a verdict comes from.
func worst(r checks.Report) string {
	var names []string
	for i := range r.Results {
		if res := &r.Results[i]; res.Status == r.Verdict && res.Status != checks.Pass {
			names = append(names, res.ID+": "+res.Message)
		}
	}
	return strings.Join(names, "\n")
}

// results compares results by their ids.
func (c *comparison) results(want *yamldoc.Node, got []any) {
	ids := make([]string, len(got))
	for i, r := range got {
		ids[i], _ = r.(map[string]any)["id"].(string)
	}
	var ignored diag.List
	for _, item := range want.Items() {
		m := item.Mapping(&ignored)
		id := m.Get("id").Raw()
		at := slices.Index(ids, id)
		if at < 0 {
			found := "none; there are " + strings.Join(ids, ", ")
			if hint := diag.Hint(id, ids); hint != "" {
				found = "none; " + hint
			}
			c.message = ""
			c.differ(m.Get("id"), "results["+id+"]", "a result", found)
			continue
		}
		result := got[at].(map[string]any)
		c.message, _ = result["message"].(string)
		c.mapping(item, "results["+id+"]", result)
		c.message = ""
	}
}

// mapping compares the keys that are expected.
func (c *comparison) mapping(want *yamldoc.Node, path string, got map[string]any) {
	var ignored diag.List
	for _, e := range want.Mapping(&ignored).Entries() {
		key := e.Key.Raw()
		switch key {
		case "message", "limit", "reason": // a part is enough
			text, _ := got[key].(string)
			if !strings.Contains(text, e.Value.Raw()) {
				c.differ(e.Value, path+"."+key, "a text with "+strconv.Quote(e.Value.Raw()), shown(got[key]))
			}
		case "segments":
			c.listed(e.Value, path+"."+key, got[key], "value")
		case "failing_rows":
			c.listed(e.Value, path+"."+key, got[key], "row")
		default:
			c.value(e.Value, path+"."+key, got[key])
		}
	}
}

// listed compares items of a list that are found by one of their keys.
func (c *comparison) listed(want *yamldoc.Node, path string, got any, key string) {
	list, _ := got.([]any)
	if len(want.Items()) == 0 {
		c.value(want, path, got)
		return
	}
	var ignored diag.List
items:
	for _, item := range want.Items() {
		m := item.Mapping(&ignored)
		id := m.Get(key)
		for _, g := range list {
			if entry, ok := g.(map[string]any); ok && equal(id, entry[key]) {
				c.mapping(item, fmt.Sprintf("%s[%s]", path, id.Raw()), entry)
				continue items
			}
		}
		names := []string{}
		for _, g := range list {
			if entry, ok := g.(map[string]any); ok {
				names = append(names, shown(entry[key]))
			}
		}
		c.differ(item, fmt.Sprintf("%s[%s]", path, id.Raw()), "one with "+key+" "+id.Raw(), "those with "+strings.Join(names, ", "))
	}
}

// value compares any value.
func (c *comparison) value(want *yamldoc.Node, path string, got any) {
	switch want.Kind() {
	case yamldoc.Map:
		entry, ok := got.(map[string]any)
		if !ok {
			c.differ(want, path, "an object", shown(got))
			return
		}
		c.mapping(want, path, entry)
	case yamldoc.List:
		list, ok := got.([]any)
		if !ok && got == nil {
			list, ok = nil, true
		}
		items := want.Items()
		if !ok || len(list) != len(items) {
			c.differ(want, path, fmt.Sprintf("%d items", len(items)), shown(got))
			return
		}
		for i, item := range items {
			c.value(item, fmt.Sprintf("%s[%d]", path, i), list[i])
		}
	default:
		if !equal(want, got) {
			c.differ(want, path, wanted(want), shown(got))
		}
	}
}

// equal compares a scalar. A number with a fraction is compared by the digits
// that are written: 0.33 is any number that rounds to it.
func equal(want *yamldoc.Node, got any) bool {
	switch want.Kind() {
	case yamldoc.Null:
		return got == nil
	case yamldoc.Bool:
		var ignored diag.List
		b, _ := want.Bool(&ignored)
		return got == b
	case yamldoc.Int, yamldoc.Float:
		n, ok := got.(json.Number)
		return ok && equalNumber(want, string(n))
	default:
	}
	switch g := got.(type) {
	case string:
		return g == want.Raw()
	case json.Number: // 5%
		var ignored diag.List
		if !want.IsPercent() {
			return false
		}
		share, ok := want.Percent(&ignored)
		f, err := g.Float64()
		return ok && err == nil && math.Abs(f-share) <= 1e-9
	}
	return false
}

func equalNumber(want *yamldoc.Node, got string) bool {
	text := strings.ReplaceAll(want.Raw(), "_", "")
	w, ok := new(big.Float).SetPrec(200).SetString(text)
	g, ok2 := new(big.Float).SetPrec(200).SetString(got)
	if !ok || !ok2 {
		return false
	}
	if w.Cmp(g) == 0 {
		return true
	}
	_, fraction, has := strings.Cut(text, ".")
	if !has || strings.ContainsAny(text, "eE") {
		return false
	}
	half := new(big.Float).SetPrec(200).Quo(big.NewFloat(0.5), new(big.Float).SetFloat64(math.Pow(10, float64(len(fraction)))))
	return new(big.Float).Abs(new(big.Float).SetPrec(200).Sub(w, g)).Cmp(half) <= 0
}

func wanted(n *yamldoc.Node) string {
	if n.Kind() == yamldoc.Null {
		return "null"
	}
	return n.Raw()
}

// shown is a value of a report as a difference shows it.
func shown(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return v
	case json.Number:
		return v.String()
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	const most = 200
	if len(b) > most {
		return string(b[:most]) + "…"
	}
	return string(b)
}
