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

// jsonTable collects rows by path before the columns are known.
type jsonTable struct {
	rows             []map[string]Value
	names            []string
	seen             map[string]bool
	malformed, blank int64
}

func (b *jsonTable) record(text []byte) {
	row := map[string]Value{}
	if !json.Valid(text) || depth(text) > maxDepth || !flatten(row, "", text) {
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
func flatten(row map[string]Value, prefix string, text []byte) (ok bool) {
	var object map[string]json.RawMessage
	if json.Unmarshal(text, &object) != nil || object == nil {
		return false
	}
	for key, raw := range object {
		path := prefix + quoteKey(key)
		raw = bytes.Trim(raw, " \t\r\n")
		switch raw[0] {
		case '{':
			flatten(row, path+".", raw)
			if isEmpty(raw) {
				row[path] = Value{Type: tStruct, Text: "{}"}
			}
		case '[':
			var items []json.RawMessage
			if json.Unmarshal(raw, &items) == nil {
				row[path] = Value{Type: tList, Text: string(raw), Int: int64(len(items))}
			}
		case '"':
			var s string
			if json.Unmarshal(raw, &s) == nil {
				row[path] = FromJSONString(s)
			}
		case 't':
			row[path] = Value{Type: tBoolean, Int: 1, Text: "true"}
		case 'f':
			row[path] = Value{Type: tBoolean, Text: "false"}
		case 'n':
			row[path] = null
		default:
			row[path] = FromJSONNumber(string(raw))
		}
	}
	return true
}

// isEmpty reports whether an object has no members.
func isEmpty(object []byte) bool {
	var members map[string]json.RawMessage
	return json.Unmarshal(object, &members) == nil && len(members) == 0
}

// quoteKey puts quotes around a key that would read as a path.
func quoteKey(key string) string {
	if key != "" && !strings.ContainsAny(key, `.["`) {
		return key
	}
	return `"` + strings.ReplaceAll(key, `"`, `\"`) + `"`
}
