-- People who may use the API. Named "member" because "user" is a reserved word.
CREATE TABLE member (
    id         uuid PRIMARY KEY,
    org_id     uuid NOT NULL,
    name       text NOT NULL,
    created_at timestamptz NOT NULL,
    UNIQUE (org_id, name)
);

CREATE TABLE api_key (
    id         uuid PRIMARY KEY,
    member_id  uuid NOT NULL REFERENCES member,
    -- SHA-256 of the whole key, which has 122 random bits: nothing to guess, so nothing to slow down.
    digest     bytea NOT NULL UNIQUE,
    created_at timestamptz NOT NULL,
    revoked_at timestamptz
);

-- Answers to POSTs with an Idempotency-Key. Without a status the first call is still under way.
CREATE TABLE idempotency_key (
    org_id       uuid NOT NULL,
    key          text NOT NULL,
    -- SHA-256 of path and body: the key must not be used for anything else.
    request      bytea NOT NULL,
    status       int,
    headers      jsonb,
    body         bytea,
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, key)
);
CREATE INDEX idempotency_key_age ON idempotency_key (created_at);

-- Everything that happened, in one order that never has gaps that fill later: the number comes from a
-- locked row, so a reader that has seen n has seen everything below it.
CREATE TABLE event_counter (
    one  boolean PRIMARY KEY DEFAULT true CHECK (one),
    last bigint NOT NULL
);
INSERT INTO event_counter (last) VALUES (0);

CREATE TABLE event_log (
    seq        bigint PRIMARY KEY,
    org_id     uuid NOT NULL,
    project_id uuid,
    name       text NOT NULL,
    subject    text NOT NULL,
    causation  text NOT NULL,
    at         timestamptz NOT NULL,
    event      jsonb NOT NULL
);
CREATE INDEX event_log_causation ON event_log (causation, seq) WHERE causation <> '';
