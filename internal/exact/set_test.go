package exact_test

import (
	"cmp"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/exact"
	"github.com/profilerhq/profiler/internal/exact/disk"
)

// fact is what a set says about a row.
type fact struct {
	row, via      int64
	all, unmarked bool
}

// data is a table of keys, some of them marked.
type data struct {
	keys   []uint64
	marked []bool
}

func random(rng *rand.Rand, rows, keys int, share float64) data {
	d := data{make([]uint64, rows), make([]bool, rows)}
	for i := range rows {
		d.keys[i], d.marked[i] = rng.Uint64N(uint64(keys)), rng.Float64() < share
	}
	return d
}

// truth counts with maps of Go.
func truth(d data) (all, unmarked exact.Tally, facts []fact) {
	groups := func(skipMarked bool) (exact.Tally, map[int64]int64) {
		by := map[uint64][]int64{}
		for i, k := range d.keys {
			if !skipMarked || !d.marked[i] {
				by[k] = append(by[k], int64(i+1))
			}
		}
		var t exact.Tally
		via := map[int64]int64{}
		for _, rows := range by {
			if len(rows) < 2 {
				continue
			}
			t.Rows, t.Keys = t.Rows+int64(len(rows)), t.Keys+1
			via[rows[0]] = rows[1]
			for _, r := range rows[1:] {
				via[r] = r
			}
		}
		return t, via
	}
	all, allVia := groups(false)
	unmarked, unmarkedVia := groups(true)
	for row, via := range allVia {
		if other, ok := unmarkedVia[row]; ok && other == via {
			facts = append(facts, fact{row, via, true, true})
			continue
		}
		facts = append(facts, fact{row, via, true, false})
	}
	for row, via := range unmarkedVia {
		if allVia[row] != via {
			facts = append(facts, fact{row, via, false, true})
		}
	}
	return all, unmarked, sorted(facts)
}

func sorted(f []fact) []fact {
	slices.SortFunc(f, func(a, b fact) int { return cmp.Or(cmp.Compare(a.row, b.row), cmp.Compare(a.via, b.via)) })
	return f
}

// run puts a table through a set in chunks of different sizes.
func run(t testing.TB, d data, space *exact.Space) (s *exact.Set, facts []fact, err error) {
	t.Helper()
	var chunk []exact.Row
	s = exact.NewSet(space, func(r exact.Repeat) {
		if r.At >= 0 && chunk[r.At].Number != r.Via {
			t.Fatalf("row %d shows at row %d, not at row %d", r.Row, chunk[r.At].Number, r.Via)
		}
		facts = append(facts, fact{r.Row, r.Via, r.All, r.Unmarked})
	})
	for from := 0; from < len(d.keys); {
		to := min(len(d.keys), from+1+from%97)
		chunk = chunk[:0]
		for i := from; i < to; i++ {
			chunk = append(chunk, exact.Row{Key: key(d.keys[i]), Number: int64(i + 1), Marked: d.marked[i]})
		}
		s.Add(chunk)
		from = to
	}
	err = s.Finish()
	return s, sorted(facts), err
}

// The set says what maps say, whatever the limit of memory.
func TestSetAgainstMaps(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name       string
		rows, keys int
		marked     float64
	}{
		{"none", 0, 1, 0}, {"one", 1, 1, 0}, {"two of one key", 2, 1, 0}, {"a few", 50, 30, 0.3}, {"one key", 20_000, 1, 0},
		{"few keys", 20_000, 100, 0.5}, {"hardly repeated", 20_000, 1 << 40, 0}, {"some repeated", 30_000, 200_000, 0.2},
		{"often repeated", 30_000, 10_000, 0.5}, {"all marked", 5_000, 2_000, 1}, {"large", 80_000, 400_000, 0.1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			d := random(rand.New(rand.NewPCG(7, uint64(tc.rows))), tc.rows, tc.keys, tc.marked)
			all, unmarked, facts := truth(d)
			for _, memory := range []int64{1 << 40, 4 << 20, 600_000, 64 << 10, 4 << 10, 0} {
				m := measured(disk.New(t.TempDir()))
				space := exact.NewSpace(memory, &m)
				s, got, err := run(t, d, space)
				require.NoError(t, err)
				require.Equal(t, all, s.All, "memory %d", memory)
				require.Equal(t, unmarked, s.Unmarked, "memory %d", memory)
				require.Len(t, got, len(facts), "memory %d", memory)
				for i := range facts {
					if facts[i] != got[i] {
						require.Equal(t, facts[i], got[i], "memory %d", memory)
					}
				}
				require.NoError(t, s.Close())
				require.Zero(t, space.Used(), "memory %d is given back", memory)
				require.Zero(t, m.open.Load())
				switch {
				case memory == 1<<40:
					require.Zero(t, m.files.Load())
				case memory <= 64<<10 && tc.rows >= 20_000 && tc.keys >= 10_000:
					require.Positive(t, m.files.Load())
				}
			}
		})
	}
}

// Keys that agree in one half of the hash are told apart by the other.
func TestKeysAreTheWholeHash(t *testing.T) {
	t.Parallel()
	for _, memory := range []int64{1 << 30, 350 << 10, 0} {
		for name, keyOf := range map[string]func(i uint64) exact.Key{
			"first half":  func(i uint64) exact.Key { return exact.NewKey(i<<35, 0) },
			"second half": func(i uint64) exact.Key { return exact.NewKey(0, i) },
		} {
			s := exact.NewSet(exact.NewSpace(memory, disk.New(t.TempDir())), nil)
			for i := range uint64(8000) {
				s.Add([]exact.Row{{Key: keyOf(i), Number: int64(i + 1)}})
			}
			s.Add([]exact.Row{{Key: keyOf(7), Number: 8001}})
			require.NoError(t, s.Finish())
			require.Equal(t, exact.Tally{Rows: 2, Keys: 1}, s.All, "%s, memory %d", name, memory)
			require.NoError(t, s.Close())
		}
	}
}

// Several levels of files are needed where hardly a partition fits.
func TestSetDividesPartitionsThatAreTooLarge(t *testing.T) {
	t.Parallel()
	d := random(rand.New(rand.NewPCG(1, 2)), 400_000, 300_000, 0)
	all, _, _ := truth(d)
	m := measured(disk.New(t.TempDir()))
	s := exact.NewSet(exact.NewSpace(40<<10, &m), nil)
	var chunk []exact.Row
	for i, k := range d.keys {
		chunk = append(chunk[:0], exact.Row{Key: key(k), Number: int64(i + 1)})
		s.Add(chunk)
	}
	require.True(t, s.Spilled())
	require.NoError(t, s.Finish())
	require.Equal(t, all, s.All)
	require.NoError(t, s.Close())
	require.Less(t, m.largest.Load(), int64(400_000*16*3/2), "places of blocks that were read are used again")
}

// Several sets share one space, and what one gives back the others get.
func TestSetsShareASpace(t *testing.T) {
	t.Parallel()
	m := measured(disk.New(t.TempDir()))
	space := exact.NewSpace(300_000, &m)
	d := random(rand.New(rand.NewPCG(3, 4)), 50_000, 60_000, 0.1)
	all, unmarked, _ := truth(d)
	sets := make([]*exact.Set, 4)
	for i := range sets {
		sets[i] = exact.NewSet(space, nil)
	}
	for i, k := range d.keys {
		for _, s := range sets {
			s.Add([]exact.Row{{Key: key(k), Number: int64(i + 1), Marked: d.marked[i]}})
		}
	}
	for _, s := range sets {
		s.Settle()
	}
	for _, s := range sets {
		require.NoError(t, s.Finish())
		require.Equal(t, all, s.All)
		require.Equal(t, unmarked, s.Unmarked)
		require.NoError(t, s.Close())
	}
	require.Zero(t, space.Used())
	require.Equal(t, int64(4), m.files.Load())
}

func TestWithoutADiskTheLimitIsAnError(t *testing.T) {
	t.Parallel()
	space := exact.NewSpace(1<<20, nil)
	s, _, err := run(t, random(rand.New(rand.NewPCG(1, 1)), 200_000, 1<<40, 0), space)
	var full *exact.MemoryError
	require.ErrorAs(t, err, &full)
	require.EqualError(t, err, "they need more than 1 MiB of memory, and no disk is there to be used")
	require.ErrorIs(t, s.Err(), err)
	require.NoError(t, s.Close())
	require.Zero(t, space.Used())
}

// failing fails at the n-th use.
type failing struct {
	exact.Spill
	left *int
}

var errBroken = errors.New("broken")

func (f failing) use() error {
	if *f.left--; *f.left < 0 {
		return errBroken
	}
	return nil
}

func (f failing) Create() (exact.File, error) {
	if err := f.use(); err != nil {
		return nil, err
	}
	file, err := f.Spill.Create()
	return failingFile{file, f}, err
}

type failingFile struct {
	exact.File
	f failing
}

func (f failingFile) Reserve(n int64) error { return errors.Join(f.f.use(), f.File.Reserve(n)) }

func (f failingFile) WriteAt(b []byte, at int64) (int, error) {
	if err := f.f.use(); err != nil {
		return 0, err
	}
	return f.File.WriteAt(b, at)
}

func (f failingFile) ReadAt(b []byte, at int64) (int, error) {
	if err := f.f.use(); err != nil {
		return 0, err
	}
	return f.File.ReadAt(b, at)
}

// Whatever fails, and whenever, the set ends in that error, never in a result,
// and nothing stays behind.
func TestEveryFailureOfTheDiskIsAnError(t *testing.T) {
	t.Parallel()
	d := random(rand.New(rand.NewPCG(5, 5)), 20_000, 30_000, 0)
	failures := 0
	for at := 0; ; at += 1 + at/3 {
		left := at
		m := measured(disk.New(t.TempDir()))
		space := exact.NewSpace(32<<10, failing{&m, &left})
		s, _, err := run(t, d, space)
		require.NoError(t, s.Close())
		require.Zero(t, space.Used())
		require.Zero(t, m.open.Load())
		if left >= 0 {
			require.NoError(t, err)
			break
		}
		require.ErrorIs(t, err, errBroken)
		failures++
	}
	require.Greater(t, failures, 10)
}

func TestADoneContextEndsTheSet(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	m := measured(disk.New(t.TempDir()))
	space := exact.NewSpace(32<<10, &m)
	s := exact.NewSet(space.Until(ctx), nil)
	d := random(rand.New(rand.NewPCG(5, 5)), 40_000, 1<<40, 0)
	for i, k := range d.keys {
		if i == 20_000 {
			cancel()
		}
		s.Add([]exact.Row{{Key: key(k), Number: int64(i + 1)}})
	}
	require.ErrorIs(t, s.Finish(), context.Canceled)
	require.NoError(t, s.Close())
	require.Zero(t, space.Used())
	require.Zero(t, m.open.Load())
}

func TestRowsBeyondTheLargestNumber(t *testing.T) {
	t.Parallel()
	s := exact.NewSet(exact.NewSpace(1<<20, nil), nil)
	s.Add([]exact.Row{{Key: key(1), Number: 1<<38 - 1}, {Key: key(1), Number: 1<<38 - 1}})
	require.Equal(t, exact.Tally{Rows: 2, Keys: 1}, s.All)
	s.Add([]exact.Row{{Key: key(2), Number: 1 << 38}})
	require.ErrorContains(t, s.Finish(), "274,877,906,943 rows")
}

func TestAddAllocatesNothing(t *testing.T) {
	s := exact.NewSet(exact.NewSpace(1<<30, nil), func(exact.Repeat) {})
	rows := make([]exact.Row, 2000)
	for i := range rows {
		rows[i] = exact.Row{Key: key(uint64(i)), Number: int64(i + 1)}
	}
	s.Add(rows)
	require.Zero(t, testing.AllocsPerRun(100, func() { s.Add(rows) }))
}

func TestLog(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(9, 9))
	want := map[int64][]byte{}
	var rows []int64
	for row := int64(1); len(rows) < 5_000; row += 1 + rng.Int64N(3) {
		b := make([]byte, rng.IntN(60))
		if rng.IntN(1000) == 0 {
			b = make([]byte, 3_000) // more than a block
		}
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		want[row], rows = b, append(rows, row)
	}
	for _, memory := range []int64{1 << 30, 200 << 10, 0} {
		m := measured(disk.New(t.TempDir()))
		space := exact.NewSpace(memory, &m)
		l := exact.NewLog(space)
		for _, r := range rows {
			l.Append(r, want[r])
		}
		for r := range rows[len(rows)-1] + 2 {
			b, ok := l.Get(r)
			w, is := want[r]
			if ok != is || string(b) != string(w) {
				require.Equal(t, w, b, "row %d", r)
			}
		}
		l.Close()
		require.Zero(t, space.Used())
		require.Equal(t, memory < 1<<20, m.files.Load() > 0)
		require.Zero(t, m.open.Load())
	}
}

// A log without room ends quietly: it holds what is only shown.
func TestLogWithoutRoom(t *testing.T) {
	t.Parallel()
	space := exact.NewSpace(1<<10, nil)
	l := exact.NewLog(space)
	for r := range int64(10_000) {
		l.Append(r+1, []byte("some text"))
	}
	_, ok := l.Get(10_000)
	require.False(t, ok)
	require.Zero(t, space.Used())
	l.Close()
	require.Zero(t, space.Used())
}

// A full disk takes the room of the log before the set gives up.
func TestTheLogMakesRoomForTheSet(t *testing.T) {
	t.Parallel()
	small := &quota{Spill: disk.New(t.TempDir()), left: 300 << 10}
	space := exact.NewSpace(64<<10, small)
	l := exact.NewLog(space)
	s := exact.NewSet(space, nil)
	s.OnFull(l.Drop)
	d := random(rand.New(rand.NewPCG(8, 8)), 15_000, 20_000, 0)
	all, _, _ := truth(d)
	for i, k := range d.keys {
		s.Add([]exact.Row{{Key: key(k), Number: int64(i + 1)}})
		if i < 4_000 {
			l.Append(int64(i+1), []byte("0123456789012345678901234567890123456789"))
		}
		if _, ok := l.Get(4_000); i == 4_000 {
			require.True(t, ok, "the log is the first to have what it needs")
		}
	}
	require.NoError(t, s.Finish())
	require.Equal(t, all, s.All)
	require.True(t, small.refused)
	_, ok := l.Get(4_000)
	require.False(t, ok)
	require.NoError(t, s.Close())
	require.Equal(t, int64(300<<10), small.left)
}

// quota is a disk with so much room.
type quota struct {
	exact.Spill
	left    int64
	refused bool
}

func (q *quota) Create() (exact.File, error) {
	f, err := q.Spill.Create()
	return &quotaFile{File: f, q: q}, err
}

type quotaFile struct {
	exact.File
	q    *quota
	size int64
}

func (f *quotaFile) Reserve(n int64) error {
	if n-f.size > f.q.left {
		f.q.refused = true
		return io.ErrShortWrite
	}
	f.q.left, f.size = f.q.left-max(0, n-f.size), max(n, f.size)
	return nil
}

func (f *quotaFile) Close() error {
	f.q.left += f.size
	return f.File.Close()
}

func TestSize(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0 bytes", 1023: "1023 bytes", 1024: "1 KiB", 1536: "1.5 KiB", 300 << 20: "300 MiB", 1288490189: "1.2 GiB", 5 << 40: "5 TiB"} {
		require.Equal(t, want, exact.Size(n))
	}
}
