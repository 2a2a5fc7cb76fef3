package expr

import (
	"slices"
	"time"
)

// takes says what an argument of a function has to be.
type takes uint8

const (
	takesNumber takes = iota
	takesText
	takesTextOrList
	takesValue // a number, a time or a span
	takesAny
)

// Function describes a function of the language.
type Function struct {
	Name string
	// Usage shows how it is called, Summary says what it gives.
	Usage, Summary string

	op       op
	min, max int // arguments
	takes    takes
	gives    class
	unit     int64
}

var functions = []Function{
	{Name: "is_null", Usage: "is_null(x)", Summary: "whether x has no value", op: opIsNull, min: 1, max: 1, takes: takesAny, gives: classTruth},
	{Name: "len", Usage: "len(x)", Summary: "length of a text in characters, of a list in items", op: opLen, min: 1, max: 1, takes: takesTextOrList, gives: classNumber},
	{Name: "lower", Usage: "lower(x)", Summary: "the text in lower case", op: opLower, min: 1, max: 1, takes: takesText, gives: classText},
	{Name: "upper", Usage: "upper(x)", Summary: "the text in upper case", op: opUpper, min: 1, max: 1, takes: takesText, gives: classText},
	{Name: "trim", Usage: "trim(x)", Summary: "the text without white space at its ends", op: opTrim, min: 1, max: 1, takes: takesText, gives: classText},
	{Name: "abs", Usage: "abs(x)", Summary: "the size of a number or a span of time", op: opAbs, min: 1, max: 1, takes: takesValue, gives: classValue},
	{Name: "round", Usage: "round(x), round(x, digits)", Summary: "the nearest whole number, halves away from zero; or so many digits beyond the point, 0 to 15", op: opRound, min: 1, max: 2, takes: takesNumber, gives: classNumber},
	{Name: "floor", Usage: "floor(x)", Summary: "the next whole number below", op: opFloor, min: 1, max: 1, takes: takesNumber, gives: classNumber},
	{Name: "ceil", Usage: "ceil(x)", Summary: "the next whole number above", op: opCeil, min: 1, max: 1, takes: takesNumber, gives: classNumber},
	{Name: "min", Usage: "min(x, y, …)", Summary: "the smallest of numbers or of times", op: opMin, min: 2, max: 100, takes: takesValue, gives: classValue},
	{Name: "max", Usage: "max(x, y, …)", Summary: "the largest of numbers or of times", op: opMax, min: 2, max: 100, takes: takesValue, gives: classValue},
	{Name: "year", Usage: "year(x)", Summary: "the year of a date or timestamp", op: opYear, min: 1, max: 1, takes: takesValue, gives: classNumber},
	{Name: "month", Usage: "month(x)", Summary: "the month, 1 to 12", op: opMonth, min: 1, max: 1, takes: takesValue, gives: classNumber},
	{Name: "day", Usage: "day(x)", Summary: "the day of the month, 1 to 31", op: opDay, min: 1, max: 1, takes: takesValue, gives: classNumber},
	{Name: "weekday", Usage: "weekday(x)", Summary: "the day of the week, 1 is Monday and 7 is Sunday (ISO 8601)", op: opWeekday, min: 1, max: 1, takes: takesValue, gives: classNumber},
	{Name: "hour", Usage: "hour(x)", Summary: "the hour of a timestamp or a time of day, 0 to 23", op: opHour, min: 1, max: 1, takes: takesValue, gives: classNumber},
	{Name: "minute", Usage: "minute(x)", Summary: "the minute, 0 to 59", op: opMinute, min: 1, max: 1, takes: takesValue, gives: classNumber},
	{Name: "second", Usage: "second(x)", Summary: "the second, 0 to 59", op: opSecond, min: 1, max: 1, takes: takesValue, gives: classNumber},
	{Name: "seconds", Usage: "seconds(x - y)", Summary: "a span of time in seconds", op: opSpan, min: 1, max: 1, takes: takesValue, gives: classNumber, unit: int64(time.Second)},
	{Name: "minutes", Usage: "minutes(x - y)", Summary: "a span of time in minutes", op: opSpan, min: 1, max: 1, takes: takesValue, gives: classNumber, unit: int64(time.Minute)},
	{Name: "hours", Usage: "hours(x - y)", Summary: "a span of time in hours", op: opSpan, min: 1, max: 1, takes: takesValue, gives: classNumber, unit: int64(time.Hour)},
	{Name: "days", Usage: "days(x - y)", Summary: "a span of time in days of 24 hours", op: opSpan, min: 1, max: 1, takes: takesValue, gives: classNumber, unit: int64(24 * time.Hour)},
}

// Functions returns all functions of the language but col; the caller owns the
// slice.
func Functions() []Function { return slices.Clone(functions) }

func findFunction(name string) *Function {
	for i := range functions {
		if functions[i].Name == name {
			return &functions[i]
		}
	}
	return nil
}

// functionNames are the names that a misspelled one is compared with.
func functionNames() []string {
	names := []string{"col"}
	for i := range functions {
		names = append(names, functions[i].Name)
	}
	return names
}
