package alertmanager_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/alert"
	"github.com/profilerhq/profiler/internal/alert/alertmanager"
	"github.com/profilerhq/profiler/internal/alert/webhook"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/secret"
)

// binary finds Alertmanager, which Debian calls prometheus-alertmanager. CI
// sets PROFILER_NEED_SERVERS, where its absence is a failure.
func binary(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"prometheus-alertmanager", "alertmanager"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("PROFILER_NEED_SERVERS") != "" {
		t.Fatal("Alertmanager is not installed: run scripts/install-alertmanager.sh")
	}
	t.Skip("Alertmanager is not installed: run scripts/install-alertmanager.sh")
	return ""
}

// start runs an Alertmanager whose only receiver is the hook, and returns its
// address once it is ready.
func start(t *testing.T, hook string) string {
	t.Helper()
	path := binary(t)
	dir := t.TempDir()
	config := fmt.Sprintf("route: {receiver: hook, group_by: [alertname, dataset], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}\nreceivers: [{name: hook, webhook_configs: [{url: %q}]}]\n", hook)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.yml"), []byte(config), 0o600))
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	cmd := exec.CommandContext(t.Context(), path, "--config.file="+filepath.Join(dir, "config.yml"), "--storage.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+address, "--cluster.listen-address=", "--log.level=error")
	cmd.Stderr = t.Output()
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	require.Eventually(t, func() bool {
		resp, err := http.Get("http://" + address + "/-/ready") //nolint:noctx // a poll
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}, 30*time.Second, 50*time.Millisecond)
	return "http://" + address
}

// TestRealAlertmanager fires, raises and resolves an incident and reads what
// Alertmanager says about it at its webhook.
func TestRealAlertmanager(t *testing.T) {
	t.Parallel()
	said := make(chan webhook.Body, 16)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var b webhook.Body
		if json.NewDecoder(r.Body).Decode(&b) == nil {
			said <- b
		}
	}))
	defer hook.Close()
	n, err := alertmanager.Config{URLs: []secret.Text{secret.URL(start(t, hook.URL))}}.Notifier(alert.ReceiverOptions{ExternalURL: "http://profiler.example"})
	require.NoError(t, err)
	hears := func(match func(alerts map[string]string) bool) {
		t.Helper()
		for {
			select {
			case b := <-said:
				alerts := map[string]string{} // status by severity
				for _, a := range b.Alerts {
					alerts[a.Labels["severity"]] = a.Status
				}
				if match(alerts) {
					return
				}
			case <-time.After(30 * time.Second):
				t.Fatal("Alertmanager did not tell its receiver")
			}
		}
	}
	m := alert.Message{Key: "1", Channel: "prom", Event: alert.EventOpened, Incident: alert.Incident{
		ID: "I1", Dataset: "shop/orders", Status: alert.Open, Severity: checks.SeverityWarn, Owner: "orders-team", OpenedAt: time.Now(), LastBatch: "b 1/ä", Batches: 1,
		Findings: []checks.Result{{ID: "amount.range", Status: checks.Fail, Message: "30 rows <b>\n\x00"}},
	}}
	tell := func() {
		t.Helper()
		th, _, err := n.Notify(t.Context(), m)
		require.NoError(t, err)
		m.Incident.Threads = map[string]alert.Thread{"prom": th}
	}
	tell()
	hears(func(a map[string]string) bool { return a["warning"] == "firing" })
	m.Event, m.Incident.Severity = alert.EventRaised, checks.SeverityFail
	tell()
	hears(func(a map[string]string) bool { return a["critical"] == "firing" && a["warning"] != "firing" })
	require.NoError(t, n.(alert.Refresher).Refresh(t.Context(), "prom", []alert.Incident{m.Incident}))
	m.Event, m.Incident.Status = alert.EventResolved, alert.Resolved
	tell()
	hears(func(a map[string]string) bool { return a["critical"] == "resolved" })
	require.NoError(t, n.(alert.Refresher).Refresh(t.Context(), "prom", []alert.Incident{m.Incident}), "a resolved incident is not refreshed")
}
