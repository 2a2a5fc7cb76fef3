package alert

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/words"
)

// Link is the address of the report of the last bad batch below the address of
// the service, or of the page that lists an incident about dead units; "" without
// one.
func Link(external string, i *Incident) string {
	namespace, name, ok := strings.Cut(i.Dataset, "/")
	if external == "" || !ok {
		return ""
	}
	if i.DeadLetters != nil {
		return strings.TrimSuffix(external, "/") + "/"
	}
	s := strings.TrimSuffix(external, "/") + "/datasets/" + url.PathEscape(namespace) + "/" + url.PathEscape(name)
	if i.LastBatch != "" {
		s += "/batches/" + url.PathEscape(i.LastBatch)
	}
	return s
}

// AlertName is the name of all alerts for receivers that know alerts by labels.
const AlertName = "ProfilerIncident"

// Labels are those of an incident's alert, with an owner and a severity that may
// be earlier ones. Receivers know an alert again by them, so numbers and the first
// bad step are annotations.
func Labels(i *Incident, owner, severity string) map[string]string {
	l := GroupLabels(i)
	l["severity"] = severity
	if owner != "" {
		l["data_owner"] = Clean(owner)
	}
	return l
}

// GroupLabels are the labels that all alerts of the incidents of a dataset have, or
// those about the dead units of a step.
func GroupLabels(i *Incident) map[string]string {
	l := map[string]string{"alertname": AlertName, "dataset": Clean(i.Dataset)}
	if d := i.DeadLetters; d != nil {
		l["check"], l["pipeline"], l["step"] = KindDeadLetters, Clean(d.Pipeline), Clean(d.Step)
	}
	return l
}

// SeverityLabel is the word of Alertmanager and PagerDuty for a severity.
func SeverityLabel(s checks.Severity) string {
	if s == checks.SeverityWarn {
		return "warning"
	}
	return "critical"
}

// Annotations are the texts about an incident for receivers that take names
// and values: summary, description, what was found, where it began, how far it
// goes, and its ids.
func Annotations(i *Incident) map[string]string {
	out := map[string]string{"summary": Title(i)}
	if d := i.DeadLetters; d != nil {
		out["dead_letters"], out["tried_again"], out["given_up"] = strconv.Itoa(d.Dead), strconv.Itoa(d.Again), strconv.Itoa(i.Batches)
	} else {
		out["batches_affected"], out["rows"] = strconv.Itoa(i.Batches), strconv.FormatInt(i.Rows, 10)
	}
	add := func(name, value string) {
		if value != "" {
			out[name] = Clean(value)
		}
	}
	var lines []string
	for k := range i.Findings {
		if k == MaxFindings {
			lines = append(lines, "… "+words.Count(len(i.Findings)-k)+" more")
			break
		}
		lines = append(lines, findingLine(&i.Findings[k]))
	}
	if len(lines) > 0 {
		out["description"] = strings.Join(lines, "\n")
	}
	add("first_bad_step", i.Origin.Step)
	add("began", i.Began)
	add("state", State(i))
	add("pipeline", i.Origin.Pipeline)
	add("batch", i.LastBatch)
	add("also_affected", strings.Join(i.Folded, ", "))
	for _, f := range References(i) {
		add(f.Name, f.Value)
	}
	add("advice", pairs(Advice(i)))
	return out
}
