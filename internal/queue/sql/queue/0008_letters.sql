-- A unit that nobody could judge counts with those that died: it is kept back and nothing else tells of it.
DROP INDEX unit_died;
CREATE INDEX unit_letter ON unit (pipeline, step, ended_us, id) WHERE died = 1 AND state IN ('dead', 'quarantined');
CREATE INDEX unit_again ON unit (pipeline, step) WHERE died = 1 AND state NOT IN ('dead', 'quarantined');
