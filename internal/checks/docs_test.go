package checks_test

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/config"
	"github.com/profilerhq/profiler/internal/monitor"
	"github.com/profilerhq/profiler/internal/pipeline"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/rules"
	"github.com/profilerhq/profiler/internal/source"
	"github.com/profilerhq/profiler/internal/source/csv"
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
		require.Contains(t, index, "("+s.Kind+".md)", "README.md has no link to %s.md", s.Kind)
		for _, p := range s.Params {
			require.Contains(t, text, "`"+p.Name+"`", "%s.md does not name the parameter %s", s.Kind, p.Name)
		}
		require.NotEmpty(t, ofLanguage(blocks(text), "yaml"), "%s.md needs an example rule", s.Kind)
	}
	for _, name := range pages(t) {
		kind := strings.TrimSuffix(name, ".md")
		if kind != "README" && kind != "metrics" && kind != "parsable" && kind != "where_by" {
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
			text := page(t, name)
			folder := folderOf(t, text)
			for _, text := range ofLanguage(blocks(text), "yaml") {
				sets, diags := rules.Parse(filepath.Join(folder, name), []byte(text), nil)
				require.NoError(t, diags.Err(), text)
				require.NotEmpty(t, sets, text)
			}
		})
	}
}

var named = regexp.MustCompile("(?s)The file `([^`]+)`:\n\n```\\w+\n(.*?)```")

// folderOf writes the files that a page shows by name to a folder.
func folderOf(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	for _, m := range named.FindAllStringSubmatch(text, -1) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, m[1]), []byte(m[2]), 0o600))
	}
	return dir
}

// A page whose rules need files beside them is judged in a folder that has
// them.
func TestExamplesWithFilesAreTrue(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"json_schema.md", "references.md"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := page(t, name)
			dir, all := folderOf(t, text), blocks(text)
			tables := ofLanguage(all, "csv")
			sets, diags := rules.Parse(filepath.Join(dir, "rules.yaml"), []byte(ofLanguage(all, "yaml")[0]), nil)
			require.NoError(t, diags.Err())
			r, err := csv.New(strings.NewReader(tables[len(tables)-1]), csv.Options{Source: "orders.csv"})
			require.NoError(t, err)
			o, err := monitor.New(monitor.Options{FailingRows: 20}).Observe(t.Context(), r, monitor.Subject{Dataset: "default/orders", Rules: sets})
			require.NoError(t, err)
			require.Equal(t, checks.Fail, o.Report.Verdict)
			requireReport(t, ofLanguage(all, "text")[0], o.Report.Results)
		})
	}
}

// The YAML blocks of the pages of formats are whole files.
func TestFilesOfTheFormatPagesHaveNoMistakes(t *testing.T) {
	t.Parallel()
	env := func(string) (string, bool) { return "", true }
	for name, read := range map[string]func(t *testing.T, text string) error{
		"rules.md": func(_ *testing.T, text string) error {
			_, diags := rules.Parse("rules.yaml", []byte(text), env)
			return diags.Err()
		},
		"pipeline.md": func(_ *testing.T, text string) error {
			if strings.Contains(text, "\ntests:\n") {
				return nil // a file of tests, which is read by package pipetest
			}
			_, err := pipeline.Parse("pipeline.yaml", []byte(text), env)
			return err
		},
		"config.md": func(t *testing.T, text string) error {
			path := filepath.Join(t.TempDir(), "profiler.yaml")
			require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
			_, _, err := config.Load(path, "local", env)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := ofLanguage(blocks(page(t, filepath.Join("..", "format", name))), "yaml")
			require.NotEmpty(t, files)
			for _, text := range files {
				require.NoError(t, read(t, text), text)
			}
		})
	}
}

func TestEverySettingIsDocumented(t *testing.T) {
	t.Parallel()
	text := page(t, filepath.Join("..", "format", "config.md"))
	for _, key := range config.Keys() {
		require.Contains(t, text, "| `"+key+"` |")
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
		if len(tables) == 0 || named.MatchString(page(t, name)) {
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
			past[n] = monitor.ProfilePast(baseline, 1, n)
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

// known is a history that answers everything from one profile.
type known struct{ profile *profile.Profile }

func (k known) Past(_ context.Context, _ monitor.Subject, needs []checks.Need) map[checks.Need]checks.Past {
	past := map[checks.Need]checks.Past{}
	for _, n := range needs {
		past[n] = monitor.ProfilePast(k.profile, 1, n)
	}
	return past
}

const rulesFolder, samples = "../../rules", "../../test/data"

// observe judges a sample by a rule file in the way of profiler check.
func observe(t *testing.T, sets []*rules.Set, sample string, past *profile.Profile) *monitor.Outcome {
	t.Helper()
	in, err := source.Expand([]string{filepath.Join(samples, sample)}, false)
	require.NoError(t, err)
	r, err := source.Open(t.Context(), in[0], source.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	var history monitor.History
	if past != nil {
		history = known{past}
	}
	s := monitor.Subject{Dataset: sets[0].Dataset, Rules: sets, At: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)}
	if p, ok := source.PartitionOf(in[0], time.UTC); ok {
		s.At, s.AsOf = p.From, p.To
	}
	o, err := monitor.New(monitor.Options{History: history, FailingRows: checks.DefaultFailingRows}).Observe(t.Context(), r, s)
	require.NoError(t, err)
	return o
}

func TestTheExampleRulesFindWhatIsBroken(t *testing.T) {
	t.Parallel()
	samplesOf := map[string]struct {
		good, broken string
		fails        []string
	}{
		"orders.yaml": {
			"orders.csv", "orders_broken.csv",
			[]string{"freshness", "unique", "email.matches", "amount.range", "status.in"},
		},
		"web_events.yaml": {
			"web_events.jsonl", "web_events_broken.jsonl",
			[]string{"event_id.unique", "name.in", "user.id.type", "page.url.not_matches"},
		},
		"stock.yaml": {
			"stock_2026-03-01.csv", "stock_2026-03-02.csv",
			[]string{"change", "change-2", "site.drift", "day.distinct", "quantity.not_in"},
		},
	}
	lib, diags, err := rules.Load([]string{rulesFolder}, nil)
	require.NoError(t, err)
	require.Empty(t, diags)
	require.Len(t, lib.Files, len(samplesOf))
	require.Len(t, lib.Sets, len(samplesOf))
	for _, set := range lib.Sets {
		t.Run(filepath.Base(set.File), func(t *testing.T) {
			t.Parallel()
			tc, ok := samplesOf[filepath.Base(set.File)]
			require.True(t, ok, "the rule file has no samples")
			good := observe(t, []*rules.Set{set}, tc.good, nil)
			require.Equal(t, checks.Pass, good.Report.Verdict)
			again := observe(t, []*rules.Set{set}, tc.good, good.Profile)
			require.Equal(t, checks.Pass, again.Report.Verdict)
			for _, r := range again.Report.Results {
				require.Equal(t, checks.Pass, r.Status, r.ID+": "+r.Message)
			}
			broken := observe(t, []*rules.Set{set}, tc.broken, good.Profile)
			require.Equal(t, checks.Fail, broken.Report.Verdict)
			var fails []string
			for _, r := range broken.Report.Results {
				if r.Status != checks.Pass {
					require.Equal(t, checks.Fail, r.Status, r.ID+": "+r.Message)
					fails = append(fails, r.ID)
				}
			}
			require.Equal(t, tc.fails, fails)
		})
	}
}
