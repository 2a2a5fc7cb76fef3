package db_test

import (
	"errors"
	"io"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/db"
	"github.com/profilerhq/profiler/internal/dbtest"
)

func TestForeignLeavesTheJournal(t *testing.T) {
	t.Parallel()
	for foreign, want := range map[bool]string{true: "delete", false: "wal"} {
		d, err := db.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "x.db"), db.Options{Foreign: foreign})
		require.NoError(t, err)
		var mode string
		require.NoError(t, d.Get(t.Context(), &mode, "PRAGMA journal_mode"))
		require.Equal(t, want, mode)
		require.NoError(t, d.Close())
	}
	_, err := db.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "none", "x.db"), db.Options{Foreign: true})
	require.ErrorContains(t, err, "open database: ")
}

func TestLoad(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		d, err := db.Open(t.Context(), url, db.Options{})
		require.NoError(t, err)
		defer d.Close()
		_, err = d.Exec(t.Context(), `CREATE TABLE "a?b" (id INTEGER, "x.""y" TEXT)`)
		require.NoError(t, err)
		rows := [][]any{{"1", "a\tb\\\n"}, {"2", nil}}
		load := func(fail error) (n int64, err error) {
			i := 0
			err = d.Tx(t.Context(), func(tx *db.Tx) error {
				n, err = tx.Load(t.Context(), "a?b", []string{"id", `x."y`}, func() ([]any, error) {
					if i++; i > len(rows) {
						return nil, fail
					}
					return rows[i-1], nil
				})
				return err
			})
			return n, err
		}
		broken := errors.New("broken")
		_, err = load(broken)
		require.ErrorIs(t, err, broken)
		n, err := load(io.EOF)
		require.NoError(t, err)
		require.EqualValues(t, 2, n)
		var got []struct {
			ID   int     `db:"id"`
			Text *string `db:"text"`
		}
		require.NoError(t, d.Select(t.Context(), &got, `SELECT id, "x.""y" AS text FROM "a?b" ORDER BY id`))
		require.Len(t, got, 2, "what broke off wrote nothing")
		require.Equal(t, "a\tb\\\n", *got[0].Text)
		require.Nil(t, got[1].Text)
		err = d.Tx(t.Context(), func(tx *db.Tx) error {
			err := tx.WithoutWrites(t.Context(), func() error {
				_, err := tx.NativeExec(t.Context(), `DELETE FROM "a?b" WHERE id = $1`, 1)
				return err
			})
			require.ErrorIs(t, err, db.ErrReadOnly)
			return err
		})
		require.ErrorIs(t, err, db.ErrReadOnly)
		_, err = d.Exec(t.Context(), `DELETE FROM "a?b"`)
		require.NoError(t, err, "the connection writes again")
	})
}
