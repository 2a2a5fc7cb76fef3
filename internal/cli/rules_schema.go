package cli

import (
	"bytes"

	"github.com/spf13/cobra"

	"github.com/profilerhq/profiler/internal/rules"
)

func (e *env) rulesSchemaCommand() *cobra.Command {
	var out outputFlags
	cmd := &cobra.Command{
		Use: "schema", Short: "Print the JSON Schema of rule files",
		Long: `Prints the JSON Schema (draft 2020-12) of rule files. Editors complete and
check by it; name it in the first line of a rule file:

  # yaml-language-server: $schema=./profiler.schema.json`,
		Example: "  profiler rules schema --output-file rules/profiler.schema.json",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			return e.emit(&out, bytes.NewBuffer(rules.Schema()))
		},
	}
	cmd.Flags().StringVar(&out.file, "output-file", "", "write to this `file` instead of standard output")
	return cmd
}
