-- Times are microseconds since 1970 in UTC. docs/format/store.md describes the tables.
CREATE TABLE dataset (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE
);

CREATE TABLE batch (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    dataset_id BIGINT NOT NULL REFERENCES dataset (id),
    name TEXT NOT NULL,
    pipeline TEXT NOT NULL,
    step TEXT NOT NULL,
    side TEXT NOT NULL CHECK (side IN ('', 'input', 'output')),
    run TEXT NOT NULL,
    unit TEXT NOT NULL,
    correlation_id TEXT NOT NULL,
    at_us BIGINT NOT NULL,
    recorded_us BIGINT NOT NULL,
    superseded_us BIGINT,
    row_count BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    schema_hash TEXT NOT NULL,
    report_version INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    score DOUBLE PRECISION,
    label TEXT NOT NULL,
    held INTEGER NOT NULL DEFAULT 0,
    rules_fingerprint TEXT NOT NULL,
    token TEXT NOT NULL UNIQUE
);
CREATE UNIQUE INDEX batch_live ON batch (dataset_id, name, pipeline, step, side) WHERE superseded_us IS NULL;
CREATE INDEX batch_at ON batch (dataset_id, at_us, id);
CREATE INDEX batch_time ON batch (at_us, id);

CREATE TABLE profile (
    batch_id BIGINT NOT NULL PRIMARY KEY REFERENCES batch (id),
    data BLOB NOT NULL
);

CREATE TABLE result (
    batch_id BIGINT NOT NULL REFERENCES batch (id),
    n INTEGER NOT NULL,
    check_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    column_name TEXT NOT NULL,
    status TEXT NOT NULL,
    value DOUBLE PRECISION,
    warn_lower DOUBLE PRECISION,
    warn_upper DOUBLE PRECISION,
    fail_lower DOUBLE PRECISION,
    fail_upper DOUBLE PRECISION,
    condition TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (batch_id, n)
) WITHOUT ROWID;

CREATE TABLE series (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    dataset_id BIGINT NOT NULL REFERENCES dataset (id),
    column_name TEXT NOT NULL,
    metric TEXT NOT NULL,
    UNIQUE (dataset_id, column_name, metric)
);

CREATE TABLE metric (
    series_id BIGINT NOT NULL,
    at_us BIGINT NOT NULL,
    batch_id BIGINT NOT NULL,
    v DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (series_id, at_us, batch_id)
) WITHOUT ROWID;

CREATE TABLE label (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    batch_id BIGINT NOT NULL REFERENCES batch (id),
    label TEXT NOT NULL,
    who TEXT NOT NULL,
    labelled_us BIGINT NOT NULL
);
CREATE INDEX label_batch ON label (batch_id);

CREATE TABLE feature (
    batch_id BIGINT NOT NULL PRIMARY KEY REFERENCES batch (id),
    preset TEXT NOT NULL,
    ignored TEXT NOT NULL,
    data BLOB NOT NULL
);

CREATE TABLE learned (
    dataset_id BIGINT NOT NULL PRIMARY KEY REFERENCES dataset (id),
    version BIGINT NOT NULL,
    last_us BIGINT NOT NULL,
    data BLOB NOT NULL,
    base_us BIGINT,
    base BLOB
);

CREATE TABLE incident (
    id TEXT NOT NULL PRIMARY KEY,
    dataset_id BIGINT NOT NULL REFERENCES dataset (id),
    status TEXT NOT NULL,
    severity TEXT NOT NULL,
    opened_us BIGINT NOT NULL,
    updated_us BIGINT NOT NULL,
    resolved_us BIGINT,
    pipeline TEXT NOT NULL,
    last_run TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE UNIQUE INDEX incident_open ON incident (dataset_id) WHERE status <> 'resolved';
CREATE INDEX incident_dataset ON incident (dataset_id, opened_us, id);
CREATE INDEX incident_time ON incident (opened_us, id);
CREATE INDEX incident_pipeline ON incident (pipeline) WHERE status NOT IN ('resolved', 'pending');

-- One entry that is not sent for each story and channel: what comes later is
-- told by the same message.
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    channel TEXT NOT NULL,
    story TEXT NOT NULL,
    dataset TEXT NOT NULL,
    event TEXT NOT NULL,
    revision BIGINT NOT NULL,
    body TEXT NOT NULL,
    created_us BIGINT NOT NULL,
    due_us BIGINT NOT NULL,
    claimed_us BIGINT,
    attempts INTEGER NOT NULL,
    failed_us BIGINT,
    reason TEXT NOT NULL,
    sent_us BIGINT,
    given_up BOOLEAN NOT NULL
);
CREATE UNIQUE INDEX outbox_pending ON outbox (channel, story) WHERE sent_us IS NULL;
CREATE INDEX outbox_order ON outbox (channel, dataset, id) WHERE sent_us IS NULL;
CREATE INDEX outbox_sent ON outbox (channel, sent_us);
CREATE INDEX outbox_story ON outbox (story);

CREATE TABLE digest (
    id TEXT NOT NULL PRIMARY KEY,
    channel TEXT NOT NULL,
    opened_us BIGINT NOT NULL,
    closed_us BIGINT,
    body TEXT NOT NULL
);
CREATE INDEX digest_open ON digest (channel, opened_us) WHERE closed_us IS NULL;

CREATE TABLE secret (
    name TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
);
