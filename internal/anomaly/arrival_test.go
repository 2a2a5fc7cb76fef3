package anomaly_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/anomaly"
)

// arrivalsOf are those of days from Monday, 2026-01-05 on; skip leaves days out.
func arrivalsOf(days int, at func(day int) time.Duration, skip func(day int) bool) (out []anomaly.Arrival) {
	for day := range days {
		if skip != nil && skip(day) {
			continue
		}
		made := time.Date(2026, 1, 5+day, 0, 0, 0, 0, time.UTC)
		out = append(out, anomaly.Arrival{At: made, Came: made.Add(at(day))})
	}
	return out
}

func TestOverdue(t *testing.T) {
	t.Parallel()
	on := func(day int, h, m int) time.Time { return time.Date(2026, 1, 5+day, h, m, 0, 0, time.UTC) }
	morning := func(day int) time.Duration { return 5*time.Hour + time.Duration(50+day%3*10)*time.Minute } // 05:50 to 06:10
	weekend := func(day int) bool { return day%7 >= 5 }
	night := func(day int) time.Duration { return 24*time.Hour + time.Duration(day%5*10-20)*time.Minute } // around midnight
	for name, tc := range map[string]struct {
		arrivals      []anomaly.Arrival
		now           time.Time
		late          bool
		expected, due time.Time
	}{
		"in time":                               {arrivalsOf(28, morning, nil), on(28, 7, 9), false, time.Time{}, time.Time{}},
		"late":                                  {arrivalsOf(28, morning, nil), on(28, 7, 10), true, on(28, 6, 10), on(28, 7, 10)},
		"the second day":                        {arrivalsOf(28, morning, nil), on(29, 8, 0), true, on(29, 6, 10), on(29, 7, 10)},
		"the first day, at night":               {arrivalsOf(28, morning, nil), on(29, 3, 0), true, on(28, 6, 10), on(28, 7, 10)},
		"none is expected after a week without": {arrivalsOf(28, morning, nil), on(45, 8, 0), true, on(34, 6, 10), on(34, 7, 10)},
		"no batch on weekends":                  {arrivalsOf(26, morning, weekend), on(27, 23, 0), false, time.Time{}, time.Time{}},
		"Monday":                                {arrivalsOf(26, morning, weekend), on(28, 9, 0), true, on(28, 6, 10), on(28, 7, 10)},
		"around midnight, in time":              {arrivalsOf(28, night, nil), on(29, 1, 0), false, time.Time{}, time.Time{}},
		"around midnight, late":                 {arrivalsOf(28, night, nil), on(29, 1, 20), true, on(29, 0, 20), on(29, 1, 20)},
		"too few":                               {arrivalsOf(13, morning, nil), on(20, 9, 0), false, time.Time{}, time.Time{}},
		"loaded at once, much later":            {arrivalsOf(60, func(day int) time.Duration { return time.Duration(100-day) * 24 * time.Hour }, nil), on(110, 0, 0), false, time.Time{}, time.Time{}},
		"none":                                  {nil, on(1, 0, 0), false, time.Time{}, time.Time{}},
		"all at one moment":                     {arrivalsOf(30, func(day int) time.Duration { return -time.Duration(day) * 24 * time.Hour }, nil), on(60, 0, 0), false, time.Time{}, time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			late, ok := anomaly.Overdue(tc.arrivals, tc.now)
			require.Equal(t, tc.late, ok, "%+v", late)
			if ok {
				require.Equal(t, tc.expected, late.Expected)
				require.Equal(t, tc.due, late.Due)
				require.Equal(t, tc.arrivals[len(tc.arrivals)-1].Came, late.Last)
			}
		})
	}
}

// What comes by the hour in office hours is not missed at night.
func TestOverdueOfOtherRhythms(t *testing.T) {
	t.Parallel()
	var hours, office []anomaly.Arrival
	for h := range 24 * 14 {
		at := time.Date(2026, 1, 5, h, 0, 0, 0, time.UTC)
		a := anomaly.Arrival{At: at, Came: at.Add(5 * time.Minute)}
		hours = append(hours, a)
		if at.Hour() >= 8 && at.Hour() < 18 {
			office = append(office, a)
		}
	}
	last := hours[len(hours)-1].Came
	_, ok := anomaly.Overdue(hours, last.Add(119*time.Minute))
	require.False(t, ok)
	late, ok := anomaly.Overdue(hours, last.Add(2*time.Hour))
	require.True(t, ok)
	require.True(t, late.Expected.Equal(last.Add(time.Hour)), late.Expected)
	last = office[len(office)-1].Came
	_, ok = anomaly.Overdue(office, last.Add(18*time.Hour))
	require.False(t, ok)
	_, ok = anomaly.Overdue(office, last.Add(19*time.Hour)) // 1.25 times the night
	require.True(t, ok)
}
