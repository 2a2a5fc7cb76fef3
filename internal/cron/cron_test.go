package cron

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	require.NoError(t, err)
	return loc
}

// TestNext lists the times after a time.
func TestNext(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		text, zone, after string
		want              []string
	}{
		{"*/15 * * * *", "UTC", "2026-03-01T10:07:30Z", []string{"2026-03-01T10:15:00Z", "2026-03-01T10:30:00Z", "2026-03-01T10:45:00Z", "2026-03-01T11:00:00Z"}},
		{"0 6 * * *", "UTC", "2026-03-01T06:00:00Z", []string{"2026-03-02T06:00:00Z"}},
		{"0 6 * * *", "UTC", "2026-03-01T05:59:59Z", []string{"2026-03-01T06:00:00Z", "2026-03-02T06:00:00Z"}},
		{"30 8 * * mon-fri", "UTC", "2026-03-06T09:00:00Z", []string{"2026-03-09T08:30:00Z"}},
		{"0 0 29 2 *", "UTC", "2026-03-01T00:00:00Z", []string{"2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"}},
		{"0 12 1,15 * 5", "UTC", "2026-03-01T12:00:00Z", []string{"2026-03-06T12:00:00Z", "2026-03-13T12:00:00Z", "2026-03-15T12:00:00Z"}}, // either day
		{"0 12 */10 * 5", "UTC", "2026-03-01T12:00:00Z", []string{"2026-05-01T12:00:00Z"}},                                                 // * limits nothing by itself
		{"5/20 22 * JAN Sun", "UTC", "2026-01-01T00:00:00Z", []string{"2026-01-04T22:05:00Z", "2026-01-04T22:25:00Z", "2026-01-04T22:45:00Z", "2026-01-11T22:05:00Z"}},
		{"0 0 * * 7", "UTC", "2026-03-01T00:00:00Z", []string{"2026-03-08T00:00:00Z"}},
		{"0 22 * * 5-7", "UTC", "2026-03-06T00:00:00Z", []string{"2026-03-06T22:00:00Z", "2026-03-07T22:00:00Z", "2026-03-08T22:00:00Z", "2026-03-13T22:00:00Z"}},
		{"@hourly", "UTC", "2026-03-01T23:30:00Z", []string{"2026-03-02T00:00:00Z"}},
		{"@weekly", "UTC", "2026-03-02T00:00:00Z", []string{"2026-03-08T00:00:00Z"}},
		{"0 6 * * *", "Europe/Berlin", "2026-03-01T00:00:00Z", []string{"2026-03-01T05:00:00Z"}},
		{"0 6 * * *", "Asia/Kolkata", "2026-03-01T00:00:00Z", []string{"2026-03-01T00:30:00Z"}},
		// The night in which the clock is put forward: 02:30 falls behind the gap.
		{"30 2 * * *", "Europe/Berlin", "2026-03-28T02:00:00Z", []string{"2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"}},
		{"*/30 * * * *", "Europe/Berlin", "2026-03-29T00:30:00Z", []string{"2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"}},
		// And put back: 02:30 comes twice, and counts once unless each hour counts.
		{"30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", []string{"2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"}},
		{"30 * * * *", "Europe/Berlin", "2026-10-24T23:45:00Z", []string{"2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"}},
		// A day without a midnight.
		{"0 0 * * *", "America/Santiago", "2026-09-05T12:00:00Z", []string{"2026-09-06T04:00:00Z", "2026-09-07T03:00:00Z"}},
		{"0 * * * sun", "America/Santiago", "2026-09-05T12:00:00Z", []string{"2026-09-06T04:00:00Z"}},
	} {
		s, err := Parse(tc.text, zone(t, tc.zone))
		require.NoError(t, err, tc.text)
		require.Equal(t, tc.text, s.String())
		at, err := time.Parse(time.RFC3339, tc.after)
		require.NoError(t, err)
		for _, want := range tc.want {
			next := s.Next(at)
			require.Equal(t, want, next.UTC().Format(time.RFC3339), "%s in %s after %s", tc.text, tc.zone, at)
			require.Equal(t, next.Unix(), Last(s, next).Unix())
			require.Equal(t, next.Unix(), Last(s, next.Add(time.Second)).Unix())
			at = next
		}
	}
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":              "five fields (minute, hour, day, month, day of the week), not 0",
		"* * * *":       "not 4",
		"* * * * * *":   "not 6",
		"60 * * * *":    `"60" in the field minute: write 0 … 59`,
		"* 24 * * *":    `"24" in the field hour`,
		"* * 0 * *":     `"0" in the field day of the month: write 1 … 31`,
		"* * * 13 *":    `"13" in the field month: write 1 … 12 or jan … dec`,
		"* * * * 8":     `"8" in the field day of the week: write 0 … 7 or sun … sat`,
		"* * * * mo":    `"mo" in the field day of the week`,
		"*/0 * * * *":   "a step is a number from 1 to 59",
		"*/x * * * *":   "a step is a number",
		"5-1 * * * *":   `"5-1" in the field minute runs backwards`,
		"1,,2 * * * *":  `"" in the field minute`,
		"-1 * * * *":    `in the field minute`,
		"0 0 31 2 *":    "never due",
		"@sometimes":    "@sometimes",
		"@every 5m":     "is not known",
		"a b c d e":     `"a" in the field minute`,
		"1-2-3 * * * *": `in the field minute`,
	} {
		_, err := Parse(text, nil)
		require.ErrorContains(t, err, want, text)
	}
}

func TestEvery(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 10, 7, 0, 0, time.UTC)
	s := Every(15 * time.Minute)
	require.Equal(t, "2026-03-01T10:15:00Z", s.Next(at).Format(time.RFC3339))
	require.Equal(t, "2026-03-01T10:30:00Z", s.Next(s.Next(at)).Format(time.RFC3339))
	require.Equal(t, "2026-03-01T10:00:00Z", Last(s, at).Format(time.RFC3339))
	require.Equal(t, "1969-12-31T23:45:00Z", s.Next(time.Unix(-1700, 0).UTC()).Format(time.RFC3339))
}

// TestTheNextTimeIsTheFirst compares with a search minute by minute, in a zone
// with changes of the clock.
func TestTheNextTimeIsTheFirst(t *testing.T) {
	t.Parallel()
	loc := zone(t, "Europe/Berlin")
	for _, text := range []string{"7 * * * *", "*/20 * 25-31 3,10 *", "15 */5 * * 0"} {
		s, err := Parse(text, loc)
		require.NoError(t, err)
		e := s.(*expression)
		e.anyHour = true // by the time that passes
		at := time.Date(2026, 3, 27, 0, 0, 0, 0, time.UTC)
		for range 200 {
			next := e.Next(at)
			for m := at.Truncate(time.Minute).Add(time.Minute); m.Before(next); m = m.Add(time.Minute) {
				l := m.In(loc)
				require.False(t, e.due(l) && e.hour>>l.Hour()&1 == 1 && e.minute>>l.Minute()&1 == 1, "%s: %s is before %s", text, m, next)
				if m.Sub(at) > 40*24*time.Hour {
					break
				}
			}
			at = next
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"*/15 * * * *", "0 6 1-5 jan mon", "@daily", "30 2 29 2 *"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text, time.UTC)
		if err != nil {
			return
		}
		at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		next := s.Next(at)
		require.True(t, next.After(at))
		require.Equal(t, next, Last(s, next))
	})
}
