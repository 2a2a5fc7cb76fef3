// Package sqltext cuts the SQL texts of users into statements and finds their
// named parameters. It knows where quotes and comments end in SQLite and in
// Postgres; it does not know the grammar of either.
package sqltext

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Statement is one statement of a text.
type Statement struct {
	// Text has the placeholders $1, $2 … in the place of named parameters, which
	// both SQLite and Postgres understand.
	Text string
	// Params are the names of the parameters; the first one is $1.
	Params []string
	// Start is where the statement begins in the text, in bytes, comments before
	// it left out.
	Start int
	// Word is its first word in capitals, such as INSERT.
	Word string

	marks []mark
}

// mark says that the bytes of Text from out on are those of the source from in
// on.
type mark struct{ out, in int }

// Error is a text that cannot be used.
type Error struct {
	// Offset is the place in the text, in bytes.
	Offset  int
	Message string
	// Name is an unknown parameter, empty if that is not the problem.
	Name string
}

func (e *Error) Error() string { return e.Message }

// Split cuts a text at the semicolons outside of quotes and comments. A parameter
// is :name with one of the known names; a colon inside :: or := is none. The
// error is of type *Error.
func Split(text string, postgres bool, known []string) ([]Statement, error) {
	s := scanner{text: text, postgres: postgres, known: known}
	for s.at < len(text) {
		if err := s.step(); err != nil {
			return nil, err
		}
	}
	s.end()
	return s.all, nil
}

// Offset returns where the n-th character of Text, from 1, stands in the source,
// in bytes.
func (s *Statement) Offset(n int) int {
	at := 0
	for range n - 1 {
		if at >= len(s.Text) {
			break
		}
		_, size := utf8.DecodeRuneInString(s.Text[at:])
		at += size
	}
	m := mark{0, s.Start}
	for _, next := range s.marks {
		if next.out > at {
			break
		}
		m = next
	}
	return m.in + at - m.out
}

type scanner struct {
	text     string
	postgres bool
	known    []string
	at       int
	all      []Statement
	now      Statement
	out      strings.Builder
	begun    bool
	words    int
	last     string // the last word of the statement, in capitals
	trigger  bool   // it creates a trigger, whose body has semicolons
}

// step takes one word, quoted text, comment or character.
func (s *scanner) step() error {
	rest := s.text[s.at:]
	if n, quoted, err := s.quoted(rest); err != nil || n > 0 {
		if err != nil {
			return err
		}
		s.take(n, quoted)
		return nil
	}
	c := rest[0]
	switch {
	case c == ';' && (!s.trigger || s.last == "END"):
		s.at++
		s.end()
	case strings.HasPrefix(rest, "::"), strings.HasPrefix(rest, ":="):
		s.take(2, true)
	case c == ':' && len(rest) > 1 && isLetter(rest[1]):
		return s.parameter(rest)
	case isLetter(c):
		n := 1
		for n < len(rest) && (isLetter(rest[n]) || rest[n] >= '0' && rest[n] <= '9' || rest[n] == '$') {
			n++
		}
		s.word(strings.ToUpper(rest[:n]))
		s.take(n, true)
	case c >= '0' && c <= '9': // the letters of 1e5 are no word
		n := 1
		for n < len(rest) && (isLetter(rest[n]) || rest[n] >= '0' && rest[n] <= '9') {
			n++
		}
		s.take(n, true)
	default:
		_, n := utf8.DecodeRuneInString(rest)
		s.take(n, !strings.ContainsRune(" \t\r\n\f\v", rune(c)))
	}
	return nil
}

func isLetter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= utf8.RuneSelf
}

func (s *scanner) word(w string) {
	if s.words++; s.words == 1 {
		s.now.Word = w
	}
	// CREATE [TEMPORARY] TRIGGER
	if !s.postgres && s.now.Word == "CREATE" && w == "TRIGGER" && s.words <= 3 {
		s.trigger = true
	}
	s.last = w
}

// take copies n bytes. Content begins the statement; spaces and comments before
// it are dropped.
func (s *scanner) take(n int, content bool) {
	if content && !s.begun {
		s.begun, s.now.Start = true, s.at
	}
	if s.begun {
		s.out.WriteString(s.text[s.at : s.at+n])
	}
	s.at += n
}

// parameter replaces :name by its placeholder.
func (s *scanner) parameter(rest string) error {
	n := 1
	for n < len(rest) && (isLetter(rest[n]) || rest[n] >= '0' && rest[n] <= '9') {
		n++
	}
	name := rest[1:n]
	if !slices.Contains(s.known, name) {
		return &Error{s.at, fmt.Sprintf("unknown parameter :%s; there are :%s", name, strings.Join(s.known, ", :")), name}
	}
	i := slices.Index(s.now.Params, name)
	if i < 0 {
		i = len(s.now.Params)
		s.now.Params = append(s.now.Params, name)
	}
	s.take(0, true)
	fmt.Fprintf(&s.out, "$%d", i+1)
	s.at += n
	s.now.marks = append(s.now.marks, mark{s.out.Len(), s.at})
	return nil
}

// end closes the statement, if there is one.
func (s *scanner) end() {
	if s.begun {
		s.now.Text = strings.TrimRight(s.out.String(), " \t\r\n\f\v")
		s.all = append(s.all, s.now)
	}
	s.now, s.begun, s.words, s.last, s.trigger = Statement{}, false, 0, "", false
	s.out.Reset()
}

// quoted returns the length of the quoted text or comment that rest begins with,
// 0 if it begins with none. content is false for a comment.
func (s *scanner) quoted(rest string) (n int, content bool, err error) {
	switch c := rest[0]; {
	case strings.HasPrefix(rest, "--"):
		if n = strings.IndexByte(rest, '\n'); n < 0 {
			n = len(rest)
		}
		return n, false, nil
	case strings.HasPrefix(rest, "/*"):
		if n = comment(rest, s.postgres); n > 0 {
			return n, false, nil
		}
		if !s.postgres {
			return len(rest), false, nil // SQLite takes the end for the end of the comment
		}
		return 0, false, &Error{Offset: s.at, Message: "the comment /* is never closed by */"}
	case c == '\'', c == '"', c == '`' && !s.postgres:
		return s.until(rest, c, false)
	case (c == 'e' || c == 'E') && s.postgres && strings.HasPrefix(rest[1:], "'"):
		n, _, err = s.until(rest[1:], '\'', true)
		return n + 1, true, err
	case c == '[' && !s.postgres:
		if n = strings.IndexByte(rest, ']'); n < 0 {
			return 0, false, &Error{Offset: s.at, Message: "the name [ is never closed by ]"}
		}
		return n + 1, true, nil
	case c == '$' && s.postgres:
		return s.dollar(rest)
	}
	return 0, false, nil
}

// until finds the end of a text in quotes, in which a doubled quote is one quote
// and, if escapes are on, a backslash takes the next character with it.
func (s *scanner) until(rest string, quote byte, escapes bool) (int, bool, error) {
	for i := 1; i < len(rest); i++ {
		switch {
		case escapes && rest[i] == '\\':
			i++
		case rest[i] == quote && i+1 < len(rest) && rest[i+1] == quote:
			i++
		case rest[i] == quote:
			return i + 1, true, nil
		}
	}
	return 0, false, &Error{Offset: s.at, Message: fmt.Sprintf("the text in %c is never closed", quote)}
}

// dollar is $tag$ … $tag$ of Postgres.
func (s *scanner) dollar(rest string) (int, bool, error) {
	n := 1
	for n < len(rest) && (isLetter(rest[n]) || n > 1 && rest[n] >= '0' && rest[n] <= '9') {
		n++
	}
	if n >= len(rest) || rest[n] != '$' {
		return 0, false, nil
	}
	tag := rest[:n+1]
	end := strings.Index(rest[len(tag):], tag)
	if end < 0 {
		return 0, false, &Error{Offset: s.at, Message: "the text in " + tag + " is never closed"}
	}
	return end + 2*len(tag), true, nil
}

// comment returns the length of a comment, 0 if it is not closed. Those of
// Postgres nest.
func comment(rest string, nested bool) int {
	depth := 0
	for i := 0; i+1 < len(rest); i++ {
		switch {
		case rest[i] == '/' && rest[i+1] == '*' && (nested || depth == 0):
			depth++
			i++
		case rest[i] == '*' && rest[i+1] == '/':
			if depth--; depth == 0 {
				return i + 2
			}
			i++
		}
	}
	return 0
}
