package checks_test

import (
	"bytes"
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
	"github.com/profilerhq/profiler/internal/report"
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
	index := page(t, "README.md")
	for _, s := range checks.Catalog() {
		text := page(t, s.Kind+".md")
		require.True(t, strings.HasPrefix(text, "# `"+s.Kind+"`\n\n"+s.Head()), "%s.md needs its title and head", s.Kind)
		require.Regexp(t, passing, text, "%s.md needs data that pass, with their report", s.Kind)
		require.Regexp(t, failing, text, "%s.md needs data that fail, with their report", s.Kind)
		require.Regexp(t, "(?ms)^## Tuning\n\n.{80}", text, "%s.md needs advice on tuning", s.Kind)
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

// The data that a page shows: those that pass stand before their report, those
// that fail are followed by theirs, the rule between them where it comes first.
// What fails arrival are no data at all.
var (
	passing = regexp.MustCompile("(?ms)^Data that passes:\n\n```csv\n(.*?)^```\n\n```text\n(.*?)^```$")
	failing = regexp.MustCompile("(?ms)^Data that fails(: none\\.[^\n]*|[^\n]*:\n\n```csv\n.*?^```)\n\n.*?```text\n[^\n]*(  FAIL  |no batch came)")
)

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
			dir, all, good := folderOf(t, text), blocks(passing.ReplaceAllString(text, "")), passing.FindStringSubmatch(text)
			tables := ofLanguage(all, "csv")
			sets, diags := rules.Parse(filepath.Join(dir, "rules.yaml"), []byte(ofLanguage(all, "yaml")[0]), nil)
			require.NoError(t, diags.Err())
			for verdict, shown := range map[checks.Status][2]string{
				checks.Fail: {tables[len(tables)-1], ofLanguage(all, "text")[0]},
				checks.Pass: {good[1], good[2]},
			} {
				r, err := csv.New(strings.NewReader(shown[0]), csv.Options{Source: "orders.csv"})
				require.NoError(t, err)
				o, err := monitor.New(monitor.Options{FailingRows: 20}).Observe(t.Context(), r, monitor.Subject{Dataset: "default/orders", Rules: sets})
				require.NoError(t, err)
				require.Equal(t, verdict, o.Report.Verdict)
				requireReport(t, shown[1], o.Report.Results)
			}
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
			text = strings.ReplaceAll(text, "${env:NATS_URL}", "nats://127.0.0.1:4222")
			switch { // a part of a file gets the rest of it
			case strings.HasPrefix(text, "version:"):
			case strings.HasPrefix(text, " "):
				text = "version: 1\npipeline: p\nsteps:\n  parse: {run: [cat]}\n  load: {needs: parse, run: [cat]}\n" + text
			case strings.Contains(text, "\nsteps:"):
				text = "version: 1\npipeline: p\n" + text
			default:
				text = "version: 1\npipeline: p\n" + text + "\nsteps: {a: {run: [cat]}}\n"
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

// A page with data judges them by its first rule file: those that pass, and the
// last of the other tables, with the table before it as the baseline, whose
// report is the first text block.
func TestExamplesOfTheDocumentationAreTrue(t *testing.T) {
	t.Parallel()
	judged := 0
	for _, name := range pages(t) {
		text := page(t, name)
		if named.MatchString(text) || !strings.Contains(text, "```csv") {
			continue
		}
		judged++
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := blocks(passing.ReplaceAllString(text, ""))
			tables, files, texts := ofLanguage(all, "csv"), ofLanguage(all, "yaml"), ofLanguage(all, "text")
			require.NotEmpty(t, files)
			require.NotEmpty(t, texts)
			var baseline *profile.Profile
			if len(tables) > 1 {
				baseline = profileOf(t, tables[0])
			}
			past := pastOf(t, files[0], baseline)
			if len(tables) > 0 {
				requireReport(t, texts[0], judge(t, files[0], tables[len(tables)-1], past))
			}
			for _, good := range passing.FindAllStringSubmatch(text, -1) {
				results := judge(t, files[0], good[1], past)
				requireReport(t, good[2], results)
				for _, r := range results {
					require.Equal(t, checks.Pass, r.Status, r.ID+": "+r.Message)
				}
			}
		})
	}
	require.GreaterOrEqual(t, judged, 50)
}

// What a service says of a batch that never came.
func TestTheExampleOfArrivalIsTrue(t *testing.T) {
	t.Parallel()
	all := blocks(passing.ReplaceAllString(page(t, "arrival.md"), ""))
	sets, diags := rules.Parse("r.yaml", []byte(ofLanguage(all, "yaml")[0]), nil)
	require.NoError(t, diags.Err())
	e, ok := sets[0].Checks[0].Expects()
	require.True(t, ok)
	last, now := time.Date(2026, 2, 27, 5, 12, 8, 0, time.UTC), time.Date(2026, 3, 2, 6, 0, 0, 0, time.UTC)
	due, _, ok := e.Due(now)
	require.True(t, ok)
	require.Contains(t, ofLanguage(all, "text")[0], e.Missed(due, last, now).Message)
}

func TestTheExampleOfDriftIsTrue(t *testing.T) {
	t.Parallel()
	table := func(de, us, br int) string {
		return "country\n" + strings.Repeat("DE\n", de) + strings.Repeat("US\n", us) + strings.Repeat("BR\n", br)
	}
	rule := "columns:\n  country: [{drift: {method: tv, fail: 0.15}}]\n"
	past := pastOf(t, rule, profileOf(t, table(50, 30, 20)))
	requireReport(t, ofLanguage(blocks(passing.ReplaceAllString(page(t, "drift.md"), "")), "text")[1], judge(t, rule, table(50, 6, 44), past))
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

var (
	rowsRead = regexp.MustCompile(`  \d+ rows?  `)
	ruleFile = regexp.MustCompile(`\S*\br(ules)?\.yaml:`)
)

// requireReport compares results with a printed report, however its lines are
// broken and however many rows were read.
func requireReport(t *testing.T, text string, results []checks.Result) {
	t.Helper()
	r := checks.Report{Dataset: "default/orders", Batch: "2026-03-02", Verdict: checks.VerdictOf(results), Results: results}
	var b bytes.Buffer
	require.NoError(t, report.Check(&b, report.FormatTable, &r, nil, report.Options{Width: 100}))
	words := func(s string) string {
		s = rowsRead.ReplaceAllString(s, "  ")
		s = ruleFile.ReplaceAllString(strings.ReplaceAll(s, "in.csv", "orders.csv"), "rules.yaml:")
		return strings.Join(strings.Fields(s), " ")
	}
	require.Equal(t, words(b.String()), words(text))
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
