package alertmanager_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/alert"
	"github.com/profilerhq/profiler/internal/alert/alertmanager"
	"github.com/profilerhq/profiler/internal/alert/webhook"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/secret"
	"github.com/profilerhq/profiler/internal/servertest"
)

// start runs an Alertmanager whose only receiver is the hook, and returns its
// address once it is ready.
func start(t *testing.T, hook string) string {
	t.Helper()
	return servertest.Alertmanager(t, fmt.Sprintf(`route: {receiver: hook, group_by: [alertname, dataset], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}
receivers: [{name: hook, webhook_configs: [{url: %q}]}]
`, hook)).URL
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
