package alert

import (
	"slices"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/words"
)

// KindDeadLetters is the kind and the id of the finding in an incident about dead
// units.
const KindDeadLetters = "dead_letters"

// DeadLetters are the units that a step of a pipeline gave up and that have not
// gone through it since.
type DeadLetters struct {
	Pipeline string `json:"pipeline"`
	Step     string `json:"step"`
	// Dead counts those that are dead, Again those that were sent through the step
	// again and are not done yet. With More there are more than these.
	Dead  int  `json:"dead"`
	Again int  `json:"again"`
	More  bool `json:"more,omitempty"`
	// First and Last are the one that died first and the one that died last of
	// those that are dead; when none is, of those that were before.
	First *DeadUnit `json:"first,omitempty"`
	Last  *DeadUnit `json:"last,omitempty"`
}

// DeadUnit is a unit that was given up. Error is short and without secrets.
type DeadUnit struct {
	Unit          string    `json:"unit"`
	Source        string    `json:"source,omitempty"`
	Run           string    `json:"run"`
	CorrelationID string    `json:"correlation_id"`
	Cause         string    `json:"cause"`
	Error         string    `json:"error"`
	Attempts      int       `json:"attempts"`
	At            time.Time `json:"at"`
}

// DeadStep is the step of an incident about dead units, empty for one about data.
func (i *Incident) DeadStep() string {
	if i.DeadLetters == nil {
		return ""
	}
	return i.DeadLetters.Step
}

// DeadInput is what a decision about dead units is made of.
type DeadInput struct {
	// Current is the newest incident of the step, resolved or not; nil if there
	// never was one. It is not changed.
	Current *Incident
	// Letters are those that there are now, Died how many of them are new.
	Letters DeadLetters
	Died    int
	// Dataset is what the step writes, Owner and Tags are those of its rules.
	Dataset, Owner string
	Tags           []string
	Now            time.Time
	// ID makes the id of a new incident; it is called at most once.
	ID func() string
}

// DecideDead says what a change of the dead units of a step does to their
// incident: one that dies opens it, or is another bad thing in it; it is over when
// none is dead or on its way again. It returns nil if nothing changes, and is a
// pure function as Decide is.
func DecideDead(in DeadInput, o Options) *Change {
	cur := in.Current
	switch {
	case in.Died > 0 && cur != nil && cur.Live():
		return o.finish(deadMore(cur, &in, &o), in.Now)
	case in.Died > 0 && cur != nil && o.soonDead(cur, in.Now):
		next := cur.next(in.Now)
		next.Flaps++
		next.ResolvedAt, next.Healthy = time.Time{}, 0
		next.Answer, next.AnsweredBy, next.AnsweredAt = "", "", time.Time{}
		next.wake(in.Now)
		next.dead(&in)
		c := &Change{Incident: next, Event: EventReopened, Suppressed: []string{"flapping"}}
		if next.Flaps > quietFlaps {
			c.Event = EventUpdated
		}
		return o.finish(c, in.Now)
	case in.Died > 0:
		next := Incident{ID: in.ID(), Dataset: in.Dataset, Status: Open, Severity: checks.SeverityFail, OpenedAt: in.Now, UpdatedAt: in.Now, NotifiedAt: in.Now, Revision: 1}
		next.dead(&in)
		return o.finish(&Change{Incident: next, Event: EventOpened}, in.Now)
	case cur == nil || !cur.Live():
		return nil
	}
	next := cur.next(in.Now)
	next.dead(&in)
	if in.Letters.Dead+in.Letters.Again > 0 {
		return &Change{Incident: next} // the next message says so
	}
	next.resolve(in.Now)
	return o.finish(&Change{Incident: next, Event: EventResolved}, in.Now)
}

// deadMore enters further dead units.
func deadMore(cur *Incident, in *DeadInput, o *Options) *Change {
	next := cur.next(in.Now)
	next.dead(in)
	switch {
	case cur.Status == Snoozed && (cur.SnoozedUntil.IsZero() || !in.Now.Before(cur.SnoozedUntil)):
		next.wake(in.Now)
		return &Change{Incident: next, Event: EventWoke}
	case cur.Status == Snoozed:
		return &Change{Incident: next, Suppressed: []string{"snoozed"}}
	case cur.Status == Open && o.repeatDue(cur, in.Now):
		next.NotifiedAt = in.Now
		return &Change{Incident: next, Event: EventRepeated}
	}
	return &Change{Incident: next, Event: EventUpdated}
}

// soonDead reports whether a dead unit belongs to an incident that is over. What
// somebody answered is over for good.
func (o *Options) soonDead(cur *Incident, now time.Time) bool {
	return (cur.Answer == "" || cur.Answer == AnswerReal) && now.Sub(cur.ResolvedAt) < orDefault(o.ReopenWithin, DefaultReopenWithin)
}

// dead enters what the dead units of a step are now.
func (i *Incident) dead(in *DeadInput) {
	l := in.Letters
	if before := i.DeadLetters; before != nil && l.Last == nil {
		l.First, l.Last = before.First, before.Last
	}
	i.DeadLetters, i.Step = &l, l.Step
	i.Batches += in.Died
	i.Origin = checks.Origin{Pipeline: l.Pipeline, Step: l.Step}
	if l.Last != nil {
		i.Origin.Run, i.Origin.Unit, i.Origin.CorrelationID = l.Last.Run, l.Last.Unit, l.Last.CorrelationID
	}
	i.LastRun = i.Origin.Run
	if in.Died > 0 {
		i.Owner, i.Tags = in.Owner, slices.Clone(in.Tags)
	}
	i.Findings = []checks.Result{{
		ID: KindDeadLetters, Kind: KindDeadLetters, Status: checks.Fail, Severity: checks.SeverityFail, Value: profile.IntScalar(int64(l.Dead)),
		Message: l.message(), Owner: i.Owner, Tags: i.Tags,
	}}
}

// title says how many units of a step are dead: "3 dead letters at step parse",
// "more than 1,000 dead letters at step parse", or when none is, how many are tried
// again. The step comes with its pipeline if that is not empty.
func (l *DeadLetters) title(pipeline string) string {
	at := " at step " + Clean(l.Step)
	if pipeline != "" {
		at += " of pipeline " + Clean(pipeline)
	}
	switch {
	case l.Dead+l.Again == 0:
		return "no dead letter is left" + at
	case l.Dead == 0 && l.Again == 1:
		return "1 dead letter" + at + " is tried again"
	case l.Dead == 0 && l.Again > 0:
		return words.Count(l.Again) + " dead letters" + at + " are tried again"
	case l.More:
		return "more than " + words.Count(l.Dead) + " dead letters" + at
	}
	return words.Things(l.Dead, "dead letter") + at
}

// given says how often a unit was given up.
func given(n int) string { return words.Plural(n, "unit was given up", "units were given up") }

// deadFields are the facts about dead units.
func deadFields(i *Incident) []Field {
	l := i.DeadLetters
	dead := words.Count(l.Dead)
	if l.More {
		dead = "more than " + dead
	}
	out := []Field{{"dead letters", dead}, {"tried again", words.Count(l.Again)}, {"given up so far", words.Count(i.Batches)}}
	if i.Owner != "" {
		out = append(out, Field{"owner", Clean(i.Owner)})
	}
	return out
}

// message tells the first and the last of the dead units.
func (l *DeadLetters) message() string {
	s := l.title(l.Pipeline)
	if l.Dead > 0 && l.Again > 0 {
		s += ", and " + words.Count(l.Again) + " tried again"
	}
	if l.First == nil || l.Last == nil {
		return s
	}
	if l.Dead+l.Again == 0 {
		return s + "; the last was " + l.Last.text()
	}
	if l.First.Unit == l.Last.Unit {
		return s + ": " + l.Last.text()
	}
	return s + "; first " + l.First.text() + "; last " + l.Last.text()
}

// maxSource bounds the name of what a unit was made of.
const maxSource = 100

func (d *DeadUnit) text() string {
	name := d.Source
	if name == "" {
		name = d.Unit
	}
	s := Shorten(name, maxSource) + " (" + d.Cause + ", " + words.Things(d.Attempts, "attempt") + ")"
	if d.Error != "" {
		s += ": " + d.Error
	}
	return strings.TrimSuffix(s, ".")
}

// Advice are the commands that help with an incident, by what they do; none for
// one about data, and when none of the units is dead.
func Advice(i *Incident) []Field {
	l := i.DeadLetters
	if l == nil || i.Status == Resolved || l.Dead == 0 {
		return nil
	}
	id := "ID…"
	if l.Dead == 1 && l.Last != nil {
		id = Shorten(Clean(l.Last.Unit), maxSource)
	}
	return []Field{
		{"look", "profiler dlq list --pipeline " + Clean(l.Pipeline) + " --step " + Clean(l.Step)},
		{"once it is mended", "profiler dlq replay " + id},
		{"if it is not wanted", "profiler dlq discard " + id},
	}
}
