-- Marks are written in the order of their times: what is pruned by time needs no entry a row.
DROP INDEX inbox_received_at;
CREATE INDEX inbox_received_at ON inbox USING brin (received_at) WITH (autosummarize = on);
