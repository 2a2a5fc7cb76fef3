// Package draft writes rule files that a program makes: suggestions and
// translations, for people to read, trim and check in.
package draft

import (
	"bytes"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// File is a rule file in the making.
type File struct {
	// Head are lines of comment at the top, Tail at the end.
	Head, Tail     []string
	Dataset, Owner string
	Key, Tags      []string
	Sensitive      []string
	Checks         []Item
	Columns        []*Column
}

// Column holds the items of one column.
type Column struct {
	Name  string
	Items []Item
}

// Item is one check.
type Item struct {
	Kind string
	// Value is the YAML of its parameters on one line, made by the functions
	// below; empty for a kind without any.
	Value string
	// Lines are the YAML of its parameters as lines of their own.
	Lines []string
	// Also are common keys beside the kind.
	Also []Pair
	// Comment stands above the item.
	Comment []string
}

// Pair is a key with the YAML of its value.
type Pair struct{ Key, Value string }

// With returns the item with one more key beside the kind, unless its value is
// empty.
func (i Item) With(key, value string) Item {
	if value != "" {
		i.Also = append(slices.Clone(i.Also), Pair{key, value})
	}
	return i
}

// Because returns the item with a comment.
func (i Item) Because(format string, args ...any) Item {
	i.Comment = append(slices.Clone(i.Comment), fmt.Sprintf(format, args...))
	return i
}

// Column returns the column of a name, which is added if it is new.
func (f *File) Column(name string) *Column {
	for _, c := range f.Columns {
		if c.Name == name {
			return c
		}
	}
	c := &Column{Name: name}
	f.Columns = append(f.Columns, c)
	return c
}

// Add appends an item to the list of a column, or to that of the dataset if
// the name is empty.
func (f *File) Add(column string, item Item) {
	if column == "" {
		f.Checks = append(f.Checks, item)
		return
	}
	c := f.Column(column)
	c.Items = append(c.Items, item)
}

// Len returns the number of items.
func (f *File) Len() int {
	n := len(f.Checks)
	for _, c := range f.Columns {
		n += len(c.Items)
	}
	return n
}

// Drop removes the items for which drop is true; column is empty for those of
// the dataset.
func (f *File) Drop(drop func(column, kind string) bool) {
	f.Checks = slices.DeleteFunc(f.Checks, func(i Item) bool { return drop("", i.Kind) })
	for _, c := range f.Columns {
		c.Items = slices.DeleteFunc(c.Items, func(i Item) bool { return drop(c.Name, i.Kind) })
	}
	f.Columns = slices.DeleteFunc(f.Columns, func(c *Column) bool { return len(c.Items) == 0 })
}

// YAML returns the text of the file.
func (f *File) YAML() []byte {
	w := &writer{}
	w.comment("", f.Head)
	w.line("version: 1")
	if f.Dataset != "" {
		w.line("dataset: " + Text(f.Dataset))
	}
	if f.Owner != "" {
		w.line("owner: " + Text(f.Owner))
	}
	if len(f.Tags) > 0 {
		w.line("tags: " + Texts(f.Tags))
	}
	if len(f.Key) > 0 {
		w.line("key: " + Texts(f.Key))
	}
	if len(f.Sensitive) > 0 {
		w.line("sensitive: " + Texts(f.Sensitive))
	}
	if len(f.Checks) > 0 || len(f.Columns) == 0 {
		w.line("checks:" + map[bool]string{true: " []"}[len(f.Checks) == 0])
		for i := range f.Checks {
			w.item("  ", f.Checks[i])
		}
	}
	if len(f.Columns) > 0 {
		w.line("columns:")
		for _, c := range f.Columns {
			w.line("  " + Text(c.Name) + ":")
			for i := range c.Items {
				w.item("    ", c.Items[i])
			}
		}
	}
	w.comment("", f.Tail)
	return w.buf.Bytes()
}

type writer struct{ buf bytes.Buffer }

func (w *writer) line(text string) {
	w.buf.WriteString(text + "\n")
}

func (w *writer) comment(indent string, lines []string) {
	for _, l := range lines {
		for _, part := range strings.Split(l, "\n") {
			w.line(strings.TrimRight(indent+"# "+clean(part), " "))
		}
	}
}

// clean takes out of a comment what would end its line.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == '\u0085' || r == '\ufeff' {
			return '\ufffd'
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
}

func (w *writer) item(indent string, i Item) {
	w.comment(indent, i.Comment)
	text := indent + "- " + i.Kind
	switch {
	case len(i.Lines) > 0:
		text += ":"
	case i.Value != "":
		text += ": " + i.Value
	case len(i.Also) > 0:
		text += ":"
	}
	w.line(text)
	for _, l := range i.Lines {
		w.line(indent + "    " + l)
	}
	for _, p := range i.Also {
		w.line(indent + "  " + p.Key + ": " + p.Value)
	}
}

var plainText = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.@/+-]*( [A-Za-z0-9_.@/+-]+)*$`)

// reserved are words that YAML or its readers do not take for texts.
var reserved = map[string]bool{
	"true": true, "false": true, "null": true, "yes": true, "no": true, "on": true, "off": true, "y": true, "n": true, "inf": true, "nan": true,
}

// Text returns a text as a YAML scalar on one line that reads back as the same
// text.
func Text(s string) string {
	s = strings.ReplaceAll(s, "${", "$${")
	switch {
	case plainText.MatchString(s) && !reserved[strings.ToLower(s)]:
		return s
	case !printable(s):
		return strconv.Quote(s)
	case !strings.ContainsAny(s, "\"\\"):
		return `"` + s + `"`
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}

func printable(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r == unicode.ReplacementChar || !unicode.IsPrint(r) }) < 0
}

// Texts returns a list of texts.
func Texts(list []string) string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = Text(s)
	}
	return List(out)
}

// List returns a list of YAML scalars.
func List(list []string) string { return "[" + strings.Join(list, ", ") + "]" }

// Map returns a mapping on one line; pairs with an empty value are left out.
func Map(pairs ...Pair) string {
	var out []string
	for _, p := range pairs {
		if p.Value != "" {
			out = append(out, p.Key+": "+p.Value)
		}
	}
	return "{" + strings.Join(out, ", ") + "}"
}

// Number returns a number without exponent where that is readable.
func Number(f float64) string {
	if f == math.Trunc(f) && math.Abs(f) < 1e15 {
		return strconv.FormatFloat(f, 'f', 0, 64)
	}
	if a := math.Abs(f); a >= 1e-6 && a < 1e15 {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return strconv.FormatFloat(f, 'e', -1, 64)
}

// Percent returns a share as a percentage.
func Percent(share float64) string {
	return strconv.FormatFloat(math.Round(share*1e8)/1e6, 'f', -1, 64) + "%"
}
