-- The path of each conversion: the clicks that could earn credit for it, in the order of (clicked_at, click_id).
CREATE FUNCTION _postback.conversion_paths(
    since timestamptz DEFAULT '-infinity',
    until timestamptz DEFAULT 'infinity',
    click_window interval DEFAULT NULL,
    scope text DEFAULT 'offer',
    statuses postback.conversion_status[] DEFAULT '{pending,approved,rejected,reversed}')
RETURNS TABLE (
    conversion_id text, bucket smallint, network_id integer, offer_id bigint, status postback.conversion_status, payout numeric, currency text,
    converted_at timestamptz, click_ids text[], clicked_ats timestamptz[], send_ids bigint[], campaign_ids bigint[], segment_ids bigint[],
    variant_ids bigint[], offer_ids bigint[])
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT c.conversion_id, c.bucket, c.network_id, c.offer_id, c.status, c.payout::numeric, c.currency::text, c.converted_at,
           t.click_ids, t.clicked_ats, t.send_ids, t.campaign_ids, t.segment_ids, t.variant_ids, t.offer_ids
    FROM postback.conversion_log AS c
    LEFT JOIN postback.offer_rules AS o ON o.offer_id = c.offer_id
    CROSS JOIN LATERAL (SELECT make_interval(secs => extract(epoch FROM coalesce(conversion_paths.click_window, o.click_window, interval '7 days')))
                                   AS click_window) AS r
    CROSS JOIN LATERAL (
        SELECT array_agg(k.click_id ORDER BY k.clicked_at, k.click_id) AS click_ids,
               array_agg(k.clicked_at ORDER BY k.clicked_at, k.click_id) AS clicked_ats,
               array_agg(k.send_id ORDER BY k.clicked_at, k.click_id) AS send_ids,
               array_agg(k.campaign_id ORDER BY k.clicked_at, k.click_id) AS campaign_ids,
               array_agg(k.segment_id ORDER BY k.clicked_at, k.click_id) AS segment_ids,
               array_agg(k.variant_id ORDER BY k.clicked_at, k.click_id) AS variant_ids,
               array_agg(k.offer_id ORDER BY k.clicked_at, k.click_id) AS offer_ids
        FROM postback.click_log AS k
        WHERE k.bucket = c.bucket AND k.clicked_at BETWEEN c.converted_at - r.click_window AND c.converted_at AND k.visitor = 'human'
          AND (k.click_id = c.click_id AND k.clicked_at = c.clicked_at
               OR k.subscriber_id = c.subscriber_id
                  AND CASE conversion_paths.scope
                          WHEN 'offer' THEN k.offer_id = c.offer_id
                          WHEN 'network' THEN k.offer_id IN (
                              SELECT x.offer_id FROM postback.offer_rules AS x WHERE x.network_id IS NOT DISTINCT FROM o.network_id)
                          ELSE true END)
        HAVING count(*) > 0) AS t
    WHERE c.converted_at >= since AND c.converted_at < until AND c.status = ANY (statuses);
END
$$;
