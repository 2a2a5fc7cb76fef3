import json, sys
import duckdb
con = duckdb.connect()
con.execute("SET threads = " + sys.argv[1])
con.execute("SET enable_progress_bar = false")
for sql in sys.argv[2:]:
    rel = con.execute(sql)
    names = [c[0] for c in rel.description]
    rows = [dict(zip(names, row)) for row in rel.fetchall()]
    print(json.dumps(rows, default=str))
