package textformat

import "bytes"

// Limits of RFC 5321, section 4.5.3.1, in bytes: of a local part, and of an
// address (a path of 256 without its angle brackets).
const (
	maxLocalPart = 64
	maxAddress   = 254
)

// email accepts an address as mail is delivered to: a local part that is a
// dot-string or a quoted string, @, and a host name or an address literal in
// brackets. Comments, folding white space and obsolete forms, which only a
// message header may have, are refused.
func email(b []byte) bool {
	at := bytes.LastIndexByte(b, '@')
	if at < 1 || at > maxLocalPart || len(b) > maxAddress {
		return false
	}
	local, domain := b[:at], b[at+1:]
	if local[0] == '"' {
		return quotedString(local) && mailDomain(domain)
	}
	return dotString(local) && mailDomain(domain)
}

func mailDomain(b []byte) bool {
	if len(b) < 2 || b[0] != '[' || b[len(b)-1] != ']' {
		return hostname(b)
	}
	b = b[1 : len(b)-1]
	const tag = "IPv6:"
	if len(b) > len(tag) && bytes.EqualFold(b[:len(tag)], []byte(tag)) {
		return ipv6(b[len(tag):])
	}
	return ipv4(b)
}

// dotString is atoms with single dots between them.
func dotString(b []byte) bool {
	dot := true // a dot may not follow
	for _, c := range b {
		switch {
		case c == '.' && dot:
			return false
		case c == '.':
			dot = true
		case !isAtom(c):
			return false
		default:
			dot = false
		}
	}
	return !dot
}

// isAtom is atext of RFC 5322.
func isAtom(c byte) bool {
	return isAlnum(c) || bytes.IndexByte([]byte("!#$%&'*+-/=?^_`{|}~"), c) >= 0
}

// quotedString is Quoted-string of RFC 5321. An empty one is refused (erratum
// 3135 of RFC 5322).
func quotedString(b []byte) bool {
	if len(b) < 3 || b[len(b)-1] != '"' {
		return false
	}
	b = b[1 : len(b)-1]
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c < ' ' || c > '~' || c == '"':
			return false
		case c == '\\':
			if i++; i == len(b) || b[i] < ' ' || b[i] > '~' {
				return false
			}
		}
	}
	return true
}

// hostname accepts labels of letters, digits and inner hyphens, at most 63
// bytes each and 253 together. A last label of digits alone is refused: with
// it the name could not be told from an address (RFC 1123, section 2.1).
func hostname(b []byte) bool {
	if len(b) > 253 {
		return false
	}
	for {
		label, rest, more := bytes.Cut(b, []byte{'.'})
		if !hostLabel(label) {
			return false
		}
		if !more {
			return !all(label, isDigit)
		}
		b = rest
	}
}

func hostLabel(b []byte) bool {
	if len(b) == 0 || len(b) > 63 || b[0] == '-' || b[len(b)-1] == '-' {
		return false
	}
	return all(b, func(c byte) bool { return isAlnum(c) || c == '-' })
}
