package ruletest

import (
	"bytes"
	"encoding/json"
	"strconv"

	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

// rowsOf writes rows that stand in a file of tests as JSON lines. Numbers keep
// the digits that are written; dates without quotes are texts of dates, as JSON
// has them.
func rowsOf(n *yamldoc.Node, errs *diag.List) ([]byte, bool) {
	items, ok := n.List(errs)
	if !ok {
		return nil, false
	}
	before := len(*errs)
	var b bytes.Buffer
	for _, item := range items {
		if item.Mapping(errs) == nil {
			continue
		}
		appendJSON(&b, item, errs)
		b.WriteByte('\n')
	}
	return b.Bytes(), len(*errs) == before
}

func appendJSON(b *bytes.Buffer, n *yamldoc.Node, errs *diag.List) {
	switch n.Kind() {
	case yamldoc.Map:
		b.WriteByte('{')
		for i, e := range n.Mapping(errs).Entries() {
			if i > 0 {
				b.WriteByte(',')
			}
			appendText(b, e.Key.Raw())
			b.WriteByte(':')
			appendJSON(b, e.Value, errs)
		}
		b.WriteByte('}')
	case yamldoc.List:
		b.WriteByte('[')
		for i, item := range n.Items() {
			if i > 0 {
				b.WriteByte(',')
			}
			appendJSON(b, item, errs)
		}
		b.WriteByte(']')
	case yamldoc.Null:
		b.WriteString("null")
	case yamldoc.Bool:
		v, _ := n.Bool(errs)
		b.WriteString(strconv.FormatBool(v))
	case yamldoc.Int, yamldoc.Float:
		if json.Valid([]byte(n.Raw())) {
			b.WriteString(n.Raw())
			return
		}
		v, ok := n.Float(errs)
		if !ok {
			return
		}
		text, err := json.Marshal(v)
		if err != nil { // infinity or NaN
			appendText(b, n.Raw())
			return
		}
		b.Write(text)
	default:
		appendText(b, n.Raw())
	}
}

func appendText(b *bytes.Buffer, s string) {
	text, _ := json.Marshal(s) // a string always has a form
	b.Write(text)
}
