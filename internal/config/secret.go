package config

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strings"
)

// Mask is what is shown instead of a secret.
const Mask = "<secret>"

// Secret is a text that is never shown: printing, logging and encoding it give
// a mask. The zero value is empty.
type Secret struct {
	// A pointer, because printing a struct with an unexported Secret inside does
	// not come by the methods, but shows no more than an address.
	text  *string
	shown string
}

// NewSecret makes a secret of a text; "" gives the zero value.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{&text, Mask}
}

// NewStoreURL makes a secret of the address of a store, of which all but the
// password is shown.
func NewStoreURL(address string) Secret {
	s := NewSecret(address)
	if address != "" {
		s.shown = maskedURL(address)
	}
	return s
}

// maskedURL hides everything that can hold a password.
func maskedURL(address string) string {
	if strings.HasPrefix(address, "sqlite:") {
		return address
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		return Mask
	}
	var b strings.Builder
	b.WriteString(u.Scheme + "://")
	if u.User != nil {
		b.WriteString(url.User(u.User.Username()).String())
		if _, ok := u.User.Password(); ok {
			b.WriteString(":" + Mask)
		}
		b.WriteString("@")
	}
	b.WriteString(u.Host + u.EscapedPath())
	if u.RawQuery != "" {
		b.WriteString("?…")
	}
	return b.String()
}

// Reveal returns the text, for the one who needs it.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsZero reports whether there is no secret.
func (s Secret) IsZero() bool { return s.text == nil }

// String returns the mask, "" for an empty secret.
func (s Secret) String() string { return s.shown }

// GoString is String.
func (s Secret) GoString() string { return s.shown }

// Format writes String for every verb.
func (s Secret) Format(w fmt.State, _ rune) { _, _ = io.WriteString(w, s.shown) }

// MarshalJSON writes String.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.shown) }

// MarshalText returns String.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.shown), nil }

// LogValue logs String.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.shown) }
