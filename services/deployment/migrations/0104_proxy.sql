-- The proxies in front of the apps: who moves an app's requests asks each of them.
CREATE TABLE proxy (
    -- Of its gRPC.
    url text PRIMARY KEY,
    host text NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now()
);
