-- Requests that were promised to be kept and that no function will take: nobody's conversion, but somebody's work.

CREATE TABLE postback.dead_letters (
    kind text NOT NULL,
    request_id text COLLATE "C" NOT NULL,
    requested_at timestamptz NOT NULL,
    request jsonb NOT NULL,
    record bytea NOT NULL,
    failure text NOT NULL,
    kept_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT dead_letters_pkey PRIMARY KEY (kind, request_id, requested_at),
    CONSTRAINT dead_letters_kind_is_known CHECK (kind IN ('click', 'postback'))
);
CREATE INDEX dead_letters_kept_at_idx ON postback.dead_letters (kept_at);
COMMENT ON TABLE postback.dead_letters IS 'Spooled clicks and postbacks that the database refused when the spool was drained. Empty when all is well.';
COMMENT ON COLUMN postback.dead_letters.request_id IS 'Click id or postback id.';
COMMENT ON COLUMN postback.dead_letters.requested_at IS 'When the request came to the proxy.';
COMMENT ON COLUMN postback.dead_letters.request IS 'The request in readable form; bytes that are no text are replaced. May hold a network''s token.';
COMMENT ON COLUMN postback.dead_letters.record IS 'The record of the spool, byte for byte.';
COMMENT ON COLUMN postback.dead_letters.failure IS 'SQLSTATE of the refusal, or: no such link. replay_dead_letters() tries again.';
