-- Statements: what was paid to partners, for what. Written by close_payout(), and never changed.

CREATE TABLE postback.statements (
    statement_id bigint CONSTRAINT statements_pkey PRIMARY KEY,
    partner_id bigint NOT NULL CONSTRAINT statements_partner_fkey REFERENCES postback.partners,
    currency postback.currency NOT NULL,
    until timestamptz NOT NULL,
    amount numeric NOT NULL,
    lines integer NOT NULL,
    tier_id integer NOT NULL CONSTRAINT statements_tier_fkey REFERENCES postback.payout_tiers,
    time_zone text NOT NULL,
    closed_at timestamptz NOT NULL,
    actor text NOT NULL,
    CONSTRAINT statements_period_key UNIQUE (partner_id, currency, until),
    CONSTRAINT statements_until_is_finite CHECK (isfinite(until)),
    CONSTRAINT statements_amount_is_positive CHECK (amount > 0 AND amount < 'Infinity')
);
COMMENT ON TABLE postback.statements IS
    'Append-only: what each partner was paid. The numbers have no gaps: one is a fit reference for the transfer of its money.';
COMMENT ON COLUMN postback.statements.until IS 'The end of its period: conversions before it whose hold was over by then.';
COMMENT ON COLUMN postback.statements.amount IS 'What is to be transferred, in whole minor units of currency: the sum of its lines.';
COMMENT ON COLUMN postback.statements.lines IS 'How many lines it has.';
COMMENT ON COLUMN postback.statements.tier_id IS 'Tier of the partner when it was closed, whose hold and caps were applied.';
COMMENT ON COLUMN postback.statements.time_zone IS 'Time zone of the days of its lines.';
COMMENT ON COLUMN postback.statements.actor IS 'Session user that closed it.';

CREATE TABLE postback.statement_lines (
    statement_id bigint NOT NULL,
    line integer NOT NULL,
    conversion_id text COLLATE "C",
    bucket smallint,
    reason text NOT NULL,
    amount numeric NOT NULL,
    forfeited numeric NOT NULL,
    day date,
    payout numeric,
    share numeric,
    conversion_cap numeric,
    explanation text NOT NULL,
    CONSTRAINT statement_lines_pkey PRIMARY KEY (statement_id, line),
    -- The lines are written first: no line can be added to a statement that exists.
    CONSTRAINT statement_lines_statement_fkey FOREIGN KEY (statement_id) REFERENCES postback.statements DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT statement_lines_amounts_are_finite CHECK (abs(amount) < 'Infinity' AND forfeited >= 0 AND forfeited < 'Infinity'),
    CONSTRAINT statement_lines_are_about_something CHECK ((conversion_id IS NULL) = (bucket IS NULL))
);
CREATE INDEX statement_lines_conversion_idx ON postback.statement_lines (conversion_id, bucket);
COMMENT ON TABLE postback.statement_lines IS 'Append-only: the rows of payables() that a statement settled.';
COMMENT ON COLUMN postback.statement_lines.conversion_id IS 'NULL for the fractions of a minor unit, which are carried from one statement to the next.';
COMMENT ON COLUMN postback.statement_lines.amount IS 'What it adds to the statement, in its currency: negative for a clawback.';
COMMENT ON COLUMN postback.statement_lines.forfeited IS 'What the partner would have earned and is never paid, for a cap.';
COMMENT ON COLUMN postback.statement_lines.day IS 'The day whose cap the amount counts for, and that of its month.';
COMMENT ON COLUMN postback.statement_lines.payout IS 'Payout of the conversion when the statement was closed.';
COMMENT ON COLUMN postback.statement_lines.share IS 'Share of the conversion''s tier; from its first line on it stays as it is. So does conversion_cap.';

-- The last number given; whoever closes holds its lock.
CREATE TABLE _postback.statement_number (
    only_row boolean CONSTRAINT statement_number_pkey PRIMARY KEY DEFAULT true,
    last bigint NOT NULL DEFAULT 0,
    CONSTRAINT statement_number_has_one_row CHECK (only_row)
);
COMMENT ON TABLE _postback.statement_number IS 'Number of the last statement. Its lock puts closings in a row.';
INSERT INTO _postback.statement_number DEFAULT VALUES;

CREATE TRIGGER check_statement AFTER INSERT ON postback.statements
    FOR EACH ROW EXECUTE FUNCTION _postback.check_statement();
CREATE TRIGGER keep_statements BEFORE UPDATE OR DELETE ON postback.statements
    FOR EACH ROW EXECUTE FUNCTION _postback.refuse_change('A closed statement stays as it is: what changes later is in the next one.');
CREATE TRIGGER keep_statements_whole BEFORE TRUNCATE ON postback.statements
    FOR EACH STATEMENT EXECUTE FUNCTION _postback.refuse_change('A closed statement stays as it is: what changes later is in the next one.');
CREATE TRIGGER refuse_late_line BEFORE INSERT ON postback.statement_lines
    FOR EACH ROW EXECUTE FUNCTION _postback.refuse_late_line();
CREATE TRIGGER keep_statement_lines BEFORE UPDATE OR DELETE ON postback.statement_lines
    FOR EACH ROW EXECUTE FUNCTION _postback.refuse_change('A closed statement stays as it is: what changes later is in the next one.');
CREATE TRIGGER keep_statement_lines_whole BEFORE TRUNCATE ON postback.statement_lines
    FOR EACH STATEMENT EXECUTE FUNCTION _postback.refuse_change('A closed statement stays as it is: what changes later is in the next one.');
ALTER TABLE postback.statements ENABLE ALWAYS TRIGGER keep_statements;
ALTER TABLE postback.statements ENABLE ALWAYS TRIGGER keep_statements_whole;
ALTER TABLE postback.statement_lines ENABLE ALWAYS TRIGGER keep_statement_lines;
ALTER TABLE postback.statement_lines ENABLE ALWAYS TRIGGER keep_statement_lines_whole;
