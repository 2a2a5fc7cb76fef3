package checks

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

var jsonSchemaSpec = Spec{
	Kind: "json_schema", Level: RowLevel, Column: true,
	Short: &Param{Form: FormText, Summary: "The file of the JSON Schema, beside the rules."}, Example: "json_schema: order.schema.json",
	Summary: "Every text is a JSON document that is valid by a JSON Schema in a file beside the rules.",
	parse:   parseJSONSchema,
}

// ReadFile reads a file that a rule names; a relative path is relative to the
// folder of the rule file already.
type ReadFile func(path string) ([]byte, error)

// filed is a kind with parameters that are files or sources beside the rule
// file. It is told where that is once, before it judges.
type filed interface {
	locate(folder string, read ReadFile, errs *diag.List)
}

// Locate tells the check the folder of its rule file and how to read files.
// Files that cannot be read or understood are reported.
func (c *Check) Locate(folder string, read ReadFile, errs *diag.List) {
	if j, ok := c.judge.(filed); ok {
		j.locate(folder, read, errs)
	}
}

type jsonSchema struct {
	name   string // as the rule has it
	node   *yamldoc.Node
	schema *jsonschema.Schema
}

func parseJSONSchema(_ *Check, p params, errs *diag.List) judge {
	if p.node.IsNull() {
		errs.Errorf(p.where(), 11, yamldoc.CodeMissingKey, "check \"json_schema\" needs a file, as in json_schema: order.schema.json")
		return nil
	}
	name, ok := p.node.String(errs)
	if !ok {
		return nil
	}
	return &jsonSchema{name: name, node: p.node}
}

// locate reads and compiles the schema, with the files that it refers to.
func (j *jsonSchema) locate(folder string, read ReadFile, errs *diag.List) {
	path := beside(folder, j.name)
	c := jsonschema.NewCompiler()
	c.UseLoader(schemaFiles{read})
	c.AssertFormat()
	schema, err := c.Compile(fileURL(path))
	if err != nil {
		j.node.Errorf(errs, yamldoc.CodeValue, "the JSON Schema %s cannot be used: %s", path, schemaReason(err))
		return
	}
	j.schema = schema
}

// beside returns a path that a rule names, relative to the rule's folder.
func beside(folder, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(folder, path)
}

// fileURL names a file for the compiler, which needs absolute addresses; a
// relative path keeps its dots by the host "." of this scheme.
func fileURL(path string) string {
	return (&url.URL{Scheme: "rules", Path: "/" + filepath.ToSlash(path)}).String()
}

// schemaFiles loads schemas from files; nothing comes over a network.
type schemaFiles struct{ read ReadFile }

func (l schemaFiles) Load(address string) (any, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	if u.Scheme != "rules" {
		return nil, fmt.Errorf("%s is not a file; schemas are not fetched over a network", address)
	}
	data, err := l.read(filepath.FromSlash(strings.TrimPrefix(u.Path, "/")))
	if err != nil {
		return nil, err
	}
	return jsonschema.UnmarshalJSON(bytes.NewReader(data))
}

// schemaReason is the cause in one line, without the inside of the library.
func schemaReason(err error) string {
	var load *jsonschema.LoadURLError
	if errors.As(err, &load) {
		err = load.Err
	}
	text := strings.Join(strings.Fields(err.Error()), " ")
	text = strings.ReplaceAll(text, "rules:///", "")
	if i := strings.LastIndex(text, "- at '"); i >= 0 { // the innermost of the causes
		return "it is no valid schema " + text[i+2:]
	}
	return strings.TrimPrefix(text, "jsonschema: ")
}

func (j *jsonSchema) phrase() string { return "not valid by " + j.name }

func (j *jsonSchema) good() string { return "valid by " + j.name }

func (j *jsonSchema) evaluator(s *sampler) rowEvaluator {
	var buf []byte
	e := newValueEvaluator(s, []batch.Type{batch.String, batch.Null}, func(v *batch.Vector, i int, family batch.Type) verdict {
		v, i = v.At(i)
		if isNull(v, i, family) {
			return skipped
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(textOf(v, i, &buf)))
		if err != nil || j.schema == nil || j.schema.Validate(doc) != nil {
			return rejected
		}
		return accepted
	})
	e.check = func(*profile.Column) string {
		if j.schema == nil {
			return "the JSON Schema " + j.name + " was not read"
		}
		return ""
	}
	return e
}
