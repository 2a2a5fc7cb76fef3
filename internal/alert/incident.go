// Package alert turns reports into incidents and tells people about them. An
// incident is the open story of one dataset gone wrong: opened by a failing
// batch, updated by the next ones, resolved by healthy ones. People are told
// about incidents, never about single results.
//
// What happens is decided by pure functions: Decide for a batch, Tick for the
// passing of time, Acknowledge, Snooze and Respond for what people do. They
// return a Change; whoever stores it writes its notices with it, and a
// Dispatcher delivers them later. docs/alerts.md tells the same to users.
package alert

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/profilerhq/profiler/internal/checks"
)

// Status is where an incident stands.
type Status string

// The states of an incident. Nobody sees a Pending one: it is the memory of a
// bad batch that waits to be confirmed by another.
const (
	Pending      Status = "pending"
	Open         Status = "open"
	Acknowledged Status = "acknowledged"
	Snoozed      Status = "snoozed"
	Resolved     Status = "resolved"
)

// Answer is what somebody says about the batches of an incident.
type Answer string

// The answers; they feed the baselines.
const (
	AnswerReal      Answer = "real"       // a true find
	AnswerFine      Answer = "fine"       // normal
	AnswerFineOnce  Answer = "fine-once"  // an exception
	AnswerNewNormal Answer = "new-normal" // the beginning of a new level
)

// Answers are all answers, in the order in which they are offered.
var Answers = []Answer{AnswerReal, AnswerFine, AnswerFineOnce, AnswerNewNormal}

// Incident is the story of one dataset gone wrong, or of one step that gave units
// up.
type Incident struct {
	ID       string          `json:"id"` // ULID, sorts by time of opening
	Dataset  string          `json:"dataset"`
	Status   Status          `json:"status"`
	Severity checks.Severity `json:"severity"`
	Owner    string          `json:"owner,omitempty"`
	Tags     []string        `json:"tags,omitempty"`
	// Origin is the first bad step of a pipeline in the last bad run, with the
	// run and correlation id; empty outside of pipelines. It moves when the
	// trouble begins at another step.
	Origin checks.Origin `json:"origin,omitzero"`
	// Step is the one that makes the dataset. Began is the dataset of the first
	// bad step and BeganWith its worst finding if that is not this dataset.
	Step      string `json:"step,omitempty"`
	Began     string `json:"began,omitempty"`
	BeganWith string `json:"began_with,omitempty"`

	OpenedAt   time.Time `json:"opened_at"`
	UpdatedAt  time.Time `json:"updated_at"`
	ResolvedAt time.Time `json:"resolved_at,omitzero"`
	FirstBatch string    `json:"first_batch"`
	LastBatch  string    `json:"last_batch"`
	// Batches counts the bad batches, Healthy the good ones in a row since the
	// last bad one. BadBatches names the newest bad ones, at most maxBadBatches.
	Batches    int      `json:"batches"`
	Healthy    int      `json:"healthy"`
	BadBatches []string `json:"bad_batches,omitempty"`
	Rows       int64    `json:"rows"` // of the last bad batch
	// Findings are the alarming results of the last bad batch, worst first.
	Findings []checks.Result `json:"findings"`
	// DeadLetters are set in an incident about units that a step gave up; it is
	// none about data. Batches then counts how often a unit was given up.
	DeadLetters *DeadLetters `json:"dead_letters,omitempty"`
	// Chart compares the worst finding's column with its past; nil without one.
	Chart *Chart `json:"chart,omitempty"`

	AcknowledgedBy string    `json:"acknowledged_by,omitempty"`
	AcknowledgedAt time.Time `json:"acknowledged_at,omitzero"`
	SnoozedBy      string    `json:"snoozed_by,omitempty"`
	// SnoozedUntil is zero for a snooze until the next bad batch.
	SnoozedUntil time.Time `json:"snoozed_until,omitzero"`
	Answer       Answer    `json:"answer,omitempty"`
	AnsweredBy   string    `json:"answered_by,omitempty"`
	AnsweredAt   time.Time `json:"answered_at,omitzero"`
	// Flaps counts how often it failed again soon after its end.
	Flaps int `json:"flaps,omitempty"`
	// Silenced is why people were not told when they should have been; "" if
	// they were.
	Silenced string `json:"silenced,omitempty"`

	// Channels are those that were chosen to hear of the incident. Told has the
	// revision that a channel shows, and Threads where.
	Channels []string          `json:"channels,omitempty"`
	Told     map[string]int    `json:"told,omitempty"`
	Threads  map[string]Thread `json:"threads,omitempty"`
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

// maxBadBatches bounds the names of bad batches that are kept.
const maxBadBatches = 50

// Live reports whether the incident concerns people: it is neither pending nor
// resolved.
func (i *Incident) Live() bool { return i.Status != Pending && i.Status != Resolved }

// clone returns a copy that shares no slice or map which this package changes.
func (i *Incident) clone() Incident {
	n := *i
	n.Tags = slices.Clone(i.Tags)
	n.Folded = slices.Clone(i.Folded)
	n.Findings = slices.Clone(i.Findings)
	n.BadBatches = slices.Clone(i.BadBatches)
	n.Channels = slices.Clone(i.Channels)
	n.Threads = maps.Clone(i.Threads)
	n.Told = maps.Clone(i.Told)
	return n
}

// next returns a copy to be changed.
func (i *Incident) next(now time.Time) Incident {
	n := i.clone()
	n.Revision++
	n.UpdatedAt = now
	return n
}

// Thread is the place of an incident's message in a channel.
type Thread struct {
	Channel string `json:"channel"`
	Message string `json:"message"`
	// Digest is the id of the digest that shows the incident in place of a
	// message of its own; then the others are empty.
	Digest string `json:"digest,omitempty"`
}

// Event says why a message is sent.
type Event string

// The events that people are told about.
const (
	EventOpened       Event = "opened"
	EventUpdated      Event = "updated"      // another bad batch: edited in place
	EventRaised       Event = "raised"       // severity rose
	EventRepeated     Event = "repeated"     // still open after the repeat interval
	EventReopened     Event = "reopened"     // failed again soon after its end
	EventWoke         Event = "woke"         // a snooze or silence is over and it still fails
	EventAcknowledged Event = "acknowledged" // edited in place
	EventSnoozed      Event = "snoozed"      // edited in place
	EventAnswered     Event = "answered"     // edited in place
	EventResolved     Event = "resolved"
	EventDigest       Event = "digest" // many incidents in one message
	EventWeekly       Event = "weekly" // which rules to repair
	EventTest         Event = "test"   // a sample
)

// told reports whether an event is news, told beside an edit.
func (e Event) news() bool {
	switch e {
	case EventOpened, EventRaised, EventRepeated, EventReopened, EventWoke, EventResolved:
		return true
	default:
	}
	return false
}

// edits reports whether an event only changes a message that is there.
func (e Event) edits() bool {
	switch e {
	case EventUpdated, EventAcknowledged, EventSnoozed, EventAnswered:
		return true
	default:
	}
	return false
}

// Merge returns the event of one message that tells two, the earlier of which
// was not sent yet. The message shows the newest state, so an edit adds
// nothing, and only the last news counts; but what was never told is opened.
func Merge(waiting, next Event) Event {
	switch {
	case waiting == EventOpened && next != EventResolved:
		return EventOpened
	case next.edits() && waiting.news():
		return waiting
	}
	return next
}

// Message is one thing to tell to one channel. Key is the same at every try,
// so that receivers which can deduplicate do.
type Message struct {
	Key      string   `json:"key"` // incident id, revision, event, channel
	Channel  string   `json:"channel"`
	Event    Event    `json:"event"`
	Incident Incident `json:"incident"`
	// Digest and Weekly are told in place of an incident.
	Digest *Digest `json:"digest,omitempty"`
	Weekly *Weekly `json:"weekly,omitempty"`
	// Repeat says that an earlier try may have got through without our knowing.
	Repeat bool `json:"repeat,omitempty"`
}

// Key returns the key of a message.
func Key(story string, revision int, event Event, channel string) string {
	return story + "/" + strconv.Itoa(revision) + "/" + string(event) + "/" + channel
}

// Notice is a message to be: an entry of the outbox, written with the change
// that it tells. There is one at most for each story and channel; the message
// is made of the state at the time of sending.
type Notice struct {
	Channel string
	// Story is the id of the incident, or of a digest or weekly message.
	Story    string
	Dataset  string // of the incident; messages of one go out in order
	Event    Event
	Revision int
	// Due is when it may be sent at the earliest by the service.
	Due time.Time
	// Body is the JSON of a message that is not about an incident.
	Body string
}
