"""Writes the Arrow files of this folder: python make_arrow.py

They were written by pyarrow 26.0.1 and polars 2.1.0. The expected values stand in
internal/source/arrow/interop_test.go.
"""
import datetime as dt
import decimal

import numpy as np
import polars as pl
import pyarrow as pa

D, NOW = decimal.Decimal, dt.datetime(2026, 1, 2, 3, 4, 5, 678901)


def write(name, table, stream=False, rows=None, **options):
    batches = table.to_batches(max_chunksize=rows)
    new = pa.ipc.new_stream if stream else pa.ipc.new_file
    with new(f"pyarrow_{name}.arrow", table.schema, options=pa.ipc.IpcWriteOptions(**options)) as w:
        for b in batches:
            w.write_batch(b)


types = pa.table({
    "null": pa.nulls(3),
    "bool": pa.array([True, False, None]),
    "i8": pa.array([-128, 127, None], pa.int8()),
    "i16": pa.array([-2**15, 2**15 - 1, None], pa.int16()),
    "i32": pa.array([-2**31, 2**31 - 1, None], pa.int32()),
    "i64": pa.array([-2**63, 2**63 - 1, None], pa.int64()),
    "u8": pa.array([0, 255, None], pa.uint8()),
    "u16": pa.array([0, 2**16 - 1, None], pa.uint16()),
    "u32": pa.array([0, 2**32 - 1, None], pa.uint32()),
    "u64": pa.array([2**63 - 1, 2**64 - 1, None], pa.uint64()),
    "f16": pa.array([np.float16(1.5), np.float16(-65504), None], pa.float16()),
    "f32": pa.array([0.1, float("inf"), None], pa.float32()),
    "f64": pa.array([0.1, float("nan"), None], pa.float64()),
    "d32": pa.array([D("6.94"), D("-0.01"), None], pa.decimal32(9, 2)),
    "d64": pa.array([D("1234567890123.4567"), D("-0.0001"), None], pa.decimal64(18, 4)),
    "d128": pa.array([D("12345678901234567890123456789012.345678"), D("-1.000001"), None], pa.decimal128(38, 6)),
    "d256": pa.array([D(10) ** 60 + 1, D(-5), None], pa.decimal256(76, 0)),
    "dneg": pa.array([D("12300"), D("-100"), None], pa.decimal128(5, -2)),
    "text": pa.array(["", "grün", None]),
    "big": pa.array(["x", "y", None], pa.large_string()),
    "view": pa.array(["short", "longer than twelve bytes", None], pa.string_view()),
    "bytes": pa.array([b"\x00\xff", b"", None]),
    "bigbytes": pa.array([b"a", b"", None], pa.large_binary()),
    "byteview": pa.array([b"a", b"longer than twelve bytes", None], pa.binary_view()),
    "fixed": pa.array([b"abc", b"\x00\x01\x02", None], pa.binary(3)),
    "date32": pa.array([dt.date(1969, 12, 31), dt.date(2026, 1, 2), None]),
    "date64": pa.array([dt.date(1969, 12, 31), dt.date(2026, 1, 2), None], pa.date64()),
    "t_s": pa.array([dt.time(3, 4, 5), dt.time(0), None], pa.time32("s")),
    "t_ms": pa.array([dt.time(3, 4, 5, 678000), dt.time(0), None], pa.time32("ms")),
    "t_us": pa.array([dt.time(3, 4, 5, 678901), dt.time(0), None], pa.time64("us")),
    "t_ns": pa.array([11045678901002, 0, None], pa.time64("ns")),
    "ts_s": pa.array([-1, 1767323045, None], pa.timestamp("s")),
    "ts_ms": pa.array([-1, 1767323045678, None], pa.timestamp("ms")),
    "ts_us": pa.array([NOW, NOW, None], pa.timestamp("us", tz="UTC")),
    "ts_ns": pa.array([-1, 1767323045678901002, None], pa.timestamp("ns", tz="Europe/Berlin")),
    "dur_s": pa.array([-1, 90, None], pa.duration("s")),
    "dur_ms": pa.array([-1, 90, None], pa.duration("ms")),
    "dur_us": pa.array([-1, 90, None], pa.duration("us")),
    "dur_ns": pa.array([-1, 90, None], pa.duration("ns")),
    "interval": pa.array([(1, 2, 3), (0, 0, 0), None], pa.month_day_nano_interval()),
    "uuid": pa.array([bytes(range(16)), b"\xff" * 16, None], pa.uuid()),
    "bool8": pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, 0, None], pa.int8())),
})
write("types", types)
write("types_stream", types, stream=True)
write("types_zstd", types, compression="zstd")
write("types_lz4", types, stream=True, compression="lz4")
write("types_v4", types, metadata_version=pa.ipc.MetadataVersion.V4)
write("types_legacy", types.select(["i32", "text"]), stream=True, use_legacy_format=True)

union = pa.UnionArray.from_dense(pa.array([0, 1, 0, 1], pa.int8()), pa.array([0, 0, 1, 1], pa.int32()), [pa.array([1, None]), pa.array(["a", "b"])])
sparse = pa.UnionArray.from_sparse(pa.array([0, 1, 0, 1], pa.int8()), [pa.array([1, 2, None, 4]), pa.array(["a", None, "c", "d"])])
write("nested", pa.table({
    "l": pa.array([[1, 2, 3], [], None, [None]], pa.list_(pa.int32())),
    "big": pa.array([[1, 2, 3], [], None, [None]], pa.large_list(pa.int32())),
    "fixed": pa.array([[1, 2], [3, 4], None, [5, None]], pa.list_(pa.int32(), 2)),
    "view": pa.array([[1, 2, 3], [], None, [None]], pa.list_view(pa.int32())),
    "bigview": pa.array([[1, 2, 3], [], None, [None]], pa.large_list_view(pa.int32())),
    "ll": pa.array([[["a"], ["b", "c"]], [[]], None, []], pa.list_(pa.list_(pa.string()))),
    "m": pa.array([[("x", 1), ("y", 2)], [], None, [("z", None)]], pa.map_(pa.string(), pa.int64())),
    "s": pa.array([{"a": 1, "b.c": {"d": "x"}, "l": [1]}, {"a": None, "b.c": None, "l": None}, None, {"a": 4, "b.c": {"d": None}, "l": []}],
                  pa.struct([("a", pa.int64()), ("b.c", pa.struct([("d", pa.string())])), ("l", pa.list_(pa.int8()))])),
    "dense": union,
    "sparse": sparse,
    "runs": pa.RunEndEncodedArray.from_arrays(pa.array([2, 3, 4], pa.int32()), pa.array(["a", None, "b"])),
    "none": pa.array([{}, {}, {}, {}], pa.struct([])),
}))

words = [["red", "green", "blue"][i % 3] if i % 7 else None for i in range(500)]
write("dictionary", pa.table({
    "w": pa.array(words).dictionary_encode(),
    "n": pa.DictionaryArray.from_arrays(pa.array([i % 5 for i in range(500)], pa.uint8()), pa.array([10, 20, 10, None, 30])),
    "s": pa.StructArray.from_arrays([pa.array(words).dictionary_encode()], ["w"], mask=pa.array([i % 11 == 0 for i in range(500)])),
}), rows=150)

colors = pa.schema([("w", pa.dictionary(pa.int8(), pa.string()))])
for name, deltas in ("deltas", True), ("replaced", False):
    with pa.ipc.new_stream(f"pyarrow_{name}.arrow", colors, options=pa.ipc.IpcWriteOptions(emit_dictionary_deltas=deltas)) as w:
        for entries in ["a", "b"], ["a", "b", "c"], ["a", "b", "c"]:
            w.write_batch(pa.record_batch([pa.DictionaryArray.from_arrays(pa.array([len(entries) - 1, 0, None], pa.int8()), pa.array(entries))], schema=colors))

write("empty", pa.table({"a": pa.array([], pa.int64()), "b": pa.array([], pa.string())}))

frame = pl.DataFrame({
    "i": [1, 2, None, 4],
    "s": ["a", "long text that is more than twelve", "c", None],
    "c": pl.Series(["x", "y", "x", None], dtype=pl.Categorical),
    "l": [[1], [], None, [1, 2, 3]],
    "st": [{"a": 1, "b": "x"}, {"a": 2, "b": None}, {"a": None, "b": "z"}, {"a": 4, "b": "w"}],
    "d": pl.Series([1.5, None, 2.5, 3.0]),
}).with_columns(t=pl.lit(dt.datetime(2026, 1, 2, 3, 4, 5)), dur=pl.lit(dt.timedelta(seconds=90)))
frame.write_ipc("polars_file.arrow", compression="zstd")
frame.write_ipc_stream("polars_stream.arrow")
