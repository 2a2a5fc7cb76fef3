package source

import (
	"regexp"
	"time"
)

// Partition is the part of a dataset that a file name says it holds.
type Partition struct {
	Name     string // as written in the file name
	From, To time.Time
}

// dayPattern finds a day in the name of a file: 2026-03-01, 20260301 or
// dt=2026-03-01, not as a part of a longer number.
var dayPattern = regexp.MustCompile(`(?:^|[^0-9])((?:19|20)[0-9]{2}-?[01][0-9]-?[0-3][0-9])(?:[^0-9]|$)`)

// PartitionOf returns the day that an input's only file is named after; ok is
// false for other inputs.
func PartitionOf(in Input, loc *time.Location) (p Partition, ok bool) {
	if len(in.Files) != 1 || in.Files[0] == Stdin {
		return Partition{}, false
	}
	if loc == nil {
		loc = time.UTC
	}
	m := dayPattern.FindStringSubmatch(Stem(in.Files[0]))
	if m == nil {
		return Partition{}, false
	}
	for _, layout := range []string{"2006-01-02", "20060102"} {
		if t, err := time.ParseInLocation(layout, m[1], loc); err == nil {
			return Partition{Name: t.Format("2006-01-02"), From: t, To: t.AddDate(0, 0, 1)}, true
		}
	}
	return Partition{}, false
}
