package slack

import (
	"slices"
	"strings"
	"unicode"

	slackapi "github.com/slack-go/slack"

	"github.com/profilerhq/profiler/internal/alert"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/words"
)

// The room of each part, in UTF-16 units with escapes. Slack takes 50 blocks,
// 150 units in a header, 3,000 in a section, 10 fields of 2,000, and fails near
// 13,000 in total. The parts below add up to less than 10,000 in at most 16
// blocks, whatever the data: header 150, state 300, lead 500, where 500, 5
// fields of 320, 5 findings of 925, rest 40, chart 100 or drawn 300, changes
// 500, folded 600, link and ids 700.
const (
	roomHeader  = 150
	roomLead    = 500
	roomWhere   = 500
	roomField   = 300
	roomFinding = 500
	roomValue   = 100
	roomLimit   = 150
	roomPlace   = 150
	roomFolded  = 600
	roomState   = 300
	roomChange  = 90
	roomLabel   = 20
	roomTitle   = 50
	roomEntry   = 400
	roomID      = 180
	roomText    = 1000
	roomPlain   = 3900 // of a message without blocks
)

// layout returns the blocks of a message.
func (c *Channel) layout(m *alert.Message) []slackapi.Block {
	switch {
	case m.Digest != nil:
		return digestLayout(m.Digest)
	case m.Weekly != nil:
		return weeklyLayout(m.Weekly)
	}
	i := &m.Incident
	blocks := []slackapi.Block{header(alert.Title(i))}
	if lead := leadOf(m); lead != "" {
		blocks = append(blocks, section(cut(lead, roomLead, true)))
	}
	if w := alert.Where(i); w != "" {
		blocks = append(blocks, section("*"+cut(w, roomWhere, true)+"*"))
	}
	if st := alert.State(i); st != "" {
		blocks = append(blocks, slackapi.NewContextBlock("", mrkdwn(cut(st, roomState, true))))
	}
	var fields []*slackapi.TextBlockObject
	for _, f := range alert.Fields(i) {
		fields = append(fields, mrkdwn("*"+upper(f.Name)+"*\n"+cut(f.Value, roomField, true)))
	}
	blocks = append(blocks, slackapi.NewSectionBlock(nil, fields, nil))
	shown := min(len(i.Findings), alert.MaxFindings)
	if i.DeadLetters != nil {
		shown = 0 // the lead says it all
	}
	for k := range shown {
		blocks = append(blocks, section(finding(&i.Findings[k])))
	}
	if rest := len(i.Findings) - alert.MaxFindings; rest > 0 {
		blocks = append(blocks, slackapi.NewContextBlock("", mrkdwn("… "+words.Count(rest)+" more")))
	}
	for _, a := range alert.Advice(i) {
		blocks = append(blocks, slackapi.NewContextBlock("", mrkdwn(a.Name+": `"+cut(a.Value, roomField, true)+"`")))
	}
	if i.Chart != nil && i.Status != alert.Resolved {
		blocks = append(blocks, c.chart(i.Chart)...)
	}
	if f := alert.FoldedText(i); f != "" {
		blocks = append(blocks, section(cut(f, roomFolded, true)))
	}
	if c.socket != nil && i.Live() && len(i.ID) <= roomText/10 {
		blocks = append(blocks, controls(i))
	}
	return append(blocks, c.footer(i))
}

func header(title string) slackapi.Block {
	return slackapi.NewHeaderBlock(slackapi.NewTextBlockObject(slackapi.PlainTextType, cut(title, roomHeader, false), false, false))
}

// leadOf is the line below the header.
func leadOf(m *alert.Message) string {
	if m.Incident.Status == alert.Resolved {
		return alert.News(&alert.Message{Event: alert.EventResolved, Incident: m.Incident})
	}
	return alert.Lead(&m.Incident)
}

// footer is the link to the report and the ids.
func (c *Channel) footer(i *alert.Incident) slackapi.Block {
	var parts []string
	if l := alert.Link(c.external, i); l != "" && len(l) <= roomPlain/10 && !strings.ContainsAny(l, "<>|") {
		what := "Open the report"
		if i.DeadLetters != nil {
			what = "Open incidents"
		}
		parts = append(parts, "<"+strings.ReplaceAll(l, "&", "&amp;")+"|"+what+">")
	}
	for _, f := range alert.References(i) {
		parts = append(parts, f.Name+" "+cut(f.Value, roomID, true))
	}
	return slackapi.NewContextBlock("", mrkdwn(strings.Join(parts, " · ")))
}

// chart compares past and now, as Slack's own chart or drawn of characters, and
// names what changed most.
func (c *Channel) chart(ch *alert.Chart) []slackapi.Block {
	var out []slackapi.Block
	if block := nativeChart(ch); block != nil && !c.plainCharts.Load() {
		out = append(out, block)
	} else {
		past, now := ch.Bars()
		name := cut(alert.Clean(ch.Column), roomTitle, true)
		out = append(out, section(name+"\n```was "+past+"\nis  "+now+"```"))
	}
	var lines []string
	for _, l := range ch.Changes(alert.MaxFindings) {
		lines = append(lines, "• "+cut(l, roomChange, true))
	}
	if len(lines) > 0 {
		out = append(out, section(strings.Join(lines, "\n")))
	}
	return out
}

// nativeChart is Slack's chart: two series of at most 20 points. Labels must
// differ after they are cut; it is nil if they do not.
func nativeChart(ch *alert.Chart) slackapi.Block {
	if len(ch.Bins) == 0 || len(ch.Bins) > alert.MaxBins {
		return nil
	}
	labels := make([]string, len(ch.Bins))
	past, now := make([]slackapi.DataVisualizationDataPoint, len(ch.Bins)), make([]slackapi.DataVisualizationDataPoint, len(ch.Bins))
	for k, b := range ch.Bins {
		labels[k] = cut(alert.Clean(b), roomLabel, false)
		if slices.Contains(labels[:k], labels[k]) {
			return nil
		}
		past[k] = slackapi.NewDataVisualizationDataPoint(labels[k], ch.Past[k])
		now[k] = slackapi.NewDataVisualizationDataPoint(labels[k], ch.Now[k])
	}
	axis := slackapi.NewDataVisualizationAxisConfig(labels...).WithYLabel("% of rows")
	return slackapi.NewDataVisualizationBlock(cut(alert.Clean(ch.Column), roomTitle, false),
		slackapi.NewDataVisualizationBarChart(axis, slackapi.NewDataVisualizationDataSeries("before", past...), slackapi.NewDataVisualizationDataSeries("now", now...)))
}

func isChart(b slackapi.Block) bool {
	_, ok := b.(*slackapi.DataVisualizationBlock)
	return ok
}

// The ids of the controls.
const (
	actionAck    = "profiler_ack"
	actionSnooze = "profiler_snooze"
	actionAnswer = "profiler_answer"
)

// The choices of the snooze menu.
const (
	snoozeHour = "1h"
	snoozeDay  = "8h"
	snoozeNext = "next"
)

// controls are the three things that people can do. The value of each names the
// incident.
func controls(i *alert.Incident) slackapi.Block {
	option := func(value, text string) *slackapi.OptionBlockObject {
		return slackapi.NewOptionBlockObject(value+"/"+i.ID, slackapi.NewTextBlockObject(slackapi.PlainTextType, text, false, false), nil)
	}
	menu := func(id, title string, options ...*slackapi.OptionBlockObject) slackapi.BlockElement {
		return slackapi.NewOptionsSelectBlockElement(slackapi.OptTypeStatic, slackapi.NewTextBlockObject(slackapi.PlainTextType, title, false, false), id, options...)
	}
	what := "batch"
	if i.DeadLetters != nil {
		what = "dead letter"
	}
	var elements []slackapi.BlockElement
	if i.Status != alert.Acknowledged {
		elements = append(elements, slackapi.NewButtonBlockElement(actionAck, i.ID, slackapi.NewTextBlockObject(slackapi.PlainTextType, "Acknowledge", false, false)))
	}
	elements = append(elements,
		menu(actionSnooze, "Snooze", option(snoozeHour, "1 hour"), option(snoozeDay, "8 hours"), option(snoozeNext, "Until the next "+what)),
		menu(actionAnswer, "Answer", option(string(alert.AnswerReal), "Real"), option(string(alert.AnswerFine), "Fine"),
			option(string(alert.AnswerFineOnce), "Fine, this once"), option(string(alert.AnswerNewNormal), "The new normal")))
	return slackapi.NewActionBlock("", elements...)
}

// digestLayout lists the incidents of a digest.
func digestLayout(d *alert.Digest) []slackapi.Block {
	blocks := []slackapi.Block{header(alert.DigestTitle(d))}
	for k := range d.Entries {
		if k == alert.MaxEntries {
			blocks = append(blocks, slackapi.NewContextBlock("", mrkdwn("… "+words.Count(len(d.Entries)-k)+" more")))
			break
		}
		blocks = append(blocks, section("• "+cut(alert.EntryText(&d.Entries[k]), roomEntry, true)))
	}
	return append(blocks, slackapi.NewContextBlock("", mrkdwn("digest "+cut(d.ID, roomID, true))))
}

func weeklyLayout(w *alert.Weekly) []slackapi.Block {
	blocks := []slackapi.Block{header(w.Title()), section(cut(w.Useful(), roomLead, true))}
	for k := range w.Noisiest {
		blocks = append(blocks, section("• "+cut(w.Noisiest[k].Line(), roomEntry, true)))
	}
	return append(blocks, slackapi.NewContextBlock("", mrkdwn("The noisiest checks of the week, to be repaired.")))
}

// finding is the message of a result with its value, limit and rule below.
func finding(f *checks.Result) string {
	s := "• " + cut(alert.Finding(f), roomFinding, true)
	var facts []string
	if !f.Value.IsNull() && f.Message != "" {
		facts = append(facts, "value "+cut(alert.Clean(f.Value.String()), roomValue, true))
	}
	if f.Limit != "" {
		facts = append(facts, "limit: "+cut(alert.Clean(f.Limit), roomLimit, true))
	}
	if p := alert.Place(f.Rule); p != "" {
		facts = append(facts, "`"+cut(p, roomPlace, true)+"`")
	}
	if len(facts) > 0 {
		s += "\n" + strings.Join(facts, " · ")
	}
	return s
}

// summary is the text that notifications and screen readers use beside blocks.
func summary(m *alert.Message) string {
	switch {
	case m.Digest != nil:
		return cut(alert.DigestTitle(m.Digest), roomText, true)
	case m.Weekly != nil:
		return cut(m.Weekly.Title()+". "+m.Weekly.Useful(), roomText, true)
	}
	s := alert.Title(&m.Incident)
	if n := alert.News(m); n != "" && m.Event == alert.EventResolved {
		s += ". " + n
	} else if l := alert.Lead(&m.Incident); l != "" {
		s += ". " + l
	}
	return cut(s, roomText, true)
}

// plain is the whole message as text, for when blocks are refused.
func plain(m *alert.Message) string { return cut(alert.Text(m), roomPlain, true) }

// upper begins a name with a capital.
func upper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func section(text string) *slackapi.SectionBlock {
	return slackapi.NewSectionBlock(mrkdwn(text), nil, nil)
}

// mrkdwn is verbatim so that Slack makes no links of names and addresses.
func mrkdwn(text string) *slackapi.TextBlockObject {
	return slackapi.NewTextBlockObject(slackapi.MarkdownType, text, false, true)
}

// cut returns at most limit UTF-16 units of a text of data, ended by an
// ellipsis if something is missing. With escape, the characters that begin
// mentions, links and code are made harmless, and an escape is never cut in
// two. A text without visible characters becomes a dash, since Slack refuses
// empty ones.
func cut(s string, limit int, escape bool) string {
	if !strings.ContainsFunc(s, visible) {
		return "-"
	}
	var b strings.Builder
	used, safe := 0, 0 // safe is the length that leaves room for the ellipsis
	for _, r := range s {
		piece := string(r)
		if escape {
			piece = harmless(r)
		}
		n := len(piece)
		switch {
		case r > 0xFFFF:
			n = 2
		case piece == string(r) || r == '`':
			n = 1
		}
		if used+n > limit {
			return b.String()[:safe] + "…"
		}
		used += n
		b.WriteString(piece)
		if used < limit {
			safe = b.Len()
		}
	}
	return b.String()
}

func visible(r rune) bool { return unicode.IsGraphic(r) && !unicode.IsSpace(r) }

// harmless escapes what Slack asks to escape. A back quote has no escape, so a
// look-alike stands for it.
func harmless(r rune) string {
	switch r {
	case '&':
		return "&amp;"
	case '<':
		return "&lt;"
	case '>':
		return "&gt;"
	case '`':
		return "ˋ"
	}
	return string(r)
}
