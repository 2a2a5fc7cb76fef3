package source

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/zeebo/xxh3"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/source/csv"
	"github.com/profilerhq/profiler/internal/source/jsonl"
)

// file is one open file: the format's reader and what is to be closed with it.
type file struct {
	wanted      []string // columns that are read; nil is all
	unpackLimit int64    // times its size; 0 is none
	batch.Reader
	info    Info
	closers []func() error
}

// Close closes the reader, the unpacker and the file.
func (f *file) Close() error {
	err := f.Reader.Close()
	for _, c := range f.closers {
		if cerr := c(); err == nil {
			err = cerr
		}
	}
	return err
}

// refused are contents that are recognised but not read.
var refused = []struct{ magic, reason, advice string }{
	{"PK\x03\x04", "it is a zip archive", "unpack it first (a spreadsheet: save it as CSV)"},
	{"FEA1", "Feather version 1 is not supported", "write it as Feather version 2, which is Arrow"},
	{"Obj\x01", "Avro is not supported", "convert it to Parquet or JSON lines"},
	{"ORC", "ORC is not supported", "convert it to Parquet"},
	{"PARE", "it is an encrypted Parquet file", "decrypt it first"},
	{"%PDF-", "it is a PDF document", "name a file with data"},
	{"SQLite format 3\x00", "it is a SQLite database", "export the table as CSV"},
}

// headBytes is what of a file is held to find its format. Readers ask for more
// than that, and then it is not copied once more.
const headBytes = 64 << 10

// openFile opens a path, or the standard input. count sees the bytes as they
// are read.
func openFile(path string, opts Options, count func([]byte)) (*file, error) {
	f := &file{}
	raw := opts.Stdin
	name := "standard input"
	var disk *os.File
	if path != Stdin {
		name = path
		var err error
		if disk, err = os.Open(path); err != nil {
			return nil, unreadable(path, err)
		}
		raw = disk
		f.closers = append(f.closers, disk.Close)
	}
	err := f.open(raw, disk, name, opts, count)
	if err != nil {
		for _, c := range f.closers {
			c() //nolint:errcheck // the first error counts
		}
		return nil, err
	}
	return f, nil
}

func (f *file) open(raw io.Reader, disk *os.File, name string, opts Options, count func([]byte)) error {
	whole := &reporter{src: raw, name: name, count: count}
	src := bufio.NewReaderSize(whole, headBytes)
	head, err := src.Peek(64)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if p := packingOf(head); p != nil {
		z, closer, err := p.open(src)
		var data *batch.DataError
		switch {
		case errors.As(err, &data):
			return err
		case err != nil:
			return damaged(name, p.name, 0, err)
		}
		f.info.Compression = p.name
		f.closers = append([]func() error{closer}, f.closers...)
		src = bufio.NewReaderSize(&reporter{src: z, name: name, packing: p.name, packed: whole, limit: opts.unpackLimit(), free: unpackFree}, headBytes)
		if head, err = src.Peek(64); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
	for _, r := range refused {
		if bytes.HasPrefix(head, []byte(r.magic)) && (opts.Format == "" || opts.Format == "parquet" || opts.Format == "arrow") && !startsText(head) {
			return &batch.DataError{Source: name, Offset: -1, Reason: r.reason, Advice: r.advice}
		}
	}
	if ok, err := f.openBinary(src, disk, name, opts); ok || err != nil {
		return err
	}
	return f.openText(src, name, opts)
}

// hasExt reports whether a name, without its packing, ends in one of the
// extensions.
func (f *file) hasExt(name string, extensions ...string) bool {
	name = strings.ToLower(name)
	for _, p := range packings {
		name = strings.TrimSuffix(name, p)
	}
	return slices.Contains(extensions, filepath.Ext(name))
}

func (f *file) openText(src *bufio.Reader, name string, opts Options) error {
	text, err := f.decode(src, opts.Encoding)
	if err != nil {
		return err
	}
	head, err := text.Peek(4096)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
		return err
	}
	format := opts.Format
	if looksBinary(head, opts.Delimiter, opts.Quote) {
		e := &batch.DataError{Source: name, Offset: -1, Reason: "is not text, and no format that is known", Advice: "name its format with --format (" + strings.Join(Formats, ", ") + ")"}
		if format != "" {
			e.Reason, e.Advice = "is not text, so it is not "+format, "name the right file, or its --encoding if it is UTF-16 without a mark"
		}
		return e
	}
	if format == "" {
		format = f.sniff(name, head)
	}
	switch format {
	case "jsonl", "json":
		r, err := jsonl.New(text, jsonl.Options{Source: name, Records: opts.Records})
		if err != nil {
			return err
		}
		f.Reader, f.info.Format, f.info.Array = r, "jsonl", r.Array()
		return nil
	}
	o := csv.Options{
		Source: name, Delimiter: opts.Delimiter, Quote: opts.Quote, Comment: opts.Comment, NoHeader: opts.NoHeader,
		Nulls: opts.Nulls, Records: opts.Records,
	}
	if format == "tsv" && o.Delimiter == 0 {
		o.Delimiter = '\t'
	}
	r, err := csv.New(text, o)
	if err != nil {
		return err
	}
	f.Reader, f.info.Format, f.info.Delimiter = r, "csv", r.Delimiter()
	return nil
}

// sniff finds the format of a text: by the extension where it names one, else
// by its first characters.
func (f *file) sniff(name string, head []byte) string {
	switch {
	case f.hasExt(name, ".csv"):
		return "csv"
	case f.hasExt(name, ".tsv"):
		return "tsv"
	case f.hasExt(name, ".jsonl", ".ndjson", ".json"):
		return "jsonl"
	}
	t := bytes.TrimLeft(head, " \t\r\n")
	if len(t) > 1 && t[0] == '{' && (bytes.HasPrefix(bytes.TrimLeft(t[1:], " \t\r\n"), []byte(`"`)) || t[1] == '}') {
		return "jsonl"
	}
	if len(t) > 1 && t[0] == '[' && bytes.HasPrefix(bytes.TrimLeft(t[1:], " \t\r\n"), []byte(`{`)) {
		return "jsonl"
	}
	return "csv"
}

// startsText reports whether a head could be that of a text whose first word
// only begins as a magic does, such as a column ORCHARD.
func startsText(head []byte) bool {
	return !bytes.HasPrefix(head, []byte("%PDF-")) && !slices.ContainsFunc(head, func(b byte) bool {
		return b < 0x20 && b != '\n' && b != '\r' && b != '\t' || b >= 0x7f
	})
}

// looksBinary reports whether a head is no text: more than one control
// character in twenty. The separators of delimited text are none.
func looksBinary(head []byte, delimiter, quote byte) bool {
	control := 0
	for _, b := range head {
		if b < 0x20 && (b == 0 || b != delimiter && b != quote) && b != '\n' && b != '\r' && b != '\t' && b != '\f' && b != 0x1b {
			control++
		}
	}
	return control*20 > len(head)
}

// decode returns UTF-8 text: a BOM is taken off, UTF-16 is recognised by its
// BOM, other encodings are named.
func (f *file) decode(src *bufio.Reader, encodingName string) (*bufio.Reader, error) {
	var enc encoding.Encoding
	head, err := src.Peek(3)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case encodingName != "":
		if enc, err = htmlindex.Get(encodingName); err != nil {
			return nil, &UsageError{fmt.Sprintf("unknown encoding %q; write one like utf-8, utf-16, latin1, windows-1252, shift_jis", encodingName)}
		}
		if strings.EqualFold(encodingName, "utf-16") {
			enc = unicode.UTF16(unicode.LittleEndian, unicode.UseBOM)
		}
		if n, _ := htmlindex.Name(enc); n == "utf-8" {
			enc = nil
		}
	case bytes.HasPrefix(head, []byte{0xff, 0xfe}), bytes.HasPrefix(head, []byte{0xfe, 0xff}):
		enc = unicode.UTF16(unicode.LittleEndian, unicode.UseBOM)
	}
	if enc != nil {
		f.info.Recoded = true
		return bufio.NewReaderSize(enc.NewDecoder().Reader(src), 64<<10), nil
	}
	if bytes.HasPrefix(head, []byte("\xef\xbb\xbf")) {
		f.info.BOM = true
		if _, err := src.Discard(3); err != nil {
			return nil, err
		}
	}
	return src, nil
}

// contentHash identifies what was read.
type contentHash struct{ h *xxh3.Hasher }

func newContentHash() *contentHash { return &contentHash{h: xxh3.New()} }

func (c *contentHash) name(s string) {
	c.h.WriteString(s)   //nolint:errcheck // never fails
	c.h.Write([]byte{0}) //nolint:errcheck // never fails
}

func (c *contentHash) write(b []byte) { c.h.Write(b) } //nolint:errcheck // never fails

func (c *contentHash) sum() string {
	s := c.h.Sum128().Bytes()
	return hex.EncodeToString(s[:])
}
