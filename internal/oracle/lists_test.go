package oracle

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/source"
)

// Rows of nested values as JSON has them: numbers are int64 or float64, lists
// []any, objects map[string]any.

// listRow makes a row of lists: of integers, of lists, and of objects with lists.
// The first row has a value at each path, so that all formats know all columns.
func listRow(rng *rand.Rand, i int) map[string]any {
	maybe := func(v any) any {
		if i > 0 && rng.IntN(5) == 0 {
			return nil
		}
		return v
	}
	some := func(most int, item func() any) any {
		n := rng.IntN(most + 1)
		if i == 0 {
			n = most
		}
		list := []any{}
		for range n {
			list = append(list, item())
		}
		return maybe(list)
	}
	integer := func() any { return maybe(int64(rng.IntN(40) - 5)) }
	return map[string]any{
		"id": int64(rng.IntN(30)), // repeated rows occur
		"a":  some(4, integer),
		"l":  some(2, func() any { return some(2, integer) }),
		"s": some(3, func() any {
			return map[string]any{
				"b": maybe(fmt.Sprint("text ", rng.IntN(9))),
				"c": some(2, func() any { return maybe(float64(rng.IntN(100))/8 + 0.0625) }),
			}
		}),
	}
}

// listSchema is the schema of these rows.
func listSchema(dictionary bool) *parquet.Schema {
	leaf := func(n parquet.Node) parquet.Node {
		if dictionary {
			n = parquet.Encoded(n, &parquet.RLEDictionary)
		}
		return parquet.Optional(n)
	}
	list := func(n parquet.Node) parquet.Node { return parquet.Optional(parquet.List(n)) }
	integer := leaf(parquet.Int(64))
	return parquet.NewSchema("table", parquet.Group{
		"id": integer, "a": list(integer), "l": list(list(integer)),
		"s": list(parquet.Group{"b": leaf(parquet.String()), "c": list(leaf(parquet.Leaf(parquet.DoubleType)))}),
	})
}

// shredder takes rows apart into values with levels, as in "Dremel: Interactive
// Analysis of Web-Scale Datasets" (Melnik and others 2010).
type shredder struct {
	row    parquet.Row
	column int
}

// put adds what a node has for a value, nil if there is none.
func (s *shredder) put(n parquet.Node, v any, rep, def, depth int) {
	if n.Optional() && v != nil {
		def++
	}
	switch {
	case n.Leaf():
		value := parquet.NullValue()
		switch v := v.(type) {
		case int64:
			value = parquet.Int64Value(v)
		case float64:
			value = parquet.DoubleValue(v)
		case string:
			value = parquet.ByteArrayValue([]byte(v))
		}
		s.row = append(s.row, value.Level(rep, def, s.column))
		s.column++
	case n.Fields()[0].Repeated(): // a list: its one field is repeated and has the element
		item := n.Fields()[0].Fields()[0]
		items, _ := v.([]any)
		from := s.column
		if len(items) == 0 {
			s.put(item, nil, rep, def, depth+1)
		}
		for k, x := range items {
			if s.column = from; k > 0 {
				rep = depth + 1
			}
			s.put(item, x, rep, def+1, depth+1)
		}
	default:
		object, _ := v.(map[string]any)
		for _, f := range n.Fields() {
			var x any
			if object != nil {
				x = object[f.Name()]
			}
			s.put(f, x, rep, def, depth)
		}
	}
}

func listParquet(t *testing.T, rows []map[string]any, f parquetForm, version int) string {
	t.Helper()
	schema := listSchema(f.dictionary)
	var buf bytes.Buffer
	w := parquet.NewWriter(&buf, schema, parquet.MaxRowsPerRowGroup(f.rowGroup), parquet.PageBufferSize(f.page), parquet.DataPageVersion(version))
	for _, row := range rows {
		var s shredder
		for _, field := range schema.Fields() {
			s.put(field, row[field.Name()], 0, 0, 0)
		}
		// The values of a column stand together.
		sorted := parquet.Row{}
		for c := range s.column {
			for _, v := range s.row {
				if v.Column() == c {
					sorted = append(sorted, v)
				}
			}
		}
		_, err := w.WriteRows([]parquet.Row{sorted})
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return buf.String()
}

func listArrow(t *testing.T, lines []string, size int, large bool, options ...ipc.Option) string {
	t.Helper()
	list := func(of arrow.DataType) arrow.DataType {
		if large {
			return arrow.LargeListOf(of)
		}
		return arrow.ListOf(of)
	}
	integer := arrow.PrimitiveTypes.Int64
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "id", Type: integer, Nullable: true}, {Name: "a", Type: list(integer), Nullable: true}, {Name: "l", Type: list(list(integer)), Nullable: true},
		{Name: "s", Type: list(arrow.StructOf(arrow.Field{Name: "b", Type: arrow.BinaryTypes.String, Nullable: true}, arrow.Field{Name: "c", Type: list(arrow.PrimitiveTypes.Float64), Nullable: true})), Nullable: true},
	}, nil)
	var buf bytes.Buffer
	w := ipc.NewWriter(&buf, append(options, ipc.WithSchema(schema))...)
	for from := 0; from < len(lines); from += size {
		batch, _, err := array.RecordFromJSON(memory.DefaultAllocator, schema, strings.NewReader("["+strings.Join(lines[from:min(len(lines), from+size)], ",")+"]"))
		require.NoError(t, err)
		require.NoError(t, w.Write(batch))
	}
	require.NoError(t, w.Close())
	return buf.String()
}

// TestListsAgree gives rows of nested lists as JSON lines, Parquet and Arrow:
// all have the same profile, which for JSON is that of the naive reading; and so
// have their parts together.
func TestListsAgree(t *testing.T) {
	t.Parallel()
	sizes := []int{1, 30, 2500}
	if long {
		sizes = append(sizes, 40_000)
	}
	for _, n := range sizes {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(uint64(n), 5))
			rows, lines := make([]map[string]any, n), make([]string, n)
			for i := range rows {
				rows[i] = listRow(rng, i)
				b, err := json.Marshal(rows[i])
				require.NoError(t, err)
				lines[i] = string(b)
			}
			text := strings.Join(lines, "\n")
			inputs := map[string]string{
				"jsonl": text, "array": "[" + strings.Join(lines, ",") + "]",
				"parquet":    listParquet(t, rows, parquetForm{rowGroup: 1 << 30, page: 1 << 20}, 2),
				"dictionary": listParquet(t, rows, parquetForm{dictionary: true, rowGroup: 700, page: 300}, 2),
				"old pages":  listParquet(t, rows, parquetForm{rowGroup: 1000, page: 100}, 1),
				"arrow":      listArrow(t, lines, 1<<30, false),
				"arrow lz4":  listArrow(t, lines, 99, true, ipc.WithLZ4()),
			}
			profiles := map[string]*profile.Profile{}
			for name, in := range inputs {
				p, err := observe(t.Context(), strings.NewReader(in), source.Options{})
				require.NoError(t, err, name)
				profiles[name] = p
			}
			agree(t, ReadJSONL(text), profiles["jsonl"], "jsonl")
			for name, p := range profiles {
				if found := unlike(profiles["jsonl"], p, 1e-12); len(found) > 0 {
					t.Errorf("jsonl and %s differ:\n  %s", name, strings.Join(found, "\n  "))
				}
			}
			require.ElementsMatch(t, []string{"a", "a[]", "id", "l", "l[]", "l[][]", "s", "s[].b", "s[].c", "s[].c[]"}, profiles["parquet"].ColumnNames())
			part, err := observe(t.Context(), strings.NewReader(text), source.Options{Sample: 0.4, Rows: int64(n/2 + 1)})
			require.NoError(t, err)
			for name, in := range inputs {
				p, err := observe(t.Context(), strings.NewReader(in), source.Options{Sample: 0.4, Rows: int64(n/2 + 1)})
				require.NoError(t, err)
				found := unlike(part, p, 1e-12)
				if n > 30 && len(found) > 0 { // with fewer, JSON does not know all columns
					t.Errorf("samples of jsonl and %s differ:\n  %s", name, strings.Join(found, "\n  "))
				}
			}
			for _, name := range []string{"jsonl", "dictionary", "arrow lz4"} {
				only, err := observe(t.Context(), strings.NewReader(inputs[name]), source.Options{Columns: []string{"s[].c[]", "id"}})
				require.NoError(t, err)
				want := profiles[name].Select([]string{"s[].c[]", "id"})
				require.Equal(t, want.Summary().Columns, only.Summary().Columns, name)
			}
		})
	}
}

// TestListsBeforeOtherFormats reads a CSV in the memory of a file with lists.
func TestListsBeforeOtherFormats(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, second := filepath.Join(dir, "a.jsonl"), filepath.Join(dir, "b.csv")
	require.NoError(t, os.WriteFile(first, []byte(`{"a":[1,2,3],"b":[{"c":1}]}`), 0o600))
	require.NoError(t, os.WriteFile(second, []byte("x,y\n1,2\n3,4\n"), 0o600))
	in, err := source.Expand([]string{first, second}, false)
	require.NoError(t, err)
	p, err := observeInput(t.Context(), in[0], source.Options{})
	require.NoError(t, err)
	require.Equal(t, []int64{2, 1}, []int64{p.Column("y").Count, p.Column("y").Nulls})
	require.Equal(t, []int64{3, 0}, []int64{p.Column("a[]").Count, p.Column("a[]").Nulls})
	require.Equal(t, []int64{1, 0}, []int64{p.Column("b[].c").Count, p.Column("b[].c").Nulls})
}

// TestListsOfSeveralFiles reads files that lack each other's columns as one
// batch: elements of a list that has no such column are null in it.
func TestListsOfSeveralFiles(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(8, 5))
	rows, lines := []map[string]any{}, []string{}
	for i := range 60 {
		rows = append(rows, listRow(rng, i))
		b, err := json.Marshal(rows[i])
		require.NoError(t, err)
		lines = append(lines, string(b))
	}
	other := []string{`{"s":[{"x":1},{"x":2},null]}`, `{"a":null,"s":[]}`, `{"s":[{"x":3}]}`}
	all := strings.Join(append(append([]string{}, other...), lines...), "\n")
	for name, data := range map[string]string{
		"p.parquet": listParquet(t, rows, parquetForm{rowGroup: 25, page: 100}, 1), "p.arrow": listArrow(t, lines, 20, false), "p.jsonl": strings.Join(lines, "\n"),
	} {
		dir := t.TempDir()
		first, second := filepath.Join(dir, "a.jsonl"), filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(first, []byte(strings.Join(other, "\n")), 0o600))
		require.NoError(t, os.WriteFile(second, []byte(data), 0o600))
		for _, columns := range [][]string{nil, {"s[].x", "s[].b", "s[].c"}, {"s[].x"}, {"a[]", "s[].x", "s[]"}} {
			in, err := source.Expand([]string{first, second}, false)
			require.NoError(t, err)
			p, err := observeInput(t.Context(), in[0], source.Options{Columns: columns})
			require.NoError(t, err)
			want, err := observe(t.Context(), strings.NewReader(all), source.Options{Columns: columns})
			require.NoError(t, err)
			for _, c := range want.Summary().Columns {
				got := p.Column(c.Name)
				require.NotNil(t, got, "%s of %s", c.Name, name)
				require.Equal(t, []any{c.Count, c.Nulls, c.Distinct, c.Length}, []any{got.Count, got.Nulls, got.Distinct, got.Length}, "%s of %s, columns %v", c.Name, name, columns)
			}
		}
	}
}
