// Package cut writes the rows of a file to several files: so many rows each, one
// for each row group, or one for each span of time. All of them together have all
// records of the file; each can be read by itself.
package cut

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/source"
	"github.com/profilerhq/profiler/internal/source/parquet"
)

// Kind says where a file is cut.
type Kind string

// The kinds of cuts.
const (
	// Rows cuts behind so many rows.
	Rows Kind = "rows"
	// RowGroups cuts Parquet at its row groups.
	RowGroups Kind = "row_groups"
	// Spans parts the rows by a column of times.
	Spans Kind = "time"
)

// By says how a file is cut.
type By struct {
	Kind Kind
	// Rows is the number of rows of a part, above 0.
	Rows int64
	// Column has the times, and Span is the length of a part, in UTC since 1970.
	Column string
	Span   time.Duration
}

// Part is a file with a part of the rows.
type Part struct {
	// Name is unique among the parts: their number from 1, or the start of the
	// span; "none" has the rows without a time.
	Name string `json:"name"`
	Path string `json:"path"`
	// Rows are those that could be parsed.
	Rows   int64  `json:"rows"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// DataError says that this data cannot be cut like that.
type DataError struct{ message string }

// Error returns the message.
func (e *DataError) Error() string { return e.message }

// maxSpans bounds the files that are open at once.
const maxSpans = 500

// none is the name of the part whose rows have no time.
const none = "none"

// File cuts the file at path, which is of the format or found by content, into
// files in the folder dir, which exists. The files are on disk when it returns. A
// file without rows gives one part. Text is written as it stands, in UTF-8 and
// unpacked, each part with the header; records that cannot be parsed stay behind
// the row before them; the items of a JSON array become lines. The error is a
// *DataError, one of package source, or of writing.
func File(ctx context.Context, path, format string, by By, dir string) (parts []Part, err error) {
	in, err := source.Expand([]string{path}, false)
	if err != nil {
		return nil, err
	}
	k := &knife{by: by, dir: dir, spans: map[int64]*part{}, column: -1}
	r, err := source.Open(ctx, in[0], source.Options{Format: format, Records: k.record})
	if err != nil {
		return nil, err
	}
	k.reader = r
	defer func() {
		k.abandon()
		err = errors.Join(err, r.Close())
	}()
	if err := k.begin(path); err != nil {
		return nil, err
	}
	if err := k.run(ctx); err != nil {
		return nil, err
	}
	return k.finish()
}

// record is a piece of text of the chunk at hand.
type record struct {
	kind       batch.RecordKind
	start, end int
}

// knife is a cut at work.
type knife struct {
	by     By
	dir    string
	reader *source.Reader
	ext    string
	file   *os.File        // of Parquet
	cutter *parquet.Cutter // nil for text
	groups []int64         // rows of the row groups that are left
	column int

	text    []byte
	records []record
	header  []byte
	early   []byte // records before the first row

	all   []*part
	spans map[int64]*part
	last  *part
}

// part is a file that is written.
type part struct {
	Part
	left   int64 // rows until it is full; -1 is never
	start  int64 // of the span
	file   *os.File
	out    *bufio.Writer
	sum    hash.Hash
	target *parquet.Target
	ended  bool // with a line end, or nothing is written
}

func (k *knife) record(r batch.Record) {
	start := len(k.text)
	k.text = append(k.text, r.Text...)
	k.records = append(k.records, record{r.Kind, start, len(k.text)})
}

func (k *knife) begin(path string) (err error) {
	info := k.reader.Info()
	k.ext = "." + info.Format
	switch info.Format {
	case "csv":
		if info.Delimiter == '\t' {
			k.ext = ".tsv"
		}
	case "jsonl":
	case "parquet":
		if info.Compression != "" {
			return &DataError{"a packed Parquet file cannot be cut; unpack it first"}
		}
		if k.file, err = os.Open(path); err != nil {
			return err
		}
		stat, err := k.file.Stat()
		if err != nil {
			return err
		}
		if k.cutter, err = parquet.NewCutter(k.file, stat.Size()); err != nil {
			return err
		}
		k.groups = k.cutter.Groups()
	default:
		return &DataError{fmt.Sprintf("the format %s cannot be cut; write CSV, JSON lines or Parquet", info.Format)}
	}
	if k.by.Kind == RowGroups && k.cutter == nil {
		return &DataError{fmt.Sprintf("row_groups is for Parquet, and this is %s; use rows(50000)", info.Format)}
	}
	return nil
}

func (k *knife) run(ctx context.Context) error {
	var chunk batch.Chunk
	for {
		err := k.reader.Next(ctx, &chunk)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if err := k.take(&chunk); err != nil {
			return err
		}
		if err != nil {
			break
		}
	}
	if k.by.Kind == Spans && k.column < 0 && !k.find() {
		return k.noColumn()
	}
	if k.last == nil { // no row at all
		name := "1"
		if k.by.Kind == Spans {
			name = none
		}
		p, err := k.open(name, -1)
		if err != nil {
			return err
		}
		k.last = p
		return p.put(k.early)
	}
	return nil
}

func (k *knife) find() bool {
	k.column = slices.IndexFunc(k.reader.Columns(), func(c batch.Column) bool { return c.Name == k.by.Column })
	return k.column >= 0
}

// maxNamed is how many columns a message names.
const maxNamed = 20

func (k *knife) noColumn() error {
	var names []string
	for _, c := range k.reader.Columns() {
		names = append(names, c.Name)
	}
	switch {
	case len(names) == 0:
		names = []string{"none"}
	case len(names) > maxNamed:
		names = append(names[:maxNamed], "…")
	}
	return &DataError{fmt.Sprintf("there is no column %q for the time; there are %s", k.by.Column, strings.Join(names, ", "))}
}

// take writes the rows of a chunk, and the records that stand between them.
func (k *knife) take(c *batch.Chunk) error {
	at := 0
	for i := range c.Rows {
		if k.cutter == nil {
			for at < len(k.records) && k.records[at].kind != batch.RowRecord {
				if err := k.between(k.records[at]); err != nil {
					return err
				}
				at++
			}
		}
		p, err := k.partOf(c, i)
		if err != nil {
			return err
		}
		k.last = p
		p.Rows++
		p.left--
		if k.cutter != nil {
			if err := k.cutter.Move(p.target); err != nil {
				return err
			}
			continue
		}
		if at == len(k.records) {
			return errors.New("BUG: a row without its record")
		}
		r := k.records[at]
		at++
		if len(k.early) > 0 {
			if err := p.put(k.early); err != nil {
				return err
			}
			k.early = nil
		}
		if err := p.put(k.text[r.start:r.end]); err != nil {
			return err
		}
	}
	for ; at < len(k.records); at++ {
		if err := k.between(k.records[at]); err != nil {
			return err
		}
	}
	k.text, k.records = k.text[:0], k.records[:0]
	return nil
}

// between keeps a record that is no row.
func (k *knife) between(r record) error {
	text := k.text[r.start:r.end]
	switch {
	case r.kind == batch.HeaderRecord && k.header == nil:
		k.header = bytes.Clone(text)
		return nil
	case r.kind == batch.HeaderRecord: // of the next file
		return nil
	case k.last == nil:
		k.early = append(k.early, text...)
		return nil
	}
	return k.last.put(text)
}

// partOf returns the part that row i of a chunk belongs to.
func (k *knife) partOf(c *batch.Chunk, i int) (*part, error) {
	switch k.by.Kind {
	case RowGroups:
		if k.last != nil && k.last.left > 0 {
			return k.last, nil
		}
		for len(k.groups) > 0 && k.groups[0] == 0 {
			k.groups = k.groups[1:]
		}
		if len(k.groups) == 0 {
			return nil, errors.New("BUG: a row behind the last row group")
		}
		n := k.groups[0]
		k.groups = k.groups[1:]
		return k.open(strconv.Itoa(len(k.all)+1), n)
	case Spans:
		return k.spanOf(c, i)
	default:
		if k.last != nil && k.last.left > 0 {
			return k.last, nil
		}
		return k.open(strconv.Itoa(len(k.all)+1), k.by.Rows)
	}
}

func (k *knife) spanOf(c *batch.Chunk, i int) (*part, error) {
	if k.column < 0 && !k.find() {
		return nil, k.noColumn()
	}
	v, err := c.Fill(k.column)
	if err != nil {
		return nil, err
	}
	plain, j := v.At(i)
	key, name := int64(-1<<63), none
	if t := plain.Types[j]; t == batch.Date || t == batch.Timestamp {
		us, span := plain.Value(j).Int, k.by.Span.Microseconds()
		key = us - ((us%span)+span)%span
		name = time.UnixMicro(key).UTC().Format(time.RFC3339)
	}
	if p := k.spans[key]; p != nil {
		return p, nil
	}
	if len(k.spans) == maxSpans {
		return nil, &DataError{fmt.Sprintf("the column %q has more than %d spans of %s; choose a longer one", k.by.Column, maxSpans, k.by.Span)}
	}
	p, err := k.open(name, -1)
	if err != nil {
		return nil, err
	}
	p.start, k.spans[key] = key, p
	return p, nil
}

func (k *knife) open(name string, rows int64) (*part, error) {
	p := &part{Part: Part{Name: name, Path: filepath.Join(k.dir, fmt.Sprintf("%06d%s", len(k.all)+1, k.ext))}, left: rows, ended: true, sum: sha256.New()}
	var err error
	if p.file, err = os.OpenFile(p.Path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644); err != nil {
		return nil, err
	}
	k.all = append(k.all, p)
	p.out = bufio.NewWriterSize(io.MultiWriter(p.file, p.sum), 64<<10)
	if k.cutter != nil {
		p.target, err = k.cutter.Target(p.out)
		return p, err
	}
	return p, p.put(k.header)
}

// put writes a record of text.
func (p *part) put(text []byte) error {
	if len(text) == 0 {
		return nil
	}
	if !p.ended {
		if err := p.out.WriteByte('\n'); err != nil {
			return err
		}
	}
	p.ended = text[len(text)-1] == '\n' || text[len(text)-1] == '\r'
	_, err := p.out.Write(text)
	return err
}

// finish makes the parts durable and puts those of spans in the order of time.
func (k *knife) finish() ([]Part, error) {
	if k.by.Kind == Spans {
		slices.SortFunc(k.all, func(a, b *part) int {
			switch {
			case a.Name == none:
				return 1
			case b.Name == none:
				return -1
			default:
			}
			return cmp.Compare(a.start, b.start)
		})
	}
	var out []Part
	for _, p := range k.all {
		if err := p.close(); err != nil {
			return nil, err
		}
		out = append(out, p.Part)
	}
	if k.cutter != nil {
		if err := k.cutter.Close(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (p *part) close() error {
	if p.target != nil {
		if err := p.target.Close(); err != nil {
			return err
		}
	}
	err := errors.Join(p.out.Flush(), p.file.Sync())
	info, err2 := p.file.Stat()
	if err = errors.Join(err, err2); err != nil {
		return err
	}
	p.Bytes, p.SHA256 = info.Size(), hex.EncodeToString(p.sum.Sum(nil))
	err = p.file.Close()
	p.file = nil
	return err
}

// abandon closes what is open.
func (k *knife) abandon() {
	if k.file != nil {
		k.file.Close()
	}
	for _, p := range k.all {
		if p.file != nil {
			p.file.Close()
		}
	}
}
