package cli_test

import (
	"fmt"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/profilerhq/profiler/internal/natstest"
)

// natsKey is where a script keeps its NATS server.
type natsKey struct{}

// scriptTB lets a script be the test of a server.
type scriptTB struct{ *testscript.TestScript }

func (scriptTB) Helper() {}

func (s scriptTB) Fatal(args ...any) { s.Fatalf("%s", fmt.Sprint(args...)) }

// cmdNATS is: nats start STREAM | nats publish SUBJECT BODY… | nats consumer STREAM NAME
// ACK-WAIT | nats down | nats up.
func cmdNATS(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: nats start STREAM | nats publish SUBJECT BODY... | nats consumer STREAM NAME ACK-WAIT | nats down | nats up")
	}
	at := ts.Value(natsKey{}).(**natstest.Server)
	if args[0] == "start" {
		s := natstest.New(scriptTB{ts}, ts.MkAbs("nats"))
		ts.Defer(s.Down)
		s.Stream(args[1])
		*at = s
		ts.Setenv("NATS_URL", s.URL())
		return
	}
	s := *at
	if s == nil {
		ts.Fatalf("nats start comes first")
	}
	switch args[0] {
	case "publish":
		s.Publish(args[1], "", args[2:]...)
	case "consumer":
		d, err := time.ParseDuration(args[3])
		ts.Check(err)
		s.Consumer(args[1], args[2], d)
	case "down":
		s.Down()
	case "up":
		s.Up()
	default:
		ts.Fatalf("unknown: nats %s", args[0])
	}
}
