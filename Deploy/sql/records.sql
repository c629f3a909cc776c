-- What Understudy keeps in a database; `understudy storage init` makes these tables, and so does a node in a new SQLite
-- file. The article Storage says what the columns mean. As PostgreSQL has it; for SQLite BIGSERIAL becomes INTEGER,
-- and BYTEA becomes BLOB.

CREATE TABLE IF NOT EXISTS version (
    table_name VARCHAR(32) NOT NULL,
    table_version INTEGER DEFAULT 0 NOT NULL,
    CONSTRAINT version_table_name_idx UNIQUE (table_name)
);

-- Each node that writes here, and until when it had written all that it knew.
CREATE TABLE IF NOT EXISTS understudy_node (
    name TEXT PRIMARY KEY NOT NULL,
    known_until_ms BIGINT NOT NULL
);

-- The records, byte for byte. Times are Unix milliseconds; the age is the dialog's, when it was saved.
CREATE TABLE IF NOT EXISTS understudy_record (
    did BIGINT PRIMARY KEY NOT NULL,
    record BYTEA NOT NULL,
    age_ms BIGINT NOT NULL,
    saved_ms BIGINT NOT NULL,
    deadline_ms BIGINT,
    writer TEXT NOT NULL,
    held_back INTEGER DEFAULT 0 NOT NULL
);

CREATE INDEX IF NOT EXISTS understudy_record_held_back ON understudy_record (deadline_ms) WHERE held_back = 1;

INSERT INTO version (table_name, table_version) VALUES ('understudy_node', 1), ('understudy_record', 1)
    ON CONFLICT (table_name) DO NOTHING;
