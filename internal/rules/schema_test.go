package rules_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/rules"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

func compiledSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(rules.Schema()))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource("profiler.schema.json", doc))
	s, err := c.Compile("profiler.schema.json")
	require.NoError(t, err)
	return s
}

// asEditor returns a node as an editor sees it, by the core schema of YAML 1.2,
// where 2_000_000 is a text.
func asEditor(n *yamldoc.Node) any {
	switch n.Kind() {
	case yamldoc.Null:
		return nil
	case yamldoc.Bool:
		return n.Raw() == "true" || n.Raw() == "True" || n.Raw() == "TRUE"
	case yamldoc.Int, yamldoc.Float:
		if json.Valid([]byte(n.Raw())) {
			return json.Number(n.Raw())
		}
		return n.Raw()
	case yamldoc.List:
		list := []any{}
		for _, item := range n.Items() {
			list = append(list, asEditor(item))
		}
		return list
	case yamldoc.Map:
		m := map[string]any{}
		var none diag.List
		for _, e := range n.Mapping(&none).Entries() {
			m[e.Key.Raw()] = asEditor(e.Value)
		}
		return m
	default:
	}
	return n.Raw()
}

// judgedBy returns the mistakes that the schema finds in a rule file.
func judgedBy(t *testing.T, s *jsonschema.Schema, text string) error {
	t.Helper()
	docs, diags := yamldoc.Parse("r.yaml", []byte(text))
	require.NoError(t, diags.Err(), text)
	for _, d := range docs {
		if err := s.Validate(asEditor(d.Root())); err != nil {
			return err
		}
	}
	return nil
}

func parsed(file, text string) error {
	_, diags := rules.Parse(file, []byte(text), func(string) (string, bool) { return "1", true })
	return diags.Err()
}

var yamlFence = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")

// corpus returns all rule files of this repository that have no mistakes: the
// examples, those in the documentation, and those of the scripts.
func corpus(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	add := func(name, text string) {
		if strings.Contains(text, "checks:") || strings.Contains(text, "columns:") {
			files[name] = text
		}
	}
	root := filepath.Join("..", "..")
	for _, pattern := range []string{"rules/*.yaml", "docs/*/*.md", "README.md", "test/scripts/*.txtar", "internal/*/testdata/*.yaml"} {
		paths, err := filepath.Glob(filepath.Join(root, pattern))
		require.NoError(t, err)
		for _, path := range paths {
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			switch filepath.Ext(path) {
			case ".md":
				for i, m := range yamlFence.FindAllSubmatch(b, -1) {
					add(fmt.Sprintf("%s:%d", path, i+1), string(m[1]))
				}
			case ".txtar":
				for _, f := range txtar.Parse(b).Files {
					if strings.HasSuffix(f.Name, ".yaml") {
						add(path+":"+f.Name, string(f.Data))
					}
				}
			default:
				add(path, string(b))
			}
		}
	}
	return files
}

func TestTheSchemaAcceptsWhatTheParserAccepts(t *testing.T) {
	t.Parallel()
	s := compiledSchema(t)
	accepted := 0
	for name, text := range corpus(t) {
		if parsed(name, text) != nil {
			continue
		}
		accepted++
		require.NoError(t, judgedBy(t, s, text), "%s\n%s", name, text)
	}
	require.Greater(t, accepted, 60)
}

// Every form of every kind, made from the catalogue.
func TestEverySpellingOfEveryKind(t *testing.T) {
	t.Parallel()
	s := compiledSchema(t)
	for _, spec := range checks.Catalog() {
		for _, place := range []struct {
			text  string
			stand bool
		}{{"checks:\n  - %s\n", spec.Dataset}, {"columns:\n  c:\n    - %s\n", spec.Column}} {
			for _, item := range spellings(spec) {
				text := fmt.Sprintf(place.text, item)
				if parsed("r.yaml", text) == nil {
					require.True(t, place.stand, text)
					require.NoError(t, judgedBy(t, s, text), text)
				}
			}
			if !place.stand {
				require.Error(t, judgedBy(t, s, fmt.Sprintf(place.text, spec.Example)), spec.Kind)
			} else {
				example := fmt.Sprintf(place.text, spec.Example)
				if spec.Kind != "json_schema" && (spec.Kind != "freshness" && spec.Kind != "unique" && spec.Kind != "change" || strings.HasPrefix(place.text, "checks")) {
					require.NoError(t, parsed("r.yaml", example), example)
				}
				bare := fmt.Sprintf(place.text, spec.Kind)
				require.Equal(t, spec.Bare, judgedBy(t, s, bare) == nil, "schema: %s", bare)
				if spec.Kind != "unique" {
					require.Equal(t, spec.Bare, parsed("r.yaml", bare) == nil, "parser: %s", bare)
				}
			}
		}
	}
}

// spellings returns items of a kind: what it may be, and what it may not.
func spellings(s *checks.Spec) []string {
	out := []string{s.Kind, s.Kind + ":", s.Kind + ": {}", s.Kind + ": true", "{" + s.Kind + ": , fail: 1%}", "{" + s.Kind + ": , warn: {max: 3}, fail: {max: 10%}}"}
	values := []string{"1", "2_000", "0.5", "5%", "abc", "'7'", "[a, b]", "[1]", "2026-03-01", "2h", "previous", "28", "{max: 1}", "{a: string}", "'${x}'"}
	for _, v := range values {
		out = append(out, s.Kind+": "+v)
	}
	object, isFlow := strings.CutSuffix(strings.TrimPrefix(s.Example, s.Kind+": "), "}")
	for _, p := range s.Params {
		for _, v := range values {
			out = append(out, fmt.Sprintf("%s: {%s: %s}", s.Kind, p.Name, v))
			if isFlow && !strings.Contains(object, p.Name+":") {
				out = append(out, fmt.Sprintf("%s: %s, %s: %s}", s.Kind, object, p.Name, v))
			}
		}
	}
	for _, p := range checks.CommonParams() {
		for _, v := range append(values, "true", "warn", "a > 1") {
			if strings.Contains(s.Example, ":") {
				out = append(out, "{"+s.Example+", "+p.Name+": "+v+"}")
			}
		}
	}
	return out
}

func TestMistakesAreRefusedByParserAndSchema(t *testing.T) {
	t.Parallel()
	s := compiledSchema(t)
	for _, text := range []string{
		"version: 2\nchecks: [row_count: 1]\n",
		"dataset: a\n",
		"check: [row_count: 1]\n",
		"checks: [row_cuont: 1]\n",
		"checks: [not_null]\n",
		"checks: [{row_count: 1, bytes: 2}]\n",
		"checks: [row_count: {maks: 1}]\n",
		"checks: [row_count: {min: abc}]\n",
		"checks: [row_count]\n",
		"checks: [{row_count: 1, fail: 3}]\n",
		"checks: [{schema: {columns: [a]}, where: a > 1}]\n",
		"checks: [schema: {columns: {a: integr}}]\n",
		"checks: [freshness: {column: a, max_age: soon}]\n",
		"checks: [change: {against: previous, max: 50%}]\n",
		"checks: [change: {of: row_count, against: yesterday, max: 50%}]\n",
		"checks: [balance: {max: 1}]\n",
		"columns: {a: [row_count: 1]}\n",
		"columns: {a: [unique: [b, c]]}\n",
		"columns: {a: [format: emial]}\n",
		"columns: {a: [type: int]}\n",
		"columns: {a: [in: []]}\n",
		"columns: {a: [in: paid]}\n",
		"columns: {a: [{not_null: false}]}\n",
		"columns: {a: [{not_null: , fail: 0.01}]}\n",
		"columns: {a: [{not_null: , severity: page}]}\n",
		"columns: {a: [{not_null: , on_fail: stop}]}\n",
		"columns: {a: [{not_null: , enabled: yes}]}\n",
		"columns: {a: [length: {min: -1}]}\n",
		"columns: {a: [increasing: {strictly: 3}]}\n",
		"columns: {a: [decimals: {max: 1.5}]}\n",
		"columns: {a: [references: {source: b.csv}]}\n",
		"columns: {a: [drift: {method: kl}]}\n",
		"columns: {a: [drift: {fail: high}]}\n",
		"columns: {a: [quantile: {max: 3}]}\n",
		"columns: {a: [mean: {warn: 3}]}\n",
		"columns: {a: [mean: {one_of: []}]}\n",
	} {
		require.Error(t, parsed("r.yaml", text), "the parser takes %s", text)
		require.Error(t, judgedBy(t, s, text), "the schema takes %s", text)
	}
}
