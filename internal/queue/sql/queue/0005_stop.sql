-- When a step took no units, because its gate was closed or its attempts failed; until_us is 0 while it does not.
CREATE TABLE step_stop (
    pipeline TEXT NOT NULL,
    step TEXT NOT NULL,
    from_us BIGINT NOT NULL,
    until_us BIGINT NOT NULL,
    PRIMARY KEY (pipeline, step, from_us)
);
INSERT INTO step_stop (pipeline, step, from_us, until_us) SELECT pipeline, step, paused_us, 0 FROM step_state WHERE paused <> '';
