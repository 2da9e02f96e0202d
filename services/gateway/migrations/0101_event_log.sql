-- The log is partitioned by the day it was written, and dropped by it. Numbers rise over all of it; nothing but the counter
-- gives them. An event is kept as it is read: json, not jsonb.
ALTER TABLE event_log RENAME TO event_log_before;
ALTER TABLE event_log_before RENAME CONSTRAINT event_log_pkey TO event_log_before_pkey;
DROP INDEX event_log_causation;
CREATE TABLE event_log (
    seq        bigint NOT NULL,
    org_id     uuid NOT NULL,
    project_id uuid,
    name       text NOT NULL,
    subject    text NOT NULL,
    causation  text NOT NULL,
    at         timestamptz NOT NULL,
    event      json NOT NULL,
    logged_at  timestamptz NOT NULL DEFAULT now()
) PARTITION BY RANGE (logged_at);
CREATE INDEX event_log_seq ON event_log (seq);
CREATE INDEX event_log_causation ON event_log (causation, seq) WHERE causation <> '';
DO $$
DECLARE day date;
BEGIN
    FOR day IN SELECT generate_series(now() AT TIME ZONE 'UTC', (now() AT TIME ZONE 'UTC') + interval '7 days', interval '1 day')::date
    LOOP
        EXECUTE format('CREATE TABLE event_log_%s PARTITION OF event_log FOR VALUES FROM (%L) TO (%L)',
            to_char(day, 'YYYYMMDD'), day || ' 00:00+00', (day + 1) || ' 00:00+00');
    END LOOP;
END $$;
INSERT INTO event_log SELECT seq, org_id, project_id, name, subject, causation, at, event::json FROM event_log_before;
DROP TABLE event_log_before;
