-- What waits is counted every few seconds, and finished units are not to be read for it.
CREATE INDEX unit_waiting ON unit (pipeline, step) WHERE state = 'waiting';
