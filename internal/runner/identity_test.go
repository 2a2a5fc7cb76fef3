package runner

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/pipeline"
)

func TestTraceID(t *testing.T) {
	t.Parallel()
	const trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	for header, want := range map[string]string{
		"00-" + trace + "-" + span + "-01":                    trace,
		"cc-" + trace + "-" + span + "-01-later":              trace,
		"00-" + trace + "-" + span + "-01-later":              "",
		"ff-" + trace + "-" + span + "-01":                    "",
		"00-00000000000000000000000000000000-" + span + "-01": "",
		"00-" + trace + "-0000000000000000-01":                "",
		"00-4BF92F3577B34DA6A3CE929D0E0E4736-" + span + "-01": "",
		"": "",
	} {
		require.Equal(t, want, traceID(header), header)
	}
}

func TestNamedFiles(t *testing.T) {
	t.Parallel()
	tests := []struct {
		step pipeline.Step
		want []string
	}{
		{pipeline.Step{Run: []string{"python3", "parse.py", "-x"}}, []string{"parse.py", "-x"}},
		{pipeline.Step{Run: []string{"./parse.sh"}}, []string{"./parse.sh"}},
		{pipeline.Step{Shell: "./a.sh <in.txt 2>err.log | tee -a log | awk -f 'b.awk' >>out.log; c.sh 2>&1"}, []string{"./a.sh", "in.txt", "2", "tee", "awk", "-f", "b.awk", "c.sh", "2"}},
	}
	for _, tt := range tests {
		require.Equal(t, tt.want, namedFiles(&tt.step))
	}
}
