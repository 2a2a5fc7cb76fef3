package tap

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/source"
)

// chunk is a piece of a stream that is handed on or left out.
type chunk struct {
	text string
	out  bool
}

// feed makes a stream of chunks and its end.
func feed(o Options, chunks []chunk) *stream {
	t := New(nil, nil, o)
	q := t.queue
	q.limit = 1 << 30
	for _, c := range chunks {
		switch {
		case c.out:
			q.leaveOut([]byte(c.text))
			if q.cur != nil { // as space does it, so that data stands on another block
				q.unref(q.cur)
				q.cur = nil
			}
		default:
			for b := []byte(c.text); len(b) > 0; {
				n := copy(q.space(), b)
				q.commit(n)
				b = b[n:]
			}
		}
	}
	q.finish(nil)
	return t.stream
}

// rows reads a window and returns its rows as texts.
func rows(ctx context.Context, w *Window) (out []string, stats batch.Stats, err error) {
	r, err := w.Open(ctx)
	if err != nil {
		return nil, stats, err
	}
	defer r.Close()
	out, err = rowsOf(ctx, r)
	return out, r.Stats(), err
}

func rowsOf(ctx context.Context, r batch.Reader) (out []string, err error) {
	var c batch.Chunk
	for {
		err := r.Next(ctx, &c)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err == nil {
			err = c.FillAll()
		}
		if err != nil {
			return out, err
		}
		for i := range c.Rows {
			var cells []string
			for j := range c.Vectors {
				v, at := c.Vectors[j].At(i)
				if v.Types[at] != batch.Null { // JSON finds columns late
					cells = append(cells, fmt.Sprintf("%s=%q", r.Columns()[j].Name, v.AppendText(nil, at)))
				}
			}
			out = append(out, strings.Join(cells, " "))
		}
	}
}

// whole returns the rows of a whole text.
func whole(ctx context.Context, text string, o source.Options) ([]string, batch.Stats, error) {
	in, err := source.Expand([]string{"-"}, false)
	if err != nil {
		return nil, batch.Stats{}, err
	}
	o.Stdin = strings.NewReader(text)
	r, err := source.Open(ctx, in[0], o)
	if err != nil {
		return nil, batch.Stats{}, err
	}
	defer r.Close()
	out, err := rowsOf(ctx, r)
	return out, r.Stats(), err
}

// within reports whether the rows appear among all in their order.
func within(rows, all []string) bool {
	for _, r := range all {
		if len(rows) > 0 && rows[0] == r {
			rows = rows[1:]
		}
	}
	return len(rows) == 0
}

const head = "id,text,n\n"

func TestGaps(t *testing.T) {
	t.Parallel()
	kept := func(s string) chunk { return chunk{s, false} }
	left := func(s string) chunk { return chunk{s, true} }
	for _, tc := range []struct {
		name   string
		format string
		chunks []chunk
		want   string // the first columns of the rows
		gaps   string
		short  string
	}{
		{"none", "", []chunk{kept(head + "1,a,1\n2,b,2\n")}, "1 2", "[]", ""},
		{"between records", "", []chunk{kept(head + "1,a,1\n"), left("2,b,2\n"), kept("3,c,3\n")}, "1 3", "[{16 22}]", ""},
		{"inside records", "", []chunk{kept(head + "1,a,1\n2,"), left("b,2\n3,c"), kept(",3\n4,d,4\n")}, "1 4", "[{16 28}]", ""},
		{"inside quotes that hold rows", "", []chunk{kept(head + "1,\"a\n7,x"), left(",7\n"), kept("8,x,8\n9,y,9\n\",1\n2,b,2\n")}, "2", "[{10 37}]", ""},
		{"the quote opens in the gap", "", []chunk{kept(head + "1,a,1\n"), left("2,\"a\n7,x,7\n"), kept("8,x,8\n9,y,9\n\",1\n3,b,3\n")}, "1 3", "[{16 43}]", ""},
		{"the quote closes in the gap", "", []chunk{kept(head + "1,\"a\n7,x,7\n"), left("8,x,8\n\",1\n"), kept("2,b,2\n")}, "2", "[{10 31}]", ""},
		{"between two quotes", "", []chunk{kept(head + "1,\"a\""), left("\"\n8,x,8"), kept("\n\",1\n2,b,2\n")}, "2", "[{10 27}]", ""},
		{"quotes inside bare fields", "", []chunk{kept(head + "1,5\" pipe,1\n2,6\""), left(" pi\"pe,2\n3,\"3"), kept(",\n4,x,4\n\",1\n5,e,5\n")}, "1 5", "[{22 51}]", ""},
		{"several", "", []chunk{kept(head), left("1,a,1\n"), kept("2,b,2\n3,"), left("c,"), kept("3\n4,d,4\n"), left("5"), kept(",e,5"), left("\n"), kept("6,f,6")}, "2 4 6", "[{10 16} {22 28} {34 40}]", ""},
		{"gaps that follow each other", "", []chunk{kept(head + "1,a,1\n"), left("2,b"), kept(",2"), left("\n3,c,3"), kept("\n4,d,4\n")}, "1 4", "[{16 28}]", ""},
		{"at the end", "", []chunk{kept(head + "1,a,1\n2,"), left("b,2\n")}, "1", "[{16 22}]", ""},
		{"up to the end", "", []chunk{kept(head + "1,a,1\n"), left("2,b"), kept(",2")}, "1", "[{16 21}]", ""},
		{"a malformed record", "", []chunk{kept(head + "1,a,1\n\"x\"y"), left(",\"\n2,b,2\n"), kept("3,c,3\n")}, "1 3", "[{16 29}]", ""},
		{"the header", "", []chunk{kept("id,te"), left("xt,n\n1,a,1\n"), kept("2,b,2\n")}, "", "[{5 -1}]", "the names of the columns were left out"},
		{"the header behind blank lines", "", []chunk{kept("\n\r\n" + head), left("1,a,1\n"), kept("2,b,2\n")}, "2", "[{13 19}]", ""},
		{"JSON lines", "", []chunk{kept("{\"id\":1}\n{\"id\""), left(":2}\n{\"id\":3"), kept("}\n{\"id\":4}\n{\"i\n")}, "1 4", "[{9 27}]", ""},
		{"a JSON array", "", []chunk{kept("[{\"id\":1},\n{\"id\""), left(":2},\n{\"id\":3"), kept("},{\"id\":4}]")}, "", "[{16 -1}]", "it is one JSON array"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := feed(Options{Source: source.Options{Format: tc.format}}, tc.chunks)
			w, err := s.nextWindow()
			require.NoError(t, err)
			got, _, err := rows(t.Context(), w)
			if tc.want != "" {
				require.NoError(t, err)
			}
			var ids []string
			for _, r := range got {
				ids = append(ids, strings.Split(r, "\"")[1])
			}
			require.Equal(t, tc.want, strings.Join(ids, " "))
			c := w.Coverage()
			require.Equal(t, tc.gaps, fmt.Sprint(c.LeftOut))
			require.Equal(t, tc.short, c.Short)
			if tc.short == "" {
				var all int64
				for _, c := range tc.chunks {
					all += int64(len(c.text))
				}
				require.Equal(t, all, c.Seen+c.Missing(all))
				require.Equal(t, all, w.Total())
			}
		})
	}
}

func TestPlacesAreThoseOfTheStream(t *testing.T) {
	t.Parallel()
	s := feed(Options{}, []chunk{{head + "1,a,1\n", false}, {"2,b,2\n", true}, {"3,c,3\nbad\n", false}})
	w, err := s.nextWindow()
	require.NoError(t, err)
	_, stats, err := rows(t.Context(), w)
	require.NoError(t, err)
	require.Equal(t, int64(1), stats.Malformed)
	require.Equal(t, int64(28), stats.FirstMalformed.Offset)
	require.Equal(t, int64(26), stats.Bytes)
}

// TestARecordThatNobodyCanTell ends the profile where a long quote meets a gap.
func TestARecordThatNobodyCanTell(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x,\n", recordLimit/3+1)
	for name, chunks := range map[string][]chunk{
		"in the gap":     {{head + "1,a,1\n2,\"", false}, {long, true}, {"\"\n3,c,3\n", false}},
		"before the gap": {{head + "1,a,1\n2,\"" + long, false}, {"yyy", true}, {"\"\n3,c,3\n", false}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, err := feed(Options{}, chunks).nextWindow()
			require.NoError(t, err)
			got, _, err := rows(t.Context(), w)
			if err != nil { // the head was too short to open it
				require.ErrorContains(t, err, "the profile could not keep up, and a record")
			}
			require.LessOrEqual(t, len(got), 1)
			require.Contains(t, w.Coverage().Short, "longer than 8 MiB, or a quote is not closed")
		})
	}
}

// text makes CSV whose quoted fields hold rows, quotes and lone line ends.
func text(r *rand.Rand, rows int) string {
	var b strings.Builder
	b.WriteString(head)
	field := func() string {
		switch r.IntN(8) {
		case 0:
			return `"` + strings.Repeat("7,x,7\n", r.IntN(4)) + `"`
		case 1:
			return `"say ""yes"", then` + "\r\n" + `8,""x"",8"`
		case 2:
			return `5" pipe`
		case 3:
			return `""`
		}
		return fmt.Sprint(r.IntN(1000))
	}
	for range rows {
		switch r.IntN(20) {
		case 0:
			b.WriteString(`"text"behind,"` + "\n")
		case 1:
			b.WriteString("\r\n")
		case 2:
			b.WriteString("too,few\n")
		default:
			fmt.Fprintf(&b, "%s,%s,%s", field(), field(), field())
			b.WriteString([]string{"\n", "\r\n"}[r.IntN(2)])
		}
	}
	return b.String()
}

// pieces cuts a text, each piece is left out with the given chance.
func pieces(r *rand.Rand, text string, size int, chance float64) (out []chunk) {
	for len(text) > 0 {
		n := min(len(text), 1+r.IntN(size))
		out = append(out, chunk{text[:n], r.Float64() < chance})
		text = text[n:]
	}
	return out
}

// TestNoRowIsMadeUp leaves pieces out at random places: what is seen are rows of
// the whole, and all of them where nothing is left out.
func TestNoRowIsMadeUp(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 6))
	found := 0
	for i := range 400 {
		data := text(r, 60)
		all, stats, err := whole(t.Context(), data, source.Options{})
		require.NoError(t, err)
		chance := []float64{0, 0.1, 0.5}[i%3]
		chunks := pieces(r, data, 200, chance)
		chunks[0].out = false
		s := feed(Options{Source: source.Options{Delimiter: ','}}, chunks)
		w, err := s.nextWindow()
		require.NoError(t, err)
		got, seen, err := rows(t.Context(), w)
		if w.Coverage().Short != "" && err != nil {
			continue // the header
		}
		require.NoError(t, err)
		require.True(t, within(got, all), "%q of %q", got, all)
		require.LessOrEqual(t, seen.Malformed, stats.Malformed)
		if chance == 0 {
			require.Equal(t, all, got)
			require.Equal(t, stats.Malformed, seen.Malformed)
			require.Equal(t, stats.FirstMalformed, seen.FirstMalformed)
		} else {
			found += len(got)
		}
	}
	require.Greater(t, found, 1000)
}

func FuzzResynchronise(f *testing.F) {
	f.Add([]byte(head+"1,\"a\n7,x,7\n8,x,8\n\",1\n2,b,2\n3,c,3\n"), uint64(1), byte(0))
	f.Add([]byte("a;b\n\"1\";\"x\"\"\n;\"\n#\"\n2;5\"\n\"3\"x;\"\n4;\"\"\n"), uint64(77), byte('#'))
	f.Add([]byte("{\"a\":1}\n{\"a\":\n{\"a\":2}\n\n[1]\n{\"a\":3}"), uint64(9), byte(0))
	r := rand.New(rand.NewPCG(7, 8))
	for range 20 {
		f.Add([]byte(text(r, 20)), r.Uint64(), byte(0))
	}
	f.Fuzz(func(t *testing.T, data []byte, seed uint64, remark byte) {
		o := source.Options{Comment: remark}
		if remark == '\n' || remark == '\r' {
			return
		}
		pinned := formOf(data[:min(len(data), sniffBytes)], o).options // a gap may show less of the head
		all, _, err := whole(t.Context(), string(data), pinned)
		if err != nil {
			return
		}
		chunks := pieces(rand.New(rand.NewPCG(seed, 0)), string(data), 40, 0.3)
		w, err := feed(Options{Source: pinned}, chunks).nextWindow()
		if err != nil {
			return
		}
		got, _, err := rows(t.Context(), w)
		if err != nil {
			return
		}
		require.True(t, within(got, all), "%q of %q\n%+v", got, all, chunks)
	})
}

func TestWindowsOfRows(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"", "\n"} {
		for _, size := range []int{1, 7, 1000} {
			var lines []string
			for i := range 25 {
				lines = append(lines, fmt.Sprintf("%d,\"a\nb%d\",1", i, i))
			}
			data := "\xef\xbb\xbf" + head + strings.Join(lines, "\n") + end
			chunks := pieces(rand.New(rand.NewPCG(1, 1)), data, size, 0)
			s := feed(Options{Every: Every{Rows: 10}}, chunks)
			var got []string
			var bytes int64
			for i := 0; ; i++ {
				w, err := s.nextWindow()
				if errors.Is(err, io.EOF) {
					break
				}
				require.NoError(t, err)
				require.Equal(t, i, w.Index)
				if i == 1 { // a judge that reads no more than it wants
					r, err := w.Open(t.Context())
					require.NoError(t, err)
					require.NoError(t, r.Close())
					bytes += w.Total()
					got = append(got, "-")
					continue
				}
				rs, stats, err := rows(t.Context(), w)
				require.NoError(t, err)
				require.Equal(t, w.Coverage().Seen, stats.Bytes)
				got = append(got, fmt.Sprintf("%d %s … %s", len(rs), rs[0][:6], rs[len(rs)-1][:7]))
				bytes += w.Total()
			}
			require.Equal(t, []string{`10 id="0" … id="9" `, "-", `5 id="20 … id="24"`}, got)
			require.Equal(t, int64(len(data)), bytes, "nothing is counted twice")
		}
	}
}

func TestWindowsNeedRecords(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]string{
		"\x1f\x8b\x08\x00\x00\x00": "standard input: the stream cannot be cut into windows: it is packed or no text (byte 0); --every needs",
		"[{\"a\":1}]":              "it is one JSON array",
		"\xff\xfea\x00\n\x00":      "it is UTF-16",
		"a,b\r1,2\r":               "its lines end in CR alone",
	} {
		_, err := feed(Options{Every: Every{Rows: 10}}, []chunk{{data, false}}).nextWindow()
		require.ErrorContains(t, err, want)
	}
}

func TestFormOf(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		head    string
		o       source.Options
		format  string
		d       byte
		records bool
	}{
		{"a;b\n1;2\n", source.Options{}, "csv", ';', true},
		{"a\tb\n1\t2\n", source.Options{Format: "tsv"}, "csv", '\t', true},
		{"a\x01b\n1\x012\n", source.Options{Delimiter: 1}, "csv", 1, true},
		{"{\"a\": 1}\n", source.Options{}, "jsonl", 0, true},
		{"\xef\xbb\xbf{\"a\": 1}\n", source.Options{}, "jsonl", 0, true},
		{"{\"a\": 1}\n", source.Options{Format: "csv"}, "csv", ',', true},
		{"[{}]\n", source.Options{Format: "json"}, "json", 0, false},
		{"a\n1\n", source.Options{Encoding: "latin1"}, "csv", ',', true},
		{"a\n1\n", source.Options{Encoding: "utf8"}, "csv", ',', true},
		{"a\n1\n", source.Options{Encoding: "shift_jis"}, "", 0, false},
		{"a\n1\n", source.Options{Format: "parquet"}, "parquet", 0, false},
		{"PAR1\x15\x04", source.Options{}, "", 0, false},
	} {
		f := formOf([]byte(tc.head), tc.o)
		require.Equal(t, tc.records, f.records, tc.head)
		require.Equal(t, tc.format, f.options.Format, tc.head)
		require.Equal(t, tc.d, f.scanner.delimiter, tc.head)
	}
	require.False(t, enough(bytes.Repeat([]byte("x"), sniffBytes)))
	require.True(t, enough(append(bytes.Repeat([]byte("x"), sniffBytes), '\n')))
}
