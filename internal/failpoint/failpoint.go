// Package failpoint kills the process at a named place, for tests of what a
// crash leaves behind. The environment variable PROFILER_FAIL names the place:
// "after_commit:kill", or "after_commit:kill:3" for the third time it comes by.
// Without it Hit costs one comparison.
package failpoint

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
)

// Env is the variable that names the place.
const Env = "PROFILER_FAIL"

var (
	place = os.Getenv(Env)
	hits  atomic.Int64
)

// Hit ends the process at once, without any cleaning up, if this is the place.
func Hit(name string) {
	if place == "" {
		return
	}
	want, rest, ok := strings.Cut(place, ":")
	action, nth, _ := strings.Cut(rest, ":")
	if !ok || want != name || action != "kill" {
		return
	}
	n, err := strconv.ParseInt(nth, 10, 64)
	if err != nil {
		n = 1
	}
	if hits.Add(1) == n {
		kill()
	}
}
