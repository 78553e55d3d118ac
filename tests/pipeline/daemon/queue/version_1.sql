-- The tables of version 1, and some rows: what the first Etendue with a queue has made.

CREATE TABLE chains (
    fingerprint TEXT NOT NULL,
    name TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (fingerprint)
);

CREATE TABLE daemons (
    id TEXT NOT NULL,
    host TEXT NOT NULL,
    pid BIGINT NOT NULL,
    boot_id TEXT NOT NULL,
    process_start $seconds NOT NULL,
    version TEXT NOT NULL,
    address TEXT NOT NULL,
    beat BIGINT NOT NULL,
    status TEXT NOT NULL,
    started $seconds NOT NULL,
    last_seen $seconds NOT NULL,
    PRIMARY KEY (id)
);

CREATE TABLE jobs (
    id $id,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    state TEXT NOT NULL,
    source TEXT NOT NULL,
    chain TEXT NOT NULL,
    label TEXT NOT NULL,
    path TEXT,
    place BIGINT,
    size BIGINT NOT NULL,
    mtime_ns BIGINT NOT NULL,
    destination TEXT NOT NULL,
    priority BIGINT NOT NULL,
    rank BIGINT NOT NULL,
    reason TEXT NOT NULL,
    night TEXT NOT NULL,
    instrument TEXT NOT NULL,
    facts TEXT NOT NULL,
    payload TEXT NOT NULL,
    memory BIGINT NOT NULL,
    generation BIGINT NOT NULL,
    fingerprint TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    interruptions BIGINT NOT NULL,
    owner TEXT NOT NULL,
    token TEXT NOT NULL,
    not_before $seconds NOT NULL,
    deadline $seconds NOT NULL,
    manifest TEXT NOT NULL,
    staging TEXT NOT NULL,
    created $seconds NOT NULL,
    started $seconds NOT NULL,
    finished $seconds NOT NULL,
    changed $seconds NOT NULL,
    step TEXT NOT NULL,
    error TEXT NOT NULL,
    cause TEXT NOT NULL,
    checksum TEXT NOT NULL,
    seconds $seconds NOT NULL,
    timings TEXT NOT NULL,
    notes TEXT NOT NULL,
    search TEXT NOT NULL,
    revision BIGINT NOT NULL,
    CONSTRAINT known_state CHECK (state IN ('waiting', 'queued', 'running', 'done', 'skipped', 'failed', 'dropped')),
    CONSTRAINT running_is_owned CHECK (state <> 'running' OR (owner <> '' AND token <> '')),
    CONSTRAINT counts CHECK (attempts >= 0 AND interruptions >= 0),
    UNIQUE (key)
)$storage;

CREATE INDEX jobs_chain ON jobs (chain, id);

CREATE INDEX jobs_finished ON jobs (state, finished);

CREATE INDEX jobs_night ON jobs (night, instrument, kind, state);

CREATE UNIQUE INDEX jobs_one_running ON jobs (place, chain) WHERE state = 'running';

CREATE INDEX jobs_place ON jobs (place, chain, id);

CREATE INDEX jobs_revision ON jobs (revision);

CREATE INDEX jobs_source ON jobs (source, id);

CREATE INDEX jobs_state ON jobs (state, id);

CREATE INDEX jobs_to_claim ON jobs (state, priority DESC, rank, id, chain, source, not_before, memory, place) WHERE state = 'queued';

CREATE TABLE pauses (
    chain TEXT NOT NULL,
    reason TEXT NOT NULL,
    who TEXT NOT NULL,
    since $seconds NOT NULL,
    PRIMARY KEY (chain)
);

CREATE TABLE settings (
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (key)
);

CREATE TABLE attempts (
    id $id,
    job $number NOT NULL,
    daemon TEXT NOT NULL,
    started $seconds NOT NULL,
    ended $seconds NOT NULL,
    outcome TEXT NOT NULL,
    step TEXT NOT NULL,
    error TEXT NOT NULL,
    traceback TEXT NOT NULL,
    log TEXT NOT NULL,
    seconds $seconds NOT NULL,
    FOREIGN KEY(job) REFERENCES jobs (id) ON DELETE CASCADE
);

CREATE INDEX ix_attempts_job ON attempts (job);

CREATE TABLE products (
    id $id,
    job $number NOT NULL,
    destination TEXT NOT NULL,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    size BIGINT NOT NULL,
    position BIGINT NOT NULL,
    published INTEGER NOT NULL,
    earlier BIGINT,
    CONSTRAINT one_owner_of_a_name UNIQUE (destination, digest),
    FOREIGN KEY(job) REFERENCES jobs (id) ON DELETE CASCADE
);

CREATE INDEX ix_products_job ON products (job);

INSERT INTO settings (key, value) VALUES ('schema', '1'), ('mark', '01234567');

INSERT INTO jobs VALUES
    (1, 'image', 'key 1', 'done', 'camera', 'photometry', '0001.fits', '/night/0001.fits', 11, 2880,
     1000000000000000001, 'products', 0, 1000000000000000001, '', '2026-03-20', 'a', '{"fwhm": 2.5}', '', 0, 0, 'f1', 1,
     0, 'd1', '01234567aa', 0, 0, '', '', 1000, 1001, 1002, 1002, '', '', '', 'c1', 1.5, '[["read", 0.5, "done"]]', '',
     '/night/0001.fits', 1),
    (2, 'image', 'key 2', 'failed', 'camera', 'photometry', '0002.fits', '/night/0002.fits', 12, 2880,
     1000000000000000002, 'products', 0, 1000000000000000002, '', '', '', '', '', 0, 0, 'f1', 3, 0, 'd1', '01234567ab',
     0, 0, '', '', 1000, 1001, 1002, 1002, 'Photometry', 'cloudy', 'image', '', 1.5, '', '', '/night/0002.fits', 2),
    (3, 'image', 'key 3', 'queued', 'camera', 'photometry', '0003.fits', '/night/0003.fits', 13, 2880,
     1000000000000000003, 'products', 0, 1000000000000000003, '', '', '', '', '', 0, 0, '', 0, 0, '', '', 0, 0, '', '',
     1000, 0, 0, 1000, '', '', '', '', 0, '', '', '/night/0003.fits', 3);

INSERT INTO attempts VALUES
    (1, 1, 'd1', 1001, 1002, 'done', '', '', '', 'all is well', 1.5),
    (2, 2, 'd1', 1001, 1002, 'failed', 'Photometry', 'cloudy', 'Traceback', '', 1.5);

INSERT INTO products VALUES (1, 1, 'products', 'a.fits', '$digest', 3, 0, 1, NULL);
