-- The work on one task, over all its attempts: a new attempt goes on where the last recorded step ended.
CREATE TABLE run (
    task_id    uuid PRIMARY KEY,
    org_id     uuid NOT NULL,
    project_id uuid NOT NULL,
    kind       text NOT NULL,
    role       text NOT NULL,
    decider    text NOT NULL,
    created_at timestamptz NOT NULL
);

-- Intent, then effect, then outcome. A step without an outcome was cut off between the two.
CREATE TABLE step (
    task_id     uuid NOT NULL REFERENCES run,
    seq         int NOT NULL,
    -- The attempt that recorded the intent, and the one that recorded the outcome.
    attempt     int NOT NULL,
    ended_by    int,
    tool        text NOT NULL,
    action      jsonb NOT NULL,
    outcome     jsonb,
    -- The commit of the workspace after the step, pushed before the outcome was recorded.
    commit      text,
    started_at  timestamptz NOT NULL,
    finished_at timestamptz,
    PRIMARY KEY (task_id, seq)
);
