CREATE FUNCTION postback.receive_postback(
    network text,
    query text,
    source_ip inet DEFAULT NULL,
    token text DEFAULT NULL,
    method text DEFAULT 'GET',
    path text DEFAULT NULL,
    body text DEFAULT NULL,
    content_type text DEFAULT NULL,
    now timestamptz DEFAULT NULL)
RETURNS TABLE (verdict postback.verdict, http_status integer, reason text, conversion_id text, postback_id text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    id CONSTANT text := postback.mint_click_id(NULL, coalesce(now, clock_timestamp()));
    received record;
BEGIN
    SELECT r.verdict, r.http_status, r.conversion_id INTO received
    FROM postback.receive_postbacks(ARRAY[network], ARRAY[convert_to(query, 'UTF8')], ARRAY[source_ip], ARRAY[token], ARRAY[method],
        ARRAY[coalesce(path, '/postback' || coalesce('/' || network, '') || coalesce('/' || token, ''))],
        ARRAY[convert_to(body, 'UTF8')], ARRAY[content_type], ARRAY[id], false, now) AS r;
    RETURN QUERY SELECT received.verdict, received.http_status, p.reason, received.conversion_id, id
    FROM postback.postbacks AS p WHERE p.postback_id = id AND p.received_at = postback.click_id_time(id);
END
$$;
COMMENT ON FUNCTION postback.receive_postback(text, text, inet, text, text, text, text, text, timestamptz) IS
    'Receives one postback: receive_postback(''default'', ''click_id=…&payout=12.50&status=approved''). network: a slug, NULL for a plain /postback.';
