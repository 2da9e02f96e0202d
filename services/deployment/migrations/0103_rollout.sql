-- How traffic comes to a new version.
ALTER TABLE deployment
    -- 'rolling', 'blue_green' or 'canary'.
    ADD COLUMN strategy text NOT NULL DEFAULT 'rolling',
    -- Of the requests, in percent, while it is tried out.
    ADD COLUMN share int NOT NULL DEFAULT 100,
    -- How long it is tried out beside the version before it, which stays ready meanwhile.
    ADD COLUMN observe_s int NOT NULL DEFAULT 0,
    -- Since when it is; its state is still 'starting'.
    ADD COLUMN observed_since timestamptz,
    -- It waits for somebody to approve it.
    ADD COLUMN awaits_approval boolean NOT NULL DEFAULT false;
