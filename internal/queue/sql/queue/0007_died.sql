-- died is set from the death of a unit until it has gone through the step or was discarded, also while it is tried again.
ALTER TABLE unit ADD COLUMN died INTEGER NOT NULL DEFAULT 0;
UPDATE unit SET died = 1 WHERE state = 'dead' AND run NOT LIKE 'canary-%';
CREATE INDEX unit_died ON unit (pipeline, step, state, ended_us) WHERE died = 1;
