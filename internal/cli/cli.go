// Package cli is the command line: one file for each command, and the only
// reader of flags.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/profilerhq/profiler/internal/app"
	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/runner"
)

// The exit codes of the contract.
const (
	exitOK          = 0
	exitFail        = 1   // the verdict is fail
	exitUsage       = 2   // wrong usage, unreadable or invalid rules, pipeline or config
	exitUnjudged    = 3   // data unreadable, source unreachable, a check ended in error
	exitInterrupted = 130 // Ctrl-C
)

// exitError ends the program with a code after its message, if it has one.
type exitError struct {
	code    int
	message string
}

func (e *exitError) Error() string { return e.message }

func usage(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Sprintf(format, args...)}
}

// env is what commands see of the world outside.
type env struct {
	version        string
	stdin          io.Reader
	stdout, stderr io.Writer
	lookup         func(string) (string, bool)
	global         globalFlags
	log            *slog.Logger
	sensitive      sensitiveNotes
}

type globalFlags struct {
	config, overlay string
	quiet, noColor  bool
	verbose         bool
}

// Run executes the command line and returns the exit code.
func Run(ctx context.Context, args []string, version string, stdin io.Reader, stdout, stderr io.Writer) (code int) {
	defer func() {
		if p := recover(); p != nil { // a mistake of ours; nobody can repair it from a stack
			fmt.Fprintf(stderr, "profiler: a mistake of the program: %v; please report it with the command and its input\n", p)
			if slices.Contains(args, "-v") || slices.Contains(args, "--verbose") {
				fmt.Fprintf(stderr, "%s", debug.Stack())
			}
			code = exitUnjudged
		}
	}()
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	e := &env{version: version, stdin: stdin, stdout: stdout, stderr: stderr, lookup: os.LookupEnv}
	root := e.root()
	root.SetArgs(pairSplit(args))
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if ctx.Err() != nil && err != nil {
		e.message("interrupted")
		return exitInterrupted
	}
	return e.report(err)
}

// report prints an error and returns its exit code.
func (e *env) report(err error) int {
	if err == nil {
		return exitOK
	}
	var coded *exitError
	var diags diag.List
	switch {
	case errors.As(err, &coded):
		if coded.message != "" {
			e.message(coded.message)
		}
		return coded.code
	case errors.As(err, &diags):
		return exitUsage // printed with excerpts
	case isUnjudged(err):
		e.message(err.Error())
		return exitUnjudged
	}
	e.message(err.Error())
	return exitUsage
}

// isUnjudged tells data and stores that cannot be read from wrong usage.
func isUnjudged(err error) bool {
	var data *batch.DataError
	var st *app.StoreError
	return errors.As(err, &data) || errors.As(err, &st) || errors.Is(err, profile.ErrFormat) || errors.Is(err, syscall.ENOSPC) ||
		errors.Is(err, runner.ErrBusy) || errors.Is(err, runner.ErrSource) || errors.Is(err, runner.ErrStore) || isStoreTrouble(err)
}

// message prints one message to stderr, with the program's name.
func (e *env) message(text string) {
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		fmt.Fprintf(e.stderr, "profiler: %s\n", line)
	}
}

// note prints a remark to stderr unless -q is given.
func (e *env) note(format string, args ...any) {
	if !e.global.quiet {
		e.message(fmt.Sprintf(format, args...))
	}
}

const about = `profiler profiles data, judges it by rules in YAML, and watches pipelines.

Exit codes: 0 pass or warn, 1 fail, 2 wrong usage or invalid rules, 3 could not
judge. Data goes to stdout, messages go to stderr.`

const exitCodes = `  0    the verdict is pass or warn
  1    the verdict is fail (--fail-on warn|fail|never); a gate blocked, or units are dead
  2    wrong usage; unreadable or invalid rules, pipeline or configuration
  3    could not judge: data unreadable, source or store unreachable, a check ended in error
  130  interrupted by Ctrl-C

The worst one wins in the order 2, 3, 1, 0. --fail-on never hides 1, never 2 or 3.`

func (e *env) root() *cobra.Command {
	root := &cobra.Command{
		Use: "profiler", Short: "Data quality profiling and monitoring", Long: about,
		SilenceErrors: true, SilenceUsage: true,
		PersistentPreRunE: func(cmd *cobra.Command, args []string) error {
			// An ID that is empty would mean all. What completes a line is asked about nothing, too.
			if slices.Contains(args, "") && !strings.HasPrefix(cmd.Name(), cobra.ShellCompRequestCmd) {
				return usage("an argument is empty, as of a variable that is not set; see %s --help", cmd.CommandPath())
			}
			return e.prepare(cmd)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return cmd.Help()
		},
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			names := []string{}
			for _, c := range cmd.Commands() {
				names = append(names, c.Name())
			}
			hint := diag.Hint(args[0], names)
			if hint == "" {
				hint = "see profiler help"
			}
			return usage("unknown command %q; %s", args[0], hint)
		},
	}
	f := root.PersistentFlags()
	f.StringVar(&e.global.config, "config", "", "configuration `file` (default: profiler.yaml if it exists)")
	f.StringVar(&e.global.overlay, "env", "", "`overlay` of the configuration to use")
	f.BoolVarP(&e.global.quiet, "quiet", "q", false, "print no messages but errors")
	f.BoolVarP(&e.global.verbose, "verbose", "v", false, "print more")
	f.BoolVar(&e.global.noColor, "no-color", false, "print without colours")
	root.Version = e.version // adds the flag --version
	root.SetVersionTemplate(e.versionText())
	root.Flags().BoolP("version", "", false, "print the version")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage("%s; see %s --help", flagMessage(cmd, err), cmd.CommandPath())
	})
	root.AddCommand(
		e.profileCommand(),
		e.checkCommand(),
		e.tapCommand(),
		e.mergeCommand(),
		e.runCommand(),
		e.workerCommand(),
		e.pipelineCommand(),
		e.runsCommand(),
		e.dlqCommand(),
		e.serveCommand(),
		e.demoCommand(),
		e.historyCommand(),
		e.storeCommand(),
		e.alertCommand(),
		e.rulesCommand(),
		e.dashboardsCommand(),
		e.configCommand(),
		e.initCommand(),
		e.benchCommand(),
		e.versionCommand(),
	)
	root.AddCommand(&cobra.Command{Use: "exit-codes", Short: "What the exit codes say", Long: exitCodes})
	root.SetHelpCommand(&cobra.Command{
		Use: "help [COMMAND]", Short: "Help about a command",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return usage("there is no command %q; profiler --help lists all", strings.Join(args, " "))
			}
			return c.Help()
		},
	})
	root.CompletionOptions.HiddenDefaultCmd = false
	root.InitDefaultCompletionCmd()
	if c, _, err := root.Find([]string{"completion"}); err == nil {
		c.Args, c.RunE = nil, needSubcommand // a shell that is not known gave the help text and 0
	}
	return root
}

// flagMessage adds the nearest flag to the message about an unknown one.
func flagMessage(cmd *cobra.Command, err error) string {
	text, _, _ := strings.Cut(err.Error(), ": strconv.")
	name, ok := strings.CutPrefix(text, "unknown flag: --")
	if !ok {
		return text
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if near, ok := diag.Nearest(name, names); ok {
		text += "; did you mean --" + near + "?"
	}
	return text
}

// reserved are environment variables that pipelines give to their steps; they
// never set a flag.
var reserved = map[string]bool{
	"PROFILER_UNIT_ID": true, "PROFILER_ATTEMPT": true, "PROFILER_CORRELATION_ID": true, "PROFILER_IDEMPOTENCY_KEY": true,
	"PROFILER_RUN_ID": true, "PROFILER_PIPELINE": true, "PROFILER_STEP": true, "PROFILER_INPUT": true, "PROFILER_OUTPUT": true,
	"PROFILER_CANARY": true,
}

// prepare fills flags that were not given from the environment and makes the
// logger.
func (e *env) prepare(cmd *cobra.Command) error {
	var failed error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		name := "PROFILER_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value, ok := e.lookup(name)
		if !ok || value == "" || f.Changed || reserved[name] || f.Name == "help" || failed != nil {
			return
		}
		if err := cmd.Flags().Set(f.Name, value); err != nil {
			failed = usage("environment variable %s: %s", name, flagMessage(cmd, err))
		}
	})
	level := slog.LevelError + 1 // commands say themselves what happens; serve logs
	switch {
	case cmd.Name() == "serve" && e.global.quiet:
		level = slog.LevelError
	case cmd.Name() == "serve", e.global.verbose:
		level = slog.LevelInfo
	}
	e.log = slog.New(slog.NewTextHandler(e.stderr, &slog.HandlerOptions{Level: level}))
	return failed
}

// terminal reports whether a stream is a terminal, and its file.
func terminal(v any) (*os.File, bool) {
	f, ok := v.(*os.File)
	return f, ok && isatty.IsTerminal(f.Fd())
}

// color reports whether output to the stream may be coloured.
func (e *env) color(v any) bool {
	_, tty := terminal(v)
	noColor, set := e.lookup("NO_COLOR")
	term, _ := e.lookup("TERM")
	return tty && !e.global.noColor && (!set || noColor == "") && term != "dumb"
}

// readError rewords errors of files that a user named.
func readError(what string, err error) error {
	var pe *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist) && errors.As(err, &pe):
		return usage("%s: %s: no such file or folder; check the path", what, pe.Path)
	case errors.As(err, &pe):
		return usage("%s: %s: %v", what, pe.Path, pe.Err)
	case errors.Is(err, fs.ErrNotExist):
		return usage("%s", strings.Replace(err.Error(), "no such file or directory", "no such file or folder; check the path", 1))
	}
	return err
}

// printDiagnostics prints problems with excerpts of their files.
func (e *env) printDiagnostics(diags diag.List, text func(file string) []byte) {
	for _, d := range diags.Sorted() {
		diag.Excerpt(e.stderr, d, text(d.Pos.File))
	}
}
