-- How long clicks and postbacks are kept: rows that the owner changes. maintain() drops the days that are older.

CREATE TABLE postback.retention (
    relation text CONSTRAINT retention_pkey PRIMARY KEY,
    keep_for interval,
    dropped_until timestamptz NOT NULL DEFAULT '-infinity',
    CONSTRAINT retention_relation_has_days CHECK (relation IN ('clicks', 'postbacks')),
    CONSTRAINT retention_keeps_what_may_still_count CHECK (keep_for >= interval '90 days')
);
COMMENT ON TABLE postback.retention IS
    'How long the days of clicks and of postbacks are kept. Rollups, conversions with their ledger and the paths of conversions stay. One row each.';
COMMENT ON COLUMN postback.retention.keep_for IS
    'At least 90 days, and the longest click window, whatever is written here. A network that reports late wants more: its click has to be here when it does. '
    'NULL keeps them for ever.';
COMMENT ON COLUMN postback.retention.dropped_until IS
    'maintain() has dropped the days before. What rollups and paths say of them is not worked out again, and a click that comes for one of them later is not in it.';
INSERT INTO postback.retention (relation) VALUES ('clicks'), ('postbacks');
