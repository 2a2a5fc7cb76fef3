package source

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/zeebo/xxh3"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/source/csv"
	"github.com/profilerhq/profiler/internal/source/jsonl"
	"github.com/profilerhq/profiler/internal/source/parquet"
)

// file is one open file: the format's reader and what is to be closed with it.
type file struct {
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

// packing is a compression found by its magic bytes.
type packing struct {
	name  string
	magic string
	open  func(io.Reader) (io.Reader, func() error, error)
}

func noClose() error { return nil }

var unpackers = []packing{
	{"gzip", "\x1f\x8b", func(r io.Reader) (io.Reader, func() error, error) {
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, nil, err
		}
		return z, z.Close, nil
	}},
	{"zstd", "\x28\xb5\x2f\xfd", func(r io.Reader) (io.Reader, func() error, error) {
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(128<<20))
		if err != nil {
			return nil, nil, err
		}
		return z, func() error { z.Close(); return nil }, nil
	}},
	{"bz2", "BZh", func(r io.Reader) (io.Reader, func() error, error) { return bzip2.NewReader(r), noClose, nil }},
	{"snappy", "\xff\x06\x00\x00sNaPpY", func(r io.Reader) (io.Reader, func() error, error) { return snappy.NewReader(r), noClose, nil }},
}

// refused are contents that are recognised but not read.
var refused = []struct{ magic, reason, advice string }{
	{"\xfd7zXZ\x00", "xz is not supported by this version", "unpack it first: xz -dc FILE | profiler profile -"},
	{"\x04\x22\x4d\x18", "lz4 is not supported by this version", "unpack it first: lz4 -dc FILE | profiler profile -"},
	{"PK\x03\x04", "it is a zip archive", "unpack it first (a spreadsheet: save it as CSV)"},
	{"ARROW1\x00", "Arrow files are not supported by this version", "convert it to Parquet"},
	{"Obj\x01", "Avro is not supported", "convert it to Parquet or JSON lines"},
	{"ORC", "ORC is not supported", "convert it to Parquet"},
	{"PARE", "it is an encrypted Parquet file", "decrypt it first"},
	{"%PDF-", "it is a PDF document", "name a file with data"},
	{"SQLite format 3\x00", "it is a SQLite database", "export the table as CSV"},
}

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
	src := bufio.NewReaderSize(&reporter{src: raw, name: name, count: count}, 256<<10)
	head, err := src.Peek(64)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	for _, p := range unpackers {
		if !bytes.HasPrefix(head, []byte(p.magic)) {
			continue
		}
		z, closer, err := p.open(src)
		if err != nil {
			return damaged(name, p.name, err)
		}
		f.info.Compression = p.name
		f.closers = append([]func() error{closer}, f.closers...)
		src = bufio.NewReaderSize(&reporter{src: z, name: name, packing: p.name}, 256<<10)
		if head, err = src.Peek(64); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		break
	}
	for _, r := range refused {
		if bytes.HasPrefix(head, []byte(r.magic)) && (opts.Format == "" || opts.Format == "parquet") && !startsText(head) {
			return &batch.DataError{Source: name, Offset: -1, Reason: r.reason, Advice: r.advice}
		}
	}
	isParquet := bytes.HasPrefix(head, []byte("PAR1")) && !startsText(head)
	switch {
	case isParquet && opts.Format != "" && opts.Format != "parquet":
		return &batch.DataError{Source: name, Offset: -1, Reason: "is a Parquet file, not " + opts.Format, Advice: "leave out --format, or write --format parquet"}
	case isParquet, opts.Format == "parquet", opts.Format == "" && f.hasExt(name, ".parquet"):
		return f.openParquet(src, disk, name, opts)
	}
	return f.openText(src, name, opts)
}

// hasExt reports whether a name, without its packing, ends in an extension.
func (f *file) hasExt(name, ext string) bool {
	name = strings.ToLower(name)
	for _, p := range packings {
		name = strings.TrimSuffix(name, p)
	}
	return filepath.Ext(name) == ext
}

// openParquet reads from the file itself, or from a temporary copy of what
// comes in a stream or packed.
func (f *file) openParquet(src *bufio.Reader, disk *os.File, name string, opts Options) error {
	if head, _ := src.Peek(4); string(head) != "PAR1" {
		reason := "is not a Parquet file"
		if len(head) == 0 {
			reason = "is empty; a Parquet file has at least a footer"
		}
		return &batch.DataError{Source: name, Offset: 0, Reason: reason, Advice: "write it again, or name the right format with --format"}
	}
	if disk == nil || f.info.Compression != "" {
		spool, err := os.CreateTemp("", "profiler-*.parquet")
		if err != nil {
			return fmt.Errorf("%s: keep a copy for reading: %w", name, err)
		}
		f.closers = append(f.closers, func() error { spool.Close(); return os.Remove(spool.Name()) })
		if _, err := io.Copy(spool, src); err != nil {
			return fmt.Errorf("%s: keep a copy for reading: %w", name, err)
		}
		disk = spool
	} else if _, err := io.Copy(io.Discard, src); err != nil { // the content's hash and size
		return err
	}
	info, err := disk.Stat()
	if err != nil {
		return unreadable(name, err)
	}
	r, err := parquet.New(disk, info.Size(), parquet.Options{Source: name})
	if err != nil {
		return err
	}
	f.Reader, f.info.Format = r, "parquet"
	return nil
}

func (f *file) openText(src *bufio.Reader, name string, opts Options) error {
	text, err := decode(src, name, opts.Encoding)
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
		r, err := jsonl.New(text, jsonl.Options{Source: name})
		if err != nil {
			return err
		}
		f.Reader, f.info.Format = r, "jsonl"
		return nil
	}
	o := csv.Options{
		Source: name, Delimiter: opts.Delimiter, Quote: opts.Quote, Comment: opts.Comment, NoHeader: opts.NoHeader,
		Nulls: opts.Nulls,
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
	case f.hasExt(name, ".jsonl"), f.hasExt(name, ".ndjson"), f.hasExt(name, ".json"):
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
func decode(src *bufio.Reader, name, encodingName string) (*bufio.Reader, error) {
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
		return bufio.NewReaderSize(enc.NewDecoder().Reader(src), 64<<10), nil
	}
	if bytes.HasPrefix(head, []byte("\xef\xbb\xbf")) {
		if _, err := src.Discard(3); err != nil {
			return nil, err
		}
	}
	return src, nil
}

// reporter counts bytes on their way and rewords errors.
type reporter struct {
	src     io.Reader
	name    string
	packing string // of which src is the content; empty for the file itself
	offset  int64
	count   func([]byte)
}

// Read reads from the source. Errors but io.EOF come as *batch.DataError.
func (r *reporter) Read(b []byte) (int, error) {
	n, err := r.src.Read(b)
	r.offset += int64(n)
	if r.count != nil && n > 0 {
		r.count(b[:n])
	}
	if err == nil || errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return n, err
	}
	var data *batch.DataError
	if errors.As(err, &data) {
		return n, err
	}
	if r.packing == "" {
		return n, unreadable(r.name, err)
	}
	d := damaged(r.name, r.packing, err)
	d.Offset = r.offset
	return n, d
}

// damaged is the error of packed data that cannot be unpacked.
func damaged(name, packing string, err error) *batch.DataError {
	reason := "the " + packing + " data is damaged"
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		reason = "the " + packing + " data is truncated"
	}
	return &batch.DataError{Source: name, Offset: -1, Reason: reason, Advice: "copy or write the file again", Err: err}
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
