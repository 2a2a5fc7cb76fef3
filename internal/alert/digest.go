package alert

import (
	"slices"
	"time"

	"github.com/profilerhq/profiler/internal/checks"
)

// Digest is one message about many incidents of a channel that opened within a
// short time: a broken upstream is one story. It is edited while they last, and
// over with the last of them.
type Digest struct {
	ID       string    `json:"id"`
	Channel  string    `json:"channel"` // of the configuration
	OpenedAt time.Time `json:"opened_at"`
	// Incidents are the ids, in the order in which they were taken up.
	Incidents []string `json:"incidents"`
	Thread    Thread   `json:"thread"`
	Revision  int      `json:"revision"`
	Closed    bool     `json:"closed"`
	// Entries are how the incidents stand; they are filled in for sending.
	Entries []Entry `json:"-"`
}

// Entry is an incident in a digest.
type Entry struct {
	ID       string
	Dataset  string
	Status   Status
	Severity checks.Severity
	Title    string
	Lead     string
	Owner    string
	Link     string
}

// EntryOf describes an incident for a digest.
func EntryOf(i *Incident, external string) Entry {
	return Entry{i.ID, i.Dataset, i.Status, i.Severity, Title(i), Lead(i), i.Owner, Link(external, i)}
}

// Over reports whether all incidents of a digest are resolved.
func (d *Digest) Over() bool {
	return !slices.ContainsFunc(d.Entries, func(e Entry) bool { return e.Status != Resolved })
}

// Opening is a first message about an incident that is about to be sent.
type Opening struct {
	Story string
	At    time.Time
}

// Group says which of the openings of a channel are told by a digest, and
// whether that is the open one or a new one. recent counts the incidents that
// the channel was told of one by one within DigestWithin. Those who have been
// told one by one stay so.
func Group(openings []Opening, recent int, open *Digest, now time.Time, o Options) (stories []string, into *Digest) {
	limit := o.digestAbove()
	if limit < 0 || len(openings) == 0 {
		return nil, nil
	}
	current := open != nil && !open.Closed && now.Sub(open.OpenedAt) < DigestWithin
	if !current && recent+len(openings) <= limit {
		return nil, nil
	}
	for _, op := range openings {
		stories = append(stories, op.Story)
	}
	if current {
		return stories, open
	}
	return stories, nil
}

// DigestTaker is a Notifier whose messages people read one by one, so that many
// incidents at once are better told as a digest.
type DigestTaker interface {
	Notifier
	TakesDigests() bool
}

// TakesDigests reports whether a notifier wants digests and weekly messages.
func TakesDigests(n Notifier) bool {
	t, ok := n.(DigestTaker)
	return ok && t.TakesDigests()
}
