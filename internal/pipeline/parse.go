package pipeline

import (
	"fmt"
	"io"
	"maps"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

// Codes of the diagnostics of this package.
const (
	// CodeUnsupported marks a part of the format that this version cannot run.
	CodeUnsupported = "unsupported"
	// CodeCycle marks steps that need each other.
	CodeCycle = "cycle"
	// CodeStep marks a wrong step or a reference to a step that does not exist.
	CodeStep = "step"
	// CodeCommand marks a command that is missing or cannot be run.
	CodeCommand = "command"
	// CodeFile marks a file that is named but cannot be read.
	CodeFile = "file"
)

const (
	maxName     = 64
	maxAttempts = 1000
	maxWorkers  = 10_000
)

var (
	nameForm    = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)
	datasetForm = regexp.MustCompile(`^[^/\s\pC]+(/[^/\s\pC]+)?$`)
	formats     = []string{"csv", "tsv", "jsonl", "json", "parquet"}
)

// Load reads a pipeline file, see Parse. Paths are relative to its directory.
// Problems that the user can repair are of type diag.List.
func Load(path string) (*Pipeline, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, data, os.LookupEnv)
}

// LoadChecked is Load and Check in one: programs and files that are not there are
// told beside the other problems.
func LoadChecked(path string) (*Pipeline, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	p, errs := parse(path, data, os.LookupEnv)
	if p != nil {
		p.check(&errs)
	}
	if err := errs.Err(); err != nil {
		return nil, err
	}
	return p, nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err // names the operation and the path
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, yamldoc.MaxFileSize+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return data, nil
}

// Parse reads a pipeline. file is used in messages, and its directory is the
// one that paths are relative to. env gives the values of ${env:NAME}, which may
// stand everywhere but in a text for the shell; nil forbids them. The error is
// of type diag.List and holds all problems. Parse keeps data, which must not be
// changed afterwards.
func Parse(file string, data []byte, env func(string) (string, bool)) (*Pipeline, error) {
	p, errs := parse(file, data, env)
	if err := errs.Err(); err != nil {
		return nil, err
	}
	return p, nil
}

// parse returns what could be read of a pipeline, nil for nothing, and the problems.
func parse(file string, data []byte, env func(string) (string, bool)) (*Pipeline, diag.List) {
	docs, errs := yamldoc.Parse(file, data)
	if len(docs) == 0 {
		return nil, errs
	}
	for _, extra := range docs[1:] {
		extra.Root().Errorf(&errs, CodeStep, "a pipeline file holds one pipeline, this is another document")
	}
	p := &parser{errs: errs, pipeline: &Pipeline{File: file, Dir: filepath.Dir(file)}}
	root := docs[0].Root()
	if root.Kind() == yamldoc.Map {
		p.expand(root.Mapping(&p.errs), env)
	}
	p.top(root.Mapping(&p.errs))
	return p.pipeline, p.errs
}

type parser struct {
	errs     diag.List
	pipeline *Pipeline
	needs    map[string][]*yamldoc.Node // the edges of a step in the file, beside Step.Needs
	commands map[string]*yamldoc.Node
	passed   skipped // steps that a canary passes over
	// bad is set when the steps are too broken for judging their graph.
	bad bool
}

// expand replaces variables everywhere but in `sh`, where the shell has its own.
func (p *parser) expand(root *yamldoc.Mapping, env func(string) (string, bool)) {
	for _, e := range root.Entries() {
		if e.Key.Raw() != "steps" || e.Value.Kind() != yamldoc.Map {
			p.errs.Add(yamldoc.Expand(yamldoc.Variables{Env: env}, e.Value)...)
			continue
		}
		for _, step := range e.Value.Mapping(&p.errs).Entries() {
			if step.Value.Kind() != yamldoc.Map {
				continue
			}
			for _, field := range step.Value.Mapping(&p.errs).Entries() {
				if field.Key.Raw() != "sh" {
					p.errs.Add(yamldoc.Expand(yamldoc.Variables{Env: env}, field.Value)...)
				}
			}
		}
	}
}

// keys reports keys that do not exist, and keys that only later versions run.
// It returns whether there is one of the latter.
func (p *parser) keys(m *yamldoc.Mapping, where string, known, later []string) bool {
	m.Unknown(slices.Concat(known, later), where, &p.errs)
	found := false
	for _, key := range later {
		if n := m.KeyNode(key); n != nil {
			p.unsupported(n, `"`+key+`" in `+where)
			found = true
		}
	}
	return found
}

func (p *parser) unsupported(n *yamldoc.Node, what string) {
	n.Errorf(&p.errs, CodeUnsupported, "%s is not supported by this version yet", what)
}

func (p *parser) top(m *yamldoc.Mapping) {
	if m == nil {
		return
	}
	p.keys(m, "the pipeline", []string{"version", "pipeline", "source", "steps", "schedule", "every", "timezone", "catch_up", "overlap", "groups", "dlq", "canary"}, nil)
	version := m.Required("version", "the pipeline", &p.errs)
	if v, ok := version.Int(&p.errs); ok && v != 1 {
		version.Errorf(&p.errs, yamldoc.CodeValue, "version %d of pipeline files is unknown, this program reads version 1", v)
	}
	p.pipeline.Name, _ = p.name(m.Required("pipeline", "the pipeline", &p.errs), "pipeline")
	if m.Has("source") {
		p.source(m.Get("source"))
	}
	p.timing(m)
	p.groups(m.Get("groups"))
	p.dlq(m.Get("dlq"))
	p.steps(m)
	if p.pipeline.Name != "" {
		for i := range p.pipeline.Steps {
			if s := &p.pipeline.Steps[i]; s.Dataset == "" {
				s.Dataset = p.pipeline.Name + "/" + s.Name
			}
		}
	}
	p.canary(m)
}

// name reads a name that becomes part of paths and of metric labels.
func (p *parser) name(n *yamldoc.Node, what string) (string, bool) {
	text, ok := n.String(&p.errs)
	if !ok {
		return "", false
	}
	if len(text) > maxName || !nameForm.MatchString(text) {
		n.Errorf(&p.errs, yamldoc.CodeValue,
			"%q cannot be the name of a %s: use 1 to %d letters, digits, _ . and -, not starting with . or -", clip(text), what, maxName)
		return "", false
	}
	return text, true
}

func clip(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}

func (p *parser) source(n *yamldoc.Node) {
	if n.IsNull() {
		n.Errorf(&p.errs, yamldoc.CodeValue, `source is empty; write files: "in/*.csv", or leave the key out to run once without input`)
		return
	}
	m := n.Mapping(&p.errs)
	if m == nil {
		return
	}
	s := &Source{Unit: "file", Key: DefaultKey}
	p.pipeline.Source = s
	later := p.keys(m, "source", []string{"files", "watch", "nats", "sql", "http", "unit", "key", "keep"}, []string{"cron", "kafka"})
	defer p.stored(s, m)
	if q := m.Get("sql"); q != nil {
		p.sqlSource(s, m, q)
		return
	}
	if h := m.Get("http"); h != nil {
		p.httpSource(s, m, h)
		return
	}
	if n := m.Get("nats"); n != nil {
		p.nats(s, m, n)
		return
	}
	if unit := m.Get("unit"); unit != nil {
		p.unit(s, unit)
	}
	if key := m.Get("key"); key != nil {
		p.key(key)
	}
	files := m.Get("files")
	if w := m.Get("watch"); w != nil {
		if files != nil {
			m.KeyNode("watch").Errorf(&p.errs, yamldoc.CodeValue, "files and watch both name files; keep one")
		}
		files, s.Watch = w, true
	}
	if files == nil {
		if !later {
			m.Required("files", "source", &p.errs)
		}
		return
	}
	if len(files.Items()) == 0 {
		files.Errorf(&p.errs, yamldoc.CodeValue, "files names no file")
	}
	for _, f := range files.Items() {
		if pattern, ok := f.String(&p.errs); ok && p.pattern(f, pattern) {
			s.Files = append(s.Files, pattern)
		}
	}
}

func (p *parser) pattern(n *yamldoc.Node, pattern string) bool {
	if pattern == "" || strings.ContainsRune(pattern, 0) {
		n.Errorf(&p.errs, yamldoc.CodeValue, "%s is no file name", n.Describe())
		return false
	}
	for part := range strings.SplitSeq(filepath.ToSlash(pattern), "/") {
		if part == "**" {
			n.Errorf(&p.errs, yamldoc.CodeValue, `"**" is not available in a pattern; write one pattern per depth, such as [in/*.csv, in/*/*.csv]`)
			return false
		}
		if _, err := filepath.Match(part, ""); err != nil {
			n.Errorf(&p.errs, yamldoc.CodeValue, "malformed pattern in %q; put a backslash before a [ that is meant literally", clip(pattern))
			return false
		}
	}
	return true
}

var keyPlaceholder = regexp.MustCompile(`\{[^{}]*\}`)

func (p *parser) key(n *yamldoc.Node) { p.keyOf(n, []string{"{path}", "{name}", "{sha256}"}) }

// keyOf reads the template of a source key with the known placeholders.
func (p *parser) keyOf(n *yamldoc.Node, known []string) {
	text, ok := n.String(&p.errs)
	if !ok {
		return
	}
	found := keyPlaceholder.FindAllString(text, -1)
	for _, f := range found {
		if !slices.Contains(known, f) {
			d := n.Diagnostic(yamldoc.CodeValue, "unknown placeholder %s in key; there are %s and %s", clip(f), strings.Join(known[:len(known)-1], ", "), known[len(known)-1])
			d.Hint = diag.Hint(f, known)
			p.errs.Add(d)
		}
	}
	if len(found) == 0 {
		n.Errorf(&p.errs, yamldoc.CodeValue, "key has no placeholder, so that all would be one unit; use %s or %s", strings.Join(known[:len(known)-1], ", "), known[len(known)-1])
	}
	p.pipeline.Source.Key = text
}

func (p *parser) steps(top *yamldoc.Mapping) {
	n := top.Required("steps", "the pipeline", &p.errs)
	if n == nil {
		return
	}
	m := n.Mapping(&p.errs)
	if m == nil {
		return
	}
	if m.Len() == 0 {
		n.Errorf(&p.errs, yamldoc.CodeValue, "steps is empty; a pipeline has at least one step")
		return
	}
	p.needs, p.commands = map[string][]*yamldoc.Node{}, map[string]*yamldoc.Node{}
	for _, e := range m.Entries() {
		name, ok := p.name(e.Key, "step")
		if !ok {
			name, p.bad = e.Key.Raw(), true
		}
		p.step(name, e)
	}
	p.sqlSteps(m)
	if p.graph(m.Keys()) {
		p.units()
	}
	for i := range p.pipeline.Steps {
		p.command(&p.pipeline.Steps[i])
	}
}

func (p *parser) step(name string, e yamldoc.Entry) {
	where := fmt.Sprintf("step %q", clip(name))
	s := Step{
		Name: name, Timeout: DefaultTimeout, Pos: e.Key.Pos(),
		Profile: Profile{Output: true, Sample: 1},
		Retry: Retry{
			Attempts: DefaultAttempts, Backoff: DefaultBackoff, Factor: DefaultFactor, MaxBackoff: DefaultMaxBackoff,
			Jitter: DefaultJitter, On: []Trigger{OnExit, OnTimeout, OnLease},
		},
	}
	defer func() { p.pipeline.Steps = append(p.pipeline.Steps, s) }()
	if e.Value.IsNull() {
		e.Key.Errorf(&p.errs, CodeCommand, "%s is empty; give it a command with run: or sh:", where)
		return
	}
	m := e.Value.Mapping(&p.errs)
	if m == nil {
		return
	}
	p.keys(m, where,
		[]string{"run", "sh", "needs", "format", "dataset", "rules", "on_fail", "profile", "timeout", "retry", "rejects", "workers", "resources", "http", "sql", "worker", "group", "fan_in", "split", "canary"}, nil)
	p.commandOf(&s, m, e.Key, where)
	if n := m.Get("needs"); n != nil {
		p.needsOf(&s, n)
	}
	if n := m.Get("canary"); n != nil {
		p.skipCanary(&s, n)
	}
	if n := m.Get("dataset"); n != nil {
		s.Dataset = p.dataset(n)
	}
	if n := m.Get("rules"); n != nil {
		p.rules(&s, n)
	}
	if text, ok := m.Get("on_fail").OneOf(&p.errs, string(Block), string(Warn), string(Quarantine)); ok {
		s.OnFail = OnFail(text)
	}
	if text, ok := m.Get("rejects").OneOf(&p.errs, string(RejectsFD3), string(RejectsStderr)); ok {
		s.Rejects = Rejects(text)
	}
	if n := m.Get("group"); n != nil {
		s.Group, _ = n.String(&p.errs)
		if _, ok := p.pipeline.Groups[s.Group]; !ok {
			d := n.Diagnostic(CodeStep, "%s is in the group %q, which the pipeline does not have; write groups: {%s: {max: 4}}", where, clip(s.Group), clip(s.Group))
			d.Hint = diag.Hint(s.Group, slices.Sorted(maps.Keys(p.pipeline.Groups)))
			p.errs.Add(d)
		}
	}
	p.shape(&s, m, where)
	p.settings(&s, m, where)
}

// groups reads the capacities that steps share.
func (p *parser) groups(n *yamldoc.Node) {
	m := n.Mapping(&p.errs)
	if m == nil {
		return
	}
	p.pipeline.Groups = map[string]int{}
	for _, e := range m.Entries() {
		name, ok := p.name(e.Key, "group")
		g := e.Value.Mapping(&p.errs)
		if !ok || g == nil {
			continue
		}
		p.keys(g, "the group", []string{"max"}, nil)
		p.pipeline.Groups[name], _ = p.count(g.Required("max", "the group", &p.errs), 1, maxWorkers)
	}
}

func (p *parser) commandOf(s *Step, m *yamldoc.Mapping, key *yamldoc.Node, where string) {
	run, sh := m.Get("run"), m.Get("sh")
	if q := m.Get("sql"); q != nil {
		p.sql(s, m, q, where)
		return
	}
	if h := m.Get("http"); h != nil {
		p.http(s, m, h, where)
		return
	}
	if w := m.Get("worker"); w != nil {
		p.worker(s, m, w, where)
		return
	}
	switch {
	case run != nil && sh != nil:
		m.KeyNode("sh").Errorf(&p.errs, CodeCommand, "%s has run and sh; a step has exactly one command", where)
	case run == nil && sh == nil:
		key.Errorf(&p.errs, CodeCommand, `%s has no command; give it one with run: ["program", "argument"] or sh: "text for the shell"`, where)
	case run != nil:
		p.commands[s.Name], s.CommandPos = run, run.Pos()
		if run.IsScalar() && !run.IsNull() {
			run.Errorf(&p.errs, CodeCommand, `run is a list, run: ["program", "argument"]; a text for the shell is written sh: "…"`)
			return
		}
		if run.IsNull() || (run.Kind() == yamldoc.List && len(run.Items()) == 0) {
			run.Errorf(&p.errs, CodeCommand, "run is empty; it is the program followed by its arguments")
			return
		}
		s.Run, _ = run.StringList(&p.errs)
		for i, arg := range s.Run {
			if strings.ContainsRune(arg, 0) {
				run.Items()[i].Errorf(&p.errs, CodeCommand, "an argument cannot contain a NUL character")
			}
		}
		if len(s.Run) > 0 && strings.TrimSpace(s.Run[0]) == "" {
			run.Items()[0].Errorf(&p.errs, CodeCommand, "the program's name is empty")
		}
	default:
		p.commands[s.Name], s.CommandPos = sh, sh.Pos()
		text, ok := sh.String(&p.errs)
		switch {
		case ok && strings.TrimSpace(text) == "":
			sh.Errorf(&p.errs, CodeCommand, "sh is empty")
		case strings.ContainsRune(text, 0):
			sh.Errorf(&p.errs, CodeCommand, "a text for the shell cannot contain a NUL character")
		}
		s.Shell = text
	}
}

// worker reads that a step is for workers of the lease API.
func (p *parser) worker(s *Step, m *yamldoc.Mapping, n *yamldoc.Node, where string) {
	s.CommandPos = n.Pos()
	yamldoc.Set(&s.Worker, n, (*yamldoc.Node).Bool, &p.errs)
	if !s.Worker {
		n.Errorf(&p.errs, CodeCommand, "worker is true, or it is left out")
	}
	for _, other := range []string{"run", "sh", "sql"} {
		if m.Has(other) {
			m.KeyNode(other).Errorf(&p.errs, CodeCommand, "%s has worker and %s; a step has exactly one command", where, other)
		}
	}
	for _, key := range []string{"rejects", "resources"} {
		if m.Has(key) {
			m.KeyNode(key).Errorf(&p.errs, CodeCommand, "%s is for workers of the lease API, which has no %s here", where, key)
		}
	}
}

// http reads the function that a step calls.
func (p *parser) http(s *Step, m *yamldoc.Mapping, n *yamldoc.Node, where string) {
	s.HTTP, s.CommandPos = &HTTP{}, n.Pos()
	for _, other := range []string{"run", "sh", "sql", "worker"} {
		if m.Has(other) {
			m.KeyNode(other).Errorf(&p.errs, CodeCommand, "%s has http and %s; a step has exactly one command", where, other)
		}
	}
	for _, key := range []string{"rejects", "resources"} {
		if m.Has(key) {
			m.KeyNode(key).Errorf(&p.errs, CodeCommand, "%s calls a function by HTTP, which has no %s", where, key)
		}
	}
	f := n.Mapping(&p.errs)
	if f == nil {
		return
	}
	p.keys(f, "http of "+where, []string{"url", "batch", "secret"}, nil)
	if at := f.Required("url", "http", &p.errs); at != nil {
		s.HTTP.URL, _ = at.String(&p.errs)
		if u, err := url.Parse(s.HTTP.URL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			at.Errorf(&p.errs, CodeCommand, `the url is like "http://127.0.0.1:9000/enrich"`)
		}
	}
	s.HTTP.Batch, _ = p.count(f.Get("batch"), 1, 1_000_000)
	yamldoc.Set(&s.HTTP.Secret, f.Get("secret"), (*yamldoc.Node).String, &p.errs)
}

func (p *parser) needsOf(s *Step, n *yamldoc.Node) {
	add := func(at *yamldoc.Node, q Quality) {
		name, ok := at.String(&p.errs)
		if !ok {
			p.bad = true
			return
		}
		if slices.ContainsFunc(s.Needs, func(o Need) bool { return o.Step == name }) {
			at.Errorf(&p.errs, CodeStep, "step %q is needed twice", clip(name))
			return
		}
		s.Needs = append(s.Needs, Need{name, q})
		p.needs[s.Name] = append(p.needs[s.Name], at)
	}
	if n.Kind() != yamldoc.Map {
		for _, item := range n.Items() {
			add(item, Pass)
		}
		return
	}
	for _, e := range n.Mapping(&p.errs).Entries() {
		q := Pass
		if word, _ := e.Value.OneOf(&p.errs, "pass", "any"); word == "any" {
			q = Any
		}
		add(e.Key, q)
	}
}

func (p *parser) dataset(n *yamldoc.Node) string {
	text, ok := n.String(&p.errs)
	if !ok {
		return ""
	}
	if !datasetForm.MatchString(text) {
		n.Errorf(&p.errs, yamldoc.CodeValue, "%q is no dataset; it is namespace/name or a name alone, without spaces", clip(text))
	}
	if !strings.Contains(text, "/") {
		text = "default/" + text
	}
	return text
}

func (p *parser) rules(s *Step, n *yamldoc.Node) {
	if len(n.Items()) == 0 {
		n.Errorf(&p.errs, yamldoc.CodeValue, "rules names no file; leave the key out if there is none")
	}
	for _, item := range n.Items() {
		text, ok := item.String(&p.errs)
		switch {
		case ok && text == "":
			item.Errorf(&p.errs, yamldoc.CodeValue, "rules names no file; leave the key out if there is none")
		case ok:
			s.Rules = append(s.Rules, text)
			s.rulePos = append(s.rulePos, item.Pos())
		}
	}
}

// settings reads the mappings of numbers: format, profile, timeout, retry and
// workers.
func (p *parser) settings(s *Step, m *yamldoc.Mapping, where string) {
	if f := m.Get("format").Mapping(&p.errs); f != nil {
		p.keys(f, "format of "+where, []string{"in", "out"}, nil)
		s.Format.In, _ = f.Get("in").OneOf(&p.errs, formats...)
		s.Format.Out, _ = f.Get("out").OneOf(&p.errs, formats...)
	}
	if f := m.Get("profile").Mapping(&p.errs); f != nil {
		p.keys(f, "profile of "+where, []string{"input", "output", "sample"}, nil)
		yamldoc.Set(&s.Profile.Input, f.Get("input"), (*yamldoc.Node).Bool, &p.errs)
		yamldoc.Set(&s.Profile.Output, f.Get("output"), (*yamldoc.Node).Bool, &p.errs)
		yamldoc.Set(&s.Profile.Sample, f.Get("sample"), (*yamldoc.Node).Percent, &p.errs)
		if v := s.Profile.Sample; !(v > 0 && v <= 1) {
			f.Get("sample").Errorf(&p.errs, yamldoc.CodeValue, "sample is above 0 and at most 1 (100%%)")
		}
	}
	if f := m.Get("timeout").Mapping(&p.errs); f != nil {
		p.timeout(s, f, where)
	}
	if f := m.Get("resources").Mapping(&p.errs); f != nil {
		p.resources(&s.Resources, f, where)
	}
	if f := m.Get("retry").Mapping(&p.errs); f != nil {
		p.retry(&s.Retry, f, where)
	}
	if f := m.Get("workers").Mapping(&p.errs); f != nil {
		p.workers(s, f, where)
	}
}

// minHeartbeat keeps a busy machine from losing leases.
const minHeartbeat = time.Second

func (p *parser) timeout(s *Step, m *yamldoc.Mapping, where string) {
	p.keys(m, "timeout of "+where, []string{"run", "heartbeat", "queue"}, nil)
	for _, f := range []struct {
		key  string
		to   *time.Duration
		low  time.Duration
		like string
	}{{"run", &s.Timeout, 1, "10m"}, {"heartbeat", &s.Heartbeat, minHeartbeat, "60s"}, {"queue", &s.QueueTimeout, 1, "24h"}} {
		n := m.Get(f.key)
		yamldoc.Set(f.to, n, (*yamldoc.Node).Duration, &p.errs)
		switch {
		case n == nil || *f.to >= f.low:
		case f.low > 1:
			n.Errorf(&p.errs, yamldoc.CodeValue, "%s is at least %s, such as %s", f.key, f.low, f.like)
		default:
			n.Errorf(&p.errs, yamldoc.CodeValue, "the timeout is above 0, such as %s", f.like)
		}
	}
}

// minMemory is what a program needs to start at all.
const minMemory = 1 << 20

func (p *parser) resources(r *Resources, m *yamldoc.Mapping, where string) {
	p.keys(m, "resources of "+where, []string{"memory", "cpu", "nice"}, nil)
	if n := m.Get("memory"); n != nil {
		size, ok := n.Bytes(&p.errs)
		if r.Memory = size; ok && size < minMemory {
			n.Errorf(&p.errs, yamldoc.CodeValue, "memory is at least 1MiB, such as 512MiB")
		}
	}
	r.CPU, _ = p.count(m.Get("cpu"), 1, maxWorkers)
	r.Nice, _ = p.count(m.Get("nice"), 0, 19)
}

// count reads a whole number within limits.
func (p *parser) count(n *yamldoc.Node, low, high int64) (int, bool) {
	v, ok := n.Int(&p.errs)
	if !ok {
		return 0, false
	}
	if v < low || v > high {
		n.Errorf(&p.errs, yamldoc.CodeValue, "expected a whole number from %d to %d, got %d", low, high, v)
		return 0, false
	}
	return int(v), true
}

func (p *parser) retry(r *Retry, m *yamldoc.Mapping, where string) {
	p.keys(m, "retry of "+where, []string{"attempts", "backoff", "factor", "max_backoff", "jitter", "on"}, nil)
	if v, ok := p.count(m.Get("attempts"), 1, maxAttempts); ok {
		r.Attempts = v
	}
	yamldoc.Set(&r.Backoff, m.Get("backoff"), (*yamldoc.Node).Duration, &p.errs)
	yamldoc.Set(&r.MaxBackoff, m.Get("max_backoff"), (*yamldoc.Node).Duration, &p.errs)
	yamldoc.Set(&r.Factor, m.Get("factor"), (*yamldoc.Node).Float, &p.errs)
	yamldoc.Set(&r.Jitter, m.Get("jitter"), (*yamldoc.Node).Percent, &p.errs)
	if r.Factor < 1 || r.Factor > math.MaxInt32 {
		m.Get("factor").Errorf(&p.errs, yamldoc.CodeValue, "factor is at least 1")
	}
	if r.Jitter < 0 || r.Jitter > 1 {
		m.Get("jitter").Errorf(&p.errs, yamldoc.CodeValue, "jitter is from 0 to 1 (100%%)")
	}
	if r.MaxBackoff < r.Backoff && m.Has("max_backoff") {
		m.Get("max_backoff").Errorf(&p.errs, yamldoc.CodeValue, "max_backoff (%s) is shorter than backoff (%s)", r.MaxBackoff, r.Backoff)
	}
	r.MaxBackoff = max(r.MaxBackoff, r.Backoff)
	if n := m.Get("on"); n != nil {
		r.On = []Trigger{}
		for _, item := range n.Items() {
			if word, ok := item.OneOf(&p.errs, string(OnExit), string(OnTimeout), string(OnLease)); ok && !slices.Contains(r.On, Trigger(word)) {
				r.On = append(r.On, Trigger(word))
			}
		}
	}
}
