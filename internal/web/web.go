// Package web shows the history as web pages: datasets, their batches and open
// incidents. Pages are plain HTML with charts as inline SVG. They need no
// JavaScript, load nothing from other hosts and change nothing.
package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"time"

	"github.com/profilerhq/profiler/internal/alert"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/store"
)

// ContentSecurityPolicy is the policy of every page: nothing from elsewhere,
// nothing inline.
const ContentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// History is what the pages read. It must be safe for concurrent use. Get
// returns an error that matches store.ErrNotFound for an unknown batch; the
// others find nothing for an unknown dataset.
type History interface {
	Datasets(ctx context.Context) ([]store.DatasetInfo, error)
	Batches(ctx context.Context, q store.Query) ([]store.Batch, error)
	Get(ctx context.Context, dataset, batch string) (*profile.Profile, checks.Report, error)
	Incidents(ctx context.Context, q store.IncidentQuery) ([]alert.Incident, error)
}

var _ History = (*store.Store)(nil)

// Options say what the pages show.
type Options struct {
	// History is where everything comes from. It is required.
	History History
	// Version of the program, shown at the foot of every page; may be empty.
	Version string
	// Metrics says that /metrics is served, so that pages may link to it.
	Metrics bool
	// Logger gets a line for every page that could not be made; nil logs
	// nothing.
	Logger *slog.Logger
	// Now is the clock of "2 h ago"; nil is time.Now.
	Now func() time.Time
}

// Pages makes the web pages. It is safe for concurrent use.
type Pages struct {
	opts   Options
	assets *assets
	pages  map[string]*template.Template
	mux    *http.ServeMux
}

var _ http.Handler = (*Pages)(nil)

// New prepares the pages. It returns an error if there is no history.
func New(opts Options) (*Pages, error) {
	if opts.History == nil {
		return nil, errors.New("web pages need a history")
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	p := &Pages{opts: opts, mux: http.NewServeMux()}
	var err error
	if p.assets, err = loadAssets(); err != nil {
		return nil, err
	}
	if p.pages, err = parsePages(p.assets); err != nil {
		return nil, err
	}
	p.mux.Handle("/{$}", p.page(p.datasets))
	p.mux.Handle("/datasets", http.RedirectHandler("/", http.StatusMovedPermanently))
	p.mux.Handle("/datasets/{namespace}/{name}", p.page(p.dataset))
	p.mux.Handle("/datasets/{namespace}/{name}/batches/{batch...}", p.page(p.batch))
	p.mux.Handle("/assets/{file}", p.page(p.asset))
	p.mux.Handle("/", p.page(func(http.ResponseWriter, *http.Request) error { return notFound("There is no page at this address.") }))
	return p, nil
}

// ServeHTTP answers with a page, also for what is not there.
func (p *Pages) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.mux.ServeHTTP(w, r) }

// pageError is an error that is shown as a page of its own.
type pageError struct {
	status        int
	title, detail string
}

func (e *pageError) Error() string { return e.detail }

func notFound(detail string) error {
	return &pageError{http.StatusNotFound, "Not found", detail}
}

func badRequest(detail string) error {
	return &pageError{http.StatusBadRequest, "This address cannot be understood", detail}
}

// page wraps what makes one page: only reading methods, the headers of all
// pages, and errors as pages.
func (p *Pages) page(serve func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", ContentSecurityPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cache-Control", "no-cache")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.Set("Allow", "GET, HEAD")
			p.fail(w, r, &pageError{http.StatusMethodNotAllowed, "This page can only be read", "The method " + r.Method + " is not allowed here."})
			return
		}
		if err := serve(w, r); err != nil {
			p.fail(w, r, err)
		}
	})
}

// fail shows an error as a page.
func (p *Pages) fail(w http.ResponseWriter, r *http.Request, err error) {
	var e *pageError
	switch {
	case errors.As(err, &e):
	case r.Context().Err() != nil:
		return // nobody is waiting any more
	case errors.Is(err, store.ErrNotFound):
		e = &pageError{http.StatusNotFound, "Not found", "The history has no such batch. It may have been deleted by the retention."}
	default:
		p.opts.Logger.Error("page not made", "path", r.URL.Path, "err", err)
		e = &pageError{http.StatusServiceUnavailable, "The history cannot be read", err.Error()}
	}
	if err := p.write(w, r, e.status, "error", layout{Title: e.title, Body: errorView{e.title, shown(e.detail)}}); err != nil {
		p.opts.Logger.Error("page not made", "path", r.URL.Path, "err", err)
		http.Error(w, e.title, e.status)
	}
}

// layout is what every page has around its body.
type layout struct {
	Title   string
	Crumbs  []link
	Body    any
	Version string
	Now     string
	Metrics bool
}

type link struct{ Text, Href string }

type errorView struct{ Text, Detail string }

// write makes the whole page before the first byte is sent.
func (p *Pages) write(w http.ResponseWriter, _ *http.Request, status int, name string, l layout) error {
	l.Version, l.Now, l.Metrics = p.opts.Version, stamp(p.opts.Now()), p.opts.Metrics
	var b bytes.Buffer
	if err := p.pages[name].ExecuteTemplate(&b, "layout", l); err != nil {
		return fmt.Errorf("page %s: %w", name, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", fmt.Sprint(b.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the reader went away; net/http drops bodies of HEAD
	return nil
}
