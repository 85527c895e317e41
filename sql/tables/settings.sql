-- One row: what is made once, at install.

CREATE TABLE _postback.settings (
    only_row boolean CONSTRAINT settings_pkey PRIMARY KEY DEFAULT true,
    code_key bytea NOT NULL,
    installed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT settings_has_one_row CHECK (only_row),
    CONSTRAINT settings_code_key_length CHECK (octet_length(code_key) BETWEEN 16 AND 56)
);
COMMENT ON TABLE _postback.settings IS 'The key of the short codes. Losing it breaks every link that was sent.';

INSERT INTO _postback.settings (code_key) VALUES (_postback.random_bytes(32));
