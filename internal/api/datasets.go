package api

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/alert"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/store"
	"github.com/profilerhq/profiler/internal/web"
)

// apiVersion is the version of the JSON of this package.
const apiVersion = 1

// How many profiles one answer holds.
const (
	defaultProfiles  = 30
	greatestProfiles = 500
)

// batchJSON is a batch in the words of `profiler history list`.
type batchJSON struct {
	Batch      string        `json:"batch"`
	At         time.Time     `json:"at"`
	Rows       int64         `json:"rows"`
	Bytes      int64         `json:"bytes"`
	Verdict    checks.Status `json:"verdict"`
	Score      *float64      `json:"score"`
	Label      *store.Label  `json:"label"`
	Origin     checks.Origin `json:"origin,omitzero"`
	RecordedAt time.Time     `json:"recorded_at"`
}

func batchOf(b *store.Batch) batchJSON {
	out := batchJSON{Batch: b.Batch, At: b.At, Rows: b.Rows, Bytes: b.Bytes, Verdict: b.Verdict, Score: b.Score, Origin: b.Origin, RecordedAt: b.RecordedAt}
	if b.Label != "" {
		out.Label = &b.Label
	}
	return out
}

func (s *Server) json(w http.ResponseWriter, v any) error {
	s.send(w, http.StatusOK, "application/json", v)
	return nil
}

func (s *Server) datasets(w http.ResponseWriter, r *http.Request) error {
	if _, err := query(r); err != nil {
		return err
	}
	infos, err := s.opts.History.Datasets(r.Context())
	if err != nil {
		return err
	}
	type last struct {
		Batch   string        `json:"batch"`
		At      time.Time     `json:"at"`
		Rows    int64         `json:"rows"`
		Verdict checks.Status `json:"verdict"`
	}
	type item struct {
		Dataset string `json:"dataset"`
		Batches int    `json:"batches"`
		Last    *last  `json:"last"`
	}
	items := make([]item, 0, len(infos))
	for _, info := range infos {
		it := item{Dataset: info.Dataset, Batches: info.Batches}
		if info.Batch != "" {
			it.Last = &last{info.Batch, info.At, info.Rows, info.Verdict}
		}
		items = append(items, it)
	}
	return s.json(w, struct {
		Version  int    `json:"version"`
		Datasets []item `json:"datasets"`
	}{apiVersion, items})
}

// name returns the dataset of the address.
func name(r *http.Request) string { return r.PathValue("namespace") + "/" + r.PathValue("name") }

// known returns the dataset of the address as the store has it, or an error if
// it has none.
func (s *Server) known(r *http.Request) (store.DatasetInfo, error) {
	infos, err := s.opts.History.Datasets(r.Context())
	if err != nil {
		return store.DatasetInfo{}, err
	}
	i, found := slices.BinarySearchFunc(infos, name(r), func(info store.DatasetInfo, n string) int { return cmp.Compare(info.Dataset, n) })
	if !found {
		return store.DatasetInfo{}, notFound("there is no dataset " + name(r))
	}
	return infos[i], nil
}

func (s *Server) dataset(w http.ResponseWriter, r *http.Request) error {
	if _, err := query(r); err != nil {
		return err
	}
	info, err := s.known(r)
	if err != nil {
		return err
	}
	batches, _, err := web.Recent(r.Context(), s.opts.History, store.Query{Dataset: info.Dataset}, 0, 1)
	if err != nil {
		return err
	}
	out := struct {
		Version int              `json:"version"`
		Dataset string           `json:"dataset"`
		Batches int              `json:"batches"`
		Last    *batchJSON       `json:"last"`
		Report  *checks.Report   `json:"report"`
		Profile *profile.Summary `json:"profile"`
	}{Version: apiVersion, Dataset: info.Dataset, Batches: info.Batches}
	if len(batches) > 0 {
		last := batchOf(&batches[0])
		p, report, err := s.opts.History.Get(r.Context(), info.Dataset, last.Batch)
		if err != nil {
			return err
		}
		out.Last, out.Report = &last, &report
		if p != nil {
			out.Profile = p.Summary()
		}
	}
	return s.json(w, out)
}

// profiles sends the profiles of the batches from a time on and before
// another, newest first. It writes one after the other, so that many of them
// need no memory; an error in between breaks the connection off.
func (s *Server) profiles(w http.ResponseWriter, r *http.Request) error {
	q, limit, err := profilesQuery(r)
	if err != nil {
		return err
	}
	if _, err := s.known(r); err != nil {
		return err
	}
	batches, more, err := web.Recent(r.Context(), s.opts.History, q, 0, limit)
	if err != nil {
		return err
	}
	type item struct {
		batchJSON
		Profile *profile.Summary `json:"profile"`
	}
	var head []byte
	started := false
	for i := range batches {
		it := item{batchJSON: batchOf(&batches[i])}
		p, _, err := s.opts.History.Get(r.Context(), q.Dataset, batches[i].Batch)
		if errors.Is(err, store.ErrNotFound) {
			continue // pruned in between
		}
		if err != nil && started {
			s.log.Error("request not served", "path", r.URL.Path, "err", err)
			panic(http.ErrAbortHandler)
		}
		if err != nil {
			return err
		}
		if p != nil {
			it.Profile = p.Summary()
		}
		body, err := json.Marshal(it)
		if err != nil {
			return fmt.Errorf("write batch %s: %w", it.Batch, err)
		}
		if !started {
			head, started = profilesHead(w, q.Dataset, more), true
		} else {
			head = []byte{','}
		}
		if _, err := w.Write(append(head, body...)); err != nil {
			return nil //nolint:nilerr // the reader went away
		}
	}
	if !started {
		_, _ = w.Write(profilesHead(w, q.Dataset, more))
	}
	_, _ = w.Write([]byte("]}\n"))
	return nil
}

func profilesHead(w http.ResponseWriter, dataset string, more bool) []byte {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	quoted, _ := json.Marshal(dataset) // a text always can be
	return fmt.Appendf(nil, `{"version":%d,"dataset":%s,"more":%t,"profiles":[`, apiVersion, quoted, more)
}

func profilesQuery(r *http.Request) (store.Query, int, error) {
	q := store.Query{Dataset: name(r)}
	values, err := query(r, "from", "to", "limit")
	if err != nil {
		return q, 0, err
	}
	if q.Since, err = timeOf(values, "from"); err != nil {
		return q, 0, err
	}
	if q.Before, err = timeOf(values, "to"); err != nil {
		return q, 0, err
	}
	if !q.Since.IsZero() && !q.Before.IsZero() && !q.Since.Before(q.Before) {
		return q, 0, badRequest("from must be before to; to is the first time that is no longer wanted")
	}
	limit := defaultProfiles
	if text := values.Get("limit"); text != "" {
		limit, err = strconv.Atoi(text)
		if err != nil || limit < 1 || limit > greatestProfiles {
			return q, 0, badRequest(fmt.Sprintf("limit=%q is not a number from 1 to %d", text, greatestProfiles))
		}
	}
	return q, limit, nil
}

func (s *Server) incidents(w http.ResponseWriter, r *http.Request) error {
	values, err := query(r, "status")
	if err != nil {
		return err
	}
	status := values.Get("status")
	if status != "" && status != "open" && status != "all" {
		return badRequest(fmt.Sprintf("status=%q has no meaning; write status=open or status=all", status))
	}
	info, err := s.known(r)
	if err != nil {
		return err
	}
	found, err := s.opts.History.Incidents(r.Context(), store.IncidentQuery{Dataset: info.Dataset, Open: status == "open"})
	if err != nil {
		return err
	}
	for i := range found {
		found[i].Threads = nil // where people talk about it is no concern of readers
	}
	if found == nil {
		found = []alert.Incident{}
	}
	return s.json(w, struct {
		Version   int              `json:"version"`
		Dataset   string           `json:"dataset"`
		Incidents []alert.Incident `json:"incidents"`
	}{apiVersion, info.Dataset, found})
}

// query reads the parameters of an address and refuses unknown and repeated
// ones: a misspelled bound must not give all there is.
func query(r *http.Request, known ...string) (url.Values, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badRequest("the query of the address cannot be read: " + err.Error())
	}
	for key, list := range values {
		if !slices.Contains(known, key) {
			if len(known) == 0 {
				return nil, badRequest(fmt.Sprintf("unknown parameter %q; this address takes none", key))
			}
			return nil, badRequest(fmt.Sprintf("unknown parameter %q; this address takes %s", key, strings.Join(known, ", ")))
		}
		if len(list) > 1 {
			return nil, badRequest(fmt.Sprintf("parameter %q is given more than once", key))
		}
	}
	return values, nil
}

// timeOf reads a time or a day, which begins in UTC; absent is the zero time.
func timeOf(values url.Values, key string) (time.Time, error) {
	text := values.Get(key)
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil && t.Year() > 0 {
			return t, nil
		}
	}
	return time.Time{}, badRequest(fmt.Sprintf("%s=%q is not a time; write 2026-03-01 or 2026-03-01T12:00:00Z (a + of a zone as %%2B)", key, text))
}
