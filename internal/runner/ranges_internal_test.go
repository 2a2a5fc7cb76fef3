package runner

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/db"
	"github.com/profilerhq/profiler/internal/dbtest"
	"github.com/profilerhq/profiler/internal/pipeline"
)

// A table that others change between the division and the reading is divided and
// read as it was.
func TestRangesOfATableThatGrowsMeanwhile(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		d, err := db.Open(t.Context(), url, db.Options{})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, d.Close()) })
		exec := func(statement string) {
			t.Helper()
			_, err := d.Exec(t.Context(), statement)
			require.NoError(t, err)
		}
		exec("CREATE TABLE rows (id INTEGER PRIMARY KEY, k INTEGER, t TEXT)")
		exec("INSERT INTO rows WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) SELECT i, i % 13, '" + fmt.Sprintf("%0200d", 1) + "' FROM n")
		for _, c := range []pipeline.Portion{
			{Kind: pipeline.CtidRanges, Parts: 6}, {Kind: pipeline.KeyRanges, Column: "k", Parts: 4}, {Kind: pipeline.KeyRanges, Parts: 5}, {Kind: pipeline.WidthRanges, Column: "id", Parts: 3},
		} {
			require.NoError(t, d.ReadTx(t.Context(), func(tx *db.Tx) error {
				const table = `"rows"`
				count := func() (n int64) {
					require.NoError(t, tx.Get(t.Context(), &n, "SELECT count(*) FROM rows"))
					return n
				}
				parts, err := rangesOf(t.Context(), tx, &pipeline.Pipeline{}, relation{query: "SELECT * FROM " + table, table: table}, c)
				require.NoError(t, err)
				require.Greater(t, len(parts), 2, c)
				before := count()
				exec("UPDATE rows SET k = k + 1, t = t || 'x' WHERE id % 3 = 0") // they move
				exec("DELETE FROM rows WHERE id % 17 = 0")
				exec("INSERT INTO rows SELECT id + (SELECT max(id) FROM rows), k, t FROM rows WHERE id % 2 = 0")
				require.Equal(t, before, count(), "one state of the database")
				seen := map[int64]int{}
				for _, p := range parts {
					require.NoError(t, ids(t.Context(), tx, p, seen))
				}
				require.Len(t, seen, int(before), c)
				for id, n := range seen {
					require.Equal(t, 1, n, "%v: row %d", c, id)
				}
				return nil
			}))
		}
	})
}

func ids(ctx context.Context, tx *db.Tx, p rowPart, seen map[int64]int) error {
	return ask(ctx, tx, p.query, p.args, func(scan func(...any) error) error {
		var id int64
		var k, text any
		err := scan(&id, &k, &text)
		seen[id]++
		return err
	})
}

func TestKeysAreShownShort(t *testing.T) {
	t.Parallel()
	require.Equal(t, "abc", shortKey("abc"))
	long := fmt.Sprintf("%050d", 1)
	require.Regexp(t, `^0{20}… #[0-9a-f]{8}$`, shortKey(long))
	require.NotEqual(t, shortKey(long), shortKey(long+"1"))
}
