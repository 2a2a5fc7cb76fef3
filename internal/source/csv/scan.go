package csv

import (
	"bytes"
	"fmt"
	"math/bits"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/words"
)

// formDoubled is a quoted field with doubled quotes, until its record is
// accepted.
const formDoubled batch.Form = 15

// rowsLimit is how many rows a chunk has at most.
const rowsLimit = 16_384

// scanner finds the fields of the records in a block of text. Separators are
// found eight bytes at a time; a field that opens with a quote is followed to
// its end, so that a separator inside never counts.
type scanner struct {
	r       *Reader
	raw     *batch.Raw
	columns int  // that a record has
	header  bool // read one record of any width

	count   int  // records accepted
	begin   int  // of the record that is read
	last    int  // begin of the header
	found   int  // fields of the header
	open    bool // the text ends inside a quote
	doubled int  // fields of the record with doubled quotes
	width   int  // fields of the record so far
}

// scan returns a scanner of the text with room for the fields of all its rows.
func (r *Reader) scan(raw *batch.Raw) scanner {
	rows := min(rowsLimit, 1+bytes.Count(raw.Text, []byte{r.lineEnd()}))
	raw.Stride = (rows + 7) &^ 7
	if raw.Stride%512 == 0 {
		raw.Stride += 8 // columns whole pages apart would share places of the cache
	}
	n := raw.Stride * len(r.columns)
	if n > cap(raw.Fields) {
		raw.Fields = make([]batch.Field, n+n/8)
	}
	raw.Fields = raw.Fields[:n]
	return scanner{r: r, raw: raw, columns: len(r.columns)}
}

// rows reads the complete records of the text from at on, at the end of the
// input the last one too. It returns where it stopped: at the first record that
// is not complete, or behind the last one.
func (s *scanner) rows(at int) int {
	text, eof := s.raw.Text, s.r.eof
	end := len(text)
	words := text[:end+batch.RawSpare]
	delimiter, quote, ending := s.r.opts.Delimiter, s.r.opts.Quote, s.r.lineEnd()
	marks := s.mark(delimiter, ending)
	start := at
	s.begin = at
field:
	for start < end {
		if s.width == 0 && start == s.begin && s.stop(&start) {
			return s.begin
		}
		if start < end && text[start] == quote {
			next, ok := s.quoted(start)
			if !ok {
				return s.begin
			}
			start = next
			continue
		}
		width := s.width // what the loop changes is kept in registers
		to := width*s.raw.Stride + s.count
		block := start >> 6
		for m := markAt(marks, block) &^ (1<<(start&63) - 1); ; m = markAt(marks, block) {
			for ; m != 0; m &= m - 1 {
				i := block<<6 + bits.TrailingZeros64(m)
				f := batch.Field(uint64(start) | uint64(i-start)<<32)
				if text[i] != delimiter {
					s.width = width
					s.bare(start, i)
					start = i + 1
					s.endRecord(i, start)
					if text[i] == ending && s.plain(words, start, quote) {
						width, to = 0, s.count
						continue
					}
					continue field
				}
				if width < s.columns {
					s.raw.Fields[to] = f
					to += s.raw.Stride
				}
				width++
				start = i + 1
				if words[start] == quote {
					s.width = width
					continue field
				}
			}
			if block++; block >= len(marks) {
				break
			}
		}
		s.width = width
		break
	}
	if !eof || s.begin == end {
		return s.begin
	}
	s.bare(start, end)
	s.endRecord(end, end)
	return s.begin
}

func markAt(marks []uint64, block int) uint64 {
	if block < len(marks) {
		return marks[block]
	}
	return 0
}

// plain reports whether the record at start begins like any other: no quote, no
// comment, and there is room for it.
func (s *scanner) plain(words []byte, start int, quote byte) bool {
	return s.count < s.raw.Stride && !s.header && words[start] != quote && s.r.opts.Comment == 0
}

// mark finds the delimiters and the line ends of the text.
func (s *scanner) mark(delimiter, ending byte) []uint64 {
	text := s.raw.Text
	blocks := len(text) >> 6
	n := (len(text) + 63) >> 6
	if n > cap(s.r.marks) {
		s.r.marks = make([]uint64, n+n/4)
	}
	marks := s.r.marks[:n]
	masks(marks[:blocks], text, delimiter, ending)
	if blocks < n {
		var last [64]byte
		rest := copy(last[:], text[blocks<<6:])
		masks(marks[blocks:], last[:], delimiter, ending)
		marks[blocks] &= 1<<rest - 1
	}
	return marks
}

// stop reports whether nothing more is to be read at the start of a record. It
// passes over comments.
func (s *scanner) stop(start *int) bool {
	if s.count == 1 && s.header || s.count >= s.raw.Stride && !s.header {
		return true
	}
	text := s.raw.Text
	for c := s.r.opts.Comment; c != 0 && *start < len(text) && text[*start] == c; {
		i := bytes.IndexByte(text[*start:], s.r.lineEnd())
		if i < 0 {
			if !s.r.eof {
				return true
			}
			i = len(text) - *start - 1
		}
		s.r.tell(batch.Record{Kind: batch.OtherRecord, Text: text[*start : *start+i+1]})
		*start += i + 1
		s.begin = *start
	}
	return *start == len(text)
}

// put keeps a field of the record as long as it has not too many.
func (s *scanner) put(f batch.Field) {
	if s.width < s.columns {
		s.raw.Fields[s.width*s.raw.Stride+s.count] = f
	}
	s.width++
}

// bare keeps the last field of a record, without the CR of its line end.
func (s *scanner) bare(start, end int) {
	if end > start && s.raw.Text[end-1] == '\r' && !s.r.crOnly {
		end--
	}
	s.put(batch.Field(uint64(start) | uint64(end-start)<<32))
}

// endRecord accepts or counts the record whose line ends at end; the next one
// begins at next.
func (s *scanner) endRecord(end, next int) {
	begin := s.begin
	s.begin = next
	width, r := s.width, s.r
	s.width = 0
	if width == 1 && (end == begin || end == begin+1 && s.raw.Text[begin] == '\r' && !r.crOnly) {
		r.stats.BlankLines++
		r.tell(batch.Record{Kind: batch.OtherRecord, Text: s.raw.Text[begin:next]})
		return
	}
	r.records++
	if end-begin > r.limit {
		s.doubled = 0
		r.malformed(s.raw.Text[begin:next], begin, tooLong)
		return
	}
	if s.header {
		s.raw.Fields = s.raw.Fields[:min(width, s.columns)]
		s.count, s.last, s.found = 1, begin, width
		return
	}
	if width != s.columns {
		s.doubled = 0
		r.malformed(s.raw.Text[begin:next], begin, fmt.Sprintf("%s instead of %d", words.Things(width, "field"), s.columns))
		return
	}
	if r.opts.Records != nil {
		r.opts.Records(batch.Record{Row: r.rows + int64(s.count) + 1, Text: s.raw.Text[begin:next]})
	}
	if s.doubled > 0 {
		s.unescape()
	}
	s.count++
}

// quoted reads the field whose quote opens at start and what must follow it.
// It returns where the next field begins; not ok says that the text ends
// before that is known.
func (s *scanner) quoted(start int) (next int, ok bool) {
	text, r := s.raw.Text, s.r
	if start-s.begin > nearStart || r.inQuote.reaches(r.offset+int64(start)) {
		switch s.pass(start) {
		case staysOpen:
			return s.resume(s.begin, "a quote is not closed")
		case endsBefore:
			s.open = true
			return 0, false
		case otherwise:
		}
	}
	form := batch.FormQuoted
	i := start + 1
	for {
		j := bytes.IndexByte(text[i:], r.opts.Quote)
		switch {
		case j < 0 && !r.eof && len(text)-s.begin <= r.limit:
			s.open = true
			return 0, false
		case j < 0:
			s.keepUnclosed(start, len(text))
			return s.resume(s.begin, "a quote is not closed")
		case i+j-s.begin > r.limit:
			s.keepUnclosed(start, i+j)
			return s.resume(s.begin, "a quote is not closed")
		}
		i += j
		if i+1 == len(text) && !r.eof {
			return 0, false
		}
		if i+1 == len(text) || text[i+1] != r.opts.Quote {
			break
		}
		form = formDoubled
		i += 2
	}
	if form == formDoubled {
		s.doubled++
	}
	s.put(batch.NewField(start+1, i, form))
	return s.afterQuote(i + 1)
}

// afterQuote expects a delimiter or the end of the record at i.
func (s *scanner) afterQuote(i int) (next int, ok bool) {
	text, r := s.raw.Text, s.r
	switch {
	case i == len(text):
		s.endRecord(i, i)
		return i, true
	case text[i] == r.opts.Delimiter:
		return i + 1, true
	case text[i] == r.lineEnd():
		s.endRecord(i, i+1)
		return i + 1, true
	case text[i] == '\r' && i+1 == len(text):
		if !r.eof {
			return 0, false
		}
		s.endRecord(i, i+1)
		return i + 1, true
	case text[i] == '\r' && text[i+1] == '\n':
		s.endRecord(i, i+2)
		return i + 2, true
	}
	return s.resume(i, "text after a closing quote")
}

// resume counts the record as malformed and goes on behind the line in which
// from stands.
func (s *scanner) resume(from int, reason string) (next int, ok bool) {
	text := s.raw.Text
	i := bytes.IndexByte(text[from:], s.r.lineEnd())
	switch {
	case i >= 0:
		next = from + i + 1
	case !s.r.eof:
		return 0, false
	default:
		next = len(text)
	}
	s.r.records++
	s.r.malformed(text[s.begin:next], s.begin, reason)
	s.begin, s.width, s.doubled, s.open = next, 0, 0, false
	return next, true
}

// unescape makes doubled quotes single ones, in place.
func (s *scanner) unescape() {
	for c := range s.columns {
		at := c*s.raw.Stride + s.count
		f := s.raw.Fields[at]
		if f.Form() != formDoubled {
			continue
		}
		start, end := f.Span()
		to := start
		for from := start; from < end; from++ {
			b := s.raw.Text[from]
			s.raw.Text[to] = b
			to++
			if b == s.r.opts.Quote {
				from++
			}
		}
		s.raw.Fields[at] = batch.NewField(start, to, batch.FormQuoted)
	}
	s.doubled = 0
}

// text returns the text of a field of the header.
func (s *scanner) text(f batch.Field) []byte {
	start, end := f.Span()
	text := s.raw.Text[start:end]
	if f.Form() == formDoubled {
		q := string(s.r.opts.Quote)
		return bytes.ReplaceAll(text, []byte(q+q), []byte(q))
	}
	return text
}
