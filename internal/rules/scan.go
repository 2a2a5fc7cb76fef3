package rules

import (
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/cron"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

// Scan says what the service reads by itself, and when.
type Scan struct {
	// Source is a file, a folder or a pattern.
	Source string
	// Each makes every file a batch of its own.
	Each      bool
	Format    string // empty is found by content
	Delimiter byte   // 0 is found
	Schedule  cron.Schedule
	Pos       diag.Position
}

var (
	sourceKeys    = []string{"url", "each", "format", "delimiter", "partition"}
	sourceFormats = []string{"csv", "tsv", "jsonl", "json", "parquet", "arrow"}
)

// parseScan reads schedule, every, timezone and source. What cannot be scanned
// yet is an error, never left out.
func (s *Set) parseScan(m *yamldoc.Mapping, errs *diag.List) {
	before := len(*errs)
	zone := s.parseZone(m.Get("timezone"), errs)
	schedule := parseSchedule(m, zone, errs)
	scan := s.parseSource(m.Get("source"), errs)
	for _, c := range s.Checks {
		c.InZone(zone)
	}
	when := m.KeyNode("schedule")
	if when == nil {
		when = m.KeyNode("every")
	}
	switch {
	case len(*errs) > before:
		return
	case when != nil && scan == nil:
		when.Errorf(errs, yamldoc.CodeMissingKey, "%q says when serve scans a source; add source:", when.Raw())
		return
	case scan != nil && when == nil:
		m.KeyNode("source").Errorf(errs, yamldoc.CodeMissingKey, "serve scans a source at the times of schedule: or every:; add one")
		return
	case scan == nil:
		return
	case s.Dataset == "" || checks.IsPattern(s.Dataset):
		m.KeyNode("source").Errorf(errs, yamldoc.CodeMissingKey, "a source is that of one dataset; name it with dataset:")
		return
	}
	scan.Schedule = schedule
	s.Scan = scan
}

func (s *Set) parseZone(n *yamldoc.Node, errs *diag.List) *time.Location {
	name, ok := n.String(errs)
	if !ok {
		return nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		n.Errorf(errs, yamldoc.CodeValue, "unknown time zone %q; write one like Europe/Berlin", name)
	}
	return zone
}

func parseSchedule(m *yamldoc.Mapping, zone *time.Location, errs *diag.List) cron.Schedule {
	at, every := m.Get("schedule"), m.Get("every")
	if at != nil && every != nil {
		m.KeyNode("every").Errorf(errs, yamldoc.CodeValue, "\"schedule\" and \"every\" both say when; keep one")
		return nil
	}
	if text, ok := at.String(errs); ok {
		schedule, err := cron.Parse(text, zone)
		if err != nil {
			at.Errorf(errs, yamldoc.CodeValue, "%v", err)
		}
		return schedule
	}
	if every == nil {
		return nil
	}
	span, ok := every.Duration(errs)
	if ok && span < time.Second {
		every.Errorf(errs, yamldoc.CodeValue, "a source is scanned every second at most")
		return nil
	}
	if !ok {
		return nil
	}
	return cron.Every(span)
}

// parseSource reads a source: its name, or a mapping with more.
func (s *Set) parseSource(n *yamldoc.Node, errs *diag.List) *Scan {
	if n == nil {
		return nil
	}
	scan := &Scan{Pos: n.Pos()}
	url := n
	if n.Kind() == yamldoc.Map {
		m := n.Mapping(errs)
		m.Unknown(sourceKeys, "source", errs)
		url = m.Required("url", "source", errs)
		yamldoc.Set(&scan.Each, m.Get("each"), (*yamldoc.Node).Bool, errs)
		scan.Format, _ = m.Get("format").OneOf(errs, sourceFormats...)
		if d := m.Get("delimiter"); d != nil {
			text, _ := d.String(errs)
			if text == `\t` || text == "tab" {
				text = "\t"
			}
			if len(text) != 1 {
				d.Errorf(errs, yamldoc.CodeValue, "the delimiter is a single ASCII character, got %s", d.Describe())
				return nil
			}
			scan.Delimiter = text[0]
		}
		if p := m.KeyNode("partition"); p != nil {
			p.Errorf(errs, yamldoc.CodeUnknownKey, "\"partition\" is for tables of a database, which this version does not scan yet; with each: true every file is a batch")
		}
	}
	name, ok := url.String(errs)
	switch {
	case !ok:
		return nil
	case name == "" || name == "-":
		url.Errorf(errs, yamldoc.CodeValue, "%q cannot be scanned; name a file, a folder or a pattern", name)
		return nil
	case strings.Contains(name, "://"):
		kind, _, _ := strings.Cut(name, "://")
		if url.FromEnv() {
			kind = "the kind in " + url.Written()
		}
		url.Errorf(errs, yamldoc.CodeValue, "sources of %s are not scanned by this version yet; name a file, a folder or a pattern", kind)
		return nil
	}
	if scan.Source = name; !filepath.IsAbs(name) {
		scan.Source = filepath.Join(filepath.Dir(s.File), name)
	}
	return scan
}

// Scans returns the sets that the service scans by itself.
func (l *Library) Scans() []*Set {
	return slices.DeleteFunc(slices.Clone(l.Sets), func(s *Set) bool { return s.Scan == nil })
}
