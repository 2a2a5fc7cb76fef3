package ruletest

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/profilerhq/profiler/internal/words"
)

// Table prints tests by their files, with what differs.
func Table(w io.Writer, outcomes []*Outcome, color bool) {
	paint := func(code, s string) string {
		if !color {
			return s
		}
		return "\x1b[" + code + "m" + s + "\x1b[0m"
	}
	file, failed := "", 0
	for _, o := range outcomes {
		if o.File != file {
			if file != "" {
				fmt.Fprintln(w)
			}
			file = o.File
			fmt.Fprintln(w, file)
		}
		if o.Passed() {
			fmt.Fprintf(w, "  %s  %s\n", paint("32", "ok  "), o.Test.Name)
			continue
		}
		failed++
		fmt.Fprintf(w, "  %s  %s  %s\n", paint("31", "FAIL"), o.Test.Name, paint("2", "("+o.Test.Pos.String()+")"))
		for _, line := range details(o, paint) {
			fmt.Fprintln(w, "        "+line)
		}
	}
	fmt.Fprintln(w)
	switch failed {
	case 0:
		fmt.Fprintf(w, "%s passed\n", words.Things(len(outcomes), "test"))
	default:
		fmt.Fprintf(w, "%d of %s failed\n", failed, words.Things(len(outcomes), "test"))
	}
}

// details are the lines about a test that failed: what was expected and found,
// grouped by batch and result.
func details(o *Outcome, paint func(code, s string) string) (lines []string) {
	batch, message := "", ""
	end := func() {
		if message != "" {
			for line := range strings.SplitSeq(message, "\n") {
				lines = append(lines, "    "+paint("2", line))
			}
			message = ""
		}
	}
	for i := range o.Differences {
		d := &o.Differences[i]
		if d.Message != message {
			end()
		}
		if d.Batch != batch {
			end()
			batch = d.Batch
			lines = append(lines, batch+":")
		}
		lines = append(lines, fmt.Sprintf("%s  (line %d)", d.Path, d.Pos.Line),
			paint("31", "  - expected  "+oneLine(d.Want)), paint("32", "  + found     "+oneLine(d.Got)))
		message = d.Message
	}
	end()
	if o.Err != nil {
		lines = append(lines, strings.Split(o.Err.Error(), "\n")...)
	}
	return lines
}

func oneLine(s string) string { return strings.ReplaceAll(s, "\n", " ") }

type jsonDifference struct {
	Line     int     `json:"line"`
	Batch    *string `json:"batch"`
	Path     string  `json:"path"`
	Expected string  `json:"expected"`
	Found    string  `json:"found"`
	Message  string  `json:"message"`
}

type jsonTest struct {
	File        string           `json:"file"`
	Line        int              `json:"line"`
	Name        string           `json:"name"`
	Status      string           `json:"status"`
	Batches     int              `json:"batches"`
	Differences []jsonDifference `json:"differences"`
	Error       *string          `json:"error"`
}

// JSON writes one object with all tests.
func JSON(w io.Writer, outcomes []*Outcome) error {
	out := struct {
		Version int        `json:"version"`
		Passed  int        `json:"passed"`
		Failed  int        `json:"failed"`
		Tests   []jsonTest `json:"tests"`
	}{Version: 1, Tests: []jsonTest{}}
	for _, o := range outcomes {
		t := jsonTest{File: o.File, Line: o.Test.Pos.Line, Name: o.Test.Name, Status: status(o), Batches: o.Batches, Differences: []jsonDifference{}}
		if o.Passed() {
			out.Passed++
		} else {
			out.Failed++
		}
		if o.Err != nil {
			text := o.Err.Error()
			t.Error = &text
		}
		for i := range o.Differences {
			d := &o.Differences[i]
			j := jsonDifference{Line: d.Pos.Line, Path: d.Path, Expected: d.Want, Found: d.Got, Message: d.Message}
			if d.Batch != "" {
				j.Batch = &d.Batch
			}
			t.Differences = append(t.Differences, j)
		}
		out.Tests = append(out.Tests, t)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(out)
}

func status(o *Outcome) string {
	switch {
	case o.Err != nil:
		return "error"
	case len(o.Differences) > 0:
		return "fail"
	}
	return "pass"
}

// GitHub writes an annotation for each difference.
func GitHub(w io.Writer, outcomes []*Outcome) {
	for _, o := range outcomes {
		for i := range o.Differences {
			d := &o.Differences[i]
			where := ""
			if d.Batch != "" {
				where = d.Batch + ": "
			}
			annotate(w, o.File, d.Pos.Line, d.Pos.Column, fmt.Sprintf("%s: %s%s: expected %s, found %s", o.Test.Name, where, d.Path, d.Want, d.Got))
		}
		if o.Err != nil {
			annotate(w, o.File, o.Test.Pos.Line, o.Test.Pos.Column, o.Test.Name+": "+o.Err.Error())
		}
	}
}

var escapes = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")

func annotate(w io.Writer, file string, line, column int, text string) {
	fmt.Fprintf(w, "::error file=%s,line=%d,col=%d::%s\n", file, line, column, escapes.Replace(text))
}

type (
	xmlSuites struct {
		XMLName  xml.Name   `xml:"testsuites"`
		Tests    int        `xml:"tests,attr"`
		Failures int        `xml:"failures,attr"`
		Errors   int        `xml:"errors,attr"`
		Suites   []xmlSuite `xml:"testsuite"`
	}
	xmlSuite struct {
		Name     string    `xml:"name,attr"`
		Tests    int       `xml:"tests,attr"`
		Failures int       `xml:"failures,attr"`
		Errors   int       `xml:"errors,attr"`
		Cases    []xmlCase `xml:"testcase"`
	}
	xmlCase struct {
		Class   string      `xml:"classname,attr"`
		Name    string      `xml:"name,attr"`
		File    string      `xml:"file,attr"`
		Line    int         `xml:"line,attr"`
		Failure *xmlProblem `xml:"failure,omitempty"`
		Error   *xmlProblem `xml:"error,omitempty"`
	}
	xmlProblem struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// JUnit writes a suite for each file.
func JUnit(w io.Writer, outcomes []*Outcome) error {
	var all xmlSuites
	for _, o := range outcomes {
		if n := len(all.Suites); n == 0 || all.Suites[n-1].Name != o.File {
			all.Suites = append(all.Suites, xmlSuite{Name: o.File})
		}
		s := &all.Suites[len(all.Suites)-1]
		c := xmlCase{Class: o.File, Name: o.Test.Name, File: o.File, Line: o.Test.Pos.Line}
		text := strings.Join(details(o, func(_, s string) string { return s }), "\n")
		switch {
		case o.Err != nil:
			c.Error = &xmlProblem{Message: oneLine(o.Err.Error()), Text: text}
			s.Errors++
			all.Errors++
		case len(o.Differences) > 0:
			d := &o.Differences[0]
			c.Failure = &xmlProblem{Message: fmt.Sprintf("%s: expected %s, found %s", d.Path, d.Want, d.Got), Text: text}
			s.Failures++
			all.Failures++
		}
		s.Tests++
		all.Tests++
		s.Cases = append(s.Cases, c)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}
