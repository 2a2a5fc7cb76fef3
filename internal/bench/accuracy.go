package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"math"
	"os"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/datagen"
)

// Accuracy compares what programs say of a column with exact numbers, which
// come from the generator itself. Errors are relative for distinct values, and
// shares of the rows for ranks of quantiles: 0.01 is 1 %.
type Accuracy struct {
	Column   string  `json:"column"`
	Distinct int64   `json:"distinct"` // exact
	Ours     Answer  `json:"ours"`
	Peer     *Answer `json:"peer"` // of DuckDB SUMMARIZE
}

// Answer is what one program says. RankError is the largest one of its
// quantiles, nil if it gave none.
type Answer struct {
	Distinct      int64    `json:"distinct"`
	DistinctError float64  `json:"distinct_error"`
	RankError     *float64 `json:"rank_error"`
}

// claims are what a program says of one column.
type claims struct {
	distinct  int64
	quantiles map[float64]float64 // rank to value, in units of the generator
}

// accuracy compares the answers of the task csv.
func (s *speed) accuracy() ([]Accuracy, error) {
	table := datagen.Trips()
	mine, err := profileClaims(table, s.answer(ours), s.Rows)
	if err != nil {
		return nil, err
	}
	theirs, err := summarizeClaims(table, s.answer(duckdbSummarize))
	if err != nil {
		s.Say("%v", err) // a peer does not cost us the report
	}
	var all []Accuracy
	for i, c := range table.Columns {
		if s.ctx.Err() != nil {
			return nil, s.ctx.Err()
		}
		values := exactColumn(table, i, s.Rows)
		a := Accuracy{Column: c.Name, Distinct: countDistinct(values)}
		own, ok := mine[c.Name]
		if !ok {
			return nil, fmt.Errorf("the profile has no column %s", c.Name)
		}
		a.Ours = judge(own, values, a.Distinct)
		if peer, ok := theirs[c.Name]; ok {
			answer := judge(peer, values, a.Distinct)
			a.Peer = &answer
		}
		all = append(all, a)
	}
	return all, nil
}

// exactColumn returns the values of a column that are not null, sorted: its
// integers, or hashes of its texts.
func exactColumn(table *datagen.Table, column int, rows int64) []int64 {
	values := make([]int64, 0, rows)
	hash := maphash.MakeSeed()
	var b datagen.Block
	for n := range table.Blocks(rows) {
		table.Fill(&b, seed, n, rows)
		v := &b.Values[column]
		for i := range b.Rows {
			switch {
			case v.IsNull(i):
			case table.Columns[column].Kind == datagen.Text:
				values = append(values, int64(maphash.Bytes(hash, v.Text(i)))) //nolint:gosec // bits
			default:
				values = append(values, v.Ints[i])
			}
		}
	}
	slices.Sort(values)
	return values
}

func countDistinct(sorted []int64) int64 {
	n := int64(0)
	for i, v := range sorted {
		if i == 0 || v != sorted[i-1] {
			n++
		}
	}
	return n
}

func judge(c claims, sorted []int64, distinct int64) Answer {
	a := Answer{Distinct: c.distinct, DistinctError: math.Abs(float64(c.distinct-distinct)) / float64(max(distinct, 1))}
	for rank, value := range c.quantiles {
		e := rankError(sorted, rank, value)
		if a.RankError == nil || e > *a.RankError {
			a.RankError = &e
		}
	}
	return a
}

// rankError is how far a rank is from the ranks that a value has: all from the
// share of smaller values to the share of smaller or equal ones. A value
// between two neighbours has the rank between them.
func rankError(sorted []int64, rank, value float64) float64 {
	const rounding = 1e-6 // a value is a multiple of one, and texts of it are rounded
	n := float64(len(sorted))
	below := float64(sort.Search(len(sorted), func(i int) bool { return float64(sorted[i]) >= value-rounding })) / n
	upTo := float64(sort.Search(len(sorted), func(i int) bool { return float64(sorted[i]) > value+rounding })) / n
	return max(0, below-rank-1/n, rank-upTo-1/n)
}

// profileClaims reads the JSON of a profile, which is to be of so many rows.
func profileClaims(table *datagen.Table, path string, rows int64) (map[string]claims, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var doc struct {
		Rows    int64
		Columns []struct {
			Name      string
			Distinct  struct{ Value int64 }
			Quantiles map[string]any
		}
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("read the profile: %w", err)
	}
	if doc.Rows != rows {
		return nil, fmt.Errorf("the profile has %d rows of %d: its times say nothing", doc.Rows, rows)
	}
	all := map[string]claims{}
	for _, c := range doc.Columns {
		kind, ok := kindOf(table, c.Name)
		if !ok {
			return nil, fmt.Errorf("the profile has a column %q of its own", c.Name)
		}
		own := claims{distinct: c.Distinct.Value, quantiles: map[float64]float64{}}
		for name, v := range c.Quantiles {
			digits, ok := strings.CutPrefix(name, "p")
			if !ok {
				continue
			}
			percent, err := strconv.ParseFloat(digits, 64)
			if err != nil {
				return nil, fmt.Errorf("column %s: quantile %q", c.Name, name)
			}
			if own.quantiles[percent/100], err = units(kind, v); err != nil {
				return nil, fmt.Errorf("column %s: %w", c.Name, err)
			}
		}
		all[c.Name] = own
	}
	return all, nil
}

// summarizeClaims reads the rows of SUMMARIZE; without a file there are none.
func summarizeClaims(table *datagen.Table, path string) (map[string]claims, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(text) == 0 {
		return map[string]claims{}, nil // it is missing, or it failed
	}
	if err != nil {
		return nil, err
	}
	var rows []struct {
		Name   string `json:"column_name"`
		Unique any    `json:"approx_unique"`
		Q25    any
		Q50    any
		Q75    any
	}
	if err := json.Unmarshal(text, &rows); err != nil {
		return nil, fmt.Errorf("read what SUMMARIZE says: %w", err)
	}
	all := map[string]claims{}
	for _, r := range rows {
		kind, ok := kindOf(table, r.Name)
		if !ok {
			continue
		}
		unique, err := strconv.ParseFloat(fmt.Sprint(r.Unique), 64)
		if err != nil {
			return nil, fmt.Errorf("SUMMARIZE of %s: approx_unique %v", r.Name, r.Unique)
		}
		own := claims{distinct: int64(unique), quantiles: map[float64]float64{}}
		for rank, v := range map[float64]any{0.25: r.Q25, 0.5: r.Q50, 0.75: r.Q75} {
			if v == nil {
				continue
			}
			if own.quantiles[rank], err = units(kind, v); err != nil {
				return nil, fmt.Errorf("SUMMARIZE of %s: %w", r.Name, err)
			}
		}
		all[r.Name] = own
	}
	return all, nil
}

func kindOf(table *datagen.Table, column string) (datagen.Kind, bool) {
	i := slices.IndexFunc(table.Columns, func(c datagen.Column) bool { return c.Name == column })
	if i < 0 {
		return 0, false
	}
	return table.Columns[i].Kind, true
}

// units turns a number or a time, as a program writes it, into the units of
// the generator: hundredths, or seconds since 1970.
func units(kind datagen.Kind, v any) (float64, error) {
	text := fmt.Sprint(v)
	if f, ok := v.(float64); ok {
		text = strconv.FormatFloat(f, 'g', -1, 64)
	}
	if kind == datagen.Timestamp {
		for _, layout := range []string{time.DateTime, "2006-01-02T15:04:05", time.RFC3339} {
			if at, err := time.Parse(layout, text); err == nil {
				return float64(at.UnixNano()) / 1e9, nil
			}
		}
		return 0, fmt.Errorf("%q is no time", text)
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is no number", text)
	}
	if kind == datagen.Cents {
		f *= 100
	}
	return f, nil
}
