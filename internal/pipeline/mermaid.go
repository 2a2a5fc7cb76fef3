package pipeline

import (
	"fmt"
	"io"
	"strings"
)

// Mermaid writes the graph of the pipeline as a Mermaid flowchart. Edges that
// take a unit whatever its verdict are dotted.
func (p *Pipeline) Mermaid(w io.Writer) error {
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	ids := map[string]string{}
	for i := range p.Steps {
		ids[p.Steps[i].Name] = fmt.Sprintf("s%d", i)
	}
	if p.Source != nil {
		fmt.Fprintf(&b, "    source[(%s)]\n", label(p.Source.String()))
	}
	for i := range p.Steps {
		s := &p.Steps[i]
		text := s.Name
		if s.OnFail != "" {
			text += "\non fail: " + string(s.OnFail)
		}
		if s.FanIn {
			text += "\nof all units"
		}
		if s.Split != nil {
			text += "\nsplit: " + s.Split.String()
		}
		fmt.Fprintf(&b, "    s%d[%s]\n", i, label(text))
	}
	for i := range p.Steps {
		s := &p.Steps[i]
		if len(s.Needs) == 0 && p.Source != nil {
			fmt.Fprintf(&b, "    source --> s%d\n", i)
		}
		for _, n := range s.Needs {
			arrow := "-->"
			if n.Quality == Any {
				arrow = "-. any .->"
			}
			fmt.Fprintf(&b, "    %s %s s%d\n", ids[n.Step], arrow, i)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// label quotes a text for Mermaid: quotes and what looks like markup become
// entity codes.
func label(text string) string {
	text = strings.NewReplacer("#", "#35;", `"`, "#quot;", "<", "#lt;", ">", "#gt;", "&", "#amp;").Replace(text)
	return `"` + strings.ReplaceAll(text, "\n", "<br>") + `"`
}
