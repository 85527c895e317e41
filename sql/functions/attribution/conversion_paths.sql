-- The path of each conversion that has one: the clicks that may earn credit for it, in the order of (clicked_at, click_id). For models over whole paths.
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
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT p.conversion_id, p.bucket, p.network_id, p.offer_id, p.status, p.payout, p.currency, p.converted_at,
           t.click_ids, t.clicked_ats, t.send_ids, t.campaign_ids, t.segment_ids, t.variant_ids, t.offer_ids
    FROM postback.path_log AS p
    CROSS JOIN LATERAL (
        SELECT _postback.qualifying(p.clicked_ats, p.offer_ids, scope, p.offer_id,
                   CASE WHEN scope = 'network' THEN _postback.offers_of(p.offer_network_id) END,
                   p.named, p.converted_at, coalesce(conversion_paths.click_window, p.click_window)) AS places
        OFFSET 0) AS q
    CROSS JOIN LATERAL (
        SELECT p.click_ids, p.clicked_ats, p.send_ids, p.campaign_ids, p.segment_ids, p.variant_ids, p.offer_ids
        WHERE cardinality(q.places) = cardinality(p.click_ids)
        UNION ALL
        SELECT array_agg(p.click_ids[i]), array_agg(p.clicked_ats[i]), array_agg(p.send_ids[i]), array_agg(p.campaign_ids[i]),
               array_agg(p.segment_ids[i]), array_agg(p.variant_ids[i]), array_agg(p.offer_ids[i])
        FROM unnest(q.places) AS i
        HAVING cardinality(q.places) < cardinality(p.click_ids)) AS t
    WHERE _postback.check_attribution(NULL, scope, '1 hour', '{1,1,1}')
      AND p.converted_at >= since AND p.converted_at < until AND p.status = ANY (statuses) AND q.places <> '{}';
END
$$;
COMMENT ON FUNCTION _postback.conversion_paths(timestamptz, timestamptz, interval, text, postback.conversion_status[]) IS
    'One row per conversion in [since, until) with at least one qualifying touch, and its touches as arrays in the order of (clicked_at, click_id).';
