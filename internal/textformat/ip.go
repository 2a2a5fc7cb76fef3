package textformat

import "bytes"

// ipv4 accepts four decimal numbers up to 255 with dots, without leading
// zeros, which some programs read as octal.
func ipv4(b []byte) bool {
	for part := 0; ; part++ {
		i, n := 0, 0
		for ; i < len(b) && i < 4 && isDigit(b[i]); i++ {
			n = n*10 + int(b[i]-'0')
		}
		if i == 0 || n > 255 || i > 1 && b[0] == '0' {
			return false
		}
		if part == 3 {
			return i == len(b)
		}
		if i == len(b) || b[i] != '.' {
			return false
		}
		b = b[i+1:]
	}
}

// ipv6 accepts eight groups of up to four hexadecimal digits; "::" stands once
// for groups of zeros, and the last 32 bits may be written as an IPv4 address.
// Zones (fe80::1%eth0) mean something on one machine alone and are refused.
func ipv6(b []byte) bool {
	groups, short := 0, false
	if bytes.HasPrefix(b, []byte("::")) {
		if b = b[2:]; len(b) == 0 {
			return true
		}
		short = true
	}
	for {
		i := 0
		for i < len(b) && i < 5 && isHex(b[i]) {
			i++
		}
		if i < len(b) && b[i] == '.' { // the rest is IPv4
			groups += 2
			return ipv4(b) && complete(groups, short)
		}
		if i == 0 || i > 4 {
			return false
		}
		groups++
		b = b[i:]
		if len(b) == 0 {
			return complete(groups, short)
		}
		if b[0] != ':' || groups == 8 {
			return false
		}
		b = b[1:]
		if len(b) > 0 && b[0] == ':' {
			if short {
				return false
			}
			short = true
			if b = b[1:]; len(b) == 0 {
				return groups < 8
			}
		}
	}
}

// complete reports whether groups fill an address; "::" stands for at least one.
func complete(groups int, short bool) bool {
	if short {
		return groups < 8
	}
	return groups == 8
}

// cidr accepts an IPv4 or IPv6 address, a slash and the length of the prefix.
// Bits beyond the prefix may be set.
func cidr(b []byte) bool {
	addr, bits, found := bytes.Cut(b, []byte{'/'})
	if !found || len(bits) == 0 || len(bits) > 3 || len(bits) > 1 && bits[0] == '0' || !all(bits, isDigit) {
		return false
	}
	n := 0
	for _, c := range bits {
		n = n*10 + int(c-'0')
	}
	return n <= 32 && ipv4(addr) || n <= 128 && ipv6(addr)
}

// mac accepts 6 or 8 bytes as pairs of hexadecimal digits with colons or with
// hyphens, or as groups of four digits with dots.
func mac(b []byte) bool {
	switch len(b) {
	case 17, 23: // 6 or 8 pairs
		return (b[2] == ':' || b[2] == '-') && hexGroups(b, 2, b[2])
	case 14, 19: // 3 or 4 groups
		return hexGroups(b, 4, '.')
	}
	return false
}

func hexGroups(b []byte, size int, separator byte) bool {
	for i, c := range b {
		if i%(size+1) == size {
			if c != separator {
				return false
			}
		} else if !isHex(c) {
			return false
		}
	}
	return true
}
