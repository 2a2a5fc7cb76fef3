// Package alert turns reports into incidents and tells people about them. An
// incident is the open story of one dataset gone wrong: opened by a failing
// batch, updated by the next ones, resolved by healthy ones. People are told
// about incidents, never about single results.
package alert

import (
	"time"

	"github.com/profilerhq/profiler/internal/checks"
)

// Status is where an incident stands.
type Status string

// The states of an incident.
const (
	Open         Status = "open"
	Acknowledged Status = "acknowledged"
	Snoozed      Status = "snoozed"
	Resolved     Status = "resolved"
)

// Incident is the story of one dataset gone wrong.
type Incident struct {
	ID       string          `json:"id"` // ULID, sorts by time of opening
	Dataset  string          `json:"dataset"`
	Status   Status          `json:"status"`
	Severity checks.Severity `json:"severity"`
	Owner    string          `json:"owner,omitempty"`
	Tags     []string        `json:"tags,omitempty"`
	// Origin is the pipeline step where the trouble was seen first, and the run
	// and correlation id of the first bad batch; empty outside of pipelines.
	Origin     checks.Origin `json:"origin,omitzero"`
	OpenedAt   time.Time     `json:"opened_at"`
	UpdatedAt  time.Time     `json:"updated_at"`
	ResolvedAt time.Time     `json:"resolved_at,omitzero"`
	FirstBatch string        `json:"first_batch"`
	LastBatch  string        `json:"last_batch"`
	// Batches counts the bad batches, Healthy the good ones in a row since the
	// last bad one.
	Batches int   `json:"batches"`
	Healthy int   `json:"healthy"`
	Rows    int64 `json:"rows"` // of the last bad batch
	// Findings are the alarming results of the last bad batch, worst first.
	Findings []checks.Result `json:"findings"`
	// Threads remembers, per channel of the configuration, where the message of
	// this incident stands, so that it can be edited in place.
	Threads map[string]Thread `json:"threads,omitempty"`
	// NotifiedAt is when people were last told, for repeats.
	NotifiedAt time.Time `json:"notified_at,omitzero"`
	// Folded names the datasets of later steps that went bad in the same run as
	// the last bad batch, sorted. They have no incident and no message.
	Folded []string `json:"folded,omitempty"`
	// JudgedBatch and JudgedAt are the last batch that was looked at, bad or
	// not; JudgedAt is the time of its data. An older batch changes nothing.
	JudgedBatch string    `json:"judged_batch,omitempty"`
	JudgedAt    time.Time `json:"judged_at,omitzero"`
	// LastRun is the run of the last bad batch; empty outside of pipelines.
	LastRun string `json:"last_run,omitempty"`
	// Revision counts the changes of the incident; 1 when it opens. It makes the
	// keys of messages unique.
	Revision int `json:"revision"`
}

// Thread is the place of an incident's message in a channel.
type Thread struct {
	Channel string `json:"channel"`
	Message string `json:"message"`
}

// Event says why a message is sent.
type Event string

// The events that people are told about.
const (
	EventOpened   Event = "opened"
	EventUpdated  Event = "updated"  // another bad batch: edited in place
	EventRaised   Event = "raised"   // severity rose
	EventRepeated Event = "repeated" // still open after the repeat interval
	EventResolved Event = "resolved"
)

// Message is one thing to tell to one channel. Key is the same at every try,
// so that receivers which can deduplicate do.
type Message struct {
	Key      string   `json:"key"` // incident id, revision, event, channel
	Channel  string   `json:"channel"`
	Event    Event    `json:"event"`
	Incident Incident `json:"incident"`
}
