package csv

import (
	"bytes"
	"slices"
)

// unclosed is what is known of the last record whose quote nothing closes. Such
// a record is left out up to its first line, and each line behind that may begin
// another one that is in the same quotes: without this knowledge a text would be
// looked at once for each of its lines. Two records of which none ends are both
// in a quote at every line end, so from the first one on their fields are the
// same.
type unclosed struct {
	starts []int64 // offsets of some of its quoted fields
	quote  int64   // offset up to which no quote closes the last of them
	fields []int64 // those of the record that is read
}

const (
	// nearStart is how many bytes of a record are passed over before its fields
	// are kept: records of usual length keep none.
	nearStart = 4 << 10
	// apart is how many bytes are between two fields that are kept.
	apart = 64
)

// reaches reports whether something is known of a field at an offset.
func (u *unclosed) reaches(at int64) bool {
	return len(u.starts) > 0 && at <= u.starts[len(u.starts)-1]
}

// add keeps a quoted field of the record that begins at an offset.
func (u *unclosed) add(begin, at int64) {
	if n := len(u.fields); n > 0 && (u.fields[0] < begin || at <= u.fields[n-1]) {
		u.fields = u.fields[:0] // of another record, or of an earlier look at this one
	}
	if n := len(u.fields); n == 0 || at-u.fields[n-1] >= apart {
		u.fields = append(u.fields, at)
	}
}

// keepUnclosed keeps the fields of the record that is read, whose last one opens
// at start and is not closed before quote.
func (s *scanner) keepUnclosed(start, quote int) {
	r, u := s.r, &s.r.inQuote
	if at := r.offset + int64(start); len(u.fields) == 0 || u.fields[len(u.fields)-1] != at {
		u.add(r.offset+int64(s.begin), at)
	}
	u.starts, u.fields = u.fields, u.starts[:0]
	u.quote = r.offset + int64(quote)
}

// outcome says how a record goes on.
type outcome uint8

const (
	otherwise  outcome = iota // it has to be read
	staysOpen                 // its quote is not closed within RecordLimit
	endsBefore                // the text ends before that is known
)

// pass tells from what is known whether the record stays open, which has a
// quoted field at start.
func (s *scanner) pass(start int) outcome {
	r, u := s.r, &s.r.inQuote
	at := r.offset + int64(start)
	if u.reaches(at) {
		if _, same := slices.BinarySearch(u.starts, at); same {
			if what := s.follow(); what != otherwise {
				return what
			}
			u.starts = u.starts[:0]
		}
	}
	if start-s.begin > nearStart {
		u.add(r.offset+int64(s.begin), at)
	}
	return otherwise
}

// follow goes on behind the known fields, which the record has too.
func (s *scanner) follow() outcome {
	text, r, u := s.raw.Text, s.r, &s.r.inQuote
	quote, delimiter := r.opts.Quote, r.opts.Delimiter
	for i := int(u.quote - r.offset); ; {
		j := bytes.IndexByte(text[i:], quote)
		switch {
		case j < 0 && !r.eof && len(text)-s.begin <= r.limit:
			u.quote = r.offset + int64(len(text))
			return endsBefore
		case j < 0:
			u.quote = r.offset + int64(len(text))
			return staysOpen
		}
		i += j
		u.quote = r.offset + int64(i)
		switch {
		case i-s.begin > r.limit:
			return staysOpen
		case i+1 == len(text):
			return otherwise
		case text[i+1] == quote:
			i += 2
			u.quote += 2
			continue
		case text[i+1] != delimiter:
			return otherwise
		}
		for i += 2; i < len(text) && text[i] != quote; i++ { // fields without quotes
			for i < len(text) && text[i] != delimiter {
				if text[i] == r.lineEnd() {
					return otherwise
				}
				i++
			}
		}
		if i >= len(text) {
			return otherwise
		}
		if at := r.offset + int64(i); at-u.starts[len(u.starts)-1] >= apart {
			u.starts = append(u.starts, at)
		}
		i++
		u.quote = r.offset + int64(i)
	}
}
