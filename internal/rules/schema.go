package rules

import (
	"encoding/json"
	"strings"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/checks"
)

// documentKey is one key of a document of a rule file.
type documentKey struct {
	name, summary string
	schema        object
}

// documentKeys are the keys of a document, in the order in which they are
// usually written.
var documentKeys = []documentKey{
	{"version", "The version of the format.", object{"const": 1}},
	{"dataset", "The dataset, namespace/name, or a pattern such as shop/*. A bare name is default/name.", object{"type": "string"}},
	{"owner", "Who is told; alert routes go by it.", object{"type": "string"}},
	{"key", "The columns whose values name failing rows in reports.", ref("textOrTexts")},
	{"tags", "Words for routes of alerts.", ref("textOrTexts")},
	{"sensitive", "Columns, or patterns of columns, whose values never leave.", ref("textOrTexts")},
	{"vars", "Values for ${name}.", object{"type": "object", "additionalProperties": object{"type": []string{"string", "number", "boolean"}}}},
	{"schedule", "When serve scans the source, as a cron expression.", object{"type": "string"}},
	{"every", "How often serve scans the source.", ref("span")},
	{"timezone", "The time zone of the schedule.", object{"type": "string"}},
	{"source", "What serve scans: a file, a folder or a pattern.", object{"anyOf": []any{
		object{"type": "string"},
		object{"type": "object", "additionalProperties": false, "required": []string{"url"}, "properties": object{
			"url":       object{"type": "string"},
			"each":      ref("flag"),
			"format":    object{"enum": []string{"csv", "tsv", "jsonl", "json", "parquet", "arrow"}},
			"delimiter": object{"type": "string"},
			"partition": object{"type": "object"},
		}},
	}}},
	{"on_fail", "What a gate does when a check fails.", object{"enum": []string{"block", "warn", "quarantine"}}},
	{"auto", "Learned drift and anomaly detection for the whole batch.", object{"anyOf": []any{
		object{"enum": []any{"off", "quiet", "normal", "high", false}},
		object{"type": "object", "properties": object{
			"preset":  object{"enum": []any{"off", "quiet", "normal", "high", false}},
			"on_fail": object{"enum": []string{"block", "warn", "quarantine"}},
			"ignore":  ref("textOrTexts"),
		}, "additionalProperties": false},
	}}},
	{"checks", "The checks of the dataset.", object{"type": "array", "items": ref("datasetItem")}},
	{"columns", "The checks of columns, by their names or by patterns such as meta.*.", object{
		"type": "object", "additionalProperties": object{"anyOf": []any{
			object{"type": "array", "items": ref("columnItem")}, ref("columnItem"),
		}},
	}},
}

var fileKeys = func() []string {
	names := make([]string, len(documentKeys))
	for i, k := range documentKeys {
		names[i] = k.name
	}
	return names
}()

// object is a JSON object; encoding sorts its keys.
type object map[string]any

func ref(name string) object { return object{"$ref": "#/$defs/" + name} }

// Patterns of texts that stand for other values: a variable, and numbers that
// YAML 1.2 takes for texts, such as 2_000_000.
const (
	variable    = `\$\{[^}]+\}`
	wholeText   = `[-+]?[0-9][0-9_]*`
	numberText  = `[-+]?([0-9][0-9_]*\.?[0-9_]*|\.[0-9]+)([eE][-+]?[0-9]+)?`
	spanText    = `([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h|d|w))+`
	earlierText = `previous|same_weekday|input|pinned:.+|[0-9]+( batch(es)?)?|` + spanText
)

func textLike(patterns ...string) object {
	return object{"type": "string", "pattern": "^(" + strings.Join(append(patterns, variable), "|") + ")$"}
}

// Schema returns the JSON Schema (draft 2020-12) of a document of a rule file,
// which editors complete by and lint with. It is made from the catalogue of
// checks.
func Schema() []byte {
	properties := object{}
	for _, k := range documentKeys {
		properties[k.name] = described(k.schema, k.summary)
	}
	root := object{
		"$schema":              "https://json-schema.org/draft/2020-12/schema",
		"title":                "profiler rule file",
		"description":          "What is expected of a dataset, for profiler check, tap, run and serve.",
		"type":                 "object",
		"properties":           properties,
		"additionalProperties": false,
		"anyOf":                []any{object{"required": []string{"checks"}}, object{"required": []string{"columns"}}},
		"$defs":                definitions(),
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(root); err != nil {
		panic("BUG: the schema cannot be encoded: " + err.Error())
	}
	return []byte(b.String())
}

func described(schema object, summary string) object {
	out := object{"description": summary}
	for k, v := range schema {
		out[k] = v
	}
	return out
}

func definitions() object {
	defs := object{
		"flag":          object{"anyOf": []any{object{"type": "boolean"}, textLike()}},
		"count":         object{"anyOf": []any{object{"type": "integer", "minimum": 0}, textLike(wholeText)}},
		"number":        object{"anyOf": []any{object{"type": "number"}, textLike(numberText + "%?")}},
		"span":          textLike(spanText),
		"text":          object{"type": []string{"string", "number", "boolean"}},
		"texts":         object{"type": "array", "items": object{"type": []string{"string", "number", "boolean"}}},
		"textOrTexts":   object{"anyOf": []any{object{"type": []string{"string", "number"}}, object{"type": "array", "items": object{"type": []string{"string", "number"}}}}},
		"limit":         object{"type": []string{"number", "string"}},
		"value":         object{"type": []string{"number", "string", "boolean"}},
		"values":        object{"type": "array", "minItems": 1, "items": ref("value")},
		"valueOrValues": object{"anyOf": []any{ref("value"), ref("values")}},
		"tolerance":     object{"anyOf": []any{object{"type": "integer", "minimum": 0}, textLike(wholeText, `[0-9.]+ ?%`)}},
		"earlier":       object{"anyOf": []any{object{"type": "integer", "minimum": 1}, textLike(earlierText)}},
		"typeName":      object{"anyOf": []any{object{"enum": batch.TypeNames()}, textLike()}},
		"types":         object{"type": "object", "additionalProperties": ref("typeName")},
		"changeZone": object{"type": "object", "additionalProperties": false, "minProperties": 1, "properties": object{
			"min": ref("number"), "max": ref("number"),
		}},
		"datasetItem": itemSchema(func(s *checks.Spec) bool { return s.Dataset }, false),
		"columnItem":  itemSchema(func(s *checks.Spec) bool { return s.Column }, true),
	}
	for name, form := range map[string]checks.Form{"numberZone": checks.FormNumber, "limitZone": checks.FormLimit} {
		defs[name] = zoneSchema(form)
	}
	return defs
}

// zoneSchema is that of the allowed zone of a number.
func zoneSchema(form checks.Form) object {
	properties := object{}
	for _, p := range checks.ZoneParams(form) {
		properties[p.Name] = paramSchema(p)
	}
	return object{"type": "object", "properties": properties, "additionalProperties": false, "minProperties": 1}
}

// itemSchema is that of an item of a list of checks: the name of a kind, or one
// kind with its parameters beside the common keys.
func itemSchema(stands func(*checks.Spec) bool, column bool) object {
	properties, kinds, bare := object{}, []any{}, []any{}
	for _, p := range checks.CommonParams() {
		if p.Name != "warn" && p.Name != "fail" {
			properties[p.Name] = paramSchema(p)
		} else {
			properties[p.Name] = object{"description": p.Summary}
		}
	}
	groups := newGroups()
	for _, s := range checks.Catalog() {
		if !stands(s) {
			continue
		}
		properties[s.Kind] = kindSchema(s, column)
		kinds = append(kinds, object{"required": []string{s.Kind}})
		if s.Bare {
			bare = append(bare, object{"const": s.Kind, "description": s.Summary})
		}
		groups.add(s)
	}
	return object{"anyOf": []any{
		object{"type": "string", "oneOf": bare},
		object{"type": "object", "properties": properties, "additionalProperties": false, "oneOf": kinds, "allOf": groups.conditions()},
	}}
}

// kindSchema is that of the value of a kind.
func kindSchema(s *checks.Spec, column bool) object {
	var forms []any
	if s.Bare {
		forms = append(forms, object{"type": "null"}, object{"const": true})
	}
	if s.Short != nil && (s.Kind != "unique" || !column) {
		forms = append(forms, described(formSchema(*s.Short), s.Short.Summary))
	}
	if len(s.Params) > 0 || s.Bare {
		properties, required := object{}, []string{}
		for _, p := range s.Params {
			properties[p.Name] = paramSchema(p)
			if p.Required {
				required = append(required, p.Name)
			}
		}
		o := object{"type": "object", "properties": properties, "additionalProperties": false}
		if len(required) > 0 {
			o["required"] = required
		}
		forms = append(forms, o)
	}
	if s.Level != checks.RowLevel && s.Short != nil { // the zones stand beside it
		forms = append(forms, object{"type": "null"})
	}
	out := object{"anyOf": forms}
	if len(forms) == 1 {
		out = forms[0].(object)
	}
	return described(out, s.Summary+"\n\n"+s.Example)
}

func paramSchema(p checks.Param) object {
	text := p.Summary
	if p.Default != "" {
		text += " Default: " + p.Default + "."
	}
	return described(formSchema(p), text)
}

// formSchema is that of a value by its form.
func formSchema(p checks.Param) object {
	switch p.Form {
	case checks.FormChoice:
		return object{"anyOf": []any{object{"enum": p.OneOf}, textLike()}}
	case checks.FormZones:
		if p.Of == checks.FormLimit {
			return ref("limitZone")
		}
		return ref("numberZone")
	case checks.FormCalendar:
		return object{"anyOf": []any{object{"type": []string{"string", "number"}}, object{"type": "object", "additionalProperties": false, "properties": object{
			"days": object{"type": []string{"string", "number"}}, "except": object{"type": []string{"array", "string"}},
		}}}}
	case checks.FormColumns:
		return object{"anyOf": []any{ref("texts"), ref("types")}}
	case checks.FormPattern, checks.FormCondition:
		return object{"type": []string{"string", "number", "boolean"}}
	case checks.FormNumbers:
		return object{"type": "array", "minItems": 1, "items": ref("number")}
	default:
	}
	return ref(map[checks.Form]string{
		checks.FormFlag: "flag", checks.FormCount: "count", checks.FormNumber: "number", checks.FormShare: "number", checks.FormSpan: "span",
		checks.FormText: "text", checks.FormTexts: "texts", checks.FormTextOrTexts: "textOrTexts", checks.FormLimit: "value", checks.FormLimits: "values",
		checks.FormLimitOrLimits: "valueOrValues", checks.FormEarlier: "earlier", checks.FormTypes: "types", checks.FormChangeZone: "changeZone", checks.FormTolerance: "tolerance",
	}[p.Form])
}

// groups collects kinds that take the same keys beside them.
type groups struct {
	order []string
	kinds map[string][]any
	then  map[string]object
}

func newGroups() *groups { return &groups{kinds: map[string][]any{}, then: map[string]object{}} }

func (g *groups) add(s *checks.Spec) {
	for _, common := range checks.CommonParams() {
		p, ok := s.Beside(common)
		var schema any = false
		if ok && p.Form == common.Form && common.Form != checks.FormTolerance {
			continue
		}
		if ok {
			schema = paramSchema(p)
		}
		text, _ := json.Marshal(schema)
		id := common.Name + string(text)
		if g.kinds[id] == nil {
			g.order = append(g.order, id)
			g.then[id] = object{"properties": object{common.Name: schema}}
		}
		g.kinds[id] = append(g.kinds[id], object{"required": []string{s.Kind}})
	}
}

// conditions say what the keys beside the kind are, by kind.
func (g *groups) conditions() []any {
	out := make([]any, 0, len(g.order))
	for _, id := range g.order {
		out = append(out, object{"if": object{"anyOf": g.kinds[id]}, "then": g.then[id]})
	}
	return out
}
