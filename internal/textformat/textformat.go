// Package textformat decides whether a text is written in a well-known format:
// an e-mail address, an IBAN, a date. The functions are pure. They decide by
// the grammar and the checksum of the format's standard, never by asking
// anybody whether the thing exists.
//
// An empty text satisfies no format, and no format passes over white space
// around the text.
package textformat

import "slices"

// Validator reports whether a text is written in a format. It keeps nothing of
// the text, does not change it, and is safe for concurrent use.
type Validator func(text []byte) bool

// format is one entry of the catalogue.
type format struct {
	name  string
	valid Validator
	// rule is the standard that decides.
	rule string
}

// formats is the catalogue in the order of the rule language.
var formats = []format{
	{"email", email, "RFC 5321 and 5322, addr-spec"},
	{"uuid", uuid, "RFC 9562, section 4"},
	{"url", url, "RFC 3986, a URI with a host"},
	{"uri", uri, "RFC 3986, section 3"},
	{"hostname", hostname, "RFC 1123, section 2.1"},
	{"ipv4", ipv4, "RFC 3986, IPv4address"},
	{"ipv6", ipv6, "RFC 4291, section 2.2"},
	{"cidr", cidr, "RFC 4632 and 4291, section 2.3"},
	{"mac", mac, "IEEE 802, EUI-48 and EUI-64"},
	{"date", date, "RFC 3339, full-date"},
	{"time", clock, "RFC 3339, partial-time or full-time"},
	{"datetime", datetime, "RFC 3339, date-time"},
	{"duration", duration, "ISO 8601, duration by designators"},
	{"json", jsonText, "RFC 8259"},
	{"base64", base64, "RFC 4648, section 4"},
	{"hex", hex, "hexadecimal digits"},
	{"semver", semver, "Semantic Versioning 2.0.0"},
	{"luhn", luhn, "ISO/IEC 7812-1, annex B"},
	{"iban", iban, "ISO 13616"},
	{"bic", bic, "ISO 9362"},
	{"isbn", isbn, "ISO 2108, ISBN-10 and ISBN-13"},
	{"ean", ean, "GS1, EAN-8 and EAN-13"},
	{"country", country, "ISO 3166-1, alpha-2 and alpha-3"},
	{"currency", currency, "ISO 4217"},
	{"language", languageTag, "BCP 47 and ISO 639"},
	{"phone", phone, "ITU-T E.164"},
	{"latitude", latitude, "decimal degrees, -90 to 90"},
	{"longitude", longitude, "decimal degrees, -180 to 180"},
}

// Lookup returns the validator of a format. ok is false for a name that is
// none.
func Lookup(name string) (v Validator, ok bool) {
	i := find(name)
	if i < 0 {
		return nil, false
	}
	return formats[i].valid, true
}

// Standard returns the standard that decides about a format, in words; empty
// for a name that is none.
func Standard(name string) string {
	i := find(name)
	if i < 0 {
		return ""
	}
	return formats[i].rule
}

func find(name string) int {
	return slices.IndexFunc(formats, func(f format) bool { return f.name == name })
}

// Names returns the names of all formats in the order of the documentation;
// the caller owns the slice.
func Names() []string {
	names := make([]string, len(formats))
	for i, f := range formats {
		names[i] = f.name
	}
	return names
}

func isDigit(c byte) bool { return c-'0' <= 9 }

func isUpper(c byte) bool { return c-'A' < 26 }

func isLetter(c byte) bool { return (c|0x20)-'a' < 26 }

func isAlnum(c byte) bool { return isDigit(c) || isLetter(c) }

func isHex(c byte) bool { return isDigit(c) || (c|0x20)-'a' < 6 }

// all reports whether every byte satisfies is.
func all(b []byte, is func(byte) bool) bool {
	for _, c := range b {
		if !is(c) {
			return false
		}
	}
	return true
}
