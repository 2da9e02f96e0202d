-- What the apps of an environment find in theirs.
CREATE TABLE variable (
    org_id      uuid NOT NULL,
    project_id  uuid NOT NULL,
    environment text NOT NULL CHECK (environment IN ('dev', 'staging', 'production')),
    name        text NOT NULL,
    value       text NOT NULL,
    changed_at  timestamptz NOT NULL DEFAULT now(),
    changed_by  text NOT NULL,
    PRIMARY KEY (org_id, project_id, environment, name)
);
