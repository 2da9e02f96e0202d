-- What the attempts of a task's present life have used: {"before", "attempt", "now"}.
ALTER TABLE task_payload ADD COLUMN spent jsonb;
