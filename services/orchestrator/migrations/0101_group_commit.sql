-- The hot tables are written in batches. What their foreign keys held is held by the code that writes them (rows are made
-- together, and never deleted one by one); each key cost a lookup a row, and those to project and goal a shared lock.
ALTER TABLE task DROP CONSTRAINT task_project_id_fkey, DROP CONSTRAINT task_goal_id_fkey;
ALTER TABLE task_payload DROP CONSTRAINT task_payload_task_id_fkey;
ALTER TABLE task_dependency DROP CONSTRAINT task_dependency_task_id_fkey, DROP CONSTRAINT task_dependency_depends_on_fkey;
ALTER TABLE task_change DROP CONSTRAINT task_change_task_id_fkey;

-- Why the agent was chosen stands with the claim in the history.
ALTER TABLE task_change ADD COLUMN choice jsonb;
ALTER TABLE task_payload DROP COLUMN choice;
