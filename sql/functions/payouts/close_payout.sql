-- Freezes what a partner is due into statements, one per currency.

CREATE FUNCTION postback.close_payout(
    partner bigint, until timestamptz DEFAULT NULL, now timestamptz DEFAULT clock_timestamp())
RETURNS TABLE (statement_id bigint, currency text, amount numeric, lines integer, is_new boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    up_to CONSTANT timestamptz := coalesce(until, now);
    last_number bigint;
    terms record;
    closed record;
BEGIN
    IF partner IS NULL THEN
        RAISE EXCEPTION 'a payout needs a partner' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    PERFORM _postback.check_partner(partner, up_to);
    IF up_to > least(now, clock_timestamp()) THEN
        RAISE EXCEPTION 'until "%" is in the future', up_to USING ERRCODE = 'invalid_parameter_value',
            HINT = 'A statement is about what was. payables() may look ahead.';
    END IF;
    -- Closings one after another: each sees the lines of the one before, or (repeatable read) gives up with a serialization failure.
    SELECT n.last INTO STRICT last_number FROM _postback.statement_number AS n FOR UPDATE;
    SELECT p.tier_id, p.time_zone INTO STRICT terms FROM postback.partners AS p WHERE p.partner_id = partner FOR SHARE;

    FOR closed IN
        WITH due AS MATERIALIZED (
            SELECT d.*, row_number() OVER (PARTITION BY d.currency) AS line
            FROM _postback.payables_of(partner, up_to) AS d WHERE d.amount <> 0 OR d.forfeited > 0
        ), total AS MATERIALIZED (
            -- In whole minor units, for nothing smaller can be transferred.
            SELECT t.currency, t.due, t.amount, t.lines, last_number + row_number() OVER (ORDER BY t.currency) AS statement_id
            FROM (
                SELECT d.currency, sum(d.amount) AS due, trunc(sum(d.amount), _postback.minor_units(d.currency)) AS amount, count(*) AS lines
                FROM due AS d GROUP BY d.currency) AS t
            WHERE t.amount > 0 AND NOT EXISTS (
                SELECT FROM postback.statements AS s
                WHERE s.partner_id = partner AND s.currency = t.currency AND s.until = up_to)
        ), written AS (
            INSERT INTO postback.statement_lines (statement_id, line, conversion_id, bucket, reason, amount, forfeited, day, payout, share,
                conversion_cap, explanation)
            SELECT t.statement_id, d.line, d.conversion_id, d.bucket, d.reason, d.amount, d.forfeited, d.day, d.payout, d.share,
                   d.conversion_cap, d.explanation
            FROM due AS d JOIN total AS t ON t.currency = d.currency
            UNION ALL
            SELECT t.statement_id, t.lines + 1, NULL, NULL, 'rounding', t.amount - t.due, 0, NULL, NULL, NULL, NULL,
                   'fractions of a minor unit, for the next statement'
            FROM total AS t WHERE t.amount <> t.due
        )
        SELECT t.statement_id, t.currency, t.amount, (t.lines + (t.amount <> t.due)::integer)::integer AS lines FROM total AS t ORDER BY t.statement_id
    LOOP
        INSERT INTO postback.statements (statement_id, partner_id, currency, until, amount, lines, tier_id, time_zone, closed_at, actor)
        VALUES (closed.statement_id, partner, closed.currency, up_to, closed.amount, closed.lines, terms.tier_id, terms.time_zone,
            now, session_user::text);
        UPDATE _postback.statement_number SET last = closed.statement_id;
    END LOOP;
    RETURN QUERY
    SELECT s.statement_id, s.currency::text, s.amount, s.lines, s.statement_id > last_number
    FROM postback.statements AS s WHERE s.partner_id = partner AND s.until = up_to ORDER BY s.currency;
END
$$;
COMMENT ON FUNCTION postback.close_payout(bigint, timestamptz, timestamptz) IS
    'Closes what payables() says is due to a partner until then (now, unless named) and returns its statements, one per currency. The same period again '
    'returns the same statements and writes nothing: what became due later is in those of the next period. A currency whose sum is less than one minor '
    'unit gets no statement; a debt is set against what comes. What a statement has paid or forfeited is never paid again.';
