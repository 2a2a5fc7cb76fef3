package cli

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/profilerhq/profiler/internal/app"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/config"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/monitor"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/rules"
)

// keyVariable is the secret of the key of sensitive columns.
const keyVariable = "PROFILER_SENSITIVE_KEY"

// sensitiveNotes is what was said already of sensitive columns.
type sensitiveNotes struct {
	keys    *app.Keys
	own     bool
	missing map[string]bool
}

// keys returns those of this run. readOnly makes none in a store that has none.
func (e *env) keys(readOnly bool) *app.Keys {
	secret, _ := e.lookup(keyVariable)
	e.sensitive.keys = app.NewKeys(secret, readOnly)
	return e.sensitive.keys
}

// noteSensitive tells once what is odd about the sensitive columns of a batch.
func (e *env) noteSensitive(o *monitor.Outcome) {
	if o == nil || o.Profile.Key() == "" {
		return
	}
	n := &e.sensitive
	masked := slices.ContainsFunc(o.Profile.Summary().Columns, func(c profile.Column) bool { return c.Sensitive })
	if masked && n.keys.Own() && !n.own {
		n.own = true
		e.note("sensitive columns are hashed with a key of this run alone; set %s (or name a --store) to compare or merge this profile with others", keyVariable)
	}
	n.noteMissing(e, o)
}

// noteMissing tells of names that no column has: a slip of the pen would show
// what should be masked. Rules of many datasets may well name columns that one
// of them lacks.
func (n *sensitiveNotes) noteMissing(e *env, o *monitor.Outcome) {
	names := o.Profile.ColumnNames()
	if len(names) == 0 {
		return
	}
	wanted := slices.Clone(o.Sensitive)
	for _, s := range o.Rules {
		if !checks.IsPattern(s.Dataset) {
			wanted = append(wanted, s.Sensitive...)
		}
	}
	var missing []string
	hint := ""
	for _, pattern := range wanted {
		if n.missing[pattern] || matchesAny(pattern, names) {
			continue
		}
		if n.missing == nil {
			n.missing = map[string]bool{}
		}
		n.missing[pattern] = true
		missing = append(missing, strconv.Quote(pattern))
		if hint == "" {
			hint = diag.Hint(pattern, names)
		}
	}
	if len(missing) == 0 {
		return
	}
	if hint == "" {
		hint = "there are " + strings.Join(names[:min(len(names), 8)], ", ")
	}
	e.note("warning: no column matches %s, to be masked as sensitive; %s", strings.Join(missing, ", "), hint)
}

func matchesAny(pattern string, names []string) bool {
	for _, name := range names {
		if (checks.Sensitive{pattern}).Has(name) {
			return true
		}
	}
	return false
}

// sensitiveRules returns what the rules call sensitive, by dataset, for commands
// that do not judge. Mistakes elsewhere in the rules are passed over; a file
// with mistakes that names sensitive columns is not: they might be shown.
func (e *env) sensitiveRules(cfg *config.Config) (func(dataset string) checks.Sensitive, error) {
	lib, diags, err := e.readRules(nil, cfg)
	if err != nil {
		return nil, err
	}
	var broken diag.List
	for _, d := range diags {
		if d.Severity == diag.Error && bytes.Contains(lib.Source(d.Pos.File), []byte("sensit")) {
			broken.Add(d)
		}
	}
	if broken.HasErrors() {
		e.printDiagnostics(broken, lib.Source)
		return nil, broken
	}
	return func(dataset string) checks.Sensitive { return rules.SensitiveOf(lib.For(dataset)) }, nil
}
