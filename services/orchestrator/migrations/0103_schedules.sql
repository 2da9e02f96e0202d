CREATE TABLE schedule (
    id         uuid PRIMARY KEY,
    org_id     uuid NOT NULL REFERENCES organisation,
    project_id uuid NOT NULL REFERENCES project,
    name       text NOT NULL,
    cron       text NOT NULL DEFAULT '',
    every_ms   bigint CHECK (every_ms >= 1000),
    time_zone  text NOT NULL DEFAULT 'UTC',
    -- titan.orchestrator.v1.ScheduledWork
    work       bytea NOT NULL,
    paused     boolean NOT NULL DEFAULT false,
    next_at    timestamptz NOT NULL,
    last_at    timestamptz,
    last_made  text NOT NULL DEFAULT '',
    runs       bigint NOT NULL DEFAULT 0,
    error      text NOT NULL DEFAULT '',
    created_by text NOT NULL,
    created_at timestamptz NOT NULL,
    UNIQUE (project_id, name),
    CHECK ((cron = '') <> (every_ms IS NULL))
);
CREATE INDEX schedule_due ON schedule (next_at) WHERE NOT paused;
