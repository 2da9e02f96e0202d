-- The deployment that takes over this one's data: as long as it is set, requests wait, and this one's process is not started unless the other
-- one has failed.
ALTER TABLE deployment ADD COLUMN held_for uuid REFERENCES deployment;
