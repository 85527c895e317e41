-- Why was this message (not) credited? Each click that comes into question for a transaction, and what decided about it.
CREATE FUNCTION postback.explain_credit(
    network text,
    transaction_id text,
    model text DEFAULT NULL,
    click_window interval DEFAULT NULL,
    half_life interval DEFAULT '48 hours',
    scope text DEFAULT 'offer',
    weights numeric[] DEFAULT '{0.4,0.2,0.4}')
RETURNS TABLE (
    conversion_id text, converted_at timestamptz, click_id text, clicked_at timestamptz, visitor postback.visitor, campaign_id bigint, offer_id bigint,
    credit numeric, revenue numeric, currency text, reason text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    net CONSTANT integer := _postback.network_id(network);
BEGIN
    RETURN QUERY
    SELECT c.conversion_id, c.converted_at, k.click_id, k.clicked_at, k.visitor, k.campaign_id, k.offer_id,
           coalesce(a.credit, 0), coalesce(a.revenue, 0), c.currency::text,
           CASE WHEN k.click_id IS NULL THEN 'no click is known of ' || coalesce('subscriber ' || c.subscriber_id, 'a subscriber that nobody knows')
                WHEN k.clicked_at > c.converted_at THEN format('no: %s after the conversion', k.clicked_at - c.converted_at)
                WHEN k.visitor <> 'human' THEN format('no: its visitor is not a human but of class %s', k.visitor)
                WHEN k.clicked_at < c.converted_at - r.click_window
                    THEN format('no: outside the click window of %s by %s', justify_hours(r.click_window), c.converted_at - r.click_window - k.clicked_at)
                WHEN a.credit IS NOT NULL THEN concat_ws('; ', format('yes: %s of it by %s', a.credit, r.model), n.named)
                WHEN NOT k.is_named AND scope = 'offer' AND k.offer_id IS DISTINCT FROM c.offer_id
                    THEN format('no: a click on offer %s, and with scope offer only those on offer %s count', coalesce(k.offer_id::text, 'unknown'),
                        coalesce(c.offer_id::text, 'unknown'))
                WHEN NOT k.is_named AND scope = 'network' AND NOT coalesce(k.offer_id = ANY (_postback.offers_of(o.network_id)), false)
                    THEN format('no: a click on offer %s of another network, and the scope is network', coalesce(k.offer_id::text, 'unknown'))
                WHEN k.click_id = ANY (t.click_ids) THEN concat_ws('; ', format('no: it is a touch, but %s gives it nothing', r.model), n.named)
                ELSE 'no: it is not in the path that is kept; maintain() looks again some minutes after the conversion' END
    FROM postback.conversions AS c
    LEFT JOIN postback.touches AS t ON t.conversion_id = c.conversion_id AND t.bucket = c.bucket
    LEFT JOIN postback.offers AS o ON o.offer_id = c.offer_id
    -- In seconds: a day of 24 hours and a month of 30 days in every session's time zone.
    CROSS JOIN LATERAL (
        SELECT coalesce(explain_credit.model, o.model, 'last_click') AS model,
               make_interval(secs => extract(epoch FROM coalesce(explain_credit.click_window, o.click_window, interval '7 days'))) AS click_window) AS r
    LEFT JOIN LATERAL (
        SELECT k.click_id, k.clicked_at, k.visitor, k.campaign_id, k.offer_id, k.click_id IS NOT DISTINCT FROM c.click_id AS is_named
        FROM postback.click_log AS k
        WHERE k.bucket = c.bucket AND k.subscriber_id = c.subscriber_id
          AND k.clicked_at BETWEEN c.converted_at - greatest(r.click_window, _postback.path_reach()) AND c.converted_at + interval '7 days'
        UNION
        SELECT k.click_id, k.clicked_at, k.visitor, k.campaign_id, k.offer_id, true
        FROM postback.click_log AS k WHERE k.click_id = c.click_id AND k.bucket = c.bucket AND k.clicked_at = c.clicked_at
        UNION
        -- Those of days that were dropped.
        SELECT u.click_id, u.clicked_at, 'human', u.campaign_id, u.offer_id, u.click_id IS NOT DISTINCT FROM c.click_id
        FROM unnest(t.click_ids, t.clicked_ats, t.campaign_ids, t.offer_ids) AS u (click_id, clicked_at, campaign_id, offer_id)
        WHERE u.clicked_at < (SELECT d.dropped_until FROM postback.retention AS d WHERE d.relation = 'clicks')) AS k ON true
    CROSS JOIN LATERAL (SELECT CASE WHEN k.is_named THEN 'the network named it' END AS named) AS n
    LEFT JOIN LATERAL (
        SELECT w.credit, w.revenue
        FROM postback.attribution(explain_credit.model, '-infinity', 'infinity', explain_credit.click_window, half_life, scope, weights => weights) AS w
        WHERE w.conversion_id = c.conversion_id AND w.click_id = k.click_id) AS a ON true
    WHERE c.network_id = net AND c.transaction_id = explain_credit.transaction_id AND NOT c.is_test
    ORDER BY c.converted_at, c.conversion_id, k.clicked_at, k.click_id;
END
$$;
COMMENT ON FUNCTION postback.explain_credit(text, text, text, interval, interval, text, numeric[]) IS
    'One row per click that comes into question for a transaction of a network (a slug or name): those of its subscriber from 90 days before to 7 days '
    'after it, of every visitor class and offer, and the one that the network named. Credit and revenue are those of attribution() with these arguments; '
    'reason says in words why. No rows when the transaction is not known.';
