package alert

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/profilerhq/profiler/internal/checks"
)

// ErrNoSecret is returned by a Receiver whose secrets are all empty, which is
// no mistake: its messages are printed instead.
var ErrNoSecret = errors.New("no secret is set")

// Receiver is the configuration of a channel. Its secrets are of type
// secret.Text, so that printing, logging and encoding mask them.
type Receiver interface {
	// Notifier checks the configuration and makes the notifier; it does not ask
	// the receiver. The error says which key is wrong, or is ErrNoSecret.
	Notifier(o ReceiverOptions) (Notifier, error)
}

// ReceiverOptions are what notifiers are made with beside their configuration.
// The zero value works.
type ReceiverOptions struct {
	// HTTPClient sends the requests; nil is one of its own. Its timeout is
	// TryTimeout if it has none, and redirects are never followed.
	HTTPClient *http.Client
	Logger     *slog.Logger     // nil discards
	Now        func() time.Time // nil is time.Now
	// ExternalURL is the address of the service as people reach it, for links;
	// empty leaves links out.
	ExternalURL string
}

// WithDefaults fills what is not set.
func (o ReceiverOptions) WithDefaults() ReceiverOptions {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Refresher is a Notifier whose receiver forgets what it is not told again.
type Refresher interface {
	Notifier
	// RefreshEvery is how often the receiver wants to be told.
	RefreshEvery() time.Duration
	// Refresh tells the receiver that the incidents, of which it has been told
	// under the name of the channel, are not resolved. The errors are those of
	// Notify; nothing is lost by one, as the next Refresh says all again.
	Refresh(ctx context.Context, channel string, incidents []Incident) error
}

// Action is what somebody does in a channel.
type Action struct {
	Incident string // its id
	Who      string
	// Do is EventAcknowledged, EventSnoozed or EventAnswered.
	Do     Event
	Answer Answer        // of EventAnswered
	For    time.Duration // of EventSnoozed; 0 is until the next bad batch
}

// Listener is a Notifier through which people act. Listen calls act for each
// action, one at a time, until the context ends; it reconnects by itself.
type Listener interface {
	Notifier
	// Listens reports whether it is configured to.
	Listens() bool
	Listen(ctx context.Context, act func(context.Context, Action) error)
}

// Previewer is a Notifier that shows what it would send.
type Previewer interface {
	Notifier
	// Preview returns what Notify would send, to be encoded as JSON, without
	// secrets; nil if it would send nothing.
	Preview(m Message) any
}

// Sample is an incident for tests of a channel. Nothing is wrong with it.
func Sample(now time.Time) Incident {
	rows := int64(1000)
	failed := int64(30)
	return Incident{
		ID: "TEST", Dataset: "profiler/test", Status: Open, Severity: checks.SeverityFail, Owner: "orders-team",
		Origin: checks.Origin{Pipeline: "daily", Step: "clean"}, Step: "clean",
		OpenedAt: now, UpdatedAt: now, NotifiedAt: now, FirstBatch: "2026-11-01", LastBatch: "2026-11-01", Batches: 1, Rows: 1000, Revision: 1,
		Findings: []checks.Result{
			{ID: "amount.range", Kind: "range", Column: "amount", Status: checks.Fail, Severity: checks.SeverityFail, Evaluated: &rows, Failed: &failed, Limit: "at most 0 failing rows",
				Message: "this is a test of the channel, nothing is wrong: 30 of 1,000 rows (3 %) are outside 0 … 10,000; first: row 17 is -4.2", Rule: &checks.Rule{File: "rules/orders.yaml", Line: 12}},
			{ID: "country.drift", Kind: "drift", Column: "country", Status: checks.Fail, Severity: checks.SeverityFail, Limit: "below 0.2",
				Message: "TV of country is 0.35 against 28 batches, expected below 0.2", Rule: &checks.Rule{File: "rules/orders.yaml", Line: 20}},
		},
		Chart: &Chart{Column: "country", Bins: []string{"DE", "NL", "IT", "FR", "AT"}, Past: []float64{45.1, 14.9, 12.1, 10, 5}, Now: []float64{73.4, 0, 0, 16, 8}, Values: true},
	}
}

// Fingerprint is the stable id of all incidents of a dataset, or of those about
// the dead units of a step, 16 characters of hex. Receivers that deduplicate do it
// by this.
func Fingerprint(i *Incident) string {
	story := "profiler incident\x1f" + i.Dataset
	if l := i.DeadLetters; l != nil {
		story = "profiler dead letters\x1f" + l.Pipeline + "\x1f" + l.Step
	}
	sum := sha256.Sum256([]byte(story))
	return hex.EncodeToString(sum[:8])
}
