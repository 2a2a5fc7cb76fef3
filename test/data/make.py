"""Writes trips.csv, trips.jsonl, trips.parquet, trips.csv.zst and trips.csv.bz2,
which hold the same rows: python make.py

They were written by pyarrow 26.0.1.
"""
import csv
import datetime as dt
import json

import pyarrow as pa
import pyarrow.parquet as pq

ZONES = ["Manhattan", "Queens", "Brooklyn", "Bronx", "Zürich"]
START = dt.datetime(2026, 3, 1, tzinfo=dt.timezone.utc)
rows = []
for i in range(200):
    at = START + dt.timedelta(minutes=7 * i)
    rows.append({
        "trip_id": i + 1,
        "fare": None if i % 50 == 7 else 2.5 + (i * 37 % 150) / 4,
        "zone": None if i % 40 == 3 else ZONES[i * i % 5],
        "paid": i % 3 != 0,
        "day": at.date(),
        "picked_up": at,
    })


def text(v):
    if v is None:
        return ""
    if isinstance(v, bool):
        return str(v).lower()
    if isinstance(v, dt.datetime):
        return v.strftime("%Y-%m-%dT%H:%M:%SZ")
    return str(v)


with open("trips.csv", "w", newline="") as f:
    w = csv.writer(f, lineterminator="\n")
    w.writerow(rows[0])
    w.writerows([text(v) for v in r.values()] for r in rows)
with open("trips.jsonl", "w") as f:
    for r in rows:
        f.write(json.dumps({k: text(v) if isinstance(v, dt.date) else v for k, v in r.items()}, ensure_ascii=False) + "\n")
schema = pa.schema([("trip_id", pa.int64()), ("fare", pa.float64()), ("zone", pa.string()), ("paid", pa.bool_()),
                    ("day", pa.date32()), ("picked_up", pa.timestamp("us", tz="UTC"))])
pq.write_table(pa.Table.from_pylist(rows, schema=schema), "trips.parquet")
data = open("trips.csv", "rb").read()
for codec, ext in {"zstd": "zst", "bz2": "bz2"}.items():
    with pa.CompressedOutputStream(f"trips.csv.{ext}", codec) as out:
        out.write(data)
