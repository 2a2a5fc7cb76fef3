package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/golden"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/source/csv"
)

// ofCSV profiles a text as the product does.
func ofCSV(t testing.TB, dataset, text string) *profile.Summary {
	t.Helper()
	r, err := csv.New(strings.NewReader(text), csv.Options{Source: "in.csv"})
	require.NoError(t, err)
	b := profile.NewBuilder()
	var c batch.Chunk
	for {
		err := r.Next(t.Context(), &c)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		require.NoError(t, b.Add(r.Columns(), &c))
	}
	stats := r.Stats()
	stats.Bytes = int64(len(text))
	info := profile.Info{
		Dataset: dataset, Stats: stats, ProfiledAt: time.Unix(0, 0).UTC(),
		Source: profile.Source{URL: "in/" + dataset + ".csv", Format: "csv", Files: 1},
	}
	return b.Finish(r.Columns(), info).Summary()
}

// orders is a table with every kind of column, nulls, a mixed column and
// malformed records.
func orders() string {
	var b strings.Builder
	b.WriteString("order_id,amount,quantity,status,paid,created_at,day,currency,note,code,id,id\n")
	for i := range 400 {
		amount := fmt.Sprintf("%.2f", 3+float64(i*i%977)/7)
		if i == 123 {
			amount = "n/a"
		}
		note := ""
		if i%50 == 0 {
			note = "leave at the door, please; ring twice"
		}
		at := time.Date(2026, 3, 1+i/100, i%24, i%60, 0, 0, time.UTC)
		fmt.Fprintf(&b, "A%d,%s,%d,%s,%t,%s,%s,EUR,\"%s\",%05d,,7\n", i, amount, i%7, []string{"paid", "open", "paid", "returned", "paid"}[i%5],
			i%3 != 0, at.Format(time.RFC3339), at.Format(time.DateOnly), note, i*17)
	}
	b.WriteString("too,few\n")
	return b.String()
}

// hostile is a table whose names and values try to break out of each format.
func hostile() string {
	return "<script>alert(1)</script>,a|b`c,\"line\nend\",\u202eevil,日本語,\x1b[31mred\n" +
		"<img src=x onerror=alert(2)>,`|` *x* [y](http://z),\"a\nb\",\u200b,日本,\x1b[2Jx\n" +
		"</style><script>alert(3)</script>,@all www.example.com,\"]]>\",é,東京都,\"\x07\"\n" +
		"\" onload=\"\"alert(4)\",\"'; DROP\",%0A::error::x,👩‍🚀,日本," + strings.Repeat("long ", 60) + "\n"
}

func summaries(t testing.TB) map[string]*profile.Summary {
	t.Helper()
	all := map[string]*profile.Summary{
		"orders":  ofCSV(t, "shop/orders", orders()),
		"hostile": ofCSV(t, "a/<script>alert(0)</script>|`\n\x1b[1m", hostile()),
		"empty":   ofCSV(t, "shop/empty", ""),
		"header":  ofCSV(t, "shop/header", "a,b\n"),
	}
	big := ofCSV(t, "shop/big", orders())
	big.Rows, big.Duplicates = 50_000_000, profile.Estimate{Value: 12_345, Error: 900}
	for i := range big.Columns {
		c := &big.Columns[i]
		c.Distinct = profile.Estimate{Value: 1_234_567, Error: 30_000}
		if c.Quantiles != nil {
			c.Quantiles.Exact, c.Quantiles.Error = false, 0.013
		}
		for j := range c.Top {
			c.Top[j].Error = 3
		}
	}
	all["estimated"] = big
	return all
}

func ptr[T any](v T) *T { return &v }

func verdicts() map[string]*checks.Report {
	at := time.Date(2026, 3, 2, 6, 30, 0, 0, time.UTC)
	rule := func(line int) *checks.Rule { return &checks.Rule{File: "rules/orders.yaml", Line: line} }
	var failing []checks.FailingRow
	for i := range 8 {
		failing = append(failing, checks.FailingRow{Row: int64(17 + 1000*i), Key: map[string]*string{"order_id": new(fmt.Sprintf("A%d", i)), "line": new("1")}, Value: profile.FloatScalar(-4.25 * float64(i+1))})
	}
	full := &checks.Report{
		Version: 1, Dataset: "shop/orders", Batch: "2026-03-01", At: at, Verdict: checks.Error, Rows: 12_345,
		Results: []checks.Result{
			{ID: "row_count", Kind: "row_count", Status: checks.Pass, Severity: checks.SeverityFail, Value: profile.IntScalar(12_345), Limit: "at least 1,000", Message: "row_count is 12,345, as expected (at least 1,000)", Rule: rule(6)},
			{ID: "order_id.not_null", Kind: "not_null", Column: "order_id", Status: checks.Pass, Value: profile.FloatScalar(0), Evaluated: ptr[int64](12_345), Failed: ptr[int64](0), Limit: "at most 0 failing rows", Message: "none of 12,345 rows is null", Rule: rule(9)},
			{ID: "amount.range", Kind: "range", Column: "amount", Status: checks.Fail, Severity: checks.SeverityFail, Value: profile.FloatScalar(0.03), Evaluated: ptr[int64](12_345), Failed: ptr[int64](370), Limit: "at most 0 failing rows", Message: "370 of 12,345 rows (3 %) are outside 0 … 10,000; first: row 17 is -4.25", FailingRows: failing, Rule: rule(12), Owner: "orders-team", Note: "negative amounts are refunds that belong to another table"},
			{ID: "amount.drift", Kind: "drift", Column: "amount", Status: checks.Learning, Message: "3 earlier batches, 7 are needed", Rule: rule(13)},
			{ID: "status.in", Kind: "in", Name: "known status", Column: "status", Status: checks.Warn, Severity: checks.SeverityWarn, Value: profile.FloatScalar(0.0001), Evaluated: ptr[int64](12_345), Failed: ptr[int64](1), Limit: "at most 0 failing rows", Message: `1 of 12,345 rows (0.01 %) is not one of "open", "paid"; first: row 99 is "Paid"`, FailingRows: []checks.FailingRow{{Row: 99, Value: profile.TextScalar("Paid")}}, Rule: rule(15)},
			{ID: "customer.references", Kind: "references", Column: "customer", Status: checks.Error, Message: "customers.csv cannot be read: no such file", Rule: rule(18)},
		},
	}
	nasty := "a|b `c` <script>alert(1)</script>\n::error::x%0A\x1b[31m\x00 ]]> @all"
	hostile := &checks.Report{
		Dataset: nasty, Batch: nasty, Verdict: checks.Fail, Rows: 1,
		Results: []checks.Result{{
			ID: nasty, Kind: nasty, Name: nasty + "2", Column: nasty, Status: checks.Fail, Limit: nasty + "limit", Message: nasty, Note: nasty, Owner: nasty,
			FailingRows: []checks.FailingRow{{Row: 1, Key: map[string]*string{nasty: new(nasty)}, Value: profile.TextScalar(nasty)}},
			Rule:        &checks.Rule{File: "a,b:c%\n.yaml", Line: 3},
		}},
	}
	segment := func(value profile.Scalar, status checks.Status, failed, evaluated int64) checks.Segment {
		return checks.Segment{Value: value, Status: status, Observed: profile.FloatScalar(float64(failed) / float64(evaluated)), Evaluated: &evaluated, Failed: &failed}
	}
	other := segment(profile.Scalar{}, checks.Fail, 7, 1_900)
	segments := &checks.Report{Dataset: "shop/orders", Verdict: checks.Fail, Rows: 12_345, Results: []checks.Result{
		{
			ID: "amount.range", Kind: "range", Column: "amount", Status: checks.Fail, Value: profile.FloatScalar(0.03), Evaluated: ptr[int64](12_345), Failed: ptr[int64](370), Limit: "at most 1 % failing rows",
			Message: "370 of 12,345 rows (3 %) are outside 0 … 10,000; first: row 17 is -4.25; above the limit in 2 of 57 segments of country: BR 200 of 600 (33.3 %), null 50 of 400 (12.5 %) and 5 more", FailingRows: failing[:1], Rule: rule(12),
			Segments: []checks.Segment{
				segment(profile.TextScalar("DE"), checks.Pass, 3, 8_000), segment(profile.TextScalar("BR"), checks.Fail, 200, 600), segment(profile.Scalar{}, checks.Fail, 50, 400),
				segment(profile.TextScalar("<b>|`x`\x1b[31m"), checks.Warn, 2, 300), segment(profile.IntScalar(7), checks.Pass, 1, 300), segment(profile.TextScalar(""), checks.Pass, 2, 300), segment(profile.TextScalar("AT"), checks.Pass, 0, 300),
			},
			Other: &other,
		},
		{
			ID: "amount.mean", Kind: "mean", Column: "amount", Status: checks.Fail, Value: profile.FloatScalar(12.5), Limit: "10 … 50", Message: "mean of amount is 12.5, expected 10 … 50; not as expected in 2 of 3 segments of country: BR 3, FR has no value", Rule: rule(14),
			Segments: []checks.Segment{{Value: profile.TextScalar("DE"), Observed: profile.FloatScalar(14)}, {Value: profile.TextScalar("BR"), Status: checks.Fail, Observed: profile.FloatScalar(3)}, {Value: profile.TextScalar("FR"), Status: checks.Fail}},
		},
	}}
	passing := &checks.Report{Dataset: "shop/empty", Verdict: checks.Pass, Results: []checks.Result{{ID: "parsable", Kind: "parsable", Message: "all records could be read", Evaluated: ptr[int64](0), Failed: ptr[int64](0)}}}
	return map[string]*checks.Report{"full": full, "hostile": hostile, "passing": passing, "segments": segments, "none": {Dataset: "shop/none", Verdict: checks.Pass}}
}

func options() Options {
	return Options{Now: time.Date(2026, 3, 2, 7, 0, 0, 0, time.UTC), Version: "1.2.3"}
}

var endings = map[Format]string{FormatTable: "txt", FormatJSON: "json", FormatMarkdown: "md", FormatHTML: "html", FormatJUnit: "xml", FormatGitHub: "github.txt"}

func TestProfilesAreWrittenAsBefore(t *testing.T) {
	t.Parallel()
	for name, s := range summaries(t) {
		for _, f := range allFormats() {
			if !Supports(f, KindProfile) || f == FormatJSON && name != "header" {
				continue
			}
			t.Run(name+" "+string(f), func(t *testing.T) {
				t.Parallel()
				var b bytes.Buffer
				require.NoError(t, Profile(&b, f, s, options()))
				golden.Equal(t, b.Bytes(), "testdata/profile/"+name+"."+endings[f])
			})
		}
	}
}

func TestVerdictsAreWrittenAsBefore(t *testing.T) {
	t.Parallel()
	for name, r := range verdicts() {
		for _, f := range allFormats() {
			t.Run(name+" "+string(f), func(t *testing.T) {
				t.Parallel()
				var b bytes.Buffer
				require.NoError(t, Check(&b, f, r, nil, options()))
				golden.Equal(t, b.Bytes(), "testdata/check/"+name+"."+endings[f])
			})
		}
	}
}

func TestVerboseAndColorAreWrittenAsBefore(t *testing.T) {
	t.Parallel()
	o := options()
	o.Verbose, o.Color, o.Width = true, true, 80
	var b bytes.Buffer
	require.NoError(t, Check(&b, FormatTable, verdicts()["full"], nil, o))
	golden.Equal(t, b.Bytes(), "testdata/check/full.verbose.txt")
	b.Reset()
	require.NoError(t, Profile(&b, FormatTable, summaries(t)["orders"], o))
	golden.Equal(t, b.Bytes(), "testdata/profile/orders.color.txt")
}

func TestTablesFitTheTerminal(t *testing.T) {
	t.Parallel()
	escape := regexp.MustCompile("\x1b\\[[0-9;]*m")
	all := summaries(t)
	all["wide"] = wide(t, 300)
	for _, columns := range []int{40, 60, 80, 100, 160, 240} {
		o := Options{Width: columns, Color: columns == 80, Verbose: columns == 100}
		var b bytes.Buffer
		for _, s := range all {
			require.NoError(t, Profile(&b, FormatTable, s, o))
		}
		for _, r := range verdicts() {
			require.NoError(t, Check(&b, FormatTable, r, nil, o))
		}
		for line := range strings.Lines(b.String()) {
			line = strings.TrimSuffix(escape.ReplaceAllString(line, ""), "\n")
			limit := columns
			if columns < 80 {
				limit = max(limit, 78) // numbers are not cut
			}
			require.LessOrEqual(t, textWidth(line), limit, "%d: %s", columns, line)
			require.Equal(t, strings.TrimRight(line, " "), line, "no spaces at the end")
		}
	}
}

func wide(t testing.TB, n int) *profile.Summary {
	t.Helper()
	var head, row []string
	for i := range n {
		head = append(head, fmt.Sprintf("c%d", i))
		row = append(row, fmt.Sprint(i))
	}
	return ofCSV(t, "shop/wide", strings.Join(head, ",")+"\n"+strings.Join(row, ",")+"\n")
}

func TestWideTablesAreCutUnlessVerbose(t *testing.T) {
	t.Parallel()
	s := wide(t, 1000)
	var b bytes.Buffer
	require.NoError(t, Profile(&b, FormatTable, s, Options{}))
	require.Contains(t, b.String(), "… 900 more columns; -v shows all")
	require.NotContains(t, b.String(), "c100 ")
	b.Reset()
	require.NoError(t, Profile(&b, FormatTable, s, Options{Verbose: true}))
	require.NotContains(t, b.String(), "more columns")
	require.Contains(t, b.String(), "c999 ")
}

func TestColorOnlyWhenAllowed(t *testing.T) {
	t.Parallel()
	for _, f := range allFormats() {
		for name, r := range verdicts() {
			var b bytes.Buffer
			o := options()
			o.Color = f != FormatTable
			require.NoError(t, Check(&b, f, r, summaries(t)["hostile"], o))
			require.NotContains(t, b.String(), "\x1b", "%s %s", f, name)
		}
	}
}

func TestHTMLIsInert(t *testing.T) {
	t.Parallel()
	for name, s := range summaries(t) {
		for _, r := range verdicts() {
			var b bytes.Buffer
			require.NoError(t, Check(&b, FormatHTML, r, s, options()))
			page := b.String()
			require.NotContains(t, strings.ToLower(page), "<script", name)
			require.NotContains(t, page, "<img", name)
			require.NotContains(t, page, "ZgotmplZ", name)
			requireInert(t, page)
			require.Equal(t, 1, strings.Count(page, "</style>"))
			require.Contains(t, page, `content="default-src 'none'; style-src 'unsafe-inline'; img-src data:"`)
			require.Equal(t, strings.Count(page, "<svg"), strings.Count(page, `role="img" aria-label="histogram of `))
		}
	}
}

// requireInert reads the page as a tree and fails on any element or attribute
// that the template does not have.
func requireInert(t testing.TB, page string) {
	t.Helper()
	elements := strings.Fields("html head meta title style body header h1 h2 h3 p span main section div dl dt dd details summary table thead tbody tr th td svg rect i b ul li footer nav a")
	attributes := strings.Fields("lang charset http-equiv content name class id aria-label aria-labelledby aria-hidden role viewBox preserveAspectRatio x y width height title style open href")
	d := xml.NewDecoder(strings.NewReader(page))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		require.NoError(t, err)
		if e, ok := token.(xml.StartElement); ok {
			require.Contains(t, elements, e.Name.Local)
			for _, a := range e.Attr {
				require.Contains(t, attributes, a.Name.Local)
				if a.Name.Local == "href" {
					require.Regexp(t, `^#c[0-9]+$`, a.Value)
				}
				if a.Name.Local == "style" {
					require.Regexp(t, `^width:[0-9.]+%$`, a.Value)
				}
			}
		}
	}
}

func TestHTMLHasATableBehindEachChart(t *testing.T) {
	t.Parallel()
	s := summaries(t)["orders"]
	var b bytes.Buffer
	require.NoError(t, Profile(&b, FormatHTML, s, options()))
	charts := 0
	for i := range s.Columns {
		if charted(&s.Columns[i]) {
			charts++
		}
	}
	require.Equal(t, 5, charts)
	require.Equal(t, charts, strings.Count(b.String(), "<svg"))
	require.Equal(t, charts, strings.Count(b.String(), "<summary>data</summary>"))
}

func TestJSON(t *testing.T) {
	t.Parallel()
	r := verdicts()["full"]
	var indented, compact bytes.Buffer
	require.NoError(t, Check(&indented, FormatJSON, r, nil, Options{}))
	require.NoError(t, Check(&compact, FormatJSON, r, nil, Options{Compact: true}))
	require.Equal(t, 1, strings.Count(compact.String(), "\n"))
	require.Contains(t, indented.String(), "\n  \"dataset\": \"shop/orders\"")
	require.JSONEq(t, compact.String(), indented.String())
	require.True(t, json.Valid(compact.Bytes()))
}

func TestJUnitIsValidXML(t *testing.T) {
	t.Parallel()
	for name, r := range verdicts() {
		var b bytes.Buffer
		require.NoError(t, Check(&b, FormatJUnit, r, nil, Options{}))
		var got junitSuites
		require.NoError(t, xml.Unmarshal(b.Bytes(), &got), name)
		require.Len(t, got.Suites, 1)
		require.Len(t, got.Suites[0].Cases, len(r.Results))
	}
	var b bytes.Buffer
	require.NoError(t, Check(&b, FormatJUnit, verdicts()["full"], nil, Options{}))
	var got junitSuites
	require.NoError(t, xml.Unmarshal(b.Bytes(), &got))
	require.Equal(t, []int{6, 1, 1, 1}, []int{got.Tests, got.Failures, got.Errors, got.Suites[0].Skipped})
}

func TestGitHubCommands(t *testing.T) {
	t.Parallel()
	r := &checks.Report{Dataset: "shop/orders", Verdict: checks.Error}
	for i := range 14 {
		r.Results = append(r.Results, checks.Result{ID: fmt.Sprintf("f%d", i), Status: checks.Fail, Message: "m"})
	}
	r.Results = append(r.Results, checks.Result{ID: "e", Status: checks.Error, Message: "100% of\nit"}, checks.Result{ID: "w", Status: checks.Warn, Message: "m"})
	var b, summary bytes.Buffer
	require.NoError(t, Check(&b, FormatGitHub, r, nil, Options{StepSummary: &summary}))
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	require.Len(t, lines, 11)
	require.Equal(t, "::error title=shop/orders%3A e could not be judged::100%25 of\\nit", lines[0])
	require.Equal(t, "::error title=shop/orders::6 more checks of the same kind; see the summary of the step", lines[9])
	require.Equal(t, "::warning title=shop/orders%3A w::m", lines[10])
	require.Contains(t, summary.String(), "### 🚫 shop/orders: error")
	for line := range strings.Lines(outputOf(t, FormatGitHub, verdicts()["hostile"])) {
		require.True(t, strings.HasPrefix(line, "::error "), line)
		require.Contains(t, line, "file=a%2Cb%3Ac%25%0A.yaml,line=3,title=")
	}
	require.Error(t, Check(&b, FormatGitHub, r, nil, Options{StepSummary: broken{}}))
}

func outputOf(t testing.TB, f Format, r *checks.Report) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, Check(&b, f, r, nil, options()))
	return b.String()
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestErrorsOfTheWriterAreReported(t *testing.T) {
	t.Parallel()
	s := summaries(t)["header"]
	for _, f := range allFormats() {
		require.ErrorContains(t, Check(broken{}, f, verdicts()["full"], s, Options{}), "disk full", string(f))
		if Supports(f, KindProfile) {
			require.ErrorContains(t, Profile(broken{}, f, s, Options{}), "disk full", string(f))
		}
	}
	require.ErrorContains(t, History(broken{}, FormatTable, nil, Options{}), "disk full")
}

func TestFormatsWithoutMeaningAreRefused(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	require.EqualError(t, Profile(&b, FormatJUnit, summaries(t)["empty"], Options{}), "output format junit has no meaning for a profile; use one of table, json, markdown, html")
	require.EqualError(t, Profile(&b, FormatGitHub, summaries(t)["empty"], Options{}), "output format github has no meaning for a profile; use one of table, json, markdown, html")
	require.EqualError(t, History(&b, FormatHTML, nil, Options{}), "output format html has no meaning for a history; use one of table, markdown")
	require.Error(t, Check(&b, "pdf", verdicts()["none"], nil, Options{}))
	require.Zero(t, b.Len())
	_, ok := ParseFormat("pdf")
	require.False(t, ok)
	for _, name := range Formats() {
		f, ok := ParseFormat(name)
		require.True(t, ok)
		require.True(t, Supports(f, KindCheck))
	}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	rows := []HistoryRow{
		{Dataset: "shop/orders", Batch: "2026-03-01", At: at, Rows: 12_345, Verdict: "pass", Score: ptr(0.7), RecordedAt: at.Add(time.Hour)},
		{Dataset: "shop/orders", Batch: "a|b\n", At: at.AddDate(0, 0, 1), Rows: 7, Verdict: "fail", Label: "known: outage", RecordedAt: at.AddDate(0, 0, 1)},
	}
	for _, f := range []Format{FormatTable, FormatMarkdown} {
		var b bytes.Buffer
		require.NoError(t, History(&b, f, rows, Options{Color: f == FormatTable}))
		golden.Equal(t, b.Bytes(), "testdata/history."+endings[f])
	}
}

func TestHistoryWithoutScoresAndLabels(t *testing.T) {
	t.Parallel()
	rows := []HistoryRow{{Dataset: "a/b", Batch: "x", Rows: 3, Verdict: "pass"}, {Dataset: "a/b", Batch: "y", Rows: 4, Verdict: "fail"}}
	for _, f := range []Format{FormatTable, FormatMarkdown} {
		var b bytes.Buffer
		require.NoError(t, History(&b, f, rows, Options{}))
		require.NotContains(t, strings.ToUpper(b.String()), "SCORE")
		require.NotContains(t, strings.ToUpper(b.String()), "LABEL")
		require.Contains(t, b.String(), "fail")
	}
}

// TestEstimatesAreMarked looks for quantiles that are estimates in all forms that
// show them.
func TestEstimatesAreMarked(t *testing.T) {
	t.Parallel()
	s := summaries(t)["estimated"]
	var table, page bytes.Buffer
	require.NoError(t, Profile(&table, FormatTable, s, Options{Width: 160}))
	require.Regexp(t, `(?m)^amount .* 3 +142\.4 +71\.65 +≈\S+`, table.String())
	require.Regexp(t, `(?m)^day .* 2026-03-04 +2026-03-02 +≈2026-03-0\d`, table.String())
	require.NoError(t, Profile(&page, FormatHTML, s, Options{}))
	require.Regexp(t, `median\s*</dt>\s*<dd>≈|median</th>\s*<td>≈|median.{0,40}≈`, page.String())
	exact := summaries(t)["orders"]
	table.Reset()
	require.NoError(t, Profile(&table, FormatTable, exact, Options{Width: 160}))
	require.NotContains(t, table.String(), "≈")
}
