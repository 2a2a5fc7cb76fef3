package partition_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/partition"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/source/csv"
)

func split(t *testing.T, data, by string) (partition.Split, error) {
	t.Helper()
	b, err := partition.Parse(by)
	require.NoError(t, err)
	r, err := csv.New(strings.NewReader(data), csv.Options{Source: "in.csv"})
	require.NoError(t, err)
	return partition.Read(t.Context(), r, b, profile.Info{Dataset: "a/b"})
}

const table = `id,at,zone
1,2026-03-01T05:00:00Z,a
2,2026-03-01T23:59:59Z,b
3,2026-03-02T00:00:00Z,a
4,,c
5,2026-04-01T00:00:00Z,b
6,2026-03-01T05:30:00Z,
`

func TestRead(t *testing.T) {
	t.Parallel()
	for by, want := range map[string]string{
		"at":       "2026-03-01:3 2026-03-02:1 2026-04-01:1",
		"at:hour":  "2026-03-01T05:2 2026-03-01T23:1 2026-03-02T00:1 2026-04-01T00:1",
		"at:week":  "2026-W09:3 2026-W10:1 2026-W14:1",
		"at:month": "2026-03:4 2026-04:1",
	} {
		s, err := split(t, table, by)
		require.NoError(t, err)
		require.Equal(t, int64(1), s.Left)
		var got []string
		for _, p := range s.Parts {
			got = append(got, p.Name+":"+string(rune('0'+p.Profile.Rows())))
		}
		require.Equal(t, want, strings.Join(got, " "))
	}
	s, err := split(t, table, "at")
	require.NoError(t, err)
	require.Equal(t, time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), s.Parts[0].At)
	sum := s.Parts[0].Profile.Summary()
	require.Equal(t, int64(1), sum.Column("zone").Nulls)
	require.Equal(t, "integer", sum.Column("id").Type)
	require.Equal(t, "timestamp", sum.Column("at").Type)
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	_, err := split(t, table, "nope")
	require.ErrorIs(t, err, partition.ErrNoColumn)
	for _, text := range []string{"", ":day", "at:year"} {
		_, err := partition.Parse(text)
		require.Error(t, err, text)
	}
}
