// Command view serves the web pages over a history of test data, to look at
// them in a browser.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"time"

	"github.com/profilerhq/profiler/internal/api"
	"github.com/profilerhq/profiler/internal/store"
	"github.com/profilerhq/profiler/internal/web/webtest"
)

func main() {
	address := flag.String("listen", "127.0.0.1:0", "address")
	url := flag.String("store", "sqlite:view.db", "history to make")
	empty := flag.Bool("empty", false, "record nothing")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *address, *url, *empty); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, address, url string, empty bool) error {
	s, err := store.Open(ctx, url, store.Options{Now: func() time.Time { return webtest.Now }})
	if err != nil {
		return err
	}
	defer s.Close() //nolint:errcheck // everything is written
	if !empty {
		if err := webtest.Fill(ctx, s); err != nil {
			return err
		}
	}
	server, err := api.New(api.Options{History: s, Version: "view", Now: func() time.Time { return webtest.Now }})
	if err != nil {
		return err
	}
	return server.Serve(ctx, api.ServeOptions{Address: address, Listening: func(url string) { fmt.Println(url) }})
}
