//go:build !linux

package tap

// stepForward does nothing: only Linux has a niceness for each thread.
func stepForward() {}
