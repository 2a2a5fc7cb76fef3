package anomaly_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/anomaly"
)

// oddCells are columns that nobody wants, one function for each.
var oddCells = []func(r *rand.Rand, batch, row int) string{
	func(*rand.Rand, int, int) string { return "7" },                                    // constant
	func(*rand.Rand, int, int) string { return "" },                                     // all null
	func(_ *rand.Rand, batch, row int) string { return fmt.Sprint(batch*1000 + row) },   // running id
	func(r *rand.Rand, _, _ int) string { return fmt.Sprint(-1 * r.Float64() * 1e308) }, // huge
	func(r *rand.Rand, _, _ int) string { return fmt.Sprint(int64(r.Uint64())) },        // of 64 bits
	func(r *rand.Rand, _, _ int) string { return []string{"NaN", "Inf", "-Inf", "1", "-0"}[r.IntN(5)] },
	func(r *rand.Rand, _, _ int) string { return strings.Repeat("é", r.IntN(40)) },
	func(r *rand.Rand, batch, _ int) string {
		return time.Unix(r.Int64N(1e10)-5e9, 0).UTC().Format(time.RFC3339)
	},
	func(r *rand.Rand, _, _ int) string { return fmt.Sprintf("%02d:%02d:00", r.IntN(24), r.IntN(60)) },
	func(r *rand.Rand, _, _ int) string { return []string{"true", "false", ""}[r.IntN(3)] },
	func(r *rand.Rand, batch, _ int) string {
		return []string{"1", "x", "2020-01-01", "1.5"}[(batch+r.IntN(2))%4]
	}, // flips its type
	func(r *rand.Rand, _, _ int) string { return fmt.Sprint(r.NormFloat64() * 1e-300) },
	func(r *rand.Rand, _, _ int) string { return fmt.Sprintf("v%d", r.IntN(5)) },
}

// oddBatch writes a batch in which columns come and go and rows are few or none.
func oddBatch(r *rand.Rand, batch int) string {
	var use []int
	for c := range oddCells {
		if r.IntN(10) > 0 {
			use = append(use, c)
		}
	}
	rows := []int{0, 1, 2, 30, 60, 60, 60}[r.IntN(7)]
	if r.IntN(20) == 0 {
		return "" // not even a header
	}
	var b strings.Builder
	for i, c := range use {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "c%d", c)
	}
	b.WriteByte('\n')
	for row := range rows {
		for i, c := range use {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(oddCells[c](r, batch, row))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// finite fails on any number of a value that is none.
func finite(t *testing.T, v reflect.Value, path string) {
	t.Helper()
	switch v.Kind() {
	case reflect.Float64:
		require.False(t, math.IsNaN(v.Float()) || math.IsInf(v.Float(), 0), "%s is %v", path, v.Float())
	case reflect.Struct:
		for i := range v.NumField() {
			finite(t, v.Field(i), path+"."+v.Type().Field(i).Name)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			finite(t, v.Index(i), fmt.Sprintf("%s[%d]", path, i))
		}
	case reflect.Pointer:
		if !v.IsNil() {
			finite(t, v.Elem(), path)
		}
	default:
	}
}

// Whatever comes has a defined answer: gaps, a clock that goes back, empty
// batches, columns that come and go, values without bounds.
func TestOddInput(t *testing.T) {
	t.Parallel()
	seeds := 12
	if testing.Short() {
		seeds = 2
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(uint64(seed), 3))
			s := anomaly.NewState()
			at := start
			labels := []anomaly.Label{"", "", "", "", anomaly.LabelFine, anomaly.LabelReal, anomaly.LabelFineOnce, anomaly.LabelNewNormal}
			for i := range 45 {
				at = at.Add([]time.Duration{24 * time.Hour, 24 * time.Hour, 0, -time.Hour, 1000 * time.Hour}[r.IntN(5)])
				f := anomaly.Extract(profileOf(t, oddBatch(r, i)), at)
				o := anomaly.Options{Preset: []anomaly.Preset{anomaly.Off, anomaly.Quiet, anomaly.Normal, anomaly.High}[r.IntN(4)]}
				before, err := s.Encode()
				require.NoError(t, err)
				d := s.Judge(f, o)
				finite(t, reflect.ValueOf(d), "decision")
				require.Equal(t, o.Preset != anomaly.Off, d.Judged)
				require.Equal(t, d.HasScore, d.HasScore && d.Score >= 0)
				after, err := s.Encode()
				require.NoError(t, err)
				require.Equal(t, before, after)
				again, err := anomaly.Decode(before)
				require.NoError(t, err)
				require.Equal(t, d, again.Judge(f, o))
				label := labels[r.IntN(len(labels))]
				s.Add(fmt.Sprint(i), f, o, d, label)
				again.Add(fmt.Sprint(i), f, o, d, label)
				a, err := s.Encode()
				require.NoError(t, err)
				b, err := again.Encode()
				require.NoError(t, err)
				require.Equal(t, a, b, "batch %d", i)
			}
		})
	}
}

// A batch never is a part of what it is compared with: whatever it holds, the
// expectations are the same.
func TestABatchIsNotItsOwnBaseline(t *testing.T) {
	t.Parallel()
	s := learned(t, 35)
	expected := map[string][2]float64{}
	seen := 0
	for _, other := range []shop{{}, {rows: 30}, {rows: 40}, {rows: 2000}, {nulls: 0.6}, {nulls: 0.9}, {unit: 100}, {unit: 200}, {unit: 0.01}, {country: "XX"}, {country: "YY"}, {twice: true}, {old: true}, {text: 0.3}, {text: 0.2}} {
		d := s.Judge(other.features(t, 35), normal)
		require.Equal(t, 35, d.Batches)
		for _, e := range d.Evidence {
			if !e.IsNumber() {
				continue
			}
			key := e.Column + " " + e.Metric
			want, ok := expected[key]
			if ok {
				seen++
				got := e.Expected
				require.InDelta(t, want[0], got, 1e-9*(1+math.Abs(want[0])), key)
			}
			expected[key] = [2]float64{e.Expected}
		}
	}
	require.Greater(t, seen, 5)
}

func TestAThousandColumns(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	s, f := wide(t, 1000, 16)
	d := s.Judge(f, normal)
	finite(t, reflect.ValueOf(d), "decision")
	require.NotEqual(t, anomaly.Fail, d.Status, "%+v", d.Evidence)
	require.LessOrEqual(t, len(d.Evidence), 10)
}

func TestOneBatchAndNone(t *testing.T) {
	t.Parallel()
	s := anomaly.NewState()
	f := shop{}.features(t, 0)
	d := s.Judge(f, normal)
	require.Equal(t, anomaly.Learning, d.Status)
	require.False(t, d.HasScore)
	require.Equal(t, anomaly.NoLane, d.Lane)
	require.Equal(t, 7, d.Wanted)
	s.Add("0", f, normal, d, anomaly.NoLabel)
	d = s.Judge(shop{noColumn: true}.features(t, 1), normal)
	require.Equal(t, anomaly.Fail, d.Status, "the contract holds from the second batch")
	require.Equal(t, 0, d.Lane)
}

// judgeDay judges and adds a day.
func judgeDay(t *testing.T, s *anomaly.State, sh shop, day int, label anomaly.Label) (anomaly.Decision, anomaly.Outcome) {
	t.Helper()
	f := sh.features(t, day)
	d := s.Judge(f, normal)
	return d, s.Add(fmt.Sprint(day), f, normal, d, label)
}

func TestWhatPagesIsHeldOut(t *testing.T) {
	t.Parallel()
	s := learned(t, 35)
	d, out := judgeDay(t, s, shop{rows: 40}, 35, "")
	require.Equal(t, anomaly.Fail, d.Status)
	require.False(t, out.Admitted)
	d, out = judgeDay(t, s, shop{}, 36, "")
	require.NotEqual(t, anomaly.Fail, d.Status, "%+v", d.Evidence)
	require.True(t, out.Admitted)
	require.Equal(t, 0, d.Calm, "batches since the page")
	require.Equal(t, 36, s.Batches())
}

func TestALevelPagesOnce(t *testing.T) {
	t.Parallel()
	s := learned(t, 35)
	pages, level := 0, -1
	for i := range 14 {
		d, out := judgeDay(t, s, shop{unit: 100}, 35+i, "")
		if d.Status == anomaly.Fail && !d.Continues {
			pages++
		}
		if out.NewLevel {
			require.Equal(t, -1, level)
			level = i
			require.ElementsMatch(t, []string{"35", "36"}, out.AdmittedLater)
		}
		require.False(t, d.Status == anomaly.Fail && level >= 0, "day %d: %+v", i, d.Evidence)
	}
	require.Equal(t, 1, pages, "only the first one pages")
	require.Equal(t, 2, level)
}

func TestAColumnThatWentPagesOnce(t *testing.T) {
	t.Parallel()
	s := learned(t, 10)
	pages := 0
	for i := range 8 {
		d, _ := judgeDay(t, s, shop{noColumn: true}, 10+i, "")
		if d.Status == anomaly.Fail && !d.Continues {
			pages++
		}
		require.False(t, i > 2 && d.Status == anomaly.Fail, "day %d: %+v", i, d.Evidence)
	}
	require.Equal(t, 1, pages)
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for label, pagesAgain := range map[anomaly.Label]bool{anomaly.LabelReal: true, anomaly.LabelFineOnce: true, anomaly.LabelFine: false, anomaly.LabelNewNormal: false} {
		t.Run(string(label), func(t *testing.T) {
			t.Parallel()
			s := learned(t, 35)
			_, out := judgeDay(t, s, shop{nulls: 0.3}, 35, label)
			require.Equal(t, !pagesAgain, out.Admitted)
			judgeDay(t, s, shop{}, 36, "")
			d, _ := judgeDay(t, s, shop{nulls: 0.3}, 37, "")
			require.Equal(t, pagesAgain, d.Status == anomaly.Fail, "%+v", d.Evidence)
		})
	}
}

// What paged twice and nobody answered warns from then on, and says what it is.
func TestUnansweredPagesWarn(t *testing.T) {
	t.Parallel()
	s := learned(t, 35)
	for day := 35; day < 75; day++ {
		sh := shop{}
		if day%13 == 0 {
			sh.rows = 40
		}
		d, _ := judgeDay(t, s, sh, day, "")
		switch day {
		case 39, 52:
			require.Equal(t, anomaly.Fail, d.Status)
			require.False(t, d.Unanswered)
		case 65:
			require.Equal(t, anomaly.Warn, d.Status, "%+v", d.Evidence)
			require.True(t, d.Unanswered)
			require.Equal(t, "row_count", d.Evidence[0].Metric)
		default:
			require.False(t, d.Unanswered, "day %d", day)
		}
	}
}

// An extreme batch that somebody called fine changes no expectation, not even
// where the last values predict the next one, as with growth: the next healthy
// batches are healthy, and the like is known.
func TestFineLeavesTheNextBatchesAlone(t *testing.T) {
	t.Parallel()
	grown := func(day int) int { return int(200 * math.Pow(1.05, float64(day))) }
	s := anomaly.NewState()
	for day := range 40 {
		judgeDay(t, s, shop{rows: grown(day)}, day, "")
	}
	d, out := judgeDay(t, s, shop{rows: 40 * grown(40)}, 40, anomaly.LabelFine)
	require.Equal(t, anomaly.Fail, d.Status)
	require.True(t, out.Admitted)
	for day := 41; day < 55; day++ { // that of the same weekday too
		d, _ := judgeDay(t, s, shop{rows: grown(day)}, day, "")
		require.NotEqual(t, anomaly.Fail, d.Status, "day %d: %+v", day, d.Evidence)
	}
	d, _ = judgeDay(t, s, shop{rows: 30 * grown(55)}, 55, "")
	require.NotEqual(t, 1, d.Lane, "%+v", d.Evidence)
}

// A slow change warns, says which column and since when, and pages once; the
// batch of the page is learned from, it is like those before it.
func TestSlowChange(t *testing.T) {
	t.Parallel()
	s := anomaly.NewState()
	warned, pages := 0, 0
	for day := range 130 {
		unit := 1.0
		if day > 60 {
			unit = 1 + 0.02*float64(min(day, 110)-60) // to the double in 50 days
		}
		d, out := judgeDay(t, s, shop{unit: unit}, day, "")
		if day <= 60 {
			require.Empty(t, d.Slow, "day %d", day)
		}
		if len(d.Slow) > 0 {
			warned++
			require.Equal(t, "amount", d.Slow[0].Column)
			require.Equal(t, "slow", d.Slow[0].Shape)
			require.Greater(t, d.Slow[0].Value, d.Slow[0].Expected)
			require.GreaterOrEqual(t, d.Status, anomaly.Warn)
		}
		if d.Status != anomaly.Fail {
			continue
		}
		pages++
		require.Equal(t, 3, d.Lane, "%+v", d.Evidence)
		require.Equal(t, "amount", d.Evidence[0].Column)
		require.Equal(t, "slow", d.Evidence[0].Shape)
		require.Less(t, d.Evidence[0].Was, fmt.Sprint(day), "when it began")
		require.GreaterOrEqual(t, warned, 5, "it has to last")
		require.True(t, out.Admitted)
		data, err := s.Encode()
		require.NoError(t, err)
		s, err = anomaly.Decode(data) // a page that was told stays told
		require.NoError(t, err)
	}
	require.Less(t, warned, 30, "what was told warns no more")
	require.Equal(t, 1, pages)
}

// Where the level always wandered, as seasons do, the same change is no news.
func TestWanderingLevelsAreNoSlowChange(t *testing.T) {
	t.Parallel()
	s := anomaly.NewState()
	for day := range 150 {
		unit := 1.5 + 0.5*math.Sin(float64(day)/12)
		d, _ := judgeDay(t, s, shop{unit: unit}, day, "")
		require.NotEqual(t, 3, d.Lane, "day %d: %+v", day, d.Slow)
	}
}

func TestStudentTail(t *testing.T) {
	t.Parallel()
	require.InEpsilon(t, 0.0009645351944151314, anomaly.StudentTail6(6), 1e-12)
	require.InEpsilon(t, 0.0009645351944151314, anomaly.StudentTail6(-6), 1e-12)
	require.Equal(t, 1.0, anomaly.StudentTail6(0))
}

func FuzzDecode(f *testing.F) {
	s := learned(f, 9)
	a, err := s.Encode()
	require.NoError(f, err)
	b, err := shop{}.features(f, 1).Encode()
	require.NoError(f, err)
	f.Add(a)
	f.Add(b)
	next := shop{}.features(f, 10)
	f.Fuzz(func(t *testing.T, data []byte) {
		if s, err := anomaly.Decode(data); err == nil {
			s.Judge(next, normal)
		}
		if ft, err := anomaly.DecodeFeatures(data); err == nil {
			anomaly.NewState().Judge(ft, normal)
		}
	})
}
