package parquet

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
)

// withFooter returns the file with a changed footer.
func withFooter(t *testing.T, file []byte, change func(*format.FileMetaData)) []byte {
	t.Helper()
	body := len(file) - footerLength(file) - 8
	var meta format.FileMetaData
	require.NoError(t, thrift.Unmarshal(new(thrift.CompactProtocol), file[body:len(file)-8], &meta))
	change(&meta)
	footer, err := thrift.Marshal(new(thrift.CompactProtocol), &meta)
	require.NoError(t, err)
	out := append(append([]byte{}, file[:body]...), footer...)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(footer)))
	return append(out, "PAR1"...)
}

// TestFooterThatLies changes what the footer says; column 1 is a, 2 is s.
func TestFooterThatLies(t *testing.T) {
	t.Parallel()
	file := small(t)
	same, err := readBytes(t, withFooter(t, file, func(*format.FileMetaData) {}))
	require.NoError(t, err)
	require.Len(t, same.rows, 80)
	for _, tc := range []struct {
		name   string
		change func(m *format.FileMetaData)
		want   string
	}{
		{"fewer rows", func(m *format.FileMetaData) { m.NumRows-- }, "the footer names 79 rows, its row groups have 80"},
		{"fewer rows in the group", func(m *format.FileMetaData) { m.NumRows--; m.RowGroups[1].NumRows-- }, "column a in row group 2: it has 28 values for 27 rows"},
		{"negative rows", func(m *format.FileMetaData) { m.RowGroups[0].NumRows = -1 }, "row group 1 has -1 rows by the footer"},
		{"a group is missing", func(m *format.FileMetaData) { m.RowGroups = m.RowGroups[:1] }, "the footer names 80 rows, its row groups have 52"},
		{"more values", func(m *format.FileMetaData) { m.RowGroups[0].Columns[0].MetaData.NumValues += 1000 }, "column a in row group 1: the header of a page cannot be read"},
		{"fewer values", func(m *format.FileMetaData) { m.RowGroups[0].Columns[0].MetaData.NumValues-- }, "column a in row group 1: its pages hold more values than the footer says"},
		{"pages outside", func(m *format.FileMetaData) { m.RowGroups[0].Columns[0].MetaData.TotalCompressedSize = 1 << 40 }, "column a in row group 1: its pages lie outside of the file"},
		{"another offset", func(m *format.FileMetaData) { m.RowGroups[0].Columns[0].MetaData.DataPageOffset += 3 }, "column 2 in row group 1 lies in column 1 in row group 1"},
		{"another file", func(m *format.FileMetaData) { m.RowGroups[0].Columns[0].FilePath = "part-1" }, "column a is kept in another file: part-1"},
		{"packed in two ways", func(m *format.FileMetaData) { m.RowGroups[1].Columns[0].MetaData.Codec = format.Gzip }, "column a is packed as UNCOMPRESSED and as GZIP in one file"},
		{"packed by LZO", func(m *format.FileMetaData) {
			m.RowGroups[0].Columns[0].MetaData.Codec, m.RowGroups[1].Columns[0].MetaData.Codec = format.LZO, format.LZO
		}, "column a is packed as LZO, which cannot be read"},
		{"a group's annotation", func(m *format.FileMetaData) {
			e := &m.Schema[1]
			e.ConvertedType.V, e.ConvertedType.Valid, e.LogicalType.Value = deprecated.Map, true, nil
		}, "column a is annotated as a group but holds values"},
		{"text in numbers", func(m *format.FileMetaData) { m.Schema[1].LogicalType.Value = new(format.StringType) }, "column a is declared as STRING but stored as INT64"},
		{"half a number", func(m *format.FileMetaData) { m.Schema[1].LogicalType.Value = new(format.Float16Type) }, "column a is declared as FLOAT16 but stored as INT64"},
		{"more columns", func(m *format.FileMetaData) { m.Schema[0].NumChildren.V += 7 }, "the schema cannot be read"},
		{"encrypted", func(m *format.FileMetaData) { m.EncryptionAlgorithm.Value = new(format.AesGcmV1) }, "the Parquet file is encrypted"},
		{"a negative scale", func(m *format.FileMetaData) {
			m.Schema[len(m.Schema)-1].LogicalType.Value = &format.DecimalType{Scale: -1, Precision: 9}
		}, "column d is a decimal of scale -1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := readBytes(t, withFooter(t, file, tc.change))
			var data *batch.DataError
			require.ErrorAs(t, err, &data)
			require.Equal(t, tc.want, data.Reason)
			require.NotEmpty(t, data.Advice)
		})
	}
}

func TestEqualNamesAreToldApart(t *testing.T) {
	t.Parallel()
	got, err := readBytes(t, withFooter(t, small(t), func(m *format.FileMetaData) { m.Schema[len(m.Schema)-1].Name = "a" }))
	require.NoError(t, err)
	require.Equal(t, []string{"a integer", "s string", "l list", "l[] string", "a_2 number"}, got.columns)
	require.Len(t, got.rows, 80)
}

// TestListOfMoreRows has no column whose number of values gives the rows away.
func TestListOfMoreRows(t *testing.T) {
	t.Parallel()
	type rec struct {
		L []int64 `parquet:"l,list"`
	}
	var buf bytes.Buffer
	w := parquet.NewGenericWriter[rec](&buf)
	_, err := w.Write([]rec{{[]int64{1, 2}}, {nil}, {[]int64{3}}})
	require.NoError(t, err)
	require.NoError(t, w.Close())
	for rows, want := range map[int64]string{
		2: "column l in row group 1: it holds more values than the row group has rows",
		4: "column l in row group 1: it holds fewer values than the row group has rows",
	} {
		_, err := readBytes(t, withFooter(t, buf.Bytes(), func(m *format.FileMetaData) { m.NumRows, m.RowGroups[0].NumRows = rows, rows }))
		var data *batch.DataError
		require.ErrorAs(t, err, &data)
		require.Equal(t, want, data.Reason)
	}
}
