package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/dbtest"
	"github.com/profilerhq/profiler/internal/failpoint"
	"github.com/profilerhq/profiler/internal/queue"
)

// partsOf is into how many parts each file of newSets is cut, of partRows rows.
const (
	partsOf  = 3
	partRows = 2
)

// newSets has a step that is cut, one that works on the parts, and one that joins
// all of them.
func newSets(t *testing.T, store string, units int) *plant {
	t.Helper()
	p := newPlant(t, store, units)
	for i := range units {
		var b strings.Builder
		b.WriteString("n\n")
		for k := range partsOf * partRows {
			fmt.Fprintf(&b, "%d\n", 100*i+k)
		}
		require.NoError(t, os.WriteFile(filepath.Join(p.dir, "in", fmt.Sprintf("%04d.csv", i)), []byte(b.String()), 0o600))
	}
	p.write(fmt.Sprintf(`version: 1
pipeline: p
source: {files: "in/*.csv"}
steps:
  parse: {run: [cat], split: rows(%d), format: {in: csv, out: csv}, timeout: {heartbeat: 1s}, retry: {attempts: 1000, backoff: 10ms}}
  part:  {needs: parse, run: [cat], timeout: {heartbeat: 1s}, retry: {attempts: 1000, backoff: 10ms}}
  all:   {needs: part, fan_in: all, run: [cat, "{inputs}"], timeout: {heartbeat: 1s}, retry: {attempts: 1000, backoff: 10ms}}
`, partRows))
	return p
}

// checkSets looks for parts that are lost, made up or done twice, and sets that
// are joined before they are complete.
func (p *plant) checkSets() {
	p.t.Helper()
	q, _ := p.queue()
	rows, err := q.Units(p.t.Context(), queue.Filter{})
	require.NoError(p.t, err)
	count, joined := map[string]int{}, 0
	var parts []string
	for i := range rows {
		r := &rows[i]
		if r.Step == "all" && r.State == queue.Cancelled { // a later run took its units over
			continue
		}
		require.Equal(p.t, queue.Done, r.State, r.Key)
		count[r.Step]++
		switch r.Step {
		case "part":
			parts = append(parts, p.result(r))
		case "all":
			joined++
			lines := strings.Fields(p.result(r))
			require.Len(p.t, lines, p.units*partsOf*(partRows+1), "%s was joined before it was complete", r.Source)
			slices.Sort(lines)
			require.Len(p.t, slices.Compact(lines), p.units*partsOf*partRows+1, "the header and each number")
		}
	}
	require.NotZero(p.t, joined)
	require.Equal(p.t, p.units, count["parse"])
	require.Equal(p.t, p.units*partsOf, count["part"])
	slices.Sort(parts)
	require.Len(p.t, slices.Compact(parts), p.units*partsOf, "no two parts are the same")
	events, err := q.Events(p.t.Context(), queue.Filter{})
	require.NoError(p.t, err)
	done := map[queue.Key]int{}
	for i := range events {
		if e := &events[i]; e.Kind == queue.Kind(queue.Done) && e.Step != "all" {
			done[e.Key]++
			require.Equal(p.t, 1, done[e.Key], "%s was committed twice", e.Key)
		}
	}
	require.Len(p.t, done, p.units*(1+partsOf))
}

// Runners and workers are killed at each place around the commit of a split and
// that of a set, on Postgres three of them at once.
func TestKilledSets(t *testing.T) {
	if testing.Short() {
		t.Skip("starts the program many times")
	}
	t.Parallel()
	places := []string{"after_split", "in_commit", "after_commit", "before_gather", "in_gather", "after_gather"}
	for _, place := range either([]string{"after_split", "in_gather"}, places) {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			dbtest.Each(t, func(t *testing.T, url string) {
				p := newSets(t, url, either(2, 8))
				kills := 0
				for nth := range either(2, 12) {
					fail := fmt.Sprintf("%s=%s:kill:%d", failpoint.Env, place, 1+nth)
					all := [][]string{{"run", "p.yaml", "-q"}}
					if !strings.HasPrefix(url, "sqlite:") {
						all = append(all, []string{"worker", "p.yaml", "--drain", "-q"}, []string{"worker", "p.yaml", "--drain", "-q"})
					}
					errs := make([]error, len(all))
					var wg sync.WaitGroup
					for i, args := range all {
						wg.Go(func() { errs[i] = p.command(fail, args...).Run() })
					}
					wg.Wait()
					for i, err := range errs {
						if err != nil && strings.Contains(err.Error(), "killed") {
							kills++
						} else if err != nil { // the end of a run with a unit that was lost three times
							require.Positive(t, p.replayCrashed(), "%s: %v", all[i][0], err)
						}
					}
				}
				require.NotZero(t, kills, "the failpoint %s was not met", place)
				crashed := p.finishCrashed()
				p.checkSets()
				t.Logf("%d processes killed; %d units dead by the crash guard and replayed", kills, crashed)
			})
		})
	}
}
