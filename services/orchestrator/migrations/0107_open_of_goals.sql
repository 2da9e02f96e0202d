-- Whether anything of a goal is still open is asked at the end of each of its tasks.
CREATE INDEX task_goal_open ON task (goal_id) WHERE goal_id IS NOT NULL AND state NOT IN ('done', 'failed', 'cancelled');
