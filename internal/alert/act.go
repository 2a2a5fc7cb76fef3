package alert

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Tick says what the passing of time does to an incident: a snooze or a silence
// is over, or it is open for longer than the repeat interval. It returns nil if
// nothing changes.
func Tick(i *Incident, now time.Time, o Options) *Change {
	if !i.Live() {
		return nil
	}
	next := i.next(now)
	c := &Change{Event: EventWoke}
	switch {
	case i.Status == Snoozed && !i.SnoozedUntil.IsZero() && !now.Before(i.SnoozedUntil):
		next.wake(now)
		if i.Healthy > 0 { // it may be over: no reason to call anybody
			c.Event = EventUpdated
		}
	case i.Status == Open && i.Silenced != "" && o.silencedBy(i, now) == "":
		next.NotifiedAt = now
		if len(i.Channels) == 0 {
			c.Event = EventOpened
		}
	case o.repeatDue(i, now) && i.Status == Open && i.Silenced == "":
		next.NotifiedAt = now
		c.Event = EventRepeated
	case o.repeatDue(i, now) && i.Status != Open:
		next.NotifiedAt = now
		c.Event, c.Suppressed = "", []string{string(i.Status)}
	default:
		return nil
	}
	c.Incident = next
	return o.finish(c, now)
}

// Acknowledge notes that somebody looks after an incident: no repeats. It
// returns nil if that is known already.
func Acknowledge(i *Incident, who string, now time.Time) (*Change, error) {
	switch {
	case !i.Live():
		return nil, fmt.Errorf("the incident of %s is %s: there is nothing to acknowledge", Clean(i.Dataset), i.Status)
	case i.Status == Acknowledged:
		return nil, nil //nolint:nilnil // nothing changes
	}
	next := i.next(now)
	next.Status, next.AcknowledgedBy, next.AcknowledgedAt = Acknowledged, name(who), now
	next.SnoozedBy, next.SnoozedUntil = "", time.Time{}
	return &Change{Incident: next, Event: EventAcknowledged}, nil
}

// Snooze silences an incident until a time, or until its next bad batch if that
// is zero.
func Snooze(i *Incident, who string, until, now time.Time) (*Change, error) {
	switch {
	case !i.Live():
		return nil, fmt.Errorf("the incident of %s is %s: there is nothing to snooze", Clean(i.Dataset), i.Status)
	case !until.IsZero() && !until.After(now):
		return nil, fmt.Errorf("%s is in the past", until.UTC().Format(time.RFC3339))
	}
	next := i.next(now)
	next.Status, next.SnoozedBy, next.SnoozedUntil = Snoozed, name(who), until
	next.AcknowledgedBy, next.AcknowledgedAt = "", time.Time{}
	return &Change{Incident: next, Event: EventSnoozed}, nil
}

// Respond notes what somebody says about the batches of an incident. A real one
// is acknowledged by that; one that is fine is over. It may be given again, and
// after the end. It returns nil if it is known already.
func Respond(i *Incident, a Answer, who string, now time.Time) (*Change, error) {
	switch {
	case !slices.Contains(Answers, a):
		return nil, fmt.Errorf("the answer %q is none of %s", Clean(string(a)), AnswerWords())
	case i.Answer == a:
		return nil, nil //nolint:nilnil // nothing changes
	}
	next := i.next(now)
	next.Answer, next.AnsweredBy, next.AnsweredAt = a, name(who), now
	switch {
	case a == AnswerReal && i.Live() && i.Status != Acknowledged:
		next.Status, next.AcknowledgedBy, next.AcknowledgedAt = Acknowledged, name(who), now
		next.SnoozedBy, next.SnoozedUntil = "", time.Time{}
	case a != AnswerReal && i.Live():
		next.resolve(now)
		return &Change{Incident: next, Event: EventResolved}, nil
	}
	return &Change{Incident: next, Event: EventAnswered}, nil
}

// AnswerWords lists the answers for messages.
func AnswerWords() string {
	words := make([]string, len(Answers))
	for k, a := range Answers {
		words[k] = string(a)
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// Labelled returns the batches of an incident that an answer is about: the
// first one for a new level, which begins there, else all bad ones.
func (i *Incident) Labelled(a Answer) []string {
	if a == AnswerNewNormal && i.FirstBatch != "" {
		return []string{i.FirstBatch}
	}
	return slices.Clone(i.BadBatches)
}

// maxWho bounds the name of a person.
const maxWho = 100

func name(who string) string {
	if who = strings.TrimSpace(Clean(who)); who == "" {
		return "somebody"
	}
	return Shorten(who, maxWho)
}
