package pipeline

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/profilerhq/profiler/internal/diag"
)

// Names of the environment variables that hold the paths of a step's files.
const (
	VariableInput  = "PROFILER_INPUT"
	VariableOutput = "PROFILER_OUTPUT"
)

// InputVariable returns the name of the variable that holds the path of the
// output of a needed step: PROFILER_INPUT_ and the step's name in capitals, with
// _ for . and -.
func InputVariable(step string) string {
	return VariableInput + "_" + strings.NewReplacer(".", "_", "-", "_").Replace(strings.ToUpper(step))
}

var placeholder = regexp.MustCompile(`\{(input|inputs|output|input:[^{}]*)\}`)

// Input is one file that a step reads.
type Input struct {
	// Step is the step that wrote it, empty for a file of the source.
	Step string
	// Path is the file. For a fan-in it is the folder of all outputs of the step.
	Path string
	// Files are those outputs, for a fan-in.
	Files []string
}

// Command returns the program and its arguments for one attempt, placeholders
// replaced. An argument that is {input} alone becomes one argument per input, in
// the order of needs, and {inputs} one per file of a fan-in. In a text for the shell, placeholders become quoted
// variables of the environment, so that no file name is ever read as shell code.
func (s *Step) Command(inputs []Input, output string) []string {
	if s.Shell != "" {
		text, _ := s.shellText()
		argv := []string{"/bin/sh", "-c", text}
		if s.names("{inputs}") {
			argv = append(argv, "sh")
			for _, in := range inputs {
				argv = append(argv, in.Files...)
			}
		}
		return argv
	}
	argv := make([]string, 0, len(s.Run)+len(inputs))
	for _, arg := range s.Run {
		if arg == "{input}" {
			for _, in := range inputs {
				argv = append(argv, in.Path)
			}
			continue
		}
		if arg == "{inputs}" {
			for _, in := range inputs {
				argv = append(argv, in.Files...)
			}
			continue
		}
		argv = append(argv, placeholder.ReplaceAllStringFunc(arg, func(m string) string {
			if m == "{output}" {
				return output
			}
			name := strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(m, "{input"), ":"), "}")
			for _, in := range inputs {
				if name == "" || in.Step == name {
					return in.Path
				}
			}
			return m
		}))
	}
	return argv
}

// NamesInput reports whether the command takes its input as an argument; then
// its stdin is empty.
func (s *Step) NamesInput() bool { return s.names("{input") }

// NamesOutput reports whether the command writes its output to a path that it
// gets as an argument; then its stdout is not the output.
func (s *Step) NamesOutput() bool { return s.names("{output}") }

func (s *Step) names(start string) bool {
	for _, text := range append([]string{s.Shell}, s.Run...) {
		for _, m := range placeholder.FindAllString(text, -1) {
			if strings.HasPrefix(m, start) {
				return true
			}
		}
	}
	return false
}

// shellText replaces placeholders by variables. The error is the text of the
// first placeholder that cannot stand where it does.
func (s *Step) shellText() (text string, err error) {
	var b strings.Builder
	quote := byte(0)
	for i := 0; i < len(s.Shell); i++ {
		c := s.Shell[i]
		if m := placeholder.FindString(s.Shell[i:]); c == '{' && strings.HasPrefix(s.Shell[i:], m) && m != "" {
			b.WriteString(s.shellVariable(m, quote, &err))
			i += len(m) - 1
			continue
		}
		switch {
		case c == '\\' && quote != '\'' && i+1 < len(s.Shell):
			b.WriteByte(c)
			i++
			c = s.Shell[i]
		case c == quote:
			quote = 0
		case quote == 0 && (c == '\'' || c == '"'):
			quote = c
		}
		b.WriteByte(c)
	}
	return b.String(), err
}

func (s *Step) shellVariable(m string, quote byte, err *error) string {
	if m == "{inputs}" {
		if *err == nil && quote != 0 {
			*err = errors.New("{inputs} stands for several files and cannot stand in quotes; leave them out")
		}
		return `"$@"`
	}
	names := []string{VariableOutput}
	switch {
	case m == "{input}" && len(s.Needs) > 1:
		names = nil
		for _, n := range s.Needs {
			names = append(names, InputVariable(n.Step))
		}
	case m == "{input}":
		names[0] = VariableInput
	case m != "{output}":
		names[0] = InputVariable(m[len("{input:") : len(m)-1])
	}
	switch {
	case *err != nil:
	case quote == '\'':
		*err = fmt.Errorf("%s stands in single quotes, where the shell does not replace it; leave the quotes out", m)
	case quote == '"' && len(names) > 1:
		*err = errors.New("{input} stands for several files and cannot stand in quotes; leave them out or name one file as {input:step}")
	}
	if quote == '"' {
		return "${" + names[0] + "}"
	}
	return `"$` + strings.Join(names, `" "$`) + `"`
}

// command checks the placeholders of a step's command.
func (p *parser) command(s *Step) {
	node := p.commands[s.Name]
	if node == nil {
		return
	}
	items := node.Items()
	hasInput := len(s.Needs) > 0 || p.pipeline.Source != nil
	for i, text := range append([]string{s.Shell}, s.Run...) {
		at := node
		if i > 0 && i-1 < len(items) {
			at = items[i-1]
		}
		for _, m := range placeholder.FindAllString(text, -1) {
			switch {
			case i == 1:
				at.Errorf(&p.errs, CodeCommand, "the program's name cannot contain %s", m)
			case m == "{output}":
			case !hasInput:
				at.Errorf(&p.errs, CodeCommand, "step %q has no input for %s: it needs no step, and the pipeline has no source", s.Name, m)
			case m == "{inputs}":
				switch {
				case !s.FanIn:
					at.Errorf(&p.errs, CodeCommand, "{inputs} stands for what a step with fan_in: all joins; this one reads {input}")
				case s.Shell == "" && text != m:
					at.Errorf(&p.errs, CodeCommand, "{inputs} stands for several files; give it an argument of its own, or take the folder {input}")
				}
			case m == "{input}":
				if s.Shell == "" && text != m && len(s.Needs) > 1 {
					at.Errorf(&p.errs, CodeCommand, "{input} stands for the outputs of %d steps here; give it an argument of its own, or name one as {input:%s}", len(s.Needs), s.Needs[0].Step)
				}
			default:
				name := m[len("{input:") : len(m)-1]
				var needed []string
				for _, n := range s.Needs {
					needed = append(needed, n.Step)
				}
				if !slices.Contains(needed, name) {
					d := at.Diagnostic(CodeCommand, "%s names a step that %q does not need", m, s.Name)
					d.Hint = diag.Hint(name, needed)
					p.errs.Add(d)
				}
			}
		}
	}
	if s.Shell != "" {
		if _, err := s.shellText(); err != nil {
			node.Errorf(&p.errs, CodeCommand, "%s", err)
		}
	}
}

// Check looks up what the pipeline names on this machine: that each program can
// be found and executed, and that each rule file can be read. The error is of
// type diag.List and holds all problems. Patterns of the source are not
// expanded.
func (p *Pipeline) Check() error {
	var errs diag.List
	p.check(&errs)
	return errs.Err()
}

func (p *Pipeline) check(errs *diag.List) {
	p.Source.check(p, errs)
	for i := range p.Steps {
		s := &p.Steps[i]
		program := "/bin/sh"
		if len(s.Run) > 0 && strings.TrimSpace(s.Run[0]) != "" && !placeholder.MatchString(s.Run[0]) {
			program = s.Run[0]
		}
		if why := p.lookup(program); s.HTTP == nil && s.SQL == nil && !s.Worker && why != "" {
			errs.Add(diag.Diagnostic{
				Pos: s.CommandPos, Code: CodeCommand,
				Message: fmt.Sprintf("step %q: %s", s.Name, why),
			})
		}
		s.SQL.check(p, errs)
		for j, rule := range s.Rules {
			f, err := os.Open(p.Path(rule))
			if err != nil {
				errs.Errorf(s.rulePos[j], len([]rune(rule)), CodeFile, "step %q: rules %q cannot be read: %s", s.Name, clip(rule), reason(err))
				continue
			}
			f.Close()
		}
	}
	p.Canary.check(p, errs)
}

// lookup says why a program cannot be executed, or nothing.
func (p *Pipeline) lookup(program string) string {
	path := program
	if strings.Contains(program, "/") {
		// A relative path must keep a slash, or it would be looked up in the PATH.
		if abs, err := filepath.Abs(p.Path(program)); err == nil {
			path = abs
		}
	}
	_, err := exec.LookPath(path)
	switch {
	case err == nil:
		return ""
	case errors.Is(err, exec.ErrNotFound):
		return fmt.Sprintf("the program %q is not in the PATH; give its path, relative to the pipeline file, or install it", clip(program))
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("the program %q is not executable; try chmod +x %s", clip(program), clip(path))
	default:
		return fmt.Sprintf("the program %q cannot be executed: %s", clip(program), reason(err))
	}
}

// reason returns the innermost text of a file error, without path and operation.
func reason(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}
