package yamldoc_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

func TestExpand(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text   string
		raw    string
		kind   yamldoc.Kind
		secret bool
	}{
		{"${max}", "10_000", yamldoc.Int, false},
		{`"${max}"`, "10_000", yamldoc.Text, false},
		{"a ${max} b${max}", "a 10_000 b10_000", yamldoc.Text, false},
		{"${neg}5", "-5", yamldoc.Int, false},
		{"${code}", "010", yamldoc.Text, false},
		{"${env:SECRET}", "hunter2", yamldoc.Text, true},
		{"postgres://u:${env:SECRET}@h", "postgres://u:hunter2@h", yamldoc.Text, true},
		{"${dsn}", "pg:hunter2", yamldoc.Text, true},
		{"$${max}", "${max}", yamldoc.Text, false},
		{"$${max}${max}", "${max}10_000", yamldoc.Text, false},
		{"${extra}", "from outside ${max}", yamldoc.Text, false},
		{"${env:EMPTY}", "", yamldoc.Null, true},
		{`"${env:EMPTY}"`, "", yamldoc.Text, true},
		{"$max", "$max", yamldoc.Text, false},
		{"^a$", "^a$", yamldoc.Text, false},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			t.Parallel()
			const vars = "vars: {max: 10_000, neg: '-', code: '010', dsn: 'pg:${env:SECRET}', escaped: '$${max}'}\n"
			docs, errs := yamldoc.Parse("x.yaml", []byte(vars+"v: "+tt.text+"\n${max}: key\n"))
			require.Empty(t, errs)
			extra := map[string]yamldoc.Value{"extra": {Text: "from outside ${max}"}}
			require.Empty(t, yamldoc.ExpandDocument(docs[0], "vars", extra, testEnv))
			m := docs[0].Root().Mapping(&errs)
			v := m.Get("v")
			require.Equal(t, tt.raw, v.Raw())
			require.Equal(t, tt.kind, v.Kind())
			require.Equal(t, tt.secret, v.FromEnv())
			require.Equal(t, "x.yaml:2:4", v.Pos().String())
			require.True(t, m.Has("${max}"), "keys are not expanded")
			require.Equal(t, "${max}", m.Get("vars").Mapping(&errs).Get("escaped").Raw(), "expanded once")
			require.Empty(t, yamldoc.Expand(yamldoc.Variables{}, docs[0].Root()), "expanded once")
			require.Equal(t, tt.raw, v.Raw())
		})
	}
}

func TestVariableIsReadAsIfWrittenThere(t *testing.T) {
	t.Parallel()
	docs, errs := yamldoc.Parse("x.yaml", []byte("a: \"${n}\"\nb: ${n}\nc: \"${t}\"\nd: \"${n}0\"\ne: &e ${n}\nf: *e\n"))
	errs.Add(yamldoc.Expand(yamldoc.Variables{Values: map[string]yamldoc.Value{"n": {Text: "12"}, "t": {Text: "true"}}}, docs[0].Root())...)
	require.Empty(t, errs)
	m := docs[0].Root().Mapping(&errs)
	for _, key := range []string{"a", "b", "e", "f"} {
		v, ok := m.Get(key).Int(&errs)
		require.True(t, ok, key)
		require.EqualValues(t, 12, v)
		require.Equal(t, "${n}", m.Get(key).Written())
	}
	v, ok := m.Get("c").Bool(&errs)
	require.True(t, v && ok)
	require.Empty(t, errs)
	_, ok = m.Get("d").Int(&errs)
	require.False(t, ok)
	require.EqualError(t, errs.Err(), `x.yaml:4:4: expected a whole number, got text "120"; remove the quotes`)
}

func TestVariablesWithoutEnvironment(t *testing.T) {
	t.Parallel()
	docs, errs := yamldoc.Parse("x.yaml", []byte("a: ${env:HOME}\n"))
	errs.Add(yamldoc.ExpandDocument(docs[0], "vars", nil, nil)...)
	require.EqualError(t, errs.Err(), "x.yaml:1:4: environment variables cannot be used here")
}

func FuzzParse(f *testing.F) {
	seeds, err := seedFiles()
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range seeds {
		f.Add(s)
	}
	f.Add([]byte("a: &x [1, {b: *y}]\n? |\n  k\n: - - 'q''q'\n<<: {c: \"\\u00e9\"}\n...\n--- >-\n  ${a}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		docs, errs := parse("x.yaml", data)
		requirePositionsInside(t, data, errs)
		for _, d := range docs {
			walk(t, data, d.Root(), 0)
		}
	})
}

// walk reads every node in every way; the sizes are bounded by Parse.
func walk(t *testing.T, data []byte, n *yamldoc.Node, depth int) {
	require.LessOrEqual(t, depth, yamldoc.MaxDepth)
	var errs diag.List
	n.String(&errs)
	n.Int(&errs)
	n.Float(&errs)
	n.Percent(&errs)
	n.Bool(&errs)
	n.Duration(&errs)
	n.Bytes(&errs)
	n.Time(&errs)
	n.OneOf(&errs, "a", "b")
	n.StringList(&errs)
	for i := range min(len(n.Raw()), 20) {
		n.Errorf(&errs, "x", "%s", n.Describe())
		errs.Add(diag.Diagnostic{Pos: n.PosAt(i)})
	}
	requirePositionsInside(t, data, errs)
	for _, e := range n.Mapping(&errs).Entries() {
		walk(t, data, e.Value, depth+1)
	}
	if items, ok := n.List(&errs); ok {
		for _, item := range items {
			walk(t, data, item, depth+1)
		}
	}
}
