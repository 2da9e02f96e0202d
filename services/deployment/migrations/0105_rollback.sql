ALTER TABLE deployment
    -- The commit that served when its version was put back; empty: it is no way back.
    ADD COLUMN back_from text NOT NULL DEFAULT '',
    -- The project's hook for what serves is still to be run.
    ADD COLUMN hook_due boolean NOT NULL DEFAULT false;
