package parquet

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
	"github.com/stretchr/testify/require"
)

// bitPacked writes levels as BIT_PACKED, bit by bit.
func bitPacked(levels []uint32, width int) []byte {
	out := make([]byte, (len(levels)*width+7)/8)
	k := 0
	for _, v := range levels {
		for bit := width - 1; bit >= 0; bit-- {
			out[k/8] |= byte(v>>bit&1) << (7 - k%8)
			k++
		}
	}
	return out
}

// levelsOf reads runs of RLE.
func levelsOf(t *testing.T, b []byte, width, n int) (levels []uint32) {
	t.Helper()
	for len(levels) < n {
		head, k := binary.Uvarint(b)
		require.Positive(t, k)
		b = b[k:]
		if head&1 == 0 {
			size := (width + 7) / 8
			var v uint32
			for i := range size {
				v |= uint32(b[i]) << (8 * i)
			}
			b = b[size:]
			for range head >> 1 {
				levels = append(levels, v)
			}
			continue
		}
		count := 8 * int(head>>1) //nolint:gosec // a few
		for i := range count {
			var v uint32
			for bit := range width {
				at := i*width + bit
				v |= uint32(b[at/8]>>(at%8)&1) << bit
			}
			levels = append(levels, v)
		}
		b = b[count*width/8:]
	}
	return levels[:n]
}

func TestOldLevelsAreRenewed(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 1))
	for width := 1; width <= 8; width++ {
		for _, n := range []int{0, 1, 7, 8, 9, 63, 64, 65, 1000} {
			levels := make([]uint32, n)
			for i := range levels {
				levels[i] = rng.Uint32() & (1<<width - 1)
			}
			got := appendLevels([]byte("before"), bitPacked(levels, width), width, n)
			require.Equal(t, "before", string(got[:6]))
			require.Len(t, got[10:], int(binary.LittleEndian.Uint32(got[6:])))
			require.Equal(t, levels, append([]uint32{}, levelsOf(t, got[10:], width, n)...), "%d levels of %d bits", n, width)
		}
	}
}

// withOldLevels returns a file of pages of version 1 whose levels are written as
// BIT_PACKED.
func withOldLevels(t *testing.T, file []byte) []byte {
	t.Helper()
	r, err := New(bytes.NewReader(file), int64(len(file)), Options{})
	require.NoError(t, err)
	out := []byte("PAR1")
	type place struct{ first, dict, size int64 }
	places := map[[2]int]place{}
	for g := range r.meta.groups {
		for i := range r.fields {
			if slices.ContainsFunc(r.fields[:i], func(f field) bool { return f.leaf == r.fields[i].leaf }) {
				continue // a list and its elements
			}
			f := &r.fields[i]
			pages, err := r.scanPages(f, g)
			require.NoError(t, err)
			at := place{first: -1}
			start := int64(len(out))
			for _, p := range pages {
				body := file[p.offset+int64(p.header):][:p.packed]
				h := p.unpackedHeader()
				if p.data() {
					body = old(t, &p, f, body)
					h = p.unpackedHeader()
					h.UncompressedPageSize, h.CompressedPageSize = int32(len(body)), int32(len(body)) //nolint:gosec // small
					if at.first < 0 {
						at.first = int64(len(out))
					}
				} else {
					at.dict = int64(len(out))
				}
				header, err := thrift.Marshal(new(thrift.CompactProtocol), h)
				require.NoError(t, err)
				out = append(append(out, header...), body...)
			}
			at.size = int64(len(out)) - start
			places[[2]int{g, f.leaf}] = at
		}
	}
	changed := withFooter(t, file, func(m *format.FileMetaData) {
		for g := range m.RowGroups {
			for k := range m.RowGroups[g].Columns {
				at, ok := places[[2]int{g, k}]
				if !ok {
					continue
				}
				c := &m.RowGroups[g].Columns[k].MetaData
				c.DataPageOffset, c.DictionaryPageOffset, c.TotalCompressedSize, c.TotalUncompressedSize = at.first, at.dict, at.size, at.size
			}
		}
	})
	return append(out, changed[len(changed)-footerLength(changed)-8:]...)
}

func old(t *testing.T, p *page, f *field, body []byte) (out []byte) {
	t.Helper()
	require.Equal(t, format.DataPage, p.kind)
	for _, level := range []struct {
		highest  int
		encoding *format.Encoding
	}{{int(f.maxRep), &p.repEncoding}, {int(f.maxDef), &p.defEncoding}} {
		width := bits.Len(uint(level.highest)) //nolint:gosec // not negative
		if width == 0 {
			continue
		}
		size := int(binary.LittleEndian.Uint32(body))
		out = append(out, bitPacked(levelsOf(t, body[4:4+size], width, int(p.values)), width)...)
		body = body[4+size:]
		*level.encoding = format.BitPacked
	}
	return append(out, body...)
}

func TestOldLevelsAreRead(t *testing.T) {
	t.Parallel()
	for name, file := range map[string][]byte{
		"small":      small(t, parquet.DataPageVersion(1)),
		"everything": write(t, 300, 100, parquet.DataPageVersion(1)),
	} {
		want, err := readBytes(t, file)
		require.NoError(t, err, name)
		changed := withOldLevels(t, file)
		require.NotEqual(t, file, changed)
		got, err := readBytes(t, changed)
		require.NoError(t, err, name)
		require.Equal(t, want, got, name)
	}
}
