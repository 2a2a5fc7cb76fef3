package yamldoc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/profilerhq/profiler/internal/diag"
)

// Limits of one file. They keep a small hostile file from using much memory.
const (
	// MaxFileSize is the largest file in bytes.
	MaxFileSize = 4 << 20
	// MaxDepth is how deep lists and mappings may be nested, aliases followed.
	MaxDepth = 64
	// MaxAliased is the number of values that aliases may add to a file.
	MaxAliased = 100_000
	// MaxExpanded is the number of bytes that variables may add to a document.
	MaxExpanded = 16 << 20
)

// Codes of the diagnostics of this package.
const (
	// CodeEmpty marks a file without any document.
	CodeEmpty = "empty"
	// CodeEncoding marks text that is not clean UTF-8.
	CodeEncoding = "encoding"
	// CodeSyntax marks text that is not YAML.
	CodeSyntax = "syntax"
	// CodeTag marks a value that starts with an exclamation mark.
	CodeTag = "tag"
	// CodeAlias marks a wrong use of aliases, anchors or merge keys.
	CodeAlias = "alias"
	// CodeKey marks a key that is no text.
	CodeKey = "key"
	// CodeDuplicateKey marks a key that occurs twice in one mapping.
	CodeDuplicateKey = "duplicate-key"
	// CodeUnknownKey marks a key that the format does not have.
	CodeUnknownKey = "unknown-key"
	// CodeMissingKey marks a mapping that lacks a key.
	CodeMissingKey = "missing-key"
	// CodeType marks a value of the wrong kind.
	CodeType = "type"
	// CodeValue marks a value of the right kind that is not allowed.
	CodeValue = "value"
	// CodeVariable marks a variable that is unknown or misspelled.
	CodeVariable = "variable"
	// CodeLimit marks a file that is too large or too deep.
	CodeLimit = "limit"
)

// Document is one document of a YAML stream.
type Document struct {
	src  *source
	root *Node
}

// Root returns the top node of the document, never nil.
func (d *Document) Root() *Node { return d.root }

// File returns the name that was given to Parse.
func (d *Document) File() string { return d.src.file }

// Source returns the text of the whole file, for excerpts. It belongs to the
// document and must not be changed.
func (d *Document) Source() []byte { return d.src.data }

// Parse reads every document of a YAML stream. file is only used in positions.
// The result holds the documents that can be read even if others cannot, and
// the diagnostics hold all problems: of the syntax (only the first, since what
// follows it cannot be understood), of tags, aliases, keys and limits. A stream
// without documents is reported with CodeEmpty; empty documents between others
// are left out. Parse keeps data, which must not be changed afterwards.
func Parse(file string, data []byte) ([]*Document, diag.List) {
	var errs diag.List
	if len(data) > MaxFileSize {
		d := diag.Diagnostic{Pos: diag.Position{File: file, Line: 1, Column: 1}, Code: CodeLimit,
			Message: fmt.Sprintf("the file has %d bytes, more than the limit of %d MiB", len(data), MaxFileSize>>20), Hint: "split it"}
		return nil, diag.List{d}
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	src := newSource(file, data)
	if src.checkEncoding(&errs); errs != nil {
		return nil, errs
	}
	trees, problem := decode(bytes.NewReader(data))
	var docs []*Document
	for _, tree := range trees {
		b := builder{src: src, errs: &errs, done: map[*yaml.Node]*Node{}}
		if root := b.document(tree); root != nil && (root.shape != Text || root.Quoted() || root.text != "") {
			docs = append(docs, &Document{src: src, root: root})
		}
	}
	if problem != "" {
		errs.Add(src.syntax(problem))
	}
	if len(docs) == 0 && len(errs) == 0 {
		errs.Add(src.empty())
	}
	return docs, errs.Sorted()
}

func (s *source) empty() diag.Diagnostic {
	d := diag.Diagnostic{Pos: diag.Position{File: s.file, Line: 1, Column: 1}, Code: CodeEmpty, Message: "the file is empty"}
	if len(bytes.TrimSpace(s.data)) > 0 {
		d.Message = "the file has no content, only comments or separators"
	}
	return d
}

// decode reads the trees up to the first problem, which is returned in the
// words of the decoder.
func decode(r io.Reader) (trees []*yaml.Node, problem string) {
	defer func() {
		if p := recover(); p != nil {
			problem = "unreadable"
		}
	}()
	dec := yaml.NewDecoder(r)
	for {
		var tree yaml.Node
		err := dec.Decode(&tree)
		if errors.Is(err, io.EOF) {
			return trees, ""
		}
		if err != nil {
			return trees, err.Error()
		}
		trees = append(trees, &tree)
	}
}

// checkEncoding reports the first character that YAML does not allow.
func (s *source) checkEncoding(errs *diag.List) {
	if bytes.HasPrefix(s.data, []byte{0xFE, 0xFF}) || bytes.HasPrefix(s.data, []byte{0xFF, 0xFE}) {
		errs.Add(diag.Diagnostic{Pos: diag.Position{File: s.file, Line: 1, Column: 1}, Code: CodeEncoding,
			Message: "the file is UTF-16", Hint: "save it as UTF-8"})
		return
	}
	for i := 0; i < len(s.data); {
		r, size := utf8.DecodeRune(s.data[i:])
		d := diag.Diagnostic{Code: CodeEncoding}
		switch {
		case r == utf8.RuneError && size <= 1:
			d.Message, d.Hint = fmt.Sprintf("byte 0x%02X is not valid UTF-8", s.data[i]), "save the file as UTF-8"
		case !printable(r):
			d.Message, d.Hint = fmt.Sprintf("control character U+%04X is not allowed", r), "remove it"
		default:
			i += size
			continue
		}
		d.Pos = s.position(i)
		errs.Add(d)
		return
	}
}

// printable is the set c-printable of YAML 1.2, section 5.1, without the byte
// order mark in the middle of a text.
func printable(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' || r >= 0x20 && r <= 0x7E || r == 0x85 ||
		r >= 0xA0 && r <= 0xD7FF || r >= 0xE000 && r <= 0xFFFD && r != 0xFEFF || r >= 0x10000 && r <= 0x10FFFF
}
