-- A row of the outbox is an EventBatch: what one transaction tells under one name. A row from before is a batch of one:
-- field 1, length-delimited, so a tag and the length as a varint in front of the event.
ALTER TABLE outbox RENAME COLUMN event TO batch;
UPDATE outbox SET batch = '\x0a'::bytea
    || CASE WHEN length(batch) < 128 THEN set_byte('\x00'::bytea, 0, length(batch))
            WHEN length(batch) < 16384 THEN set_byte(set_byte('\x0000'::bytea, 0, (length(batch) & 127) | 128), 1, length(batch) >> 7)
            WHEN length(batch) < 2097152 THEN set_byte(set_byte(set_byte('\x000000'::bytea, 0, (length(batch) & 127) | 128), 1,
                ((length(batch) >> 7) & 127) | 128), 2, length(batch) >> 14)
            ELSE set_byte(set_byte(set_byte(set_byte('\x00000000'::bytea, 0, (length(batch) & 127) | 128), 1,
                ((length(batch) >> 7) & 127) | 128), 2, ((length(batch) >> 14) & 127) | 128), 3, length(batch) >> 21)
       END
    || batch;
