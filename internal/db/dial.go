package db

import (
	"context"
	"net"
	"syscall"
	"time"
)

// deadAfter is how long the other side may be silent that has to answer, before
// the connection counts as broken. Without it a server that vanished without a
// word (its machine lost power, a firewall forgot the connection) would block
// whoever waits for it for a quarter of an hour, and with it the heartbeats of
// leases.
const deadAfter = 20 * time.Second

// Dialer opens connections to a Postgres server that notice when it is gone: the
// system probes silent ones, and gives up what is not acknowledged in time (Linux:
// RFC 5482).
type Dialer struct{}

func (Dialer) dialer(timeout time.Duration) *net.Dialer {
	return &net.Dialer{
		Timeout:         timeout,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: deadAfter / 2, Interval: deadAfter / 4, Count: 2},
		Control: func(network, _ string, c syscall.RawConn) error {
			if network == "unix" {
				return nil
			}
			var err error
			if e := c.Control(func(fd uintptr) { err = limitSilence(fd) }); e != nil {
				return e
			}
			return err
		},
	}
}

// Dial opens a connection.
func (d Dialer) Dial(network, address string) (net.Conn, error) {
	return d.dialer(0).Dial(network, address)
}

// DialTimeout opens a connection within a time.
func (d Dialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	return d.dialer(timeout).Dial(network, address)
}

// DialContext opens a connection until ctx ends.
func (d Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return d.dialer(0).DialContext(ctx, network, address)
}
