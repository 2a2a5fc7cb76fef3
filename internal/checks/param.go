package checks

// Form says how a value of a rule is written.
type Form string

// The forms of values.
const (
	FormFlag          Form = "true or false"
	FormCount         Form = "a whole number"
	FormNumber        Form = "a number"
	FormNumbers       Form = "a list of numbers"
	FormShare         Form = "a number or a percentage"
	FormSpan          Form = "a span of time"
	FormText          Form = "a text"
	FormTexts         Form = "a list of texts"
	FormTextOrTexts   Form = "a text or a list of texts"
	FormPattern       Form = "a regular expression"
	FormCondition     Form = "a condition over columns"
	FormChoice        Form = "one of a list of words"
	FormLimit         Form = "a number, percentage, date, time or text"
	FormLimits        Form = "a list of values"
	FormLimitOrLimits Form = "a value or a list of values"
	FormEarlier       Form = "a part of the past"
	FormColumns       Form = "a list of columns, or a mapping of columns to types"
	FormTypes         Form = "a mapping of columns to types"
	FormTolerance     Form = "a number of rows or a percentage"
	FormZones         Form = "a zone"
	FormCalendar      Form = "days that count"
	FormChangeZone    Form = "a zone of change"
)

// Param describes one parameter of a kind of check: the key that it has, or
// the value that stands for all parameters.
type Param struct {
	// Name is the key; empty for the value that stands for all parameters.
	Name    string
	Summary string
	Form    Form
	// Of is the form of the limits of a zone.
	Of Form
	// OneOf are the words of a Choice.
	OneOf    []string
	Required bool
	// Default says in words what holds without it.
	Default string
}

// paramNames returns the keys of parameters.
func paramNames(list []Param) []string {
	names := make([]string, len(list))
	for i, p := range list {
		names[i] = p.Name
	}
	return names
}

// ZoneParams returns the keys of the allowed zone of a number that is written
// in a form.
func ZoneParams(form Form) []Param { return zoneParams(form) }
