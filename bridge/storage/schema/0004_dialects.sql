-- What other systems' clients need: settings made over HTTP, exports, callbacks.

-- What an admin sets over HTTP; it stands over the configuration. `value` is JSON.
CREATE TABLE settings (
    name TEXT PRIMARY KEY,
    systemname TEXT NOT NULL,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Exports of recordings (`bridge.core.exports`, JSON); their zips lie beside the database.
CREATE TABLE exports (
    id TEXT PRIMARY KEY,
    systemname TEXT NOT NULL,
    asked_at INTEGER NOT NULL,
    kept TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX exports_asked ON exports (asked_at, id);

PRAGMA user_version = 4;
