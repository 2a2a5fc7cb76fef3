// Package golden compares what a test produced with a file under version
// control, and rewrites that file when the test runs with -update.
package golden

import (
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// update is the flag that every test binary importing this package has. It is
// read after the testing package has parsed the command line.
var update = flag.Bool("update", false, "rewrite the golden files instead of comparing with them")

// Updating reports whether the test runs with -update. Tests use it for
// outputs that golden.Equal does not write, such as whole folders.
func Updating() bool { return *update }

// Equal fails the test when got differs from the content of the file at path,
// which is relative to the package's folder. The message names the first line
// that differs and how to accept the new content. With -update it writes got
// to path, creating missing folders, and fails only when that is impossible.
// A missing file is a failure, never a silent pass. Equal keeps no reference
// to got.
func Equal(t testing.TB, got []byte, path string) {
	t.Helper()
	if *update {
		if err := write(path, got); err != nil {
			t.Fatalf("update golden file: %v", err)
		}
		return
	}
	if msg := compare(got, path); msg != "" {
		t.Fatal(msg)
	}
}

func write(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o644)
}

// compare returns an empty text when got is the content of the file at path,
// else the failure message.
func compare(got []byte, path string) string {
	want, err := os.ReadFile(path)
	if err != nil {
		return "read golden file: " + err.Error() + "; run the test with -update to write it"
	}
	if string(want) == string(got) {
		return ""
	}
	line, w, g := firstDifference(string(want), string(got))
	var b strings.Builder
	b.WriteString(path + " differs from line " + strconv.Itoa(line) + " on:\n")
	b.WriteString("  want: " + w + "\n")
	b.WriteString("  got:  " + g + "\n")
	b.WriteString("run the test with -update and read the diff if the new content is right")
	return b.String()
}

// firstDifference returns the number of the first line (from 1) in which the
// texts differ and both lines, quoted so that spaces and line ends show.
func firstDifference(want, got string) (line int, w, g string) {
	ws, gs := strings.SplitAfter(want, "\n"), strings.SplitAfter(got, "\n")
	for i := range max(len(ws), len(gs)) {
		a, b := lineAt(ws, i), lineAt(gs, i)
		if a != b {
			return i + 1, a, b
		}
	}
	return 0, "", ""
}

func lineAt(lines []string, i int) string {
	if i >= len(lines) {
		return "(no such line)"
	}
	return strconv.Quote(lines[i])
}
