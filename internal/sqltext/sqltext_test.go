package sqltext_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/sqltext"
)

var known = []string{"unit_id", "run_id"}

func TestSplit(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, text string
		postgres   bool
		want       []string
	}{
		{"none", " ;; -- x\n /* y */ ", true, nil},
		{"two", "DELETE FROM t;\n\nINSERT INTO t VALUES (1) ;", true, []string{"DELETE FROM t", "INSERT INTO t VALUES (1)"}},
		{"parameters", "INSERT INTO t VALUES (:unit_id, :run_id, :unit_id)", true, []string{"INSERT INTO t VALUES ($1, $2, $1)"}},
		{"casts and assignments", "SELECT a::text, b := 1, :unit_id::int", true, []string{"SELECT a::text, b := 1, $1::int"}},
		{"quotes", `SELECT ';:x', 'it''s;', ":y;" ; SELECT 2`, true, []string{`SELECT ';:x', 'it''s;', ":y;"`, "SELECT 2"}},
		{"comments", "SELECT 1 -- ; :x\n, 2 /* ; /* :y */ */ ; SELECT 3", true, []string{"SELECT 1 -- ; :x\n, 2 /* ; /* :y */ */", "SELECT 3"}},
		{"comments do not nest", "SELECT 1 /* /* */ ; SELECT 3", false, []string{"SELECT 1 /* /* */", "SELECT 3"}},
		{"escapes", `SELECT E'\';', 'a\' ; SELECT 2`, true, []string{`SELECT E'\';', 'a\'`, "SELECT 2"}},
		{"dollars", "DO $x$ BEGIN a; :b $$ ; END $x$; SELECT $$;$$", true, []string{"DO $x$ BEGIN a; :b $$ ; END $x$", "SELECT $$;$$"}},
		{"names of SQLite", "SELECT [a;b], `c;d` ; SELECT 2", false, []string{"SELECT [a;b], `c;d`", "SELECT 2"}},
		{"arrays", "SELECT a[1] ; SELECT 2", true, []string{"SELECT a[1]", "SELECT 2"}},
		{"trigger", "CREATE TEMP TRIGGER x AFTER INSERT ON t BEGIN DELETE FROM u; UPDATE v SET a = 1; END; SELECT 1", false,
			[]string{"CREATE TEMP TRIGGER x AFTER INSERT ON t BEGIN DELETE FROM u; UPDATE v SET a = 1; END", "SELECT 1"}},
		{"no parameter", "SELECT 1e5, 'a:b', x[1 : 2]", true, []string{"SELECT 1e5, 'a:b', x[1 : 2]"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			all, err := sqltext.Split(tt.text, tt.postgres, known)
			require.NoError(t, err)
			var got []string
			for _, s := range all {
				got = append(got, s.Text)
			}
			require.Equal(t, tt.want, got)
		})
	}
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	text := "-- ünï\n  insert into t values (:run_id, ü, :unit_id, bad);"
	all, err := sqltext.Split(text, true, known)
	require.NoError(t, err)
	require.Len(t, all, 1)
	s := all[0]
	require.Equal(t, "INSERT", s.Word)
	require.Equal(t, []string{"run_id", "unit_id"}, s.Params)
	require.Equal(t, strings.Index(text, "insert"), s.Start)
	runes := []rune(s.Text)
	for _, word := range []string{"insert", "values", "ü,", "bad"} {
		n := strings.Index(s.Text, word)
		require.Equal(t, strings.LastIndex(text, word), s.Offset(len([]rune(s.Text[:n]))+1), word)
	}
	require.Equal(t, strings.Index(text, ";"), s.Offset(len(runes)+1))
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"SELECT :unitid":     "unknown parameter :unitid; there are :unit_id, :run_id",
		"SELECT 'abc":        "the text in ' is never closed",
		`SELECT "abc`:        `the text in " is never closed`,
		"SELECT $x$ abc $$":  "the text in $x$ is never closed",
		"SELECT /* abc":      "the comment /* is never closed by */",
		"SELECT 1; SELECT '": "the text in ' is never closed",
	} {
		_, err := sqltext.Split(text, true, known)
		var e *sqltext.Error
		require.ErrorAs(t, err, &e, text)
		require.Equal(t, want, e.Message)
		require.Equal(t, strings.LastIndexAny(text, `:'"`+"/"), e.Offset+lag(text, e.Offset), text)
	}
}

// lag is 0 but where the place is before the last quote of the text.
func lag(text string, offset int) int {
	if text[offset] == '$' {
		return strings.LastIndexAny(text, `:'"`+"/") - offset
	}
	return 0
}

func FuzzSplit(f *testing.F) {
	f.Add("SELECT :unit_id::text; SELECT $$;$$ /* ; */ -- x", true)
	f.Add("CREATE TRIGGER x BEGIN SELECT 1; END; SELECT [a;", false)
	f.Fuzz(func(t *testing.T, text string, postgres bool) {
		all, err := sqltext.Split(text, postgres, known)
		if err != nil {
			var e *sqltext.Error
			require.ErrorAs(t, err, &e)
			require.GreaterOrEqual(t, e.Offset, 0)
			require.Less(t, e.Offset, len(text))
			return
		}
		end := 0
		for _, s := range all {
			require.NotEmpty(t, s.Text)
			require.GreaterOrEqual(t, s.Start, end)
			require.Equal(t, s.Start, s.Offset(1))
			end = s.Offset(len([]rune(s.Text)) + 1)
			require.LessOrEqual(t, end, len(text))
			if len(s.Params) == 0 { // then it stands in the text as it is
				require.True(t, strings.HasPrefix(text[s.Start:], s.Text))
			}
		}
	})
}
