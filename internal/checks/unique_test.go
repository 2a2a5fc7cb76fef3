package checks_test

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/exact"
	"github.com/profilerhq/profiler/internal/exact/disk"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/rules"
	csvsource "github.com/profilerhq/profiler/internal/source/csv"
)

// judgeIn runs rules over a CSV in a space and returns the profile with the
// results.
func judgeIn(t testing.TB, space *exact.Space, rows int, ruleText, data string) (*profile.Profile, []checks.Result) {
	t.Helper()
	sets, diags := rules.Parse("r.yaml", []byte(ruleText), nil)
	require.NoError(t, diags.Err())
	r, err := csvsource.New(strings.NewReader(data), csvsource.Options{Source: "in.csv"})
	require.NoError(t, err)
	plan := rules.Plan(sets, rows)
	plan.Space = space
	ev, b := checks.New(plan), profile.NewBuilder()
	defer ev.Close()
	var c batch.Chunk
	for {
		err := r.Next(t.Context(), &c)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		b.Add(r.Columns(), &c)
		ev.Observe(r.Columns(), &c)
	}
	p := b.Finish(r.Columns(), profile.Info{Stats: r.Stats()})
	return p, ev.Results(checks.Input{Profile: p})
}

// meaning is the naive identity of a field: its text in a column of texts, else
// what it says. ok is false for null.
func meaning(field string, quotedEmpty, isText bool) (id string, ok bool) {
	if field == "" {
		return "", quotedEmpty && isText
	}
	var cl batch.Classifier
	v := cl.Text([]byte(field))
	if isText || v.Type == batch.String {
		return "text " + field, true
	}
	if v.Type == batch.Timestamp && v.Int%86_400_000_000 == 0 && v.Float == 0 {
		v.Type = batch.Date
	}
	return string(v.AppendText(nil, false)), true
}

// repeatedRows finds the rows that are repeated in some columns with a map.
func repeatedRows(t testing.TB, p *profile.Profile, data string, columns []string) (evaluated int64, failed []int64) {
	t.Helper()
	records, err := csv.NewReader(strings.NewReader(strings.ReplaceAll(data, `""`, "\x00"))).ReadAll()
	require.NoError(t, err)
	by := map[string][]int64{}
	for n, rec := range records[1:] {
		key, all := "", true
		for _, c := range columns {
			field := rec[slices.Index(records[0], c)]
			id, ok := meaning(strings.Trim(field, "\x00"), field == "\x00", p.Column(c).Kind() == batch.String)
			key, all = key+strconv.Itoa(len(id))+":"+id, all && ok
		}
		if all {
			evaluated++
			by[key] = append(by[key], int64(n+1))
		}
	}
	for _, rows := range by {
		if len(rows) > 1 {
			failed = append(failed, rows...)
		}
	}
	slices.Sort(failed)
	return evaluated, failed
}

// generators of fields, by the kind of column that comes of them.
var fields = map[string]func(rng *rand.Rand, n int) string{
	"integer": func(rng *rand.Rand, n int) string { return strconv.Itoa(rng.IntN(n) - n/2) },
	"number": func(rng *rand.Rand, n int) string {
		v := rng.IntN(n)
		return []string{"%d", "%d.0", "+%d", "%d.50", "%d.5", "%de0", " %d"}[rng.IntN(7)] + "\x01" + strconv.Itoa(v)
	},
	"code": func(rng *rand.Rand, n int) string {
		return []string{"%d", "0%d", "00%d"}[rng.IntN(3)] + "\x01" + strconv.Itoa(rng.IntN(n))
	},
	"text": func(rng *rand.Rand, n int) string { return "x" + strconv.Itoa(rng.IntN(n)) },
	"mixed": func(rng *rand.Rand, n int) string {
		return []string{"a%d", "%d", "%d.0", "%d.00", "b%d"}[rng.IntN(5)] + "\x01" + strconv.Itoa(rng.IntN(n))
	},
	"day": func(rng *rand.Rand, n int) string {
		d := 1 + rng.IntN(n)%28
		return []string{"2026-01-%02d", "2026-01-%02dT00:00:00", "2026-01-%02d 00:00:00Z", "2026-01-%02d 12:30:00"}[rng.IntN(4)] + "\x01" + strconv.Itoa(d)
	},
	"time": func(rng *rand.Rand, n int) string {
		return []string{"2026-01-01 %02d:05:00", "2026-01-01 %02d:05:00", "2026-01-01T%02d:05:00", "2026-01-01T%02d:05:00.0Z"}[rng.IntN(4)] + "\x01" + strconv.Itoa(rng.IntN(24))
	},
	"days or text": func(rng *rand.Rand, n int) string {
		d := 1 + rng.IntN(n)%28
		return []string{"2026-01-%02d", "2026-01-%02dT00:00:00", "x%d", "y%d"}[rng.IntN(4)] + "\x01" + strconv.Itoa(d)
	},
	"flag": func(rng *rand.Rand, _ int) string { return []string{"true", "FALSE", "false", "True"}[rng.IntN(4)] },
}

func field(rng *rand.Rand, kind string, n int, empty float64) string {
	if rng.Float64() < empty {
		return []string{"", `""`}[rng.IntN(2)]
	}
	s := fields[kind](rng, n)
	if format, v, ok := strings.Cut(s, "\x01"); ok {
		i, _ := strconv.Atoi(v)
		return fmt.Sprintf(format, i)
	}
	return s
}

// unique says what a map says: over all kinds of columns, one or several, with
// empty fields, and the same at every limit of memory.
func TestUniqueAgainstMaps(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		kinds  []string
		values int
	}{
		{[]string{"integer"}, 100}, {[]string{"integer"}, 1 << 30}, {[]string{"number"}, 4000}, {[]string{"code"}, 3000}, {[]string{"text"}, 1 << 30}, {[]string{"text"}, 9000},
		{[]string{"mixed"}, 3000}, {[]string{"day"}, 28}, {[]string{"time"}, 24}, {[]string{"flag"}, 2}, {[]string{"days or text"}, 28},
		{[]string{"integer", "integer"}, 70}, {[]string{"text", "number"}, 40}, {[]string{"code", "time"}, 60}, {[]string{"code", "code", "flag"}, 30},
		{[]string{"mixed", "day"}, 60}, {[]string{"number", "time", "flag"}, 60}, {[]string{"text", "text"}, 1 << 20},
	} {
		for _, empty := range []float64{0, 0.1} {
			name := fmt.Sprintf("%s of %d, %g empty", strings.Join(tc.kinds, "+"), tc.values, empty)
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				rng := rand.New(rand.NewPCG(uint64(len(name)), uint64(tc.values)))
				names := []string{"a", "b", "c"}[:len(tc.kinds)]
				var b strings.Builder
				b.WriteString(strings.Join(names, ",") + ",id\n")
				for i := range 3_000 {
					for _, kind := range tc.kinds {
						b.WriteString(field(rng, kind, tc.values, empty) + ",")
					}
					fmt.Fprintf(&b, "k%d\n", i+1)
				}
				rule := "checks: [{unique: [" + strings.Join(names, ", ") + "]}]\n"
				if len(names) == 1 {
					rule = "columns: {a: [unique]}\n"
				}
				sameAtEveryLimit(t, names, rule, b.String())
			})
		}
	}
}

func sameAtEveryLimit(t *testing.T, names []string, rule, data string) {
	t.Helper()
	for _, key := range []string{"", "key: [id]\n", "key: [a]\n"} {
		var want checks.Result
		for i, memory := range []int64{1 << 30, 100 << 10, 8 << 10, 0} {
			dir := t.TempDir()
			space := exact.NewSpace(memory, disk.New(dir))
			p, results := judgeIn(t, space, 7, key+rule, data)
			require.Zero(t, space.Used())
			left, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Empty(t, left)
			got := results[1]
			if i > 0 {
				require.Equal(t, want, got, "memory %d", memory)
				continue
			}
			want = got
			evaluated, failed := repeatedRows(t, p, data, names)
			require.Equal(t, evaluated, *got.Evaluated, got.Message)
			require.Equal(t, int64(len(failed)), *got.Failed, got.Message)
			requireSample(t, failed, got.FailingRows, key != "")
		}
	}
}

// requireSample checks a sample of 7 of the failing rows.
func requireSample(t *testing.T, failed []int64, sample []checks.FailingRow, hasKey bool) {
	t.Helper()
	require.Len(t, sample, min(7, len(failed)))
	for i, f := range sample {
		require.Contains(t, failed, f.Row)
		require.False(t, f.Value.IsNull())
		require.NotEqual(t, "…", f.Value.String())
		if i == 0 {
			require.Equal(t, failed[0], f.Row)
		}
		if hasKey {
			require.Len(t, f.Key, 1)
		}
		if id, ok := f.Key["id"]; ok {
			require.Equal(t, "k"+strconv.FormatInt(f.Row, 10), *id)
		}
	}
}

// A column whose type shows only at the end is read as the profile has it.
func TestUniqueReadsAColumnAsItTurnsOut(t *testing.T) {
	t.Parallel()
	numbers := "v\n" + strings.Repeat("7.0\n7.00\n", 3000)
	_, res := judgeIn(t, nil, 3, "columns: {v: [unique]}", numbers)
	require.Equal(t, int64(6000), *res[1].Failed)
	texts := "v\n7.0\n7.00\n07\n7\n" + strings.Repeat("abc\n", 100)
	_, res = judgeIn(t, nil, 3, "columns: {v: [unique]}", texts)
	require.Equal(t, int64(100), *res[1].Failed)
	require.Equal(t, int64(5), res[1].FailingRows[0].Row)
}

// Of several columns the type is guessed; a wrong guess that matters is an
// error, never a result.
func TestUniqueOverColumnsOfALateType(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("v,w\n7.0,1\n7.00,1\n")
	for i := range 30_000 {
		fmt.Fprintf(&b, "%d,2\n", i)
	}
	for i := range 30_000 {
		fmt.Fprintf(&b, "t%d,2\n", i)
	}
	_, res := judgeIn(t, nil, 3, "checks: [{unique: [v, w]}]", b.String())
	require.Equal(t, checks.Error, res[1].Status)
	require.Equal(t, "whether the values of v are texts showed only at the end, too late to tell whether rows are repeated that spell it in several ways", res[1].Message)
	_, res = judgeIn(t, nil, 3, "checks: [{unique: [v, w]}]", strings.Replace(b.String(), "7.00,1", "8.00,1", 1))
	require.Equal(t, checks.Pass, res[1].Status, "no rows are repeated in any reading")
}

func TestUniqueBeyondTheMemory(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("v\n")
	for i := range 100_000 {
		fmt.Fprintf(&b, "%d\n", i)
	}
	_, res := judgeIn(t, exact.NewSpace(1<<20, nil), 3, "columns: {v: [unique]}", b.String())
	require.Equal(t, checks.Error, res[1].Status)
	require.Equal(t, "the keys cannot be counted: they need more than 1 MiB of memory, and no disk is there to be used", res[1].Message)
	_, res = judgeIn(t, exact.NewSpace(1<<20, disk.New("/nowhere/at/all")), 3, "columns: {v: [unique]}", b.String())
	require.Equal(t, checks.Error, res[1].Status)
	require.Equal(t, "the keys cannot be counted: a temporary file in /nowhere/at/all is needed: no such file or directory; set TMPDIR to a folder with space", res[1].Message)
	_, res = judgeIn(t, exact.NewSpace(1<<20, disk.New(t.TempDir())), 3, "columns: {v: [unique]}", b.String())
	require.Equal(t, checks.Pass, res[1].Status)
}

// Without room for the keys of all rows, the first row of a group is shown
// without its key, never with that of another row.
func TestUniqueWithoutRoomForKeys(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("v,id\n")
	for i := range 10_000 {
		fmt.Fprintf(&b, "%d,%s%d\n", i%9_999, strings.Repeat("k", 100), i)
	}
	p, res := judgeIn(t, exact.NewSpace(1<<20, nil), 7, "key: [id]\ncolumns: {v: [unique]}", b.String())
	require.Equal(t, int64(10_000), p.Rows())
	require.Equal(t, int64(2), *res[1].Failed, res[1].Message)
	require.Equal(t, []checks.FailingRow{
		{Row: 1, Value: profile.IntScalar(0)},
		{Row: 10_000, Value: profile.IntScalar(0), Key: map[string]*string{"id": new(strings.Repeat("k", 100) + "9999")}},
	}, res[1].FailingRows)
}

// An evaluation that is not asked for results leaves nothing behind.
func TestUniqueLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	space := exact.NewSpace(0, disk.New(dir))
	sets, diags := rules.Parse("r.yaml", []byte("columns: {v: [unique]}"), nil)
	require.NoError(t, diags.Err())
	r, err := csvsource.New(strings.NewReader("v\n"+strings.Repeat("1\n2\n3\nx\n07\n", 1000)), csvsource.Options{})
	require.NoError(t, err)
	plan := rules.Plan(sets, 5)
	plan.Space = space
	ev := checks.New(plan)
	var c batch.Chunk
	for r.Next(t.Context(), &c) == nil {
		ev.Observe(r.Columns(), &c)
	}
	require.Positive(t, space.Used())
	ev.Close()
	ev.Close()
	require.Zero(t, space.Used())
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestUniqueOverTooManyColumns(t *testing.T) {
	t.Parallel()
	names := make([]string, 65)
	for i := range names {
		names[i] = fmt.Sprintf("c%d", i)
	}
	_, diags := rules.Parse("r.yaml", []byte("checks: [{unique: ["+strings.Join(names, ", ")+"]}]"), nil)
	require.ErrorContains(t, diags.Err(), "there are 65 columns, at most 64 can be compared")
}
