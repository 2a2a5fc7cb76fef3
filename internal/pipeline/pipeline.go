// Package pipeline reads pipeline files: a name, a source and a graph of steps.
// It decides what a valid pipeline is and in which order its steps stand; it
// runs nothing.
package pipeline

import (
	"net/url"
	"path/filepath"
	"slices"
	"time"

	"github.com/profilerhq/profiler/internal/diag"
)

// Defaults of a step. They are part of the file format.
const (
	DefaultTimeout    = 10 * time.Minute
	DefaultAttempts   = 5
	DefaultBackoff    = 2 * time.Second
	DefaultFactor     = 2.0
	DefaultMaxBackoff = 5 * time.Minute
	DefaultJitter     = 0.2
	// DefaultKey makes a file another unit when its path or its content changes.
	DefaultKey = "{path}#{sha256}"
)

// Pipeline is a valid pipeline file.
type Pipeline struct {
	// Name is safe as part of a path.
	Name string
	// File is the name of the file as it was given to Parse or Load.
	File string
	// Dir is the directory that the paths of the file are relative to and that
	// commands start in.
	Dir string
	// Source says where units come from; nil means that the pipeline runs once,
	// without input.
	Source *Source
	// Timing says when the service begins runs by itself.
	Timing Timing
	// Groups are capacities that steps share: units held at once, by all workers.
	Groups map[string]int
	// DLQKeep is how long dead letters are kept in the service; 0 is for ever.
	DLQKeep time.Duration
	// Canary is the known input that the service sends through; nil is none.
	Canary *Canary
	// Steps are in topological order: a step stands behind all that it needs, and
	// otherwise as in the file.
	Steps []Step
}

// Step returns the step of that name, or nil.
func (p *Pipeline) Step(name string) *Step {
	for i := range p.Steps {
		if p.Steps[i].Name == name {
			return &p.Steps[i]
		}
	}
	return nil
}

// Path returns a path of the file as seen from the process: absolute ones as
// they are, others below Dir.
func (p *Pipeline) Path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(p.Dir, name)
}

// Shared returns the steps that share the capacity of a step, and how many units
// they hold at once; 0 is no limit.
func (p *Pipeline) Shared(s *Step) (steps []string, limit int) {
	if s.Group == "" {
		return nil, 0
	}
	for i := range p.Steps {
		if p.Steps[i].Group == s.Group {
			steps = append(steps, p.Steps[i].Name)
		}
	}
	return steps, p.Groups[s.Group]
}

// RuleFiles lists the rule files of all steps, each once, as Path gives them.
func (p *Pipeline) RuleFiles() []string {
	var files []string
	for i := range p.Steps {
		for _, r := range p.Steps[i].Rules {
			if path := p.Path(r); !slices.Contains(files, path) {
				files = append(files, path)
			}
		}
	}
	return files
}

// Source says where the units of a pipeline come from: files, each of which is one
// unit, or SQL or HTTP.
type Source struct {
	// SQL is a query that gives the units, HTTP takes them from others.
	SQL  *SQLSource
	HTTP *HTTPSource
	// Portion says how the rows or bodies of these two are cut to units.
	Portion Portion
	// Keep is how long their inputs are kept after the units are finished.
	Keep time.Duration
	// Files are paths or patterns in the form of path/filepath.Match, relative to
	// the pipeline file. A component "**" is not allowed.
	Files []string
	// NATS is a stream that is read instead of files.
	NATS *NATS
	// Watch makes the service look for new files all the time.
	Watch bool
	// Unit is the unit as the file has it: "file", or what Cut says.
	Unit string
	cut  *Cut
	// Key is the template of a unit's source key with {path} (relative to the
	// pipeline file, with slashes), {name} (the file's name alone) and {sha256}
	// (of the content).
	Key string
}

// Quality is what a step asks of the output of a step that it needs.
type Quality uint8

const (
	// Pass takes a unit whose output went through the gate.
	Pass Quality = iota
	// Any takes a unit whatever its verdict, also from an output that a gate kept
	// back.
	Any
)

// String returns "pass" or "any".
func (q Quality) String() string {
	if q == Any {
		return "any"
	}
	return "pass"
}

// Need is an edge of the graph.
type Need struct {
	// Step is the name of the step that must be finished before.
	Step string
	// Quality is what is asked of its output.
	Quality Quality
}

// OnFail says what a gate does with an output that fails.
type OnFail string

// The actions of a gate. The empty text means that the file says nothing.
const (
	// Block stops the unit and lets no further unit into the step.
	Block OnFail = "block"
	// Quarantine stops the unit alone.
	Quarantine OnFail = "quarantine"
	// Warn lets the unit go on.
	Warn OnFail = "warn"
)

// Rank orders actions by strictness: block, quarantine, warn, nothing. A
// stricter action has a greater rank.
func (o OnFail) Rank() int {
	switch o {
	case Block:
		return 3
	case Quarantine:
		return 2
	case Warn:
		return 1
	default:
		return 0
	}
}

// Trigger is a kind of failure after which an attempt is repeated.
type Trigger string

// The triggers of `retry: {on: […]}`. A lease can only be lost where units have
// leases, so that OnLease never happens in a run on one machine.
const (
	OnExit    Trigger = "exit"
	OnTimeout Trigger = "timeout"
	OnLease   Trigger = "lease"
)

// Rejects says where a command reports bad records, one JSON object per line.
type Rejects string

const (
	// NoRejects means that the command reports none.
	NoRejects Rejects = ""
	// RejectsFD3 is file descriptor 3 of the command.
	RejectsFD3 Rejects = "fd3"
	// RejectsStderr takes the lines of stderr that are JSON objects.
	RejectsStderr Rejects = "stderr_jsonl"
)

// HTTP is a function that a step calls: the input is posted, the output comes
// back.
type HTTP struct {
	// URL is http or https.
	URL string
	// Batch is how many records are posted at once; 0 is the whole input.
	Batch int
	// Secret signs requests, if it is not empty.
	Secret string
}

// Shown is the URL without the password in it, as messages name it.
func (h *HTTP) Shown() string {
	u, err := url.Parse(h.URL)
	if err != nil {
		return "the function"
	}
	return u.Redacted()
}

// Address returns the URL, empty without a function.
func (h *HTTP) Address() string {
	if h == nil {
		return ""
	}
	return h.URL
}

// BatchSize returns the number of records in a request, 0 without a function.
func (h *HTTP) BatchSize() int {
	if h == nil {
		return 0
	}
	return h.Batch
}

// Step is one node of the graph. Exactly one of Run, Shell, HTTP, SQL
// and Worker is set.
type Step struct {
	// Name is unique in the pipeline and safe as part of a path.
	Name string
	// Run is the command and its arguments; no shell is involved.
	Run []string
	// Shell is a text for /bin/sh.
	Shell string
	// HTTP is the function that is called instead of a command.
	HTTP *HTTP
	// SQL is what is done in a database instead of a command.
	SQL *SQL
	// Worker leaves the work to workers of the lease API.
	Worker bool
	// Needs are the steps whose outputs this one reads, in the order of the file.
	Needs []Need
	// FanIn makes one unit of all units of a run.
	FanIn bool
	// Joined says that the step's units are made by a fan-in, itself or one before
	// it: they are others in each run.
	Joined bool
	// Split cuts the output into parts for the steps behind; nil does not.
	Split *Split
	// Parts says that the step's units are parts: of files of the source, or of
	// outputs of a step that is split.
	Parts bool
	// Format names the formats of input and output; empty means by content.
	Format Format
	// Dataset is the name under which the output is judged: "namespace/name".
	Dataset string
	// Rules are rule files, relative to the pipeline file.
	Rules []string
	// OnFail is the step's own action of its gate, or empty.
	OnFail OnFail
	// Profile says what is profiled.
	Profile Profile
	// Timeout limits one attempt of the command.
	Timeout time.Duration
	// Heartbeat is how long a worker may be silent before its unit is given to
	// another one; 0 is the runner's default.
	Heartbeat time.Duration
	// QueueTimeout is how long a unit may stand ready before it is dead; 0 is for
	// ever.
	QueueTimeout time.Duration
	// Resources limit a command.
	Resources Resources
	// Retry says how failed attempts are repeated.
	Retry Retry
	// Rejects says where the command reports bad records.
	Rejects Rejects
	// Workers says how many units may be in the step at once, in one process.
	Workers Workers
	// Group names the capacity that the step shares, or is empty.
	Group string
	// SkipCanary lets a canary pass the step over.
	SkipCanary bool
	// Pos is the place of the step's name in the file.
	Pos diag.Position
	// CommandPos is the place of the command.
	CommandPos diag.Position

	rulePos []diag.Position
}

// Format names data formats: csv, tsv, jsonl, json or parquet.
type Format struct {
	In, Out string
}

// Resources limit one attempt of a command. What is 0 is not limited.
type Resources struct {
	// Memory is what all processes use together, in bytes; where control groups are
	// not permitted, the address space of each one.
	Memory int64
	// CPU is the number of processors that the command may use at once.
	CPU int
	// Nice lowers the priority, from 0 to 19.
	Nice int
}

// Workers bound the units that are in a step at once, in one process.
type Workers struct {
	// Max is the bound; 0 is that of the process.
	Max int
	// ScaleAt is how many ready units ask for one worker; 0 means that the step
	// shares the workers of the process. Min is how many there are at least.
	Min, ScaleAt int
}

// Profile says which sides of a step are profiled.
type Profile struct {
	Input, Output bool
	// Sample is the share of rows that is profiled, above 0 and at most 1.
	Sample float64
}

// Retry says how often and how fast a failed attempt is repeated.
type Retry struct {
	// Attempts is the largest number of executions, the first one included.
	Attempts int
	// Backoff is the wait before the second attempt; each further wait is Factor
	// times as long, at most MaxBackoff.
	Backoff    time.Duration
	Factor     float64
	MaxBackoff time.Duration
	// Jitter is the share by which a wait is made longer or shorter at random.
	Jitter float64
	// On lists the failures that are repeated.
	On []Trigger
}

// Wait returns the time before the attempt after the given one, which counts
// from 1. The random number is in [0, 1) and spreads the wait evenly over
// (1 ± Jitter) times the backoff; the result never exceeds MaxBackoff × (1 +
// Jitter).
func (r Retry) Wait(attempt int, random float64) time.Duration {
	wait := float64(r.Backoff)
	for range attempt - 1 {
		wait *= r.Factor
		if wait >= float64(r.MaxBackoff) {
			break
		}
	}
	wait = min(wait, float64(r.MaxBackoff))
	return time.Duration(wait * (1 + r.Jitter*(2*random-1)))
}
