package suggest

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/draft"
	"github.com/profilerhq/profiler/internal/textformat"
	"github.com/profilerhq/profiler/internal/words"
)

// recognised are the formats that are suggested, the more special one first.
// Those that other texts fit by chance (hex, base64, language, duration) are not
// among them; distinct is how many different values it takes before the others
// say something.
var recognised = []struct {
	name     string
	distinct int64
	// column is what the name of the column has to match; nil is any
	column *regexp.Regexp
}{
	{"uuid", 5, nil},
	{"email", 5, nil},
	{"url", 5, nil},
	{"ipv4", 5, nil},
	{"ipv6", 5, nil},
	{"cidr", 5, nil},
	{"mac", 5, nil},
	{"iban", 5, nil},
	{"semver", 10, nil},
	{"isbn", 20, nil},
	{"ean", 20, nil},
	{"luhn", 50, nil},
	{"bic", 20, nil},
	{"currency", 3, regexp.MustCompile(`(?i)currency|curr|ccy`)},
	{"country", 3, regexp.MustCompile(`(?i)country|nation|ctry`)},
	{"phone", 20, regexp.MustCompile(`(?i)phone|tel|mobile|fax`)},
	{"latitude", 20, regexp.MustCompile(`(?i)(^|_)lat(itude)?$`)},
	{"longitude", 20, regexp.MustCompile(`(?i)(^|_)(lon|lng|long|longitude)$`)},
	{"hostname", 20, regexp.MustCompile(`(?i)host|domain|server`)},
	{"json", 5, nil},
}

// probe is how many frequent values of a column are tried for a format.
const probe = 200

// Candidates returns, for each column, the formats that nearly all of its
// frequent values have. Whether all values do is for the data to say.
func Candidates(batches []Batch) map[string][]string {
	out := map[string][]string{}
	for _, c := range collect(batches, Options{}).columns {
		kind, ok := c.kind()
		if !ok || kind != batch.String && !kind.Numeric() {
			continue
		}
		for _, f := range recognised {
			if (f.column == nil || f.column.MatchString(c.name)) && c.mayBe(f.name, f.distinct) {
				out[c.name] = append(out[c.name], f.name)
			}
		}
	}
	return out
}

// mayBe tries the frequent values.
func (c *series) mayBe(name string, distinct int64) bool {
	valid, ok := textformat.Lookup(name)
	if !ok || c.distinct() < distinct {
		return false
	}
	tried, good := 0, 0
	for i, p := range c.profiles {
		if c.cols[i] == nil {
			continue
		}
		list, _ := p.Values(c.name, probe)
		for _, v := range list {
			tried++
			if valid([]byte(v.Text)) && (name != "json" || strings.HasPrefix(v.Text, "{") || strings.HasPrefix(v.Text, "[")) {
				good++
			}
		}
		if tried >= 10*probe {
			break
		}
	}
	return tried > 0 && good*20 >= tried*19
}

// minValid is the share of values that have a format before it is suggested.
const minValid = 0.95

// format suggests the first format that the data has.
func (c *series) format(f *draft.File, found map[string]Tally) bool {
	for _, r := range recognised {
		t, ok := found[r.name]
		if found == nil && (r.column == nil || r.column.MatchString(c.name)) && c.mayBe(r.name, r.distinct) {
			t, ok = c.tally(r.name)
		}
		if !ok || t.Evaluated < minRows || float64(t.Failed) > (1-minValid)*float64(t.Evaluated) {
			continue
		}
		item := draft.Item{Kind: "format", Value: r.name}
		if t.Failed == 0 {
			f.Add(c.name, item.Because("all %s are valid by %s", words.Things(t.Evaluated, "value"), textformat.Standard(r.name)))
			return true
		}
		limit := tolerance(2 * max(t.Worst, wilsonUpper(t.Failed, t.Evaluated)))
		f.Add(c.name, item.With("fail", draft.Percent(limit)).
			Because("%s of %s are not valid by %s; tolerated with head-room by Wilson's interval", words.Count(t.Failed), words.Things(t.Evaluated, "value"), textformat.Standard(r.name)))
		return true
	}
	return false
}

// tally validates all values of a column, if the profiles know them all.
func (c *series) tally(name string) (t Tally, ok bool) {
	valid, _ := textformat.Lookup(name)
	const most = 16_384
	for i, p := range c.profiles {
		if c.cols[i] == nil || c.cols[i].Count == 0 {
			continue
		}
		list, missing := p.Values(c.name, most)
		if missing > 0 {
			return t, false
		}
		var good, bad int64
		for _, v := range list {
			if valid([]byte(v.Text)) {
				good += int64(v.Count)
			} else {
				bad += int64(v.Count)
			}
		}
		t = t.Add(good+bad, bad)
	}
	return t, true
}

// Probe returns a rule file that counts which values of the columns have the
// candidate formats, and tolerates all.
func Probe(candidates map[string][]string) *draft.File {
	f := &draft.File{}
	names := make([]string, 0, len(candidates))
	for name := range candidates {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, format := range candidates[name] {
			f.Add(name, draft.Item{Kind: "format", Value: format}.With("fail", "100%").With("note", format))
		}
	}
	return f
}

func parseInt(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}
