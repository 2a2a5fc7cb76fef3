package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/profilerhq/profiler/internal/rules"
	"github.com/profilerhq/profiler/internal/words"
)

func (e *env) initCommand() *cobra.Command {
	var f suggestFlags
	cmd := &cobra.Command{
		Use: "init [SOURCE]", Short: "Write a starter rule file and profiler.yaml",
		Long: `Profiles a source and writes rules that it keeps into rules/, the JSON Schema of
rule files beside them, and a profiler.yaml. Without a source the rules are an
example to fill in. Files that exist are left as they are.`,
		Example: "  profiler init orders.csv\n  profiler init 'days/*.csv' --each --dataset shop/orders",
		RunE:    func(cmd *cobra.Command, args []string) error { return e.runInit(cmd, args, &f) },
	}
	f.source.register(cmd)
	return cmd
}

// starter is a file that init writes.
type starter struct {
	path, about string
	text        []byte
}

func (e *env) runInit(cmd *cobra.Command, args []string, f *suggestFlags) error {
	files := []starter{
		{"profiler.yaml", "what is in force: profiler config check", []byte(starterConfig)},
		{filepath.Join("rules", "profiler.schema.json"), "for your editor", rules.Schema()},
	}
	if len(args) == 0 && f.source.dataset != "" {
		return usage("name a source beside --dataset: profiler init orders.csv --dataset %s", f.source.dataset)
	}
	next := "profiler check SOURCE"
	if len(args) == 0 {
		files = append(files, starter{filepath.Join("rules", "example.yaml"), "rules to fill in", []byte(starterRules)})
	} else {
		file, err := e.suggestRules(cmd, args, f)
		if err != nil {
			return err
		}
		name := file.Dataset[strings.LastIndexByte(file.Dataset, '/')+1:]
		files = append(files, starter{filepath.Join("rules", name+".yaml"), words.Things(file.Len(), "rule") + " for " + file.Dataset, file.YAML()})
		next = "profiler check " + join(args) + " --dataset " + file.Dataset
	}
	if err := os.MkdirAll("rules", 0o755); err != nil {
		return usage("make the folder rules: %v", plainReason(err))
	}
	for _, s := range files {
		if err := e.start(s); err != nil {
			return err
		}
	}
	e.note("next: read the rules, then %s", next)
	return nil
}

// start writes a file unless it is there.
func (e *env) start(s starter) error {
	out, err := os.OpenFile(s.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		e.note("%s is there and is left as it is", s.path)
		return nil
	}
	if err != nil {
		return usage("write %s: %v", s.path, plainReason(err))
	}
	_, err = out.Write(s.text)
	if err = errors.Join(err, out.Close()); err != nil {
		return writeError("write "+s.path, plainReason(err))
	}
	e.note("wrote %s: %s", s.path, s.about)
	return nil
}

// plainReason drops the path and the system call of an error of a file.
func plainReason(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

const starterConfig = `# The configuration of profiler: what every command finds without flags.
# docs/format/config.md has all keys; profiler config check shows what is in force.
store: sqlite:profiler.db     # the history; postgres://… for several machines
rules: [rules/]
# metrics: {columns: rules}
# retention: {profiles: 90d, metrics: 400d, results: 400d}
# alerts:
#   channels:
#     data: {slack: {token: "${env:SLACK_BOT_TOKEN}", channel: "#data"}}
#   routes:
#     - {channels: [data]}
`

const starterRules = `# yaml-language-server: $schema=./profiler.schema.json
#
# Rules of one dataset. profiler rules suggest SOURCE writes rules that fit your
# data; docs/checks has a page about each kind.
version: 1
dataset: example            # namespace/name, or a pattern such as shop/*
# key: [id]                 # names failing rows in reports
checks:
  - row_count: {min: 1}
# columns:
#   id: [not_null, unique]
#   email:
#     - format: email
#       fail: 1%
#   amount:
#     - range: {min: 0, max: 10000}
`
