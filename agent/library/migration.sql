-- From version 1 or 2 to 3: replies and captions leave the runs of tools. Version 1 has no pieces.
-- The old tables were renamed before, all in one transaction.

INSERT INTO videos (sha256, path, name, probe, added)
SELECT sha256, path, file_name(path), probe, added FROM old_videos;

INSERT INTO files (path, size, mtime_ns, video)
SELECT path, size, mtime_ns, video FROM old_files;

INSERT INTO pieces (video, tool, key, name, value)
SELECT video, tool, key, name, value FROM old_pieces;

INSERT INTO replies (video, key, settings, text, seconds, made)
SELECT video, key, settings, coalesce(text, ''), seconds, finished
FROM old_runs LEFT JOIN old_evidence ON run = old_runs.id AND number = 0
WHERE tool = 'reply' AND json_extract(settings, '$.asked') IS NOT NULL
ORDER BY old_runs.id;

INSERT INTO captions (tag, video, key, settings, start_s, end_s, text, seconds, made)
SELECT
    run_tag(video, tool, key), video, key, settings, json_extract(settings, '$.clip[0]'),
    json_extract(settings, '$.clip[1]'), coalesce(text, ''), seconds, finished
FROM old_runs LEFT JOIN old_evidence ON run = old_runs.id AND number = 0
WHERE tool = 'captions' AND json_extract(settings, '$.clip') IS NOT NULL
ORDER BY old_runs.id;

INSERT INTO runs (id, tag, video, tool, key, settings, status, seconds, reason, finished)
SELECT
    id, run_tag(video, tool, key), video, tool, key, settings, status, seconds, reason, finished
FROM old_runs
WHERE NOT (tool = 'reply' AND json_extract(settings, '$.asked') IS NOT NULL)
    AND NOT (tool = 'captions' AND json_extract(settings, '$.clip') IS NOT NULL)
ORDER BY id;

INSERT INTO evidence (id, run, number, kind, start_s, end_s, text, pairs, score, data)
SELECT id, run, number, kind, start_s, end_s, text, letter_pairs(text), score, data
FROM old_evidence WHERE run IN (SELECT id FROM runs) ORDER BY id;

INSERT INTO embeddings (evidence, model, vector)
SELECT evidence, model, vector FROM old_embeddings WHERE evidence IN (SELECT id FROM evidence);

DROP TABLE old_embeddings;
DROP TABLE old_evidence;
DROP TABLE old_pieces;
DROP TABLE old_runs;
DROP TABLE old_files;
DROP TABLE old_videos;
