package tap

import (
	"bytes"
	"strings"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"

	"github.com/profilerhq/profiler/internal/source"
	"github.com/profilerhq/profiler/internal/source/csv"
)

// sniffBytes is how much of the head decides what the stream is; with a line
// that is longer, up to sniffLimit.
const (
	sniffBytes = 64 << 10
	sniffLimit = 1 << 20
)

// enough reports whether a head is long enough to decide by.
func enough(head []byte) bool {
	return len(head) >= sniffLimit || len(head) >= sniffBytes && complete(head)
}

// complete reports whether a head has a whole line.
func complete(head []byte) bool { return bytes.IndexByte(head, '\n') >= 0 }

// form is what a stream turned out to be.
type form struct {
	// options read it, with the format and the delimiter that were found.
	options source.Options
	// records says that the ends of records can be told by the scanner; why is
	// the reason if not.
	records bool
	why     string
	scanner scanner
	// header says that the first record names the columns.
	header bool
	// mark is the size of the byte order mark.
	mark int
}

const byteOrderMark = "\xef\xbb\xbf"

// formOf decides what a stream is by its head and by what the user said. A
// stream that it takes for text is read as exactly that, so that scanner and
// reader agree.
func formOf(head []byte, o source.Options) form {
	f := form{options: o}
	text := head
	if bytes.HasPrefix(head, []byte(byteOrderMark)) {
		f.mark, text = len(byteOrderMark), head[len(byteOrderMark):]
	}
	switch why := unscannable(text, o); {
	case why != "":
		f.why = why
		return f
	case o.Format == "jsonl", o.Format == "json", o.Format == "" && startsObject(text):
		f.options.Format = "jsonl"
		f.records = true
		return f
	}
	f.scanner = scanner{quote: o.Quote, delimiter: o.Delimiter, comment: o.Comment}
	if f.scanner.quote == 0 {
		f.scanner.quote = '"'
	}
	switch {
	case o.Delimiter != 0:
	case o.Format == "tsv":
		f.scanner.delimiter = '\t'
	default:
		f.scanner.delimiter = csv.Sniff(text, f.scanner.quote)
	}
	f.options.Format, f.options.Delimiter = "csv", f.scanner.delimiter
	f.records, f.header = true, !o.NoHeader
	return f
}

// unscannable returns why the ends of records cannot be told from the bytes,
// "" if they can.
func unscannable(text []byte, o source.Options) string {
	switch o.Format {
	case "", "csv", "tsv", "jsonl", "json":
	default:
		return "it is no text"
	}
	if !asciiBased(o.Encoding) {
		return "its encoding is not based on ASCII"
	}
	if len(text) > 1 && (text[0] == 0xff && text[1] == 0xfe || text[0] == 0xfe && text[1] == 0xff) {
		return "it is UTF-16"
	}
	for _, b := range text {
		if b < 0x20 && b != '\n' && b != '\r' && b != '\t' && b != '\f' && b != 0x1b && b != o.Delimiter && b != o.Quote {
			return "it is packed or no text" // by the magic bytes or what follows them
		}
	}
	start := bytes.TrimLeft(text, " \t\r\n")
	json := o.Format == "jsonl" || o.Format == "json"
	switch {
	case json && bytes.HasPrefix(start, []byte("[")), o.Format == "" && startsArray(start):
		return "it is one JSON array"
	case !complete(text[:min(len(text), sniffBytes)]) && bytes.IndexByte(text, '\r') >= 0:
		return "its lines end in CR alone" // the reader would say so too
	case len(text) >= sniffLimit && !complete(text):
		return "its first line is longer than 1 MiB"
	}
	return ""
}

// asciiBased reports whether quotes, delimiters and line ends of text in the
// encoding are the bytes of ASCII and no parts of other characters.
func asciiBased(name string) bool {
	if name == "" {
		return true
	}
	enc, err := htmlindex.Get(strings.ToLower(name))
	if err != nil {
		return false
	}
	if canonical, err := htmlindex.Name(enc); err == nil && canonical == "utf-8" {
		return true
	}
	_, ok := enc.(*charmap.Charmap)
	return ok
}

// startsObject and startsArray tell JSON from delimited text as package source
// does.
func startsObject(text []byte) bool {
	t := bytes.TrimLeft(text, " \t\r\n")
	return len(t) > 1 && t[0] == '{' && (bytes.HasPrefix(bytes.TrimLeft(t[1:], " \t\r\n"), []byte(`"`)) || t[1] == '}')
}

func startsArray(start []byte) bool {
	return len(start) > 1 && start[0] == '[' && bytes.HasPrefix(bytes.TrimLeft(start[1:], " \t\r\n"), []byte(`{`))
}
