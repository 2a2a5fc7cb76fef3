package demo

import (
	"bytes"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/app"
	"github.com/profilerhq/profiler/internal/store"
)

func TestDemoFindsItsMishaps(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, Prepare(dir))
	days, mishaps := 12, 3
	if testing.Short() {
		days, mishaps = 6, 1
	}
	var out, messages bytes.Buffer
	a, err := app.New(t.Context(), app.Options{Store: "sqlite:" + dir + "/h.db", Messages: &messages, Alerts: Alerts()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, a.Close()) })
	found, err := Run(t.Context(), Options{Out: &out, App: a, Messages: &messages, Dir: dir, Seed: 1, Days: days, Env: os.LookupEnv})
	require.NoError(t, err)
	require.Equal(t, Found{Days: days, Mishaps: mishaps, Found: mishaps, RightStep: mishaps}, found, out.String())
	require.Contains(t, out.String(), "began at extract")
	if mishaps > 1 {
		require.Contains(t, out.String(), "began at clean")
	}
	require.Contains(t, out.String(), "the incident of shop/orders_raw is resolved")
	// The history holds every day at every step, as production would write it.
	for _, dataset := range []string{"shop/orders_raw", "shop/orders_clean", "shop/orders"} {
		h, err := a.Store.History(t.Context(), store.HistoryQuery{Dataset: dataset})
		require.NoError(t, err)
		require.Len(t, h, historyDays+days)
	}
	incidents, err := a.Store.Incidents(t.Context(), store.IncidentQuery{})
	require.NoError(t, err)
	require.Len(t, incidents, mishaps, "later steps fold under the first")
}
