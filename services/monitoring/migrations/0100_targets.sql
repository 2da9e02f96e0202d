-- What is watched: one target a deployment.
CREATE TABLE target (
    deployment_id   uuid PRIMARY KEY,
    org_id          uuid NOT NULL,
    project_id      uuid NOT NULL,
    url             text NOT NULL,
    active          boolean NOT NULL,
    -- Of the last event applied; an older one that comes late changes nothing.
    subject_version bigint NOT NULL,
    interval_s      int NOT NULL,
    next_probe_at   timestamptz NOT NULL,
    up              boolean,
    last_probe_at   timestamptz,
    last_error      text NOT NULL DEFAULT '',
    traceparent     text NOT NULL
);
CREATE INDEX target_due ON target (next_probe_at) WHERE active;

CREATE TABLE sample (
    id            uuid PRIMARY KEY,
    deployment_id uuid NOT NULL,
    at            timestamptz NOT NULL,
    up            boolean NOT NULL,
    -- Null when there was no answer.
    latency_ms    double precision,
    error         text NOT NULL
);
CREATE INDEX sample_of ON sample (deployment_id, at);
CREATE INDEX sample_age ON sample (at);
