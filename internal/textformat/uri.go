package textformat

import "bytes"

// uri accepts a URI of RFC 3986: a scheme and what follows it. References
// without a scheme are none, and characters that have to be escaped with % may
// not stand there bare.
func uri(b []byte) bool {
	_, ok := splitURI(b)
	return ok
}

// url accepts a URI that names a host after "//", whatever its scheme.
func url(b []byte) bool {
	host, ok := splitURI(b)
	return ok && len(host) > 0
}

// splitURI checks a URI and returns its host.
func splitURI(b []byte) (host []byte, ok bool) {
	scheme, rest, found := bytes.Cut(b, []byte{':'})
	if !found || len(scheme) == 0 || !isLetter(scheme[0]) || !all(scheme, isSchemeChar) {
		return nil, false
	}
	if rest, fragment, found := bytes.Cut(rest, []byte{'#'}); found {
		if !escaped(fragment, isQueryChar) {
			return nil, false
		}
		b = rest
	} else {
		b = rest
	}
	if rest, query, found := bytes.Cut(b, []byte{'?'}); found {
		if !escaped(query, isQueryChar) {
			return nil, false
		}
		b = rest
	}
	if bytes.HasPrefix(b, []byte("//")) {
		authority := b[2:]
		if i := bytes.IndexByte(authority, '/'); i >= 0 {
			authority, b = authority[:i], authority[i:]
		} else {
			b = nil
		}
		if host, ok = splitAuthority(authority); !ok {
			return nil, false
		}
	}
	return host, escaped(b, isPathChar)
}

// splitAuthority checks [userinfo@]host[:port] and returns the host.
func splitAuthority(b []byte) (host []byte, ok bool) {
	if i := bytes.LastIndexByte(b, '@'); i >= 0 {
		if !escaped(b[:i], func(c byte) bool { return isUnreserved(c) || isSubDelim(c) || c == ':' }) {
			return nil, false
		}
		b = b[i+1:]
	}
	host = b
	if len(b) > 0 && b[0] == '[' {
		end := bytes.IndexByte(b, ']')
		if end < 0 || !ipLiteral(b[1:end]) {
			return nil, false
		}
		host, b = b[:end+1], b[end+1:]
		if len(b) > 0 && b[0] != ':' {
			return nil, false
		}
		return host, len(b) == 0 || all(b[1:], isDigit)
	}
	if i := bytes.IndexByte(b, ':'); i >= 0 {
		host = b[:i]
		if !all(b[i+1:], isDigit) {
			return nil, false
		}
	}
	return host, escaped(host, func(c byte) bool { return isUnreserved(c) || isSubDelim(c) })
}

// ipLiteral is what stands in the brackets of a host: an IPv6 address or an
// address of a future version.
func ipLiteral(b []byte) bool {
	if len(b) == 0 || b[0]|0x20 != 'v' {
		return ipv6(b)
	}
	version, address, found := bytes.Cut(b[1:], []byte{'.'})
	return found && len(version) > 0 && all(version, isHex) && len(address) > 0 &&
		all(address, func(c byte) bool { return isUnreserved(c) || isSubDelim(c) || c == ':' })
}

// escaped reports whether every byte is allowed or part of a % escape.
func escaped(b []byte, allowed func(byte) bool) bool {
	for i := 0; i < len(b); i++ {
		if b[i] == '%' {
			if i+2 >= len(b) || !isHex(b[i+1]) || !isHex(b[i+2]) {
				return false
			}
			i += 2
			continue
		}
		if !allowed(b[i]) {
			return false
		}
	}
	return true
}

func isSchemeChar(c byte) bool { return isAlnum(c) || c == '+' || c == '-' || c == '.' }

func isUnreserved(c byte) bool {
	return isAlnum(c) || c == '-' || c == '.' || c == '_' || c == '~'
}

func isSubDelim(c byte) bool { return bytes.IndexByte([]byte("!$&'()*+,;="), c) >= 0 }

func isPathChar(c byte) bool {
	return isUnreserved(c) || isSubDelim(c) || c == ':' || c == '@' || c == '/'
}

func isQueryChar(c byte) bool { return isPathChar(c) || c == '?' }
