ALTER TABLE deployment
    -- The backup whose data it brings; null: it brings none.
    ADD COLUMN restores uuid;

-- What an environment's data was before a deployment. The files are its host's, by the deployment's id.
CREATE TABLE backup (
    deployment_id uuid PRIMARY KEY REFERENCES deployment (id),
    -- What served until then.
    commit text NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now()
);
