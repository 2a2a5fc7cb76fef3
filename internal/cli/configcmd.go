package cli

import (
	"bytes"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/profilerhq/profiler/internal/config"
	"github.com/profilerhq/profiler/internal/report"
)

// configFile is the configuration that is used if it exists.
const configFile = "profiler.yaml"

// config reads the configuration: the named file, else profiler.yaml if there
// is one, else the defaults.
func (e *env) config() (*config.Config, error) {
	overrides := config.Environment(e.lookup)
	path := e.global.config
	if path == "" {
		if _, err := os.Stat(configFile); err != nil {
			if e.global.overlay != "" {
				return nil, usage("--env %s: there is no %s here; name the configuration with --config", e.global.overlay, configFile)
			}
			cfg := config.Default()
			for _, o := range overrides {
				if err := cfg.Override(o.Key, o.Value, o.Origin); err != nil {
					return nil, usage("%v", err)
				}
			}
			return &cfg, nil
		}
		path = configFile
	}
	cfg, diags, err := config.Load(path, e.global.overlay, e.lookup, overrides...)
	if diags.HasErrors() {
		e.printDiagnostics(diags, readSource)
		return nil, diags
	}
	if err != nil {
		return nil, readError("configuration", err)
	}
	return cfg, nil
}

// storeURL is the store of commands that have one by default: the flag, else
// the configuration, else profiler.db in the working directory.
func storeURL(flag string, cfg *config.Config) string {
	if url := givenStore(flag, cfg); url != "" {
		return url
	}
	return defaultStore
}

// givenStore is the store of commands that have none by default: the flag,
// else the configuration.
func givenStore(flag string, cfg *config.Config) string {
	if flag != "" {
		return flag
	}
	return cfg.Store.Reveal()
}

func (e *env) configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "config", Short: "Work on the configuration",
		RunE: needSubcommand,
	}
	var format string
	check := &cobra.Command{
		Use: "check", Short: "Show what is in force, and where each value came from", Args: noArgs,
		RunE: func(*cobra.Command, []string) error { return e.configCheck(format) },
	}
	check.Flags().StringVarP(&format, "output", "o", "table", "`format`: table, json")
	cmd.AddCommand(check)
	return cmd
}

func (e *env) configCheck(format string) error {
	cfg, err := e.config()
	if err != nil {
		return err
	}
	settings := cfg.Settings()
	switch format {
	case "json":
		type setting struct {
			Key    string `json:"key"`
			Value  string `json:"value"`
			Origin string `json:"origin"`
		}
		out := []setting{}
		for _, s := range settings {
			out = append(out, setting{s.Key, s.Value, s.Origin})
		}
		return writeJSON(e.stdout, out)
	case "table":
		var rows [][]string
		for _, s := range settings {
			rows = append(rows, []string{s.Key, s.Value, s.Origin})
		}
		var out bytes.Buffer
		report.Table(&out, e.reportOptions(&outputFlags{}, false), []string{"setting", "value", "from"}, rows, nil)
		_, err := fmt.Fprint(e.stdout, out.String())
		return err
	}
	return usage("unknown output format %q; write table or json", format)
}
