package yamldoc_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

func Example() {
	const text = "version: 1\ndatasett: shop/orders\nmax_age: soon\n"
	docs, errs := yamldoc.Parse("rules/orders.yaml", []byte(text))
	for _, doc := range docs {
		errs.Add(yamldoc.ExpandDocument(doc, "vars", nil, os.LookupEnv)...)
		maxAge := 2 * time.Hour
		m := doc.Root().Mapping(&errs)
		m.Unknown([]string{"version", "dataset", "max_age"}, "the rule file", &errs)
		version, _ := m.Required("version", "the rule file", &errs).Int(&errs)
		yamldoc.Set(&maxAge, m.Get("max_age"), (*yamldoc.Node).Duration, &errs)
		fmt.Println("version", version, "max age", maxAge)
	}
	fmt.Println(errs.Err())
	// Output:
	// version 1 max age 2h0m0s
	// rules/orders.yaml:2:1: unknown key "datasett" in the rule file; did you mean "dataset"?
	// rules/orders.yaml:3:10: expected a duration like "30s", "2h" or "7d", got text "soon"
}

func ExampleMapping_Fill() {
	docs, errs := yamldoc.Parse("check.yaml", []byte("max: 5\nmni: 1\n"))
	o := struct{ Min, Max float64 }{Min: -1}
	docs[0].Root().Mapping(&errs).Fill(`check "range"`, yamldoc.Fields{"min": &o.Min, "max": &o.Max}, &errs)
	fmt.Println(o, errs.Err())
	// Output: {-1 5} check.yaml:2:1: unknown key "mni" in check "range"; did you mean "min"?
}

// root parses a text that has no mistakes.
func root(t *testing.T, text string) *yamldoc.Node {
	t.Helper()
	docs, errs := yamldoc.Parse("x.yaml", []byte(text))
	require.NoError(t, errs.Err())
	require.Len(t, docs, 1)
	return docs[0].Root()
}

func value(t *testing.T, text string) *yamldoc.Node {
	t.Helper()
	var errs diag.List
	v := root(t, "v: "+text+"\n").Mapping(&errs).Get("v")
	require.NotNil(t, v)
	return v
}

func TestKinds(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text string
		kind yamldoc.Kind
		raw  string
	}{
		{"", yamldoc.Null, ""}, {"~", yamldoc.Null, "~"}, {"null", yamldoc.Null, "null"}, {"Null", yamldoc.Text, "Null"}, {`""`, yamldoc.Text, ""},
		{"true", yamldoc.Bool, "true"}, {"True", yamldoc.Text, "True"}, {"NO", yamldoc.Text, "NO"}, {"yes", yamldoc.Text, "yes"}, {"on", yamldoc.Text, "on"},
		{"5", yamldoc.Int, "5"}, {"-5", yamldoc.Int, "-5"}, {"+5", yamldoc.Int, "+5"}, {"0", yamldoc.Int, "0"}, {"2_000_000", yamldoc.Int, "2_000_000"},
		{"010", yamldoc.Text, "010"}, {"-010", yamldoc.Text, "-010"}, {"0x1F", yamldoc.Text, "0x1F"}, {"0o17", yamldoc.Text, "0o17"}, {"2__0", yamldoc.Text, "2__0"}, {"2_", yamldoc.Text, "2_"}, {"_2", yamldoc.Text, "_2"},
		{"1.10", yamldoc.Float, "1.10"}, {".5", yamldoc.Float, ".5"}, {"5.", yamldoc.Float, "5."}, {".", yamldoc.Text, "."}, {"1e3", yamldoc.Float, "1e3"}, {"1e", yamldoc.Text, "1e"}, {".inf", yamldoc.Text, ".inf"}, {".nan", yamldoc.Text, ".nan"}, {"--5", yamldoc.Text, "--5"}, {"0.5", yamldoc.Float, "0.5"},
		{"2026-03-01", yamldoc.Date, "2026-03-01"}, {"2026-12-24T00:00Z", yamldoc.Date, "2026-12-24T00:00Z"}, {"2026-03-01 10:20:30", yamldoc.Date, "2026-03-01 10:20:30"},
		{"2026-02-30", yamldoc.Text, "2026-02-30"}, {`"2026-03-01"`, yamldoc.Text, "2026-03-01"}, {"1:30", yamldoc.Text, "1:30"},
		{"'010'", yamldoc.Text, "010"}, {`"5"`, yamldoc.Text, "5"}, {"'it''s'", yamldoc.Text, "it's"}, {"status == \"paid\"", yamldoc.Text, `status == "paid"`},
		{"[]", yamldoc.List, ""}, {"{}", yamldoc.Map, ""}, {"|\n  a\n  b", yamldoc.Text, "a\nb\n"}, {">\n  a\n  b", yamldoc.Text, "a b\n"},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			t.Parallel()
			v := value(t, tt.text)
			require.Equal(t, tt.kind, v.Kind(), v.Kind().String())
			require.Equal(t, tt.raw, v.Raw())
			require.Equal(t, tt.kind == yamldoc.Null, v.IsNull())
			require.Equal(t, tt.kind == yamldoc.Date, v.IsDate())
			require.Equal(t, v.IsScalar() && strings.ContainsAny(tt.text[:min(1, len(tt.text))], `"'|>`), v.Quoted())
		})
	}
}

func TestReaders(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("x", 3600)
	tests := []struct {
		text string
		read func(*yamldoc.Node, *diag.List) (any, bool)
		want any // nil: reported
	}{
		{"2_000_000", as((*yamldoc.Node).Int), int64(2_000_000)},
		{"-9223372036854775808", as((*yamldoc.Node).Int), int64(-1 << 63)},
		{"9223372036854775808", as((*yamldoc.Node).Int), nil},
		{"1e3", as((*yamldoc.Node).Int), nil},
		{"010", as((*yamldoc.Node).Int), nil},
		{"'5'", as((*yamldoc.Node).Int), nil},
		{"1_000.5", as((*yamldoc.Node).Float), 1000.5},
		{"7", as((*yamldoc.Node).Float), 7.0},
		{"1e999", as((*yamldoc.Node).Float), nil},
		{"5%", as((*yamldoc.Node).Percent), 0.05},
		{"'0.1%'", as((*yamldoc.Node).Percent), 0.001},
		{"1e1%", as((*yamldoc.Node).Percent), 0.1},
		{"-60 %", as((*yamldoc.Node).Percent), -0.6},
		{"0.25", as((*yamldoc.Node).Percent), 0.25},
		{"'0.25'", as((*yamldoc.Node).Percent), nil},
		{"'%'", as((*yamldoc.Node).Percent), nil},
		{"7d", as((*yamldoc.Node).Duration), 7 * 24 * time.Hour},
		{"2w1d", as((*yamldoc.Node).Duration), 15 * 24 * time.Hour},
		{"1h30m", as((*yamldoc.Node).Duration), 90 * time.Minute},
		{"1.5d", as((*yamldoc.Node).Duration), 36 * time.Hour},
		{"0", as((*yamldoc.Node).Duration), time.Duration(0)},
		{"106752d", as((*yamldoc.Node).Duration), nil},
		{"99999999999999999w", as((*yamldoc.Node).Duration), nil},
		{"30", as((*yamldoc.Node).Duration), nil},
		{"-1h", as((*yamldoc.Node).Duration), nil},
		{"1h d", as((*yamldoc.Node).Duration), nil},
		{`""`, as((*yamldoc.Node).Duration), nil},
		{"64MiB", as((*yamldoc.Node).Bytes), int64(64 << 20)},
		{"1.5 GB", as((*yamldoc.Node).Bytes), int64(1_500_000_000)},
		{"1_024", as((*yamldoc.Node).Bytes), int64(1024)},
		{"9223372036854775807", as((*yamldoc.Node).Bytes), int64(1<<63 - 1)},
		{"8388608TiB", as((*yamldoc.Node).Bytes), nil},
		{"1.3B", as((*yamldoc.Node).Bytes), nil},
		{"64mib", as((*yamldoc.Node).Bytes), nil},
		{"2026-03-01", as((*yamldoc.Node).Time), time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)},
		{"'2026-12-24T00:00Z'", as((*yamldoc.Node).Time), time.Date(2026, 12, 24, 0, 0, 0, 0, time.UTC)},
		{"2026-03-01 10:20", func(n *yamldoc.Node, l *diag.List) (any, bool) { return n.TimeIn(l, zone) }, time.Date(2026, 3, 1, 10, 20, 0, 0, zone)},
		{"soon", as((*yamldoc.Node).Time), nil},
		{"true", as((*yamldoc.Node).Bool), true},
		{"false", as((*yamldoc.Node).Bool), false},
		{"no", as((*yamldoc.Node).Bool), nil},
		{"010", as((*yamldoc.Node).String), "010"},
		{"true", as((*yamldoc.Node).String), "true"},
		{"", as((*yamldoc.Node).String), nil},
		{"[a, 1, '']", as((*yamldoc.Node).StringList), []string{"a", "1", ""}},
		{"[]", as((*yamldoc.Node).StringList), []string{}},
		{"[a, ~]", as((*yamldoc.Node).StringList), nil},
		{"a", as((*yamldoc.Node).StringList), nil},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			t.Parallel()
			var errs diag.List
			got, ok := tt.read(value(t, tt.text), &errs)
			require.Equal(t, tt.want != nil, ok)
			require.Equal(t, !ok, errs.HasErrors(), "a wrong value is reported, a right one is not")
			if ok {
				require.Equal(t, tt.want, got)
			}
			_, ok = tt.read(nil, &errs)
			require.False(t, ok)
			require.LessOrEqual(t, len(errs), 1, "an absent value is not reported")
		})
	}
}

func as[T any](read func(*yamldoc.Node, *diag.List) (T, bool)) func(*yamldoc.Node, *diag.List) (any, bool) {
	return func(n *yamldoc.Node, errs *diag.List) (any, bool) { return read(n, errs) }
}

func TestPositions(t *testing.T) {
	t.Parallel()
	const text = "# head\n\"ключ\": значение   # c\nlist:\n  - a\n  - 'b'\n  - {k: [1, &x 語, *x]}\nblock: |\n  one\n    two\nempty:\nnext: 1\n"
	var errs diag.List
	m := root(t, text).Mapping(&errs)
	at := func(n *yamldoc.Node) string { return fmt.Sprintf("%d:%d+%d", n.Pos().Line, n.Pos().Column, n.Width()) }
	require.Equal(t, "2:1+6", at(m.KeyNode("ключ")))
	require.Equal(t, "2:9+8", at(m.Get("ключ")))
	items, _ := m.Get("list").List(&errs)
	require.Equal(t, []string{"4:5+1", "5:5+3", "6:5+1"}, []string{at(items[0]), at(items[1]), at(items[2])})
	inner, _ := items[2].Mapping(&errs).Get("k").List(&errs)
	require.Equal(t, []string{"6:10+1", "6:16+1", "6:19+2"}, []string{at(inner[0]), at(inner[1]), at(inner[2])})
	require.Equal(t, "語", inner[2].Raw())
	require.Equal(t, "7:8+1", at(m.Get("block")))
	require.Equal(t, "10:1+5", at(m.Get("empty")))
	require.Empty(t, errs)
}

func TestPosAtFindsTheCharacter(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text string
		part string
		want string
	}{
		{"where: status = 1", "=", "1:15"},
		{"where: 'it''s = 1'", "=", "1:15"},
		{`where: "語 = 1"`, "=", "1:11"},
		{`where: "a\tb = 1"`, "=", "1:8"}, // escapes: the value's own place
		{"where: |\n  a\n    b = 1\n", "=", "3:7"},
		{"where: >\n  a\n  b = 1\n", "=", "1:8"},
		{"where: a\n  b = 1\n", "=", "1:8"},
		{"x: &a v = 1\nwhere: *a\n", "=", "2:8"},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			t.Parallel()
			var errs diag.List
			n := root(t, tt.text).Mapping(&errs).Get("where")
			pos := n.PosAt(strings.Index(n.Raw(), tt.part))
			require.Equal(t, "x.yaml:"+tt.want, pos.String())
		})
	}
}

func TestLineBreaksOfYAMLAndOfEditors(t *testing.T) {
	t.Parallel()
	var errs diag.List
	m := root(t, "a: 1\r\nb: x\u2028c: 3\nd: 4\n").Mapping(&errs)
	require.Equal(t, []string{"a", "b", "c", "d"}, m.Keys())
	require.Equal(t, "x.yaml:2:6", m.KeyNode("c").Pos().String(), "an editor does not end the line there")
	require.Equal(t, "x.yaml:3:4", m.Get("d").Pos().String())
}

func TestDocumentsOfAStream(t *testing.T) {
	t.Parallel()
	docs, errs := yamldoc.Parse("x.yaml", []byte("---\na: 1\n---\n# none\n---\nb: 2\n...\n---\nc: 3\n---\n"))
	require.Empty(t, errs)
	var keys []string
	for _, d := range docs {
		keys = append(keys, d.Root().Mapping(&errs).Keys()...)
	}
	require.Equal(t, []string{"a", "b", "c"}, keys)
}

func TestMergesAndAliases(t *testing.T) {
	t.Parallel()
	var errs diag.List
	m := root(t, "base: &b {min: 1, max: 2}\nmore: &m {max: 3, q: 4}\nr: {<<: [*b, *m], min: 0}\nsame: *b\n").Mapping(&errs)
	r := m.Get("r").Mapping(&errs)
	require.Equal(t, []string{"min", "max", "q"}, r.Keys())
	require.Equal(t, []string{"0", "2", "4"}, []string{r.Get("min").Raw(), r.Get("max").Raw(), r.Get("q").Raw()})
	require.Equal(t, []string{"min", "max"}, m.Get("same").Mapping(&errs).Keys())
	require.Empty(t, errs)
}

func TestNilMappingIsEmpty(t *testing.T) {
	t.Parallel()
	var errs diag.List
	m := value(t, "text").Mapping(&errs)
	require.Nil(t, m)
	require.Len(t, errs, 1)
	m.Unknown(nil, "", &errs)
	m.Fill("", yamldoc.Fields{"a": new(string)}, &errs)
	require.Nil(t, m.Required("a", "", &errs))
	require.Nil(t, m.Get("a"))
	require.False(t, m.Has("a"))
	require.Nil(t, m.Node())
	require.Empty(t, m.Keys())
	require.Len(t, errs, 1, "one mistake is one message")
}

func TestItems(t *testing.T) {
	t.Parallel()
	require.Len(t, value(t, "[a, b]").Items(), 2)
	require.Len(t, value(t, "a").Items(), 1)
	require.Empty(t, value(t, "").Items())
	require.Empty(t, (*yamldoc.Node)(nil).Items())
}

func TestFillEveryTarget(t *testing.T) {
	t.Parallel()
	var (
		errs diag.List
		o    struct {
			S string
			B bool
			I int
			L int64
			F float64
			D time.Duration
			T time.Time
			A []string
			N *yamldoc.Node
			X string
		}
	)
	text := "s: a\nb: true\ni: 3\nl: 4\nf: 5.5\nd: 6d\nt: 2026-01-02\na: [x]\nn: {}\nx: y\n"
	root(t, text).Mapping(&errs).Fill("", yamldoc.Fields{
		"s": &o.S, "b": &o.B, "i": &o.I, "l": &o.L, "f": &o.F, "d": &o.D, "t": &o.T, "a": &o.A, "n": &o.N,
		"x": func(n *yamldoc.Node) { o.X = n.Raw() },
	}, &errs)
	require.Empty(t, errs)
	require.Equal(t, "a true 3 4 5.5 144h0m0s 2026-01-02 [x] y",
		fmt.Sprint(o.S, " ", o.B, " ", o.I, " ", o.L, " ", o.F, " ", o.D, " ", o.T.Format(time.DateOnly), " ", o.A, " ", o.X))
	require.Equal(t, yamldoc.Map, o.N.Kind())
	require.PanicsWithValue(t, "BUG: yamldoc: no way to fill *uint8", func() {
		root(t, "s: 1").Mapping(&errs).Fill("", yamldoc.Fields{"s": new(uint8)}, &errs)
	})
}
