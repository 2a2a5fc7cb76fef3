package draft_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/draft"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

var texts = []string{
	"", "a", "order_id", "true", "No", "~", "null", "010", "1e3", "2026-03-01", "a b", " a", "a ", "a: b", "a #b", "#a", "- a", "it's", `"x"`, `^\d+'"$`, "!x", "*a", "&a",
	"%", "@x", "`", "{a}", "[a]", "a,b", "ä", "日本", "a\nb", "tab\t", "\x00", "\u2028", "${x}", "$${x}", "$", "50%", ".inf", "=", "<<", "?", "|", ">", "\ufeff",
}

// requireText writes a text into each place of a file and reads it back.
func requireText(t *testing.T, s string) {
	t.Helper()
	yaml := "a: " + draft.Text(s) + "\nb: " + draft.Texts([]string{s, s}) + "\nc: " + draft.Map(draft.Pair{Key: "d", Value: draft.Text(s)}) + "\n"
	docs, diags := yamldoc.Parse("x.yaml", []byte(yaml))
	require.NoError(t, diags.Err(), yaml)
	diags = yamldoc.ExpandDocument(docs[0], "vars", nil, nil)
	require.NoError(t, diags.Err(), yaml)
	var errs diag.List
	m := docs[0].Root().Mapping(&errs)
	list, _ := m.Get("b").StringList(&errs)
	for _, n := range []*yamldoc.Node{m.Get("a"), m.Get("c").Mapping(&errs).Get("d")} {
		got, ok := n.String(&errs)
		require.True(t, ok, yaml)
		require.Equal(t, s, got)
		require.Equal(t, yamldoc.Text, n.Kind(), yaml)
	}
	require.Equal(t, []string{s, s}, list)
}

func TestTextsReadBack(t *testing.T) {
	t.Parallel()
	for _, s := range texts {
		requireText(t, s)
	}
}

func FuzzText(f *testing.F) {
	for _, s := range texts {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, r := range s {
			if r == '\ufffd' {
				t.Skip("no clean UTF-8")
			}
		}
		requireText(t, s)
	})
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for f, want := range map[float64]string{0: "0", 1200: "1200", -0.5: "-0.5", 1e-7: "1e-07", 1e20: "1e+20", 0.1: "0.1"} {
		require.Equal(t, want, draft.Number(f))
	}
	require.Equal(t, "12.5%", draft.Percent(0.125))
}

func TestAFileIsWrittenAndItemsAreDropped(t *testing.T) {
	t.Parallel()
	f := &draft.File{Head: []string{"one", "two"}, Dataset: "shop/orders"}
	f.Add("", draft.Item{Kind: "schema", Lines: []string{"columns: [a]", "closed: true"}}.Because("why"))
	f.Add("", draft.Item{Kind: "row_count", Value: "{min: 1}"})
	f.Add("a", draft.Item{Kind: "not_null"})
	f.Add("b", draft.Item{Kind: "not_null"}.With("fail", "1%"))
	require.Equal(t, `# one
# two
version: 1
dataset: shop/orders
checks:
  # why
  - schema:
      columns: [a]
      closed: true
  - row_count: {min: 1}
columns:
  a:
    - not_null
  b:
    - not_null:
      fail: 1%
`, string(f.YAML()))
	f.Drop(func(column, kind string) bool { return column == "" && kind == "row_count" || column == "a" })
	require.Equal(t, 2, f.Len())
	require.NotContains(t, string(f.YAML()), "row_count")
	require.NotContains(t, string(f.YAML()), "  a:")
}
