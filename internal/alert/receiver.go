package alert

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"time"
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

// Fingerprint is the stable id of all incidents of a dataset, 16 characters of
// hex. Receivers that deduplicate do it by this.
func Fingerprint(dataset string) string {
	sum := sha256.Sum256([]byte("profiler incident\x1f" + dataset))
	return hex.EncodeToString(sum[:8])
}
