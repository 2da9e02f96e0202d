-- What probes found, by day: a day is dropped as a whole. It takes the place of sample, which the next release drops; what a replica
-- of the release before writes there while it is replaced is in no sum.
CREATE TABLE probe (LIKE sample INCLUDING DEFAULTS) PARTITION BY RANGE (at);
CREATE INDEX probe_of ON probe (deployment_id, at);
-- What apps did, as it was reported.
CREATE TABLE usage (
    deployment_id uuid NOT NULL,
    at            timestamptz NOT NULL,
    requests      bigint NOT NULL,
    errors        bigint NOT NULL,
    -- By the bounds of titan_proto::latency.
    latencies     bigint[] NOT NULL,
    cpu_ms        bigint NOT NULL,
    -- 0 of who only passed requests on.
    span_ms       bigint NOT NULL,
    memory_bytes  bigint NOT NULL
) PARTITION BY RANGE (at);
CREATE INDEX usage_of ON usage (deployment_id, at);
DO $$
DECLARE day date;
BEGIN
    FOR day IN SELECT generate_series(least((SELECT min(at) FROM sample), now()) AT TIME ZONE 'UTC', (now() AT TIME ZONE 'UTC') + interval '7 days', interval '1 day')::date
    LOOP
        EXECUTE format('CREATE TABLE probe_%1$s PARTITION OF probe FOR VALUES FROM (%2$L) TO (%3$L); CREATE TABLE usage_%1$s PARTITION OF usage FOR VALUES FROM (%2$L) TO (%3$L)',
            to_char(day, 'YYYYMMDD'), day || ' 00:00+00', (day + 1) || ' 00:00+00');
    END LOOP;
END $$;
INSERT INTO probe SELECT * FROM sample;

-- The last report of each source: an earlier one that comes again changes nothing.
CREATE TABLE usage_source (
    source   uuid PRIMARY KEY,
    sequence bigint NOT NULL,
    at       timestamptz NOT NULL DEFAULT now()
);
-- All of an hour, added up as it comes: what is asked for over days needs no samples, which are dropped earlier.
CREATE TABLE hour (
    deployment_id uuid NOT NULL,
    begins_at     timestamptz NOT NULL,
    probes        bigint NOT NULL DEFAULT 0,
    up            bigint NOT NULL DEFAULT 0,
    requests      bigint NOT NULL DEFAULT 0,
    errors        bigint NOT NULL DEFAULT 0,
    latencies     bigint[] NOT NULL DEFAULT '{}',
    cpu_ms        bigint NOT NULL DEFAULT 0,
    span_ms       bigint NOT NULL DEFAULT 0,
    memory_bytes  bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (deployment_id, begins_at)
);
CREATE INDEX hour_age ON hour (begins_at);
INSERT INTO hour (deployment_id, begins_at, probes, up)
SELECT deployment_id, date_trunc('hour', at, 'UTC'), count(*), count(*) FILTER (WHERE up) FROM probe GROUP BY 1, 2;
