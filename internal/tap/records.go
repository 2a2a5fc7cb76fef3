package tap

import "bytes"

// state is where a record scanner stands between two bytes.
type state uint8

const (
	recordStart state = iota // the next byte begins a record
	fieldStart               // the next byte begins a field that is not the first
	bare                     // inside a field without quotes
	quoted                   // inside quotes
	quoteSeen                // behind a quote that closed a field, or is the first of two
	quoteCR                  // behind a closing quote and a CR
	broken                   // inside a malformed record, which ends with its line
	comment                  // inside a comment line
	lost                     // nobody knows
	states                   // their number
)

// scanner finds the ends of records in text by the rules of the readers: with
// quotes as in delimited text, or line by line. The zero value of quote means
// lines. It holds no position and is safe for concurrent use.
type scanner struct {
	quote, delimiter, comment byte
}

// last scans b from the state on. It returns the state behind b, and the index
// behind the last record that ends in b, -1 if none does.
func (k *scanner) last(s state, b []byte) (end state, last int) {
	last = -1
	for i := 0; i < len(b); {
		if s == quoted {
			var end int
			if s, i, end = k.fields(b, i); end >= 0 {
				last = end
			}
			continue
		}
		if s > bare {
			var n int
			if s, n = k.step(s, b[i:]); s == recordStart {
				last = i + n
			}
			i += n
			continue
		}
		plain := b[i:]
		if k.quote != 0 {
			if j := bytes.IndexByte(plain, k.quote); j >= 0 {
				plain = plain[:j]
			}
		}
		line := 0 // where the last line of the plain part begins
		if l := bytes.LastIndexByte(plain, '\n'); l >= 0 {
			line, s = l+1, recordStart
			last = i + line
		}
		s = k.within(s, plain[line:])
		i += len(plain)
		if i == len(b) {
			break
		}
		switch s { // at a quote
		case recordStart, fieldStart:
			s = quoted
		case bare:
		default: // inside a comment: the next round passes over it
			continue
		}
		i++
	}
	return s, last
}

// fields passes over fields in quotes, the first of which is open at i, as
// long as one follows the other. It returns the state and the index where that
// ends, and the index behind the last record that ended, -1 if none did.
func (k *scanner) fields(b []byte, i int) (s state, next, last int) {
	last = -1
	for {
		j := bytes.IndexByte(b[i:], k.quote)
		if j < 0 {
			return quoted, len(b), last
		}
		if i += j + 1; i == len(b) {
			return quoteSeen, i, last
		}
		switch b[i] {
		case k.quote:
			i++
			continue
		case k.delimiter:
			s = fieldStart
		case '\n':
			s, last = recordStart, i+1
		default:
			return quoteSeen, i, last
		}
		if i++; i == len(b) || b[i] != k.quote || s == recordStart && k.comment == k.quote {
			return s, i, last
		}
		i++
	}
}

// within returns the state behind a part of a line without quotes.
func (k *scanner) within(s state, part []byte) state {
	switch {
	case len(part) == 0:
		return s
	case s == recordStart && k.comment != 0 && part[0] == k.comment:
		return comment
	case k.quote != 0 && part[len(part)-1] == k.delimiter:
		return fieldStart
	}
	return bare
}

// step passes over the beginning of b, which is not empty, in one of the
// states behind bare. It returns the next state and the number of bytes.
func (k *scanner) step(s state, b []byte) (next state, n int) {
	switch s {
	case quoted:
		j := bytes.IndexByte(b, k.quote)
		if j < 0 {
			return quoted, len(b)
		}
		return quoteSeen, j + 1
	case quoteSeen:
		switch b[0] {
		case k.quote:
			return quoted, 1
		case k.delimiter:
			return fieldStart, 1
		case '\n':
			return recordStart, 1
		case '\r':
			return quoteCR, 1
		}
		return broken, 1
	case quoteCR:
		if b[0] == '\n' {
			return recordStart, 1
		}
		return broken, 1
	default: // broken, comment; never lost
		j := bytes.IndexByte(b, '\n')
		if j < 0 {
			return s, len(b)
		}
		return recordStart, j + 1
	}
}

// first scans b from the state on to the first end of a record. It returns the
// index behind it and the state in front of its line end; or -1 and the state
// behind b.
func (k *scanner) first(s state, b []byte) (end state, n int) {
	for i := 0; i < len(b); {
		if s > bare {
			next, n := k.step(s, b[i:])
			i += n
			if next == recordStart {
				return s, i
			}
			s = next
			continue
		}
		plain := b[i:]
		if l := bytes.IndexByte(plain, '\n'); l >= 0 {
			plain = plain[:l+1]
		}
		if k.quote != 0 {
			if j := bytes.IndexByte(plain, k.quote); j >= 0 {
				plain = plain[:j]
			}
		}
		if n := len(plain); n > 0 && plain[n-1] == '\n' {
			return k.within(s, plain[:n-1]), i + n
		}
		s = k.within(s, plain)
		i += len(plain)
		if i == len(b) {
			break
		}
		switch s {
		case recordStart, fieldStart:
			s = quoted
		case bare:
		default:
			continue
		}
		i++
	}
	return s, -1
}

// moves says for each state before a piece of text which one is behind it. So
// the state behind bytes that nobody keeps is known once the state in front of
// them is.
type moves struct {
	to  [states]state
	run [states]int64 // bytes behind the last end of a record
}

// recordLimit is how long a record may be for its end to be certain. The
// readers give up a quote that is not closed within 16 MiB and read its record
// anew as lines; half of that leaves no doubt that they do not.
const recordLimit = 8 << 20

// stay is what no text at all does.
func stay() (m moves) {
	for i := range m.to {
		m.to[i] = state(i)
	}
	return m
}

// over adds a piece of text. The states meet soon, mostly at the first line
// end, so this costs about two scans.
func (m *moves) over(k *scanner, b []byte) {
	const step = 512 // states that have met are scanned as one from the next step on
	for len(b) > 0 {
		part := b[:min(step, len(b))]
		if m.met() {
			part = b[:min(len(b), recordLimit/8)]
		}
		b = b[len(part):]
		var behind [states]state
		var last [states]int
		var known [states]bool
		known[lost] = true
		behind[lost] = lost
		for i, s := range m.to {
			if !known[s] {
				behind[s], last[s] = k.last(s, part)
				known[s] = true
			}
			m.to[i] = behind[s]
			m.run[i] += int64(len(part))
			if s != lost && last[s] >= 0 {
				m.run[i] = int64(len(part) - last[s])
			}
			if m.run[i] > recordLimit {
				m.to[i] = lost
			}
		}
	}
}

// then adds the moves of the next n bytes.
func (m *moves) then(o *moves, n int64) {
	for i, s := range m.to {
		m.to[i] = o.to[s]
		if s == lost {
			continue
		}
		if m.run[i] += n; o.run[s] < n {
			m.run[i] = o.run[s]
		}
		if m.run[i] > recordLimit {
			m.to[i] = lost
		}
	}
}

// met reports whether at most two states are left.
func (m *moves) met() bool {
	var seen [states]bool
	n := 0
	for _, s := range m.to {
		if !seen[s] && s != lost {
			seen[s] = true
			n++
		}
	}
	return n <= 2
}
