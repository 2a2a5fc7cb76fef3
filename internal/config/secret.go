package config

import (
	"net/url"
	"strings"

	"github.com/profilerhq/profiler/internal/secret"
)

// Mask is what is shown instead of a secret.
const Mask = secret.Mask

// Secret is a text that is never shown.
type Secret = secret.Text

// NewStoreURL makes a secret of the address of a store, of which all but the
// password is shown.
func NewStoreURL(address string) Secret {
	if address == "" {
		return Secret{}
	}
	return secret.Shown(address, maskedURL(address))
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
