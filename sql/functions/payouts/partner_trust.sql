-- How far the conversions of partners can be relied on, and the tiers that follow from it.

-- A partner without decided conversions has 0.5; each adds to the certainty. Fraud flags are not in it: they hold or reject conversions,
-- and the rejected count.
CREATE FUNCTION postback.partner_trust(now timestamptz DEFAULT clock_timestamp())
RETURNS TABLE (partner_id bigint, approved bigint, rejected bigint, reversed bigint, decided bigint, trust numeric)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT p.partner_id, c.approved, c.rejected, c.reversed, d.decided, round((c.approved + 1)::numeric / (d.decided + 2), 4)
    FROM postback.partners AS p
    LEFT JOIN (
        SELECT r.partner_id, sum(r.approved) AS approved, sum(r.rejected) AS rejected, sum(r.reversed) AS reversed
        FROM postback.performance('{partner}', partner_trust.now - interval '90 days', partner_trust.now) AS r GROUP BY r.partner_id) AS r
        ON r.partner_id = p.partner_id
    CROSS JOIN LATERAL (SELECT coalesce(r.approved, 0)::bigint, coalesce(r.rejected, 0)::bigint, coalesce(r.reversed, 0)::bigint)
        AS c (approved, rejected, reversed)
    CROSS JOIN LATERAL (SELECT c.approved + c.rejected + c.reversed) AS d (decided)
    ORDER BY p.partner_id;
END
$$;
COMMENT ON FUNCTION postback.partner_trust(timestamptz) IS
    'How far each partner''s conversions of the 90 days before now can be relied on: trust = (approved + 1) / (approved + rejected + reversed + 2), '
    'above 0 and below 1; 0.5 when none is decided.';

-- Promotions and demotions, each rule once an hour. Returns how many partners changed their tier. Partners and rules that somebody else has
-- locked wait for the next time.
CREATE FUNCTION _postback.apply_tier_rules(now timestamptz)
RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    due integer[];
    move record;
    done bigint := 0;
BEGIN
    due := array(
        SELECT r.rule_id FROM postback.tier_rules AS r
        WHERE r.enabled AND r.checked_at <= apply_tier_rules.now - interval '1 hour' ORDER BY r.rule_id FOR NO KEY UPDATE SKIP LOCKED);
    IF due = '{}' THEN
        RETURN 0;
    END IF;
    FOR move IN
        SELECT p.partner_id, r.rule_id, r.to_tier_id, t.trust, t.decided, apply_tier_rules.now - p.tier_since AS time_in_tier
        FROM postback.partners AS p
        JOIN postback.partner_trust(apply_tier_rules.now) AS t ON t.partner_id = p.partner_id
        CROSS JOIN LATERAL (
            SELECT r.* FROM postback.tier_rules AS r
            WHERE r.rule_id = ANY (due) AND r.from_tier_id = p.tier_id AND t.trust >= r.trust_from AND t.trust < r.trust_below
              AND t.decided >= r.min_decided AND p.tier_since < apply_tier_rules.now AND p.tier_since <= apply_tier_rules.now - r.min_time_in_tier
            ORDER BY r.rule_id LIMIT 1) AS r
        ORDER BY p.partner_id FOR NO KEY UPDATE OF p SKIP LOCKED
    LOOP
        UPDATE postback.partners AS p
        SET tier_id = move.to_tier_id, tier_since = apply_tier_rules.now,
            tier_reason = format('rule %s: trust %s of %s decided conversions, %s days in the tier', move.rule_id, move.trust, move.decided,
                floor(extract(epoch FROM move.time_in_tier) / 86400))
        WHERE p.partner_id = move.partner_id;
        done := done + 1;
    END LOOP;
    UPDATE postback.tier_rules AS r SET checked_at = apply_tier_rules.now WHERE r.rule_id = ANY (due);
    RETURN done;
END
$$;
