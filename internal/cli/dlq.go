package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/profilerhq/profiler/internal/app"
	"github.com/profilerhq/profiler/internal/db"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/queue"
	"github.com/profilerhq/profiler/internal/report"
	"github.com/profilerhq/profiler/internal/runner"
	"github.com/profilerhq/profiler/internal/store"
	"github.com/profilerhq/profiler/internal/words"
)

// recordPrefix stands before the number of a rejected record.
const recordPrefix = "rec-"

// letterFlags pick dead letters.
type letterFlags struct {
	store, pipeline, step, match, cause, since, until string
	records, all                                      bool
	named                                             bool // IDs must be found
	output                                            outputFlags
	// of decisions
	why, by, from, edit, header string
	force                       bool
}

func (e *env) dlqCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "dlq", Short: "Dead letters: units and records that pipelines gave up or keep back",
		RunE: needSubcommand,
	}
	cmd.AddCommand(e.dlqListCommand(), e.dlqShowCommand(), e.dlqReplayCommand(), e.dlqReleaseCommand(), e.dlqDiscardCommand())
	return cmd
}

// pick adds the flags that pick dead letters.
func (f *letterFlags) pick(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.store, "store", "", "`URL` of the store (default "+defaultStore+")")
	cmd.Flags().StringVar(&f.pipeline, "pipeline", "", "only of this `pipeline`")
	cmd.Flags().StringVar(&f.step, "step", "", "only at this `step`")
	cmd.Flags().StringVar(&f.match, "match", "", "only those whose error or reason contains this `text`, in any case of letters; * stands for anything")
	cmd.Flags().StringVar(&f.cause, "cause", "", "only units of this `cause`: "+join(runner.Causes()))
	cmd.Flags().StringVar(&f.since, "since", "", "only those from this `time` on")
	cmd.Flags().StringVar(&f.until, "until", "", "only those before this `time`")
	cmd.Flags().BoolVar(&f.records, "records", false, "single records that steps rejected, instead of units")
}

func (f *letterFlags) decide(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.all, "all", false, "all that the other flags leave, without naming an ID")
	cmd.Flags().StringVar(&f.why, "why", "", "the `reason`, kept with the unit")
	cmd.Flags().StringVar(&f.by, "by", "", "`who` decides (default: the user of the system)")
}

func (e *env) dlqListCommand() *cobra.Command {
	var f letterFlags
	cmd := &cobra.Command{
		Use: "list [ID…]", Short: "List dead letters",
		Long: `Lists units that are dead or kept back by a gate, or with --records the records
that steps rejected. An ID is the beginning of a unit's or a correlation id, or
rec-N for a record.`,
		Example: "  profiler dlq list --step parse --match timeout\n  profiler dlq list --records",
		RunE:    func(cmd *cobra.Command, args []string) error { return e.dlqList(cmd, args, &f) },
	}
	f.pick(cmd)
	f.output.registerTable(cmd)
	return cmd
}

// registerTable adds the output flags of commands that print a table or JSON.
func (f *outputFlags) registerTable(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.format, "output", "o", "table", "`format`: table, json")
	cmd.Flags().StringVar(&f.file, "output-file", "", "write to a `file` instead of standard output")
}

// tableOrJSON checks the format of such a command.
func (f *outputFlags) tableOrJSON() error {
	if f.format != "table" && f.format != "json" {
		return usage("unknown output format %q; write table or json", f.format)
	}
	return nil
}

// ledger opens the units of a store. close has to be called.
func (e *env) ledger(cmd *cobra.Command, url string) (l *runner.Ledger, a *app.App, err error) {
	cfg, err := e.config()
	if err != nil {
		return nil, nil, err
	}
	opts := e.appOptions(cfg)
	opts.Store, opts.StoreMustExist = storeURL(url, cfg), true
	a, err = app.New(cmd.Context(), opts)
	if err != nil {
		return nil, nil, storeOrUsage(err)
	}
	if l, err = a.Ledger(cmd.Context()); err != nil {
		a.Close() //nolint:errcheck // nothing was written
		return nil, nil, err
	}
	return l, a, nil
}

// filter makes a filter of flags and arguments.
func (f *letterFlags) filter(l *runner.Ledger, args []string) (queue.Filter, error) {
	q := queue.Filter{Pipeline: f.pipeline, Step: f.step, Cause: f.cause, Err: f.match}
	if causes := runner.Causes(); f.cause != "" && !contains(causes, f.cause) {
		return q, usage("unknown cause %q; write one of %s", f.cause, join(causes))
	}
	var err error
	if q.Since, err = parseTime("--since", f.since, time.UTC); err != nil {
		return q, err
	}
	if q.Until, err = parseTime("--until", f.until, time.UTC); err != nil {
		return q, err
	}
	if f.pipeline != "" {
		if names := l.Pipelines(); !slices.Contains(names, f.pipeline) {
			slices.Sort(names)
			return q, usage("the store has no pipeline %q; %s", f.pipeline, orList(f.pipeline, names))
		}
	}
	for _, a := range args {
		number, isRecord := strings.CutPrefix(a, recordPrefix)
		if !isRecord {
			q.IDs = append(q.IDs, a)
			continue
		}
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return q, usage("%q is no record; records are named like %s17, see profiler dlq list --records", a, recordPrefix)
		}
		f.records = true
		q.Numbers = append(q.Numbers, n)
	}
	if f.records && f.cause != "" {
		return q, usage("a record has no cause; pick records by --match, a part of their reason")
	}
	if len(q.IDs) > 0 && len(q.Numbers) > 0 {
		return q, usage("name units or records, not both in one call")
	}
	return q, nil
}

// orList hints at the nearest name, or lists what there is.
func orList(name string, names []string) string {
	if hint := diag.Hint(name, names); hint != "" {
		return hint
	}
	if len(names) == 0 {
		return "it has none"
	}
	return "there are " + join(names)
}

func (e *env) dlqList(cmd *cobra.Command, args []string, f *letterFlags) error {
	if err := f.output.tableOrJSON(); err != nil {
		return err
	}
	l, a, err := e.ledger(cmd, f.store)
	if err != nil {
		return err
	}
	defer a.Close() //nolint:errcheck // only read
	q, err := f.filter(l, args)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if f.records {
		err = e.listRecords(cmd.Context(), &out, l, q, f)
	} else {
		err = e.listLetters(cmd.Context(), &out, l, q, f)
	}
	if err != nil {
		return err
	}
	return e.emit(&f.output, &out)
}

func (e *env) listLetters(ctx context.Context, out *bytes.Buffer, l *runner.Ledger, q queue.Filter, f *letterFlags) error {
	letters, err := l.Letters(ctx, q)
	if err != nil {
		return &app.StoreError{Err: err}
	}
	if f.named && len(letters) == 0 {
		return usage("no dead letter is meant by this; see profiler dlq list")
	}
	if f.output.format == "json" {
		return writeJSON(out, letters)
	}
	if len(letters) == 0 {
		out.WriteString("no dead letters\n")
		return nil
	}
	rows := make([][]string, len(letters))
	for i, d := range letters {
		rows[i] = []string{short(d.Unit), d.Pipeline, d.Step, string(d.State), string(d.Cause), strconv.Itoa(d.Attempts), d.At.Format("01-02 15:04"), d.Source, d.Error}
	}
	report.Table(out, e.wideOptions(&f.output), []string{"unit", "pipeline", "step", "state", "cause", "attempts", "at", "source", "error"}, rows,
		[]bool{false, false, false, false, false, true})
	return nil
}

func (e *env) listRecords(ctx context.Context, out *bytes.Buffer, l *runner.Ledger, q queue.Filter, f *letterFlags) error {
	all, err := l.Rejects(ctx, q)
	if err != nil {
		return &app.StoreError{Err: err}
	}
	if f.named && len(all) == 0 {
		return usage("no rejected record is meant by this; see profiler dlq list --records")
	}
	if f.output.format == "json" {
		return writeJSON(out, recordsJSON(all))
	}
	if len(all) == 0 {
		out.WriteString("no rejected records\n")
		return nil
	}
	rows := make([][]string, len(all))
	for i, r := range all {
		rows[i] = []string{recordPrefix + strconv.FormatInt(r.ID, 10), r.Pipeline, r.Step, short(r.Unit), r.Record, r.Reason, r.Body}
	}
	report.Table(out, e.wideOptions(&f.output), []string{"id", "pipeline", "step", "unit", "record", "reason", "body"}, rows, nil)
	return nil
}

// recordJSON is a rejected record as it is printed, and as --edit reads it.
type recordJSON struct {
	ID            string          `json:"id"`
	Pipeline      string          `json:"pipeline"`
	Step          string          `json:"step"`
	Unit          string          `json:"unit"`
	CorrelationID string          `json:"correlation_id"`
	Record        string          `json:"record"`
	Reason        string          `json:"reason"`
	Body          json.RawMessage `json:"body"`
	At            time.Time       `json:"at"`
}

func recordsJSON(all []queue.Reject) []recordJSON {
	out := make([]recordJSON, len(all))
	for i, r := range all {
		body := json.RawMessage(r.Body)
		if !json.Valid(body) || !strings.HasPrefix(strings.TrimSpace(r.Body), "{") {
			body, _ = json.Marshal(r.Body) // a text has a JSON form
		}
		out[i] = recordJSON{
			ID: recordPrefix + strconv.FormatInt(r.ID, 10), Pipeline: r.Pipeline, Step: r.Step, Unit: r.Unit, CorrelationID: r.Correlation,
			Record: r.Record, Reason: r.Reason, Body: body, At: time.UnixMicro(r.AtUS).UTC(),
		}
	}
	return out
}

// wideOptions are those of tables that are cut for a terminal alone.
func (e *env) wideOptions(f *outputFlags) report.Options {
	o := e.reportOptions(f, false)
	if o.Width == 0 {
		o.Width = 10_000
	}
	return o
}

// short cuts a unit's id for a table; the beginning is enough to name it.
func short(id string) string { return id[:min(len(id), 10)] }

func (e *env) dlqShowCommand() *cobra.Command {
	var f letterFlags
	cmd := &cobra.Command{
		Use: "show ID…", Short: "Show dead letters whole, as JSON",
		Args: needID("dlq show"),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.output.format, f.named = "json", true
			return e.dlqList(cmd, args, &f)
		},
	}
	f.pick(cmd)
	cmd.Flags().StringVar(&f.output.file, "output-file", "", "write to a `file` instead of standard output")
	return cmd
}

// needID asks for at least one ID.
func needID(command string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usage("name a unit, a correlation id or a record: profiler %s ID; see profiler dlq list", command)
		}
		return nil
	}
}

// chosen makes sure that a decision is about what somebody named.
func (f *letterFlags) chosen(args []string, command string) error {
	picked := f.pipeline+f.step+f.match+f.cause+f.since+f.until != ""
	if len(args) == 0 && !picked && !f.all {
		return usage("name IDs, or pick dead letters by --pipeline, --step, --match, --cause, --since, --until, or write --all: profiler dlq %s ID…", command)
	}
	return nil
}

func (e *env) decision(f *letterFlags) queue.Decision {
	return queue.Decision{Who: e.who(f.by), Why: f.why}
}

// who is in whose name a command acts: by, else USER, else the user of the system.
func (e *env) who(by string) string {
	if by != "" {
		return by
	}
	if name, _ := e.lookup("USER"); name != "" {
		return name
	}
	u, err := user.Current()
	if err != nil {
		return ""
	}
	return u.Username
}

// decided carries a decision out for each dead letter that is picked.
func (e *env) decided(cmd *cobra.Command, args []string, f *letterFlags, what string, each func(*app.App, *runner.Ledger, *runner.DeadLetter) error, records func(*runner.Ledger, []queue.Reject) error) error {
	if err := f.chosen(args, cmd.Name()); err != nil {
		return err
	}
	l, a, err := e.ledger(cmd, f.store)
	if err != nil {
		return err
	}
	defer a.Close() //nolint:errcheck // everything is written
	q, err := f.filter(l, args)
	if err != nil {
		return err
	}
	if f.records {
		return e.decidedRecords(cmd, l, q, what, records)
	}
	letters, err := l.Letters(cmd.Context(), q)
	if err != nil {
		return &app.StoreError{Err: err}
	}
	if len(letters) == 0 {
		return usage("no dead letter is meant by this; see profiler dlq list")
	}
	n := 0
	for i := range letters {
		err := each(a, l, &letters[i])
		if errors.Is(err, queue.ErrNotFound) {
			e.note("%s", f.unfit(&letters[i], what))
			continue
		}
		if err != nil {
			return err
		}
		n++
	}
	if n == 0 {
		return usage("nothing was %s", what)
	}
	e.note("%s %s", words.Things(n, "unit"), what)
	return nil
}

// unfit says why a decision cannot be carried out for a dead letter.
func (f *letterFlags) unfit(d *runner.DeadLetter, what string) string {
	switch at := short(d.Unit) + " at " + d.Step; {
	case f.from != "":
		return fmt.Sprintf("%s is %s and has not come through %s; leave out --from, or name a step before", at, d.State, f.from)
	case d.State == runner.Dead:
		return fmt.Sprintf("%s is dead and has no output that could be %s; replay or discard it", at, what)
	default:
		return at + " is not a dead letter any more"
	}
}

func (e *env) decidedRecords(cmd *cobra.Command, l *runner.Ledger, q queue.Filter, what string, records func(*runner.Ledger, []queue.Reject) error) error {
	if records == nil {
		return usage("single records cannot be %s; name units", what)
	}
	all, err := l.Rejects(cmd.Context(), q)
	if err != nil {
		return &app.StoreError{Err: err}
	}
	if len(all) == 0 {
		return usage("no rejected record is meant by this; see profiler dlq list --records")
	}
	if err := records(l, all); err != nil {
		return err
	}
	e.note("%s %s", words.Things(len(all), "record"), what)
	return nil
}

func (e *env) dlqReplayCommand() *cobra.Command {
	var f letterFlags
	cmd := &cobra.Command{
		Use: "replay [ID…]", Short: "Send dead letters through their step again",
		Long: `Makes dead letters ready again; a worker, or the next profiler run, carries them
out (profiler worker --drain PIPELINE.yaml does it at once). What has not changed
is not done again unless --force.

Records of one step become one new unit. --edit takes their corrected bodies from
a file in the form that profiler dlq show prints.`,
		Example: "  profiler dlq replay --step parse --cause timeout\n  profiler dlq show --records rec-1 > r.json && $EDITOR r.json && profiler dlq replay rec-1 --edit r.json",
		RunE: func(cmd *cobra.Command, args []string) error {
			each := func(_ *app.App, l *runner.Ledger, d *runner.DeadLetter) error {
				return l.Replay(cmd.Context(), d.Key(), f.from, f.force, e.decision(&f))
			}
			records := func(l *runner.Ledger, all []queue.Reject) error {
				if err := edited(all, f.edit); err != nil {
					return err
				}
				id, err := l.ReplayRejects(cmd.Context(), all, f.header, e.decision(&f))
				if err == nil {
					e.note("the new unit is %s", id)
				}
				return err
			}
			return e.decided(cmd, args, &f, "ready again", each, records)
		},
	}
	f.pick(cmd)
	f.decide(cmd)
	cmd.Flags().StringVar(&f.from, "from", "", "begin at this `step` instead of the one that gave the unit up")
	cmd.Flags().BoolVar(&f.force, "force", false, "do the work again even if nothing has changed")
	cmd.Flags().StringVar(&f.edit, "edit", "", "`file` with corrected records")
	cmd.Flags().StringVar(&f.header, "header", "", "`line` to put before the records, such as the header of a CSV file")
	return cmd
}

// edited replaces the bodies of records by those of a file.
func edited(all []queue.Reject, path string) error {
	if path == "" {
		return nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return readError("--edit", err)
	}
	var bodies []recordJSON
	if err := json.Unmarshal(data, &bodies); err != nil {
		return usage("--edit %s: %v; it holds what profiler dlq show prints", path, err)
	}
	for i := range all {
		id := recordPrefix + strconv.FormatInt(all[i].ID, 10)
		at := slices.IndexFunc(bodies, func(b recordJSON) bool { return b.ID == id })
		if at < 0 {
			return usage("--edit %s has no record %s", path, id)
		}
		var text string
		if json.Unmarshal(bodies[at].Body, &text) != nil {
			var line bytes.Buffer
			if err := json.Compact(&line, bodies[at].Body); err != nil {
				return usage("--edit %s: record %s: %v", path, id, err)
			}
			text = line.String()
		}
		all[i].Body = text
	}
	return nil
}

func (e *env) dlqReleaseCommand() *cobra.Command {
	var f letterFlags
	cmd := &cobra.Command{
		Use: "release [ID…]", Short: "Let kept outputs go on: the data is right",
		Long: `Lets outputs that a gate keeps back go on, and labels their batches fine, so that
they are part of the baselines. A closed gate opens when no such unit is left.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			each := func(a *app.App, l *runner.Ledger, d *runner.DeadLetter) error {
				who := e.decision(&f)
				return l.Release(cmd.Context(), d.Key(), who, func(tx *db.Tx) error {
					return a.Store.LabelUnit(cmd.Context(), tx, d.Pipeline, d.Step, d.Unit, store.LabelFine, who.Who)
				})
			}
			return e.decided(cmd, args, &f, "released", each, nil)
		},
	}
	f.pick(cmd)
	f.decide(cmd)
	return cmd
}

func (e *env) dlqDiscardCommand() *cobra.Command {
	var f letterFlags
	cmd := &cobra.Command{
		Use: "discard [ID…]", Short: "Give dead letters up for good",
		RunE: func(cmd *cobra.Command, args []string) error {
			each := func(_ *app.App, l *runner.Ledger, d *runner.DeadLetter) error {
				return l.Discard(cmd.Context(), d.Key(), e.decision(&f))
			}
			records := func(l *runner.Ledger, all []queue.Reject) error {
				return l.DiscardRejects(cmd.Context(), all, e.decision(&f))
			}
			return e.decided(cmd, args, &f, "discarded", each, records)
		},
	}
	f.pick(cmd)
	f.decide(cmd)
	return cmd
}

// seconds writes a time for people.
func seconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	switch {
	case d >= time.Minute:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	}
	return fmt.Sprint(d.Round(time.Millisecond))
}
