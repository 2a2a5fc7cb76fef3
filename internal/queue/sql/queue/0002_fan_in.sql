-- gathered is 0 while the fan-ins of a run have to be looked at, 1 when all of them
-- have their units, 2 when one waits for units that somebody has to decide about.
-- filling is 1 while the source may still add units to the run.
ALTER TABLE run ADD COLUMN gathered INTEGER NOT NULL DEFAULT 1;
ALTER TABLE run ADD COLUMN filling INTEGER NOT NULL DEFAULT 0;
CREATE INDEX run_gather ON run (pipeline) WHERE gathered = 0;

CREATE INDEX unit_open ON unit (run, step) WHERE state IN ('ready', 'running', 'dead', 'quarantined');

-- What a fan-in joins: the unit member, as it left the step parent by an attempt.
CREATE TABLE member (
    pipeline TEXT NOT NULL,
    step TEXT NOT NULL,
    unit TEXT NOT NULL,
    parent TEXT NOT NULL,
    member TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    PRIMARY KEY (pipeline, step, unit, parent, member)
);
CREATE INDEX member_of ON member (pipeline, member);
