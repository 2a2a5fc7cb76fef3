package runner

import (
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/profilerhq/profiler/internal/pipeline"
)

// identified is one name and value that a step is told, as a variable of the
// environment and as an HTTP header. One of the names may be empty.
type identified struct{ variable, header, value string }

func (v *visit) idempotencyKey() string {
	return v.s.Name + "." + v.lease.Unit + "." + v.r.prints[v.step][:32]
}

// identity says what is worked on and where.
func (v *visit) identity() []identified {
	ids := []identified{
		{"PROFILER_UNIT_ID", "Profiler-Unit-Id", v.lease.Unit},
		{"PROFILER_ATTEMPT", "Profiler-Attempt", strconv.Itoa(v.attempts)},
		{"PROFILER_CORRELATION_ID", "Profiler-Correlation-Id", v.lease.Correlation},
		{"PROFILER_IDEMPOTENCY_KEY", "Idempotency-Key", v.idempotencyKey()},
		{"TRACEPARENT", "Traceparent", traceparent(v.lease.Correlation, v.lease.Run, v.s.Name, v.lease.Unit, v.attempts)},
		{"PROFILER_RUN_ID", "", v.lease.Run},
		{"PROFILER_PIPELINE", "", v.r.options.Pipeline.Name},
		{"PROFILER_STEP", "", v.s.Name},
	}
	if v.canary() {
		ids = append(ids, identified{"PROFILER_CANARY", "Profiler-Canary", "1"})
	}
	return ids
}

// environment returns the variables of one attempt.
func (v *visit) environment(output string) []string {
	env := slices.Clone(v.r.env)
	set := func(name, value string) { env = append(env, name+"="+value) }
	for _, kv := range v.identity() {
		set(kv.variable, kv.value)
	}
	set(pipeline.VariableOutput, output)
	if v.layout != nil {
		v.layout.setEnvironment(set)
		return env
	}
	var paths []string
	for _, in := range v.inputs {
		paths = append(paths, in.Path)
		if in.Step != "" {
			set(pipeline.InputVariable(in.Step), in.Path)
		}
	}
	if len(paths) > 0 {
		set(pipeline.VariableInput, strings.Join(paths, string(os.PathListSeparator)))
	}
	return env
}
