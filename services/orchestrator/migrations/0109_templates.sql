-- What projects are built from, beside what is built in.
CREATE TABLE template (
    org_id     uuid NOT NULL REFERENCES organisation,
    name       text NOT NULL,
    about      text NOT NULL,
    -- Contents by path.
    files      jsonb NOT NULL,
    updated_by text NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, name)
);
