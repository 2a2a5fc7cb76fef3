package profile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/source/csv"
	"github.com/profilerhq/profiler/internal/source/jsonl"
)

func keyOf(t testing.TB, secret string) *Key {
	t.Helper()
	k, err := NewKey([]byte(secret))
	require.NoError(t, err)
	return k
}

// secretCSV profiles a text of which all columns but open are sensitive.
func secretCSV(t testing.TB, key *Key, text string) *Profile {
	t.Helper()
	r, err := csv.New(strings.NewReader(text), csv.Options{Source: "in.csv"})
	require.NoError(t, err)
	return protected(t, key, r)
}

func protected(t testing.TB, key *Key, r batch.Reader) *Profile {
	t.Helper()
	b := NewBuilder()
	b.Protect(key, func(name string) bool { return name != "open" })
	var c batch.Chunk
	for {
		err := r.Next(t.Context(), &c)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		require.NoError(t, b.Add(r.Columns(), &c))
	}
	return b.Finish(r.Columns(), Info{Dataset: "default/in", Stats: r.Stats(), ProfiledAt: time.Unix(0, 0)})
}

// requireSameShape compares what a sensitive column may tell with what the column
// itself does.
func requireSameShape(t *testing.T, plain, hidden *Column) {
	t.Helper()
	name := plain.Name
	require.True(t, hidden.Sensitive, name)
	require.Equal(t, plain.Type, hidden.Type, name)
	require.Equal(t, plain.Types, hidden.Types, name)
	require.Equal(t, []int64{plain.Count, plain.Nulls, plain.InvalidUTF8}, []int64{hidden.Count, hidden.Nulls, hidden.InvalidUTF8}, name)
	require.Equal(t, plain.Distinct.Exact, hidden.Distinct.Exact, name)
	require.InDelta(t, plain.Distinct.Value, hidden.Distinct.Value, float64(plain.Distinct.Error+hidden.Distinct.Error), name)
	require.Equal(t, [][]*int64{{plain.Zeros, plain.Negatives, plain.Infinite, plain.NaN, plain.Blank, plain.NonASCII, plain.unique}},
		[][]*int64{{hidden.Zeros, hidden.Negatives, hidden.Infinite, hidden.NaN, hidden.Blank, hidden.NonASCII, hidden.unique}}, name)
	require.Equal(t, plain.Length, hidden.Length, name)
	share, _ := plain.Metric("top_share")
	got, _ := hidden.Metric("top_share")
	if plain.Distinct.Exact && plain.Entropy != nil {
		require.InDelta(t, share, got, 1e-12, name)
		require.InDelta(t, plain.Entropy.Value, hidden.Entropy.Value, 1e-9, name)
	}
	require.Equal(t, plain.Mixed == nil, hidden.Mixed == nil, name)
	if plain.Mixed != nil {
		require.Equal(t, plain.Mixed.Count, hidden.Mixed.Count, name)
		require.Equal(t, plain.Mixed.First.Row, hidden.Mixed.First.Row, name)
		require.Equal(t, Masked, hidden.Mixed.First.Value, name)
	}
	for what, s := range map[string]Scalar{"min": hidden.Min, "max": hidden.Max, "sum": hidden.Sum, "mean": hidden.Mean, "stddev": hidden.StdDev, "skewness": hidden.Skewness, "kurtosis": hidden.Kurtosis} {
		require.True(t, s.IsNull(), "%s of %s", what, name)
	}
	require.Nil(t, hidden.Quantiles, name)
	require.Nil(t, hidden.Histogram, name)
	require.Nil(t, hidden.Top, name)
	require.Nil(t, hidden.Masks, name)
	require.Nil(t, hidden.Sorted, name)
}

// secretTable has columns of all types, some with few and some with many values.
func secretTable(n int) string {
	rng := rand.New(rand.NewPCG(7, 7))
	var b strings.Builder
	b.WriteString("few,many,number,spelt,day,stamp,flag,mixed,code,empty\n")
	for i := range n {
		spelt := []string{"3", "3.0", "03.00", "NaN", "-0", "0"}[rng.IntN(6)]
		mixed := fmt.Sprint(rng.IntN(9))
		if i%50 == 20 {
			mixed = "odd"
		}
		empty := []string{`""`, "", "x"}[rng.IntN(3)]
		fmt.Fprintf(&b, "v%d,row %d é,%g,%s,2024-01-%02d,2024-01-02T03:04:%02dZ,%t,%s,%05d,%s\n", rng.IntN(5), rng.IntN(1<<40), rng.NormFloat64(), spelt,
			1+rng.IntN(28), rng.IntN(60), rng.IntN(2) == 0, mixed, rng.IntN(300), empty)
	}
	return b.String()
}

func TestSensitiveColumnsHaveTheirShape(t *testing.T) {
	t.Parallel()
	for _, rows := range []int{0, 1, 1000, 70_000} {
		text := secretTable(rows)
		plain, hidden := ofCSV(t, text), secretCSV(t, keyOf(t, "k"), text)
		for i := range plain.Summary().Columns {
			requireSameShape(t, &plain.Summary().Columns[i], &hidden.Summary().Columns[i])
		}
		want, got := plain.Summary().Duplicates, hidden.Summary().Duplicates
		require.InDelta(t, want.Value, got.Value, float64(want.Error+got.Error))
		require.Equal(t, want.Exact, got.Exact)
		require.Equal(t, keyOf(t, "k").ID(), hidden.Summary().SensitiveKey)
	}
}

func TestSensitivePartsMerge(t *testing.T) {
	t.Parallel()
	for _, rows := range []int{40, 2000, 70_000} {
		text := secretTable(rows)
		header, lines := lines(text)
		half := len(lines) / 3
		whole := secretCSV(t, keyOf(t, "k"), text)
		a := secretCSV(t, keyOf(t, "k"), header+"\n"+strings.Join(lines[:half], "\n")+"\n")
		b := secretCSV(t, keyOf(t, "k"), header+"\n"+strings.Join(lines[half:], "\n")+"\n")
		data, err := b.Encode()
		require.NoError(t, err)
		b, err = Decode(data)
		require.NoError(t, err)
		merged, err := Merged(a, b)
		require.NoError(t, err)
		for i := range whole.Summary().Columns {
			w, g := whole.Summary().Columns[i], merged.Summary().Columns[i]
			require.Equal(t, w.Distinct, g.Distinct, w.Name)
			require.Equal(t, w.Types, g.Types, w.Name)
			require.Equal(t, w.Length, g.Length, w.Name)
			require.Equal(t, w.unique, g.unique, w.Name)
			require.Equal(t, w.Mixed, g.Mixed, w.Name)
			require.True(t, g.Sensitive, w.Name)
		}
		require.Equal(t, whole.Summary().Duplicates, merged.Summary().Duplicates)
	}
}

func TestSensitiveProfilesAreReadAgain(t *testing.T) {
	t.Parallel()
	for _, rows := range []int{0, 500, 70_000} {
		p := secretCSV(t, keyOf(t, "k"), secretTable(rows))
		data, err := p.Encode()
		require.NoError(t, err)
		q, err := Decode(data)
		require.NoError(t, err)
		again, err := q.Encode()
		require.NoError(t, err)
		require.Equal(t, data, again)
		want, err := json.Marshal(p.Summary())
		require.NoError(t, err)
		got, err := json.Marshal(q.Summary())
		require.NoError(t, err)
		require.JSONEq(t, string(want), string(got))
	}
}

func TestKeysMustAgree(t *testing.T) {
	t.Parallel()
	text := "open,secret\n1,a\n2,b\n"
	one, two, none := secretCSV(t, keyOf(t, "one"), text), secretCSV(t, keyOf(t, "two"), text), ofCSV(t, text)
	for _, other := range []*Profile{two, none} {
		for _, parts := range [][]*Profile{{one, other}, {other, one}} {
			_, err := Merged(parts...)
			require.ErrorIs(t, err, ErrKey)
			require.ErrorContains(t, err, "secret")
			require.ErrorIs(t, Comparable(parts[0], parts[1], "secret"), ErrKey)
			require.NoError(t, Comparable(parts[0], parts[1], "open"))
			past, err := MergedPast(parts...)
			require.NoError(t, err)
			require.Equal(t, int64(4), past.Rows())
			require.Equal(t, int64(4), past.Column("open").Count)
			require.ErrorIs(t, Comparable(past, one, "secret"), ErrKey)
			require.NoError(t, Comparable(past, one, "open"))
		}
	}
	require.NoError(t, Comparable(one, secretCSV(t, keyOf(t, "one"), text), "secret"))
	_, err := Merged(one, secretCSV(t, keyOf(t, "one"), text), empty())
	require.NoError(t, err)
}

// Values of a sensitive column have the same hashes in every format, so that
// drift sees none where there is none.
func TestSensitiveValuesCompareAcrossFormats(t *testing.T) {
	t.Parallel()
	of := func(p *Profile) map[string]uint64 {
		values, missing := p.Values("v", 100)
		require.Zero(t, missing)
		out := map[string]uint64{}
		for _, v := range values {
			out[v.Text] = v.Count
		}
		return out
	}
	key := keyOf(t, "k")
	r, err := jsonl.New(strings.NewReader("{\"v\":1}\n{\"v\":1.0}\n{\"v\":2.5}\n"), jsonl.Options{Source: "in.jsonl"})
	require.NoError(t, err)
	want := of(protected(t, key, r))
	require.Equal(t, want, of(secretCSV(t, key, "v,open\n1,x\n1.0,x\n2.5,x\n")))
	require.NotEqual(t, want, of(secretCSV(t, keyOf(t, "other"), "v,open\n1,x\n1.0,x\n2.5,x\n")))
	r, err = jsonl.New(strings.NewReader("{\"v\":\"a\"}\n{\"v\":\"\"}\n"), jsonl.Options{Source: "in.jsonl"})
	require.NoError(t, err)
	require.Equal(t, of(protected(t, key, r)), of(secretCSV(t, key, "v,open\na,x\n\"\",x\n")))
}

// The bytes of a profile hold no value, no hash that could be made without the
// key, and no number that values sum to.
func TestSensitiveBytesTellNoValues(t *testing.T) {
	t.Parallel()
	for _, rows := range []int{3, 70_000} {
		var b strings.Builder
		b.WriteString("text,number,time\n")
		for i := range rows {
			fmt.Fprintf(&b, "canary-%d,%d,2024-03-04T05:06:07Z\n", i, 7_123_456_789+i)
		}
		p := secretCSV(t, keyOf(t, "k"), b.String())
		data, err := p.Encode()
		require.NoError(t, err)
		z, err := zstd.NewReader(nil)
		require.NoError(t, err)
		body, err := z.DecodeAll(data[8:], nil)
		require.NoError(t, err)
		z.Close()
		require.NotContains(t, string(body), "canary")
		if rows == 3 {
			for _, h := range ofCSV(t, b.String()).dups.hashes {
				require.NotContains(t, p.dups.hashes, h, "the hash of a row could be found out by trying")
			}
		}
		var w writer
		for _, h := range []uint64{hashText([]byte("canary-1")), hashTyped(batch.Value{Type: batch.Integer, Int: 7_123_456_790}, nil), 7_123_456_789, 7_123_456_790} {
			w.b = w.b[:0]
			w.fixed(h)
			require.False(t, bytes.Contains(body, w.b), "%x", h)
			w.b = w.b[:0]
			w.int(int64(h)) //nolint:gosec // the bytes are what counts
			require.False(t, bytes.Contains(body, w.b), "%x", h)
		}
	}
}

func BenchmarkSensitive(b *testing.B) {
	const rows = 300_000
	var text strings.Builder
	text.WriteString("few,unique\n")
	for i := range rows {
		fmt.Fprintf(&text, "value %d,canary-%d@example.com\n", i%50, i)
	}
	run := func(name string, protect func(*Builder)) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r, err := csv.New(strings.NewReader(text.String()), csv.Options{Source: "in.csv"})
				if err != nil {
					b.Fatal(err)
				}
				builder := NewBuilder()
				protect(builder)
				var c batch.Chunk
				for r.Next(b.Context(), &c) == nil {
					if err := builder.Add(r.Columns(), &c); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
		})
	}
	key := keyOf(b, "k")
	run("none", func(*Builder) {})
	for _, column := range []string{"no column", "few", "unique"} {
		run(column, func(p *Builder) { p.Protect(key, func(name string) bool { return name == column }) })
	}
}
