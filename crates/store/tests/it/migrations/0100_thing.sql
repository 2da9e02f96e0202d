CREATE TABLE thing (name text PRIMARY KEY, times int NOT NULL);
