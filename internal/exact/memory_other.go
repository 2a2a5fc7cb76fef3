//go:build !linux && !darwin && !freebsd

package exact

// newSlots returns an empty table.
func newSlots(n int) []slot { return make([]slot, n) }

// freeSlots leaves a table to the collector.
func freeSlots([]slot) {}
