package web_test

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/alert"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/db"
	"github.com/profilerhq/profiler/internal/dbtest"
	"github.com/profilerhq/profiler/internal/golden"
	"github.com/profilerhq/profiler/internal/monitor"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/store"
	"github.com/profilerhq/profiler/internal/web"
	"github.com/profilerhq/profiler/internal/web/webtest"
)

func now() time.Time { return webtest.Now }

func newStore(t testing.TB) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), dbtest.SQLite(t), store.Options{Now: now})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func newPages(t testing.TB, h web.History) *web.Pages {
	t.Helper()
	p, err := web.New(web.Options{History: h, Version: "1.2.3", Now: now, Metrics: true})
	require.NoError(t, err)
	return p
}

func get(t testing.TB, h http.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}

// page is what a test wants to know of a page's markup.
type page struct {
	links []string
	text  string
}

var void = regexp.MustCompile(`<(meta|link|br)\b([^>]*)>`)

// parse reads a page. It fails the test if elements are not nested properly,
// or if there is anything that the policy would keep from working.
func parse(t testing.TB, path, body string) page {
	t.Helper()
	body = strings.ReplaceAll(void.ReplaceAllString(body, "<$1$2/>"), " open>", ` open="">`)
	d := xml.NewDecoder(strings.NewReader(body))
	d.Entity = xml.HTMLEntity
	var p page
	var text strings.Builder
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			p.text = text.String()
			return p
		}
		require.NoError(t, err, path)
		switch e := token.(type) {
		case xml.CharData:
			text.Write(e)
		case xml.StartElement:
			require.NotContains(t, []string{"script", "style", "iframe", "object", "base"}, e.Name.Local, path)
			attrs := map[string]string{}
			for _, a := range e.Attr {
				attrs[a.Name.Local] = a.Value
				require.NotEqual(t, "style", a.Name.Local, "%s: an inline style does nothing under the policy", path)
				require.False(t, strings.HasPrefix(a.Name.Local, "on"), "%s: handler %s", path, a.Name.Local)
			}
			if href, ok := attrs["href"]; ok {
				require.True(t, strings.HasPrefix(href, "/") && !strings.HasPrefix(href, "//") || strings.HasPrefix(href, "#"), "%s: link %s", path, href)
				p.links = append(p.links, href)
			}
			if e.Name.Local == "svg" {
				require.True(t, attrs["aria-hidden"] == "true" || attrs["role"] == "img" && attrs["aria-label"] != "", "%s: a picture without words", path)
			}
		}
	}
}

// crawl opens every page that can be reached and returns them by their path.
func crawl(t *testing.T, h http.Handler) map[string]string {
	t.Helper()
	bodies := map[string]string{}
	todo := []string{"/"}
	for len(todo) > 0 {
		path := todo[0]
		todo = todo[1:]
		path, _, _ = strings.Cut(path, "#")
		if _, done := bodies[path]; done || path == "" || strings.HasPrefix(path, "/api/") || path == "/metrics" {
			continue
		}
		w := get(t, h, path)
		require.Equal(t, http.StatusOK, w.Code, "%s: %s", path, w.Body)
		bodies[path] = w.Body.String()
		if strings.HasPrefix(path, "/assets/") {
			continue
		}
		require.Equal(t, web.ContentSecurityPolicy, w.Header().Get("Content-Security-Policy"), path)
		require.Equal(t, "text/html; charset=utf-8", w.Header().Get("Content-Type"), path)
		todo = append(todo, parse(t, path, w.Body.String()).links...)
	}
	return bodies
}

func TestEveryLinkOfTheShopLeadsToAPage(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	require.NoError(t, webtest.Fill(t.Context(), s))
	p := newPages(t, s)
	bodies := crawl(t, p)
	batches := 0
	for path := range bodies {
		if strings.Contains(path, "/batches/") {
			batches++
		}
	}
	require.Equal(t, 6*webtest.Batches, batches)

	hashes := regexp.MustCompile(`-[0-9a-f]{12}\.`)
	golden.Equal(t, []byte(hashes.ReplaceAllString(bodies["/"], "-HASH.")), "testdata/datasets.html")

	index := parse(t, "/", bodies["/"]).text
	for _, want := range []string{
		"shop/orders", "amount.range: 21 of 181 rows", "nightly › load", "2 bad batches", "owner orders-team", "later steps went bad too: shop/payments",
		"method.in: 8 of 90 rows (8.89 %)", "and 1 other check: paid.not_null", "2026-11-20 06:00 UTC", "2 h ago", "2 fail", "1 warn", "3 pass",
	} {
		require.Contains(t, index, want)
	}
	dataset := bodies["/datasets/shop/orders"]
	require.Equal(t, webtest.Batches, strings.Count(dataset, `class="mark"`), "one mark per batch in the chart")
	for _, want := range []string{"rules/shop.yaml:7", "amounts are plausible", "1 more failing row was not kept", "6 checks: 1 failed, 5 passed", "Older batches", "ordered_at", "timestamp"} {
		require.Contains(t, dataset, want)
	}
	require.Less(t, strings.Index(dataset, "amounts are plausible"), strings.Index(dataset, "order_id.unique"), "what failed comes first")

	// Many readers at a time see what one sees.
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for _, path := range []string{"/", "/datasets/shop/orders", "/datasets/shop/payments/batches/2026-11-20"}[i%3:] {
				w := httptest.NewRecorder()
				p.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
				if w.Body.String() != bodies[path] {
					t.Errorf("%s is different for reader %d", path, i)
				}
			}
		})
	}
	group.Wait()
}

const script = `<script>alert("x")</script>`

func TestNothingThatDataSaysIsMarkup(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	names := []string{
		"sh<op & \"co\"/" + script, "a b/c d", "ü€/日本", "x/50%2F", "x/a?b=c#d", "x/deep/er", "x/'; --", "x/+plus", "x/\u202etxt.exe",
	}
	batches := []string{"a b", "in/2026/x.csv", "/abs//double", "../up", script + "/" + script, "q?x=1&y=2#z", "100%", "%2F", "日本", "tab\tand\nline", `back\slash`}
	for _, name := range names {
		for i, batch := range batches {
			text := "id,\"" + strings.ReplaceAll(script, `"`, `""`) + "\"\n1,\"" + strings.ReplaceAll(script, `"`, `""`) + "\"\n2,\"" + strings.ReplaceAll(script, `"`, `""`) + "\"\n"
			at := webtest.Now.Add(time.Duration(i-100) * time.Hour)
			require.NoError(t, webtest.Record(t.Context(), s, monitor.Subject{Dataset: name, Batch: batch, At: at}, text, name+batch))
			prof, report, err := s.Get(t.Context(), name, batch)
			require.NoError(t, err)
			report.Origin = checks.Origin{Pipeline: script, Step: script, Run: script, Unit: script}
			report.Verdict = checks.Fail
			report.Results = append(report.Results, checks.Result{
				ID: script, Name: script, Column: script, Status: checks.Fail, Severity: checks.SeverityFail, Message: script, Limit: script, Note: script, Owner: script,
				Rule: &checks.Rule{File: script, Line: 3}, FailingRows: []checks.FailingRow{{Row: 1, Key: map[string]*string{script: new(script)}, Value: profile.TextScalar(script)}},
			})
			_, err = s.Record(t.Context(), store.Observation{Profile: prof, Report: report}, func(st store.IncidentState) store.IncidentChange {
				c := alert.Decide(alert.Input{Current: st.Current, Report: report, Now: at, ID: func() string { return name }}, alert.Options{})
				c.Incident.Folded = []string{names[0]}
				return store.IncidentChange{Incidents: []alert.Incident{c.Incident}}
			})
			require.NoError(t, err)
		}
	}
	bodies := crawl(t, newPages(t, s))
	found := map[string]bool{}
	for path, body := range bodies {
		require.NotContains(t, strings.ToLower(body), "<script", path)
		require.NotContains(t, body, "\u202e", path)
		raw, err := url.PathUnescape(path)
		require.NoError(t, err)
		found[raw] = true
	}
	for _, name := range names {
		require.True(t, found["/datasets/"+name], name)
		for _, batch := range batches {
			require.True(t, found["/datasets/"+name+"/batches/"+batch], "%s %s", name, batch)
		}
	}
	require.Contains(t, parse(t, "/", bodies["/"]).text, script+": "+script)
	require.Contains(t, bodies[web.DatasetPath(names[0])], html.EscapeString(script))
}

// Dead units may be of a dataset that has no batch, and so no page.
func TestDeadUnitsAreAmongTheOpenIncidents(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	letter := &alert.DeadUnit{Unit: "U1", Source: script, Cause: "data", Error: script, Attempts: 5}
	c := alert.DecideDead(alert.DeadInput{
		Letters: alert.DeadLetters{Pipeline: "orders", Step: "parse", Dead: 2, First: letter, Last: letter}, Died: 2, Dataset: "shop/parsed", Now: webtest.Now.Add(-time.Hour),
		ID: func() string { return "I" },
	}, alert.Options{})
	require.NoError(t, s.DB().Tx(t.Context(), func(tx *db.Tx) error {
		_, err := s.ChangeDeadLetters(t.Context(), tx, "orders", "parse", func(*alert.Incident) store.IncidentChange {
			return store.IncidentChange{Incidents: []alert.Incident{c.Incident}}
		})
		return err
	}))
	body := crawl(t, newPages(t, s))["/"]
	require.NotContains(t, strings.ToLower(body), "<script")
	text := parse(t, "/", body).text
	for _, want := range []string{"shop/parsed", "dead_letters: 2 dead letters at step parse of pipeline orders: " + script + " (data, 5 attempts)", "2 units were given up", "1 h ago"} {
		require.Contains(t, text, want)
	}
	require.NotContains(t, text, "first ")
}

func TestPagesThatAreNotThere(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	require.NoError(t, webtest.Record(t.Context(), s, monitor.Subject{Dataset: "a/b", Batch: "one", At: webtest.Now}, "x\n1\n", "i"))
	p := newPages(t, s)
	for _, c := range []struct {
		method, path string
		status       int
		text         string
	}{
		{"GET", "/nothing", 404, "There is no page at this address."},
		{"GET", "/datasets/a/b", 200, "a/b"},
		{"HEAD", "/datasets/a/b", 200, ""},
		{"GET", "/datasets", 301, ""},
		{"GET", "/datasets/a", 404, "There is no page"},
		{"GET", "/datasets/a/c", 404, "No batch of the dataset a/c was ever recorded."},
		{"GET", "/datasets/a/b/batches/", 404, "ends before the name"},
		{"GET", "/datasets/a/b/batches/two", 404, "no batch two of a/b"},
		{"GET", "/datasets/a/b?page=2", 404, "not so many batches"},
		{"GET", "/datasets/a/b?page=0", 400, "page=0 is not the number of a page"},
		{"GET", "/datasets/a/b?page=<script>", 400, "page=<script> is not"},
		{"GET", "/?page=-1", 400, "pages count from 1"},
		{"GET", "/?page=2", 404, "not so many datasets"},
		{"GET", "/datasets/a/b?columns=some", 400, "write columns=all"},
		{"GET", "/assets/style.css", 404, "no file"},
		{"POST", "/", 405, "POST is not allowed"},
		{"DELETE", "/datasets/a/b", 405, "DELETE is not allowed"},
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(c.method, "/", nil)
		path, query, _ := strings.Cut(c.path, "?")
		r.URL.Path, r.URL.RawQuery = path, query
		p.ServeHTTP(w, r)
		require.Equal(t, c.status, w.Code, "%s %s", c.method, c.path)
		if c.status == 301 {
			require.Equal(t, "/", w.Header().Get("Location"))
			continue
		}
		require.Equal(t, web.ContentSecurityPolicy, w.Header().Get("Content-Security-Policy"), c.path)
		require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"), c.path)
		if c.status == 405 {
			require.Equal(t, "GET, HEAD", w.Header().Get("Allow"))
		}
		require.Contains(t, parse(t, c.path, w.Body.String()).text, c.text, c.path)
	}
}

func TestAssetsAreKeptForLong(t *testing.T) {
	t.Parallel()
	p := newPages(t, newStore(t))
	body := get(t, p, "/").Body.String()
	require.Contains(t, body, "profiler check orders.csv", "the empty page says what to do")
	parse(t, "/", body)
	for name, kind := range map[string]string{"style": "text/css; charset=utf-8", "icon": "image/svg+xml"} {
		path := regexp.MustCompile(`/assets/` + name + `-[0-9a-f]{12}\.[a-z]+`).FindString(body)
		w := get(t, p, path)
		require.Equal(t, http.StatusOK, w.Code, path)
		require.Equal(t, "public, max-age=31536000, immutable", w.Header().Get("Cache-Control"))
		require.Equal(t, kind, w.Header().Get("Content-Type"))
		require.NotContains(t, w.Body.String(), "url(")
		require.NotContains(t, w.Body.String(), "@import")
	}
}

// broken is a history of which parts cannot be read.
type broken struct {
	*store.Store
	get, datasets error
}

func (b broken) Get(ctx context.Context, dataset, batch string) (*profile.Profile, checks.Report, error) {
	if b.get != nil {
		return nil, checks.Report{}, b.get
	}
	return b.Store.Get(ctx, dataset, batch)
}

func (b broken) Datasets(ctx context.Context) ([]store.DatasetInfo, error) {
	if b.datasets != nil {
		return nil, b.datasets
	}
	return b.Store.Datasets(ctx)
}

func TestWhatCannotBeReadIsSaid(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	report := checks.Report{Version: 1, Dataset: "a/b", Batch: "one", At: webtest.Now, Verdict: checks.Error, Rows: 0, Results: []checks.Result{{ID: "x", Status: checks.Error, Message: "no such host"}}}
	_, err := s.Record(t.Context(), store.Observation{Report: report}, nil)
	require.NoError(t, err)

	w := get(t, newPages(t, s), "/datasets/a/b")
	require.Equal(t, http.StatusOK, w.Code)
	require.Contains(t, w.Body.String(), "There is no profile of this batch")
	require.Contains(t, w.Body.String(), "no such host")

	p := newPages(t, broken{Store: s, get: errors.New("profile: checksum differs")})
	for path, text := range map[string]string{"/": "The results of this batch cannot be read.", "/datasets/a/b": "checksum differs", "/datasets/a/b/batches/one": "checksum differs"} {
		w := get(t, p, path)
		require.Equal(t, http.StatusOK, w.Code, path)
		require.Contains(t, parse(t, path, w.Body.String()).text, text, path)
	}
	w = get(t, newPages(t, broken{Store: s, datasets: errors.New("database is gone")}), "/")
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Contains(t, parse(t, "/", w.Body.String()).text, "database is gone")
}

func TestInputsOfStepsAreShownWhereNothingElseIs(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	subject := monitor.Subject{Dataset: "in/put", Batch: "one", At: webtest.Now, Side: store.SideInput, Origin: checks.Origin{Pipeline: "p", Step: "load"}}
	require.NoError(t, webtest.Record(t.Context(), s, subject, "x\n1\n2\n", "i"))
	bodies := crawl(t, newPages(t, s))
	require.Contains(t, bodies["/"], "p › load")
	require.Contains(t, bodies["/datasets/in/put"], "<dd>2</dd>")
	require.Contains(t, bodies, "/datasets/in/put/batches/one")
}

func TestManyColumnsAreCutOnce(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	var head, row []string
	for i := range 250 {
		head, row = append(head, fmt.Sprintf("column%03d", i)), append(row, fmt.Sprint(i))
	}
	text := strings.Join(head, ",") + "\n" + strings.Join(row, ",") + "\n"
	require.NoError(t, webtest.Record(t.Context(), s, monitor.Subject{Dataset: "wide/one", Batch: "b", At: webtest.Now}, text, "i"))
	bodies := crawl(t, newPages(t, s))
	for _, path := range []string{"/datasets/wide/one", "/datasets/wide/one/batches/b"} {
		require.Contains(t, bodies[path], "column199")
		require.NotContains(t, bodies[path], "column200")
		require.Contains(t, bodies[path], "50 more columns")
		require.Contains(t, bodies[path+"?columns=all"], "column249")
	}
}

func TestDatasetsAreCutIntoPages(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	var all []store.Observation
	for i := range 230 {
		report := checks.Report{Version: 1, Dataset: fmt.Sprintf("many/d%03d", i), Batch: "b", At: webtest.Now, Rows: 1}
		if i == 229 {
			report.Verdict = checks.Fail
		}
		all = append(all, store.Observation{Report: report})
	}
	require.NoError(t, s.RecordAll(t.Context(), all))
	bodies := crawl(t, newPages(t, s))
	require.Contains(t, bodies["/"], "many/d229", "what failed comes first")
	require.Contains(t, bodies["/?page=2"], "many/d100")
	require.Contains(t, bodies["/?page=3"], "many/d228")
	for i := range 230 {
		require.Contains(t, bodies, fmt.Sprintf("/datasets/many/d%03d", i))
	}
}
