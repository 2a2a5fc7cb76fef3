package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/alert"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/dbtest"
	"github.com/profilerhq/profiler/internal/store"
)

// outbox is a store with a clock to be set.
type outbox struct {
	*store.Store
	t   *testing.T
	now time.Time
}

func newOutbox(t *testing.T, url string) *outbox {
	o := &outbox{t: t, now: day(50)}
	o.Store = open(t, url, store.Options{Now: func() time.Time { return o.now }})
	return o
}

// tell changes the incident of a dataset, which it opens if need be.
func (o *outbox) tell(id, name string, event alert.Event, due time.Time) store.Changed {
	o.t.Helper()
	done, err := o.Record(o.t.Context(), judged(store.Observation{Report: checks.Report{Dataset: name, Batch: "b", At: day(1)}}, checks.Fail),
		func(st store.IncidentState) store.IncidentChange {
			in := alert.Incident{ID: id, Dataset: name, Status: alert.Open, OpenedAt: o.now, UpdatedAt: o.now}
			if st.Current != nil && st.Current.ID == id {
				in = *st.Current
			}
			in.Revision++
			if event == alert.EventResolved {
				in.Status, in.ResolvedAt = alert.Resolved, o.now
			}
			return store.IncidentChange{Incidents: []alert.Incident{in},
				Notices: []alert.Notice{{Channel: "data", Story: id, Dataset: name, Event: event, Revision: in.Revision, Due: due}}}
		})
	require.NoError(o.t, err)
	return done
}

func (o *outbox) claim(stories ...string) []store.Delivery {
	o.t.Helper()
	got, err := o.Claim(o.t.Context(), store.ClaimQuery{Channel: "data", Stories: stories, Limit: 10})
	require.NoError(o.t, err)
	return got
}

func keys(all []store.Delivery) []string {
	out := []string{}
	for i := range all {
		out = append(out, all[i].Key())
	}
	return out
}

func (o *outbox) incident(id string) alert.Incident {
	o.t.Helper()
	in, err := o.Incidents(o.t.Context(), store.IncidentQuery{ID: id})
	require.NoError(o.t, err)
	require.Len(o.t, in, 1)
	return in[0]
}

func TestOutboxKeepsOneEntryOfAStory(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		o := newOutbox(t, url)
		ctx := t.Context()
		due := o.now.Add(30 * time.Second)
		require.Equal(t, store.Changed{Stories: []string{"01"}}, o.tell("01", "a/b", alert.EventOpened, due))
		require.Equal(t, []string{"grouped"}, o.tell("01", "a/b", alert.EventUpdated, o.now).Merged)
		require.Equal(t, []string{"grouped"}, o.tell("01", "a/b", alert.EventRaised, o.now).Merged)
		require.Empty(t, o.claim(), "it waits for more of the same")
		require.Equal(t, map[string]int{"data": 1}, waiting(t, o.Store))

		require.Equal(t, []string{"01/3/opened/data"}, keys(o.claim("01", "other")), "whoever names the story need not wait")
		require.Empty(t, o.claim("01"), "it is claimed")
		o.now = due.Add(store.Lease)
		got := o.claim()
		require.True(t, got[0].Repeat, "a claim runs out, and what became of it is not known")
		require.NoError(t, o.Failed(ctx, got[0], alert.Thread{}, "no\x00answer", o.now.Add(time.Minute)))
		require.Empty(t, o.claim(), "it is put off")
		o.now = o.now.Add(time.Minute)
		got = o.claim()
		require.Equal(t, 1, got[0].Attempts)
		require.Equal(t, "no␀answer", got[0].Reason)
		require.False(t, got[0].Repeat)
		require.NoError(t, o.Release(ctx, got...))

		got = o.claim()
		place := alert.Thread{Channel: "C1", Message: "17.1"}
		require.NoError(t, o.Sent(ctx, got[0], place))
		require.NoError(t, o.Sent(ctx, got[0], place))
		in := o.incident("01")
		require.Equal(t, map[string]alert.Thread{"data": place}, in.Threads)
		require.Equal(t, map[string]int{"data": 3}, in.Told)
		require.Empty(t, waiting(t, o.Store))

		require.Empty(t, o.tell("01", "a/b", alert.EventUpdated, o.now).Merged)
		require.Equal(t, []string{"rate_limited"}, o.tell("01", "a/b", alert.EventUpdated, o.now).Merged)
		require.Equal(t, []string{"01/5/updated/data"}, keys(o.claim()))
	})
}

func TestOutboxKeepsWhatCameDuringASend(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		o := newOutbox(t, url)
		ctx := t.Context()
		o.tell("01", "a/b", alert.EventOpened, o.now)
		sending := o.claim()
		o.tell("01", "a/b", alert.EventRaised, o.now)
		require.Empty(t, o.claim(), "one at a time")
		require.NoError(t, o.Sent(ctx, sending[0], alert.Thread{Message: "m"}))
		require.Equal(t, []string{"01/2/raised/data"}, keys(o.claim()))
		require.Equal(t, map[string]int{"data": 1}, o.incident("01").Told)
	})
}

func TestOutboxKeepsTheOrderOfADataset(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		o := newOutbox(t, url)
		ctx := t.Context()
		o.tell("01", "a/b", alert.EventResolved, o.now.Add(time.Hour)) // put off, say
		o.tell("02", "a/b", alert.EventOpened, o.now)
		o.tell("03", "a/c", alert.EventOpened, o.now)
		got := o.claim()
		require.Equal(t, []string{"03/1/opened/data"}, keys(got), "the later story of the dataset waits for the earlier one")
		require.NoError(t, o.GiveUp(ctx, got[0], alert.Thread{}, "refused"))
		require.Empty(t, o.incident("03").Told)
		o.now = o.now.Add(time.Hour)
		got = o.claim()
		require.Equal(t, []string{"01/1/resolved/data"}, keys(got))
		require.NoError(t, o.Sent(ctx, got[0], alert.Thread{}))
		require.Equal(t, []string{"02/1/opened/data"}, keys(o.claim()))
	})
}

func TestDigests(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		o := newOutbox(t, url)
		ctx := t.Context()
		o.tell("01", "a/b", alert.EventOpened, o.now)
		o.tell("02", "a/c", alert.EventOpened, o.now)
		got := o.claim()
		require.NoError(t, o.Sent(ctx, got[0], alert.Thread{Message: "m"}))
		n, err := o.ToldSince(ctx, "data", o.now)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.NoError(t, o.IntoDigest(ctx, alert.Digest{ID: "D1", Channel: "data", OpenedAt: o.now}, got[1:]))
		require.Equal(t, alert.Thread{Digest: "D1"}, o.incident("02").Threads["data"])
		n, err = o.ToldSince(ctx, "data", o.now)
		require.NoError(t, err)
		require.Equal(t, 1, n, "what a digest tells is not told one by one")

		o.tell("02", "a/c", alert.EventUpdated, o.now)
		got = o.claim()
		require.Equal(t, []string{"D1/1/digest/data", "02/2/updated/data"}, keys(got))
		require.NoError(t, o.IntoDigest(ctx, alert.Digest{ID: "D1", Channel: "data"}, got[1:]))
		require.NoError(t, o.DigestSent(ctx, got[0], alert.Thread{Message: "d"}, true))
		d, err := o.Digest(ctx, "", "data")
		require.NoError(t, err)
		require.Equal(t, &alert.Digest{ID: "D1", Channel: "data", OpenedAt: d.OpenedAt, Incidents: []string{"02"}, Thread: alert.Thread{Message: "d"}, Revision: 2}, d,
			"it is not over, as something came during the send")
		got = o.claim()
		require.Equal(t, []string{"D1/2/digest/data"}, keys(got))
		require.NoError(t, o.DigestSent(ctx, got[0], alert.Thread{}, true))
		d, err = o.Digest(ctx, "", "data")
		require.NoError(t, err)
		require.Nil(t, d)
		d, err = o.Digest(ctx, "D1", "")
		require.NoError(t, err)
		require.True(t, d.Closed)
		require.Equal(t, "d", d.Thread.Message)
	})
}

func TestANoticeOfNoIncidentIsToldOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		o := newOutbox(t, url)
		n := alert.Notice{Channel: "data", Story: "weekly/2026-48", Event: alert.EventWeekly, Body: "{}", Due: o.now}
		for _, want := range []bool{true, false} {
			added, err := o.AddNotice(t.Context(), n)
			require.NoError(t, err)
			require.Equal(t, want, added)
		}
		got := o.claim()
		require.Equal(t, "{}", got[0].Body)
		require.NoError(t, o.Sent(t.Context(), got[0], alert.Thread{Message: "m"}))
		added, err := o.AddNotice(t.Context(), n)
		require.NoError(t, err)
		require.False(t, added)
	})
}

// TestClaimersShareTheWork lets several processes claim at the same time.
func TestClaimersShareTheWork(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		o := newOutbox(t, url)
		const all = 40
		for k := range all {
			o.tell(day(k).Format("0102"), day(k).Format("a/0102"), alert.EventOpened, o.now)
		}
		results := make(chan []store.Delivery, 4)
		for range cap(results) {
			go func() {
				var mine []store.Delivery
				for {
					got, err := o.Claim(t.Context(), store.ClaimQuery{Channel: "data", Limit: 3})
					if err != nil || len(got) == 0 {
						results <- mine
						return
					}
					mine = append(mine, got...)
				}
			}()
		}
		seen := map[string]bool{}
		for range cap(results) {
			for _, d := range <-results {
				require.False(t, seen[d.Story], "nobody gets what another one has")
				seen[d.Story] = true
			}
		}
		for len(seen) < all { // a claimer may see nothing while another one holds the rest
			got := o.claim()
			require.NotEmpty(t, got)
			for _, d := range got {
				seen[d.Story] = true
			}
		}
	})
}

func waiting(t *testing.T, s *store.Store) map[string]int {
	t.Helper()
	n, err := s.Waiting(t.Context())
	require.NoError(t, err)
	return n
}
