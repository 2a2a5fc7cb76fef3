package signal

import (
	_ "embed"
	"fmt"
	"slices"
	"time"

	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

//go:embed manifest.yaml
var manifestText []byte

// set describes a sequence of batches of real data.
type set struct {
	name, source, per, slot string
	time, drop, nulls       []string
	heldOut                 bool
	labels                  []Label
}

// Label names batches in which the data really was different.
type Label struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`   // the last day
	Kind string    `json:"kind"` // regime or failure
	Why  string    `json:"why"`
}

type manifest struct {
	batches int
	sets    []set
}

// readManifest reads a manifest; the error lists all mistakes.
func readManifest(file string, data []byte) (*manifest, error) {
	docs, errs := yamldoc.Parse(file, data)
	m := &manifest{batches: 240}
	for _, d := range docs {
		var sets *yamldoc.Node
		version := 1
		d.Root().Mapping(&errs).Fill("", yamldoc.Fields{"version": &version, "batches": &m.batches, "sets": &sets}, &errs)
		if version != 1 {
			d.Root().Errorf(&errs, yamldoc.CodeValue, "version %d of the manifest is not known; write 1", version)
		}
		for _, n := range sets.Items() {
			m.sets = append(m.sets, readSet(n, &errs))
		}
	}
	if err := errs.Sorted().Err(); err != nil {
		return nil, fmt.Errorf("read the manifest: %w", err)
	}
	return m, nil
}

func readSet(n *yamldoc.Node, errs *diag.List) set {
	s := set{slot: "none"}
	m := n.Mapping(errs)
	m.Fill("set", yamldoc.Fields{
		"name": &s.name, "source": &s.source, "time": &s.time, "drop": &s.drop, "nulls": &s.nulls, "held_out": &s.heldOut,
		"per":    func(n *yamldoc.Node) { s.per, _ = n.OneOf(errs, "file", "day", "week", "month") },
		"slot":   func(n *yamldoc.Node) { s.slot, _ = n.OneOf(errs, "weekday", "hour", "none") },
		"labels": func(n *yamldoc.Node) { s.labels = readLabels(n, errs) },
	}, errs)
	for _, key := range []string{"name", "source", "per"} {
		m.Required(key, "set", errs)
	}
	if s.per != "" && s.per != "file" && len(s.time) != 1 && len(s.time) != 3 {
		n.Errorf(errs, yamldoc.CodeValue, "set %s: time names one column, or year, month and day", s.name)
	}
	return s
}

func readLabels(n *yamldoc.Node, errs *diag.List) (labels []Label) {
	for _, item := range n.Items() {
		var l Label
		item.Mapping(errs).Fill("label", yamldoc.Fields{
			"from": &l.From, "to": &l.To, "why": &l.Why,
			"kind": func(n *yamldoc.Node) { l.Kind, _ = n.OneOf(errs, "regime", "failure") },
		}, errs)
		labels = append(labels, l)
	}
	return labels
}

// label returns the label of a day, nil if it has none.
func label(labels []Label, at time.Time) *Label {
	i := slices.IndexFunc(labels, func(l Label) bool { return !at.Before(l.From) && at.Before(l.To.AddDate(0, 0, 1)) })
	if i < 0 {
		return nil
	}
	return &labels[i]
}
