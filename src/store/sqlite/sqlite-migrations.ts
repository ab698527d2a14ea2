/** "LKey": marks the file as ours (PRAGMA application_id). */
export const applicationId = 0x4c4b6579;

/**
 * What makes each version of the schema out of the one before. Only ever add to the end. Columns hold what must be
 * searched or compared; everything else of a record is sealed.
 */
export const migrations: readonly string[] = [
  `
  CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;

  CREATE TABLE login_sessions (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    handle TEXT NOT NULL UNIQUE,
    user_hash TEXT NOT NULL,
    refresh_hash TEXT,
    consumed_hash TEXT,
    imported_hash TEXT,
    version INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    state TEXT NOT NULL,
    created_at REAL NOT NULL,
    due_at REAL,
    sealed TEXT NOT NULL,
    writer TEXT NOT NULL,
    change INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX login_sessions_user ON login_sessions (user_hash);
  CREATE INDEX login_sessions_refresh ON login_sessions (refresh_hash) WHERE refresh_hash IS NOT NULL;
  CREATE INDEX login_sessions_consumed ON login_sessions (consumed_hash) WHERE consumed_hash IS NOT NULL;
  CREATE INDEX login_sessions_imported ON login_sessions (imported_hash) WHERE imported_hash IS NOT NULL;
  CREATE INDEX login_sessions_due ON login_sessions (due_at) WHERE due_at IS NOT NULL;
  CREATE UNIQUE INDEX login_sessions_change ON login_sessions (change);

  CREATE TABLE removals (change INTEGER PRIMARY KEY, id TEXT NOT NULL, writer TEXT NOT NULL) STRICT;

  CREATE TABLE due_shift (row INTEGER PRIMARY KEY, by_ms REAL NOT NULL, writer TEXT NOT NULL, at REAL NOT NULL) STRICT;

  CREATE TABLE connection_keys (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    hash TEXT NOT NULL UNIQUE,
    id TEXT NOT NULL,
    login_session_id TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at REAL NOT NULL,
    expires_at REAL,
    mac TEXT NOT NULL,
    UNIQUE (login_session_id, id)
  ) STRICT;

  CREATE TABLE browser_sessions (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    login_session_ids TEXT NOT NULL,
    created_at REAL NOT NULL,
    expires_at REAL NOT NULL,
    made_by TEXT NOT NULL,
    signed_in_at REAL NOT NULL,
    mac TEXT NOT NULL
  ) STRICT;
  CREATE INDEX browser_sessions_made_by ON browser_sessions (made_by);
  CREATE INDEX browser_sessions_expires ON browser_sessions (expires_at);

  CREATE TABLE login_transactions (
    state_hash TEXT PRIMARY KEY,
    expires_at REAL NOT NULL,
    sealed TEXT NOT NULL
  ) STRICT;
  CREATE INDEX login_transactions_expires ON login_transactions (expires_at);

  CREATE TABLE import_intents (hash TEXT PRIMARY KEY, owner TEXT NOT NULL, expires_at REAL NOT NULL) STRICT;
  CREATE INDEX import_intents_expires ON import_intents (expires_at);
  `,
  `
  ALTER TABLE login_sessions ADD COLUMN key_id TEXT;
  CREATE INDEX login_sessions_key ON login_sessions (key_id);

  CREATE TABLE used_ids (hash TEXT PRIMARY KEY, expires_at REAL NOT NULL) STRICT;
  CREATE INDEX used_ids_expires ON used_ids (expires_at);

  CREATE TABLE replicas (id TEXT PRIMARY KEY, lease_until REAL NOT NULL) STRICT;

  CREATE TABLE authorization_server_records (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    id_hash TEXT NOT NULL UNIQUE,
    grant_hash TEXT,
    uid_hash TEXT,
    user_code_hash TEXT,
    expires_at REAL,
    consumed_at REAL,
    sealed TEXT NOT NULL,
    key_id TEXT
  ) STRICT;
  CREATE INDEX authorization_server_records_grant ON authorization_server_records (grant_hash) WHERE grant_hash IS NOT NULL;
  CREATE INDEX authorization_server_records_uid ON authorization_server_records (uid_hash) WHERE uid_hash IS NOT NULL;
  CREATE INDEX authorization_server_records_user_code ON authorization_server_records (user_code_hash) WHERE user_code_hash IS NOT NULL;
  CREATE INDEX authorization_server_records_expires ON authorization_server_records (expires_at) WHERE expires_at IS NOT NULL;
  CREATE INDEX authorization_server_records_key ON authorization_server_records (key_id);
  `,
  `
  CREATE TABLE profiles (
    name TEXT PRIMARY KEY,
    login_session_id TEXT NOT NULL,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    client_id TEXT NOT NULL,
    mac TEXT NOT NULL
  ) STRICT;
  `,
  `
  ALTER TABLE login_sessions ADD COLUMN sid_hash TEXT;
  CREATE INDEX login_sessions_sid ON login_sessions (sid_hash) WHERE sid_hash IS NOT NULL;
  `,
];
