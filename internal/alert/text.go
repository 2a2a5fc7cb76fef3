package alert

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/words"
)

// MaxFindings is the number of findings that a message names one by one.
const MaxFindings = 5

// Title names the dataset and how it stands: "shop/orders: 3 checks fail", or
// for a single finding "Drift: shop/orders amount".
func Title(i *Incident) string {
	if i.Status == Resolved {
		return Clean(i.Dataset) + ": resolved"
	}
	if len(i.Findings) == 1 && i.Findings[0].Kind == "drift" && i.Findings[0].Status != checks.Error {
		return strings.TrimSpace("Drift: " + Clean(i.Dataset) + " " + Clean(i.Findings[0].Column))
	}
	if i.DeadLetters != nil {
		return Clean(i.Dataset) + ": " + i.DeadLetters.title("")
	}
	failed, unjudged := 0, 0
	for k := range i.Findings {
		if i.Findings[k].Status == checks.Error {
			unjudged++
		} else {
			failed++
		}
	}
	var parts []string
	switch failed {
	case 0:
	case 1:
		parts = append(parts, "1 check fails")
	default:
		parts = append(parts, words.Count(failed)+" checks fail")
	}
	if unjudged > 0 {
		parts = append(parts, words.Count(unjudged)+" could not be judged")
	}
	return Clean(i.Dataset) + ": " + strings.Join(parts, ", ")
}

// Lead is one sentence about the worst finding: its message, or else its number
// and limit: "amount.range is 0.03, limit: at most 0 failing rows". It is ""
// for an incident without findings.
func Lead(i *Incident) string {
	if len(i.Findings) == 0 {
		return ""
	}
	f := &i.Findings[0]
	if f.Message != "" || f.Value.IsNull() {
		return Finding(f) // says the number, the limit and more
	}
	s := Clean(f.ID) + " is " + Clean(f.Value.String())
	if f.Limit != "" {
		s += ", limit: " + Clean(f.Limit)
	}
	return s
}

// Finding says what one result found, its message or else its reason.
func Finding(f *checks.Result) string {
	switch {
	case f.Message != "":
		return Clean(f.ID) + ": " + Clean(f.Message)
	case f.Reason != "":
		return Clean(f.ID) + ": " + Clean(f.Reason)
	case f.Value.IsNull():
		return Clean(f.ID) + ": " + f.Status.String()
	}
	return Clean(f.ID) + ": " + Clean(f.Value.String())
}

// Place is the rule's position as an editor takes it, "rules/orders.yaml:12";
// "" for a result without a rule.
func Place(r *checks.Rule) string {
	switch {
	case r == nil:
		return ""
	case r.Line == 0:
		return Clean(r.File)
	}
	return Clean(r.File) + ":" + strconv.Itoa(r.Line)
}

// Where says at which step of a pipeline the trouble was seen first; "" outside
// of pipelines.
func Where(i *Incident) string {
	if i.Origin.Step == "" {
		return ""
	}
	s := "first seen at step " + Clean(i.Origin.Step)
	if i.DeadLetters != nil {
		s = "at step " + Clean(i.Origin.Step)
	}
	if i.Origin.Pipeline != "" {
		s += " of pipeline " + Clean(i.Origin.Pipeline)
	}
	if i.Began != "" {
		s += ", in " + Clean(i.Began)
		if i.BeganWith != "" {
			s += " (" + Clean(i.BeganWith) + ")"
		}
	}
	return s
}

// State says what people did with an incident: "acknowledged by ann"; "" for
// an open one that nobody answered.
func State(i *Incident) string {
	var parts []string
	switch i.Status {
	case Acknowledged:
		parts = append(parts, "acknowledged by "+Clean(i.AcknowledgedBy)+" at "+clock(i.AcknowledgedAt))
	case Snoozed:
		until := "until the next bad batch"
		if i.DeadLetters != nil {
			until = "until the next dead letter"
		}
		if !i.SnoozedUntil.IsZero() {
			until = "until " + clock(i.SnoozedUntil)
		}
		parts = append(parts, "snoozed by "+Clean(i.SnoozedBy)+" "+until)
	case Pending, Open, Resolved:
	}
	if i.Answer != "" {
		parts = append(parts, "answered "+string(i.Answer)+" by "+Clean(i.AnsweredBy))
	}
	if i.Flaps > 0 && i.Status != Resolved {
		parts = append(parts, "came back "+words.Things(i.Flaps, "time"))
	}
	return strings.Join(parts, " · ")
}

// News says in one sentence what an event adds to the message of an incident:
// what is told in its thread. It is "" for events that are shown by editing.
func News(m *Message) string {
	i := &m.Incident
	switch m.Event {
	case EventRaised:
		return "Severity rose to " + string(i.Severity) + ": " + Title(i)
	case EventReopened:
		return "It fails again: " + Title(i)
	case EventWoke:
		return "It still fails: " + Title(i)
	case EventRepeated:
		return "Still open after " + span(i.UpdatedAt.Sub(i.OpenedAt)) + ": " + Title(i)
	case EventResolved:
		if i.Answer != "" && i.Answer != AnswerReal && i.Healthy == 0 {
			return "Closed: " + Clean(i.AnsweredBy) + " answered " + string(i.Answer)
		}
		if i.DeadLetters != nil {
			return fmt.Sprintf("Resolved after %s: no dead letter is left; %s", span(i.ResolvedAt.Sub(i.OpenedAt)), given(i.Batches))
		}
		return fmt.Sprintf("Resolved after %s; %s affected in %s", words.Plural(i.Healthy, "healthy batch", "healthy batches"),
			words.Plural(i.Batches, "batch was", "batches were"), span(i.ResolvedAt.Sub(i.OpenedAt)))
	case EventOpened, EventUpdated, EventAcknowledged, EventSnoozed, EventAnswered, EventDigest, EventWeekly, EventTest:
	}
	return ""
}

// Field is a named value of a message.
type Field struct {
	Name, Value string
}

// Fields are the facts beside the findings: since, batch, batches affected, rows
// and, if there is one, the owner; of dead units their numbers.
func Fields(i *Incident) []Field {
	out := []Field{{"since", clock(i.OpenedAt)}}
	if i.DeadLetters != nil {
		return append(out, deadFields(i)...)
	}
	if i.LastBatch != "" {
		out = append(out, Field{"batch", Clean(i.LastBatch)})
	}
	out = append(out, Field{"batches affected", words.Count(i.Batches)}, Field{"rows", words.Count(i.Rows)})
	if i.Owner != "" {
		out = append(out, Field{"owner", Clean(i.Owner)})
	}
	return out
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

// References are the ids by which an incident is found elsewhere: its own, and
// the run and the correlation id of the first bad batch.
func References(i *Incident) []Field {
	out := []Field{{"incident", i.ID}, {"fingerprint", Fingerprint(i)}}
	if i.Origin.Run != "" {
		out = append(out, Field{"run", Clean(i.Origin.Run)})
	}
	if i.Origin.CorrelationID != "" {
		out = append(out, Field{"correlation", Clean(i.Origin.CorrelationID)})
	}
	return out
}

// Text is the plain form of a message: title, news, findings with value, limit
// and rule, first bad step, facts, ids and advice, one line each, without a line end
// after the last. Texts of data are cleaned of control characters.
func Text(m *Message) string {
	switch {
	case m.Digest != nil:
		return digestText(m.Digest)
	case m.Weekly != nil:
		return weeklyText(m.Weekly)
	}
	i := &m.Incident
	lines := []string{strings.ToUpper(string(i.Severity)) + " " + Title(i)}
	if i.Status == Resolved {
		lines[0] = Title(i)
	}
	if n := News(m); n != "" {
		lines = append(lines, n)
	}
	if st := State(i); st != "" {
		lines = append(lines, st)
	}
	for k := range i.Findings {
		if k == MaxFindings {
			lines = append(lines, "  … "+words.Count(len(i.Findings)-k)+" more")
			break
		}
		lines = append(lines, "  "+findingLine(&i.Findings[k]))
	}
	lines = append(lines, chartLines(i)...)
	if w := Where(i); w != "" {
		lines = append(lines, w)
	}
	if f := FoldedText(i); f != "" {
		lines = append(lines, f)
	}
	lines = append(lines, pairs(Fields(i)), pairs(References(i)))
	for _, a := range Advice(i) {
		lines = append(lines, a.Name+": "+a.Value)
	}
	return strings.Join(lines, "\n")
}

// chartLines draw the chart of an incident that is not over.
func chartLines(i *Incident) []string {
	if i.Chart == nil || i.Status == Resolved {
		return nil
	}
	past, now := i.Chart.Bars()
	out := []string{"  " + Clean(i.Chart.Column) + " was " + past, "  " + strings.Repeat(" ", len([]rune(Clean(i.Chart.Column)))) + "  is " + now}
	for _, c := range i.Chart.Changes(MaxFindings) {
		out = append(out, "    "+c)
	}
	return out
}

// DigestTitle says how many incidents a digest tells.
func DigestTitle(d *Digest) string {
	over := 0
	for k := range d.Entries {
		if d.Entries[k].Status == Resolved {
			over++
		}
	}
	s := words.Things(len(d.Entries), "incident") + " at once"
	switch {
	case over == len(d.Entries) && over > 0:
		return s + ": all resolved"
	case over > 0:
		return s + ": " + words.Count(over) + " resolved"
	}
	return s
}

// MaxEntries is the number of incidents that a digest names one by one.
const MaxEntries = 20

func digestText(d *Digest) string {
	lines := []string{DigestTitle(d)}
	for k := range d.Entries {
		if k == MaxEntries {
			lines = append(lines, "  … "+words.Count(len(d.Entries)-k)+" more")
			break
		}
		lines = append(lines, "  "+EntryText(&d.Entries[k]))
	}
	return strings.Join(append(lines, "digest "+d.ID), "\n")
}

// EntryText is an incident of a digest in one line.
func EntryText(e *Entry) string {
	s := e.Title
	if e.Status != Resolved {
		s = strings.ToUpper(string(e.Severity)) + " " + s
	}
	if e.Status == Acknowledged || e.Status == Snoozed {
		s += " (" + string(e.Status) + ")"
	}
	if e.Lead != "" && e.Status != Resolved {
		s += ". " + Shorten(e.Lead, 200)
	}
	if e.Owner != "" {
		s += " · " + Clean(e.Owner)
	}
	return s
}

func weeklyText(w *Weekly) string {
	lines := []string{w.Title(), w.Useful()}
	for k := range w.Noisiest {
		lines = append(lines, "  "+w.Noisiest[k].Line())
	}
	return strings.Join(lines, "\n")
}

// FoldedText lists the later datasets that went bad too; "" if there are none.
func FoldedText(i *Incident) string {
	if len(i.Folded) == 0 {
		return ""
	}
	shown := i.Folded[:min(len(i.Folded), 2*MaxFindings)]
	s := "also affected: " + Clean(strings.Join(shown, ", "))
	if rest := len(i.Folded) - len(shown); rest > 0 {
		s += ", … " + words.Count(rest) + " more"
	}
	return s
}

// findingLine is a finding with value, limit and rule in one line.
func findingLine(f *checks.Result) string {
	var facts []string
	if !f.Value.IsNull() && f.Message == "" { // else the message says it better
		facts = append(facts, "value "+Clean(f.Value.String()))
	}
	if f.Limit != "" {
		facts = append(facts, "limit: "+Clean(f.Limit))
	}
	if p := Place(f.Rule); p != "" {
		facts = append(facts, p)
	}
	s := Finding(f)
	if len(facts) > 0 {
		s += " (" + strings.Join(facts, "; ") + ")"
	}
	return s
}

func pairs(fields []Field) string {
	parts := make([]string, len(fields))
	for k, f := range fields {
		parts[k] = f.Name + " " + f.Value
	}
	return strings.Join(parts, " · ")
}

// span writes a duration in its two largest units: "3 d 4 h", "5 min".
func span(d time.Duration) string {
	minutes := int64(d / time.Minute)
	switch {
	case minutes < 1:
		return "less than a minute"
	case minutes < 60:
		return strconv.FormatInt(minutes, 10) + " min"
	case minutes < 24*60:
		return twoUnits(minutes/60, "h", minutes%60, "min")
	}
	return twoUnits(minutes/(24*60), "d", minutes/60%24, "h")
}

func twoUnits(a int64, unitA string, b int64, unitB string) string {
	s := strconv.FormatInt(a, 10) + " " + unitA
	if b > 0 {
		s += " " + strconv.FormatInt(b, 10) + " " + unitB
	}
	return s
}

// Clean makes a text of data safe to show in one line: white space becomes
// spaces, and control characters and those that turn the direction of writing
// become U+FFFD, as do bytes that are not UTF-8.
func Clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t' || r == '\u2028' || r == '\u2029':
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r):
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

func soFar(i *Incident) string {
	if i.DeadLetters != nil {
		return given(i.Batches) + " so far"
	}
	return words.Plural(i.Batches, "batch", "batches") + " so far"
}

// Printer is the notifier for installations without a channel: it writes
// messages as text. It is safe for concurrent use.
type Printer struct {
	mu sync.Mutex
	w  io.Writer
}

var _ DigestTaker = (*Printer)(nil)

// NewPrinter returns a Printer that writes to w.
func NewPrinter(w io.Writer) *Printer { return &Printer{w: w} }

// TakesDigests is true: a person reads what is printed.
func (p *Printer) TakesDigests() bool { return true }

// Notify writes the message and a line end. A write that fails is not tried
// again.
func (p *Printer) Notify(_ context.Context, m Message) (Thread, bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := Text(&m)
	if m.Event.edits() { // what was printed cannot be edited; one line says how it goes on
		text = "FAIL " + Title(&m.Incident) + ", " + soFar(&m.Incident)
		for _, more := range []string{State(&m.Incident), FoldedText(&m.Incident)} {
			if more != "" {
				text += "; " + more
			}
		}
	}
	if _, err := io.WriteString(p.w, text+"\n"); err != nil {
		return Thread{}, false, &Error{Reason: ClientError, Err: fmt.Errorf("print message: %w", err)}
	}
	return Thread{}, false, nil
}
