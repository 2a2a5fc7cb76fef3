package dashgen

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Dashboard is a dashboard in Grafana's classic JSON model, as far as this
// package uses it.
type Dashboard struct {
	UID           string           `json:"uid"`
	Title         string           `json:"title"`
	Description   string           `json:"description"`
	Tags          []string         `json:"tags"`
	SchemaVersion int              `json:"schemaVersion"`
	Editable      bool             `json:"editable"`
	GraphTooltip  int              `json:"graphTooltip"` // 1 is a shared crosshair
	Refresh       string           `json:"refresh"`
	Time          Object           `json:"time"`
	Links         []Object         `json:"links"`
	Annotations   List[Annotation] `json:"annotations"`
	Templating    List[Variable]   `json:"templating"`
	Panels        []Panel          `json:"panels"`
}

// Object is a part of the model that is written as it stands.
type Object = map[string]any

// List is how the model wraps some lists.
type List[T any] struct {
	List []T `json:"list"`
}

// Annotation is a query that gives marks: at the times of its samples, or at the
// times in milliseconds that are its values.
type Annotation struct {
	Name            string     `json:"name"`
	Datasource      Datasource `json:"datasource"`
	Enable          bool       `json:"enable"`
	IconColor       string     `json:"iconColor"`
	Expr            string     `json:"expr"`
	UseValueForTime string     `json:"useValueForTime,omitempty"` // "on"; else the time of the samples
	TitleFormat     string     `json:"titleFormat"`
	TextFormat      string     `json:"textFormat"`
}

// Variable is a choice at the top of a dashboard.
type Variable struct {
	Name       string      `json:"name"`
	Label      string      `json:"label"`
	Type       string      `json:"type"` // datasource, query, custom or textbox
	Datasource *Datasource `json:"datasource,omitempty"`
	Definition string      `json:"definition,omitempty"`
	// Query is a text, or a VariableQuery in a variable of type query.
	Query      any      `json:"query"`
	Refresh    int      `json:"refresh,omitempty"` // 2 is at each change of the time range
	Sort       int      `json:"sort,omitempty"`    // 1 is by the alphabet
	Multi      bool     `json:"multi,omitempty"`
	IncludeAll bool     `json:"includeAll,omitempty"`
	AllValue   string   `json:"allValue,omitempty"`
	Current    Option   `json:"current"`
	Options    []Option `json:"options,omitempty"`
}

// VariableQuery asks Prometheus for the values of a variable.
type VariableQuery struct {
	Query string `json:"query"`
	RefID string `json:"refId"`
}

// Option is a value of a variable; the zero value lets Grafana choose one.
type Option struct {
	Selected bool `json:"selected,omitempty"`
	Text     any  `json:"text,omitempty"`
	Value    any  `json:"value,omitempty"`
}

// Datasource names where queries go.
type Datasource struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

// Panel is one chart, number or table.
type Panel struct {
	ID              int         `json:"id"`
	Type            string      `json:"type"`
	Title           string      `json:"title"`
	Description     string      `json:"description"`
	GridPos         GridPos     `json:"gridPos"`
	Datasource      Datasource  `json:"datasource"`
	Repeat          string      `json:"repeat,omitempty"` // a variable: one panel for each value
	RepeatDirection string      `json:"repeatDirection,omitempty"`
	MaxPerRow       int         `json:"maxPerRow,omitempty"`
	Targets         []Target    `json:"targets"`
	FieldConfig     FieldConfig `json:"fieldConfig"`
	Options         Object      `json:"options"`
	Transformations []Object    `json:"transformations,omitempty"`
}

// GridPos is a place in a grid of 24 columns.
type GridPos struct {
	H int `json:"h"`
	W int `json:"w"`
	X int `json:"x"`
	Y int `json:"y"`
}

// Target is one query of a panel.
type Target struct {
	RefID        string     `json:"refId"`
	Datasource   Datasource `json:"datasource"`
	Expr         string     `json:"expr"`
	LegendFormat string     `json:"legendFormat,omitempty"`
	Exemplar     bool       `json:"exemplar,omitempty"`
	Instant      bool       `json:"instant,omitempty"`
	Range        bool       `json:"range,omitempty"`
	Format       string     `json:"format,omitempty"`
}

// FieldConfig says how values look.
type FieldConfig struct {
	Defaults  Defaults   `json:"defaults"`
	Overrides []Override `json:"overrides"`
}

// Defaults are the looks of all values of a panel.
type Defaults struct {
	Unit       string      `json:"unit"`
	Min        *float64    `json:"min,omitempty"`
	Max        *float64    `json:"max,omitempty"`
	Color      Object      `json:"color,omitempty"`
	Mappings   []Object    `json:"mappings,omitempty"`
	Links      []Object    `json:"links,omitempty"`
	Thresholds *Thresholds `json:"thresholds,omitempty"`
	Custom     Object      `json:"custom,omitempty"`
}

// Word is what a number is shown as.
type Word struct {
	Text  string `json:"text"`
	Color string `json:"color"`
	Index int    `json:"index"`
}

// Thresholds colour values by size.
type Thresholds struct {
	Mode  string      `json:"mode"`
	Steps []Threshold `json:"steps"`
}

// Threshold is the colour from a value on; nil is from the smallest on.
type Threshold struct {
	Color string   `json:"color"`
	Value *float64 `json:"value"`
}

// Override changes the looks of the field with a name.
type Override struct {
	Matcher    Object   `json:"matcher"`
	Properties []Object `json:"properties"`
}

// JSON returns the file that Grafana imports.
func (d *Dashboard) JSON() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // queries stay readable
	e.SetIndent("", "  ")
	if err := e.Encode(d); err != nil {
		return nil, fmt.Errorf("write dashboard %s: %w", d.UID, err)
	}
	return b.Bytes(), nil
}
