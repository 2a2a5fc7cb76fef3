package oracle

import (
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/source"
)

// bigTable is a table that leaves exactness behind and that no single block
// holds.
func bigTable(t testing.TB, n int) string {
	t.Helper()
	g := generate(11, n, kindsNamed(t, "unique numbers", "unique texts", "skewed", "zones", "texts with holes", "9 % text", "nan among numbers", "structure")...)
	g.damage()
	text, _ := g.write(style{delimiter: ','})
	return text
}

func rowsOfBigTable() int {
	if long {
		return 150_000
	}
	return 70_000
}

// TestSameInputGivesSameBytes profiles one input several times, with 1, 2 and 8
// threads. It is not parallel, as it changes the number of threads for all.
func TestSameInputGivesSameBytes(t *testing.T) { //nolint:paralleltest // see above
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	csvText := bigTable(t, rowsOfBigTable())
	jsonText := writeJSON(typedTable(5, 20_000))
	var first []byte
	for run, threads := range []int{2, 2, 1, 8} {
		runtime.GOMAXPROCS(threads)
		got := encoded(t, profileCSV(t, csvText, CSV{Delimiter: ','}))
		got = append(got, encoded(t, profileJSON(t, jsonText))...)
		if run == 0 {
			first = got
			continue
		}
		sameBytes(t, first, got, "run %d with %d threads gives other bytes", run, threads)
	}
}

// TestPiecesOfInput gives the same input in pieces of 1 byte, 7 bytes, of random
// sizes and of 1 MiB.
func TestPiecesOfInput(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	readers := map[string]func() int{
		"1 byte": func() int { return 1 }, "7 bytes": func() int { return 7 },
		"4095 to 4097 bytes": func() int { return 4095 + rng.IntN(3) },
		"any size":           func() int { return 1 << rng.IntN(20) }, "1 MiB": func() int { return 1 << 20 },
	}
	inputs := map[string]struct {
		text string
		opts source.Options
	}{
		"csv":         {bigTable(t, 5_000), CSV{Delimiter: ','}.options()},
		"csv, found":  {bigTable(t, 2_000), source.Options{}},
		"csv, crlf":   {strings.ReplaceAll(bigTable(t, 2_000), "\n", "\r\n"), CSV{Delimiter: ','}.options()},
		"csv, cr":     {"a,b\r1,2\r\"x\ry\",3\r\r4,5", source.Options{}},
		"csv, long":   {"a,b\n" + strings.Repeat("x", 300_000) + ",\"" + strings.Repeat("y\n", 200_000) + "\"\n1,2\n", source.Options{}},
		"jsonl":       {writeJSON(typedTable(3, 2_000)), source.Options{}},
		"jsonl, long": {`{"a":"` + strings.Repeat("x", 600_000) + "\"}\n{\"a\":1}\nno\n\n{\"a\":[1,2", source.Options{Format: "jsonl"}},
		"array":       {"[" + strings.Join(strings.Split(strings.TrimSpace(writeJSON(typedTable(3, 2_000))), "\n"), " ,\n") + "]\n", source.Options{}},
	}
	for name, in := range inputs {
		t.Run(name, func(t *testing.T) {
			whole, err := observe(t.Context(), strings.NewReader(in.text), in.opts)
			require.NoError(t, err)
			require.Positive(t, whole.Rows())
			for how, next := range readers {
				p, err := observe(t.Context(), pieces(in.text, next), in.opts)
				require.NoError(t, err, how)
				require.Equal(t, summaryJSON(t, whole), summaryJSON(t, p), how)
				sameBytes(t, encoded(t, whole), encoded(t, p), "%s: the profile has other bytes", how)
			}
		})
	}
}

// TestBuilderIsTheMonitor profiles through the builder alone.
func TestBuilderIsTheMonitor(t *testing.T) {
	t.Parallel()
	text := bigTable(t, 5_000)
	want := profileCSV(t, text, CSV{Delimiter: ','})
	o := CSV{Delimiter: ','}.options()
	o.Stdin = strings.NewReader(text)
	r, err := source.Open(t.Context(), source.Input{URL: "in", Name: "in", Files: []string{source.Stdin}, Size: -1}, o)
	require.NoError(t, err)
	defer r.Close()
	b := profile.NewBuilder()
	var c batch.Chunk
	for {
		err := r.Next(t.Context(), &c)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		require.NoError(t, b.Add(r.Columns(), &c))
	}
	p := b.Finish(r.Columns(), profile.Info{Dataset: "default/in", Source: want.Source, Stats: r.Stats(), ProfiledAt: profiledAt})
	require.Equal(t, summaryJSON(t, want), summaryJSON(t, p))
	sameBytes(t, encoded(t, want), encoded(t, p), "the builder and the monitor give other bytes")
}

// TestFileIsStream reads the same rows from a file.
func TestFileIsStream(t *testing.T) {
	t.Parallel()
	text := bigTable(t, 3_000)
	want := profileCSV(t, text, CSV{Delimiter: ','})
	path := writeFile(t, "in.csv", text)
	inputs, err := source.Expand([]string{path}, false)
	require.NoError(t, err)
	p, err := observeInput(t.Context(), inputs[0], CSV{Delimiter: ','}.options())
	require.NoError(t, err)
	require.Equal(t, columnsJSON(t, want), columnsJSON(t, p))
	require.Equal(t, want.Summary().Duplicates, p.Summary().Duplicates)
}
