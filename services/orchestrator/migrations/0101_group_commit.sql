-- The hot tables are written in batches. What their foreign keys held is held by the code that writes them (rows are made
-- together, and never deleted one by one); each key cost a lookup a row, and those to project and goal a shared lock.
ALTER TABLE task DROP CONSTRAINT task_project_id_fkey, DROP CONSTRAINT task_goal_id_fkey;
ALTER TABLE task_payload DROP CONSTRAINT task_payload_task_id_fkey;
ALTER TABLE task_dependency DROP CONSTRAINT task_dependency_task_id_fkey, DROP CONSTRAINT task_dependency_depends_on_fkey;
ALTER TABLE task_change DROP CONSTRAINT task_change_task_id_fkey;

-- Why the agent was chosen stands with the claim in the history.
ALTER TABLE task_change ADD COLUMN choice jsonb;
UPDATE task_change c SET choice = p.choice FROM task_payload p
WHERE p.task_id = c.task_id AND p.choice IS NOT NULL AND c.to_state = 'assigned'
    AND c.id = (SELECT l.id FROM task_change l WHERE l.task_id = c.task_id AND l.to_state = 'assigned' ORDER BY l.id DESC LIMIT 1);
ALTER TABLE task_payload DROP COLUMN choice;

-- Every transition rewrites a task's row, and with it an entry in each of its indexes: those that only lists need stand
-- beside the payload, whose indexed columns never change.
ALTER TABLE task_payload ADD COLUMN project_id uuid;
UPDATE task_payload p SET project_id = t.project_id FROM task t WHERE t.id = p.task_id;
ALTER TABLE task_payload ALTER COLUMN project_id SET NOT NULL;
CREATE INDEX task_payload_project ON task_payload (project_id, task_id);
DROP INDEX task_project;
DROP INDEX task_goal;
CREATE INDEX task_goal ON task (goal_id, id) WHERE goal_id IS NOT NULL;
-- Room for the result beside the input.
ALTER TABLE task_payload SET (fillfactor = 75);
