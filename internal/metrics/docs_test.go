package metrics_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/golden"
	"github.com/profilerhq/profiler/internal/metrics"
)

const (
	page   = "../../docs/metrics.md"
	tables = "<!-- The tables are written by go test ./internal/metrics -run Documentation -update -->\n"
)

// TestDocumentation wants the tables of the page to be those of the exporter.
func TestDocumentation(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	prose, _, ok := strings.Cut(string(text), tables)
	require.True(t, ok)
	golden.Equal(t, []byte(prose+tables+familyTables()), page)
}

func familyTables() string {
	var b strings.Builder
	section := ""
	for _, f := range metrics.Families() {
		if f.Section != section {
			section = f.Section
			fmt.Fprintf(&b, "\n### %s\n\n| name | type | labels | bound | meaning |\n| --- | --- | --- | --- | --- |\n", section)
		}
		kind, bound := f.Type, f.Bound
		if f.Name == "profiler_column_values" {
			kind = "native histogram"
		}
		if f.OptIn {
			bound += "; opt-in `" + f.Short + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", f.Name, kind, labelNames(f.Labels), bound, f.Help)
	}
	b.WriteString("\nA service also has `go_*`, `process_*`, `go_sql_*` (the pools of the store) and `promhttp_*`.\n")
	return b.String()
}

func labelNames(labels []string) string {
	short := map[string]string{
		metrics.LabelDataset: "D", metrics.LabelStep: "S", metrics.LabelColumn: "C", metrics.LabelCheck: "K", metrics.LabelPipeline: "P",
	}
	var out []string
	for _, l := range labels {
		if s := short[l]; s != "" {
			out = append(out, s)
		} else {
			out = append(out, "`"+l+"`")
		}
	}
	if len(out) == 0 {
		return "–"
	}
	return strings.Join(out, " ")
}
