CREATE TABLE organisation (
    id         uuid PRIMARY KEY,
    name       text NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO organisation (id, name) VALUES ('01900000-0000-7000-8000-000000000001', 'default');

CREATE TABLE project (
    id          uuid PRIMARY KEY,
    org_id      uuid NOT NULL REFERENCES organisation,
    slug        text NOT NULL,
    name        text NOT NULL,
    description text NOT NULL,
    status      text NOT NULL CHECK (status IN ('active', 'archived')),
    owner       text NOT NULL,
    idempotency_key text,
    version     bigint NOT NULL DEFAULT 1,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    UNIQUE (org_id, slug),
    UNIQUE (org_id, idempotency_key)
);

CREATE TABLE goal (
    id              uuid PRIMARY KEY,
    org_id          uuid NOT NULL REFERENCES organisation,
    project_id      uuid NOT NULL REFERENCES project,
    sentence        text NOT NULL,
    state           text NOT NULL CHECK (state IN ('running', 'done', 'failed')),
    result          jsonb,
    error           text NOT NULL DEFAULT '',
    created_by      text NOT NULL,
    idempotency_key text,
    traceparent     text NOT NULL,
    created_at      timestamptz NOT NULL,
    finished_at     timestamptz,
    UNIQUE (org_id, idempotency_key)
);
CREATE INDEX goal_project ON goal (project_id, id);

-- One life of a worker process. Its lease covers every task it owns.
CREATE TABLE worker_session (
    id          uuid PRIMARY KEY,
    worker      text NOT NULL,
    -- Rises with each connect; claims check it.
    epoch       bigint NOT NULL,
    state       text NOT NULL CHECK (state IN ('connected', 'disconnected', 'expired')),
    lease_until timestamptz NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX worker_session_alive ON worker_session (lease_until) WHERE state <> 'expired';

CREATE TABLE agent (
    id              uuid PRIMARY KEY,
    org_id          uuid NOT NULL REFERENCES organisation,
    session_id      uuid NOT NULL REFERENCES worker_session,
    name            text NOT NULL,
    role            text NOT NULL,
    department      text NOT NULL,
    skills          text[] NOT NULL,
    max_concurrency int NOT NULL,
    UNIQUE (org_id, name)
);

-- Narrow: rewritten with every transition. What is read once stands in task_payload.
CREATE TABLE task (
    id               uuid PRIMARY KEY,
    org_id           uuid NOT NULL,
    project_id       uuid NOT NULL REFERENCES project,
    goal_id          uuid REFERENCES goal,
    kind             text NOT NULL,
    role             text NOT NULL,
    state            text NOT NULL CHECK (state IN ('inbox', 'assigned', 'in_progress', 'review', 'done', 'blocked', 'failed', 'cancelled')),
    priority         int NOT NULL,
    -- The fence: rises with each claim.
    attempt          int NOT NULL DEFAULT 0,
    -- Attempts that ended in an error, attempts lost with their worker, and verdicts against the work.
    failures         int NOT NULL DEFAULT 0,
    losses           int NOT NULL DEFAULT 0,
    rejections       int NOT NULL DEFAULT 0,
    max_attempts     int NOT NULL,
    timeout_s        int NOT NULL,
    waiting_on       int NOT NULL,
    run_after        timestamptz,
    exclusive_key    text,
    session_id       uuid,
    agent_id         uuid,
    attempt_deadline timestamptz,
    created_at       timestamptz NOT NULL,
    started_at       timestamptz,
    finished_at      timestamptz
);
CREATE INDEX task_ready ON task (role, priority DESC, id) WHERE state = 'inbox' AND waiting_on = 0;
CREATE INDEX task_owned ON task (session_id) WHERE state IN ('assigned', 'in_progress');
CREATE INDEX task_project ON task (project_id, id);
CREATE INDEX task_goal ON task (goal_id, id);
-- One task of a key runs at a time, whatever any replica believes.
CREATE UNIQUE INDEX task_exclusive ON task (exclusive_key) WHERE state IN ('assigned', 'in_progress');

CREATE TABLE task_payload (
    task_id     uuid PRIMARY KEY REFERENCES task,
    title       text NOT NULL,
    input       jsonb NOT NULL,
    result      jsonb,
    -- SHA-256 of the accepted result: the same result again is not stale.
    digest      text,
    error       text NOT NULL DEFAULT '',
    choice      jsonb,
    traceparent text NOT NULL
);

CREATE TABLE task_dependency (
    task_id    uuid NOT NULL REFERENCES task,
    depends_on uuid NOT NULL REFERENCES task,
    PRIMARY KEY (task_id, depends_on)
);
CREATE INDEX task_dependents ON task_dependency (depends_on);

CREATE TABLE task_change (
    id         uuid PRIMARY KEY,
    task_id    uuid NOT NULL REFERENCES task,
    at         timestamptz NOT NULL,
    from_state text NOT NULL,
    to_state   text NOT NULL,
    attempt    int NOT NULL,
    actor      text NOT NULL,
    reason     text NOT NULL
);
CREATE INDEX task_change_task ON task_change (task_id, id);

-- Which tasks a submission with a key made.
CREATE TABLE submission (
    project_id      uuid NOT NULL REFERENCES project,
    idempotency_key text NOT NULL,
    task_ids        uuid[] NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, idempotency_key)
);
