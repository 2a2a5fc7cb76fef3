package cli

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/profilerhq/profiler/dashboards"
)

func (e *env) dashboardsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "dashboards", Short: "Grafana dashboards and Prometheus rules of this version",
		RunE: needSubcommand,
	}
	cmd.AddCommand(e.dashboardsExportCommand())
	return cmd
}

func (e *env) dashboardsExportCommand() *cobra.Command {
	var dir string
	var o dashboards.Options
	cmd := &cobra.Command{
		Use: "export", Short: "Write dashboards, provisioning and Prometheus rules to a folder", Args: noArgs,
		Long: `Writes the five Grafana dashboards, the files by which Grafana loads them, and the
Prometheus rules of this version. README.md in that folder says where they go.
Files of an earlier version are replaced.`,
		Example: "  profiler dashboards export --dir /var/lib/grafana/dashboards/profiler\n  profiler dashboards export --grafana-url https://grafana.example",
		RunE:    func(*cobra.Command, []string) error { return e.exportDashboards(dir, o) },
	}
	cmd.Flags().StringVar(&dir, "dir", "dashboards", "`folder` to write to, made if it does not exist")
	cmd.Flags().StringVar(&o.GrafanaURL, "grafana-url", "", "`address` of your Grafana, for the links in alerts (default "+dashboards.GrafanaURL+")")
	cmd.Flags().StringVar(&o.RunbookURL, "runbook-url", "", "`address` of a copy of the runbooks, before the file's name (default "+dashboards.RunbookURL+")")
	return cmd
}

func (e *env) exportDashboards(dir string, o dashboards.Options) error {
	for flag, address := range map[string]string{"--grafana-url": o.GrafanaURL, "--runbook-url": o.RunbookURL} {
		if u, err := url.Parse(address); address != "" && (err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https")) {
			return usage("%s %q: write an address such as https://grafana.example", flag, address)
		}
	}
	o.GrafanaURL = strings.TrimRight(o.GrafanaURL, "/")
	if o.RunbookURL != "" {
		o.RunbookURL = strings.TrimRight(o.RunbookURL, "/") + "/"
	}
	written, err := dashboards.Write(dir, o)
	for _, f := range written {
		fmt.Fprintf(e.stdout, "%-7s  %s\n", f.State, f.Path)
	}
	if err != nil {
		return writeError("export dashboards", err)
	}
	e.note("read %s/README.md for where they go", dir)
	return nil
}
