package cli

import (
	"bytes"

	"github.com/spf13/cobra"

	"github.com/profilerhq/profiler/internal/rulesdoc"
)

func (e *env) rulesDocsCommand() *cobra.Command {
	var out outputFlags
	cmd := &cobra.Command{
		Use: "docs [FILE|FOLDER...]", Short: "Write a catalogue of rules for people who own the data",
		Long:    "Writes what is expected of each dataset in words: its owner, and each check with\nwhat it tolerates, its severity and its note. HTML is one file that needs no other.",
		Example: "  profiler rules docs rules/ -o html --output-file expectations.html",
		RunE: func(_ *cobra.Command, args []string) error {
			if !contains([]string{"markdown", "html"}, out.format) {
				return usage("unknown output format %q; write markdown or html", out.format)
			}
			cfg, err := e.config()
			if err != nil {
				return err
			}
			lib, err := e.loadRules(args, cfg)
			if err != nil {
				return err
			}
			if len(lib.Sets) == 0 {
				return usage("there are no rules to write about; name a file or folder")
			}
			c := rulesdoc.New(lib.Sets)
			var b bytes.Buffer
			write := c.Markdown
			if out.format == "html" {
				write = c.HTML
			}
			if err := write(&b); err != nil {
				return err
			}
			return e.emit(&out, &b)
		},
	}
	cmd.Flags().StringVarP(&out.format, "output", "o", "markdown", "`format`: markdown, html")
	cmd.Flags().StringVar(&out.file, "output-file", "", "write to a `file` instead of standard output")
	return cmd
}
