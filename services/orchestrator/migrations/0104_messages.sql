CREATE TABLE message (
    id          uuid PRIMARY KEY,
    org_id      uuid NOT NULL REFERENCES organisation,
    sender      text NOT NULL,
    to_kind     text NOT NULL CHECK (to_kind IN ('agent', 'department', 'team')),
    recipient   text NOT NULL,
    priority    int NOT NULL,
    subject     text NOT NULL,
    body        jsonb NOT NULL,
    in_reply_to uuid,
    recipients  int NOT NULL,
    idempotency_key text,
    created_at  timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,
    UNIQUE (org_id, idempotency_key)
);

-- A mailbox holds what was not acknowledged and is not dead.
CREATE TABLE mailbox (
    agent_id        uuid NOT NULL REFERENCES agent,
    message_id      uuid NOT NULL REFERENCES message,
    priority        int NOT NULL,
    expires_at      timestamptz NOT NULL,
    acknowledged_at timestamptz,
    dead            boolean NOT NULL DEFAULT false,
    PRIMARY KEY (message_id, agent_id)
);
CREATE INDEX mailbox_unread ON mailbox (agent_id, (-priority), message_id) WHERE acknowledged_at IS NULL AND NOT dead;
CREATE INDEX mailbox_expiring ON mailbox (expires_at) WHERE acknowledged_at IS NULL AND NOT dead;
CREATE INDEX mailbox_dead ON mailbox (message_id) WHERE dead;
