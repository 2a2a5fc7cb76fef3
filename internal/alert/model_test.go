package alert

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/checks"
)

// world is a store, an outbox and a channel, in memory, with a clock of its own.
type world struct {
	t         *testing.T
	rng       *rand.Rand
	now       time.Time
	o         Options
	incidents []*Incident
	waiting   map[string]Notice // by story
	opened    map[string]int    // first messages by story
	shown     map[string]Status // what the channel shows
	run       int
	ids       int
}

// steps of the pipeline, each after the ones before it; the dataset "d" is in
// none.
var steps = []string{"a", "b", "c"}

func (w *world) newest(dataset string) *Incident {
	for k := len(w.incidents) - 1; k >= 0; k-- {
		if w.incidents[k].Dataset == dataset {
			return w.incidents[k]
		}
	}
	return nil
}

func (w *world) apply(c *Change) {
	if c == nil {
		return
	}
	w.incidents = slices.DeleteFunc(w.incidents, func(i *Incident) bool { return i.ID == c.Incident.ID })
	if c.Forget {
		return
	}
	in := c.Incident
	w.incidents = append(w.incidents, &in)
	for _, n := range c.Notices(w.o) {
		if old, ok := w.waiting[n.Story]; ok {
			n.Event = Merge(old.Event, n.Event)
			if old.Event == EventOpened {
				n.Due = old.Due
			}
		}
		w.waiting[n.Story] = n
	}
}

// deliver sends what is due, unless the channel does not take it.
func (w *world) deliver(down bool) {
	for story, n := range w.waiting {
		if down || n.Due.After(w.now) {
			continue
		}
		at := slices.IndexFunc(w.incidents, func(i *Incident) bool { return i.ID == story })
		require.GreaterOrEqual(w.t, at, 0, "a message about an incident that was forgotten")
		in := w.incidents[at]
		if in.Told["data"] == 0 && in.Status != Resolved {
			w.opened[story]++
		}
		told := in.clone()
		if told.Told == nil {
			told.Told = map[string]int{}
		}
		told.Told["data"] = in.Revision
		w.incidents[at] = &told
		w.shown[story] = in.Status
		delete(w.waiting, story)
	}
}

// batch judges one batch of a dataset, bad with the given probability.
func (w *world) batch(step int, bad float64) {
	w.ids++
	r := checks.Report{Dataset: "d", Batch: fmt.Sprint("b", w.ids), At: w.now}
	in := Input{Now: w.now, ID: func() string { return fmt.Sprintf("I%05d", w.ids) }}
	if step < len(steps) {
		r.Dataset = steps[step]
		r.Origin = checks.Origin{Pipeline: "p", Step: steps[step], Run: fmt.Sprint(w.run)}
		in.Ancestors, in.Descendants = steps[:step], steps[step+1:]
		for _, i := range w.incidents {
			if i.Dataset != r.Dataset && i.Dataset != "d" && i.Live() {
				in.Pipeline = append(in.Pipeline, *i)
			}
		}
	}
	status, severity := checks.Pass, checks.SeverityFail
	if w.rng.Float64() < bad {
		status = checks.Fail
		if w.rng.IntN(3) == 0 {
			severity = checks.SeverityWarn
		}
	}
	r.Results = []checks.Result{{ID: "x", Kind: "range", Status: status, Severity: severity}}
	in.Report, in.Current = r, w.newest(r.Dataset)
	w.apply(Decide(in, w.o))
	if status == checks.Fail {
		w.known(r.Dataset)
	}
}

// known requires that the trouble of a dataset is in an incident.
func (w *world) known(dataset string) {
	w.t.Helper()
	for _, i := range w.incidents {
		if i.Status != Resolved && (i.Dataset == dataset || i.Began == dataset || slices.Contains(i.Folded, dataset)) {
			return
		}
	}
	w.t.Fatalf("nobody knows of the trouble of %s", dataset)
}

func (w *world) somebody() {
	var live []*Incident
	for _, i := range w.incidents {
		if i.Live() {
			live = append(live, i)
		}
	}
	if len(live) == 0 {
		return
	}
	i := live[w.rng.IntN(len(live))]
	var c *Change
	var err error
	switch w.rng.IntN(4) {
	case 0:
		c, err = Acknowledge(i, "ann", w.now)
	case 1:
		c, err = Snooze(i, "ann", w.now.Add(time.Duration(1+w.rng.IntN(600))*time.Minute), w.now)
	case 2:
		c, err = Snooze(i, "ann", time.Time{}, w.now)
	case 3:
		c, err = Respond(i, Answers[w.rng.IntN(len(Answers))], "ann", w.now)
	}
	require.NoError(w.t, err)
	w.apply(c)
}

func (w *world) tick() {
	for _, i := range slices.Clone(w.incidents) {
		w.apply(Tick(i, w.now, w.o))
	}
}

// laws hold at any time.
func (w *world) laws() {
	w.t.Helper()
	live := map[string]int{}
	for _, i := range w.incidents {
		if i.Status != Resolved {
			live[i.Dataset]++
		}
		require.LessOrEqual(w.t, live[i.Dataset], 1, "one incident of %s", i.Dataset)
		require.LessOrEqual(w.t, w.opened[i.ID], 1, "one first message of %s", i.ID)
		if i.Live() && i.Silenced == "" {
			require.NotEmpty(w.t, i.Channels, "nobody is to hear of %s", i.ID)
		}
	}
}

// settled holds once everything was delivered.
func (w *world) settled() {
	w.t.Helper()
	w.now = w.now.Add(time.Minute)
	w.tick()
	ticked := w.now
	w.deliver(false)
	w.now = w.now.Add(time.Minute)
	w.deliver(false)
	require.Empty(w.t, w.waiting)
	for _, i := range w.incidents {
		if i.Status == Open && w.o.silencedBy(i, ticked) == "" {
			require.Empty(w.t, i.Silenced, "the silence over %s is over", i.ID)
		}
		if i.Status == Pending || len(i.Channels) == 0 {
			continue
		}
		require.Positive(w.t, i.Told["data"], "%s was never told", i.ID)
		if i.Status == Resolved || i.Status == Acknowledged {
			require.Equal(w.t, i.Status, w.shown[i.ID], "the channel shows how %s stands", i.ID)
		}
	}
}

// TestModel plays random stories of batches, people, silences, time and a
// channel that fails, and requires the laws of incidents throughout.
func TestModel(t *testing.T) {
	t.Parallel()
	seeds := 400
	if testing.Short() {
		seeds = 50
	}
	for seed := range seeds {
		w := &world{
			t: t, rng: rand.New(rand.NewPCG(uint64(seed), 1)), now: day0, waiting: map[string]Notice{}, opened: map[string]int{}, shown: map[string]Status{},
			o: Options{Channels: []string{"data"}, Silences: []Silence{{From: day0.Add(5 * time.Hour), To: day0.Add(9 * time.Hour), Why: "x"}}},
		}
		if seed%3 == 0 {
			w.o.Confirm = []Confirm{{Batches: 2}}
		}
		for range 150 {
			w.now = w.now.Add(time.Duration(w.rng.IntN(40*60)) * time.Second)
			switch w.rng.IntN(10) {
			case 0, 1, 2, 3: // a run of the pipeline
				w.run++
				bad := []float64{0.05, 0.8}[w.rng.IntN(2)]
				for step := range steps {
					w.batch(step, bad)
				}
			case 4, 5, 6:
				w.batch(len(steps), []float64{0.1, 0.9}[w.rng.IntN(2)])
			case 7:
				w.somebody()
			default:
				w.tick()
			}
			w.deliver(w.rng.IntN(2) == 0)
			w.laws()
			if w.rng.IntN(20) == 0 {
				w.settled()
			}
		}
		w.settled()
		w.laws()
	}
}
