package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/monitor"
	"github.com/profilerhq/profiler/internal/report"
	"github.com/profilerhq/profiler/internal/tap"
	"github.com/profilerhq/profiler/internal/words"
)

// streamJSON is the key "stream" of a report: how many bytes there were, and
// which of them the profile saw.
type streamJSON struct {
	Bytes   int64       `json:"bytes"`
	Seen    int64       `json:"seen"`
	LeftOut []tap.Range `json:"left_out"`
	// Reason says why the profile did not go on behind the last of LeftOut.
	Reason string `json:"reason,omitempty"`
}

// coverage describes the part of a stream of so many bytes that was seen.
func coverage(c tap.Coverage, total int64) streamJSON {
	s := streamJSON{Bytes: total, Seen: c.Seen, LeftOut: []tap.Range{}, Reason: c.Short}
	for _, p := range c.LeftOut {
		if p.To < 0 {
			p.To = max(total, p.From)
		}
		s.LeftOut = append(s.LeftOut, p)
	}
	return s
}

// sentence says what was left out, in words.
func (s streamJSON) sentence() string {
	if len(s.LeftOut) == 0 {
		return ""
	}
	var missing int64
	for _, p := range s.LeftOut {
		missing += p.To - p.From
	}
	first := s.LeftOut[0]
	text := fmt.Sprintf("the profile could not keep up: it saw %d of %d bytes and left out %d in %s; first: bytes %d to %d",
		s.Seen, s.Bytes, missing, words.Things(len(s.LeftOut), "part"), first.From, first.To)
	if s.Reason != "" {
		text += "; it did not go on: " + s.Reason
	}
	return text + "; the batch is not recorded"
}

// write writes the report of an outcome.
func (r *tapRun) write(w io.Writer, o *monitor.Outcome, s streamJSON) error {
	ro := r.e.reportOptions(&r.f.output, r.windowed())
	if ro.Color = false; r.f.output.file == "" {
		ro.Color = r.e.color(r.e.stderr)
	}
	var b bytes.Buffer
	var err error
	if r.kind == report.KindProfile {
		err = report.Profile(&b, r.format, o.Profile.Summary(), ro)
	} else {
		ro, closeSummary := r.e.stepSummary(r.format, ro)
		err = report.Check(&b, r.format, &o.Report, o.Profile.Summary(), ro)
		closeSummary()
	}
	if err != nil {
		return err
	}
	out := b.Bytes()
	if r.format == report.FormatJSON {
		if out, err = withKey(out, "stream", s, r.windowed()); err != nil {
			return err
		}
	}
	_, err = w.Write(out)
	return err
}

// withKey adds a key to the JSON text of an object, on one line or indented.
func withKey(object []byte, key string, value any, compact bool) ([]byte, error) {
	v, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	text := bytes.TrimRight(object, " \n")
	text = append(bytes.TrimRight(text[:len(text)-1], " \n"), fmt.Sprintf(",%q:%s}", key, v)...)
	var b bytes.Buffer
	if compact {
		err = json.Compact(&b, text)
	} else {
		err = json.Indent(&b, text, "", "  ")
	}
	b.WriteByte('\n')
	return b.Bytes(), err
}

// reportWhole writes the report of a stream that was one batch.
func (r *tapRun) reportWhole(ctx context.Context, total int64) error {
	s := coverage(r.coverage, total)
	var b bytes.Buffer
	if err := r.write(&b, r.outcome, s); err != nil {
		return err
	}
	r.e.writeMetrics(ctx, r.metrics, &r.f.output, "")
	if r.f.output.file != "" {
		if err := writeFile(r.f.output.file, b.Bytes()); err != nil {
			return writeError("write the report", err)
		}
	} else {
		r.e.stderr.Write(b.Bytes()) //nolint:errcheck // nobody is left to tell
	}
	if text := s.sentence(); text != "" && (r.format != report.FormatJSON || r.f.output.file != "") {
		r.e.message(text)
	}
	if r.kind == report.KindProfile {
		r.e.warn(r.outcome.Profile)
	}
	return nil
}

// reportWindow writes the report of one window: a line in the form of a table,
// else what a batch has.
func (r *tapRun) reportWindow(ctx context.Context, o *monitor.Outcome, w *tap.Window) error {
	s := coverage(w.Coverage(), w.Total())
	var err error
	if r.format == report.FormatTable {
		_, err = fmt.Fprintln(r.out, r.line(o, s, w.Start))
	} else {
		err = r.write(r.out, o, s)
	}
	r.e.writeMetrics(ctx, r.metrics, &r.f.output, "")
	if err != nil && r.file != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// line is a window on one line: when it began, its verdict, its size, and the
// first of the worst checks.
func (r *tapRun) line(o *monitor.Outcome, s streamJSON, start time.Time) string {
	parts := []string{start.UTC().Format("2006-01-02T15:04:05.000Z")}
	if r.kind == report.KindCheck {
		parts = append(parts, fmt.Sprintf("%-5s", strings.ToUpper(o.Report.Verdict.String())))
	}
	parts = append(parts, words.Things(int(o.Report.Rows), "row"), words.Things(int(s.Seen), "byte"))
	var worst *checks.Result
	bad := 0
	for i := range o.Report.Results {
		if res := &o.Report.Results[i]; res.Status >= checks.Warn {
			bad++
			if worst == nil || res.Status > worst.Status {
				worst = res
			}
		}
	}
	if r.kind == report.KindCheck && worst != nil {
		text := worst.ID + ": " + worst.Message
		if bad > 1 {
			text += fmt.Sprintf(" (and %d more)", bad-1)
		}
		parts = append(parts, strings.Join(strings.Fields(text), " "))
	}
	if text := s.sentence(); text != "" {
		parts = append(parts, text)
	}
	return strings.Join(parts, "  ")
}
