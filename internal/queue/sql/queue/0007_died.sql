-- died is set from the death of a unit until it has gone through the step or was discarded, also while it is tried again; and
-- while one that nobody could judge is kept back, of which nothing else tells.
ALTER TABLE unit ADD COLUMN died INTEGER NOT NULL DEFAULT 0;
UPDATE unit SET died = 1 WHERE state = 'dead' AND run NOT LIKE 'canary-%';
CREATE INDEX unit_letter ON unit (pipeline, step, ended_us, id) WHERE died = 1 AND state IN ('dead', 'quarantined');
CREATE INDEX unit_again ON unit (pipeline, step) WHERE died = 1 AND state NOT IN ('dead', 'quarantined');
