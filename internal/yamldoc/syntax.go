package yamldoc

import (
	"bytes"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/profilerhq/profiler/internal/diag"
)

// wording is our text for a problem that the decoder found. The decoder tells
// the line where the surrounding construct began; the place where it stopped is
// found by reading again.
type wording struct {
	decoder string // part of the decoder's text
	begin   bool   // the place is the line where the construct began
	first   bool   // and stands at the start of a value
	marks   string // the place is the last of these characters before the stop
	message string
	hint    string
	code    string
}

const quoteIt = "quote the value"

// wordings is searched from the top; the last one takes everything.
var wordings = []wording{
	{decoder: "found character that cannot start any token", first: true, marks: "@`%|>\t", message: "a value cannot start with %c", hint: quoteIt},
	{decoder: "tab character", marks: "\t", message: "a tab is not allowed in the indentation", hint: "use spaces"},
	{decoder: "mapping values are not allowed", marks: ":", message: `a ":" is not allowed here`, hint: `quote a value that contains ": ", or correct the indentation`},
	{decoder: "could not find expected ':'", begin: true, message: `expected "key: value", found no ":"`, hint: "correct the indentation, or add the \":\""},
	{decoder: "block sequence entries are not allowed", marks: "-", message: `a list item "- " is not allowed here`, hint: "start the list on its own line"},
	{decoder: "mapping keys are not allowed", marks: "?", message: `a "? " is not allowed here`, hint: quoteIt},
	{decoder: "expected alphabetic or numeric character", first: true, marks: "*&", message: "a value that starts with %c is an alias or an anchor, and this one has no name", hint: quoteIt},
	{decoder: "unknown anchor", marks: "*", message: "alias %s has no anchor above it", hint: "quote the value if it is a pattern", code: CodeAlias},
	{decoder: "undefined tag handle", marks: "!", code: CodeTag},
	{decoder: "while scanning a tag", marks: "!", code: CodeTag},
	{decoder: "expected whitespace or line break", marks: "!", code: CodeTag},
	{decoder: "expected '!'", marks: "!", code: CodeTag},
	{decoder: "expected the '>'", marks: "!", code: CodeTag},
	{decoder: "tag URI", marks: "!", code: CodeTag},
	{decoder: "URI escaped octet", marks: "!", code: CodeTag},
	{decoder: "UTF-8 octet", marks: "!", code: CodeTag},
	{decoder: "indentation indicator", marks: "|>", message: "a value that starts with %c is a block of text, which begins on the next line", hint: quoteIt},
	{decoder: "expected comment or line break", marks: "|>", message: "a value that starts with %c is a block of text, which begins on the next line", hint: quoteIt},
	{decoder: "found unexpected end of stream", begin: true, marks: `"'`, message: "the quote %c is never closed", hint: "add the closing quote"},
	{decoder: "found unexpected document indicator", begin: true, marks: `"'`, message: "the quote %c is never closed", hint: "add the closing quote"},
	{decoder: "unknown escape character", marks: `\`, message: `unknown escape in a text with double quotes`, hint: "use single quotes, in which a backslash is a backslash"},
	{decoder: "hexdecimal number", marks: `\`, message: `this escape needs more hexadecimal digits`, hint: "use single quotes, in which a backslash is a backslash"},
	{decoder: "Unicode character escape", marks: `\`, message: `this escape is no Unicode character`},
	{decoder: "expected ',' or ']'", begin: true, marks: "[", message: `the list that begins here is not closed with "]" or lacks a ","`},
	{decoder: "expected ',' or '}'", begin: true, marks: "{", message: `the mapping that begins here is not closed with "}" or lacks a ","`, hint: "quote a value that contains { } [ ] or a comma"},
	{decoder: "did not find expected key", message: `expected "key: value" at the indentation of the keys above`, hint: "correct the indentation, or quote the whole value"},
	{decoder: "expected '-' indicator", message: `expected a list item "- " at the indentation of the items above`, hint: "correct the indentation"},
	{decoder: "expected <document start>", message: "this does not belong to the value above", hint: "correct the indentation"},
	{decoder: "expected node content", marks: ",]}", message: "a value is missing before %c", hint: `write "" for an empty text, or quote the value`},
	{decoder: "exceeded max depth", message: "lists and mappings are nested deeper than 64 levels", code: CodeLimit},
	{decoder: "directive", message: `a line that starts with "%" is a YAML directive, which is not supported`, hint: "quote the value, or remove the line"},
	{decoder: "incompatible YAML document", message: `this version of YAML is not supported`, hint: `remove the line that starts with "%"`},
	{decoder: "version number", message: `a line that starts with "%" is a YAML directive, and this one is malformed`, hint: "remove the line"},
	{decoder: "expected digit", message: `a line that starts with "%" is a YAML directive, and this one is malformed`, hint: "remove the line"},
	{decoder: "non-alphabetical", message: `a line that starts with "%" is a YAML directive, and this one is malformed`, hint: "remove the line"},
	{message: "this is not valid YAML"},
}

// beforeValue are the characters after which a value begins.
const beforeValue = " \t\r\n[{,:-"

// missingItem matches a comma or colon in a flow collection with nothing before.
var missingItem = regexp.MustCompile(`[\[{,]\s*[,:]`)

// taggedValue matches a line up to a value that starts with a tag.
var taggedValue = regexp.MustCompile(`(^|[:\-,\[{]\s+|^\s+)!`)

var decoderLine = regexp.MustCompile(`line (\d+): `)

// parserProblems are the problems for which the decoder counts lines from 0;
// for all others it counts from 1.
var parserProblems = []string{
	"expected key", "'-' indicator", "',' or", "<document start>", "node content", "tag handle", "duplicate %", "incompatible",
}

// syntax returns the diagnostic for a problem in the decoder's words.
func (s *source) syntax(problem string) diag.Diagnostic {
	var w wording
	for _, w = range wordings {
		if strings.Contains(problem, w.decoder) {
			break
		}
	}
	began, stopped := s.locate(problem)
	at := s.find(w, began, stopped)
	if tab := s.leadingTab(at); tab >= 0 {
		return diag.Diagnostic{Pos: s.position(tab), Code: CodeSyntax, Message: "a tab is not allowed in the indentation", Hint: "use spaces"}
	}
	if start := bytes.LastIndexByte(s.data[:at], '\n') + 1; w.first {
		// What follows a tag breaks the line: `!x && y`.
		if m := taggedValue.FindIndex(s.data[start:at]); m != nil {
			return tagDiagnostic(s.position(start+m[1]-1), 1)
		}
	}
	rest := s.line(at)
	if w.code == CodeTag && strings.HasPrefix(rest, "!") {
		return tagDiagnostic(s.position(at), 1)
	}
	d := diag.Diagnostic{Pos: s.position(at), Code: CodeSyntax, Message: w.message, Hint: w.hint}
	if w.code != "" {
		d.Code = w.code
	}
	if w.decoder == "unknown anchor" {
		name := strings.FieldsFunc(rest+" ", func(r rune) bool { return strings.ContainsRune(" \t,]}:", r) })
		rest = ""
		if len(name) > 0 {
			rest = name[0]
		}
		d.Message, d.Width = strings.Replace(w.message, "%s", strconv.Quote(shorten(rest)), 1), utf8.RuneCountInString(rest)
		return d
	}
	first, _ := utf8.DecodeRuneInString(rest)
	shown := strconv.Quote(string(first))
	switch {
	case rest == "":
		shown = "the end of the line"
	case first == '"':
		shown = `'"'`
	}
	d.Message = strings.Replace(w.message, "%c", shown, 1)
	return d
}

// locate finds the line start of the construct that the decoder could not
// finish, and the offset where it stopped, by reading again byte by byte. The
// empty line in front keeps the decoder from confusing the first line with an
// unknown one.
func (s *source) locate(problem string) (began, stopped int) {
	r := &slowReader{data: append([]byte{'\n'}, s.data...)}
	_, again := decode(r)
	stopped = max(min(r.read-2, len(s.data)-1), 0)
	began = bytes.LastIndexByte(s.data[:stopped], '\n') + 1
	if m := decoderLine.FindStringSubmatch(again); m != nil {
		line, _ := strconv.Atoi(m[1])
		if !isParserProblem(problem) {
			line--
		}
		began = min(s.offset(line, 1), stopped)
	}
	if isParserProblem(problem) {
		stopped = s.shortest(problem, stopped)
	}
	return began, stopped
}

func isParserProblem(problem string) bool {
	for _, p := range parserProblems {
		if strings.Contains(problem, p) {
			return true
		}
	}
	return false
}

// shortest takes lines off the end as long as the problem stays: the decoder
// reads a little further than the line that it stumbles over.
func (s *source) shortest(problem string, stopped int) int {
	message := decoderLine.ReplaceAllString(problem, "")
	for range 3 {
		cut := bytes.TrimRight(s.data[:bytes.LastIndexByte(s.data[:stopped], '\n')+1], " \t\r\n")
		if len(cut) == 0 {
			break
		}
		_, p := decode(bytes.NewReader(cut))
		if decoderLine.ReplaceAllString(p, "") != message {
			break
		}
		stopped = len(cut) - 1
	}
	return stopped
}

// find returns the offset to show for a problem.
func (s *source) find(w wording, began, stopped int) int {
	end := min(stopped+1, len(s.data))
	if w.begin {
		return s.findBegin(w.marks, began)
	}
	if w.decoder == "expected node content" {
		start := bytes.LastIndexByte(s.data[:stopped], '\n') + 1
		if m := missingItem.FindStringIndex(s.line(start)); m != nil {
			return start + m[1] - 1
		}
	}
	if w.first && began < end {
		for i := end - 1; i >= began; i-- {
			if strings.IndexByte(w.marks, s.data[i]) >= 0 && (i == 0 || strings.IndexByte(beforeValue, s.data[i-1]) >= 0) {
				return i
			}
		}
	}
	if w.marks != "" && began < end {
		if i := bytes.LastIndexAny(s.data[began:end], w.marks); i >= 0 {
			return began + i
		}
	}
	return s.lastText(end)
}

// lastText returns the first visible character of the last line before an
// offset that is not blank.
func (s *source) lastText(end int) int {
	text := bytes.TrimRight(s.data[:end], " \t\r\n")
	start := bytes.LastIndexByte(text, '\n') + 1
	return start + len(text[start:]) - len(bytes.TrimLeft(text[start:], " "))
}

// findBegin returns the bracket or quote on a line that is opened but not
// closed, or the first visible character of the line.
func (s *source) findBegin(marks string, began int) int {
	line := s.line(began)
	var open []int
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '#' && i > 0 && line[i-1] == ' ':
			i = len(line)
		case (c == '"' || c == '\'') && (i == 0 || strings.IndexByte(beforeValue, line[i-1]) >= 0):
			st := doubleQuoted
			if c == '\'' {
				st = singleQuoted
			}
			token := s.token(began+i, st, "")
			if len(token) < 2 || token[len(token)-1] != c {
				open = append(open, i)
				i = len(line)
			} else {
				i += len(token) - 1
			}
		case c == '[', c == '{':
			open = append(open, i)
		case (c == ']' || c == '}') && len(open) > 0:
			open = open[:len(open)-1]
		}
	}
	for i := len(open) - 1; i >= 0; i-- {
		if strings.IndexByte(marks, line[open[i]]) >= 0 {
			return began + open[i]
		}
	}
	if i := strings.IndexAny(line, marks); i >= 0 {
		return began + i
	}
	return began + len(line) - len(strings.TrimLeft(line, " "))
}

// leadingTab returns the offset of a tab in the indentation of the line, or -1.
func (s *source) leadingTab(at int) int {
	start := bytes.LastIndexByte(s.data[:at], '\n') + 1
	line := s.data[start:]
	indent := line[:len(line)-len(bytes.TrimLeft(line, " \t"))]
	if i := bytes.IndexByte(indent, '\t'); i >= 0 {
		return start + i
	}
	return -1
}

// slowReader hands out one byte at a time, so that the count of bytes tells how
// far the decoder came.
type slowReader struct {
	data []byte
	read int
}

func (r *slowReader) Read(p []byte) (int, error) {
	if r.read >= len(r.data) || len(p) == 0 {
		return 0, io.EOF
	}
	p[0] = r.data[r.read]
	r.read++
	return 1, nil
}
