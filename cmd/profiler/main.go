// Command profiler profiles data, judges it by rules, and watches pipelines.
package main

import (
	"context"
	"os"

	"github.com/profilerhq/profiler/internal/cli"
)

// version is set by the build.
var version = "dev"

func main() {
	os.Exit(cli.Run(context.Background(), os.Args[1:], version, os.Stdin, os.Stdout, os.Stderr))
}
