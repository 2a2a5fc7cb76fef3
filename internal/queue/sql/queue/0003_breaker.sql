-- outcome says of an attempt whether its step worked (1) or not (2); 0 is no attempt.
ALTER TABLE unit_event ADD COLUMN outcome INTEGER NOT NULL DEFAULT 0;
CREATE INDEX unit_event_outcome ON unit_event (pipeline, step, id) WHERE outcome > 0;

-- opened counts how often in a row claims were paused because attempts failed, 0 while they are not. probing is set while
-- one attempt is made to see whether the step works again. Attempts up to the event count_from do not count any more.
ALTER TABLE step_state ADD COLUMN opened INTEGER NOT NULL DEFAULT 0;
ALTER TABLE step_state ADD COLUMN open_until_us BIGINT NOT NULL DEFAULT 0;
ALTER TABLE step_state ADD COLUMN probing INTEGER NOT NULL DEFAULT 0;
ALTER TABLE step_state ADD COLUMN count_from BIGINT NOT NULL DEFAULT 0;
