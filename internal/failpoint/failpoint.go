// Package failpoint kills or stops the process at a named place, for tests of what
// a crash leaves behind. The environment variable PROFILER_FAIL names the place:
// "after_commit:kill", or "after_commit:kill:3" for the third time it comes by.
// "after_commit:stop" lets it stand still until it gets SIGCONT.
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

// Hit ends the process at once, without any cleaning up, or stops it, if this is
// the place.
func Hit(name string) {
	if place == "" {
		return
	}
	want, rest, ok := strings.Cut(place, ":")
	action, nth, _ := strings.Cut(rest, ":")
	if !ok || want != name || action != "kill" && action != "stop" {
		return
	}
	n, err := strconv.ParseInt(nth, 10, 64)
	if err != nil {
		n = 1
	}
	if hits.Add(1) != n {
		return
	}
	if action == "stop" {
		stop()
		return
	}
	kill()
}
