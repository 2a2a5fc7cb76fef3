-- Which messages of a stream went into which unit, until the server has heard that
-- all up to them are done with. numbers are spans like 1-100,102.
CREATE TABLE taken (
    pipeline TEXT NOT NULL,
    source TEXT NOT NULL,
    high BIGINT NOT NULL,
    low BIGINT NOT NULL,
    unit TEXT NOT NULL,
    numbers TEXT NOT NULL,
    PRIMARY KEY (pipeline, source, high, unit)
);
