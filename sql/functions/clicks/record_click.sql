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
    now timestamptz DEFAULT NULL)
RETURNS TABLE (click_id text, location text, visitor postback.visitor)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    RETURN QUERY SELECT r.click_id, r.location, r.visitor
    FROM postback.record_clicks(
        ARRAY[code], ARRAY[click_id], ARRAY[ip_address], ARRAY[user_agent], ARRAY[method], ARRAY[purpose],
        CASE WHEN campaign_id IS NOT NULL THEN ARRAY[campaign_id] END, CASE WHEN offer_id IS NOT NULL THEN ARRAY[offer_id] END,
        ARRAY[subs], true, now) AS r;
END
$$;
COMMENT ON FUNCTION postback.record_click(text, text, inet, text, text, text, bigint, bigint, jsonb, timestamptz) IS
    'Records one tap: record_click(''4Kd0…'') for a link of ours, record_click(campaign_id => 456, click_id => ''a1b2c3'') for one minted elsewhere.';
