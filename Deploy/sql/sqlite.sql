-- What Understudy keeps in an SQLite file; a node makes these tables in a new file by itself, and so does
-- `understudy storage init`. The article Storage says what the columns mean.

CREATE TABLE IF NOT EXISTS version (
    table_name VARCHAR(32) NOT NULL,
    table_version INTEGER DEFAULT 0 NOT NULL,
    CONSTRAINT version_table_name_idx UNIQUE (table_name)
);

-- Each node that writes here, and until when it had written all that it knew.
CREATE TABLE IF NOT EXISTS understudy_node (
    name TEXT PRIMARY KEY NOT NULL,
    known_until_ms INTEGER NOT NULL
);

-- The records, byte for byte. Times are Unix milliseconds; the age is the dialog's, when it was saved.
CREATE TABLE IF NOT EXISTS understudy_record (
    did INTEGER PRIMARY KEY NOT NULL,
    record BLOB NOT NULL,
    age_ms INTEGER NOT NULL,
    saved_ms INTEGER NOT NULL,
    deadline_ms INTEGER,
    writer TEXT NOT NULL,
    held_back INTEGER DEFAULT 0 NOT NULL
);

CREATE INDEX IF NOT EXISTS understudy_record_held_back ON understudy_record (deadline_ms) WHERE held_back = 1;

INSERT OR IGNORE INTO version (table_name, table_version) VALUES ('understudy_node', 1), ('understudy_record', 1);
