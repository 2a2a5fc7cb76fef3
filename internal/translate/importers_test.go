package translate_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/dbt"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/golden"
	"github.com/profilerhq/profiler/internal/gx"
	"github.com/profilerhq/profiler/internal/odcs"
	"github.com/profilerhq/profiler/internal/rules"
	"github.com/profilerhq/profiler/internal/soda"
	"github.com/profilerhq/profiler/internal/translate"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

// importers are all, with the keys whose values make no difference.
var importers = map[string]struct {
	sniff     func(*yamldoc.Node) bool
	translate func([]*yamldoc.Document) *translate.Result
	aside     []string
}{
	"odcs": {odcs.Sniff, odcs.Translate, []string{"[].type", "relationships[].type", "slaProperties[].driver"}},
	"dbt":  {dbt.Sniff, dbt.Translate, []string{"trim_whitespace", "freshness", "unit_tests", "quote", "config.contract", "owner"}},
	"soda": {soda.Sniff, soda.Translate, []string{"when wrong column index"}},
	"gx":   {gx.Sniff, gx.Translate, []string{"condition_parser", "column_index", "exact_match", "match_on", "severity"}},
}

// examples calls a function for each example.
func examples(t *testing.T, do func(t *testing.T, name, path string, data []byte)) {
	t.Helper()
	for name := range importers {
		paths, err := filepath.Glob(filepath.Join("..", name, "testdata", "*.*"))
		require.NoError(t, err)
		require.NotEmpty(t, paths)
		for _, path := range paths {
			if strings.HasSuffix(path, ".golden") {
				continue
			}
			t.Run(name+"/"+filepath.Base(path), func(t *testing.T) {
				t.Parallel()
				data, err := os.ReadFile(path)
				require.NoError(t, err)
				do(t, name, path, data)
			})
		}
	}
}

// translated returns the rules, which have to be free of mistakes.
func translated(t *testing.T, name string, data []byte) (*translate.Result, string) {
	t.Helper()
	docs, diags := translate.Parse("in", data)
	require.NoError(t, diags.Err())
	res := importers[name].translate(docs)
	text := res.YAML("in")
	_, diags = rules.Parse("out.yaml", text, nil)
	require.NoError(t, diags.Err(), string(text))
	return res, string(text)
}

func TestExamplesOfOtherTools(t *testing.T) {
	t.Parallel()
	examples(t, func(t *testing.T, name, path string, data []byte) {
		docs, diags := translate.Parse("in", data)
		require.NoError(t, diags.Err())
		for other, im := range importers {
			require.Equal(t, other == name, im.sniff(docs[0].Root()), "%s takes it for its own", other)
		}
		_, text := translated(t, name, data)
		golden.Equal(t, []byte(text), path+".golden")
	})
}

// asData returns a node as Go data.
func asData(n *yamldoc.Node) any {
	var none diag.List
	switch n.Kind() {
	case yamldoc.Map:
		m := map[string]any{}
		for _, e := range n.Mapping(&none).Entries() {
			m[e.Key.Raw()] = asData(e.Value)
		}
		return m
	case yamldoc.List:
		list := []any{}
		for _, item := range n.Items() {
			list = append(list, asData(item))
		}
		return list
	case yamldoc.Null:
		return nil
	case yamldoc.Bool:
		return n.Raw() == "true"
	case yamldoc.Int, yamldoc.Float:
		return json.Number(n.Raw())
	default:
	}
	return n.Raw()
}

// place is a part of a document that a test changes for a moment.
type place struct {
	path   string
	change func() (undo func())
}

// places returns the maps and the scalars of a document. The change of a map is
// one more key, that of a scalar another value.
func places(v any, path string, set func(any)) (maps, scalars []place) {
	switch v := v.(type) {
	case map[string]any:
		maps = append(maps, place{path, func() func() {
			v["zz_unknown"] = "zz"
			return func() { delete(v, "zz_unknown") }
		}})
		for key, child := range v {
			m, s := places(child, strings.TrimPrefix(path+"."+key, "."), func(x any) { v[key] = x })
			maps, scalars = append(maps, m...), append(scalars, s...)
		}
	case []any:
		for i, child := range v {
			m, s := places(child, path+"[]", func(x any) { v[i] = x })
			maps, scalars = append(maps, m...), append(scalars, s...)
		}
	case nil:
	default:
		scalars = append(scalars, place{path, func() func() {
			switch v := v.(type) {
			case json.Number:
				if rest, negative := strings.CutPrefix(v.String(), "-"); negative {
					set(json.Number("-7" + rest))
				} else {
					set(json.Number("7" + v.String()))
				}
			case bool:
				set(!v)
			default:
				set("zz" + fmt.Sprint(v))
			}
			return func() { set(v) }
		}})
	}
	return maps, scalars
}

func encoded(t *testing.T, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	require.NoError(t, enc.Encode(v))
	return b.Bytes()
}

// ancestors returns the lines of the nodes above a key, in JSON that is
// indented.
func ancestors(data []byte, key string) (lines []int) {
	all := strings.Split(string(data), "\n")
	return above(data, slices.IndexFunc(all, func(l string) bool { return strings.Contains(l, `"`+key+`"`) }))
}

// A key that nobody knows is listed wherever it stands, or what it stands in
// is; below keys that people read it is counted.
func TestEveryUnknownKeyIsListed(t *testing.T) {
	t.Parallel()
	examples(t, func(t *testing.T, name, _ string, data []byte) {
		docs, _ := translate.Parse("in", data)
		root := asData(docs[0].Root())
		maps, _ := places(root, "", nil)
		require.Greater(t, len(maps), 10)
		for _, p := range maps {
			undo := p.change()
			changed := encoded(t, root)
			undo()
			res, text := translated(t, name, changed)
			lines := ancestors(changed, "zz_unknown")
			listed := slices.ContainsFunc(res.Notes, func(n translate.Note) bool { return slices.Contains(lines, n.Pos.Line) })
			for key := range res.Left {
				listed = listed || slices.Contains(strings.Split(strings.ReplaceAll(p.path, "[]", ""), "."), key)
			}
			require.True(t, listed || strings.Contains(text, "zz_unknown"), "a key at %q is dropped without a word", p.path)
		}
	})
}

// Another value makes another rule, or another list of what is not translated.
func TestEveryValueMakesADifference(t *testing.T) {
	t.Parallel()
	examples(t, func(t *testing.T, name, _ string, data []byte) {
		docs, _ := translate.Parse("in", data)
		root := asData(docs[0].Root())
		_, scalars := places(root, "", nil)
		require.Greater(t, len(scalars), 30)
		before, text := translated(t, name, encoded(t, root))
		for _, p := range scalars {
			if slices.ContainsFunc(importers[name].aside, func(s string) bool {
				return strings.HasSuffix(p.path, s) || strings.Contains(p.path, s+".") || strings.Contains(p.path, s+"[")
			}) {
				continue
			}
			quiet := false
			for key := range before.Left {
				quiet = quiet || slices.Contains(strings.Split(strings.ReplaceAll(p.path, "[]", ""), "."), key)
			}
			// what is listed as a whole is listed whatever it holds
			undo := p.change()
			changed := encoded(t, root)
			undo()
			if quiet || inside(t, name, encoded(t, root), changed) {
				continue
			}
			_, now := translated(t, name, changed)
			require.NotEqual(t, text, now, "the value of %q is dropped without a word", p.path)
		}
	})
}

// inside reports whether the line that two encodings differ in stands in
// something that is listed.
func inside(t *testing.T, name string, before, changed []byte) bool {
	t.Helper()
	res, _ := translated(t, name, changed)
	a, b := strings.Split(string(before), "\n"), strings.Split(string(changed), "\n")
	at := 0
	for a[at] == b[at] {
		at++
	}
	return slices.ContainsFunc(res.Notes, func(n translate.Note) bool { return slices.Contains(above(changed, at), n.Pos.Line) })
}

// above returns the lines of the nodes above a line, its own included.
func above(data []byte, at int) (lines []int) {
	all := strings.Split(string(data), "\n")
	depth := len(all[at]) - len(strings.TrimLeft(all[at], " "))
	lines = append(lines, at+1)
	for i := at - 1; i >= 0; i-- {
		if d := len(all[i]) - len(strings.TrimLeft(all[i], " ")); d < depth {
			depth = d
			lines = append(lines, i+1)
		}
	}
	return lines
}

func FuzzTranslate(f *testing.F) {
	for name := range importers {
		paths, err := filepath.Glob(filepath.Join("..", name, "testdata", "*.*"))
		require.NoError(f, err)
		for _, path := range paths {
			data, err := os.ReadFile(path)
			require.NoError(f, err)
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		docs, diags := translate.Parse("in", data)
		if diags.HasErrors() {
			return
		}
		for name, im := range importers {
			text := im.translate(docs).YAML("in")
			_, diags := rules.Parse("out.yaml", text, nil)
			require.NoError(t, diags.Err(), "%s\n%s", name, text)
		}
	})
}

func TestConditions(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string]string{
		"a = 1":                              "a == 1",
		"a <> 'it''s'":                       `a != "it's"`,
		"a is not null and (b > 1 or not c)": "!is_null(a) && (b > 1 || !(c))",
		"a in (1, 2) and b not in ('x')":     `a in [1, 2] && b not in ["x"]`,
		"a between 1 and 2":                  "(a >= 1 && a <= 2)",
		"(a + b) * 2 >= abs(c)":              "(a + b) * 2 >= abs(c)",
		`"Odd name" = true`:                  `col("Odd name") == true`,
		"t.a < -1.5":                         `col("t.a") < -1.5`,
		"LENGTH(a) > 3 AND lower(b) = 'x'":   `len(a) > 3 && lower(b) == "x"`,
		"a like 'x%'":                        "",
		"a = (select 1)":                     "",
		"case when a then b end":             "",
		"coalesce(a, 1) = 1":                 "",
		"a = 1;":                             "",
		"a =":                                "",
		strings.Repeat("(", 200) + "a":       "",
	} {
		got, err := translate.Condition(sql)
		if want == "" {
			require.Error(t, err, sql)
			continue
		}
		require.NoError(t, err, sql)
		require.Equal(t, want, got)
	}
}
