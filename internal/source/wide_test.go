package source

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
)

// header returns a CSV of the columns c<from> to c<to-1> and one row.
func header(from, to int) []byte {
	var names, row strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&names, "c%d,", i)
		row.WriteString("1,")
	}
	return []byte(strings.TrimSuffix(names.String(), ",") + "\n" + strings.TrimSuffix(row.String(), ",") + "\n")
}

func TestColumnsAreLimited(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	wide := write(t, dir, "wide.csv", header(0, 2*MaxColumns))
	most := write(t, dir, "most.csv", header(0, MaxColumns))
	more := write(t, dir, "more.csv", header(0, MaxColumns+1))
	others := write(t, dir, "others.csv", header(MaxColumns, 2*MaxColumns))
	for _, c := range []struct {
		files []string
		opts  Options
		want  string // of the error, empty for none
		rows  int
	}{
		{[]string{most}, Options{}, "", 1},
		{[]string{more}, Options{}, more + ": has 10001 columns, and a batch may have 10000; name those that matter with --columns", 0},
		{[]string{wide}, Options{}, wide + ": has 20000 columns, and a batch may have 10000; name those that matter with --columns", 0},
		{[]string{wide}, Options{Columns: []string{"c7", "c19999"}}, "", 1},
		{[]string{most, most}, Options{}, "", 2},
		{[]string{most, others}, Options{}, others + ": brings the columns of the batch to 20000, and it may have 10000; name those that matter with --columns", 1},
		{[]string{most, others}, Options{Columns: []string{"c7", "c19999"}}, "", 2},
	} {
		in, err := Expand(c.files, false)
		require.NoError(t, err)
		rows, _, err := rowsOf(t, in[0], c.opts)
		require.Len(t, rows, c.rows)
		if c.want == "" {
			require.NoError(t, err)
			continue
		}
		require.EqualError(t, err, c.want)
		var data *batch.DataError
		require.ErrorAs(t, err, &data)
	}
}
