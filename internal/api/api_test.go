package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/api"
	"github.com/profilerhq/profiler/internal/dbtest"
	"github.com/profilerhq/profiler/internal/store"
	"github.com/profilerhq/profiler/internal/web/webtest"
)

func newServer(t *testing.T, fill bool, change func(*api.Options)) *api.Server {
	t.Helper()
	now := func() time.Time { return webtest.Now }
	st, err := store.Open(t.Context(), dbtest.SQLite(t), store.Options{Now: now})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	if fill {
		require.NoError(t, webtest.Fill(t.Context(), st))
	}
	o := api.Options{
		History: st, Now: now, Version: "1.2.3", Reload: func(context.Context) error { return nil },
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "profiler_up 1\n") }),
	}
	if change != nil {
		change(&o)
	}
	s, err := api.New(o)
	require.NoError(t, err)
	return s
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	s := newServer(t, true, nil)
	const problem, page, data = "application/problem+json", "text/html; charset=utf-8", "application/json"
	for _, c := range []struct {
		method, path string
		status       int
		kind, allow  string
	}{
		{"GET", "/metrics", 200, "text/plain; charset=utf-8", ""},
		{"POST", "/metrics", 405, problem, "GET, HEAD"},
		{"GET", "/-/healthy", 200, "text/plain; charset=utf-8", ""},
		{"HEAD", "/-/healthy", 200, "text/plain; charset=utf-8", ""},
		{"DELETE", "/-/healthy", 405, problem, "GET, HEAD"},
		{"GET", "/-/ready", 200, "text/plain; charset=utf-8", ""},
		{"GET", "/-/reload", 405, problem, "POST"},
		{"HEAD", "/-/reload", 405, problem, "POST"},
		{"POST", "/-/reload", 200, "text/plain; charset=utf-8", ""},
		{"GET", "/-/other", 404, problem, ""},
		{"GET", "/", 200, page, ""},
		{"HEAD", "/", 200, page, ""},
		{"POST", "/", 405, page, "GET, HEAD"},
		{"GET", "/other", 404, page, ""},
		{"GET", "/datasets/shop/orders", 200, page, ""},
		{"GET", "/api", 404, problem, ""},
		{"GET", "/api/v2/datasets", 404, problem, ""},
		{"GET", "/api/v1/datasets", 200, data, ""},
		{"HEAD", "/api/v1/datasets", 200, data, ""},
		{"PUT", "/api/v1/datasets", 405, problem, "GET, HEAD"},
		{"GET", "/api/v1/datasets?x=1", 400, problem, ""},
		{"GET", "/api/v1/datasets?%zz", 400, problem, ""},
		{"GET", "/api/v1/datasets/shop/orders", 200, data, ""},
		{"GET", "/api/v1/datasets/shop/none", 404, problem, ""},
		{"GET", "/api/v1/datasets/finance/exchange%20rates", 200, data, ""},
		{"GET", "/api/v1/datasets/shop/orders/profiles", 200, data, ""},
		{"GET", "/api/v1/datasets/shop/none/profiles", 404, problem, ""},
		{"GET", "/api/v1/datasets/shop/orders/profiles?from=yesterday", 400, problem, ""},
		{"GET", "/api/v1/datasets/shop/orders/profiles?from=2026-11-20&to=2026-11-01", 400, problem, ""},
		{"GET", "/api/v1/datasets/shop/orders/profiles?from=2026-11-01&from=2026-11-02", 400, problem, ""},
		{"GET", "/api/v1/datasets/shop/orders/profiles?limit=0", 400, problem, ""},
		{"GET", "/api/v1/datasets/shop/orders/profiles?limit=501", 400, problem, ""},
		{"GET", "/api/v1/datasets/shop/orders/incidents", 200, data, ""},
		{"GET", "/api/v1/datasets/shop/orders/incidents?status=closed", 400, problem, ""},
		{"POST", "/api/v1/datasets/shop/orders/incidents", 405, problem, "GET, HEAD"},
	} {
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequest(c.method, c.path, nil))
		name := c.method + " " + c.path
		require.Equal(t, c.status, w.Code, "%s: %s", name, w.Body)
		require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"), name)
		require.Equal(t, c.allow, w.Header().Get("Allow"), name)
		if c.path != "/metrics" || c.status != 200 { // the recorder guesses like net/http
			require.Equal(t, c.kind, w.Header().Get("Content-Type"), name)
		}
		if c.kind == problem {
			var p struct {
				Type, Title, Detail string
				Status              int
			}
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &p), name)
			require.Equal(t, c.status, p.Status, name)
			require.NotEmpty(t, p.Title+p.Type, name)
			require.NotEmpty(t, p.Detail, name)
		}
	}
}

func TestJSONOfTheShop(t *testing.T) {
	t.Parallel()
	s := newServer(t, true, nil)
	get := func(path string, into any) {
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		require.Equal(t, 200, w.Code, w.Body)
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), into), w.Body)
	}
	type batch struct {
		Batch, Verdict string
		Rows           int64
		Profile        struct{ Rows int64 }
	}
	var list struct {
		Datasets []struct {
			Dataset string
			Batches int
			Last    batch
		}
	}
	get("/api/v1/datasets", &list)
	require.Len(t, list.Datasets, 6)
	require.Equal(t, "shop/orders", list.Datasets[4].Dataset)
	require.Equal(t, webtest.Batches, list.Datasets[4].Batches)
	require.Equal(t, batch{Batch: "orders/2026-11-20.csv", Verdict: "fail", Rows: list.Datasets[4].Last.Rows}, list.Datasets[4].Last)

	var one struct {
		Last    batch
		Report  struct{ Results []struct{ ID, Status string } }
		Profile struct{ Columns []struct{ Name string } }
	}
	get("/api/v1/datasets/shop/orders", &one)
	require.Equal(t, list.Datasets[4].Last, one.Last)
	require.Len(t, one.Report.Results, 6)
	require.Len(t, one.Profile.Columns, 5)

	var profiles struct {
		More     bool
		Profiles []batch
	}
	get("/api/v1/datasets/shop/orders/profiles?from=2026-11-01&to=2026-11-11T06:00:00Z", &profiles)
	require.Len(t, profiles.Profiles, 10, "to is the first time that is no longer wanted")
	require.Equal(t, "orders/2026-11-10.csv", profiles.Profiles[0].Batch)
	require.False(t, profiles.More)
	for _, p := range profiles.Profiles {
		require.Equal(t, p.Rows, p.Profile.Rows)
	}
	get("/api/v1/datasets/shop/orders/profiles?limit=2", &profiles)
	require.Len(t, profiles.Profiles, 2)
	require.True(t, profiles.More)
	profiles.Profiles = nil
	get("/api/v1/datasets/shop/orders/profiles?from=2030-01-01", &profiles)
	require.Empty(t, profiles.Profiles)

	var incidents struct {
		Incidents []struct{ Status string }
	}
	get("/api/v1/datasets/shop/orders/incidents?status=open", &incidents)
	require.Len(t, incidents.Incidents, 1)
	get("/api/v1/datasets/shop/orders/incidents", &incidents)
	require.Len(t, incidents.Incidents, 2, "the resolved one too")
}

func TestReadyReloadAndForeignPages(t *testing.T) {
	t.Parallel()
	notReady, invalid := errors.New("rules are not loaded"), errors.New("profiler.yaml:3: unknown key")
	s := newServer(t, false, func(o *api.Options) {
		o.Ready = func() error { return notReady }
		o.Reload = func(context.Context) error { return invalid }
	})
	do := func(method, path, site string) *httptest.ResponseRecorder {
		w, r := httptest.NewRecorder(), httptest.NewRequest(method, path, nil)
		r.Header.Set("Sec-Fetch-Site", site)
		s.Handler().ServeHTTP(w, r)
		return w
	}
	w := do("GET", "/-/ready", "none")
	require.Equal(t, 503, w.Code)
	require.Contains(t, w.Body.String(), "rules are not loaded")
	w = do("POST", "/-/reload", "same-origin")
	require.Equal(t, 500, w.Code)
	require.Contains(t, w.Body.String(), "profiler.yaml:3: unknown key")
	require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
	require.Equal(t, 403, do("POST", "/-/reload", "cross-site").Code)
	notReady, invalid = nil, nil
	require.Equal(t, 200, do("GET", "/-/ready", "none").Code)
	require.Equal(t, 200, do("POST", "/-/reload", "same-origin").Code)
}

func TestAPanicCostsOneRequest(t *testing.T) {
	t.Parallel()
	s := newServer(t, false, func(o *api.Options) {
		o.Metrics = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("broken") })
	})
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	require.Equal(t, 500, w.Code)
	require.NotContains(t, w.Body.String(), "broken")
}
