// Package secret holds texts that are never shown.
package secret

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/url"
)

// Mask is what is shown instead of a secret.
const Mask = "<secret>"

// Text is a text that is never shown: printing, logging and encoding it give a
// mask. The zero value is empty.
type Text struct {
	// A pointer, because printing a struct with an unexported Text inside does
	// not come by the methods, but shows no more than an address.
	text  *string
	shown string
}

// New makes a secret of a text; "" gives the zero value.
func New(text string) Text { return Shown(text, Mask) }

// Shown makes a secret of a text with a mask of its own; "" gives the zero
// value.
func Shown(text, mask string) Text {
	if text == "" {
		return Text{}
	}
	return Text{&text, mask}
}

// URL makes a secret of an address of which all but the password of its user is
// shown.
func URL(address string) Text {
	u, err := url.Parse(address)
	if err != nil {
		return New(address)
	}
	return Shown(address, u.Redacted())
}

// Reveal returns the text, for the one who needs it.
func (s Text) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsZero reports whether there is no secret.
func (s Text) IsZero() bool { return s.text == nil }

// String returns the mask, "" for an empty secret.
func (s Text) String() string { return s.shown }

// GoString is String.
func (s Text) GoString() string { return s.shown }

// Format writes String for every verb.
func (s Text) Format(w fmt.State, _ rune) { _, _ = io.WriteString(w, s.shown) }

// MarshalJSON writes String.
func (s Text) MarshalJSON() ([]byte, error) { return json.Marshal(s.shown) }

// MarshalText returns String.
func (s Text) MarshalText() ([]byte, error) { return []byte(s.shown), nil }

// LogValue logs String.
func (s Text) LogValue() slog.Value { return slog.StringValue(s.shown) }
