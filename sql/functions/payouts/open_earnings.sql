-- What each conversion of a partner is worth to the partner, beside what statements have settled of it.

-- One row per conversion of which something is open: due is what it earns and no statement has settled, below 0 what was paid too much.
-- Its share and conversion_cap are those of its first line in a statement, else of the partner's tier when it converted. worth is what it
-- will earn once it is approved.
CREATE FUNCTION _postback.open_earnings(partner bigint)
RETURNS TABLE (
    conversion_id text, bucket smallint, converted_at timestamptz, status postback.conversion_status, currency text, payout numeric,
    share numeric, conversion_cap numeric, worth numeric, due numeric, newly_capped numeric, paid numeric, is_theirs boolean,
    is_paid_elsewhere boolean, held_by text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan AS $$
#variable_conflict use_column
DECLARE
    their_sends CONSTANT bigint[] := array(SELECT s.send_id FROM postback.sends AS s WHERE s.partner_id = partner);
    their_campaigns CONSTANT bigint[] := array(SELECT c.campaign_id FROM postback.campaigns AS c WHERE c.partner_id = partner);
BEGIN
    RETURN QUERY
    WITH theirs AS (
        SELECT c.conversion_id, c.bucket FROM postback.conversions AS c WHERE c.send_id = ANY (their_sends) AND NOT c.is_test
        UNION ALL
        SELECT c.conversion_id, c.bucket FROM postback.conversions AS c
        WHERE c.send_id IS NULL AND c.campaign_id = ANY (their_campaigns) AND NOT c.is_test
    ), settled AS (
        SELECT l.conversion_id, l.bucket, sum(l.amount) AS paid, coalesce(sum(l.forfeited) FILTER (WHERE l.reason = 'cap'), 0) AS forfeited,
               coalesce(sum(l.forfeited) FILTER (WHERE l.reason = 'conversion_cap'), 0) AS capped,
               min(l.share) AS share, min(l.conversion_cap) AS conversion_cap
        FROM postback.statements AS s JOIN postback.statement_lines AS l ON l.statement_id = s.statement_id
        WHERE s.partner_id = partner AND l.conversion_id IS NOT NULL
        GROUP BY l.conversion_id, l.bucket
    ), tier AS MATERIALIZED (
        SELECT t.share, t.conversion_cap::numeric, t.currency::text,
               CASE WHEN lag(h.changed_at) OVER (ORDER BY h.changed_at) IS NULL THEN '-infinity' ELSE h.changed_at END AS since,
               lead(h.changed_at, 1, 'infinity') OVER (ORDER BY h.changed_at) AS until
        FROM postback.tier_changes AS h JOIN postback.payout_tiers AS t ON t.tier_id = h.tier_id
        WHERE h.partner_id = partner
    ), known AS (
        SELECT coalesce(m.conversion_id, s.conversion_id) AS conversion_id, coalesce(m.bucket, s.bucket) AS bucket, m.conversion_id IS NOT NULL AS is_theirs,
               s.conversion_id IS NOT NULL AS is_settled, coalesce(s.paid, 0) AS paid, coalesce(s.forfeited, 0) AS forfeited,
               coalesce(s.capped, 0) AS capped, s.share, s.conversion_cap
        FROM theirs AS m FULL JOIN settled AS s ON s.conversion_id = m.conversion_id AND s.bucket = m.bucket
    )
    SELECT k.conversion_id, k.bucket, c.converted_at, c.status, c.currency::text, c.payout::numeric, e.share, e.conversion_cap,
           w.worth, d.due, greatest(g.gross - w.worth - k.capped, 0), k.paid, k.is_theirs,
           -- On balance, before its send changed hands.
           EXISTS (
               SELECT FROM postback.statement_lines AS l JOIN postback.statements AS s ON s.statement_id = l.statement_id
               WHERE l.conversion_id = k.conversion_id AND l.bucket = k.bucket AND s.partner_id <> partner
               GROUP BY s.partner_id HAVING sum(l.amount) > 0),
           coalesce(
               (SELECT min(h.rule) FROM _postback.held_conversions AS h WHERE h.conversion_id = k.conversion_id AND h.bucket = k.bucket),
               -- Before a scan has told it so: its click is flagged, and nobody has decided about the conversion.
               (SELECT min(i.rule) FROM _postback.flag_items AS i JOIN _postback.holding_flags AS f ON f.flag_id = i.flag_id
                WHERE i.item = c.click_id AND i.kind = 'click'
                  AND NOT EXISTS (
                      SELECT FROM _postback.flag_items AS o
                      WHERE o.rule = i.rule AND o.subject = i.subject AND o.kind = 'conversion' AND o.item = k.conversion_id)))
    FROM known AS k
    JOIN postback.conversions AS c ON c.conversion_id = k.conversion_id AND c.bucket = k.bucket
    JOIN tier AS t ON c.converted_at >= t.since AND c.converted_at < t.until
    CROSS JOIN LATERAL (SELECT CASE WHEN k.is_settled THEN k.share ELSE t.share END, CASE WHEN k.is_settled THEN k.conversion_cap WHEN c.currency = t.currency THEN t.conversion_cap END)
        AS e (share, conversion_cap)
    -- In the currency's minor unit, or in the payout's last decimal where that is finer.
    CROSS JOIN LATERAL (SELECT CASE WHEN k.is_theirs THEN round(c.payout * e.share, greatest(_postback.minor_units(c.currency), min_scale(c.payout))) ELSE 0 END)
        AS g (gross)
    CROSS JOIN LATERAL (SELECT least(g.gross, e.conversion_cap)) AS w (worth)
    CROSS JOIN LATERAL (SELECT CASE WHEN c.status = 'approved' THEN w.worth ELSE 0 END - k.paid) AS o (difference)
    -- What a cap has taken stays taken.
    CROSS JOIN LATERAL (SELECT CASE WHEN o.difference < 0 THEN o.difference ELSE greatest(o.difference - k.forfeited, 0) END) AS d (due)
    WHERE d.due <> 0 OR c.status = 'pending' AND w.worth > 0 OR c.status = 'approved' AND g.gross - w.worth > k.capped
    -- What was paid too much first: it makes room under the caps.
    ORDER BY d.due >= 0, c.converted_at, k.conversion_id;
END
$$;
