package oracle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/source"
)

// cells are what a source gives: rows as texts by column, null as "∅".
type cells struct {
	names            []string
	rows             []map[string]string
	malformed, blank int64
	first            *batch.Place
	err              error
}

const noValue = "∅"

// readCells reads a stream to its end through source.Open.
func readCells(ctx context.Context, r io.Reader, o source.Options) (out cells) {
	o.Stdin = r
	src, err := source.Open(ctx, source.Input{URL: "in", Name: "in", Files: []string{source.Stdin}, Size: -1}, o)
	if err != nil {
		out.err = err
		return out
	}
	defer src.Close()
	var c batch.Chunk
	for {
		err := src.Next(ctx, &c)
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = c.FillAll()
		}
		if err != nil {
			out.err = err
			break
		}
		columns := src.Columns()
		for i := range c.Rows {
			row := map[string]string{}
			for j := range c.Vectors {
				if c.Vectors[j].Rows != nil {
					continue // compared as a profile
				}
				v, k := c.Vectors[j].At(i)
				if v.Types[k] == batch.Null {
					row[columns[j].Name] = noValue
					continue
				}
				row[columns[j].Name] = string(v.AppendText(nil, k))
			}
			out.rows = append(out.rows, row)
		}
	}
	for _, c := range src.Columns() {
		if c.List == "" {
			out.names = append(out.names, c.Name)
		}
	}
	s := src.Stats()
	out.malformed, out.blank, out.first = s.Malformed, s.BlankLines, s.FirstMalformed
	return out
}

// inPieces reads the text whole and in pieces, and fails if that differs.
func inPieces(t *testing.T, text string, o source.Options) cells {
	t.Helper()
	whole := readCells(t.Context(), strings.NewReader(text), o)
	rng := rand.New(rand.NewPCG(uint64(len(text)), 1))
	for how, next := range map[string]func() int{"1 byte": func() int { return 1 }, "some bytes": func() int { return 1 + rng.IntN(9) }} {
		got := readCells(t.Context(), pieces(text, next), o)
		require.Equal(t, whole.err == nil, got.err == nil, how)
		require.Equal(t, whole.rows, got.rows, how)
		require.Equal(t, whole.malformed, got.malformed, how)
		require.Equal(t, whole.blank, got.blank, how)
		require.Equal(t, whole.first, got.first, how)
	}
	if whole.err != nil {
		var data *batch.DataError
		require.ErrorAs(t, whole.err, &data, "an error that does not say where")
	}
	if whole.malformed > 0 {
		require.NotNil(t, whole.first)
		require.NotEmpty(t, whole.first.Reason)
	}
	return whole
}

// hangAfter is far beyond what any input of a fuzz target takes.
const hangAfter = 20 * time.Second

// noHang ends the process if the test does not end in time: a fuzz target that
// hangs is not reported otherwise.
func noHang(t *testing.T, input string) {
	t.Helper()
	timer := time.AfterFunc(hangAfter, func() { panic(fmt.Sprintf("no end after %v with %.2000q", hangAfter, input)) })
	t.Cleanup(func() { timer.Stop() })
}

// FuzzCSVAgainstEncodingCSV compares rows and values of any text with those of
// encoding/csv. It differs in this, for which the naive reader stands in:
//
//   - A line end inside quotes is kept; encoding/csv makes it \n.
//   - Text after a closing quote makes a record malformed; encoding/csv ends
//     there, or with LazyQuotes takes the quote for text.
//   - A quote that is never closed costs the record that opened it;
//     encoding/csv ends there, or with LazyQuotes takes all the rest as one
//     field.
//   - A lone CR at the end of the input, and lone CRs in an input without LF,
//     end lines.
func FuzzCSVAgainstEncodingCSV(f *testing.F) {
	for _, s := range []string{
		"a,b\n1,2\n", "a,b\r\n\"x\r\ny\",\"\"\r\n", "a;b\n\"x;y\";z\n", "\xef\xbb\xbfa,b\n,\n\n1", "a,b\n\"x\"y,2\n3,4\n", "a,b\n1,\"x\n2,3\n", "a\rb\r\"c\rd\"\r",
		"a,b\n5\" pipe,x\n\"say \"\"hi\"\"\",\"\"\"\"\n", "a,b,c\n1,2\n1,2,3,4\n1,2,3\n", "a,b\n\"1\"\r,2\n", "a,b\nx\r\r\n,\"\r\"\r", ",\n,,\n\"\"\n",
	} {
		for d := range byte(3) {
			f.Add(s, d, false)
			f.Add(s, d, true)
		}
	}
	g := generate(1, 20, someKinds(rand.New(rand.NewPCG(1, 1)), 8)...)
	g.damage()
	for i, s := range styles[:3] {
		text, _ := g.write(s)
		f.Add(text, byte(i%2), s.noHeader)
	}
	f.Fuzz(func(t *testing.T, text string, delimiter byte, noHeader bool) {
		noHang(t, text)
		o := CSV{Delimiter: ",;\t|"[delimiter%4], NoHeader: noHeader}
		if isPacked(text) {
			return
		}
		got := inPieces(t, text, o.options())
		if got.err != nil {
			require.Contains(t, got.err.Error(), "is not text", "an error in a text: %v", got.err)
			return
		}
		want := o.Read(text)
		sameCells(t, want, got)
		require.Equal(t, want.Malformed, got.malformed, "malformed records")
		require.Equal(t, want.Blank, got.blank, "blank lines")
		if crOnly(text) || strings.HasSuffix(text, "\r") {
			return
		}
		standard, err := o.Standard(text, Strict)
		if err == nil {
			require.Equal(t, int64(len(standard.Rows))+standard.Malformed, int64(len(want.Rows))+want.Malformed, "records of encoding/csv")
			sameTable(t, standard, asLF(want), "encoding/csv")
			return
		}
		if standard, err = o.Standard(text, Lazy); err == nil && want.Malformed == 0 {
			sameTable(t, standard, asLF(want), "encoding/csv with LazyQuotes")
		}
	})
}

// isPacked reports whether a text begins as what is unpacked or decoded before
// it is read.
func isPacked(text string) bool {
	for _, magic := range []string{
		"\x1f\x8b", "\x28\xb5\x2f\xfd", "BZh", "\xff\x06\x00\x00sNaPpY", "\xfd7zXZ\x00", "\x04\x22\x4d\x18", "PK\x03\x04", "ARROW1", "Obj\x01", "ORC", "PAR",
		"%PDF-", "SQLite format 3", "\xff\xfe", "\xfe\xff", "\xff\xff\xff\xff",
	} {
		if strings.HasPrefix(text, magic) || text != "" && strings.HasPrefix(magic, text) {
			return true
		}
	}
	return false
}

// sameCells compares the rows of a source, by place, with a table.
func sameCells(t *testing.T, want *Table, got cells) {
	t.Helper()
	require.Len(t, got.names, len(want.Names), "columns")
	require.Len(t, got.rows, len(want.Rows), "rows")
	for i, row := range want.Rows {
		for j, v := range row {
			text := v.Text
			if v.Type == tNull {
				text = noValue
			}
			require.Equal(t, text, got.rows[i][got.names[j]], "row %d, column %d", i+1, j+1)
		}
	}
}

// FuzzJSONLAgainstEncodingJSON compares rows and values of any lines with those
// of encoding/json. Texts that are not UTF-8 are compared in number only:
// encoding/json replaces what the product keeps and counts.
func FuzzJSONLAgainstEncodingJSON(f *testing.F) {
	for _, s := range []string{
		"{\"a\":1}\n{\"a\":\"x\",\"b\":[1,{}]}\n", "{\"a\":{\"b\":1,\"c\":{}}}\n\n{\"a\":null}\n", "{\"a\":1}\r\n{\"a\":\n{}", "{\"a.b\":1,\"a\":{\"b\":2}}\n",
		"{\"a\":1,\"a\":{\"b\":2},\"a\":3}", "{\"\\ud83d\\ude00\":\"\\ud83d\",\"\":0}", "{}\n{\"a\":1} {}\n[1]\n{\"a\":01}\n", "\xef\xbb\xbf{\"a\":1e400,\"b\":-0}", "{\"a\":\"\xff\"}",
	} {
		f.Add(s)
	}
	f.Add(randomLines(rand.New(rand.NewPCG(1, 1)), 30))
	f.Fuzz(func(t *testing.T, text string) {
		if isPacked(text) {
			return
		}
		noHang(t, text)
		got := inPieces(t, text, source.Options{Format: "jsonl"})
		start := strings.TrimLeft(strings.TrimPrefix(text, bom), " \t\r\n")
		if start != "" && start[0] != '{' {
			if start[0] != '[' {
				require.Error(t, got.err, "neither an object nor an array")
			}
			return
		}
		if got.err != nil {
			require.Contains(t, got.err.Error(), "is not text", "an error in lines: %v", got.err)
			return
		}
		want := ReadJSONL(text)
		require.Len(t, got.rows, len(want.Rows), "rows")
		require.Equal(t, want.Malformed, got.malformed, "malformed records")
		require.Equal(t, want.Blank, got.blank, "blank lines")
		if !utf8.ValidString(text) {
			return
		}
		require.ElementsMatch(t, want.Names, got.names)
		for i, row := range want.Rows {
			for j, v := range row {
				text := v.Text
				if v.Type == tNull {
					text = noValue
				}
				require.Equal(t, text, got.rows[i][want.Names[j]], "row %d, column %q", i+1, want.Names[j])
			}
		}
	})
}

// longest returns the bytes of the longest text.
func (t *Table) longest() (n int) {
	for _, row := range t.Rows {
		for _, v := range row {
			n = max(n, len(v.Text))
		}
	}
	return n
}

// holdsNames reports whether a value is the name of a column.
func (t *Table) holdsNames() bool {
	for _, row := range t.Rows {
		for _, v := range row {
			if slices.Contains(t.Names, v.Text) {
				return true
			}
		}
	}
	return false
}

// FuzzProfileOfCSV compares the whole profile of any text with the naive one.
func FuzzProfileOfCSV(f *testing.F) {
	for i, k := range kinds {
		text, _ := generate(uint64(i), 30, k, kinds[(i+1)%len(kinds)]).write(style{delimiter: ','})
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if isPacked(text) {
			return
		}
		noHang(t, text)
		p, err := observe(t.Context(), strings.NewReader(text), CSV{Delimiter: ','}.options())
		if err != nil {
			return // what is no text; the other target looks at errors
		}
		want := CSV{Delimiter: ','}.Read(text)
		if want.longest() > keptBytes {
			return // long texts are cut: their order and their ends follow what is kept
		}
		if want.holdsNames() {
			return // see TestDuplicatesAmongNames
		}
		require.Len(t, p.Summary().Columns, len(want.Names))
		for i, c := range p.Summary().Columns {
			want.Names[i] = c.Name // repeated and empty names are given others
		}
		agree(t, want, p, fmt.Sprintf("%q", text))
	})
}
