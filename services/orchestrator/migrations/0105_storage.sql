-- History is partitioned by day: a day is dropped as a whole, and what is written now has small indexes.
ALTER TABLE task_change RENAME TO task_change_before;
ALTER INDEX task_change_task RENAME TO task_change_before_task;
CREATE TABLE task_change (LIKE task_change_before INCLUDING DEFAULTS) PARTITION BY RANGE (at);
CREATE INDEX task_change_task ON task_change (task_id, id);
DO $$
DECLARE day date;
BEGIN
    FOR day IN SELECT generate_series(least((SELECT min(at) FROM task_change_before), now()) AT TIME ZONE 'UTC', (now() AT TIME ZONE 'UTC') + interval '7 days', interval '1 day')::date
    LOOP
        EXECUTE format('CREATE TABLE task_change_%s PARTITION OF task_change FOR VALUES FROM (%L) TO (%L)',
            to_char(day, 'YYYYMMDD'), day || ' 00:00+00', (day + 1) || ' 00:00+00');
    END LOOP;
END $$;
INSERT INTO task_change SELECT * FROM task_change_before;
DROP TABLE task_change_before;

-- Attempts that take too long are found without looking at those that do not.
CREATE INDEX task_attempt_deadline ON task (attempt_deadline) WHERE state IN ('assigned', 'in_progress');
