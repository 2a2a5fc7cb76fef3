package yamldoc

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/profilerhq/profiler/internal/diag"
)

// Value is what a variable stands for.
type Value struct {
	// Text replaces the variable. It is not searched for further variables.
	Text string
	// Secret marks the nodes it is used in, see Node.FromEnv.
	Secret bool
}

// Variables gives the values of ${name} and ${env:NAME}.
type Variables struct {
	// Values holds the variables by name, without "env:".
	Values map[string]Value
	// Env reads the environment, such as os.LookupEnv; its values are secret.
	// If it is nil, ${env:NAME} is reported as not available.
	Env func(name string) (string, bool)
}

// maxScalar is the length in bytes of the longest scalar after expansion.
const maxScalar = 1 << 20

// maxUnknown is the number of unknown variables reported in one scalar.
const maxUnknown = 20

var variableName = regexp.MustCompile(`^(env:)?[A-Za-z_][A-Za-z0-9_.-]*$`)

// Expand replaces ${name} and ${env:NAME} in all scalar values below the given
// nodes, keys excepted, and returns the problems: unknown variables with the
// nearest name, and malformed ones. "$${" stands for "${". A node keeps its
// position; one without quotes is then read as if the value had been written
// there, and one in quotes is too when a caller asks for a number or a boolean
// and the variable is all of it. A node is expanded once: calling Expand again
// leaves it alone, so that a document's variables can be expanded first.
func Expand(vars Variables, nodes ...*Node) diag.List {
	e := expander{vars: vars, seen: map[any]bool{}}
	e.names = slices.Sorted(maps.Keys(vars.Values))
	for _, n := range nodes {
		e.node(n)
	}
	return e.errs.Sorted()
}

// ExpandDocument expands a whole document whose variables stand under a key at
// its top, such as vars: {max_amount: 10000}. The values of that key may use
// ${env:NAME} but not each other. extra holds variables from elsewhere, which
// take precedence; it may be nil.
func ExpandDocument(d *Document, key string, extra map[string]Value, env func(string) (string, bool)) diag.List {
	vars := Variables{Values: map[string]Value{}, Env: env}
	var errs diag.List
	if d.root.shape == Map {
		own := (&Mapping{d.root}).Get(key)
		errs.Add(Expand(Variables{Env: env}, own)...)
		if own != nil && !own.IsNull() {
			for _, e := range own.Mapping(&errs).Entries() {
				if !variableName.MatchString(e.Key.text) || strings.HasPrefix(e.Key.text, "env:") {
					e.Key.Errorf(&errs, CodeVariable, "%q cannot be the name of a variable", shorten(e.Key.text))
				}
				if !e.Value.IsScalar() {
					e.Value.wrong(&errs, "a text or a number", "")
				}
				vars.Values[e.Key.text] = Value{Text: e.Value.Raw(), Secret: e.Value.env}
			}
		}
	}
	maps.Copy(vars.Values, extra)
	errs.Add(Expand(vars, d.root)...)
	return errs.Sorted()
}

type expander struct {
	vars  Variables
	names []string
	seen  map[any]bool
	added int
	errs  diag.List
}

// node walks a tree in which aliases share their insides. Shared lists and
// mappings are visited once, by the address of their first element.
func (e *expander) node(n *Node) {
	switch {
	case n == nil:
	case n.shape == Text:
		if !n.expanded && strings.Contains(n.text, "${") {
			e.scalar(n)
		}
	case len(n.items) > 0 && !e.seen[&n.items[0]]:
		e.seen[&n.items[0]] = true
		for _, item := range n.items {
			e.node(item)
		}
	case len(n.entries) > 0 && !e.seen[&n.entries[0]]:
		e.seen[&n.entries[0]] = true
		for _, entry := range n.entries {
			e.node(entry.Value)
		}
	}
}

func (e *expander) scalar(n *Node) {
	var b strings.Builder
	rest, replaced, unknown := n.text, 0, 0
	secret := false
	for {
		i := strings.Index(rest, "${")
		if i < 0 {
			break
		}
		if i > 0 && rest[i-1] == '$' {
			b.WriteString(rest[:i-1] + "${")
			rest = rest[i+2:]
			continue
		}
		at := len(n.text) - len(rest) + i
		name, after, closed := strings.Cut(rest[i+2:], "}")
		if !closed || !variableName.MatchString(name) {
			e.malformed(n, at, name, closed)
			n.expanded, n.written, n.broken = true, n.text, true
			return
		}
		v, ok := e.lookup(name)
		b.WriteString(rest[:i])
		if ok {
			b.WriteString(v.Text)
		} else {
			b.WriteString("${" + name + "}")
			if unknown++; unknown <= maxUnknown {
				e.unknown(n, at, name)
			}
			n.broken = true
		}
		secret = secret || v.Secret
		e.added += len(v.Text)
		if b.Len() > maxScalar || e.added > MaxExpanded {
			n.Errorf(&e.errs, CodeLimit, "variables make this value or the file too long")
			n.expanded, n.written, n.env, n.broken = true, n.text, secret, true
			return
		}
		rest = after
		replaced++
	}
	whole := replaced == 1 && rest == "" && strings.HasPrefix(n.text, "${") && strings.Count(n.text, "}") == 1
	b.WriteString(rest)
	n.written, n.text = n.text, b.String()
	n.expanded, n.whole, n.env = true, whole, secret
}

func (e *expander) lookup(name string) (Value, bool) {
	if env, isEnv := strings.CutPrefix(name, "env:"); isEnv {
		text, ok := e.fromEnv(env)
		return Value{Text: text, Secret: true}, ok
	}
	v, ok := e.vars.Values[name]
	return v, ok
}

// unknown reports the variable at an offset of a scalar.
func (e *expander) unknown(n *Node, at int, name string) {
	d := diag.Diagnostic{Pos: n.PosAt(at), Width: len(name) + 3, Code: CodeVariable}
	if d.Pos == n.pos {
		d.Width = n.Width()
	}
	env, isEnv := strings.CutPrefix(name, "env:")
	switch {
	case isEnv && e.vars.Env == nil:
		d.Message = "environment variables cannot be used here"
	case isEnv:
		d.Message, d.Hint = "environment variable \""+shorten(env)+"\" is not set", "set it before the start"
	default:
		d.Message = "unknown variable \"" + shorten(name) + "\""
		d.Hint = diag.Hint(name, e.names)
		if _, inEnv := e.fromEnv(name); d.Hint == "" && inEnv {
			d.Hint = "write ${env:" + name + "} for the environment variable"
		}
	}
	e.errs.Add(d)
}

func (e *expander) fromEnv(name string) (string, bool) {
	if e.vars.Env == nil {
		return "", false
	}
	return e.vars.Env(name)
}

func (e *expander) malformed(n *Node, at int, name string, closed bool) {
	d := diag.Diagnostic{Pos: n.PosAt(at), Width: 2, Code: CodeVariable, Message: `"${" is not closed with "}"`}
	if closed {
		d.Message = "\"${" + shorten(name) + "}\" is no variable"
	}
	d.Hint = `write ${name} or ${env:NAME}, or "$${" for the two characters themselves`
	e.errs.Add(d)
}
