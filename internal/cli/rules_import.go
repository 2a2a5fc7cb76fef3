package cli

import (
	"bytes"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/profilerhq/profiler/internal/dbt"
	"github.com/profilerhq/profiler/internal/gx"
	"github.com/profilerhq/profiler/internal/odcs"
	"github.com/profilerhq/profiler/internal/rules"
	"github.com/profilerhq/profiler/internal/soda"
	"github.com/profilerhq/profiler/internal/translate"
	"github.com/profilerhq/profiler/internal/words"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

// importer reads rules of another tool.
type importer struct {
	name, tool string
	sniff      func(root *yamldoc.Node) bool
	translate  func(docs []*yamldoc.Document) *translate.Result
}

var importers = []importer{
	{"odcs", "ODCS contract", odcs.Sniff, odcs.Translate},
	{"gx", "suite of Great Expectations", gx.Sniff, gx.Translate},
	{"soda", "SodaCL file", soda.Sniff, soda.Translate},
	{"dbt", "dbt schema file", dbt.Sniff, dbt.Translate},
}

func importerNames() []string {
	names := make([]string, len(importers))
	for i, im := range importers {
		names[i] = im.name
	}
	return names
}

type translateFlags struct {
	output        outputFlags
	from, dataset string
}

func (e *env) rulesImportCommand() *cobra.Command {
	var f translateFlags
	cmd := &cobra.Command{
		Use: "import FILE", Short: "Translate rules of another tool",
		Long: `Reads a data contract (ODCS 3.x), a schema file of dbt, checks of SodaCL or a
suite of Great Expectations, and writes rules. What has no counterpart is listed
on stderr and as comments in the file, each with its line and the reason.`,
		Example: "  profiler rules import orders.odcs.yaml --output-file rules/orders.yaml\n  profiler rules import models/schema.yml --from dbt",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage("name one file to translate: profiler rules import contract.yaml")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return e.rulesImport(args[0], &f) },
	}
	cmd.Flags().StringVar(&f.from, "from", "", "what the file is: "+join(importerNames())+" (default: found by content)")
	cmd.Flags().StringVar(&f.dataset, "dataset", "", "`name` of the dataset, where the file has one")
	cmd.Flags().StringVar(&f.output.file, "output-file", "", "write the rules to a `file` instead of standard output")
	return cmd
}

func (e *env) rulesImport(path string, f *translateFlags) error {
	if f.from != "" && !contains(importerNames(), f.from) {
		return usage("--from %q is not known; write one of %s", f.from, join(importerNames()))
	}
	data, err := e.readFile(path)
	if err != nil {
		return err
	}
	docs, diags := translate.Parse(path, data)
	if diags.HasErrors() {
		e.printDiagnostics(diags, func(string) []byte { return data })
		return diags
	}
	im := sniff(docs[0].Root(), f.from)
	if im == nil {
		return usage("%s is no file that can be told: an ODCS contract has kind: DataContract, a schema file of dbt has models: or sources:, SodaCL has \"checks for\", a suite has expectations; or name it with --from", path)
	}
	res := im.translate(docs)
	if f.dataset != "" {
		if len(res.Docs) > 1 {
			return usage("--dataset names one dataset, but the file has rules for %d; leave it out", len(res.Docs))
		}
		for _, d := range res.Docs {
			d.Dataset = rules.DatasetName(f.dataset)
		}
	}
	text := res.YAML(filepath.Base(path) + " (" + im.tool + ")")
	if _, diags := rules.Parse(path, text, nil); diags.HasErrors() {
		panic("BUG: the translation has a mistake: " + diags.Err().Error())
	}
	for _, n := range res.Notes {
		e.message(n.Pos.String() + ": not translated: " + n.Item + ": " + n.Reason)
	}
	if left := res.LeftText(); left != "" {
		e.note("left out, since no rule could come of it: %s", left)
	}
	e.note("%s translated, %d not", words.Things(res.Rules, "rule"), len(res.Notes))
	return e.emit(&f.output, bytes.NewBuffer(text))
}

// readFile reads a file, or standard input for "-".
func (e *env) readFile(path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(e.stdin)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, readError("import", err)
	}
	return data, nil
}

// sniff chooses the importer by its name, else by content.
func sniff(root *yamldoc.Node, name string) *importer {
	for i := range importers {
		if im := &importers[i]; im.name == name || name == "" && im.sniff(root) {
			return im
		}
	}
	return nil
}
