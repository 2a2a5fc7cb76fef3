package yamldoc_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/yamldoc"
)

// Files of the largest size that are hostile in one way each stay cheap. The
// bound is far above what is needed, and far below what a quadratic step takes.
func TestHostileFilesAreCheap(t *testing.T) {
	if testing.Short() {
		t.Skip("reads many files of 4 MiB")
	}
	const size = 1 << 20
	fill := func(head, part, tail string) string {
		return head + strings.Repeat(part, (size-len(head)-len(tail))/len(part)) + tail
	}
	numbered := func(format string) string {
		var b strings.Builder
		for i := 0; b.Len() < size-100; i++ {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	tests := map[string]string{
		"one line list":         fill("version: 1\nany: [", "a,", "]\n"),
		"one line of quotes":    fill("version: 1\nany: [", `"a",`, "]\n"),
		"one line of wide text": fill("version: 1\nany: [", "語,", "]\n"),
		"unclosed one line":     fill("version: 1\nany: [", "a,", "\n"),
		"one line of tags":      fill("version: 1\nany: [", "!a b,", "]\n"),
		"deep flow":             fill("any: ", "[", "\n"),
		"deep flow mappings":    fill("any: ", "{a: ", "\n"),
		"deep block":            fill("any:\n ", "- ", "a\n"),
		"duplicate keys":        fill("", "a: 1\n", ""),
		"unknown keys":          numbered("versio%d: 1\n"),
		"anchors":               numbered("- &a%d x\n"),
		"aliases":               fill("any: [&a [x, y, z],", "*a,", "]\n"),
		"merges":                fill("any: {a: &a {b: 1, c: 2}, ", "<<: *a, ", "}\n"),
		"unknown variables":     fill("version: 1\nany: \"", "${a}", "\"\n"),
		"variables":             fill("version: 1\nvars: {a: "+strings.Repeat("x", 10000)+"}\nany: [", "'${a}',", "]\n"),
		"comments":              fill("version: 1\n", "# a\n", ""),
		"comments after values": fill("version: 1\nany:\n", "- a # b\n", ""),
		"carriage returns":      fill("version: 1\nany:\n", "- a\r", "\n"),
		"separators":            fill("", "---\n", "version: x\n"),
		"documents":             fill("", "---\na\n", ""),
		"empty lines":           fill("a: b: c", "\n", ""),
		"question marks":        fill("", "? ", "\n"),
		"long key":              fill("", "a", ": 1\n"),
		"unclosed quote":        fill("version: \"", "a\n", ""),
		"bad last line":         fill("", "a: 1\n", " b: 1\n"),
		"bad dedent":            fill("a:\n", "  - 1\n", " b: 1\n"),
		"long block":            fill("where: |\n", "  ${x}\n", ""),
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			begin := processorTime(t)
			_, errs := parse("x.yaml", []byte(text))
			took := processorTime(t) - begin // others on the machine do not count
			t.Logf("%v, %d diagnostics", took.Round(time.Millisecond), len(errs))
			require.Less(t, took, 20*time.Second)
		})
	}
}

// processorTime returns what this process has used so far.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func TestFileTooLarge(t *testing.T) {
	t.Parallel()
	docs, errs := yamldoc.Parse("x.yaml", make([]byte, yamldoc.MaxFileSize+1))
	require.Empty(t, docs)
	require.EqualError(t, errs.Err(), "x.yaml:1:1: the file has 4194305 bytes, more than the limit of 4 MiB; split it")
	_, errs = yamldoc.Parse("x.yaml", []byte("#"+strings.Repeat("x", yamldoc.MaxFileSize-1)))
	require.EqualError(t, errs.Err(), "x.yaml:1:1: the file has no content, only comments or separators")
}
