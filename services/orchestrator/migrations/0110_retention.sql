-- Keys of submissions are dropped by age; rows are stored in its order.
CREATE INDEX submission_age ON submission USING brin (created_at);
