-- A submission's project was read, with its status, before its key is taken, and projects are never deleted: the check cost more
-- than the row.
ALTER TABLE submission DROP CONSTRAINT submission_project_id_fkey;
-- Whether there is an agent that is given nothing is asked twice a second.
CREATE INDEX agent_unfit ON agent (condition) WHERE condition <> 'fit';
