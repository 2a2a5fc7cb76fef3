package cli

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/profilerhq/profiler/internal/app"
	"github.com/profilerhq/profiler/internal/queue"
	"github.com/profilerhq/profiler/internal/report"
	"github.com/profilerhq/profiler/internal/runner"
	"github.com/profilerhq/profiler/internal/words"
)

func (e *env) runsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "runs", Short: "Runs, units, and their way through the steps",
		RunE: needSubcommand,
	}
	cmd.AddCommand(e.runsListCommand(), e.runsShowCommand(), e.runsReplayCommand())
	return cmd
}

type runsFlags struct {
	store, pipeline, from, why, by string
	limit                          int
	force                          bool
	output                         outputFlags
}

// runJSON is a run as it is printed.
type runJSON struct {
	Run          string     `json:"run"`
	Pipeline     string     `json:"pipeline"`
	State        string     `json:"state"`
	StartedAt    time.Time  `json:"started_at"`
	EndedAt      *time.Time `json:"ended_at"`
	Verdict      *string    `json:"verdict"`
	FirstBadStep *string    `json:"first_bad_step"`
}

func runOf(r *queue.Run) runJSON {
	out := runJSON{Run: r.ID, Pipeline: r.Pipeline, State: r.State, StartedAt: time.UnixMicro(r.StartedUS).UTC()}
	if r.EndedUS > 0 {
		out.EndedAt = new(time.UnixMicro(r.EndedUS).UTC())
	}
	if r.Verdict != "" {
		out.Verdict = &r.Verdict
	}
	if r.FirstBadStep != "" {
		out.FirstBadStep = &r.FirstBadStep
	}
	return out
}

func (e *env) runsListCommand() *cobra.Command {
	var f runsFlags
	cmd := &cobra.Command{
		Use: "list", Short: "List runs, the newest first", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return e.runsList(cmd, &f) },
	}
	f.output.registerTable(cmd)
	cmd.Flags().StringVar(&f.store, "store", "", "`URL` of the store (default "+defaultStore+")")
	cmd.Flags().StringVar(&f.pipeline, "pipeline", "", "only of this `pipeline`")
	cmd.Flags().IntVar(&f.limit, "limit", 50, "at most `N` runs; 0 is all")
	return cmd
}

func (e *env) runsList(cmd *cobra.Command, f *runsFlags) error {
	if err := f.output.tableOrJSON(); err != nil {
		return err
	}
	l, a, err := e.ledger(cmd, f.store)
	if err != nil {
		return err
	}
	defer a.Close() //nolint:errcheck // only read
	all, err := l.Runs(cmd.Context(), f.pipeline, f.limit)
	if err != nil {
		return &app.StoreError{Err: err}
	}
	var out bytes.Buffer
	if f.output.format == "json" {
		list := make([]runJSON, len(all))
		for i := range all {
			list[i] = runOf(&all[i])
		}
		if err := writeJSON(&out, list); err != nil {
			return err
		}
		return e.emit(&f.output, &out)
	}
	if len(all) == 0 {
		out.WriteString("no runs\n")
		return e.emit(&f.output, &out)
	}
	paused, err := l.Paused(cmd.Context(), f.pipeline)
	if err != nil {
		return &app.StoreError{Err: err}
	}
	rows := make([][]string, len(all))
	for i := range all {
		r := &all[i]
		took := "–"
		if r.EndedUS > 0 {
			took = seconds(float64(r.EndedUS-r.StartedUS) / 1e6)
		}
		rows[i] = []string{r.ID, r.Pipeline, r.State, time.UnixMicro(r.StartedUS).UTC().Format("2006-01-02 15:04:05"), took, dash(r.Verdict), dash(r.FirstBadStep)}
	}
	report.Table(&out, e.reportOptions(&f.output, false), []string{"run", "pipeline", "state", "started", "took", "verdict", "first bad step"}, rows,
		[]bool{false, false, false, false, true})
	for i, text := range paused {
		if i == 0 {
			out.WriteString("\n")
		}
		out.WriteString(text + "\n")
	}
	return e.emit(&f.output, &out)
}

func dash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

func (e *env) runsShowCommand() *cobra.Command {
	var f runsFlags
	cmd := &cobra.Command{
		Use: "show ID", Short: "Show a run, or a unit's way through the steps",
		Long: `ID is a run, or the beginning of a unit's or a correlation id. Of a unit it shows
how long it waited and was worked on at each step, all attempts, and where bad data
came in.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage("name a run, a unit or a correlation id: profiler runs show ID; see profiler runs list")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return e.runsShow(cmd, args[0], &f) },
	}
	f.output.registerTable(cmd)
	cmd.Flags().StringVar(&f.store, "store", "", "`URL` of the store (default "+defaultStore+")")
	return cmd
}

func (e *env) runsShow(cmd *cobra.Command, id string, f *runsFlags) error {
	if err := f.output.tableOrJSON(); err != nil {
		return err
	}
	l, a, err := e.ledger(cmd, f.store)
	if err != nil {
		return err
	}
	defer a.Close() //nolint:errcheck // only read
	run, err := l.Run(cmd.Context(), id)
	var ways []runner.UnitWay
	isRun := err == nil
	switch {
	case isRun:
		ways, err = l.Ways(cmd.Context(), "", id)
	case errors.Is(err, queue.ErrNotFound):
		ways, err = l.Ways(cmd.Context(), id, "")
	}
	if err != nil {
		return &app.StoreError{Err: err}
	}
	if len(ways) == 0 && !isRun {
		return usage("there is no run, unit or correlation id %q; see profiler runs list", id)
	}
	var out bytes.Buffer
	o := e.reportOptions(&f.output, false)
	switch {
	case f.output.format == "json" && isRun:
		err = writeJSON(&out, struct {
			Version int `json:"version"`
			runJSON
			Units []runner.UnitWay `json:"units"`
		}{1, runOf(&run), ways})
	case f.output.format == "json":
		err = writeJSON(&out, ways)
	case isRun:
		writeRun(&out, &run, ways, l.Steps(run.Pipeline), o)
	default:
		for i := range ways {
			writeWay(&out, &ways[i], o)
		}
	}
	if err != nil {
		return err
	}
	return e.emit(&f.output, &out)
}

// writeRun prints a line for each unit with its state at each step.
func writeRun(out *bytes.Buffer, run *queue.Run, ways []runner.UnitWay, steps []string, o report.Options) {
	fmt.Fprintf(out, "%s  run %s  %s  %s\n\n", run.Pipeline, run.ID, run.State, strings.ToUpper(run.Verdict))
	header := append([]string{"unit", "source"}, steps...)
	var rows [][]string
	for i := range ways {
		row := []string{short(ways[i].Unit), ways[i].Source}
		for _, name := range steps {
			at := slices.IndexFunc(ways[i].Steps, func(s runner.StepWay) bool { return s.Step == name })
			text := "–"
			if at >= 0 && ways[i].Steps[at].State != "" {
				text = string(ways[i].Steps[at].State)
			}
			row = append(row, text)
		}
		rows = append(rows, row)
	}
	report.Table(out, o, header, rows, nil)
	if run.FirstBadStep != "" {
		fmt.Fprintf(out, "\nfirst bad step: %s\n", run.FirstBadStep)
	}
}

// maxJoins is how many units of a fan-in are printed.
const maxJoins = 20

// writeWay prints a line for each step of a unit, where bad data came in, and what
// happened.
func writeWay(out *bytes.Buffer, w *runner.UnitWay, o report.Options) {
	if out.Len() > 0 {
		out.WriteByte('\n')
	}
	fmt.Fprintf(out, "%s  unit %s  %s\ncorrelation %s  run %s\n", w.Pipeline, w.Unit, report.Line(w.Source), w.CorrelationID, w.Run)
	writeSpan(out, w)
	out.WriteByte('\n')
	header := []string{"step", "state", "attempts", "waited", "worked", "cpu", "memory", "rows in", "rows out", "rejected", "verdict"}
	var rows [][]string
	for i := range w.Steps {
		rows = append(rows, stepRow(&w.Steps[i], len(header)))
	}
	report.Table(out, o, header, rows, []bool{false, false, true, true, true, true, true, true, true, true})
	if len(w.Joins) > 0 {
		fmt.Fprintf(out, "\njoins %s:\n", words.Things(len(w.Joins), "unit"))
		for _, j := range w.Joins[:min(len(w.Joins), maxJoins)] {
			fmt.Fprintf(out, "  %s  %s  correlation %s  %s\n", j.Step, short(j.Unit), j.CorrelationID, report.Line(j.Source))
		}
		if more := len(w.Joins) - maxJoins; more > 0 {
			fmt.Fprintf(out, "  and %d more: -o json has all\n", more)
		}
	}
	if w.FirstBadStep != nil {
		fmt.Fprintf(out, "\nbad data came in at: %s\n", *w.FirstBadStep)
	}
	writeEvents(out, w)
}

// writeEvents prints what happened, a line each, with all of its reason.
func writeEvents(out *bytes.Buffer, w *runner.UnitWay) {
	type line struct {
		at        time.Time
		step      string
		what, why string
	}
	var lines []line
	steps, whats := 0, 0
	for i := range w.Steps {
		s := &w.Steps[i]
		for _, ev := range s.Events {
			l := line{ev.At, s.Step, string(ev.Kind), report.Line(ev.Detail)}
			if ev.Worker != "" { // an attempt, else a decision
				l.what += " " + strconv.Itoa(ev.Attempt)
				l.why = strings.TrimSpace(fmt.Sprintf("waited %s, worked %s  %s", seconds(ev.WaitedSeconds), seconds(ev.WorkedSeconds), l.why))
			}
			lines, steps, whats = append(lines, l), max(steps, len(l.step)), max(whats, len(l.what))
		}
	}
	slices.SortStableFunc(lines, func(a, b line) int { return a.at.Compare(b.at) })
	for i, l := range lines {
		if i == 0 {
			out.WriteByte('\n')
		}
		fmt.Fprintf(out, "%s  %-*s  %-*s  %s\n", l.at.Format(timeLayout), steps, l.step, whats, l.what, l.why)
	}
}

// timeLayout is that of what happened to a unit, in UTC.
const timeLayout = "2006-01-02 15:04:05.000"

// writeSpan prints from when to when a unit was on its way.
func writeSpan(out *bytes.Buffer, w *runner.UnitWay) {
	var from, until time.Time
	waited, worked := 0.0, 0.0
	for i := range w.Steps {
		waited, worked = waited+w.Steps[i].WaitedSeconds, worked+w.Steps[i].WorkedSeconds
		for _, ev := range w.Steps[i].Events {
			begun := ev.At.Add(-time.Duration((ev.WaitedSeconds + ev.WorkedSeconds) * float64(time.Second)))
			if from.IsZero() || begun.Before(from) {
				from = begun
			}
			if ev.At.After(until) {
				until = ev.At
			}
		}
	}
	if !from.IsZero() {
		fmt.Fprintf(out, "%s to %s UTC: %s, waited %s, worked %s\n", from.Format(timeLayout), until.Format(timeLayout), seconds(until.Sub(from).Seconds()), seconds(waited), seconds(worked))
	}
}

// stepRow is what a unit met at a step; what is unknown, and all of a step that it
// has not reached, is a dash.
func stepRow(s *runner.StepWay, columns int) []string {
	row := slices.Repeat([]string{"–"}, columns)
	row[0] = s.Step
	if s.State == "" && len(s.Events) == 0 {
		return row
	}
	row[1], row[2], row[3], row[4], row[5] = dash(string(s.State)), strconv.Itoa(s.Attempts), seconds(s.WaitedSeconds), seconds(s.WorkedSeconds), seconds(s.CPUSeconds)
	if s.PeakBytes >= 1<<17 { // else it ended before anybody looked
		row[6] = fmt.Sprintf("%.1f MiB", float64(s.PeakBytes)/(1<<20))
	}
	for i, n := range []*int64{s.RowsIn, s.RowsOut, &s.Rejects} {
		if n != nil {
			row[7+i] = strconv.FormatInt(*n, 10)
		}
	}
	if s.Verdict != nil {
		row[10] = s.Verdict.String()
	}
	return row
}

func (e *env) runsReplayCommand() *cobra.Command {
	var f runsFlags
	cmd := &cobra.Command{
		Use: "replay RUN", Short: "Send all units of a run through the steps again",
		Long: `Makes the units of a run ready again, from the first steps or --from one. A worker,
or the next profiler run, carries them out. What has not changed is not done again
unless --force.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage("name a run: profiler runs replay RUN --from STEP; see profiler runs list")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			l, a, err := e.ledger(cmd, f.store)
			if err != nil {
				return err
			}
			defer a.Close() //nolint:errcheck // everything is written
			run, err := l.Run(cmd.Context(), args[0])
			if errors.Is(err, queue.ErrNotFound) {
				return usage("there is no run %q; see profiler runs list", args[0])
			}
			if err != nil {
				return &app.StoreError{Err: err}
			}
			if steps := l.Steps(run.Pipeline); f.from != "" && !slices.Contains(steps, f.from) {
				return usage("pipeline %s has no step %q; %s", run.Pipeline, f.from, orList(f.from, steps))
			}
			n, err := l.ReplayRun(cmd.Context(), run, f.from, f.force, queue.Decision{Who: e.who(f.by), Why: f.why})
			if err != nil {
				return &app.StoreError{Err: err}
			}
			if n == 0 {
				return usage("run %s has no finished units there", run.ID)
			}
			e.note("%s ready again", words.Things(n, "unit"))
			return nil
		},
	}
	cmd.Flags().StringVar(&f.store, "store", "", "`URL` of the store (default "+defaultStore+")")
	cmd.Flags().StringVar(&f.from, "from", "", "begin at this `step`")
	cmd.Flags().BoolVar(&f.force, "force", false, "do the work again even if nothing has changed")
	cmd.Flags().StringVar(&f.why, "why", "", "the `reason`, kept with the units")
	cmd.Flags().StringVar(&f.by, "by", "", "`who` decides (default: the user of the system)")
	return cmd
}
