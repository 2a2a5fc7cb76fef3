package oracle

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSortsOfColumns compares each sort of column alone, at sizes around those
// at which something changes.
func TestSortsOfColumns(t *testing.T) {
	t.Parallel()
	sizes := []int{0, 1, 2, 7, 150, 2047, 2048, 2049}
	if long {
		sizes = append(sizes, 20_000)
	}
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			for _, n := range sizes {
				seed := uint64(n) + 1
				text, want := generate(seed, n, k).write(style{delimiter: ','})
				agree(t, want, profileCSV(t, text, CSV{Delimiter: ','}), fmt.Sprintf("%d rows, seed %d", n, seed))
			}
		})
	}
}

// TestEncodingCSVReadsWhatIsWritten compares the tables of the generator, and
// the naive reader, with encoding/csv.
func TestEncodingCSVReadsWhatIsWritten(t *testing.T) {
	t.Parallel()
	for _, k := range kinds {
		for _, s := range []style{{delimiter: ','}, {delimiter: ';', crlf: true, bom: true}, {delimiter: '\t', noHeader: true, null: "\\N"}} {
			if k.name == "structure" {
				continue // encoding/csv rewrites line ends inside quotes
			}
			g := generate(3, 200, k)
			text, want := g.write(s)
			got, err := s.csv().Standard(text, Lazy)
			require.NoError(t, err)
			sameTable(t, want, got, k.name)
			g.damage()
			text, want = g.write(s)
			sameTable(t, want, s.csv().Read(text), k.name)
		}
	}
}

// sameTable compares the cells of two tables.
func sameTable(t testing.TB, want, got *Table, where string) {
	t.Helper()
	require.Equal(t, want.Malformed, got.Malformed, where)
	require.Len(t, got.Rows, len(want.Rows), where)
	for i := range want.Rows {
		require.Len(t, got.Rows[i], len(want.Rows[i]), "%s, row %d", where, i+1)
		for j, v := range want.Rows[i] {
			// The rest of a value follows from its text.
			if w := got.Rows[i][j]; v.Text != w.Text || v.Type != w.Type || v.Empty != w.Empty {
				t.Fatalf("%s: row %d, column %d is %+v, want %+v", where, i+1, j+1, w, v)
			}
		}
	}
}
