-- Times are microseconds since 1970 in UTC. docs/format/store.md describes the tables.
CREATE TABLE run (
    id TEXT NOT NULL PRIMARY KEY,
    pipeline TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('running', 'ended', 'cancelled')),
    started_us BIGINT NOT NULL,
    ended_us BIGINT,
    scheduled_us BIGINT,
    verdict TEXT NOT NULL,
    first_bad_step TEXT NOT NULL
);
CREATE INDEX run_pipeline ON run (pipeline, started_us);

CREATE TABLE unit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    pipeline TEXT NOT NULL,
    step TEXT NOT NULL,
    unit TEXT NOT NULL,
    run TEXT NOT NULL,
    correlation_id TEXT NOT NULL,
    source TEXT NOT NULL,
    input TEXT NOT NULL,
    priority INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'ready', 'running', 'done', 'quarantined', 'dead', 'discarded', 'cancelled')),
    skipped INTEGER NOT NULL,
    blocking INTEGER NOT NULL,
    needs INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    losses INTEGER NOT NULL,
    replay INTEGER NOT NULL,
    ready_us BIGINT NOT NULL,
    run_at_us BIGINT NOT NULL,
    started_us BIGINT NOT NULL,
    lease_us BIGINT NOT NULL,
    ended_us BIGINT NOT NULL,
    worker TEXT NOT NULL,
    cause TEXT NOT NULL,
    error TEXT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (pipeline, step, unit)
);
CREATE INDEX unit_ready ON unit (pipeline, step, priority DESC, run_at_us, id) WHERE state = 'ready';
CREATE INDEX unit_lease ON unit (lease_us) WHERE state = 'running';
CREATE INDEX unit_running ON unit (pipeline, step) WHERE state = 'running';
CREATE INDEX unit_kept ON unit (pipeline, step, ended_us) WHERE state IN ('dead', 'quarantined');
CREATE INDEX unit_run ON unit (run, step);
CREATE INDEX unit_correlation ON unit (correlation_id);

CREATE TABLE edge (
    pipeline TEXT NOT NULL,
    step TEXT NOT NULL,
    unit TEXT NOT NULL,
    parent TEXT NOT NULL,
    run TEXT NOT NULL,
    PRIMARY KEY (pipeline, step, unit, parent)
) WITHOUT ROWID;

CREATE TABLE output (
    pipeline TEXT NOT NULL,
    step TEXT NOT NULL,
    unit TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    written_us BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (pipeline, step, unit, fingerprint)
) WITHOUT ROWID;

CREATE TABLE step_state (
    pipeline TEXT NOT NULL,
    step TEXT NOT NULL,
    paused TEXT NOT NULL,
    paused_us BIGINT NOT NULL,
    PRIMARY KEY (pipeline, step)
) WITHOUT ROWID;

CREATE TABLE unit_event (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    pipeline TEXT NOT NULL,
    step TEXT NOT NULL,
    unit TEXT NOT NULL,
    run TEXT NOT NULL,
    correlation_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    at_us BIGINT NOT NULL,
    attempt INTEGER NOT NULL,
    replay INTEGER NOT NULL,
    wait_us BIGINT NOT NULL,
    busy_us BIGINT NOT NULL,
    cpu_us BIGINT NOT NULL,
    peak_bytes BIGINT NOT NULL,
    worker TEXT NOT NULL,
    cause TEXT NOT NULL,
    detail TEXT NOT NULL
);
CREATE INDEX unit_event_unit ON unit_event (pipeline, unit, id);
CREATE INDEX unit_event_run ON unit_event (run, id);
CREATE INDEX unit_event_time ON unit_event (at_us, id);

CREATE TABLE definition (
    pipeline TEXT NOT NULL PRIMARY KEY,
    body TEXT NOT NULL,
    seen_us BIGINT NOT NULL
);

CREATE TABLE reject (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    pipeline TEXT NOT NULL,
    step TEXT NOT NULL,
    unit TEXT NOT NULL,
    run TEXT NOT NULL,
    correlation_id TEXT NOT NULL,
    n BIGINT NOT NULL,
    record TEXT NOT NULL,
    reason TEXT NOT NULL,
    body TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('dead', 'replayed', 'discarded')),
    at_us BIGINT NOT NULL,
    detail TEXT NOT NULL
);
CREATE INDEX reject_unit ON reject (pipeline, step, unit, n);
CREATE INDEX reject_dead ON reject (pipeline, step, id) WHERE state = 'dead';

CREATE TABLE queue_secret (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    secret TEXT NOT NULL
);
