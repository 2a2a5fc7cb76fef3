package slack

import (
	"strings"
	"unicode"

	slackapi "github.com/slack-go/slack"

	"github.com/profilerhq/profiler/internal/alert"
	"github.com/profilerhq/profiler/internal/checks"
)

// The room of each part, in UTF-16 units with escapes. Slack takes 50 blocks,
// 150 units in a header, 3,000 in a section, 10 fields of 2,000, and fails near
// 13,000 in total. The parts below add up to less than 10,000 in at most 12
// blocks, whatever the data:
// header 150, lead 600, where 500, 5 fields of 320, 5 findings of 1,125, rest
// 40, folded 700, ids 600.
const (
	roomHeader  = 150
	roomLead    = 600
	roomWhere   = 500
	roomField   = 300
	roomFinding = 700
	roomValue   = 100
	roomLimit   = 150
	roomPlace   = 150
	roomFolded  = 700
	roomID      = 180
	roomText    = 1000
	roomPlain   = 3900 // of a message without blocks
)

// layout returns the blocks of a message.
func layout(m *alert.Message) []slackapi.Block {
	i := &m.Incident
	lead := alert.Lead(i)
	if i.Status == alert.Resolved {
		lead = alert.News(m)
	}
	blocks := []slackapi.Block{slackapi.NewHeaderBlock(slackapi.NewTextBlockObject(slackapi.PlainTextType, cut(alert.Title(i), roomHeader, false), false, false))}
	if lead != "" {
		blocks = append(blocks, section(cut(lead, roomLead, true)))
	}
	if w := alert.Where(i); w != "" {
		blocks = append(blocks, section("*"+cut(w, roomWhere, true)+"*"))
	}
	var fields []*slackapi.TextBlockObject
	for _, f := range alert.Fields(i) {
		fields = append(fields, mrkdwn("*"+upper(f.Name)+"*\n"+cut(f.Value, roomField, true)))
	}
	blocks = append(blocks, slackapi.NewSectionBlock(nil, fields, nil))
	for k := range min(len(i.Findings), alert.MaxFindings) {
		blocks = append(blocks, section(finding(&i.Findings[k])))
	}
	if rest := len(i.Findings) - alert.MaxFindings; rest > 0 {
		blocks = append(blocks, slackapi.NewContextBlock("", mrkdwn("… "+alert.Count(int64(rest))+" more")))
	}
	if f := alert.FoldedText(i); f != "" {
		blocks = append(blocks, section(cut(f, roomFolded, true)))
	}
	var ids []string
	for _, f := range alert.References(i) {
		ids = append(ids, f.Name+" "+cut(f.Value, roomID, true))
	}
	return append(blocks, slackapi.NewContextBlock("", mrkdwn(strings.Join(ids, " · "))))
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
