import sys
import polars as pl
import polars.selectors as cs
if len(sys.argv) > 1:
    path = sys.argv[1]
    if path.endswith(".parquet"):
        lf = pl.scan_parquet(path)
    elif path.endswith(".jsonl"):
        lf = pl.scan_ndjson(path)
    else:
        lf = pl.scan_csv(path, try_parse_dates=True)
    schema = lf.collect_schema()
    every, numeric = [], []
    for name, kind in schema.items():
        c = pl.col(name)
        every += [c.count().alias(name + " count"), c.null_count().alias(name + " nulls")]
        every += [(c.n_unique() if kind == pl.Boolean else c.approx_n_unique()).alias(name + " distinct")]
        every += [c.min().alias(name + " min"), c.max().alias(name + " max")]
        if kind.is_numeric():
            numeric += [c.mean().alias(name + " mean"), c.std().alias(name + " std")]
            numeric += [c.quantile(q).alias(f"{name} {q}") for q in (0.25, 0.5, 0.75)]
    lf.select(every + numeric).collect(engine="streaming")
