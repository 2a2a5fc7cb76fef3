package checks_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/rules"
	"github.com/profilerhq/profiler/internal/source/csv"
	"github.com/profilerhq/profiler/internal/source/jsonl"
)

// trial is a random table: v is checked, s and n are asked by where, g is by.
// A cell is as it is written in the file.
type trial struct {
	cells  [][4]string
	isText bool // v is a column of texts
	// emptyIsNull is set for kinds that take "" for null in texts too
	emptyIsNull bool
}

const quoted = `""` // an empty field in quotes

func randomTrial(r *rand.Rand) trial {
	t := trial{isText: r.IntN(2) == 0}
	pick := func(options ...string) string { return options[r.IntN(len(options))] }
	for range 30 + r.IntN(200) {
		v := strconv.Itoa(r.IntN(9))
		if t.isText {
			v = pick("a", "bb", "7", "x@y.de", "c")
		} else if r.IntN(30) == 0 {
			v = "n/a"
		}
		if r.IntN(8) == 0 {
			v = pick("", quoted)
		}
		t.cells = append(t.cells, [4]string{v, pick("paid", "open", "open", "", quoted), pick("1", "2", "3", "", "-4"), pick("DE", "DE", "BR", "", "US", quoted)})
	}
	for range 20 { // so that the types are clear
		t.cells = append(t.cells, [4]string{map[bool]string{true: "a", false: "3"}[t.isText], "paid", "1", "DE"})
	}
	return t
}

// text writes some rows as a file.
func (t trial) text(keep func(row [4]string) bool) string {
	var b strings.Builder
	b.WriteString("v,s,n,g\n")
	for _, row := range t.cells {
		if keep == nil || keep(row) {
			b.WriteString(strings.Join(row[:], ",") + "\n")
		}
	}
	return b.String()
}

// null reports whether v has no value in a row.
func (t trial) null(row [4]string) bool {
	return row[0] == "" || row[0] == quoted && (!t.isText || t.emptyIsNull)
}

func wholeNumber(s string) (int, bool) { n, err := strconv.Atoi(s); return n, err == nil }

// wheres are conditions with what they mean.
var wheres = map[string]func(row [4]string) bool{
	"":                        func([4]string) bool { return true },
	`s == "paid"`:             func(row [4]string) bool { return row[1] == "paid" },
	`s != "paid"`:             func(row [4]string) bool { return row[1] == "open" || row[1] == quoted },
	"n > 1":                   func(row [4]string) bool { n, ok := wholeNumber(row[2]); return ok && n > 1 },
	"is_null(n) or s == \"\"": func(row [4]string) bool { return row[2] == "" || row[1] == quoted },
	`not (n > 1 and s == "open")`: func(row [4]string) bool {
		n, known := wholeNumber(row[2])
		return known && n <= 1 || row[1] != "" && row[1] != "open"
	},
	"n == 99": func([4]string) bool { return false },
}

// rowItems are the row kinds of one column with parameters.
var rowItems = map[string]string{
	"decimals": "{max: 0}", "finite": "", "format": "email", "in": "[a, 3, 4, bb]", "is_null": "", "length": "{max: 1}", "matches": "'^[a-z0-4]'",
	"multiple_of": "2", "not_blank": "", "not_in": "[7, c]", "not_matches": "'@'", "not_null": "", "range": "{min: 3, max: 7}", "type": "number",
	"unique": "", "increasing": "", "decreasing": "{strictly: true}",
}

// elsewhere are row kinds that need more than a column of a table.
var elsewhere = []string{"references", "json_schema", "row", "parsable"}

func resultOf(t *testing.T, item, data string) checks.Result {
	t.Helper()
	sets, diags := rules.Parse("r.yaml", []byte("columns:\n  v:\n    - "+item+"\n"), nil)
	require.NoError(t, diags.Err(), item)
	r, err := csv.New(strings.NewReader(data), csv.Options{})
	require.NoError(t, err)
	ev, b := checks.New(rules.Plan(sets, 10_000)), profile.NewBuilder()
	defer ev.Close()
	var c batch.Chunk
	for r.Next(t.Context(), &c) == nil {
		b.Add(r.Columns(), &c)
		ev.Observe(r.Columns(), &c)
	}
	ev.Needs(r.Columns())
	return ev.Results(checks.Input{Profile: b.Finish(r.Columns(), profile.Info{})})[1]
}

// naive judges the rows that keep accepts by what the check without where and
// by said of each row.
func (t trial) naive(kind string, failing map[int64]bool, keep func(row [4]string) bool) (evaluated, failed int64) {
	seen := map[string]int64{}
	last, started := 0, false
	lastText := ""
	for i, row := range t.cells {
		if !keep(row) || t.null(row) && kind != "not_null" && kind != "is_null" && kind != "not_blank" {
			continue
		}
		evaluated++
		switch kind {
		case "unique":
			seen[row[0]]++
		case "increasing", "decreasing":
			n, isNumber := wholeNumber(row[0])
			text := strings.Trim(row[0], `"`)
			switch {
			case t.isText && started && (kind == "increasing" && text < lastText || kind == "decreasing" && text >= lastText),
				!t.isText && !isNumber, !t.isText && started && (kind == "increasing" && n < last || kind == "decreasing" && n >= last):
				failed++
			}
			if t.isText || isNumber {
				last, lastText, started = n, text, true
			}
		default:
			if failing[int64(i+1)] {
				failed++
			}
		}
	}
	for _, n := range seen {
		if n > 1 {
			failed += n
		}
	}
	return evaluated, failed
}

func item(kind, params, where, by string) string {
	text := "{" + kind + ": " + params
	if where != "" {
		text += ", where: '" + where + "'"
	}
	if by != "" {
		text += ", by: " + by
	}
	return text + "}"
}

// value returns the value of the segment of a cell.
func segmentValue(cell string) profile.Scalar {
	switch cell {
	case "":
		return profile.Scalar{}
	case quoted:
		return profile.TextScalar("")
	}
	return profile.TextScalar(cell)
}

// TestRowKindsBySegment compares every row kind, with where and with by, with
// what it says of each row alone.
func TestRowKindsBySegment(t *testing.T) {
	t.Parallel()
	for _, s := range checks.Catalog() {
		if s.Level != checks.RowLevel || slices.Contains(elsewhere, s.Kind) {
			continue
		}
		params, ok := rowItems[s.Kind]
		require.True(t, ok, "%s has no parameters here", s.Kind)
		t.Run(s.Kind, func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(7, uint64(len(s.Kind))))
			for range 4 {
				table := randomTrial(r)
				data := table.text(nil)
				failing := map[int64]bool{}
				whole := resultOf(t, item(s.Kind, params, "", ""), data)
				for _, f := range whole.FailingRows {
					failing[f.Row] = true
				}
				evaluated, _ := table.naive(s.Kind, failing, wheres[""])
				table.emptyIsNull = evaluated != *whole.Evaluated
				for where, keep := range wheres {
					evaluated, failed := table.naive(s.Kind, failing, keep)
					res := resultOf(t, item(s.Kind, params, where, ""), data)
					require.Equal(t, []int64{evaluated, failed}, []int64{*res.Evaluated, *res.Failed}, "%s where %s\n%s", s.Kind, where, data)
					table.requireSegments(t, s.Kind, failing, keep, resultOf(t, item(s.Kind, params, where, "g"), data))
				}
			}
		})
	}
}

func (t trial) requireSegments(tt *testing.T, kind string, failing map[int64]bool, keep func(row [4]string) bool, res checks.Result) {
	tt.Helper()
	sizes := map[string]int{}
	for _, row := range t.cells {
		if keep(row) {
			sizes[row[3]]++
		}
	}
	require.Len(tt, res.Segments, len(sizes))
	require.Nil(tt, res.Other)
	var evaluated, failed int64
	worst := checks.Pass
	last := len(t.cells)
	for cell := range sizes {
		i := slices.IndexFunc(res.Segments, func(s checks.Segment) bool { return s.Value == segmentValue(cell) })
		require.GreaterOrEqual(tt, i, 0, "segment %q", cell)
		e, f := t.naive(kind, failing, func(row [4]string) bool { return keep(row) && row[3] == cell })
		s := res.Segments[i]
		require.Equal(tt, []int64{e, f}, []int64{*s.Evaluated, *s.Failed}, "segment %q of %s", cell, kind)
		require.Equal(tt, f > 0, s.Status == checks.Fail)
		evaluated, failed, worst = evaluated+e, failed+f, max(worst, s.Status)
	}
	for _, s := range res.Segments { // the largest first
		size := sizes[strings.NewReplacer("null", "").Replace(s.Value.String())]
		if s.Value == profile.TextScalar("") {
			size = sizes[quoted]
		}
		require.LessOrEqual(tt, size, last)
		last = size
	}
	require.Equal(tt, []int64{evaluated, failed}, []int64{*res.Evaluated, *res.Failed})
	require.Equal(tt, worst, res.Status)
	require.Len(tt, res.FailingRows, int(failed))
	require.True(tt, slices.IsSortedFunc(res.FailingRows, func(a, b checks.FailingRow) int { return int(a.Row - b.Row) }))
}

// TestNumbersBySegment compares numbers of selected rows with those of a file
// that has no others.
func TestNumbersBySegment(t *testing.T) {
	t.Parallel()
	params := map[string]string{
		"quantile": "{q: 0.5, max: 4}", "correlation": "{with: n, min: 0.9}", "most_common": "{one_of: [3, a]}", "values": "{subset_of: [a, 1, 2, 3]}",
		"row_count": "{max: 30}", "duplicate_rows": "{max: 3}", "entropy": "{max: 2}",
	}
	for _, s := range checks.Catalog() {
		if s.Level != checks.MetricLevel || s.Kind == "bytes" || s.Kind == "column_count" {
			continue
		}
		t.Run(s.Kind, func(t *testing.T) {
			t.Parallel()
			p, ok := params[s.Kind]
			if !ok {
				p = "{max: 0.5}"
			}
			r := rand.New(rand.NewPCG(8, uint64(len(s.Kind))))
			judgeOne := func(where, by, data string) checks.Result {
				text := "columns: {v: [" + item(s.Kind, p, where, by) + "]}"
				if s.Dataset {
					text = "checks: [" + item(s.Kind, p, where, by) + "]"
				}
				return judge(t, text, data, nil)[1]
			}
			for range 3 {
				table := randomTrial(r)
				for where, keep := range wheres {
					want := judgeOne("", "", table.text(keep))
					got := judgeOne(where, "", table.text(nil))
					require.Equal(t, []any{want.Status, want.Value, want.Reason}, []any{got.Status, got.Value, got.Reason}, "%s where %s: %s", s.Kind, where, got.Message)
					if where != "" {
						require.Equal(t, "where "+where+": "+want.Message, got.Message)
					}
					got = judgeOne(where, "g", table.text(nil))
					if f, ok := want.Value.Float(); ok && s.Kind == "correlation" { // joined from segments
						total, _ := got.Value.Float()
						require.InDelta(t, f, total, 1e-12)
					} else {
						require.Equal(t, want.Value, got.Value, "the total")
					}
					for _, seg := range got.Segments {
						cell := ""
						for _, c := range []string{"DE", "BR", "US", quoted} {
							if segmentValue(c) == seg.Value {
								cell = c
							}
						}
						want := judgeOne("", "", table.text(func(row [4]string) bool { return keep(row) && row[3] == cell }))
						require.Equal(t, []any{want.Status, want.Value}, []any{seg.Status, seg.Observed}, "%s where %s of %q: %s", s.Kind, where, cell, want.Message)
						require.GreaterOrEqual(t, got.Status, seg.Status)
					}
				}
			}
		})
	}
}

func TestManySegments(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("id,g,v\n")
	for i := range 3_000 { // g0 … g1499, the first ones more often
		fmt.Fprintf(&b, "%d,g%d,%d\n", i, min(i%1_500, 1_499-i%1_500)*2+i%2, i%7)
	}
	data := b.String()
	res := judge(t, "columns: {v: [{range: {max: 5}, by: g}, {mean: {max: 9}, by: g}, {distinct: {max: 9}, by: g, where: v < 5}], id: [{unique: , by: g}, {increasing: , by: g}]}", data, nil)
	whole := judge(t, "columns: {v: [{range: {max: 5}}]}", data, nil)[1]
	byRange := res[1]
	require.Len(t, byRange.Segments, 50)
	failed := *byRange.Other.Failed
	for _, s := range byRange.Segments {
		failed += *s.Failed
	}
	require.Equal(t, *whole.Failed, *byRange.Failed)
	require.Equal(t, *whole.Failed, failed)
	require.Contains(t, byRange.Message, "of more than 1,000 segments of g")
	require.Equal(t, checks.Pass, res[2].Status, res[2].Message)
	require.Len(t, res[2].Segments, 50)
	require.NotNil(t, res[2].Other)
	require.Equal(t, checks.Pass, res[3].Status, res[3].Message)
	for _, r := range res[4:] {
		require.Equal(t, checks.Error, r.Status)
		require.Equal(t, "g has more than 1,000 values, which are more than "+r.Kind+" can be judged by", r.Message)
	}
}

// Columns of JSON may come up late: the rows before are null, and still belong
// to a segment and to what where selects.
func TestLateColumnsBySegment(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 5_000 {
		fmt.Fprintf(&b, `{"g":"%d"}`+"\n", i%2)
	}
	b.WriteString(`{"g":"1","v":5,"w":1}` + "\n")
	for _, tc := range []struct {
		rule              string
		evaluated, failed int64
	}{
		{"columns: {v: [{not_null: , by: g}]}", 5_001, 5_000},
		{"columns: {v: [{not_null: , where: 'g == \"1\"'}]}", 2_501, 2_500},
		{"columns: {v: [{is_null: , where: 'g == \"1\"', by: g}]}", 2_501, 1},
		{"columns: {v: [{not_null: , where: 'is_null(w)'}]}", 5_000, 5_000},
		{"columns: {v: [{range: {max: 1}, by: w}]}", 1, 1},
		{"checks: [{row: is_null(v) or v < 5, by: g}]", 5_001, 1},
		{"checks: [{row: v < 5 or g == \"0\"}]", 2_501, 1},
	} {
		r, err := jsonl.New(strings.NewReader(b.String()), jsonl.Options{})
		require.NoError(t, err)
		res := judgeReader(t, tc.rule, r)[1]
		require.Equal(t, []int64{tc.evaluated, tc.failed}, []int64{*res.Evaluated, *res.Failed}, tc.rule+": "+res.Message)
		require.Equal(t, checks.Fail, res.Status)
		require.Positive(t, res.FailingRows[0].Row)
	}
}

func TestRowExpressions(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		row               string
		status            checks.Status
		evaluated, failed int64
		message           string
	}{
		{"amount > 0", checks.Fail, 5, 2, `2 of 5 rows (40 %) are against amount > 0; first: row 3 has amount -4.2`},
		{`code == "007" or code != "007"`, checks.Pass, 5, 0, `all 5 rows are in line with code == "007" or code != "007"`},
		{`email == ""`, checks.Fail, 4, 3, `3 of 4 rows (75 %) are against email == ""; first: row 1 has email a@x.de`},
		{"is_null(status) or status == lower(status)", checks.Fail, 5, 1, `1 of 5 rows (20 %) is against is_null(status) or status == lower(status); first: row 4 has status Paid`},
		{"at >= \"2026-03-01\"", checks.Fail, 5, 1, `1 of 5 rows (20 %) is against at >= "2026-03-01"; first: row 5 has at 2026-02-28`},
		{"code > 5", checks.Error, 0, 0, `code is a column of type string and 5 is a number, they do not compare; compare with a text: code == "5"`},
		{"nope > 5", checks.Fail, 0, 0, `there is no column "nope"; there are order_id, email, amount, code, status, at`},
		{"amount > 100000 and is_null(status)", checks.Fail, 5, 5, `5 of 5 rows (100 %) are against amount > 100000 and is_null(status); first: row 1 has amount 10, status paid`},
	} {
		data := strings.Replace(orders, "n/a", "-1", 1)
		res := judge(t, "checks:\n  - row: '"+tc.row+"'\n", data, nil)[1]
		require.Equal(t, tc.message, res.Message)
		require.Equal(t, tc.status, res.Status)
		if res.Evaluated != nil {
			require.Equal(t, []int64{tc.evaluated, tc.failed}, []int64{*res.Evaluated, *res.Failed})
		}
	}
}

func TestMistakesOfWhereAndBy(t *testing.T) {
	t.Parallel()
	for rule, want := range map[string]string{
		"columns: {amount: [{range: {min: 0}, where: nope > 1}]}":          `there is no column "nope"`,
		"columns: {amount: [{range: {min: 0}, by: nope}]}":                 `there is no column "nope"`,
		"columns: {amount: [{range: {min: 0}, where: status > 1}]}":        "where status > 1: status is a column of type string and 1 is a number",
		"columns: {amount: [{mean: {min: 0}, where: status > 1, by: at}]}": "where status > 1: status is a column of type string and 1 is a number",
	} {
		res := judge(t, rule, orders, nil)[1]
		require.Contains(t, res.Message, want)
		require.NotEqual(t, checks.Pass, res.Status)
		require.Empty(t, res.Segments)
	}
}

// A chunk is judged without allocations per row once the segments are known.
func TestNoAllocationBySegment(t *testing.T) {
	table := randomTrial(rand.New(rand.NewPCG(1, 1)))
	for _, where := range []string{"", "n > 1"} {
		for _, it := range []string{
			"columns: {v: [" + item("range", "{min: 3, max: 7}", where, "g") + "]}", "columns: {v: [" + item("not_null", "", where, "") + "]}",
			"columns: {v: [" + item("mean", "{min: 3}", where, "g") + "]}", "checks: [" + item("row", `n + 1 > 2 and s == "paid"`, where, "g") + "]",
			"checks: [" + item("row_count", "1", where, "g") + "]",
		} {
			sets, diags := rules.Parse("r.yaml", []byte(it), nil)
			require.NoError(t, diags.Err())
			r, err := csv.New(strings.NewReader(table.text(nil)), csv.Options{})
			require.NoError(t, err)
			var c batch.Chunk
			require.NoError(t, r.Next(t.Context(), &c))
			ev := checks.New(rules.Plan(sets, 0))
			columns := r.Columns()
			run := func() { ev.Observe(columns, &c) }
			for range 20 {
				run()
			}
			require.LessOrEqual(t, testing.AllocsPerRun(20, run), 3.0, it)
			ev.Close()
		}
	}
}
