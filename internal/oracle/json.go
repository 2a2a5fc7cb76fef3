package oracle

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// maxDepth is how deep objects and arrays may be nested.
const maxDepth = 64

// ReadJSONL reads one object a line with encoding/json. Columns are in the
// order of the sorted names.
func ReadJSONL(text string) *Table {
	b := jsonTable{}
	for line := range strings.Lines(strings.TrimPrefix(text, bom)) {
		if strings.Trim(line, " \t\r\n") == "" {
			b.blank++
			continue
		}
		b.record([]byte(line))
	}
	return b.table()
}

// ReadJSONArray reads one array of objects.
func ReadJSONArray(text string) (*Table, error) {
	var items []json.RawMessage
	if err := json.Unmarshal([]byte(strings.TrimPrefix(text, bom)), &items); err != nil {
		return nil, fmt.Errorf("read an array of objects: %w", err)
	}
	b := jsonTable{}
	for _, item := range items {
		b.record(item)
	}
	return b.table(), nil
}

// jsonList collects the elements of the lists of one path.
type jsonList struct {
	rows  []int                    // of the elements
	paths map[string]map[int]Value // by path and element; missing is null
}

// jsonTable collects rows by path before the columns are known.
type jsonTable struct {
	rows             []map[string]Value
	lists            map[string]*jsonList // by path
	names            []string
	seen             map[string]bool
	malformed, blank int64
}

func (b *jsonTable) record(text []byte) {
	row := map[string]Value{}
	if !json.Valid(text) || depth(text) > maxDepth || !b.flatten(row, "", text) {
		b.malformed++
		return
	}
	if b.seen == nil {
		b.seen = map[string]bool{}
	}
	for name := range row {
		if !b.seen[name] {
			b.seen[name] = true
			b.names = append(b.names, name)
		}
	}
	b.rows = append(b.rows, row)
}

func (b *jsonTable) table() *Table {
	slices.Sort(b.names)
	t := &Table{Names: b.names, HasText: true, Malformed: b.malformed, Blank: b.blank}
	for _, row := range b.rows {
		values := make([]Value, len(b.names))
		for i, name := range b.names {
			v, ok := row[name]
			if !ok {
				v = null
			}
			values[i] = v
		}
		t.Rows = append(t.Rows, values)
	}
	for list, l := range b.lists {
		for path, at := range l.paths {
			e := Elements{Name: path, List: list, Declared: tNull, Rows: l.rows, Values: make([]Value, len(l.rows))}
			for i := range e.Values {
				v, ok := at[i]
				if !ok {
					v = null
				}
				e.Values[i] = v
			}
			t.Elements = append(t.Elements, e)
		}
	}
	slices.SortFunc(t.Elements, func(a, b Elements) int { return strings.Compare(a.Name, b.Name) })
	return t
}

// depth counts the levels of a valid text.
func depth(text []byte) (deepest int) {
	d := json.NewDecoder(bytes.NewReader(text))
	level := 0
	for {
		token, err := d.Token()
		if err != nil {
			return deepest
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			level++
			deepest = max(deepest, level)
		case json.Delim('}'), json.Delim(']'):
			level--
		}
	}
}

// flatten puts the members of an object by their paths. ok is false if text is
// no object. The last of two equal keys wins.
func (b *jsonTable) flatten(row map[string]Value, prefix string, text []byte) (ok bool) {
	var object map[string]json.RawMessage
	if json.Unmarshal(text, &object) != nil || object == nil {
		return false
	}
	for key, raw := range object {
		path := prefix + quoteKey(key)
		raw = bytes.Trim(raw, " \t\r\n")
		if v, ok := valueOf(raw); ok {
			row[path] = v
		}
		switch raw[0] {
		case '{':
			b.flatten(row, path+".", raw)
		case '[':
			b.elements(path+"[]", raw)
		}
	}
	return true
}

// valueOf returns the value of a text; ok is false for an object with members.
func valueOf(raw []byte) (v Value, ok bool) {
	switch raw[0] {
	case '{':
		return Value{Type: tStruct, Text: "{}"}, isEmpty(raw)
	case '[':
		var items []json.RawMessage
		err := json.Unmarshal(raw, &items)
		return Value{Type: tList, Text: string(raw), Int: int64(len(items))}, err == nil
	case '"':
		var s string
		err := json.Unmarshal(raw, &s)
		return FromJSONString(s), err == nil
	case 't':
		return Value{Type: tBoolean, Int: 1, Text: "true"}, true
	case 'f':
		return Value{Type: tBoolean, Text: "false"}, true
	case 'n':
		return null, true
	}
	return FromJSONNumber(string(raw)), true
}

// elements adds the elements of an array of the next row to the list of a path.
func (b *jsonTable) elements(path string, array []byte) {
	var items []json.RawMessage
	if json.Unmarshal(array, &items) != nil {
		return
	}
	for _, item := range items {
		if b.lists == nil {
			b.lists = map[string]*jsonList{}
		}
		l := b.lists[path]
		if l == nil {
			l = &jsonList{paths: map[string]map[int]Value{}}
			b.lists[path] = l
		}
		l.rows = append(l.rows, len(b.rows))
		b.element(l, len(l.rows)-1, path, bytes.Trim(item, " \t\r\n"))
	}
}

// element adds a value of an element, or what is below it.
func (b *jsonTable) element(l *jsonList, at int, path string, raw []byte) {
	if v, ok := valueOf(raw); ok {
		if l.paths[path] == nil {
			l.paths[path] = map[int]Value{}
		}
		l.paths[path][at] = v
	}
	switch raw[0] {
	case '[':
		b.elements(path+"[]", raw)
	case '{':
		var object map[string]json.RawMessage
		_ = json.Unmarshal(raw, &object) // it is valid
		for key, member := range object {
			b.element(l, at, path+"."+quoteKey(key), bytes.Trim(member, " \t\r\n"))
		}
	}
}

// isEmpty reports whether an object has no members.
func isEmpty(object []byte) bool {
	var members map[string]json.RawMessage
	return json.Unmarshal(object, &members) == nil && len(members) == 0
}

// quoteKey puts quotes around a key that would read as a path.
func quoteKey(key string) string {
	if key != "" && key != "*" && !strings.ContainsAny(key, `.["`) {
		return key
	}
	return `"` + strings.ReplaceAll(key, `"`, `\"`) + `"`
}
