package slacktest

import (
	"encoding/json"
	"slices"
	"strings"
)

// The limits of a message.
const (
	maxBlocks, maxHeader, maxSection  = 50, 150, 3000
	maxFields, maxField, maxElements  = 10, 2000, 10
	maxContext, maxTotal, maxFallback = 2000, 13000, 40000
	maxActions, maxButton, maxOptions = 25, 75, 100
	maxID, maxValue, maxOptionValue   = 255, 2000, 150
	maxTitle, maxSeries, maxPoints    = 50, 6, 20
	maxLabel                          = 20
)

type object struct{ Type, Text string }

// element is a part of an actions or context block.
type element struct {
	object
	Text        json.RawMessage
	ActionID    string `json:"action_id"`
	Value       string
	Placeholder object
	Options     []struct {
		Text  object
		Value string
	}
}

type block struct {
	Type     string
	Text     json.RawMessage
	Fields   []object
	Elements []element
	Title    string
	Chart    struct {
		Type   string
		Series []struct {
			Name string
			Data []struct {
				Label string
				Value float64
			}
		}
		AxisConfig struct {
			Categories []string
			XLabel     string `json:"x_label"`
			YLabel     string `json:"y_label"`
		} `json:"axis_config"`
	}
}

// checker counts the characters of a message.
type checker struct {
	total   int
	actions []string
}

// Check returns Slack's error for a message that it would not take, "" for a
// good one. Lengths are counted in UTF-16 units.
func Check(text string, blocks json.RawMessage) string {
	var list []block
	if len(blocks) > 0 && json.Unmarshal(blocks, &list) != nil {
		return "invalid_blocks_format"
	}
	switch {
	case len(list) == 0 && strings.TrimSpace(text) == "":
		return "no_text"
	case units(text) > maxFallback:
		return "msg_too_long"
	case len(list) > maxBlocks:
		return "invalid_blocks"
	}
	var c checker
	for i := range list {
		if !c.block(&list[i]) {
			return "invalid_blocks"
		}
	}
	if c.total > maxTotal {
		return "msg_blocks_too_long"
	}
	return ""
}

// good checks a text object.
func (c *checker) good(o object, limit int, types ...string) bool {
	n := units(o.Text)
	c.total += n
	return n > 0 && n <= limit && slices.Contains(types, o.Type)
}

func (c *checker) block(b *block) bool {
	var t object
	if b.Text != nil && json.Unmarshal(b.Text, &t) != nil {
		return false
	}
	for _, o := range b.Fields {
		if !c.good(o, maxField, "mrkdwn", "plain_text") {
			return false
		}
	}
	switch b.Type {
	case "header":
		return c.good(t, maxHeader, "plain_text")
	case "section":
		return (b.Text != nil || len(b.Fields) > 0) && len(b.Fields) <= maxFields && (b.Text == nil || c.good(t, maxSection, "mrkdwn", "plain_text"))
	case "context":
		return c.context(b)
	case "actions":
		return c.controls(b)
	case "data_visualization":
		return chart(b)
	case "divider":
		return true
	}
	return false
}

func (c *checker) context(b *block) bool {
	if len(b.Elements) == 0 || len(b.Elements) > maxElements {
		return false
	}
	for _, e := range b.Elements {
		var text string
		if json.Unmarshal(e.Text, &text) != nil || !c.good(object{e.Type, text}, maxContext, "mrkdwn", "plain_text") {
			return false
		}
	}
	return true
}

func (c *checker) controls(b *block) bool {
	if len(b.Elements) == 0 || len(b.Elements) > maxActions {
		return false
	}
	for _, e := range b.Elements {
		if e.ActionID == "" || len(e.ActionID) > maxID || slices.Contains(c.actions, e.ActionID) {
			return false
		}
		c.actions = append(c.actions, e.ActionID)
		var t object
		switch e.Type {
		case "button":
			if json.Unmarshal(e.Text, &t) != nil || !c.good(t, maxButton, "plain_text") || len(e.Value) > maxValue {
				return false
			}
		case "static_select":
			if len(e.Options) == 0 || len(e.Options) > maxOptions || !c.good(e.Placeholder, maxHeader, "plain_text") {
				return false
			}
			for _, o := range e.Options {
				if !c.good(o.Text, maxButton, "plain_text") || o.Value == "" || len(o.Value) > maxOptionValue {
					return false
				}
			}
		default:
			return false
		}
	}
	return true
}

func chart(b *block) bool {
	ch := &b.Chart
	ok := b.Title != "" && units(b.Title) <= maxTitle && ch.Type == "bar" && len(ch.Series) > 0 && len(ch.Series) <= maxSeries &&
		len(ch.AxisConfig.Categories) > 0 && len(ch.AxisConfig.Categories) <= maxPoints && units(ch.AxisConfig.XLabel) <= maxTitle && units(ch.AxisConfig.YLabel) <= maxTitle
	var names []string
	for _, s := range ch.Series {
		ok = ok && s.Name != "" && units(s.Name) <= maxLabel && !slices.Contains(names, s.Name) && len(s.Data) == len(ch.AxisConfig.Categories)
		names = append(names, s.Name)
		var labels []string
		for _, p := range s.Data {
			ok = ok && units(p.Label) <= maxLabel && slices.Contains(ch.AxisConfig.Categories, p.Label) && !slices.Contains(labels, p.Label)
			labels = append(labels, p.Label)
		}
	}
	return ok
}
