-- The library, version 3. What is known of a video goes with its row in `videos`.

CREATE TABLE videos (
    sha256 TEXT PRIMARY KEY,
    path TEXT NOT NULL,                 -- where it was seen last
    name TEXT NOT NULL,                 -- the last part of that path
    probe TEXT NOT NULL,                -- JSON of tools.media.video.Video
    added TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX videos_by_path ON videos (path);
CREATE INDEX videos_by_name ON videos (name);

CREATE TABLE files (                    -- spares hashing a file that has not changed
    path TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    video TEXT NOT NULL REFERENCES videos ON DELETE CASCADE
);
CREATE INDEX files_by_video ON files (video);

CREATE TABLE deleted (                  -- videos whose folders may still have to be removed
    video TEXT PRIMARY KEY,
    at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
);

-- Runs of tools and what they found.

CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used again
    tag TEXT NOT NULL UNIQUE,           -- the run in the id of its evidence, on any machine the same
    video TEXT NOT NULL REFERENCES videos ON DELETE CASCADE,
    tool TEXT NOT NULL,
    key TEXT NOT NULL,                  -- hash of tool, version, options, sampling, model
    settings TEXT NOT NULL,             -- the same in words, JSON
    status TEXT NOT NULL CHECK (status IN ('ok', 'empty')),
    seconds REAL NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    finished TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    UNIQUE (video, tool, key)
);
CREATE TABLE pieces (                   -- what a run that has not finished did so far
    video TEXT NOT NULL REFERENCES videos ON DELETE CASCADE,
    tool TEXT NOT NULL,
    key TEXT NOT NULL,                  -- as of the run
    name TEXT NOT NULL,
    value TEXT NOT NULL,                -- JSON
    PRIMARY KEY (video, tool, key, name)
) WITHOUT ROWID;
CREATE TABLE evidence (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    number INTEGER NOT NULL,            -- position within the run
    kind TEXT NOT NULL,
    start_s REAL NOT NULL,
    end_s REAL NOT NULL,
    text TEXT NOT NULL,
    pairs TEXT NOT NULL,                -- agent.text.letter_pairs of the text
    score REAL NOT NULL,
    data TEXT NOT NULL
);
CREATE UNIQUE INDEX evidence_by_run ON evidence (run, number);

-- Search.

CREATE TABLE embeddings (
    evidence INTEGER NOT NULL REFERENCES evidence ON DELETE CASCADE,
    model TEXT NOT NULL,
    vector BLOB NOT NULL,               -- float32, unit length
    PRIMARY KEY (evidence, model)
) WITHOUT ROWID;
CREATE TABLE indexes (                  -- of the vectors of some runs
    video TEXT NOT NULL REFERENCES videos ON DELETE CASCADE,
    model TEXT NOT NULL,
    runs TEXT NOT NULL,                 -- their ids, ascending, with a comma between
    evidence TEXT NOT NULL,             -- hash of the evidence rows in the order of the vectors
    faiss BLOB NOT NULL,
    PRIMARY KEY (video, model, runs)
);
CREATE VIRTUAL TABLE evidence_text USING fts5 (
    text, pairs, content = 'evidence', content_rowid = 'id',
    tokenize = "porter unicode61 categories 'L* N* Co Mn Mc'"
);
CREATE TRIGGER evidence_added AFTER INSERT ON evidence BEGIN
    INSERT INTO evidence_text (rowid, text, pairs) VALUES (new.id, new.text, new.pairs);
END;
CREATE TRIGGER evidence_gone AFTER DELETE ON evidence BEGIN
    INSERT INTO evidence_text (evidence_text, rowid, text, pairs)
    VALUES ('delete', old.id, old.text, old.pairs);
END;

-- What chat models said of a video; none of it is a run of a tool.

CREATE TABLE captions (
    id INTEGER PRIMARY KEY,
    tag TEXT NOT NULL UNIQUE,           -- as of a run
    video TEXT NOT NULL REFERENCES videos ON DELETE CASCADE,
    key TEXT NOT NULL,                  -- hash of clip, captioner, prompt and how it is written
    settings TEXT NOT NULL,             -- the same in words, JSON
    start_s REAL NOT NULL,
    end_s REAL NOT NULL,
    text TEXT NOT NULL,                 -- empty if the captioner said nothing
    seconds REAL NOT NULL,
    made TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    UNIQUE (video, key)
);
CREATE TABLE replies (
    id INTEGER PRIMARY KEY,
    video TEXT NOT NULL REFERENCES videos ON DELETE CASCADE,
    key TEXT NOT NULL,                  -- hash of what was asked, of whom and how
    settings TEXT NOT NULL,             -- the same in words, JSON
    text TEXT NOT NULL,
    seconds REAL NOT NULL,
    made TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    UNIQUE (video, key)
);
