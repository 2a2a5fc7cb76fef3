package cli

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/profilerhq/profiler/internal/alert"
	"github.com/profilerhq/profiler/internal/app"
	"github.com/profilerhq/profiler/internal/rules"
	"github.com/profilerhq/profiler/internal/store"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

func (e *env) alertCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "alert", Short: "Incidents and the messages about them",
		Long: `Lists incidents, notes what people do with them, and tries the channels that they
are told to. An incident is named by its id, the beginning of it, or its dataset.`,
		RunE: needSubcommand,
	}
	cmd.AddCommand(e.alertListCommand(), e.alertAckCommand(), e.alertSnoozeCommand(), e.alertAnswerCommand(), e.alertTestCommand(), e.alertPreviewCommand())
	return cmd
}

// alertApp opens the store and the channels of the configuration.
func (e *env) alertApp(cmd *cobra.Command, url string) (*app.App, error) {
	cfg, err := e.config()
	if err != nil {
		return nil, err
	}
	o := e.appOptions(cfg)
	o.Store, o.StoreMustExist = storeURL(url, cfg), true
	a, err := app.New(cmd.Context(), o)
	if err != nil {
		return nil, storeOrUsage(err)
	}
	return a, nil
}

// alertListFlags are those of profiler alert list.
type alertListFlags struct {
	store, dataset string
	all            bool
	output         outputFlags
}

func (e *env) alertListCommand() *cobra.Command {
	var f alertListFlags
	cmd := &cobra.Command{
		Use: "list", Short: "List incidents, those that are not resolved if nothing else is said", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return e.alertList(cmd, &f) },
	}
	cmd.Flags().StringVar(&f.store, "store", "", "`URL` of the history (default "+defaultStore+")")
	cmd.Flags().StringVar(&f.dataset, "dataset", "", "only those of a `dataset`")
	cmd.Flags().BoolVar(&f.all, "all", false, "resolved ones too")
	f.output.registerTable(cmd)
	return cmd
}

func (e *env) alertList(cmd *cobra.Command, f *alertListFlags) error {
	if err := f.output.tableOrJSON(); err != nil {
		return err
	}
	a, err := e.alertApp(cmd, f.store)
	if err != nil {
		return err
	}
	defer a.Close() //nolint:errcheck // only read
	q := store.IncidentQuery{Open: !f.all}
	if f.dataset != "" {
		q.Dataset = rules.DatasetName(f.dataset)
	}
	found, err := a.Store.Incidents(cmd.Context(), q)
	if err != nil {
		return &app.StoreError{Err: err}
	}
	if f.output.format == "json" {
		if found == nil {
			found = []alert.Incident{}
		}
		return e.emitJSON(&f.output, found)
	}
	if len(found) == 0 {
		e.note("no incident%s", map[bool]string{true: "", false: " is open"}[f.all])
		return nil
	}
	var out bytes.Buffer
	e.incidentTable(&out, found)
	return e.emit(&f.output, &out)
}

// incidentTable writes an incident in two lines: its columns, and what was
// found first.
func (e *env) incidentTable(out *bytes.Buffer, found []alert.Incident) {
	wide := len("DATASET")
	for i := range found {
		wide = max(wide, len([]rune(alert.Clean(found[i].Dataset))))
	}
	fmt.Fprintf(out, "%-26s  %-*s  %-12s  %-8s  %7s  %s\n", "INCIDENT", wide, "DATASET", "STATUS", "SEVERITY", "BATCHES", "SINCE")
	for k := range found {
		i := &found[k]
		dataset := alert.Clean(i.Dataset)
		fmt.Fprintf(out, "%-26s  %s%s  %-12s  %-8s  %7d  %s\n", i.ID, dataset, strings.Repeat(" ", wide-len([]rune(dataset))), i.Status, i.Severity, i.Batches,
			i.OpenedAt.UTC().Format("2006-01-02 15:04"))
		what := alert.Lead(i)
		if st := alert.State(i); st != "" {
			what = st + " · " + what
		}
		if i.Silenced != "" {
			what = "silenced: " + alert.Clean(i.Silenced) + " · " + what
		}
		fmt.Fprintf(out, "    %s\n", alert.Shorten(what, 150))
	}
}

func (e *env) emitJSON(f *outputFlags, v any) error {
	var out bytes.Buffer
	if err := writeJSON(&out, v); err != nil {
		return err
	}
	return e.emit(f, &out)
}

// alertActFlags are those of commands that change an incident.
type alertActFlags struct{ store, by string }

func (f *alertActFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.store, "store", "", "`URL` of the history (default "+defaultStore+")")
	cmd.Flags().StringVar(&f.by, "by", "", "`name` of who does it (default: the user of this machine)")
}

// onIncident finds the incident that is named and changes it. The messages
// about it change as far as that is possible at once.
func (e *env) onIncident(cmd *cobra.Command, name string, f *alertActFlags, change func(a *app.App, i *alert.Incident, who string) error) error {
	a, err := e.alertApp(cmd, f.store)
	if err != nil {
		return err
	}
	defer a.Close() //nolint:errcheck // everything is written
	i, err := a.FindIncident(cmd.Context(), name)
	if errors.Is(err, store.ErrNotFound) {
		return usage("%v; profiler alert list --all shows them", strings.TrimSuffix(err.Error(), ": "+store.ErrNotFound.Error()))
	}
	if err != nil {
		return &app.StoreError{Err: err}
	}
	who := e.who(f.by)
	if err := change(a, i, who); err != nil {
		return usage("%v", err)
	}
	now, err := a.FindIncident(cmd.Context(), i.ID)
	if err != nil {
		return &app.StoreError{Err: err}
	}
	text := string(now.Status)
	if st := alert.State(now); st != "" {
		text = st
	}
	e.note("%s: %s", alert.Clean(now.Dataset), text)
	return nil
}

// oneIncident wants the name of an incident and so many words more.
func oneIncident(more int, example string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1+more {
			return usage("name an incident: %s", example)
		}
		return nil
	}
}

func (e *env) alertAckCommand() *cobra.Command {
	var f alertActFlags
	cmd := &cobra.Command{
		Use: "ack INCIDENT", Short: "Acknowledge an incident: somebody looks after it, nobody is reminded",
		Example: "  profiler alert ack shop/orders", Args: oneIncident(0, "profiler alert ack shop/orders"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.onIncident(cmd, args[0], &f, func(a *app.App, i *alert.Incident, who string) error {
				return a.Acknowledge(cmd.Context(), i.ID, who)
			})
		},
	}
	f.register(cmd)
	return cmd
}

func (e *env) alertSnoozeCommand() *cobra.Command {
	var f alertActFlags
	var span string
	var next bool
	cmd := &cobra.Command{
		Use: "snooze INCIDENT", Short: "Be told nothing of an incident for a while",
		Example: "  profiler alert snooze shop/orders --for 8h\n  profiler alert snooze shop/orders --until-next-batch",
		Args:    oneIncident(0, "profiler alert snooze shop/orders --for 8h"),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := yamldoc.ParseDuration(span)
			switch {
			case next && cmd.Flags().Changed("for"):
				return usage("--for and --until-next-batch exclude each other")
			case err != nil || d <= 0:
				return usage("--for %q: write a time span such as 8h", span)
			}
			return e.onIncident(cmd, args[0], &f, func(a *app.App, i *alert.Incident, who string) error {
				until := time.Now().Add(d)
				if next {
					until = time.Time{}
				}
				return a.Snooze(cmd.Context(), i.ID, who, until)
			})
		},
	}
	f.register(cmd)
	cmd.Flags().StringVar(&span, "for", "1h", "for this `time`")
	cmd.Flags().BoolVar(&next, "until-next-batch", false, "until its next bad batch")
	return cmd
}

func (e *env) alertAnswerCommand() *cobra.Command {
	var f alertActFlags
	cmd := &cobra.Command{
		Use: "answer INCIDENT ANSWER", Short: "Say whether an incident is real",
		Long: `Says what the bad batches of an incident are, as profiler history label does:
  real        a true find: they stay out of the baselines, and you look after it
  fine        normal: they are part of the baselines, and the incident is closed
  fine-once   an exception: they stay out of the baselines, and it is closed
  new-normal  the beginning of a new level, and it is closed`,
		Example: "  profiler alert answer shop/orders real", Args: oneIncident(1, "profiler alert answer shop/orders real"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.onIncident(cmd, args[0], &f, func(a *app.App, i *alert.Incident, who string) error {
				return a.Answer(cmd.Context(), i.ID, alert.Answer(args[1]), who)
			})
		},
	}
	f.register(cmd)
	return cmd
}

func (e *env) alertTestCommand() *cobra.Command {
	var keep bool
	cmd := &cobra.Command{
		Use: "test CHANNEL", Short: "Send a sample to a channel and say what came back",
		Long: `Sends a sample incident to a channel of the configuration, and then its end,
beside the outbox and without a store. Exit code 3 says that it was not taken.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage("name a channel of alerts.channels: profiler alert test data")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return e.alertTest(cmd, args[0], keep) },
	}
	cmd.Flags().BoolVar(&keep, "keep", false, "do not end the sample")
	return cmd
}

func (e *env) alertTest(cmd *cobra.Command, channel string, keep bool) error {
	a, err := e.channelsOnly(cmd)
	if err != nil {
		return err
	}
	defer a.Close() //nolint:errcheck // nothing is open
	start := time.Now()
	out, err := a.Try(cmd.Context(), channel, keep)
	switch {
	case err != nil:
		return usage("%v", err)
	case out.Err != nil:
		return &exitError{exitUnjudged, fmt.Sprintf("channel %s: %v (%s, tries: %d)", channel, out.Err, out.Reason, out.Tries)}
	}
	place := ""
	if out.Thread.Message != "" {
		place = " as " + strings.Trim(alert.Clean(out.Thread.Channel+" "+out.Thread.Message), " ")
	}
	e.note("channel %s: delivered%s in %s", channel, place, time.Since(start).Round(time.Millisecond))
	return nil
}

// channelsOnly is an app without a store.
func (e *env) channelsOnly(cmd *cobra.Command) (*app.App, error) {
	cfg, err := e.config()
	if err != nil {
		return nil, err
	}
	a, err := app.New(cmd.Context(), e.appOptions(cfg))
	if err != nil {
		return nil, usage("%v", err)
	}
	return a, nil
}

// alertPreviewFlags are those of profiler alert preview.
type alertPreviewFlags struct {
	store, channel string
	output         outputFlags
}

func (e *env) alertPreviewCommand() *cobra.Command {
	var f alertPreviewFlags
	cmd := &cobra.Command{
		Use: "preview [INCIDENT]", Short: "Show the message about an incident, or about a sample, without sending it",
		Example: "  profiler alert preview --channel data -o json\n  profiler alert preview shop/orders",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage("name one incident: profiler alert preview shop/orders")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return e.alertPreview(cmd, args, &f) },
	}
	cmd.Flags().StringVar(&f.store, "store", "", "`URL` of the history (default "+defaultStore+")")
	cmd.Flags().StringVar(&f.channel, "channel", "", "as this `channel` of alerts.channels is sent it (default: the first)")
	cmd.Flags().StringVarP(&f.output.format, "output", "o", "text", "`format`: text, json")
	cmd.Flags().StringVar(&f.output.file, "output-file", "", "write to a `file` instead of standard output")
	return cmd
}

func (e *env) alertPreview(cmd *cobra.Command, args []string, f *alertPreviewFlags) error {
	if f.output.format != "text" && f.output.format != "json" {
		return usage("unknown output format %q; write text or json", f.output.format)
	}
	a, i, err := e.previewed(cmd, args, f)
	if err != nil {
		return err
	}
	defer a.Close() //nolint:errcheck // only read
	channel := f.channel
	if channel == "" {
		channel = a.FirstChannel()
	}
	m := alert.Message{Key: alert.Key(i.ID, i.Revision, alert.EventOpened, channel), Channel: channel, Event: alert.EventOpened, Incident: *i}
	if i.Status == alert.Resolved {
		m.Event = alert.EventResolved
	}
	m.Incident.Threads = nil // as if it was told for the first time
	body, err := a.Preview(channel, m)
	if err != nil {
		return usage("%v", err)
	}
	if f.output.format == "json" {
		return e.emitJSON(&f.output, body)
	}
	return e.emit(&f.output, bytes.NewBufferString(alert.Text(&m)+"\n"))
}

// previewed returns the incident that is named, or a sample.
func (e *env) previewed(cmd *cobra.Command, args []string, f *alertPreviewFlags) (*app.App, *alert.Incident, error) {
	if len(args) == 0 {
		a, err := e.channelsOnly(cmd)
		sample := alert.Sample(time.Now())
		return a, &sample, err
	}
	a, err := e.alertApp(cmd, f.store)
	if err != nil {
		return nil, nil, err
	}
	i, err := a.FindIncident(cmd.Context(), args[0])
	if err != nil {
		a.Close() //nolint:errcheck // the other error counts
		if errors.Is(err, store.ErrNotFound) {
			return nil, nil, usage("there is no incident %q; profiler alert list --all shows them", args[0])
		}
		return nil, nil, &app.StoreError{Err: err}
	}
	return a, i, nil
}
