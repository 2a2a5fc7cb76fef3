package checks

import (
	"fmt"
	"slices"
	"strings"
)

// Words says what the check expects, in a sentence for people who own the data,
// and what it tolerates; the latter is empty where nothing is tolerated.
func (c *Check) Words() (text, tolerated string) {
	switch j := c.judge.(type) {
	case *rowExpression:
		text = "Every row fulfils " + j.program.Text()
	case parsableLimits:
		text = "Every record can be read"
	case rowJudge:
		text = "Every value is " + strings.Replace(j.good(), "a match of", "a match of the expression", 1)
		if c.Kind == "not_null" || c.Kind == "not_blank" {
			text = "Every row has a value" + map[string]string{"not_blank": " that is more than white space"}[c.Kind]
		}
		if c.Kind == "is_null" {
			text = "No row has a value"
		}
	case *metric:
		text, tolerated = zonesInWords(strings.ReplaceAll(j.kind.name, "_", " "), limits{j.warn, j.fail, j.kind.share})
	case *quantile:
		text, tolerated = zonesInWords("the quantile "+j.text, limits{warn: j.warn, fail: j.fail})
	case *entropy:
		text, tolerated = zonesInWords("entropy", limits{warn: j.warn, fail: j.fail})
	case *correlation:
		text, tolerated = zonesInWords("the correlation with "+j.with, limits{warn: j.warn, fail: j.fail})
	default:
		text, tolerated = c.batchWords()
	}
	if c.Level == RowLevel {
		tolerated = c.toleratedWords()
	}
	if c.Where != nil {
		text += ", where " + c.Where.Text()
	}
	if c.By != "" {
		text += ", for each " + c.By
	}
	return text, tolerated
}

// batchWords are those of checks that judge the batch as a whole.
func (c *Check) batchWords() (text, tolerated string) {
	switch j := c.judge.(type) {
	case *schema:
		text = "The columns are " + list(j.columns, 12)
		if j.closed {
			text += ", and no others"
		}
		if j.ordered {
			text += ", in this order"
		}
	case *freshness:
		text = "The newest value is at most " + age(max(j.fail, j.warn)) + " old"
		if j.column == "" {
			text = "The data was written at most " + age(max(j.fail, j.warn)) + " ago"
		} else if c.Column == "" {
			text = strings.Replace(text, "value", j.column, 1)
		}
		if j.warn > 0 && j.fail > 0 {
			tolerated = "warns from " + age(j.warn) + " on"
		}
	case *change:
		l := j.fail
		if l == nil {
			l = j.warn
		}
		name := strings.ReplaceAll(j.metric, "_", " ")
		if c.Column == "" && j.column != "" {
			name += " of " + j.column
		}
		text = fmt.Sprintf("%s against %s: %s", capital(name), againstWords(j.against), l.words())
	case *balance:
		text = "The number of " + strings.ReplaceAll(j.of.metric, "_", " ") + " agrees with " + list(j.with, 5) + ": " + j.words()
	case *driftCheck:
		text = "The distribution is that of earlier batches"
		if d := j.fail; d != nil {
			tolerated = "a distance below " + distance(*d)
		}
	case interface{ words() string }:
		text = capital(strings.ReplaceAll(c.Kind, "_", " ")) + ": " + j.words()
	default:
		text = Find(c.Kind).Summary
		text = strings.TrimSuffix(text, ".")
	}
	return text, tolerated
}

// zonesInWords describes the zones of a number.
func zonesInWords(name string, l limits) (text, tolerated string) {
	z := l.fail
	if z == nil {
		z = l.warn
	} else if l.warn != nil {
		tolerated = "warns unless " + l.warn.words(l.share)
	}
	return capital(name) + " is " + z.words(l.share), tolerated
}

// toleratedWords describes the tolerances of a row check.
func (c *Check) toleratedWords() string {
	var parts []string
	zero := Tolerance{}
	if c.Fail != nil && *c.Fail != zero {
		parts = append(parts, c.Fail.String())
	}
	if c.Warn != nil && (c.Fail == nil || *c.Warn != *c.Fail) {
		text := "warns above " + strings.TrimPrefix(c.Warn.String(), "at most ")
		if *c.Warn == zero {
			text = "warns at the first failing row"
		}
		parts = append(parts, text)
	}
	return strings.Join(slices.Clip(parts), "; ")
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// againstWords names what a number is compared with.
func againstWords(against string) string {
	switch against {
	case "previous":
		return "the batch before"
	case "input":
		return "the step's input"
	}
	return strings.ReplaceAll(against, "_", " ")
}
