package oracle

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/monitor"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/source"
)

// long says that the long forms of the tests are wanted: more seeds, more rows,
// all files of real data. make oracle sets it.
var long = os.Getenv("PROFILER_ORACLE") == "long"

// profiledAt is the time of all profiles, so that equal ones have equal bytes.
var profiledAt = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// observe profiles a stream as every way in does: source.Open, then the
// monitor.
func observe(ctx context.Context, r io.Reader, o source.Options) (*profile.Profile, error) {
	o.Stdin = r
	return observeInput(ctx, source.Input{URL: "in", Name: "in", Files: []string{source.Stdin}, Size: -1}, o)
}

func observeInput(ctx context.Context, in source.Input, o source.Options) (*profile.Profile, error) {
	src, err := source.Open(ctx, in, o)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	m := monitor.New(monitor.Options{Now: func() time.Time { return profiledAt }})
	out, err := m.Observe(ctx, src, monitor.Subject{Dataset: "default/in", Source: profile.Source{URL: in.URL, Format: src.Info().Format, Files: 1}})
	if err != nil {
		return nil, err
	}
	return out.Profile, nil
}

func (o CSV) options() source.Options {
	return source.Options{Format: "csv", Delimiter: o.Delimiter, NoHeader: o.NoHeader, Nulls: o.Nulls}
}

// profileCSV profiles a text.
func profileCSV(t testing.TB, text string, o CSV) *profile.Profile {
	t.Helper()
	p, err := observe(t.Context(), strings.NewReader(text), o.options())
	require.NoError(t, err)
	return p
}

func profileJSON(t testing.TB, text string) *profile.Profile {
	t.Helper()
	p, err := observe(t.Context(), strings.NewReader(text), source.Options{Format: "jsonl"})
	require.NoError(t, err)
	return p
}

func encoded(t testing.TB, p *profile.Profile) []byte {
	t.Helper()
	b, err := p.Encode()
	require.NoError(t, err)
	return b
}

// sameBytes fails the test if two saved profiles differ, without showing them.
func sameBytes(t testing.TB, want, got []byte, format string, args ...any) {
	t.Helper()
	if !bytes.Equal(want, got) {
		t.Fatalf(format, args...)
	}
}

// throughFile returns the profile that is read from what p is saved as.
func throughFile(t testing.TB, p *profile.Profile) *profile.Profile {
	t.Helper()
	q, err := profile.Decode(encoded(t, p))
	require.NoError(t, err)
	return q
}

func summaryJSON(t testing.TB, p *profile.Profile) string {
	t.Helper()
	b, err := json.MarshalIndent(p.Summary(), "", " ")
	require.NoError(t, err)
	return string(b)
}

// columnsJSON is what a summary says of the columns, without names of files.
func columnsJSON(t testing.TB, p *profile.Profile) string {
	t.Helper()
	b, err := json.MarshalIndent(p.Summary().Columns, "", " ")
	require.NoError(t, err)
	return string(b)
}

// agree fails the test with the differences between the product and the naive
// profile.
func agree(t testing.TB, want *Table, got *profile.Profile, where string) {
	t.Helper()
	if found := differences(Of(want), got.Summary()); len(found) > 0 {
		t.Errorf("%s: the profile differs from the naive one:\n  %s", where, strings.Join(found, "\n  "))
	}
}

// sizes is a reader that gives a stream in pieces.
type sizes struct {
	src  io.Reader
	next func() int
}

func (s *sizes) Read(b []byte) (int, error) {
	return s.src.Read(b[:min(len(b), max(1, s.next()))])
}

func pieces(text string, next func() int) io.Reader {
	return &sizes{bytes.NewReader([]byte(text)), next}
}
