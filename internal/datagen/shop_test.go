package datagen

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func day(t *testing.T, d int, f Fault) string {
	t.Helper()
	var b bytes.Buffer
	n, err := Shop{Seed: 1}.WriteOrders(&b, time.Date(2026, 3, d, 0, 0, 0, 0, time.UTC), f)
	require.NoError(t, err)
	require.Equal(t, n+1, strings.Count(b.String(), "\r\n"))
	return b.String()
}

func TestOrdersAreSeeded(t *testing.T) {
	t.Parallel()
	once := day(t, 4, NoFault)
	require.Equal(t, once, day(t, 4, NoFault))
	require.NotEqual(t, day(t, 4, NoFault), day(t, 5, NoFault))
}

func TestVolumeHasASeason(t *testing.T) {
	t.Parallel()
	saturday, sunday := strings.Count(day(t, 7, NoFault), "\n"), strings.Count(day(t, 8, NoFault), "\n")
	require.Greater(t, saturday, sunday*5/4)
}

func TestFaultsHaveAnEffect(t *testing.T) {
	t.Parallel()
	good := day(t, 4, NoFault)
	require.Greater(t, strings.Count(day(t, 4, NullEmails), ",,"), 200)
	require.Zero(t, strings.Count(good, ",,"))
	require.Greater(t, strings.Count(day(t, 4, NewStatus), "on_hold"), 60)
	require.Less(t, strings.Count(day(t, 4, HalfTheRows), "\n"), strings.Count(good, "\n")*6/10)
	require.NotEqual(t, good, day(t, 4, CentAmounts))
}
