package cli_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// hostileLimit is the most memory in MiB that a program may take for any input
// of these tests: what docs/format/data.md says of a profile.
const hostileLimit = 450

// hostileLong is true for inputs of gigabytes in the place of just more than a
// record may have.
var hostileLong = os.Getenv("PROFILER_HOSTILE") == "long"

// hostile is an input that is made to be slow, large or misread.
type hostile struct {
	name string
	feed func(w *feeder)
	// Exit codes of profile, check and tap, and what each says on stderr.
	profile, check, tap int
	says                string
}

// feeder writes an input; errors end it, since programs may refuse the rest.
type feeder struct {
	w   io.Writer
	err error
}

func (f *feeder) text(s string) {
	if f.err == nil {
		_, f.err = io.WriteString(f.w, s)
	}
}

// fill writes a text again and again, until it has a few MiB more than a record
// may have, or more than a GiB.
func (f *feeder) fill(s string) {
	size := 17 << 20
	if hostileLong {
		size = 1100 << 20
	}
	block := strings.Repeat(s, max(1, 1<<16/len(s)))
	for n := 0; n < size && f.err == nil; n += len(block) {
		f.text(block)
	}
}

// packed writes a text that is packed by gzip.
func (f *feeder) packed(feed func(*feeder)) {
	z := gzip.NewWriter(f.w)
	inner := &feeder{w: z}
	feed(inner)
	f.err = errors.Join(f.err, inner.err, z.Close())
}

// parquetOf is a Parquet file that is all footer: a schema of so many columns,
// and row groups.
func parquetOf(columns int, rest ...byte) string {
	const list, number, binaryText = 9, 5, 8 // of the Thrift compact protocol
	b := []byte{number, 2, 2, list, 4, 0xfc}
	b = binary.AppendUvarint(b, uint64(columns+1))
	b = append(b, binaryText, 8, 1, 'r')
	b = append(binary.AppendVarint(append(b, number, 10), int64(columns)), 0)
	for range columns {
		b = append(b, number, 2, 2, number, 6, 0, binaryText, 8, 1, 'c', 0)
	}
	b = append(b, rest...)
	b = append(b, 0)
	return "PAR1" + string(b) + string(binary.LittleEndian.AppendUint32(nil, uint32(len(b)))) + "PAR1"
}

// claimed are rows of a file and of its one row group, which has no columns.
func claimed(rows int64) []byte {
	b := binary.AppendVarint([]byte{6, 6}, rows)
	b = append(b, 9, 8, 0x1c, 9, 2, 0x0c)
	return append(binary.AppendVarint(append(b, 6, 6), rows), 0)
}

func repeatOf(s string, n int) func(*feeder) { return func(f *feeder) { f.text(strings.Repeat(s, n)) } }

func hostiles() []hostile {
	malformed := func(name, says string, feed func(*feeder)) hostile { return hostile{name, feed, 0, 1, 0, says} }
	refused := func(name, says string, feed func(*feeder)) hostile { return hostile{name, feed, 3, 3, 0, says} }
	all := []hostile{
		malformed("a field", "1 malformed record was left out; first: record 2 at byte 8: the record is longer than 16 MiB", func(f *feeder) {
			f.text("a,b\n1,2\n")
			f.fill("x")
			f.text("\n3,4\n")
		}),
		malformed("a quoted field", "first: record 2 at byte 8: a quote is not closed", func(f *feeder) {
			f.text("a,b\n1,2\n\"")
			f.fill("x\n")
			f.text("\",2\n3,4\n")
		}),
		malformed("a quote", "first: record 2 at byte 8: a quote is not closed", func(f *feeder) {
			f.text("a,b\n1,2\n\"")
			f.fill("5,6\n")
		}),
		malformed("quotes in all lines", "first: record 2 at byte 8: a quote is not closed", func(f *feeder) {
			f.text("a,b\n1,2\n")
			f.fill("a\",\"x\n5,6\n")
		}),
		malformed("a header", "first: record 1 at byte 0: the record is longer than 16 MiB", func(f *feeder) {
			f.fill("x")
			f.text("\na,b\n3,4\n")
		}),
		malformed("a quoted header", "first: record 1 at byte 0: (a quote is not closed|the record is longer than 16 MiB)", func(f *feeder) {
			f.text("\"")
			f.fill("x")
			f.text("\na,b\n3,4\n")
		}),
		refused("columns of CSV", "standard input: has 100000 columns, and a batch may have 10000; name those that matter with --columns", func(f *feeder) {
			f.text(strings.Repeat("a,", 99_999) + "a\n")
		}),
		refused("commas", `standard input: the first record has \d+ fields, and 250000 can be told apart \(byte 0\); write it with fewer columns, or name its separator with --delimiter`, func(f *feeder) {
			f.text(strings.Repeat(",", 15<<20) + "\n")
		}),
		{"equal names", func(f *feeder) { f.text(strings.Repeat("a,", 9_999) + "a\n" + strings.Repeat("1,", 9_999) + "1\n") }, 0, 0, 0, ""},
		{"columns of JSON", func(f *feeder) {
			f.text(`{"a":0`)
			for i := range 100_000 {
				f.text(fmt.Sprintf(`,"k%d":%d`, i, i))
			}
			f.text("}\n")
		}, 0, 0, 0, ""},
		malformed("deep JSON", `first: record 2 at byte 8: objects and arrays are nested deeper than 64 levels \(byte 321 of the record\)`, func(f *feeder) {
			f.text("{\"a\":1}\n" + strings.Repeat(`{"a":`, 1_000_000) + "1" + strings.Repeat("}", 1_000_000) + "\n{\"a\":2}\n")
		}),
		malformed("deep arrays", `objects and arrays are nested deeper than 64 levels`, func(f *feeder) {
			f.text("{\"a\":1}\n{\"a\":" + strings.Repeat(`[`, 1_000_000) + strings.Repeat("]", 1_000_000) + "}\n")
		}),
		malformed("a number", "first: record 2 at byte 8: the record is longer than 16 MiB", func(f *feeder) {
			f.text("{\"a\":1}\n{\"a\":")
			f.fill("7")
			f.text("}\n{\"a\":2}\n")
		}),
		malformed("a key", "first: record 2 at byte 8: the record is longer than 16 MiB", func(f *feeder) {
			f.text("{\"a\":1}\n{\"")
			f.fill("k")
			f.text("\":1}\n{\"a\":2}\n")
		}),
		malformed("a key of many", "first: record 2 at byte 8: the path of a key is longer than 4 KiB", func(f *feeder) {
			f.text("{\"a\":1}\n{\"" + strings.Repeat("k", 4<<20) + "\":{" + strings.Repeat(`"a":1,`, 900) + "\"b\":1}}\n{\"a\":2}\n")
		}),
		{"keys again", func(f *feeder) {
			f.text(`{"z":0`)
			for i := range 5_000 {
				f.text(fmt.Sprintf(`,"k%d":%d`, i, i))
			}
			f.text(strings.Repeat(`,"a":1,"b":{"c":2}`, 200_000) + "}\n")
		}, 0, 0, 0, ""},
		malformed("surrogates", "escape in a string is malformed", func(f *feeder) {
			f.text("{\"a\":\"\\ud800\"}\n{\"a\":\"\\udc00\\ud800\"}\n{\"a\":\"\\ud80\"}\n{\"a\":\"x\"}\n")
		}),
		{"an array", func(f *feeder) {
			f.text(`[{"a":1},{"a":"`)
			f.fill("x")
		}, 3, 3, 0, "standard input: the array is not closed"},
		malformed("gzip of a field", "the record is longer than 16 MiB", func(f *feeder) {
			f.packed(func(f *feeder) { f.text("a,b\n1,2\n"); f.fill("0") })
		}),
		refused("gzip in gzip", "standard input: is not text, and no format that is known", func(f *feeder) {
			f.packed(func(f *feeder) {
				f.packed(func(f *feeder) {
					for i := range 100_000 {
						f.text(fmt.Sprintln(i * i))
					}
				})
			})
		}),
		{"gzip members", func(f *feeder) {
			for range 20_000 {
				f.packed(repeatOf("1\n", 10))
			}
		}, 0, 0, 0, ""},
		refused("a zstd window", "standard input: the zstd data needs more than 128 MiB of memory to unpack .byte 0.; pack it with a smaller dictionary or window", func(f *feeder) {
			f.text("\x28\xb5\x2f\xfd\x00\xf0\x01\x00\x00")
		}),
		refused("columns of Parquet", "standard input: has 100000 columns, and 65535 can be told apart; write the file anew with fewer columns", func(f *feeder) {
			f.text(parquetOf(100_000, 6, 6, 0, 9, 8, 0x0c))
		}),
		refused("columns of a batch", "standard input: has 60000 columns, and a batch may have 10000; name those that matter with --columns", func(f *feeder) {
			f.text(parquetOf(60_000, 6, 6, 0, 9, 8, 0x0c))
		}),
		refused("rows of Parquet", "standard input: claims 1099511627776 values, more than 2000 times its size; if that is meant, raise --unpack-limit", func(f *feeder) {
			f.text(parquetOf(0, claimed(1<<40)...))
		}),
		refused("row groups", "standard input: has 8388608 row groups of 0 columns, and 4194304 in all can be read; write the file anew with larger row groups", func(f *feeder) {
			head := append([]byte{6, 6, 0, 9, 8}, binary.AppendUvarint([]byte{0xfc}, 8<<20)...)
			f.text(parquetOf(0, append(head, make([]byte, 8<<20)...)...))
		}),
		refused("a footer", "standard input: the footer should have 4294967295 bytes, more than the file", func(f *feeder) {
			f.text("PAR1xxxxxxxxxxxxxxxx\xff\xff\xff\xffPAR1")
		}),
	}
	if hostileLong {
		all = append(all, refused("a bomb", "standard input: the zstd data unpacks to more than 2000 times its size", func(f *feeder) {
			// A frame of a window of 1 MiB and blocks of 128 KiB of one byte each.
			f.text("\x28\xb5\x2f\xfd\x00\x50")
			for range 20_000 {
				f.text("\x02\x00\x10" + "\n")
			}
		}))
	}
	return all
}

// TestHostileInput gives inputs through a pipe to all ways in. Nothing panics,
// hangs or takes more memory than the limit; what cannot be read is one line that
// says where, what and what to do.
func TestHostileInput(t *testing.T) { //nolint:paralleltest // the memory of tests beside it would be counted
	dir := t.TempDir()
	rules := filepath.Join(dir, "r.yaml")
	require.NoError(t, os.WriteFile(rules, []byte("version: 1\ndataset: \"*\"\nchecks: [{row_count: {min: 0}}]\n"), 0o600))
	for _, h := range hostiles() {
		t.Run(strings.ReplaceAll(h.name, " ", "_"), func(t *testing.T) {
			for _, way := range []struct {
				code int
				args []string
			}{
				{h.profile, []string{"profile", "-", "-o", "json"}},
				{h.check, []string{"check", "-", "--rules", rules}},
				{h.tap, []string{"tap", "--dataset", "x"}},
			} {
				if way.args[0] == "check" && h.profile == 0 && !hostileLong {
					continue // which reads as profile does
				}
				code, text := runHostile(t, way.args, h.feed)
				require.Equal(t, way.code, code, "%s: %s", way.args[0], text)
				if way.args[0] != "tap" && (way.code == 3 || way.args[0] == "profile") {
					require.Regexp(t, h.says, text, way.args[0])
				}
				if code == 3 {
					require.Equal(t, 1, strings.Count(text, "\n"), text)
					require.Contains(t, text, "; ", "what to do")
				}
			}
		})
	}
}

// TestCutAnywhereFromOutside cuts files at each 16th of them.
func TestCutAnywhereFromOutside(t *testing.T) { //nolint:paralleltest // see above
	for _, name := range []string{"interop/pyarrow_types.parquet", "interop/pyarrow_types.arrow", "interop/pyarrow_nested.arrow", "data/trips.csv.zst", "interop/trips.csv.xz"} {
		b, err := os.ReadFile(filepath.Join(data, filepath.FromSlash(name)))
		require.NoError(t, err)
		for k := 1; k < 16; k++ {
			code, text := runHostile(t, []string{"profile", "-"}, func(f *feeder) { f.text(string(b[:len(b)*k/16])) })
			require.Equal(t, 3, code, "%s cut at %d/16: %s", name, k, text)
			require.Equal(t, 1, strings.Count(text, "\n"), text)
			require.Regexp(t, `^profiler: standard input: .*; `, text)
		}
	}
}

// TestHostileRules has rules that are nested, long or of patterns that unfold.
func TestHostileRules(t *testing.T) { //nolint:paralleltest // see above
	const n = 50_000
	again := func(s string) string { return strings.Repeat(s, n) }
	orders, rules := filepath.Join(t.TempDir(), "o.csv"), filepath.Join(t.TempDir(), "r.yaml")
	require.NoError(t, os.WriteFile(orders, []byte("id\n1\n"), 0o600))
	for name, check := range map[string]string{
		"parentheses": `{row: "` + again("(") + "id" + again(")") + ` > 0"}`,
		"not":         `{row: "` + again("!") + `(id > 0)"}`,
		"and":         `{row: "id > 0` + again(" and id > 0") + `"}`,
		"minus":       `{row: "` + again("- ") + `id > 0"}`,
		"sums":        `{row: "id > ` + again("1 + (") + "1" + again(")") + `"}`,
		"lists":       again("[") + again("]"),
	} {
		require.NoError(t, os.WriteFile(rules, []byte("version: 1\ndataset: \"*\"\nchecks: ["+check+"]\n"), 0o600))
		code, text := runHostile(t, []string{"check", orders, "--rules", rules}, func(*feeder) {})
		require.Equal(t, 2, code, "%s: %.300s", name, text)
		require.Regexp(t, `r\.yaml:3:\d+: `, text, name)
		require.Less(t, len(text), 2000, name)
	}
	require.NoError(t, os.WriteFile(rules, []byte("version: 1\ndataset: \"*\"\ncolumns: {id: [{matches: \"(a{1,900}){1,900}\"}]}\n"), 0o600))
	code, text := runHostile(t, []string{"check", orders, "--rules", rules}, func(*feeder) {})
	require.Equal(t, 2, code, text)
	require.Contains(t, text, "r.yaml:3:26: ")
}

// runHostile runs the program on an input and returns its exit code and what it
// says on stderr. Its memory is compared with the limit.
func runHostile(t *testing.T, args []string, feed func(*feeder)) (code int, text string) {
	t.Helper()
	limit := hostileLimit
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		limit *= 3 // the race detector's shadow memory
	}
	c := exec.Command("profiler", args...)
	var out bytes.Buffer
	c.Stderr = &out
	in, err := c.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	fed := make(chan struct{})
	go func() {
		defer close(fed)
		feed(&feeder{w: in}) // its error is that of a program that ended before
		in.Close()
	}()
	<-fed
	err = c.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code, err = exit.ExitCode(), nil
	}
	require.NoError(t, err)
	text = out.String()
	require.NotRegexp(t, insides, text)
	if usage := reflect.ValueOf(c.ProcessState.SysUsage()); usage.Kind() == reflect.Pointer && runtime.GOOS == "linux" {
		peak := int(usage.Elem().FieldByName("Maxrss").Int() >> 10)
		require.LessOrEqual(t, peak, limit, "MiB of memory of %v", args)
		t.Logf("%s: exit code %d, %d MiB, %.1f s of CPU", args[0], code, peak, (c.ProcessState.UserTime() + c.ProcessState.SystemTime()).Seconds())
	}
	return code, text
}
