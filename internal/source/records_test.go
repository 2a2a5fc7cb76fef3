package source

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
)

// TestRecordsAreTheInput joins the records of a text: they are that text, and
// rows have the numbers of the reader.
func TestRecordsAreTheInput(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 17<<20)
	var many strings.Builder
	many.WriteString("id,note\n")
	for range 200_000 {
		many.WriteString("1,\"a \"\"b\"\"\nc\"\r\n\n2,plain,malformed\n3,y\n")
	}
	for name, text := range map[string]string{
		"plain.csv": "id,name\n1,a\n2,b\n", "no_end.csv": "id,name\r\n1,a\r\n2,b", "blank.csv": "\nid,name\n\n1,a\n,\n\n",
		"malformed.csv": "id,name\n1\n2,b,c\n3,\"c\n4,\"d\"x\n5,e\n", "open.csv": "id,name\n1,\"a\n2,b\n", "many.csv": many.String(),
		"long.csv": "id,name\n" + long + "\n1,a\n", "cr.csv": "id,name\r1,a\r2,b\r", "empty.csv": "", "header.csv": "id,name",
		"lines.jsonl": "{\"a\":1}\n\n{\"a\":2, \"b\":\"x\\u00e9\"}\r\n{\"a\":\n[1]\n{\"a\":3}", "long.jsonl": "{\"a\":1}\n{\"b\":\"" + long + "\"}\n{\"a\":2}\n",
		"many.jsonl": strings.Repeat("{\"a\":1,\"b\":\"x\"}\r\n{\"b\":[1,2]}\n", 100_000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), name)
			require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
			var joined strings.Builder
			rows, malformed := int64(0), int64(0)
			opts := Options{Records: func(r batch.Record) {
				joined.Write(r.Text)
				switch {
				case r.Kind == batch.RowRecord:
					rows++
					require.Equal(t, rows, r.Row)
				case r.Kind == batch.MalformedRecord && !r.More && len(r.Text) > 0:
					malformed++
					require.NotEmpty(t, r.Reason)
				}
			}}
			counted, bad := drain(t, path, opts)
			require.Equal(t, text, joined.String())
			require.Equal(t, counted, rows)
			require.Equal(t, bad, malformed)
		})
	}
}

// TestRecordsOfAnArray are its items.
func TestRecordsOfAnArray(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.json")
	require.NoError(t, os.WriteFile(path, []byte("[ {\"a\":1},\n {\"a\": 2 }\n, 7, {\"a\":3}]\n"), 0o600))
	var rows, malformed []string
	opts := Options{Records: func(r batch.Record) {
		if r.Kind == batch.RowRecord {
			rows = append(rows, string(r.Text))
		} else {
			malformed = append(malformed, strings.TrimSpace(string(r.Text)))
		}
	}}
	drain(t, path, opts)
	require.Equal(t, []string{`{"a":1}`, `{"a": 2 }`, `{"a":3}`}, rows)
	require.Equal(t, []string{"7"}, malformed)
}

func TestHeaderlessRecords(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.csv")
	require.NoError(t, os.WriteFile(path, []byte("#c\n1,a\n#d\n2,b\n"), 0o600))
	var joined strings.Builder
	n, _ := drain(t, path, Options{NoHeader: true, Comment: '#', Records: func(r batch.Record) { joined.Write(r.Text) }})
	require.EqualValues(t, 2, n)
	require.Equal(t, "#c\n1,a\n#d\n2,b\n", joined.String())
}

func drain(t *testing.T, path string, opts Options) (rows, malformed int64) {
	t.Helper()
	in, err := Expand([]string{path}, false)
	require.NoError(t, err)
	r, err := Open(context.Background(), in[0], opts)
	require.NoError(t, err)
	defer r.Close()
	var c batch.Chunk
	for {
		err := r.Next(context.Background(), &c)
		rows += int64(c.Rows)
		if errors.Is(err, io.EOF) {
			return rows, r.Stats().Malformed
		}
		require.NoError(t, err)
	}
}
