-- Events that are committed but not yet published. The relay deletes a row after the broker's confirm.
CREATE TABLE outbox (
    seq         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name        text NOT NULL,
    event       bytea NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    -- Set when a consumer refused it for good; kept for an operator.
    dead_reason text
);

-- Events already handled, by consumer: written in the handler's transaction.
CREATE TABLE inbox (
    consumer    text NOT NULL,
    event_id    uuid NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (consumer, event_id)
);
CREATE INDEX inbox_received_at ON inbox (received_at);
