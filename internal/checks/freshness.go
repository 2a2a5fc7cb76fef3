package checks

import (
	"fmt"
	"time"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

var freshnessParams = []Param{
	{Name: "column", Form: FormText, Summary: "The column of dates or times; without it the time of the file counts. Left out below columns:."},
	{Name: "max_age", Form: FormSpan, Summary: "The largest age of the newest value, as in 2h or 1d."},
	{Name: "warn", Form: FormSpan, Summary: "The age above which it is a warning."},
	{Name: "fail", Form: FormSpan, Summary: "The age above which it is a failure: max_age."},
	{Name: "calendar", Form: FormCalendar, Summary: "The days that count, as mon-fri, or {days, except: [2026-12-25]}; the time of others is left out."},
}

var freshnessSpec = Spec{
	Kind: "freshness", Level: BatchLevel, Dataset: true, Column: true, Params: freshnessParams,
	Example: "freshness: {column: created_at, max_age: 2h}",
	Summary: "The newest time of a column, or the modification time of the file, is not older than max_age.",
	parse:   parseFreshness,
}

type freshness struct {
	column     string
	warn, fail time.Duration // 0 is none
	calendar   *calendar     // nil is all days
}

func parseFreshness(c *Check, p params, errs *diag.List) judge {
	f, before := &freshness{column: c.Column}, len(*errs)
	m := p.mapping("freshness", freshnessParams, errs)
	if m == nil {
		if p.node.IsNull() {
			errs.Errorf(p.where(), 9, yamldoc.CodeMissingKey, "check \"freshness\" needs max_age")
		}
		return nil
	}
	f.calendar = parseCalendar(m.Get("calendar"), errs)
	if n := m.Get("column"); n != nil {
		if c.Column != "" {
			n.Errorf(errs, yamldoc.CodeValue, "the column is already %q here; leave out \"column\"", c.Column)
		}
		f.column, _ = n.String(errs)
	}
	yamldoc.Set(&f.fail, m.Get("max_age"), (*yamldoc.Node).Duration, errs)
	yamldoc.Set(&f.warn, p.zone("warn", m, errs), (*yamldoc.Node).Duration, errs)
	if n := p.zone("fail", m, errs); n != nil {
		if f.fail != 0 {
			n.Errorf(errs, yamldoc.CodeValue, "the limit is written twice, as max_age and as fail; keep one")
		}
		f.fail, _ = n.Duration(errs)
	}
	if f.fail != 0 && f.warn >= f.fail {
		p.zone("warn", m, errs).Errorf(errs, yamldoc.CodeValue, "warn (%s) is not below fail (%s), so it never warns; swap them", age(f.warn), age(f.fail))
	}
	if f.fail == 0 && f.warn == 0 && len(*errs) == before {
		errs.Errorf(p.where(), 9, yamldoc.CodeMissingKey, "check \"freshness\" needs max_age above 0")
	}
	return f
}

func (f *freshness) needs(string) []Need { return nil }

func (f *freshness) result(in *Input, _ *profile.Column, res Result) Result {
	limit := f.fail
	if limit == 0 {
		limit = f.warn
	}
	res.Limit = "at most " + age(limit)
	newest, what := in.Modified, "the source was written"
	if f.column != "" {
		res.Column = f.column
		col := in.Profile.Summary().Column(f.column)
		if col == nil {
			return res.lacks(f.column, "there is no column %q", f.column)
		}
		if col.Sensitive {
			return res.unknownOfSensitive("the newest " + f.column)
		}
		_, hi, ok := col.Bounds()
		switch {
		case col.Count == 0:
			return res.failReason("no value", "column %q has no value to judge", f.column)
		case !ok || hi.Type != batch.Timestamp && hi.Type != batch.Date:
			return res.errorf("column %q is of type %s; freshness needs dates or timestamps", f.column, col.Type)
		}
		newest, what = time.UnixMicro(hi.Int).UTC(), "the newest "+f.column+" is from"
		if in.Location != nil && !col.Zoned() {
			newest = time.Date(newest.Year(), newest.Month(), newest.Day(), newest.Hour(), newest.Minute(), newest.Second(), newest.Nanosecond(), in.Location)
		}
	}
	if newest.IsZero() {
		return res.errorf("the source has no modification time; name a column")
	}
	if in.Location != nil {
		newest = newest.In(in.Location)
	}
	old := f.calendar.between(newest, in.AsOf)
	note := ""
	switch {
	case old < 0 || in.AsOf.Before(newest):
		old, note = 0, " (in the future, counted as 0)"
	case f.calendar != nil:
		note = " of the days that count (" + f.calendar.text + ")"
	}
	seconds := old.Seconds()
	res.Value = profile.FloatScalar(seconds)
	upper := func(d time.Duration) Zone {
		if d == 0 {
			return Zone{}
		}
		s := d.Seconds()
		return Zone{Upper: &s}
	}
	res.FailLimit, res.WarnLimit = upper(f.fail), upper(f.warn)
	observed := fmt.Sprintf("%s %s, %s before the batch%s", what, newest.Format(time.RFC3339), age(old), note)
	over := func(d time.Duration) bool { return d > 0 && old > d }
	switch {
	case over(f.fail):
		res.Status = Fail
		if res.Severity == SeverityWarn {
			res.Status = Warn
		}
		res.Message = observed + ", expected at most " + age(f.fail)
	case over(f.warn):
		res.Status, res.Limit = Warn, "at most "+age(f.warn)
		res.Message = observed + ", expected at most " + age(f.warn)
	default:
		res.Message = observed + ", as expected (" + res.Limit + ")"
	}
	return res
}

// age formats a span of time with its two largest units.
func age(d time.Duration) string {
	day := 24 * time.Hour
	switch {
	case d >= 2*day:
		if h := d % day / time.Hour; h > 0 {
			return fmt.Sprintf("%d days %d h", d/day, h)
		}
		return fmt.Sprintf("%d days", d/day)
	case d >= time.Hour:
		if m := d % time.Hour / time.Minute; m > 0 {
			return fmt.Sprintf("%d h %d min", d/time.Hour, m)
		}
		return fmt.Sprintf("%d h", d/time.Hour)
	case d >= time.Minute:
		if s := d % time.Minute / time.Second; s > 0 {
			return fmt.Sprintf("%d min %d s", d/time.Minute, s)
		}
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return d.Round(time.Millisecond).String()
}
