package monitor_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/exact"
	"github.com/profilerhq/profiler/internal/exact/disk"
	"github.com/profilerhq/profiler/internal/monitor"
	"github.com/profilerhq/profiler/internal/source/csv"
)

// endsWith calls a function at the end of the data.
type endsWith struct {
	batch.Reader
	end func()
}

func (r endsWith) Next(ctx context.Context, c *batch.Chunk) error {
	err := r.Reader.Next(ctx, c)
	if err != nil {
		r.end()
	}
	return err
}

// Whatever ends a batch, the memory and the files of its exact checks go with
// it, and a count that was cut short is no verdict.
func TestExactChecksLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	broken := "id,v\n" + strings.Repeat("1,2\n", 50_000)
	for name, tc := range map[string]struct {
		data   string
		cancel bool
		status checks.Status
		err    string
	}{
		"judged":    {data: lines(50_000), status: checks.Pass},
		"repeated":  {data: broken, status: checks.Fail},
		"cancelled": {data: lines(50_000), cancel: true, err: "context canceled"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			space := exact.NewSpace(64<<10, disk.New(dir))
			kept := &sink{}
			m := monitor.New(monitor.Options{Now: clock, Space: space, Sinks: []monitor.Sink{kept}})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			c, err := csv.New(strings.NewReader(tc.data), csv.Options{Source: "in.csv"})
			require.NoError(t, err)
			r := endsWith{c, func() {
				if tc.cancel {
					cancel()
				}
			}}
			o, err := m.Observe(ctx, r, monitor.Subject{Dataset: "a/b", Rules: setsOf(t, "columns: {id: [unique]}")})
			if tc.err != "" {
				require.EqualError(t, err, tc.err)
				require.Nil(t, kept.got)
			} else {
				require.NoError(t, err)
				require.Equal(t, tc.status, o.Report.Results[1].Status)
			}
			require.Zero(t, space.Used())
			left, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}
