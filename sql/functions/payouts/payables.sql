-- What partners are due, one row per conversion and reason: derived from what conversions pay now and from the lines of closed statements.

CREATE FUNCTION postback.payables(partner bigint DEFAULT NULL, until timestamptz DEFAULT clock_timestamp())
RETURNS TABLE (
    partner_id bigint, conversion_id text, bucket smallint, converted_at timestamptz, currency text, reason text,
    amount numeric, withheld numeric, forfeited numeric, day date, payout numeric, share numeric, conversion_cap numeric, explanation text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    each bigint;
BEGIN
    PERFORM _postback.check_partner(partner, until);
    FOR each IN SELECT p.partner_id FROM postback.partners AS p WHERE p.partner_id = partner OR partner IS NULL ORDER BY p.partner_id LOOP
        RETURN QUERY SELECT each, d.* FROM _postback.payables_of(each, until) AS d;
    END LOOP;
END
$$;
COMMENT ON FUNCTION postback.payables(bigint, timestamptz) IS
    'What a partner (NULL: each one) is due for conversions before until, one row per conversion and reason. amount is what the next statement pays, withheld '
    'what is not paid yet, forfeited what never will be. share: the tier''s share of the payout; clawback: what was paid and is not earned any more, below 0; '
    'conversion_cap, cap (of the day and month in which day lies); pending, hold, flag (an open fraud flag), currency (not that of the caps), elsewhere (paid to '
    'another partner before the send changed hands), trust: withheld; carried: fractions of a minor unit of earlier statements. Tests earn nothing.';

CREATE FUNCTION _postback.check_partner(partner bigint, until timestamptz)
RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    IF until IS NULL OR NOT isfinite(until) THEN
        RAISE EXCEPTION 'until "%" is not a moment', until USING ERRCODE = 'invalid_parameter_value', HINT = 'Such as date_trunc(''month'', now()).';
    ELSIF partner IS NOT NULL AND NOT EXISTS (SELECT FROM postback.partners AS p WHERE p.partner_id = partner) THEN
        RAISE EXCEPTION 'partner "%" does not exist', partner USING ERRCODE = 'no_data_found',
            HINT = 'SELECT partner_id, name FROM postback.partners lists them.';
    END IF;
END
$$;

-- Earlier conversions are served first. Without caps an amount counts for the day of its conversion; with caps, for that day as far as it
-- has room, and then for the next days with room, or never.
CREATE FUNCTION _postback.payables_of(partner bigint, until timestamptz)
RETURNS TABLE (
    conversion_id text, bucket smallint, converted_at timestamptz, currency text, reason text, amount numeric, withheld numeric,
    forfeited numeric, day date, payout numeric, share numeric, conversion_cap numeric, explanation text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
#variable_conflict use_column
DECLARE
    terms record;
    trust numeric;
    caps text;
    last_day date;
    -- What is taken of the caps: by number of the day and of the month.
    used_of_day numeric[] := '{}';
    used_of_month numeric[] := '{}';
    -- Before it no day from that of the conversion on has room.
    day_with_room date := '-infinity';
    e record;
    taken record;
    own_day date;
    place integer;
    month integer;
    open numeric;
BEGIN
    SELECT t.*, p.time_zone INTO STRICT terms
    FROM postback.partners AS p JOIN postback.payout_tiers AS t ON t.tier_id = p.tier_id WHERE p.partner_id = partner;
    IF terms.min_trust > 0 THEN
        trust := (SELECT t.trust FROM postback.partner_trust(until) AS t WHERE t.partner_id = partner);
    END IF;
    last_day := (until - interval '1 microsecond') AT TIME ZONE terms.time_zone;
    caps := nullif(concat_ws(' and ', terms.daily_cap || ' a day', terms.monthly_cap || ' a month'), '');
    FOR taken IN
        SELECT l.day - date '2000-01-01' AS day, (12 * extract(year FROM l.day) + extract(month FROM l.day))::integer AS month, sum(l.amount) AS amount
        FROM postback.statements AS s JOIN postback.statement_lines AS l ON l.statement_id = s.statement_id
        WHERE caps IS NOT NULL AND s.partner_id = partner AND s.currency = terms.currency AND l.day IS NOT NULL
        GROUP BY l.day
    LOOP
        used_of_day[taken.day] := taken.amount;
        used_of_month[taken.month] := coalesce(used_of_month[taken.month], 0) + taken.amount;
    END LOOP;

    FOR e IN SELECT o.* FROM _postback.open_earnings(partner) AS o LOOP
        CONTINUE WHEN e.due >= 0 AND e.converted_at >= until;
        conversion_id := e.conversion_id;
        bucket := e.bucket;
        converted_at := e.converted_at;
        currency := e.currency;
        payout := e.payout;
        share := e.share;
        conversion_cap := e.conversion_cap;
        withheld := 0;
        forfeited := 0;
        own_day := e.converted_at AT TIME ZONE terms.time_zone;

        IF e.due < 0 THEN
            -- From the days that it was counted for, the last one first: they have room again.
            reason := 'clawback';
            explanation := format('%s was paid; %s', e.paid, CASE WHEN e.is_theirs
                THEN format('the conversion is %s and earns %s', e.status, e.paid + e.due) ELSE 'the conversion is not the partner''s any more' END);
            FOR taken IN
                SELECT n.day, least(n.net, n.net - n.so_far - e.due) AS amount
                FROM (
                    SELECT l.day, sum(l.amount) AS net, sum(sum(l.amount)) OVER (ORDER BY l.day DESC) AS so_far
                    FROM postback.statement_lines AS l JOIN postback.statements AS s ON s.statement_id = l.statement_id
                    WHERE l.conversion_id = e.conversion_id AND l.bucket = e.bucket AND s.partner_id = partner
                    GROUP BY l.day) AS n
                WHERE n.net > 0 AND n.so_far - n.net < -e.due
            LOOP
                amount := -taken.amount;
                day := taken.day;
                IF e.currency = terms.currency THEN
                    place := day - date '2000-01-01';
                    month := 12 * extract(year FROM day) + extract(month FROM day);
                    used_of_day[place] := coalesce(used_of_day[place], 0) + amount;
                    used_of_month[month] := coalesce(used_of_month[month], 0) + amount;
                END IF;
                RETURN NEXT;
            END LOOP;
            CONTINUE;
        END IF;

        reason := CASE
            WHEN e.status = 'pending' THEN 'pending'
            WHEN e.converted_at + terms.hold > until THEN 'hold'
            WHEN e.held_by IS NOT NULL THEN 'flag'
            WHEN e.currency <> terms.currency THEN 'currency'
            WHEN e.is_paid_elsewhere THEN 'elsewhere'
            WHEN trust < terms.min_trust THEN 'trust' END;
        IF reason IS NOT NULL THEN
            amount := 0;
            withheld := CASE WHEN e.status = 'pending' THEN e.worth ELSE e.due END;
            day := own_day;
            explanation := CASE reason
                WHEN 'pending' THEN 'the network has not approved it yet'
                WHEN 'hold' THEN format('on hold until %s', e.converted_at + terms.hold)
                WHEN 'flag' THEN format('held by the fraud rule "%s"', e.held_by)
                WHEN 'currency' THEN format('the caps of the tier are in %s', terms.currency)
                WHEN 'elsewhere' THEN 'it was paid to another partner and is not taken back yet'
                WHEN 'trust' THEN format('the partner''s trust is %s, and the tier asks for %s', trust, terms.min_trust) END;
            IF withheld > 0 THEN
                RETURN NEXT;
            END IF;
            CONTINUE;
        END IF;

        reason := 'share';
        open := e.due;
        day := CASE WHEN terms.above_cap = 'defer' THEN greatest(own_day, day_with_room) ELSE own_day END;
        WHILE open > 0 AND (day = own_day OR day <= last_day) LOOP
            place := day - date '2000-01-01';
            month := 12 * extract(year FROM day) + extract(month FROM day);
            amount := least(open, terms.daily_cap - coalesce(used_of_day[place], 0), terms.monthly_cap - coalesce(used_of_month[month], 0));
            IF amount > 0 THEN
                explanation := concat_ws(', ', format('%s %% of %s %s', trim_scale(e.share * 100), e.payout, e.currency),
                    CASE WHEN e.worth = e.conversion_cap THEN format('at most %s', e.conversion_cap) END,
                    CASE WHEN e.paid > 0 THEN format('%s of it paid before', e.paid) END,
                    CASE WHEN day <> own_day THEN format('counted for %s', day) END);
                used_of_day[place] := coalesce(used_of_day[place], 0) + amount;
                used_of_month[month] := coalesce(used_of_month[month], 0) + amount;
                open := open - amount;
                RETURN NEXT;
            END IF;
            -- Under a cap of nothing no day has room.
            EXIT WHEN open = 0 OR terms.above_cap = 'forfeit' OR terms.daily_cap <= 0 OR terms.monthly_cap <= 0;
            day := day + 1;
        END LOOP;
        day_with_room := day;

        amount := 0;
        day := own_day;
        IF open > 0 THEN
            reason := 'cap';
            IF terms.above_cap = 'forfeit' THEN
                forfeited := open;
                explanation := format('above the cap of %s', caps);
            ELSE
                withheld := open;
                explanation := format('above the cap of %s: counts for the next day with room', caps);
            END IF;
            RETURN NEXT;
            withheld := 0;
        END IF;
        IF e.newly_capped > 0 THEN
            reason := 'conversion_cap';
            forfeited := e.newly_capped;
            explanation := format('above the cap of %s a conversion', e.conversion_cap);
            RETURN NEXT;
        END IF;
    END LOOP;

    -- What earlier statements left over below a minor unit.
    RETURN QUERY
    SELECT NULL::text, NULL::smallint, NULL::timestamptz, s.currency::text, 'carried', -sum(l.amount), 0::numeric, 0::numeric, NULL::date,
           NULL::numeric, NULL::numeric, NULL::numeric, 'fractions of a minor unit of earlier statements'
    FROM postback.statements AS s JOIN postback.statement_lines AS l ON l.statement_id = s.statement_id
    WHERE s.partner_id = partner AND l.conversion_id IS NULL
    GROUP BY s.currency HAVING sum(l.amount) <> 0;
END
$$;
