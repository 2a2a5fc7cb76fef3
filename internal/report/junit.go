package report

import (
	"bytes"
	"encoding/xml"
	"strconv"
	"strings"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/words"
)

// The elements of JUnit XML that CI systems read.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name      string      `xml:"name,attr"`
		Tests     int         `xml:"tests,attr"`
		Failures  int         `xml:"failures,attr"`
		Errors    int         `xml:"errors,attr"`
		Skipped   int         `xml:"skipped,attr"`
		Timestamp string      `xml:"timestamp,attr,omitempty"`
		Cases     []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		File    string        `xml:"file,attr,omitempty"`
		Line    string        `xml:"line,attr,omitempty"`
		Failure *junitProblem `xml:"failure,omitempty"`
		Error   *junitProblem `xml:"error,omitempty"`
		Skipped *junitProblem `xml:"skipped,omitempty"`
		Out     string        `xml:"system-out,omitempty"`
	}
	junitProblem struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr,omitempty"`
		Text    string `xml:",chardata"`
	}
)

// junitCheck writes a suite for the batch with a case for every check, in the
// order of the report. A fail is a failure, an error an error; learning is
// skipped; a warning passes and says so in its output.
func junitCheck(b *bytes.Buffer, r *checks.Report) {
	suite := junitSuite{Name: clean(r.Dataset), Tests: len(r.Results)}
	if r.Batch != "" {
		suite.Name += " " + clean(r.Batch)
	}
	if !r.At.IsZero() {
		suite.Timestamp = r.At.UTC().Format("2006-01-02T15:04:05Z")
	}
	for i := range r.Results {
		res := &r.Results[i]
		c := junitCase{Class: clean(r.Dataset), Name: title(res)}
		if res.Rule != nil {
			c.File = clean(res.Rule.File)
			if res.Rule.Line > 0 {
				c.Line = strconv.Itoa(res.Rule.Line)
			}
		}
		p := &junitProblem{Message: clean(resultText(res)), Type: clean(res.Kind), Text: junitDetails(res)}
		switch res.Status {
		case checks.Fail:
			c.Failure = p
			suite.Failures++
		case checks.Error:
			c.Error = p
			suite.Errors++
		case checks.Learning:
			c.Skipped = &junitProblem{Message: "learning: " + p.Message}
			suite.Skipped++
		case checks.Warn:
			c.Out = "warning: " + p.Text
		default:
		}
		suite.Cases = append(suite.Cases, c)
	}
	all := junitSuites{Tests: suite.Tests, Failures: suite.Failures, Errors: suite.Errors, Suites: []junitSuite{suite}}
	b.WriteString(xml.Header)
	enc := xml.NewEncoder(b)
	enc.Indent("", "  ")
	if err := enc.Encode(all); err != nil {
		panic("BUG: JUnit XML: " + err.Error()) // a buffer and plain structs cannot fail
	}
	b.WriteByte('\n')
}

// junitDetails is the text of a problem on several lines: the result, its rule
// and the failing rows.
func junitDetails(r *checks.Result) string {
	var b strings.Builder
	b.WriteString(clean(resultText(r)))
	if p := place(r.Rule); p != "" {
		b.WriteString("\nrule: " + clean(p))
	}
	for _, f := range r.FailingRows {
		b.WriteString("\nrow " + words.Count(f.Row))
		header, rows := failingTable(r, []checks.FailingRow{f})
		for i := 1; i < len(header); i++ {
			b.WriteString(", " + clean(header[i]) + " " + clean(rows[0][i]))
		}
	}
	return b.String()
}
