-- Beside processor and memory: what is kept in files, and what passed the proxy. 0 from who does not report it yet.
ALTER TABLE usage
    ADD COLUMN disk_bytes     bigint NOT NULL DEFAULT 0,
    ADD COLUMN received_bytes bigint NOT NULL DEFAULT 0,
    ADD COLUMN sent_bytes     bigint NOT NULL DEFAULT 0;
ALTER TABLE hour
    ADD COLUMN disk_bytes     bigint NOT NULL DEFAULT 0,
    ADD COLUMN received_bytes bigint NOT NULL DEFAULT 0,
    ADD COLUMN sent_bytes     bigint NOT NULL DEFAULT 0;
