// Package neterr says in plain words why a network call failed.
package neterr

import (
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"os"
	"syscall"
)

// Reason returns err in words for a person: without the URL, which may hold a
// secret, and without the names of Go's packages. It wraps err. Errors that are
// not of the network come back as they are.
func Reason(err error) error {
	var (
		dns     *net.DNSError
		record  tls.RecordHeaderError
		address *net.AddrError
		op      *net.OpError
		request *url.Error
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &dns) && dns.IsNotFound:
		return plain{"there is no host " + dns.Name, err}
	case errors.As(err, &dns):
		return plain{"the name server did not find the host " + dns.Name, err}
	case errors.As(err, &record):
		return plain{"what answers there does not speak TLS", err}
	case errors.As(err, &address):
		return plain{address.Err, err}
	case errors.As(err, &op):
		return plain{text(op), err}
	case errors.As(err, &request):
		return plain{request.Err.Error(), err}
	default:
		return err
	}
}

// text tells an operation on a socket.
func text(op *net.OpError) string {
	at := ""
	if op.Addr != nil {
		at = op.Addr.String()
	}
	inner := op.Err
	var call *os.SyscallError
	if errors.As(inner, &call) {
		inner = call.Err
	}
	switch {
	case op.Op == "dial" && errors.Is(inner, syscall.ECONNREFUSED) && at != "":
		return "nothing listens on " + at
	case op.Op == "dial" && at != "":
		return at + ": " + inner.Error()
	default:
		return inner.Error()
	}
}

type plain struct {
	text string
	err  error
}

func (p plain) Error() string { return p.text }
func (p plain) Unwrap() error { return p.err }
