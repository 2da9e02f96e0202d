-- Marks are written in the order of their times: what is pruned by time needs no entry a row.
DROP INDEX inbox_received_at;
CREATE INDEX inbox_received_at ON inbox USING brin (received_at) WITH (autosummarize = on);
-- How many events a row holds: the relay joins rows without decoding them.
ALTER TABLE outbox ADD COLUMN events int NOT NULL DEFAULT 1;
