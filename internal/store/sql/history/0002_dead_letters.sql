-- dead_step is the step of an incident about dead units of a pipeline, empty for one about data. The two do not exclude each other.
ALTER TABLE incident ADD COLUMN dead_step TEXT NOT NULL DEFAULT '';
DROP INDEX incident_open;
CREATE UNIQUE INDEX incident_open ON incident (dataset_id) WHERE status <> 'resolved' AND dead_step = '';
CREATE UNIQUE INDEX incident_dead_open ON incident (pipeline, dead_step) WHERE status <> 'resolved' AND dead_step <> '';
CREATE INDEX incident_dead ON incident (pipeline, dead_step, opened_us) WHERE dead_step <> '';
