// Package source opens data by path, glob, folder or standard input: it
// unpacks, finds the encoding and the format by content, and reads all files
// of a batch as one.
package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/source/jsonl"
	"github.com/profilerhq/profiler/internal/source/typed"
)

// Stdin is the name of the standard input.
const Stdin = "-"

// Formats are the names that --format takes.
var Formats = []string{"csv", "tsv", "jsonl", "json", "parquet", "arrow"}

// Options say how data is written. The zero value finds out by content.
type Options struct {
	// Format is one of Formats; empty is found by content.
	Format string
	// Delimiter, Quote and Comment are for delimited text; 0 is found or off.
	Delimiter, Quote, Comment byte
	NoHeader                  bool
	// Nulls are texts that mean null in delimited text.
	Nulls []string
	// Encoding names the encoding of text; empty is UTF-8, or UTF-16 by BOM.
	Encoding string
	// Columns keeps only these columns, in this order; nil keeps all.
	Columns []string
	// Rows stops after so many rows; 0 reads all.
	Rows int64
	// Sample takes this share of the rows that are read, chosen by the hash of
	// their numbers; 0 and 1 take all.
	Sample float64
	// UnpackLimit is how many times its size packed data may unpack to, beyond
	// the first GiB; 0 is DefaultUnpackLimit, a negative one is none.
	UnpackLimit int64
	// Stdin is read for the input "-".
	Stdin io.Reader
	// Progress is called with the bytes read so far, from the reading
	// goroutine; nil is off.
	Progress func(bytes int64)
	// Records is called for each record of a text format as it is met, while
	// Next is at work; nil is off. Rows are numbered by file.
	Records func(batch.Record)
}

func (o Options) unpackLimit() int64 {
	if o.UnpackLimit == 0 {
		return DefaultUnpackLimit
	}
	return max(0, o.UnpackLimit)
}

// Input is one batch to read: one or more files with one schema, or the
// standard input.
type Input struct {
	URL   string   // as the user named it
	Name  string   // of the dataset: stem of the file, name of the folder
	Files []string // paths in the order of reading; Stdin for standard input
	Size  int64    // of all files in bytes; -1 if unknown
	// Modified is when the newest file was written; zero for standard input.
	Modified time.Time
}

// schemes are kinds of sources that later versions read.
var schemes = []string{"postgres://", "postgresql://", "mysql://", "sqlite://", "clickhouse://", "trino://", "s3://", "gs://", "az://", "http://", "https://"}

// UsageError says that a source is named in a way that this program cannot
// mean.
type UsageError struct{ Message string }

// Error returns the message.
func (e *UsageError) Error() string { return e.Message }

// Expand finds the files behind the arguments: paths, globs, folders, "-". All
// of them are one batch, or with each every file is one.
func Expand(args []string, each bool) ([]Input, error) {
	var files []string
	for _, arg := range args {
		for _, s := range schemes {
			if strings.HasPrefix(arg, s) {
				return nil, &UsageError{fmt.Sprintf("%s: sources of the kind %s are not supported by this version yet; name files", arg, strings.TrimSuffix(s, "://"))}
			}
		}
		f, err := expandOne(arg)
		if err != nil {
			return nil, err
		}
		files = append(files, f...)
	}
	if !each {
		in, err := describe(strings.Join(args, " "), files, nameOf(args, files))
		return []Input{in}, err
	}
	var inputs []Input
	for _, f := range files {
		in, err := describe(f, []string{f}, Stem(f))
		if err != nil {
			return nil, err
		}
		inputs = append(inputs, in)
	}
	return inputs, nil
}

func expandOne(arg string) ([]string, error) {
	if arg == Stdin {
		return []string{Stdin}, nil
	}
	info, err := os.Stat(arg)
	switch {
	case err == nil && info.IsDir():
		return filesBelow(arg)
	case err == nil:
		return []string{arg}, nil
	case !strings.ContainsAny(arg, "*?["):
		return nil, unreadable(arg, err)
	}
	files, err := filepath.Glob(arg)
	if err != nil {
		return nil, &UsageError{fmt.Sprintf("%s: the pattern has an unclosed bracket", arg)}
	}
	files = slices.DeleteFunc(files, func(f string) bool {
		info, err := os.Stat(f)
		return err != nil || info.IsDir()
	})
	if len(files) == 0 {
		return nil, &batch.DataError{Source: arg, Offset: -1, Reason: "no file matches the pattern", Advice: "check the path; quote the pattern so that the shell leaves it alone", Err: fs.ErrNotExist}
	}
	return files, nil
}

// unreadable rewords an error of opening a file.
func unreadable(path string, err error) error {
	e := &batch.DataError{Source: path, Offset: -1, Reason: "cannot be read", Err: err}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.Reason, e.Advice = "no such file or folder", "check the path"
	case errors.Is(err, fs.ErrPermission):
		e.Reason, e.Advice = "permission denied", "make it readable for this user"
	default:
		var pe *fs.PathError
		if errors.As(err, &pe) {
			e.Reason = "cannot be read: " + pe.Err.Error()
		}
	}
	return e
}

// filesBelow lists the files of a folder in the order of their paths. Hidden
// ones, and those that begin with _ as markers of other tools do, are left
// out.
func filesBelow(dir string) ([]string, error) {
	var files []string
	root := strings.TrimRight(dir, "/") + "/" // a link to a folder is followed
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return unreadable(p, err)
		}
		hidden := strings.HasPrefix(d.Name(), ".") || strings.HasPrefix(d.Name(), "_")
		switch {
		case p == root:
		case hidden && d.IsDir():
			return filepath.SkipDir
		case !hidden && !d.IsDir():
			files = append(files, p)
		}
		return nil
	})
	if err == nil && len(files) == 0 {
		err = &batch.DataError{Source: dir, Offset: -1, Reason: "the folder has no files", Advice: "name a folder with data", Err: fs.ErrNotExist}
	}
	return files, err
}

func describe(url string, files []string, name string) (Input, error) {
	in := Input{URL: url, Name: name, Files: files}
	for _, f := range files {
		if f == Stdin {
			in.Size = -1
			continue
		}
		info, err := os.Stat(f)
		if err != nil {
			return in, unreadable(f, err)
		}
		if in.Size >= 0 {
			in.Size += info.Size()
		}
		if info.ModTime().After(in.Modified) {
			in.Modified = info.ModTime()
		}
	}
	if slices.Contains(files, Stdin) && len(files) > 1 {
		return in, &UsageError{"standard input (-) is a batch of its own; leave out the other sources"}
	}
	return in, nil
}

// nameOf returns the dataset's name of a batch: the file's stem, or the name
// of the folder that holds several.
func nameOf(args, files []string) string {
	if len(args) == 1 && len(files) == 1 && args[0] == files[0] {
		return Stem(args[0])
	}
	dir := args[0]
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		dir = filepath.Dir(files[0])
	}
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	if name := filepath.Base(dir); name != "/" && name != "." {
		return name
	}
	return Stem(files[0])
}

var packings = []string{".gz", ".zst", ".zstd", ".bz2", ".xz", ".lz4", ".sz", ".snappy"}

// Stem returns the name of a file without its folder, packing and format:
// orders for in/orders.csv.gz.
func Stem(file string) string {
	if file == Stdin {
		return "stdin"
	}
	name := filepath.Base(file)
	if slices.Contains(packings, strings.ToLower(filepath.Ext(name))) {
		name = strings.TrimSuffix(name, filepath.Ext(name))
	}
	if ext := filepath.Ext(name); ext != "" && ext != name {
		name = strings.TrimSuffix(name, ext)
	}
	return name
}

// Info says what an opened input turned out to be.
type Info struct {
	Format      string // csv, jsonl, parquet, arrow
	Compression string // gzip, zstd …; empty is none
	Delimiter   byte   // of delimited text, 0 for other formats
	Array       bool   // of JSON: one array instead of lines
	BOM         bool   // a text in UTF-8 with a byte order mark
	Recoded     bool   // a text in another encoding
}

// Reader reads all files of an input as one batch. It implements batch.Reader.
type Reader struct {
	in      Input
	opts    Options
	file    *file // open now, nil between files
	next    int   // index of the next file
	info    Info
	columns []batch.Column
	index   map[string]int  // of columns, by name
	met     map[string]bool // columns that a file has had
	lists   map[string]int  // a column of the open file for each of its lists
	clash   string          // a column that is of a list in one file and of rows in another
	place   []int           // of the open file's columns in columns; -1 is left out
	from    []int           // the way back: of columns in the open file's, -1 is nowhere
	placed  int             // how many places from was made of
	done    []finished      // files that are read, whose last chunks may be at work
	chunks  int64           // chunks given out
	rows    int64           // read, those included that a sample left out
	sample  *sampler        // nil takes all
	stats   batch.Stats     // of the files that are closed
	hash    *contentHash
	bytes   int64
	before  int64 // bytes of the files before the open one
	opening bool
}

var _ batch.Reader = (*Reader)(nil)

// finished is a file after its last chunk, with the number of that.
type finished struct {
	*file
	chunk int64
}

// Open opens the first file of an input, so that what cannot be read is known
// at once. The caller closes the reader.
func Open(ctx context.Context, in Input, opts Options) (*Reader, error) {
	r := &Reader{in: in, opts: opts, hash: newContentHash(), sample: newSampler(opts.Sample, batch.InFlight), met: map[string]bool{}}
	r.columns, r.index = make([]batch.Column, len(opts.Columns)), map[string]int{}
	for i, name := range opts.Columns {
		r.columns[i].Name = name
		if _, twice := r.index[name]; !twice {
			r.index[name] = i
		}
	}
	if err := r.open(ctx); err != nil {
		r.Close() //nolint:errcheck // the other error counts
		return nil, err
	}
	if err := r.missingColumns(); err != nil {
		r.Close() //nolint:errcheck // the other error counts
		return nil, err
	}
	if r.info.Format != "csv" { // where a name says nothing
		for i := range r.columns {
			if c := &r.columns[i]; !r.met[c.Name] {
				c.List = typed.ListOf(c.Name)
			}
		}
	}
	return r, nil
}

// missingColumns reports columns that were asked for and that a format with a
// header does not have.
func (r *Reader) missingColumns() error {
	if len(r.opts.Columns) == 0 || r.info.Format == "jsonl" || len(r.in.Files) > 1 {
		return nil
	}
	names := []string{}
	for _, c := range r.file.Columns() {
		names = append(names, c.Name)
	}
	for _, want := range r.opts.Columns {
		if !slices.Contains(names, want) {
			return &UsageError{fmt.Sprintf("%s: there is no column %q; there are %s", r.in.URL, want, strings.Join(names, ", "))}
		}
	}
	return nil
}

// Info returns what the first file turned out to be.
func (r *Reader) Info() Info { return r.info }

// Input returns what is read.
func (r *Reader) Input() Input { return r.in }

// Columns returns the union of the columns of the files so far.
func (r *Reader) Columns() []batch.Column { return r.columns }

// Stats returns what was met so far besides rows.
func (r *Reader) Stats() batch.Stats {
	s := r.stats
	for _, f := range r.done {
		s = s.Add(f.Stats())
	}
	if r.file != nil {
		s = s.Add(r.file.Stats())
	}
	s.Bytes = r.bytes
	if r.sample != nil {
		s.Sample, s.RowsRead = r.sample.share, r.rows
	}
	return s
}

// Partial reports whether only a sample of the rows is given out.
func (r *Reader) Partial() bool { return r.sample != nil }

// Hash identifies the names and the content that were read; it is final after
// the last row.
func (r *Reader) Hash() string { return r.hash.sum() }

// Close closes the open file.
func (r *Reader) Close() error {
	if r.file != nil {
		r.done = append(r.done, finished{r.file, r.chunks})
		r.file = nil
	}
	return r.retire(math.MaxInt64)
}

// retire closes the files whose chunks are no longer at work: those before the
// given number.
func (r *Reader) retire(chunk int64) error {
	var errs []error
	for len(r.done) > 0 && r.done[0].chunk < chunk {
		r.stats = r.stats.Add(r.done[0].Stats())
		errs = append(errs, r.done[0].Close())
		r.done = r.done[1:]
	}
	return errors.Join(errs...)
}

func (r *Reader) open(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	path := r.in.Files[r.next]
	r.next++
	r.hash.name(filepath.Base(path))
	r.before, r.opening = r.bytes, true
	f, err := openFile(path, r.opts, r.count)
	r.opening = false
	if err != nil {
		return err
	}
	r.file = f
	if r.next == 1 {
		r.info = f.info
	}
	r.place, r.placed = r.place[:0], -1
	r.lists = map[string]int{}
	r.adopt()
	return r.tooWide()
}

// count takes bytes as they are read from a file, before unpacking.
func (r *Reader) count(b []byte) {
	r.bytes += int64(len(b))
	r.hash.write(b)
	if !r.opening { // when some formats read the whole file for its hash
		r.progress()
	}
}

// measured is a file that is read in pieces here and there and knows which share
// of it was given out.
type measured interface{ Share() float64 }

// progress tells how many bytes are done.
func (r *Reader) progress() {
	if r.opts.Progress == nil {
		return
	}
	done := r.bytes
	if r.file != nil {
		if m, ok := r.file.Reader.(measured); ok {
			done = r.before + int64(m.Share()*float64(r.bytes-r.before))
		}
	}
	r.opts.Progress(done)
}

// MaxColumns is how many columns a batch may have. Every column takes memory,
// whatever the rows: tens of KiB.
const MaxColumns = jsonl.MaxColumns

// tooWide reports a batch of too many columns. The column that
// holds what JSON has beyond them is one more.
func (r *Reader) tooWide() error {
	if r.clash != "" {
		return &batch.DataError{
			Source: r.in.Files[r.next-1], Offset: -1, Reason: fmt.Sprintf("the column %s holds elements of lists in one file of the batch and values of rows in another", r.clash),
			Advice: "give the files one by one, with --each",
		}
	}
	n := len(r.columns)
	if _, folds := r.index[jsonl.FoldedColumn]; folds {
		n--
	}
	if n <= MaxColumns {
		return nil
	}
	e := &batch.DataError{Source: r.in.Files[r.next-1], Offset: -1, Advice: "name those that matter with --columns"}
	e.Reason = fmt.Sprintf("has %d columns, and a batch may have %d", n, MaxColumns)
	if r.next > 1 {
		e.Reason = fmt.Sprintf("brings the columns of the batch to %d, and it may have %d", n, MaxColumns)
	}
	if e.Source == Stdin {
		e.Source = "standard input"
	}
	return e
}

// adopt finds the places of the open file's columns in the union.
func (r *Reader) adopt() {
	for _, c := range r.file.Columns()[len(r.place):] {
		at, have := r.index[c.Name]
		if _, known := r.lists[c.List]; !known && c.List != "" {
			r.lists[c.List] = len(r.place)
		}
		if have && r.met[c.Name] && r.columns[at].List != c.List {
			r.clash = c.Name
		}
		switch {
		case !have && len(r.opts.Columns) > 0:
			r.place = append(r.place, -1)
			continue
		case !have:
			at = len(r.columns)
			r.index[c.Name] = at
			r.columns = append(r.columns, c)
		case r.rows == 0:
			r.columns[at].Declared = c.Declared
		}
		if !r.met[c.Name] {
			r.met[c.Name], r.columns[at].List = true, c.List
		}
		r.place = append(r.place, at)
	}
}

// Next fills the chunk with the next rows of the open file, or of the one
// after it.
func (r *Reader) Next(ctx context.Context, c *batch.Chunk) error {
	if err := r.retire(r.chunks - batch.InFlight); err != nil {
		return err
	}
	for {
		if r.opts.Rows > 0 && r.rows >= r.opts.Rows {
			c.Reset(len(r.columns), nil)
			return io.EOF
		}
		if r.file == nil {
			c.Reset(len(r.columns), nil)
			if r.next == len(r.in.Files) {
				return io.EOF
			}
			if err := r.open(ctx); err != nil {
				return err
			}
		}
		err := r.file.Next(ctx, c)
		r.adopt()
		if wide := r.tooWide(); wide != nil {
			return wide
		}
		if errors.Is(err, io.EOF) {
			r.done = append(r.done, finished{r.file, r.chunks})
			r.file = nil
			continue
		}
		if err != nil {
			return err
		}
		r.arrange(c)
		if _, ok := r.file.Reader.(measured); ok {
			r.progress()
		}
		return nil
	}
}

// absent is the place of a column that the open file does not have.
func (r *Reader) absent(list string) int {
	if list == "" {
		return batch.Nowhere
	}
	if k, ok := r.lists[list]; ok {
		return batch.NullsOf(k)
	}
	return batch.NoElements
}

// arrange gives the chunk of a file the columns of the union; those that the
// file lacks are null.
func (r *Reader) arrange(c *batch.Chunk) {
	if r.opts.Rows > 0 {
		c.Rows = int(min(int64(c.Rows), r.opts.Rows-r.rows))
	}
	c.First = r.rows + 1
	r.rows += int64(c.Rows)
	r.chunks++
	if r.sample != nil {
		c.Keep(r.sample.take(c.First, c.Rows))
	}
	if len(r.from) != len(r.columns) || r.placed != len(r.place) {
		r.placed = len(r.place)
		r.from = make([]int, len(r.columns)) // chunks keep the one before
		for i := range r.from {
			r.from[i] = r.absent(r.columns[i].List)
		}
		for from, to := range r.place {
			if to >= 0 {
				r.from[to] = from
			}
		}
	}
	c.Arrange(r.from)
}
