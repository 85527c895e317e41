CREATE FUNCTION postback.record_click(
    code text DEFAULT NULL,
    click_id text DEFAULT NULL,
    ip_address inet DEFAULT NULL,
    user_agent text DEFAULT NULL,
    method text DEFAULT 'GET',
    purpose text DEFAULT NULL,
    campaign_id bigint DEFAULT NULL,
    offer_id bigint DEFAULT NULL,
    subs jsonb DEFAULT NULL,
    now timestamptz DEFAULT NULL,
    country text DEFAULT NULL)
RETURNS TABLE (click_id text, location text, visitor postback.visitor)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    -- click_id is an argument and a column of the result, so the arguments go by number here.
    SELECT r.click_id, r.location, r.visitor
    FROM postback.record_clicks(
        ARRAY[$1], ARRAY[$2], ARRAY[$3], ARRAY[$4], ARRAY[$5], ARRAY[$6],
        CASE WHEN $7 IS NOT NULL THEN ARRAY[$7] END, CASE WHEN $8 IS NOT NULL THEN ARRAY[$8] END, ARRAY[$9], true, $10, ARRAY[$11]) AS r
$$;
COMMENT ON FUNCTION postback.record_click(text, text, inet, text, text, text, bigint, bigint, jsonb, timestamptz, text) IS
    'Records one tap: record_click(''4Kd0…'') for a link of ours, record_click(campaign_id => 456, click_id => ''a1b2c3'') for one minted elsewhere.';
