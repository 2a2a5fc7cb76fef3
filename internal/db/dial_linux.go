package db

import "syscall"

// tcpUserTimeout is TCP_USER_TIMEOUT of tcp(7).
const tcpUserTimeout = 18

// limitSilence bounds how long data that was sent may stay unacknowledged.
func limitSilence(fd uintptr) error {
	return syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(deadAfter.Milliseconds())) //nolint:gosec // a descriptor is an int
}
