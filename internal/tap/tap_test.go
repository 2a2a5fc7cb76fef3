package tap_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/source"
	"github.com/profilerhq/profiler/internal/tap"
)

// count reads a window to its end and returns its rows.
func count(ctx context.Context, w *tap.Window) (rows int, err error) {
	r, err := w.Open(ctx)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	var c batch.Chunk
	for {
		err := r.Next(ctx, &c)
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return rows, err
		}
		rows += c.Rows
	}
}

// lines is a CSV of n rows.
func lines(n int) []byte {
	var b bytes.Buffer
	b.WriteString("id,text\n")
	for i := range n {
		fmt.Fprintf(&b, "%d,\"a, \"\"b\"\"\n%d\"\n", i, i%7)
	}
	return b.Bytes()
}

// ragged reads in pieces of random sizes.
type ragged struct {
	src io.Reader
	r   *rand.Rand
	max int
}

func (r *ragged) Read(b []byte) (int, error) { return r.src.Read(b[:min(len(b), 1+r.r.IntN(r.max))]) }

func TestBytesAreEqual(t *testing.T) {
	t.Parallel()
	noise := make([]byte, 3<<20+17)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write(lines(50_000))
	require.NoError(t, z.Close())
	for name, data := range map[string][]byte{
		"nothing": nil, "one byte": {'x'}, "csv": lines(60_000), "noise": noise, "packed": packed.Bytes(),
		"a block": lines(40_000)[:tap.BlockBytes], "more than a block": lines(40_000)[:tap.BlockBytes+1], "less than a block": lines(40_000)[:tap.BlockBytes-1],
	} {
		for reading, src := range map[string]func() io.Reader{
			"at once": func() io.Reader { return bytes.NewReader(data) },
			"by bytes": func() io.Reader {
				return io.MultiReader(iotest.OneByteReader(bytes.NewReader(data[:min(len(data), 20_000)])), bytes.NewReader(data[min(len(data), 20_000):]))
			},
			"ragged":        func() io.Reader { return &ragged{bytes.NewReader(data), rand.New(rand.NewPCG(3, 4)), 90_000} },
			"data with end": func() io.Reader { return iotest.DataErrReader(bytes.NewReader(data)) },
		} {
			for _, wait := range []bool{false, true} {
				for _, size := range []int{1, tap.QueueBytes} {
					t.Run(fmt.Sprint(name, " ", reading, " ", wait, " ", size), func(t *testing.T) {
						t.Parallel()
						var out bytes.Buffer
						var c tap.Coverage
						var total int64
						ended := false
						res, err := tap.New(src(), &out, tap.Options{Wait: wait, QueueBytes: size}).Run(t.Context(), func(ctx context.Context, w *tap.Window) error {
							_, err := count(ctx, w)
							c, total = w.Coverage(), w.Total()
							return err
						}, func() error { ended = true; return nil })
						if name == "noise" {
							require.ErrorContains(t, res.Err, "standard input: is not text")
							if wait {
								return // a gate ends as soon as there can be no verdict
							}
						} else if res.Err != nil {
							require.NotEmpty(t, c.LeftOut)
						}
						require.NoError(t, err)
						require.True(t, bytes.Equal(data, out.Bytes()))
						require.True(t, ended)
						require.Equal(t, int64(len(data)), res.Bytes)
						if wait || size == tap.QueueBytes {
							require.False(t, c.Partial())
						}
						if c.Short == "" && res.Err == nil {
							require.Equal(t, int64(len(data)), total)
							require.Equal(t, total, c.Seen+c.Missing(total))
						}
					})
				}
			}
		}
	}
}

// TestAProfileThatHangsHoldsNothingUp lets a judge read nothing until all is
// copied, which is many times what the queue takes. What it then sees is its
// beginning, and real rows.
func TestAProfileThatHangsHoldsNothingUp(t *testing.T) {
	t.Parallel()
	data := lines(600_000)
	copied := make(chan struct{})
	var out bytes.Buffer
	var rows int
	var c tap.Coverage
	res, err := tap.New(bytes.NewReader(data), &out, tap.Options{QueueBytes: 1 << 20}).Run(t.Context(), func(ctx context.Context, w *tap.Window) error {
		<-copied
		var err error
		rows, err = count(ctx, w)
		c = w.Coverage()
		return err
	}, func() error { close(copied); return nil })
	require.NoError(t, err)
	require.NoError(t, res.Err)
	require.True(t, bytes.Equal(data, out.Bytes()))
	require.Len(t, c.LeftOut, 1)
	require.Equal(t, int64(len(data)), c.LeftOut[0].To)
	require.InDelta(t, 1<<20, c.Seen, tap.BlockBytes)
	seen := data[:c.Seen]
	require.Equal(t, bytes.Count(seen, []byte("\n"))/2, rows, "whole records up to there")
}

func TestAFailingProfileStopsNothing(t *testing.T) {
	t.Parallel()
	data := lines(100_000)
	for name, judge := range map[string]func(context.Context, *tap.Window) error{
		"an error": func(context.Context, *tap.Window) error { return errors.New("no store") },
		"a panic":  func(context.Context, *tap.Window) error { panic("no store") },
		"a panic in the middle": func(_ context.Context, w *tap.Window) error {
			if _, err := w.Read(make([]byte, 100)); err != nil {
				return err
			}
			panic("no store")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			res, err := tap.New(bytes.NewReader(data), &out, tap.Options{}).Run(t.Context(), judge, nil)
			require.NoError(t, err)
			require.ErrorContains(t, res.Err, "no store")
			require.True(t, bytes.Equal(data, out.Bytes()))
		})
	}
}

func TestAGateEndsWithItsJudge(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe() // nobody ever closes it
	go w.Write(lines(20_000))
	res, err := tap.New(r, io.Discard, tap.Options{Wait: true}).Run(t.Context(), func(context.Context, *tap.Window) error { return errors.New("no store") }, nil)
	require.NoError(t, err)
	require.ErrorContains(t, res.Err, "no store")
}

func TestCopyErrors(t *testing.T) {
	t.Parallel()
	judge := func(ctx context.Context, w *tap.Window) error { _, err := count(ctx, w); return err }
	src := io.MultiReader(bytes.NewReader(lines(1000)), iotest.ErrReader(errors.New("cable cut")))
	_, err := tap.New(src, io.Discard, tap.Options{}).Run(t.Context(), judge, nil)
	require.EqualError(t, err, fmt.Sprintf("standard input cannot be read any further: cable cut (after %d bytes)", len(lines(1000))))

	r, w, err := os.Pipe()
	require.NoError(t, err)
	require.NoError(t, r.Close())
	defer w.Close()
	_, err = tap.New(bytes.NewReader(lines(10)), w, tap.Options{}).Run(t.Context(), judge, nil)
	require.True(t, tap.BrokenPipe(err), "%v", err)

	_, err = tap.New(strings.NewReader("a\n"), io.Discard, tap.Options{}).Run(t.Context(), judge, func() error { return errors.New("disk full") })
	require.ErrorContains(t, err, "standard output cannot be written any further: disk full")

	ctx, cancel := context.WithCancel(t.Context())
	hanging, _ := io.Pipe()
	time.AfterFunc(0, cancel)
	_, err = tap.New(hanging, io.Discard, tap.Options{}).Run(ctx, judge, nil)
	require.ErrorIs(t, err, context.Canceled)
}

// TestRowsMayEndEarly profiles the beginning and copies the rest.
func TestRowsMayEndEarly(t *testing.T) {
	t.Parallel()
	data := lines(200_000)
	var out bytes.Buffer
	rows := 0
	res, err := tap.New(bytes.NewReader(data), &out, tap.Options{Source: source.Options{Rows: 10}}).Run(t.Context(), func(ctx context.Context, w *tap.Window) (err error) {
		rows, err = count(ctx, w)
		return err
	}, nil)
	require.NoError(t, err)
	require.NoError(t, res.Err)
	require.Equal(t, 10, rows)
	require.True(t, bytes.Equal(data, out.Bytes()))
}

// window is what a judge saw of one.
type window struct {
	start time.Time
	rows  int
	bytes int64
}

func TestWindowsByTheClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		begin := time.Now() // midnight in the bubble
		go func() {
			say := func(after time.Duration, text string) {
				time.Sleep(time.Until(begin.Add(after))) //nolint:forbidigo // of the bubble
				w.Write([]byte(text))
			}
			say(20*time.Second, "id,text\n1,a\n2,\"b")
			say(70*time.Second, "\n\"\n3,c\n")
			say(100*time.Second, "4,d\n5")
			say(260*time.Second, ",e\n6,f\n")
			w.Close()
		}()
		var out bytes.Buffer
		var mu sync.Mutex
		var got []window
		res, err := tap.New(r, &out, tap.Options{Every: tap.Every{Period: time.Minute}}).Run(t.Context(), func(ctx context.Context, w *tap.Window) error {
			rows, err := count(ctx, w)
			mu.Lock()
			defer mu.Unlock()
			got = append(got, window{w.Start, rows, w.Total()})
			return err
		}, nil)
		require.NoError(t, err)
		require.NoError(t, res.Err)
		require.Equal(t, "id,text\n1,a\n2,\"b\n\"\n3,c\n4,d\n5,e\n6,f\n", out.String())
		at := func(m int) time.Time { return begin.Add(time.Duration(m) * time.Minute) }
		var sum int64
		for i := range got {
			require.True(t, got[i].start.Equal(at(i)), "%d: %v", i, got[i].start)
			sum += got[i].bytes
			got[i].start = time.Time{}
		}
		require.Equal(t, []window{{rows: 1, bytes: 12}, {rows: 3, bytes: 15}, {}, {}, {rows: 2, bytes: 8}}, got, "minutes in which nothing comes are batches of no rows")
		require.Equal(t, int64(out.Len()), sum)
	})
}

func TestAWindowThatCannotBeJudgedDoesNotEndTheOthers(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	var rows []int
	data := lines(35)
	res, err := tap.New(bytes.NewReader(data), &out, tap.Options{Every: tap.Every{Rows: 10}}).Run(t.Context(), func(ctx context.Context, w *tap.Window) error {
		if w.Index == 1 {
			panic("a mistake")
		}
		n, err := count(ctx, w)
		rows = append(rows, n)
		return err
	}, nil)
	require.NoError(t, err)
	require.ErrorContains(t, res.Err, "a mistake")
	require.Equal(t, []int{10, 10, 5}, rows)
	require.Equal(t, data, out.Bytes())
}

// TestCopyingAllocatesNothing copies with a profile that is over.
func TestCopyingAllocatesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector empties pools at random; it runs with -short")
	}
	data := make([]byte, 1<<20)
	run := func(n int) float64 {
		return testing.AllocsPerRun(5, func() {
			src := make([]io.Reader, n)
			for i := range src {
				src[i] = bytes.NewReader(data)
			}
			tap.New(io.MultiReader(src...), io.Discard, tap.Options{}).Run(context.Background(), func(context.Context, *tap.Window) error { return errors.New("over") }, nil)
		})
	}
	few, many := run(10), run(110)
	require.Less(t, many-few, 1000.0, "100 MiB: readers, and what the collector took from the pools")
}

// BenchmarkCopy shows what the copying costs when the profile is over, as MB/s
// between two pipes.
func BenchmarkCopy(b *testing.B) {
	block := lines(40_000)
	for b.Loop() {
		in, feed, err := os.Pipe()
		require.NoError(b, err)
		drain, out, err := os.Pipe()
		require.NoError(b, err)
		go func() {
			for range 100 {
				feed.Write(block)
			}
			feed.Close()
		}()
		done := make(chan int64)
		go func() {
			n, _ := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{drain}, make([]byte, 256<<10))
			done <- n
		}()
		_, err = tap.New(in, out, tap.Options{}).Run(b.Context(), func(context.Context, *tap.Window) error { return errors.New("over") }, nil)
		require.NoError(b, err)
		require.NoError(b, out.Close())
		require.Equal(b, int64(100*len(block)), <-done)
		in.Close()
		drain.Close()
	}
	b.SetBytes(int64(100 * len(block)))
}
