"""Writes the Parquet files of this folder: python make_pyarrow.py

They were written by pyarrow 26.0.1. The expected values stand in
internal/source/parquet/interop_test.go.
"""
import base64
import datetime as dt
import decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe

D, NOW = decimal.Decimal, dt.datetime(2026, 1, 2, 3, 4, 5, 678901)


def write(name, table, **options):
    pq.write_table(table, f"pyarrow_{name}.parquet", **options)


write("int96", pa.table({"t": pa.array([NOW, None, dt.datetime(1899, 12, 31, 23, 59, 59, 999999)], pa.timestamp("ns"))}),
      use_deprecated_int96_timestamps=True, compression="none")

write("decimals", pa.table({
    "d9": pa.array([D("6.94"), D("-0.01"), None], pa.decimal128(9, 2)),
    "d18": pa.array([D("1234567890123.4567"), D("-0.0001"), None], pa.decimal128(18, 4)),
    "d38": pa.array([D("12345678901234567890123456789012.345678"), D("-1.000001"), None], pa.decimal128(38, 6)),
    "d76": pa.array([D(10) ** 60 + 1, D(-5), None], pa.decimal256(76, 0)),
}), store_decimal_as_integer=True, compression="zstd")

write("decimals_bytes", pa.table({
    "d9": pa.array([D("6.94"), D("-0.01"), None], pa.decimal128(9, 2)),
    "d18": pa.array([D("1234567890123.4567"), D("-0.0001"), None], pa.decimal128(18, 4)),
}), compression="gzip")

words = [["red", "green", "blue"][i % 3] if i % 7 else None for i in range(500)]
write("dictionary", pa.table({"w": pa.array(words).dictionary_encode(), "n": pa.array([i % 5 for i in range(500)], pa.int16())}),
      compression="snappy", row_group_size=150, data_page_version="2.0")

write("lists", pa.table({
    "l": pa.array([[1, 2, 3], [], None, [None]], pa.list_(pa.int32())),
    "ll": pa.array([[["a"], ["b", "c"]], [[]], None, []], pa.list_(pa.list_(pa.string()))),
    "m": pa.array([[("x", 1), ("y", 2)], [], None, [("z", None)]], pa.map_(pa.string(), pa.int64())),
    "s": pa.array([{"a": 1, "b.c": {"d": "x"}, "l": [1]}, {"a": None, "b.c": None, "l": None}, None, {"a": 4, "b.c": {"d": None}, "l": []}],
                  pa.struct([("a", pa.int64()), ("b.c", pa.struct([("d", pa.string())])), ("l", pa.list_(pa.int8()))])),
    "ls": pa.array([[{"p": 1, "q": "x"}, {"p": 2, "q": None}], None, [], [None]], pa.list_(pa.struct([("p", pa.int32()), ("q", pa.string())]))),
}), compression="none")

write("types", pa.table({
    "bool": pa.array([True, False, None]),
    "i8": pa.array([-128, 127, None], pa.int8()),
    "u8": pa.array([0, 255, None], pa.uint8()),
    "u32": pa.array([0, 2**32 - 1, None], pa.uint32()),
    "i64": pa.array([-2**63, 2**63 - 1, None], pa.int64()),
    "u64": pa.array([2**63 - 1, 2**64 - 1, None], pa.uint64()),
    "f16": pa.array([1.5, -65504.0, None], pa.float16()),
    "f32": pa.array([0.1, float("inf"), None], pa.float32()),
    "f64": pa.array([0.1, float("nan"), None], pa.float64()),
    "text": pa.array(["", "grün", None]),
    "big": pa.array(["x", "y", None], pa.large_string()),
    "bytes": pa.array([b"\x00\xff", b"", None]),
    "fixed": pa.array([b"abc", b"\x00\x01\x02", None], pa.binary(3)),
    "date": pa.array([dt.date(1969, 12, 31), dt.date(2026, 1, 2), None]),
    "t_ms": pa.array([dt.time(3, 4, 5, 678000), dt.time(0), None], pa.time32("ms")),
    "t_us": pa.array([dt.time(3, 4, 5, 678901), dt.time(0), None], pa.time64("us")),
    "t_ns": pa.array([11045678901002, 0, None], pa.time64("ns")),
    "ts_ms": pa.array([dt.datetime(1969, 12, 31, 23, 59, 59, 999000), NOW.replace(microsecond=678000), None], pa.timestamp("ms")),
    "ts_us": pa.array([NOW, NOW, None], pa.timestamp("us", tz="UTC")),
    "ts_ns": pa.array([-1, 1767323045678901002, None], pa.timestamp("ns", tz="Europe/Berlin")),
    "null": pa.nulls(3),
    "uuid": pa.array([bytes(range(16)), b"\xff" * 16, None], pa.uuid()),
}), compression="zstd")

write("delta", pa.table({
    "n": pa.array([i * i - 1000 for i in range(300)], pa.int64()),
    "s": pa.array([f"name {i:04}" for i in range(300)]),
    "f": pa.array([i / 4 for i in range(300)], pa.float64()),
}), use_dictionary=False, compression="brotli", column_encoding={"n": "DELTA_BINARY_PACKED", "s": "DELTA_BYTE_ARRAY", "f": "BYTE_STREAM_SPLIT"})

write("empty", pa.table({"a": pa.array([], pa.int64()), "b": pa.array([], pa.string())}))

write("checksums", pa.table({"a": pa.array(range(100), pa.int64()), "b": pa.array([f"x{i % 9}" for i in range(100)])}),
      write_page_checksum=True, compression="lz4")


class PlainKeys(pe.KmsClient):
    """Wraps keys in nothing: the files are there to be refused."""

    def __init__(self, config):
        super().__init__()

    def wrap_key(self, key, name):
        return base64.b64encode(key)

    def unwrap_key(self, key, name):
        return base64.b64decode(key)


for name, plain in ("encrypted", False), ("encrypted_plain_footer", True):
    config = pe.EncryptionConfiguration(footer_key="k", column_keys={"k": ["a"]}, plaintext_footer=plain)
    keys = pe.CryptoFactory(PlainKeys).file_encryption_properties(pe.KmsConnectionConfig(), config)
    write(name, pa.table({"a": [1, 2], "b": ["x", "y"]}), encryption_properties=keys)
