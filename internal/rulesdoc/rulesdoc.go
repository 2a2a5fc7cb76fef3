// Package rulesdoc writes a catalogue of rules for people who own the data:
// what is expected of each dataset, in words.
package rulesdoc

import (
	"cmp"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/rules"
	"github.com/profilerhq/profiler/internal/words"
)

// Check is one expectation in words.
type Check struct {
	ID, Title, Text, Note string
	// Limit says what is tolerated; empty where nothing is.
	Limit    string
	Severity string // fail or warn
	Owner    string // where it is not that of the dataset
	Place    string // file:line
	Disabled bool
}

// Group are the checks of a column, or those of the dataset under no name.
type Group struct {
	Column string
	Checks []Check
}

// Dataset is a document of a rule file.
type Dataset struct {
	Name, Owner, OnFail, File string
	Tags, Key                 []string
	Groups                    []Group
	Count                     int
}

// Catalogue is what is written.
type Catalogue struct {
	Title    string
	Datasets []Dataset
	Columns  int
	Checks   int
}

// New makes the catalogue of rules, sorted by the names of datasets.
func New(sets []*rules.Set) *Catalogue {
	c := &Catalogue{Title: "Data expectations"}
	for _, s := range sets {
		d := datasetOf(s)
		c.Checks += d.Count
		for _, g := range d.Groups {
			if g.Column != "" {
				c.Columns++
			}
		}
		c.Datasets = append(c.Datasets, d)
	}
	slices.SortStableFunc(c.Datasets, func(a, b Dataset) int { return cmp.Compare(a.Name, b.Name) })
	return c
}

func datasetOf(s *rules.Set) Dataset {
	d := Dataset{Name: s.Dataset, Owner: s.Owner, OnFail: s.OnFail, File: s.File, Tags: s.Tags, Key: s.Key}
	if d.Name == "" {
		d.Name = "where " + s.File + " is named"
	}
	for _, c := range s.Checks {
		i := slices.IndexFunc(d.Groups, func(g Group) bool { return g.Column == c.Column })
		if i < 0 {
			i = len(d.Groups)
			d.Groups = append(d.Groups, Group{Column: c.Column})
		}
		d.Groups[i].Checks = append(d.Groups[i].Checks, checkOf(s, c))
		d.Count++
	}
	slices.SortStableFunc(d.Groups, func(a, b Group) int { // the dataset's own first
		return cmp.Compare(boolInt(a.Column != ""), boolInt(b.Column != ""))
	})
	return d
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func checkOf(s *rules.Set, c *checks.Check) Check {
	text, limit := c.Words()
	out := Check{ID: c.ID, Title: c.Name, Text: text, Limit: limit, Note: c.Note, Severity: string(c.Severity), Place: fmt.Sprintf("%s:%d", c.Pos.File, c.Pos.Line), Disabled: !c.Enabled}
	if c.Owner != s.Owner {
		out.Owner = c.Owner
	}
	return out
}

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{"plural": words.Things[int], "join": strings.Join}).Parse(page))

// HTML writes the catalogue as one file that needs no other.
func (c *Catalogue) HTML(w io.Writer) error { return pageTemplate.Execute(w, c) }

// Markdown writes the catalogue.
func (c *Catalogue) Markdown(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n%s, %s.\n", c.Title, words.Things(len(c.Datasets), "dataset"), words.Things(c.Checks, "check"))
	for _, d := range c.Datasets {
		fmt.Fprintf(&b, "\n## %s\n\n", d.Name)
		var facts []string
		for _, f := range [][2]string{{"owner", d.Owner}, {"tags", strings.Join(d.Tags, ", ")}, {"key", strings.Join(d.Key, ", ")}, {"a gate will", d.OnFail}, {"rules", d.File}} {
			if f[1] != "" {
				facts = append(facts, f[0]+": "+f[1])
			}
		}
		fmt.Fprintf(&b, "%s\n", strings.Join(facts, " · "))
		for _, g := range d.Groups {
			name := "The dataset"
			if g.Column != "" {
				name = "`" + g.Column + "`"
			}
			fmt.Fprintf(&b, "\n### %s\n\n| expectation | tolerated | severity | rule |\n| --- | --- | --- | --- |\n", name)
			for _, k := range g.Checks {
				fmt.Fprintf(&b, "| %s | %s | %s | `%s` |\n", escape(k.words()), escape(k.Limit), k.severity(), k.ID)
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// words join title, text and note of a check for a cell.
func (k Check) words() string {
	text := k.Text
	if k.Title != "" {
		text = "**" + k.Title + "**: " + text
	}
	if k.Note != "" {
		text += ". " + k.Note
	}
	if k.Owner != "" {
		text += " (owner: " + k.Owner + ")"
	}
	return text
}

func (k Check) severity() string {
	if k.Disabled {
		return "off"
	}
	return k.Severity
}

func escape(s string) string { return strings.NewReplacer("|", "\\|", "\n", " ").Replace(s) }
