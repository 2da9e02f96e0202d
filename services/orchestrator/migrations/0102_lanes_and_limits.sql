-- Tasks that the same agents may take are one lane: one scan of the ready index.
CREATE TABLE lane (
    id      int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pool    text NOT NULL,
    role    text NOT NULL,
    -- {"skills": {name: minimum proficiency}, "labels": [...], "agent": "the only one"}, what is not demanded left out.
    demands jsonb NOT NULL
);
-- Demands may be longer than an entry of an index.
CREATE UNIQUE INDEX lane_demands ON lane (pool, role, md5(demands::text));
INSERT INTO lane (pool, role, demands) SELECT DISTINCT 'default', role, '{}'::jsonb FROM task;

-- Fairness: a project of weight 2 is given twice as much as one of weight 1.
ALTER TABLE project ADD COLUMN weight double precision NOT NULL DEFAULT 1 CHECK (weight > 0),
    -- Weights of the factors of a choice, where they are the project's own.
    ADD COLUMN matching jsonb;
-- Nothing of a paused goal is begun.
ALTER TABLE goal ADD COLUMN paused boolean NOT NULL DEFAULT false;

ALTER TABLE task RENAME COLUMN exclusive_key TO concurrency_key;
DROP INDEX task_exclusive;
ALTER TABLE task
    -- No foreign key, as 0101 says: each new task would lock its lane's row.
    ADD COLUMN lane_id int,
    -- Why an inbox task with nothing to wait for is not ready: 'paused', 'later', or the limit it waits for. Null: it is ready.
    ADD COLUMN held text,
    ADD COLUMN due_at timestamptz NOT NULL DEFAULT 'infinity',
    ADD COLUMN rate_keys text[],
    -- {"preferred": "an agent's name", "sticky": true}
    ADD COLUMN wishes jsonb,
    ADD COLUMN deadline_at timestamptz,
    -- Its failure is handled by what depends on it, or it was skipped: it does not fail its goal.
    ADD COLUMN tolerated boolean NOT NULL DEFAULT false;
UPDATE task t SET lane_id = l.id FROM lane l WHERE l.role = t.role;
UPDATE task SET held = CASE WHEN run_after > now() THEN 'later' ELSE 'c/' || concurrency_key END
WHERE state = 'inbox' AND (run_after > now() OR concurrency_key IS NOT NULL);
UPDATE task SET concurrency_key = 'c/' || concurrency_key WHERE concurrency_key IS NOT NULL;
ALTER TABLE task ALTER COLUMN lane_id SET NOT NULL, DROP COLUMN role;
CREATE INDEX task_ready ON task (lane_id, project_id, (-priority), due_at, id) WHERE state = 'inbox' AND waiting_on = 0 AND held IS NULL;
CREATE INDEX task_held ON task (held, (-priority), due_at, id) WHERE state = 'inbox' AND waiting_on = 0 AND held IS NOT NULL;
CREATE INDEX task_later ON task (run_after) WHERE state = 'inbox' AND held = 'later';
CREATE INDEX task_permits ON task (concurrency_key)
    WHERE concurrency_key IS NOT NULL AND (state IN ('assigned', 'in_progress', 'review') OR (state = 'inbox' AND held IS NULL));
CREATE INDEX task_deadline ON task (deadline_at) WHERE deadline_at IS NOT NULL AND state NOT IN ('done', 'failed', 'cancelled');

-- Four rows a task: one index is enough.
ALTER TABLE task_change DROP CONSTRAINT task_change_pkey;

ALTER TABLE task_payload
    ADD COLUMN labels text[],
    ADD COLUMN parent_id uuid,
    -- {"base_ms", "most_ms", "jitter", "final_errors"}
    ADD COLUMN retry jsonb,
    -- {"tokens", "usd_micros", "steps"}: what an attempt may spend.
    ADD COLUMN budget jsonb,
    ADD COLUMN created_by text NOT NULL DEFAULT '',
    -- A dead letter nobody wants to see again.
    ADD COLUMN discarded boolean NOT NULL DEFAULT false;
CREATE INDEX task_dead ON task (id) WHERE state = 'failed';
CREATE INDEX task_payload_labels ON task_payload USING gin (labels) WHERE labels IS NOT NULL;
CREATE INDEX task_payload_parent ON task_payload (parent_id, task_id) WHERE parent_id IS NOT NULL;

-- When the task waited for ends without being done, this one: fails with it, is skipped, or runs anyway.
ALTER TABLE task_dependency
    ADD COLUMN on_failure text NOT NULL DEFAULT 'fail' CHECK (on_failure IN ('fail', 'skip', 'run')),
    -- It ran anyway: when the task waited for is tried again and ends once more, that counts no second time.
    ADD COLUMN counted boolean NOT NULL DEFAULT false;

-- Counters of limits, locked in the order of their keys. 'c/…': how many run at once; 'r/…': a bucket of tokens.
CREATE TABLE task_limit (
    key         text PRIMARY KEY,
    most        int NOT NULL CHECK (most > 0),
    -- Permits given to tasks that are ready or owned.
    taken       int NOT NULL DEFAULT 0,
    -- Of a bucket: refilled with `most` tokens in this time.
    period_ms   bigint CHECK (period_ms > 0),
    tokens      double precision NOT NULL DEFAULT 0,
    refilled_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO task_limit (key, most, taken)
SELECT concurrency_key, 1, count(*) FILTER (WHERE state IN ('assigned', 'in_progress', 'review'))
FROM task WHERE concurrency_key IS NOT NULL GROUP BY 1;

ALTER TABLE agent
    ADD COLUMN pool text NOT NULL DEFAULT 'default',
    -- {name: 0 to 1}
    ADD COLUMN proficiency jsonb NOT NULL DEFAULT '{}',
    -- {"labels": [...], "priority": the least, "projects": [...]}: what it subscribes to; empty means all.
    ADD COLUMN subscription jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN condition text NOT NULL DEFAULT 'fit' CHECK (condition IN ('fit', 'draining', 'quarantined')),
    ADD COLUMN condition_reason text NOT NULL DEFAULT '',
    ADD COLUMN condition_since timestamptz NOT NULL DEFAULT now(),
    -- Attempts in a row that did not end well.
    ADD COLUMN strikes int NOT NULL DEFAULT 0;

-- How agents did with tasks of a kind.
CREATE TABLE agent_record (
    agent_id uuid NOT NULL,
    kind     text NOT NULL,
    done     bigint NOT NULL,
    failed   bigint NOT NULL,
    busy_ms  bigint NOT NULL,
    PRIMARY KEY (agent_id, kind)
);
