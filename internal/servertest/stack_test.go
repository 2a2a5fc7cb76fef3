//go:build stack

// The whole product beside the real servers, as users run it: `make test-stack`.
package servertest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/alert/webhook"
	"github.com/profilerhq/profiler/internal/datagen"
	"github.com/profilerhq/profiler/internal/servertest"
)

// patience bounds each wait. Nothing takes as long on an idle machine.
const patience = 60 * time.Second

// receiver is what Alertmanager tells: the state of each alert.
type receiver struct {
	URL    string
	mu     sync.Mutex
	alerts []webhook.Alert
	news   chan struct{}
}

func listen(t *testing.T) *receiver {
	r := &receiver{news: make(chan struct{}, 1)}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		var b webhook.Body
		if json.NewDecoder(req.Body).Decode(&b) != nil {
			return
		}
		r.mu.Lock()
		r.alerts = append(r.alerts, b.Alerts...)
		r.mu.Unlock()
		select {
		case r.news <- struct{}{}:
		default:
		}
	}))
	t.Cleanup(server.Close)
	r.URL = server.URL
	return r
}

// hears waits until Alertmanager has told of an alert with these labels in this
// status, and returns it. What it told before counts too.
func (r *receiver) hears(t *testing.T, status string, labels map[string]string) webhook.Alert {
	t.Helper()
	deadline := time.After(patience)
	for {
		r.mu.Lock()
		for _, a := range r.alerts {
			match := a.Status == status
			for k, v := range labels {
				match = match && a.Labels[k] == v
			}
			if match {
				r.mu.Unlock()
				return a
			}
		}
		r.mu.Unlock()
		select {
		case <-r.news:
		case <-deadline:
			r.mu.Lock()
			defer r.mu.Unlock()
			var told []string
			for _, a := range r.alerts {
				told = append(told, fmt.Sprint(a.Status, " ", a.Labels))
			}
			t.Fatalf("Alertmanager did not tell that %v is %s within %s; it told\n%s", labels, status, patience, strings.Join(told, "\n"))
		}
	}
}

// stack is the product and what it works with.
type stack struct {
	t        *testing.T
	program  string
	dir      string // of the demo
	config   string
	address  string // of the service
	receiver *receiver
	prom     *servertest.Server
	gateway  *servertest.Server
}

// profiler runs a command to its end and wants an exit code.
func (s *stack) profiler(code int, args ...string) string {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), s.program, args...)
	cmd.Dir = s.dir
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		require.NoError(s.t, err)
	}
	require.Equal(s.t, code, cmd.ProcessState.ExitCode(), "%v\n%s", args, out)
	return string(out)
}

// serve starts the service and waits until it is ready. kill ends it as a crash
// would.
func (s *stack) serve() (kill func()) {
	s.t.Helper()
	log, err := os.Create(filepath.Join(s.t.TempDir(), "serve.log"))
	require.NoError(s.t, err)
	cmd := exec.CommandContext(s.t.Context(), s.program, "serve", "--config", s.config, "--listen", s.address)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, log, log
	require.NoError(s.t, cmd.Start())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
		log.Close()
	}()
	kill = func() {
		_ = cmd.Process.Kill()
		<-ended
	}
	s.t.Cleanup(kill)
	deadline, again := time.After(patience), time.NewTicker(20*time.Millisecond)
	defer again.Stop()
	for {
		resp, err := http.Get("http://" + s.address + "/-/ready") //nolint:noctx // a poll
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return kill
			}
		}
		select {
		case <-again.C:
		case <-ended:
			text, _ := os.ReadFile(log.Name())
			s.t.Fatalf("the service ended: %s", text)
		case <-deadline:
			s.t.Fatalf("the service is not ready: %v", err)
		}
	}
}

// day lives through a day of the demo's shop, whose rates are wrong on some: the
// last step's amounts drift then.
func (s *stack) day(n int, rates string, args ...string) string {
	s.t.Helper()
	day := time.Date(2026, 2, 16, 0, 0, 0, 0, time.UTC).AddDate(0, 0, n) // the days of the demo before it
	f, err := os.Create(filepath.Join(s.dir, "in", day.Format("2006-01-02")+".csv"))
	require.NoError(s.t, err)
	_, err = datagen.Shop{Seed: 1}.WriteOrders(f, day, datagen.NoFault)
	require.NoError(s.t, errors.Join(err, f.Close()))
	text, err := os.ReadFile(filepath.Join(s.dir, rates))
	require.NoError(s.t, err)
	require.NoError(s.t, os.WriteFile(filepath.Join(s.dir, "rates.csv"), text, 0o600))
	return s.profiler(0, append([]string{"run", "pipeline.yaml", "--config", s.config, "-o", "json"}, args...)...)
}

// start brings everything up: the demo's history, the servers, the service.
func start(t *testing.T) *stack {
	t.Helper()
	for _, program := range [][]string{{"prometheus"}, {"promtool"}, {"prometheus-alertmanager", "alertmanager"}, {"prometheus-pushgateway", "pushgateway"}} {
		servertest.Program(t, program...)
	}
	s := &stack{t: t, dir: filepath.Join(t.TempDir(), "demo"), program: filepath.Join(t.TempDir(), "profiler"), address: servertest.Address(t), receiver: listen(t)}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", s.program, "github.com/profilerhq/profiler/cmd/profiler")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	require.NoError(t, os.Mkdir(s.dir, 0o755))
	s.profiler(0, "demo", "--once", "--days", "1", "--dir", ".", "--listen", "127.0.0.1:0")
	good, err := os.ReadFile(filepath.Join(s.dir, "rates.csv"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "rates_good.csv"), good, 0o600))

	alertmanager := servertest.Alertmanager(t, fmt.Sprintf(`
route: {receiver: hook, group_by: ["..."], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}
receivers: [{name: hook, webhook_configs: [{url: %q, send_resolved: true}]}]
`, s.receiver.URL))
	s.gateway = servertest.Pushgateway(t)
	s.config = filepath.Join(s.dir, "profiler.yaml")
	require.NoError(t, os.WriteFile(s.config, fmt.Appendf(nil, `
store: sqlite:profiler.db
rules: [rules/]
metrics: {columns: all, families: [min, max, mean, stddev, values]}
alerts:
  channels:
    prom: {alertmanager: {url: %q}}
`, alertmanager.URL), 0o600))

	// The rules are those that users get, without their patience.
	rules := t.TempDir()
	s.profiler(0, "dashboards", "export", "--dir", rules)
	exported, err := filepath.Glob(filepath.Join(rules, "prometheus", "*.rules.yml"))
	require.NoError(t, err)
	require.Len(t, exported, 2)
	promtool(t, nil, append([]string{"check", "rules"}, exported...)...)
	for _, name := range exported {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		text = regexp.MustCompile(`(?m)^( +)(for|keep_firing_for): .*$`).ReplaceAll(text, []byte("$1$2: 1s"))
		require.NoError(t, os.WriteFile(name, text, 0o600))
	}
	s.prom = servertest.Prometheus(t, rules, fmt.Sprintf(`
global: {scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms}
rule_files: [prometheus/*.rules.yml]
alerting: {alertmanagers: [{static_configs: [{targets: [%q]}]}]}
scrape_configs:
- {job_name: profiler, static_configs: [{targets: [%q]}]}
- {job_name: pushgateway, honor_labels: true, static_configs: [{targets: [%q]}]}
`, strings.TrimPrefix(alertmanager.URL, "http://"), s.address, strings.TrimPrefix(s.gateway.URL, "http://")))
	return s
}

func promtool(t *testing.T, stdin io.Reader, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "promtool", args...)
	cmd.Stdin = stdin
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
}

// TestStack tells one story: good days, a day whose amounts drift, the people who
// are told, good days again, the end of the incident, and a crash of the service.
func TestStack(t *testing.T) {
	s := start(t)
	kill := s.serve()
	service := fmt.Sprintf("{job=\"profiler\",instance=%q", s.address)
	has := func(expr string) { t.Helper(); s.prom.AwaitResult(t, expr, patience) }

	// The history is there from the first scrape on, and nothing of it is counted.
	has(`profiler_dataset_rows` + service + `,dataset="shop/orders"} > 500`)
	has(`profiler_runner_runs_total` + service + `} == 0`)
	has(`sum(profiler_incidents_active` + service + `}) == 0`)
	has(`profiler_config_last_reload_successful` + service + `} == 1`)

	// A day whose amounts are in cents, in a process of its own.
	out := s.day(1, "rates_cents.csv", "--push-gateway", s.gateway.URL, "--metrics-file", "run.prom")
	require.Contains(t, out, `"first_bad_step": "enrich"`)
	incident := map[string]string{"alertname": "ProfilerIncident", "dataset": "shop/orders", "severity": "critical"}
	fired := s.receiver.hears(t, "firing", incident)
	require.Equal(t, "orders-team", fired.Labels["data_owner"])
	// The service counts what the other process did, and Prometheus has its own view.
	has(`profiler_drift_detected` + service + `,dataset="shop/orders",step="enrich",column="amount_eur",severity="fail"} == 1`)
	has(`profiler_incidents_active` + service + `,severity="fail",status="open"} == 1`)
	has(`profiler_runner_runs_total` + service + `,pipeline="orders"} == 1`)
	has(`profiler_runner_units_total` + service + `,pipeline="orders",step="enrich"} == 1`)
	has(scaler(t))
	has(`profiler_check_failures_total` + service + `,check="amount_eur.drift"} == 1`)
	has(`histogram_quantile(0.5, profiler_column_values` + service + `,dataset="shop/orders",column="amount_eur"}) > 500`)
	drift := s.receiver.hears(t, "firing", map[string]string{"alertname": "ProfilerColumnDrift", "dataset": "shop/orders", "column": "amount_eur"})
	require.Contains(t, drift.Annotations["runbook_url"], "ProfilerColumnDrift.md")
	s.batchExits()

	// Two good days end it, for our channel and for the rules. Both push: a
	// gateway shows the last push for ever.
	s.day(2, "rates_good.csv", "--push-gateway", s.gateway.URL)
	s.day(3, "rates_good.csv", "--push-gateway", s.gateway.URL)
	s.receiver.hears(t, "resolved", incident)
	s.receiver.hears(t, "resolved", map[string]string{"alertname": "ProfilerColumnDrift", "dataset": "shop/orders", "column": "amount_eur"})
	has(`sum(profiler_incidents_active` + service + `}) == 0`)

	// The service crashes: its series are stale at once, those of the gateway stay.
	kill()
	s.prom.Await(t, "the series of the service are stale", patience, func() error {
		found, err := s.prom.Query(t.Context(), `{__name__=~"profiler_.+",instance="`+s.address+`"}`)
		if err == nil && len(found) > 0 {
			err = fmt.Errorf("%d series left", len(found))
		}
		return err
	})
	has(`profiler_runner_runs_total{job="profiler",pipeline="orders",instance!="` + s.address + `"} == 1`)
	down := map[string]string{"alertname": "ProfilerDown", "instance": s.address}
	require.Equal(t, "critical", s.receiver.hears(t, "firing", down).Labels["severity"])
	s.serve()
	s.receiver.hears(t, "resolved", down)
	has(`profiler_dataset_rows` + service + `,dataset="shop/orders"} > 500`)
}

// scaler returns the query by which the example for KEDA counts workers.
func scaler(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/examples/keda.yaml")
	require.NoError(t, err)
	_, rest, _ := strings.Cut(string(text), "query: ")
	query, _, _ := strings.Cut(rest, "\n")
	require.Contains(t, query, "profiler_runner_queue_units")
	return query
}

// batchExits looks at what the run wrote for a node exporter and pushed to a
// gateway.
func (s *stack) batchExits() {
	t := s.t
	text, err := os.ReadFile(filepath.Join(s.dir, "run.prom"))
	require.NoError(t, err)
	promtool(t, strings.NewReader(string(text)), "check", "metrics")
	require.Contains(t, string(text), `profiler_runner_units_total{pipeline="orders",step="enrich"} 1`)
	// The group of the pipeline, in the gateway and as Prometheus reads it.
	s.prom.AwaitResult(t, `push_time_seconds{job="profiler",pipeline="orders"}`, patience)
	s.prom.AwaitResult(t, `profiler_runner_units_total{job="profiler",pipeline="orders",step="enrich",instance!="`+s.address+`"} == 1`, patience)
	// A check without a pipeline is a group of its own, and an absent gateway is a message.
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "small.csv"), []byte("n\n1\n"), 0o600))
	s.profiler(0, "profile", "small.csv", "--push-gateway", s.gateway.URL)
	s.prom.AwaitResult(t, `profiler_dataset_rows{job="profiler",dataset="default/small"} == 1`, patience)
	require.Contains(t, s.profiler(0, "profile", "small.csv", "--push-gateway", "http://"+servertest.Address(t)), "metrics not pushed")
}
