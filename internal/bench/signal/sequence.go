package signal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// sequence is a data set: batches in the order of time.
type sequence struct {
	name    string
	real    bool
	heldOut bool // of tuning
	labels  []Label
	times   []time.Time // of the batches
	batch   func(i int) *table
}

func (s *sequence) len() int { return len(s.times) }

// errAbsent says that a set is not below the folder of data.
var errAbsent = errors.New("absent")

// loadSet reads the batches of a real set; errAbsent if its files are not
// there.
func loadSet(ctx context.Context, dir string, s *set, most int) (*sequence, error) {
	files, err := filepath.Glob(filepath.Join(dir, filepath.FromSlash(s.source)))
	if err != nil {
		return nil, fmt.Errorf("set %s: source %q: %w", s.name, s.source, err)
	}
	if len(files) == 0 {
		return nil, errAbsent
	}
	slices.Sort(files)
	var parts []part
	if s.per == "file" {
		parts, err = readFiles(ctx, files, s, most)
	} else {
		parts, err = split(ctx, files, s)
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil, errAbsent
	}
	if err != nil {
		return nil, fmt.Errorf("set %s: %w", s.name, err)
	}
	parts = parts[:min(len(parts), most)]
	q := &sequence{name: s.name, real: true, heldOut: s.heldOut, labels: s.labels}
	for _, p := range parts {
		q.times = append(q.times, p.at)
	}
	q.batch = func(i int) *table { return parts[i].table }
	return q, nil
}

// part is one batch.
type part struct {
	at    time.Time
	table *table
}

var dayInName = regexp.MustCompile(`(\d{4})-?(\d{2})-?(\d{2})`)

// readFiles makes a batch of each file.
func readFiles(ctx context.Context, files []string, s *set, most int) ([]part, error) {
	var parts []part
	for _, f := range files[:min(len(files), most)] {
		m := dayInName.FindStringSubmatch(filepath.Base(f))
		if m == nil {
			return nil, fmt.Errorf("%s: the name has no day", f)
		}
		at, err := time.Parse("20060102", m[1]+m[2]+m[3])
		if err != nil {
			return nil, fmt.Errorf("%s: the name has no day", f)
		}
		t, err := readTable(ctx, []string{f}, s.nulls)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part{at, t.without(s.drop)})
	}
	return parts, nil
}

// split reads all files and cuts their rows by the time in them. The time of a
// batch is the begin of its day, week or month. Rows without a time are left
// out.
func split(ctx context.Context, files []string, s *set) ([]part, error) {
	whole, err := readTable(ctx, files, s.nulls)
	if err != nil {
		return nil, err
	}
	days, err := rowDays(whole, s.time)
	if err != nil {
		return nil, err
	}
	groups := map[time.Time][]int{}
	for row, day := range days {
		if !day.IsZero() {
			at := begin(day, s.per)
			groups[at] = append(groups[at], row)
		}
	}
	whole = whole.without(s.drop)
	var parts []part
	for at, rows := range groups {
		parts = append(parts, part{at, whole.pick(rows)})
	}
	slices.SortFunc(parts, func(a, b part) int { return a.at.Compare(b.at) })
	if n := len(parts); n > 2 && s.per != "month" {
		parts = dropRagged(parts)
	}
	return parts, nil
}

// dropRagged drops the first and the last part, if they have less than four
// fifths of the rows of their neighbour: the file begins or ends within them.
func dropRagged(parts []part) []part {
	if n := len(parts); 5*parts[n-1].table.rows() < 4*parts[n-2].table.rows() {
		parts = parts[:n-1]
	}
	if 5*parts[0].table.rows() < 4*parts[1].table.rows() {
		parts = parts[1:]
	}
	return parts
}

// rowDays returns the time of each row, zero where it has none.
func rowDays(t *table, columns []string) ([]time.Time, error) {
	at := make([]int, len(columns))
	for i, c := range columns {
		if at[i] = slices.Index(t.names, c); at[i] < 0 {
			return nil, fmt.Errorf("there is no column %s among %s", c, strings.Join(t.names, ", "))
		}
	}
	days := make([]time.Time, t.rows())
	for row := range days {
		if len(at) == 1 {
			days[row], _, _ = parseTime(t.cols[at[0]][row])
			continue
		}
		var ymd [3]int
		for i, c := range at {
			ymd[i], _ = strconv.Atoi(t.cols[c][row])
		}
		if ymd[0] > 0 {
			days[row] = time.Date(ymd[0], time.Month(ymd[1]), ymd[2], 0, 0, 0, 0, time.UTC)
		}
	}
	return days, nil
}

// begin returns the begin of the day, week (Monday) or month of a time.
func begin(at time.Time, per string) time.Time {
	y, m, d := at.UTC().Date()
	switch per {
	case "month":
		d = 1
	case "week":
		d -= (int(at.UTC().Weekday()) + 6) % 7
	}
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

// layouts are the forms of times in the data of the benchmark.
var layouts = []string{
	time.DateTime, "2006-01-02T15:04:05", time.RFC3339, "2006/01/02 15:04", time.DateOnly, "02-Jan-06", "2006-01-02 15:04:05.000000",
}

// parseTime reads a time and returns its form.
func parseTime(text string) (at time.Time, layout string, ok bool) {
	if len(text) < 8 {
		return time.Time{}, "", false
	}
	for _, l := range layouts {
		if at, err := time.Parse(l, text); err == nil {
			return at, l, true
		}
	}
	return time.Time{}, "", false
}
