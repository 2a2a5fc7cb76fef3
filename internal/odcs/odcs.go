// Package odcs translates data contracts of the Open Data Contract Standard
// (v3.0 and v3.1) into rule files.
package odcs

import (
	"slices"
	"strings"

	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/draft"
	"github.com/profilerhq/profiler/internal/rules"
	"github.com/profilerhq/profiler/internal/translate"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

// quiet are keys that describe the contract rather than the data.
var quiet = []string{
	"apiVersion", "kind", "id", "version", "status", "name", "domain", "tenant", "dataProduct", "description", "authoritativeDefinitions", "contractCreatedTs",
	"team", "roles", "price", "support", "servers", "customProperties", "physicalName", "physicalType", "businessName", "dataGranularityDescription", "examples",
	"criticalDataElement", "classification", "encryptedName", "transformSourceObjects", "transformLogic", "transformDescription", "partitioned", "partitionKeyPosition",
	"primaryKeyPosition", "tags", "dimension", "businessImpact", "method", "scheduler", "schedule", "slaDefaultElement", "driver", "valueExt", "deprecated", "timezone", "defaultTimezone", "purpose", "limitations", "usage",
}

// Sniff reports whether a document is a contract.
func Sniff(root *yamldoc.Node) bool {
	var none diag.List
	if root.Kind() != yamldoc.Map {
		return false
	}
	m := root.Mapping(&none)
	return m.Get("kind").Raw() == "DataContract" || m.Has("apiVersion") && m.Get("schema").Kind() == yamldoc.List
}

// Translate translates contracts.
func Translate(docs []*yamldoc.Document) *translate.Result {
	im := translate.New(quiet...)
	var roots []*yamldoc.Node
	for _, d := range docs {
		contract(im, d.Root())
		roots = append(roots, d.Root())
	}
	return im.Finish(roots...)
}

func contract(im *translate.Import, root *yamldoc.Node) {
	var none diag.List
	m := root.Mapping(&none)
	namespace := m.Get("dataProduct").Raw()
	if namespace == "" {
		namespace = m.Get("domain").Raw()
	}
	for _, n := range m.Get("schema").Items() {
		o := &object{im: im, namespace: word(namespace)}
		o.translate(n)
	}
	for _, n := range m.Get("slaProperties").Items() {
		sla(im, m, n, word(namespace))
	}
}

// word makes a namespace of a title.
func word(s string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		if r == ' ' || r == '/' {
			return '-'
		}
		return r
	}, strings.ToLower(strings.TrimSpace(s))), "-")
}

// datasetOf names the dataset of an object.
func datasetOf(namespace, name string) string {
	if namespace == "" {
		return rules.DatasetName(name)
	}
	return namespace + "/" + name
}

// object is a table, topic or file of a contract.
type object struct {
	im        *translate.Import
	doc       *draft.File
	namespace string
	names     []string // of the properties, as YAML
	types     []string // lines of the schema
	keys      []string // columns of the primary key
}

func (o *object) translate(n *yamldoc.Node) {
	var none diag.List
	m := n.Mapping(&none)
	name := o.im.Text(m, "name")
	if name == "" {
		o.im.Skip(n, "an object of the schema", "it has no name")
		return
	}
	o.im.Take(m.Get("logicalType"))
	o.doc = o.im.Doc(datasetOf(o.namespace, name))
	o.properties(m.Get("properties"), "")
	if len(o.names) > 0 {
		item := draft.Item{Kind: "schema", Lines: []string{"columns: " + draft.List(o.names)}}
		if len(o.types) > 0 {
			item.Lines = append(append(item.Lines, "types:"), o.types...)
		}
		o.im.Add(o.doc, "", item, n, "schema")
	}
	switch len(o.keys) {
	case 0:
	case 1:
		o.im.Add(o.doc, o.keys[0], draft.Item{Kind: "unique"}, n, "primaryKey")
		o.doc.Key = o.keys
	default:
		o.im.Add(o.doc, "", draft.Item{Kind: "unique", Value: draft.Texts(o.keys)}, n, "primaryKey")
		o.doc.Key = o.keys
	}
	for _, q := range m.Get("quality").Items() {
		o.quality(q, "")
	}
	for _, r := range m.Get("relationships").Items() {
		o.im.Skip(r, "relationships", "a relationship of the whole object; write references below its column")
	}
}

// properties translates columns; those of an object inside have a path.
func (o *object) properties(list *yamldoc.Node, prefix string) {
	var none diag.List
	for _, n := range list.Items() {
		m := n.Mapping(&none)
		name := o.im.Text(m, "name")
		if name == "" {
			o.im.Skip(n, "a property", "it has no name")
			continue
		}
		name = prefix + name
		inner := m.Get("properties")
		if inner != nil {
			if t := o.im.Text(m, "logicalType"); t != "" && t != "object" {
				o.im.Skip(m.Get("logicalType"), name+".logicalType", "it has properties, so that it is taken for an object")
			}
			o.properties(inner, name+".")
			if o.isTrue(m, "required") {
				o.im.Skip(m.KeyNode("required"), name+".required", "nested objects become one column for each of their values; require these")
			}
			continue
		}
		o.property(n, m, name)
	}
}

func (o *object) isTrue(m *yamldoc.Mapping, key string) bool { return o.im.Text(m, key) == "true" }

func (o *object) property(n *yamldoc.Node, m *yamldoc.Mapping, name string) {
	o.names = append(o.names, draft.Text(name))
	logical := o.im.Text(m, "logicalType")
	if t, ok := translate.Type(logical); ok && logical != "array" {
		o.types = append(o.types, "  "+draft.Text(name)+": "+t)
	} else if logical != "" && logical != "object" {
		o.im.Skip(m.Get("logicalType"), name+".logicalType", "the type %s has no counterpart", logical)
	}
	o.im.Take(m.Get("items"))
	if items := m.Get("items"); items != nil {
		o.im.Skip(items, name+".items", "items of lists are not checked")
	}
	key := o.isTrue(m, "primaryKey")
	if key {
		o.keys = append(o.keys, name)
	}
	if o.isTrue(m, "required") || key {
		o.im.Add(o.doc, name, draft.Item{Kind: "not_null"}, n, "required")
	}
	if o.isTrue(m, "unique") && !key {
		o.im.Add(o.doc, name, draft.Item{Kind: "unique"}, n, "unique")
	}
	o.options(m.Get("logicalTypeOptions"), name)
	for _, r := range m.Get("relationships").Items() {
		o.relationship(r, name)
	}
	for _, q := range m.Get("quality").Items() {
		o.quality(q, name)
	}
}

// formats are those of logicalTypeOptions that are checked alike.
var formats = []string{"email", "uuid", "uri", "url", "hostname", "ipv4", "ipv6"}

// options translates the options of a type.
func (o *object) options(n *yamldoc.Node, name string) {
	var none diag.List
	m := n.Mapping(&none)
	if m == nil {
		return
	}
	get := func(key string) string { return translate.Literal(o.im.Get(m, key)) }
	if zone := (translate.Bounds{Min: get("minLength"), Max: get("maxLength")}).Zone(""); zone != "" {
		o.im.Add(o.doc, name, draft.Item{Kind: "length", Value: zone}, n, name+".minLength, maxLength")
	}
	b := translate.Bounds{Min: get("minimum"), Max: get("maximum"), Above: get("exclusiveMinimum"), Below: get("exclusiveMaximum")}
	if b.Above == "true" { // as in JSON Schema of draft 4
		b.Min, b.Above = "", b.Min
	}
	if b.Below == "true" {
		b.Max, b.Below = "", b.Max
	}
	if zone := b.Zone(""); zone != "" {
		o.im.Add(o.doc, name, draft.Item{Kind: "range", Value: zone}, n, name+".minimum, maximum")
	}
	if v := get("multipleOf"); v != "" {
		o.im.Add(o.doc, name, draft.Item{Kind: "multiple_of", Value: v}, n, name+".multipleOf")
	}
	if p := o.im.Get(m, "pattern"); p != nil {
		o.im.Add(o.doc, name, draft.Item{Kind: "matches", Value: draft.Text(p.Raw())}, p, name+".pattern")
	}
	if f := o.im.Get(m, "format"); f != nil {
		if slices.Contains(formats, f.Raw()) {
			o.im.Add(o.doc, name, draft.Item{Kind: "format", Value: f.Raw()}, f, name+".format")
		} else {
			o.im.Skip(f, name+".format", "the format %s has no counterpart; numbers and times are known by their values", f.Raw())
		}
	}
	if e := m.Get("enum"); e != nil {
		if list, ok := o.im.Literals(e); ok {
			o.im.Add(o.doc, name, draft.Item{Kind: "in", Value: list}, e, name+".enum")
		}
	}
	for _, key := range []string{"minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties", "required"} {
		if m.Has(key) {
			o.im.Skip(m.Get(key), name+"."+key, "lists and objects inside a value are not checked")
		}
	}
}

// relationship is a foreign key: to names object.property.
func (o *object) relationship(n *yamldoc.Node, name string) {
	var none diag.List
	m := n.Mapping(&none)
	to := o.im.Text(m, "to")
	o.im.Take(m.Get("type"))
	i := strings.LastIndexAny(to, ".")
	if i <= 0 || i == len(to)-1 {
		o.im.Skip(n, name+".relationships", "%q is no object.property", to)
		return
	}
	table := to[:i]
	table = table[strings.LastIndexAny(table, "./")+1:]
	value := draft.Map(draft.Pair{Key: "source", Value: draft.Text(table + ".csv")}, draft.Pair{Key: "column", Value: draft.Text(to[i+1:])})
	o.im.Add(o.doc, name, draft.Item{Kind: "references", Value: value}.Because("to %s; name the file or source that holds it", to), n, name+".relationships")
}

// sla translates the latency of an element; all else is about service.
func sla(im *translate.Import, contract *yamldoc.Mapping, n *yamldoc.Node, namespace string) {
	var none diag.List
	m := n.Mapping(&none)
	property := im.Text(m, "property")
	label := "slaProperties." + property
	if property != "latency" && property != "ly" && property != "freshness" {
		im.Skip(n, label, "it is about the service, not about the data")
		return
	}
	unit := map[string]string{"d": "d", "day": "d", "days": "d", "h": "h", "hr": "h", "hour": "h", "hours": "h", "m": "m", "min": "m", "minute": "m", "minutes": "m", "w": "w", "week": "w", "weeks": "w", "s": "s", "second": "s", "seconds": "s"}[strings.ToLower(im.Text(m, "unit"))]
	value, element := im.Text(m, "value"), im.Text(m, "element")
	if element == "" {
		element = contract.Get("slaDefaultElement").Raw()
	}
	table, column, ok := strings.Cut(element, ".")
	if !ok || unit == "" || value == "" {
		im.Skip(n, label, "it names no element table.column, or no value and unit")
		return
	}
	item := draft.Item{Kind: "freshness", Value: draft.Map(draft.Pair{Key: "column", Value: draft.Text(column)}, draft.Pair{Key: "max_age", Value: value + unit})}
	im.Add(im.Doc(datasetOf(namespace, table)), "", item, n, label)
}
