package report

import (
	"bytes"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/words"
)

// HistoryRow is one batch in the history of a dataset.
type HistoryRow struct {
	Dataset string
	Batch   string
	// At is when the batch belongs, RecordedAt when it was judged; the zero
	// time is shown as nothing.
	At   time.Time
	Rows int64
	// Verdict is the word of a status.
	Verdict string
	// Score is the anomaly score, nil if there is none.
	Score *float64
	// Label is what people said about the batch, "" if nothing.
	Label      string
	RecordedAt time.Time
}

// History writes batches in the order given, as a table or Markdown; other
// formats are an error that names these. It returns the errors of w.
func History(w io.Writer, f Format, rows []HistoryRow, o Options) error {
	if !Supports(f, KindHistory) {
		return unsupported(f, KindHistory)
	}
	var b bytes.Buffer
	header := []string{"AT", "DATASET", "BATCH", "ROWS", "VERDICT", "SCORE", "LABEL", "RECORDED"}
	right := []bool{false, false, false, true, false, true, false, false}
	lines := make([][]string, len(rows))
	for i, r := range rows {
		lines[i] = []string{stamp(r.At), r.Dataset, r.Batch, words.Count(r.Rows), r.Verdict, scoreText(r.Score), r.Label, stamp(r.RecordedAt)}
	}
	header, lines, right = dropEmpty(header, lines, right)
	if f == FormatMarkdown {
		for i := range header {
			header[i] = strings.ToLower(header[i])
		}
		markdownTable(&b, header, lines, right)
	} else {
		historyTable(&b, header, lines, right, o)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// dropEmpty leaves out scores and labels where no batch has any.
func dropEmpty(header []string, lines [][]string, right []bool) ([]string, [][]string, []bool) {
	for i := len(header) - 1; i >= 0; i-- {
		if header[i] != "SCORE" && header[i] != "LABEL" || len(lines) == 0 || slices.ContainsFunc(lines, func(l []string) bool { return l[i] != "" }) {
			continue
		}
		header, right = slices.Delete(header, i, i+1), slices.Delete(right, i, i+1)
		for k := range lines {
			lines[k] = slices.Delete(lines[k], i, i+1)
		}
	}
	return header, lines, right
}

func historyTable(w *bytes.Buffer, header []string, lines [][]string, right []bool, o Options) {
	g := grid{}
	for i, h := range header {
		t := track{head: h, right: right[i]}
		switch h {
		case "DATASET":
			t.least = 12
		case "BATCH":
			t.least = 8
		case "LABEL":
			t.least = 6
		case "RECORDED":
			t.drop = 1
		}
		g.tracks = append(g.tracks, t)
	}
	verdict := slices.Index(header, "VERDICT")
	for _, line := range lines {
		row := make([]cell, len(line))
		for i, text := range line {
			row[i].text = clean(text)
		}
		switch line[verdict] {
		case "pass":
			row[verdict].style = styleGreen
		case "warn":
			row[verdict].style = styleYellow
		case "fail", "error":
			row[verdict].style = styleBad
		}
		g.rows = append(g.rows, row)
	}
	var b strings.Builder
	g.write(&b, o)
	w.WriteString(b.String())
}

func scoreText(s *float64) string {
	if s == nil {
		return ""
	}
	return strconv.FormatFloat(*s, 'f', 2, 64)
}
