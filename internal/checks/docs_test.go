package checks_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/monitor"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/rules"
)

const docsFolder = "../../docs/checks"

// page returns the text of a page of the documentation of checks.
func page(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(docsFolder, name))
	require.NoError(t, err)
	return string(b)
}

func pages(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(docsFolder, "*.md"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for i, f := range files {
		files[i] = filepath.Base(f)
	}
	return files
}

var fence = regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$")

// block is a block of code of a page.
type block struct{ language, text string }

func blocks(text string) (out []block) {
	for _, m := range fence.FindAllStringSubmatch(text, -1) {
		out = append(out, block{m[1], m[2]})
	}
	return out
}

func ofLanguage(all []block, language string) (texts []string) {
	for _, b := range all {
		if b.language == language {
			texts = append(texts, b.text)
		}
	}
	return texts
}

func TestEveryKindIsDocumented(t *testing.T) {
	t.Parallel()
	index, metrics := page(t, "README.md"), page(t, "metrics.md")
	for _, s := range checks.Catalog() {
		if s.Level == checks.MetricLevel {
			require.Regexp(t, "(?m)^\\|[^|]*`"+s.Kind+"`", metrics, "metrics.md has no row about %s", s.Kind)
			continue
		}
		text := page(t, s.Kind+".md")
		require.True(t, strings.HasPrefix(text, "# `"+s.Kind+"`\n"), "%s.md needs its title", s.Kind)
		require.True(t, strings.Contains(index, "("+s.Kind+".md)"), "README.md has no link to %s.md", s.Kind)
		for _, p := range s.Params {
			require.True(t, strings.Contains(text, "`"+p+"`"), "%s.md does not name the parameter %s", s.Kind, p)
		}
		require.NotEmpty(t, ofLanguage(blocks(text), "yaml"), "%s.md needs an example rule", s.Kind)
	}
	for _, name := range pages(t) {
		kind := strings.TrimSuffix(name, ".md")
		if kind != "README" && kind != "metrics" && kind != "parsable" {
			require.NotNil(t, checks.Find(kind), "%s is about no kind of check", name)
		}
	}
}

// Every YAML block of these pages is a whole rule file.
func TestRulesOfTheDocumentationHaveNoMistakes(t *testing.T) {
	t.Parallel()
	for _, name := range pages(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, text := range ofLanguage(blocks(page(t, name)), "yaml") {
				sets, diags := rules.Parse(name, []byte(text), nil)
				require.NoError(t, diags.Err(), text)
				require.NotEmpty(t, sets, text)
			}
		})
	}
}

// A page with data judges the last table by the first rule file, with the
// table before it as the baseline, and its first text block is the report.
func TestExamplesOfTheDocumentationAreTrue(t *testing.T) {
	t.Parallel()
	judged := 0
	for _, name := range pages(t) {
		all := blocks(page(t, name))
		tables, files, texts := ofLanguage(all, "csv"), ofLanguage(all, "yaml"), ofLanguage(all, "text")
		if len(tables) == 0 {
			continue
		}
		judged++
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.NotEmpty(t, files)
			require.NotEmpty(t, texts)
			var baseline *profile.Profile
			if len(tables) > 1 {
				baseline = profileOf(t, tables[0])
			}
			requireReport(t, texts[0], judge(t, files[0], tables[len(tables)-1], pastOf(t, files[0], baseline)))
		})
	}
	require.GreaterOrEqual(t, judged, 13)
}

func TestTheExampleOfDriftIsTrue(t *testing.T) {
	t.Parallel()
	table := func(de, us, br int) string {
		return "country\n" + strings.Repeat("DE\n", de) + strings.Repeat("US\n", us) + strings.Repeat("BR\n", br)
	}
	rule := "columns:\n  country: [{drift: {method: tv, fail: 0.15}}]\n"
	past := pastOf(t, rule, profileOf(t, table(50, 30, 20)))
	requireReport(t, ofLanguage(blocks(page(t, "drift.md")), "text")[0], judge(t, rule, table(50, 6, 44), past))
}

// pastOf answers what the checks of a rule file ask of the past by one profile.
func pastOf(t *testing.T, ruleText string, baseline *profile.Profile) map[checks.Need]checks.Past {
	t.Helper()
	if baseline == nil {
		return nil
	}
	sets, diags := rules.Parse("r.yaml", []byte(ruleText), nil)
	require.NoError(t, diags.Err())
	past := map[checks.Need]checks.Past{}
	for _, c := range rules.Plan(sets, 0).Checks {
		for _, n := range c.Needs() {
			past[n] = monitor.ProfilePast(baseline, 0, n)
		}
	}
	return past
}

// requireReport compares results with a printed report, however its lines are
// broken: those that pass are named there, the others are there with status,
// message and the values of their failing rows.
func requireReport(t *testing.T, text string, results []checks.Result) {
	t.Helper()
	words := func(s string) string { return " " + strings.Join(strings.Fields(s), " ") + " " }
	text = words(strings.ReplaceAll(text, "orders.csv", "in.csv"))
	for _, r := range results {
		if r.Status == checks.Pass {
			require.Contains(t, text, " "+r.ID+" (")
			continue
		}
		require.Contains(t, text, words(strings.ToUpper(r.Status.String())+" "+r.ID))
		require.Contains(t, text, words(r.Message))
	}
}
