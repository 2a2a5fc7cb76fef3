package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/profilerhq/profiler/internal/app"
	"github.com/profilerhq/profiler/internal/queue"
	"github.com/profilerhq/profiler/internal/store"
	"github.com/profilerhq/profiler/internal/words"
)

func (e *env) storeCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "store", Short: "Copy, check and tidy up the store", RunE: needSubcommand}
	cmd.AddCommand(e.storeCopyCommand(), e.storeCheckCommand(), e.storeVacuumCommand())
	return cmd
}

func (e *env) storeCopyCommand() *cobra.Command {
	return &cobra.Command{
		Use: "copy FROM TO", Short: "Copy everything into an empty store, such as from SQLite to Postgres",
		Long: `Copies the history, incidents, messages that wait, and the units of pipelines into
an empty store, all or nothing. Stop what writes to the first one meanwhile. Outputs
of pipelines are files and stay where they are.`,
		Example: "  profiler store copy sqlite:profiler.db 'postgres://profiler@db:5432/profiler?sslmode=require'",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usage("name two stores: profiler store copy sqlite:profiler.db postgres://…")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			from, err := e.adminStore(cmd, args[0], true)
			if err != nil {
				return err
			}
			defer from.Close() //nolint:errcheck // only read
			to, err := e.adminStore(cmd, args[1], false)
			if err != nil {
				return err
			}
			total := int64(0)
			err = from.CopyTo(cmd.Context(), to, func(table string, rows int64) {
				total += rows
				e.note("%-12s %s", table, words.Things(int(rows), "row"))
			})
			if err != nil {
				to.Close() //nolint:errcheck // nothing was written
				return &app.StoreError{Err: err}
			}
			e.note("%s copied from %s to %s", words.Things(int(total), "row"), from, to)
			return to.Close()
		},
	}
}

// adminStore opens a store with all its tables.
func (e *env) adminStore(cmd *cobra.Command, url string, exists bool) (*store.Store, error) {
	s, err := store.Open(cmd.Context(), url, store.Options{Logger: e.log, MustExist: exists})
	if err != nil {
		return nil, storeError(err)
	}
	if _, err := queue.Open(cmd.Context(), s.DB(), queue.Options{}); err != nil {
		s.Close() //nolint:errcheck // nothing was written
		return nil, &app.StoreError{Err: err}
	}
	return s, nil
}

func (e *env) storeCheckCommand() *cobra.Command {
	var url string
	cmd := &cobra.Command{
		Use: "check", Short: "Look for damage in the store", Args: noArgs,
		Long: `Asks the database for damage, decodes every stored profile and reads every result.
Exit code 0: nothing found. 3: what is damaged is listed.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := e.openStore(cmd, url)
			if err != nil {
				return err
			}
			defer s.Close() //nolint:errcheck // only read
			problems, looked, err := s.Check(cmd.Context())
			if err != nil {
				return &app.StoreError{Err: err}
			}
			for _, p := range problems {
				fmt.Fprintln(e.stdout, p)
			}
			if len(problems) > 0 {
				return &exitError{exitUnjudged, fmt.Sprintf("%s: %s; restore a backup, or remove what is named and record it again", s, words.Things(len(problems), "problem"))}
			}
			fmt.Fprintf(e.stdout, "%s: %s looked at, no problems\n", s, words.Things(looked, "record"))
			return nil
		},
	}
	cmd.Flags().StringVar(&url, "store", "", "`URL` of the store (default "+defaultStore+")")
	return cmd
}

func (e *env) storeVacuumCommand() *cobra.Command {
	var url string
	cmd := &cobra.Command{
		Use: "vacuum", Short: "Give free space of the store back to the system", Args: noArgs,
		Long: `Rewrites the store without its free space and brings its statistics up to date. It
waits for others and makes them wait, and needs the size of the store once more on
the disk.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := e.openStore(cmd, url)
			if err != nil {
				return err
			}
			before, after, err := s.Vacuum(cmd.Context())
			if err != nil {
				s.Close() //nolint:errcheck // nothing was written
				return &app.StoreError{Err: err}
			}
			said := fmt.Sprintf("%s before, %s after", words.Size(before), words.Size(after))
			if after >= before { // the statistics take some room too
				said = words.Size(after) + ", there was no free space to give back"
			}
			fmt.Fprintf(e.stdout, "%s: %s\n", s, said)
			return s.Close()
		},
	}
	cmd.Flags().StringVar(&url, "store", "", "`URL` of the store (default "+defaultStore+")")
	return cmd
}
