-- What was used for how long; an hour's peak is not what it used. 0 from who does not sum it yet.
ALTER TABLE hour
    ADD COLUMN memory_byte_hours double precision NOT NULL DEFAULT 0,
    ADD COLUMN disk_byte_hours   double precision NOT NULL DEFAULT 0;
