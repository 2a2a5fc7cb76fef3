package checks

import (
	"fmt"
	"strings"
)

// Marks around the generated head of a page of the documentation.
const (
	headBegin = "<!-- made from the catalogue of checks: make golden -->\n"
	headEnd   = "<!-- end -->\n"
)

// Head returns the head of the kind's page in docs/checks: what it judges,
// where it stands, how it is written, and its parameters.
func (s *Spec) Head() string {
	var b strings.Builder
	b.WriteString(headBegin + s.Summary + "\n\n")
	places := []string{}
	if s.Column {
		places = append(places, "`columns:`")
	}
	if s.Dataset {
		places = append(places, "`checks:`")
	}
	judges := map[Level]string{RowLevel: "each row", MetricLevel: "one number of the batch", BatchLevel: "the batch as a whole"}[s.Level]
	fmt.Fprintf(&b, "Judges %s · below %s · as in `%s`", judges, strings.Join(places, " and "), s.Example)
	if s.Bare && s.Example != s.Kind {
		fmt.Fprintf(&b, ", or by its name alone")
	}
	if s.Short != nil {
		fmt.Fprintf(&b, " · short form `%s: …`: %s", s.Kind, lowerFirst(s.Short.Summary))
	}
	b.WriteString("\n")
	if len(s.Params) > 0 {
		b.WriteString("\n| parameter | value | meaning | default |\n| --- | --- | --- | --- |\n")
		for _, p := range s.Params {
			form := string(p.Form)
			if len(p.OneOf) > 0 {
				form = "`" + strings.Join(p.OneOf, "` `") + "`"
			}
			def := p.Default
			if p.Required {
				def = "required"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", p.Name, form, p.Summary, def)
		}
	}
	b.WriteString(headEnd)
	return b.String()
}

// MetricTable returns the table of the metric kinds for the catalogue of pages,
// between the marks of generated text.
func MetricTable() string {
	var b strings.Builder
	b.WriteString(headBegin + "| kind | where | number |\n| --- | --- | --- |\n")
	for _, s := range specs {
		if s.Level != MetricLevel {
			continue
		}
		where := "column"
		if s.Dataset {
			where = "dataset"
		}
		fmt.Fprintf(&b, "| [`%s`](%s.md) | %s | %s |\n", s.Kind, s.Kind, where, strings.TrimSuffix(s.Summary, "."))
	}
	b.WriteString(headEnd)
	return b.String()
}

func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] }
