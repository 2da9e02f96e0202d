CREATE TABLE deployment (
    id              uuid PRIMARY KEY,
    org_id          uuid NOT NULL,
    project_id      uuid NOT NULL,
    project_slug    text NOT NULL,
    environment     text NOT NULL CHECK (environment IN ('dev', 'staging', 'production')),
    commit          text NOT NULL,
    idempotency_key text NOT NULL,
    -- The task it is done for, and the trace it belongs to.
    causation       text NOT NULL,
    traceparent     text NOT NULL,
    state           text NOT NULL CHECK (state IN ('pending', 'starting', 'running', 'failed', 'replaced', 'stopped')),
    error           text NOT NULL DEFAULT '',
    restarts        int NOT NULL DEFAULT 0,
    -- Tries to start in the state 'starting'.
    starts          int NOT NULL DEFAULT 0,
    -- The process: the id may be given to another one, the start time (clock ticks since boot) is not.
    host            text NOT NULL,
    port            int,
    pid             int,
    pid_started     bigint,
    start_after     timestamptz NOT NULL DEFAULT now(),
    starting_since  timestamptz,
    -- The replica that supervises it.
    owner           text,
    owner_until     timestamptz,
    created_at      timestamptz NOT NULL,
    finished_at     timestamptz,
    UNIQUE (org_id, idempotency_key)
);
CREATE INDEX deployment_project ON deployment (project_id, id);
CREATE INDEX deployment_live ON deployment (host) WHERE state IN ('pending', 'starting', 'running') OR port IS NOT NULL;
-- One app serves an environment.
CREATE UNIQUE INDEX deployment_serving ON deployment (project_id, environment) WHERE state = 'running';
-- A port belongs to one app.
CREATE UNIQUE INDEX deployment_port ON deployment (host, port) WHERE port IS NOT NULL;

CREATE TABLE deployment_change (
    id            uuid PRIMARY KEY,
    deployment_id uuid NOT NULL REFERENCES deployment,
    at            timestamptz NOT NULL,
    to_state      text NOT NULL,
    reason        text NOT NULL
);
CREATE INDEX deployment_change_of ON deployment_change (deployment_id, id);
