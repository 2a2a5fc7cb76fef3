package report

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/words"
)

// manyAnnotations is how many annotations of one kind GitHub shows for a step.
const manyAnnotations = 10

// The escapes of workflow commands: of the message, and of properties, where
// colons and commas separate.
var (
	githubMessage  = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	githubProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

// githubCheck writes a workflow command for what failed, could not be judged
// or warns, worst first and at most ten of each kind; when there are more, the
// tenth says how many.
func githubCheck(b *bytes.Buffer, r *checks.Report) {
	var errors, warnings []checks.Result
	for _, res := range worstFirst(r) {
		switch res.Status {
		case checks.Fail, checks.Error:
			errors = append(errors, res)
		case checks.Warn:
			warnings = append(warnings, res)
		default:
		}
	}
	githubCommands(b, "error", r.Dataset, errors)
	githubCommands(b, "warning", r.Dataset, warnings)
}

func githubCommands(b *bytes.Buffer, command, dataset string, results []checks.Result) {
	shown := results
	if len(shown) > manyAnnotations {
		shown = shown[:manyAnnotations-1]
	}
	for i := range shown {
		res := &shown[i]
		var properties []string
		if res.Rule != nil && res.Rule.File != "" {
			properties = append(properties, "file="+githubProperty.Replace(res.Rule.File))
			if res.Rule.Line > 0 {
				properties = append(properties, "line="+strconv.Itoa(res.Rule.Line))
			}
		}
		head := dataset + ": " + title(res)
		if res.Status == checks.Error {
			head += " could not be judged"
		}
		properties = append(properties, "title="+githubProperty.Replace(clean(head)))
		b.WriteString("::" + command + " " + strings.Join(properties, ",") + "::" + githubMessage.Replace(githubLines(res)) + "\n")
	}
	if rest := len(results) - len(shown); rest > 0 {
		b.WriteString("::" + command + " title=" + githubProperty.Replace(clean(dataset)) + "::" + words.Things(rest, "more check") + " of the same kind; see the summary of the step\n")
	}
}

// githubLines is the message of an annotation: the result, and below it the
// failing rows.
func githubLines(r *checks.Result) string {
	text := clean(resultText(r))
	for i, f := range r.FailingRows {
		if i == fewRows {
			break
		}
		header, rows := failingTable(r, []checks.FailingRow{f})
		text += "\nrow " + rows[0][0]
		for j := 1; j < len(header); j++ {
			text += ", " + clean(header[j]) + " " + clean(rows[0][j])
		}
	}
	return text
}
