//go:build !linux

package db

// limitSilence leaves the bound to the probes of silent connections.
func limitSilence(uintptr) error { return nil }
