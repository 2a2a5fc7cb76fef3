package runner

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/profilerhq/profiler/internal/cut"
	"github.com/profilerhq/profiler/internal/db"
	"github.com/profilerhq/profiler/internal/pipeline"
)

// section is a range of rows in the output of a step in SQL, which are written one
// behind the other.
type section struct {
	Name string `json:"name"`
	Rows int64  `json:"rows"`
	// End is where it ends in the file, in bytes; it begins where the one before
	// does. The first one, without a name, is the header.
	End int64 `json:"end"`
}

// exportRanges writes the rows of the step's query range by range, all of one state
// of the database.
func (v *visit) exportRanges(ctx context.Context, d *db.DB, out *os.File) error {
	of := v.s.Split.Portion
	return v.each(v.s.SQL.Query, true, func(text string, args []any) error {
		return d.ReadTx(ctx, func(tx *db.Tx) error {
			v.sections = nil
			if err := errors.Join(out.Truncate(0), seekStart(out)); err != nil {
				return v.storeFailed(err)
			}
			parts, err := rangesOf(ctx, tx, v.r.options.Pipeline, relation{query: text, args: args, table: v.s.SQL.Table}, of)
			if err != nil {
				return err
			}
			if len(parts) == 0 {
				parts = []rowPart{{"none", text, args}}
			}
			w := &sectionWriter{v: v, out: out}
			for _, p := range parts {
				if err := w.part(ctx, tx, p); err != nil {
					return err
				}
			}
			if len(v.sections) == 1 { // a header alone: there are no rows
				v.sections = append(v.sections, section{Name: "none", End: w.at})
			}
			return nil
		})
	})
}

func seekStart(f *os.File) error {
	_, err := f.Seek(0, io.SeekStart)
	return err
}

// storeFailed notes that the work directory cannot be written.
func (v *visit) storeFailed(err error) error {
	v.fatal = fmt.Errorf("store the output of step %q: %w", v.s.Name, err)
	return err
}

// sectionWriter writes ranges of rows into one output.
type sectionWriter struct {
	v   *visit
	out *os.File
	row *rowWriter
	at  int64
}

func (w *sectionWriter) part(ctx context.Context, tx *db.Tx, p rowPart) error {
	rows, err := tx.NativeQuery(ctx, p.query, p.args...)
	if err != nil {
		return &rangeError{err, p.query}
	}
	defer rows.Close()
	if w.row == nil {
		types, err := rows.ColumnTypes()
		if err != nil {
			return err
		}
		if w.row, err = newRowWriter(w.out, types, w.v.s.Format.Out); err != nil {
			return err
		}
		if err := w.end(section{}); err != nil {
			return err
		}
	}
	before := w.row.n
	for rows.Next() {
		if err := w.row.write(rows.Rows); err != nil {
			var full *storeError
			if errors.As(err, &full) {
				return w.v.storeFailed(full.err)
			}
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if w.row.n == before {
		return nil // ranges without rows are left out
	}
	return w.end(section{Name: p.name, Rows: w.row.n - before})
}

// end closes a section.
func (w *sectionWriter) end(s section) (err error) {
	if err = w.row.flush(); err == nil {
		w.at, err = w.out.Seek(0, io.SeekEnd)
	}
	if err != nil {
		return w.v.storeFailed(err)
	}
	s.End = w.at
	w.v.sections = append(w.v.sections, s)
	return nil
}

// cutSections writes the sections of an output as files of their own, each behind
// the header.
func cutSections(ctx context.Context, path string, sections []section, ext, dir string) (parts []cut.Part, err error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	if len(sections) < 2 {
		return nil, errors.New("it is not known which rows are of which range; replay the step with --force")
	}
	header := make([]byte, sections[0].End)
	if _, err := io.ReadFull(in, header); err != nil {
		return nil, err
	}
	for i, s := range sections[1:] {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		p := cut.Part{Name: s.Name, Path: filepath.Join(dir, fmt.Sprintf("%06d%s", i+1, ext)), Rows: s.Rows}
		size := s.End - sections[i].End
		if p.Bytes, p.SHA256, err = writeSection(p.Path, header, io.LimitReader(in, size)); err != nil {
			return nil, err
		}
		if p.Bytes != int64(len(header))+size {
			return nil, io.ErrUnexpectedEOF
		}
		parts = append(parts, p)
	}
	return parts, nil
}

func writeSection(path string, header []byte, in io.Reader) (size int64, sum string, err error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, "", err
	}
	defer f.Close()
	h := sha256.New()
	w := bufio.NewWriter(io.MultiWriter(f, h))
	_, err = w.Write(header)
	n, copyErr := io.Copy(w, in)
	if err = errors.Join(err, copyErr, w.Flush(), f.Sync()); err != nil {
		return 0, "", err
	}
	return int64(len(header)) + n, hex.EncodeToString(h.Sum(nil)), nil
}

// formatExt is the end of the name of a file of rows.
func formatExt(format string) string {
	if format == "" {
		format = "jsonl"
	}
	return "." + format
}

// isRanges reports whether the output of the step is written range by range.
func isRanges(s *pipeline.Step) bool {
	return s.Split != nil && s.Split.Portion.Kind != ""
}
