package rules

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSchemasAreReadWithTheRules(t *testing.T) {
	t.Parallel()
	const rule = "columns: {a: [{json_schema: s.json}]}"
	for _, tc := range []struct {
		name  string
		files map[string]string
		want  string // of the mistake
	}{
		{"another file", map[string]string{"s.json": `{"$ref": "sub/b.json"}`, "sub/b.json": `{"type": "object"}`}, ""},
		{"its own part", map[string]string{"s.json": `{"$defs": {"x": {"type": "object"}}, "$ref": "#/$defs/x"}`}, ""},
		{"an older draft", map[string]string{"s.json": `{"$schema": "http://json-schema.org/draft-04/schema#", "maximum": 3, "exclusiveMaximum": true}`}, ""},
		{"no file", nil, "no such file"},
		{"no JSON", map[string]string{"s.json": `{`}, "unexpected EOF"},
		{"no schema", map[string]string{"s.json": `{"type": "objekt"}`}, "it is no valid schema at '/type'"},
		{"a pattern beyond RE2", map[string]string{"s.json": `{"pattern": "(?=a)"}`}, "pattern"},
		{"a lost reference", map[string]string{"s.json": `{"$ref": "gone.json"}`}, "gone.json"},
		{"the network", map[string]string{"s.json": `{"$ref": "https://example.com/s.json"}`}, "not fetched over a network"},
		{"a file by its address", map[string]string{"s.json": `{"$ref": "file:///etc/passwd"}`}, "not fetched over a network"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for name, text := range tc.files {
				path := filepath.Join(dir, name)
				require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
				require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
			}
			_, diags := Parse(filepath.Join(dir, "r.yaml"), []byte(rule), nil)
			if tc.want == "" {
				require.NoError(t, diags.Err())
				return
			}
			require.ErrorContains(t, diags.Err(), "r.yaml:1:29: the JSON Schema ")
			require.ErrorContains(t, diags.Err(), tc.want)
			require.NotContains(t, diags.Err().Error(), "\n")
		})
	}
}

func TestTheFingerprintCoversFilesOfTheRules(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fingerprint := func(schema string) string {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "s.json"), []byte(schema), 0o600))
		sets, diags := Parse(filepath.Join(dir, "r.yaml"), []byte("columns: {a: [{json_schema: s.json}]}"), nil)
		require.NoError(t, diags.Err())
		return Fingerprint(sets)
	}
	before := fingerprint(`{"minimum": 1}`)
	require.Equal(t, before, fingerprint(`{"minimum": 1}`))
	require.NotEqual(t, before, fingerprint(`{"minimum": 2}`))
}

func TestOnlyFilesAreReadForRules(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "folder"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "large.json"), make([]byte, maxNamed+1), 0o600))
	for name, want := range map[string]string{"folder": "is no file", "large.json": "has more than 16 MiB", "/dev/zero": "is no file"} {
		_, diags := Parse(filepath.Join(dir, "r.yaml"), []byte("columns: {a: [{json_schema: "+name+"}]}"), nil)
		require.ErrorContains(t, diags.Err(), want)
	}
}
