const { DuckDBInstance } = require('@duckdb/node-api');
(async () => {
  const instance = await DuckDBInstance.create(':memory:', { threads: process.argv[1] });
  const con = await instance.connect();
  await con.run('SET enable_progress_bar = false');
  for (const sql of process.argv.slice(2)) {
    const reader = await con.runAndReadAll(sql);
    console.log(JSON.stringify(reader.getRowObjectsJson()));
  }
})().catch((e) => { console.error(String(e.message || e)); process.exit(1); });
