-- Taps of links made elsewhere that waited in a proxy's spool: their ids do not say when they were tapped, so the times come along.
CREATE FUNCTION postback.replay_clicks(
    codes text[], click_ids text[], ip_addresses inet[], user_agents text[], methods text[], purposes text[],
    campaign_ids bigint[], offer_ids bigint[], subs jsonb[], clicked_ats timestamptz[], countries text[] DEFAULT NULL)
RETURNS TABLE (ordinal integer, click_id text, location text, visitor postback.visitor)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    hit record;
BEGIN
    -- In key order, so that two batches cannot deadlock.
    FOR hit IN
        SELECT h.* FROM unnest(codes, click_ids, ip_addresses, user_agents, methods, purposes, campaign_ids, offer_ids, subs, clicked_ats, countries)
            WITH ORDINALITY AS h (code, click_id, ip_address, user_agent, method, purpose, campaign_id, offer_id, sub, clicked_at, country, place)
        ORDER BY h.click_id, h.place
    LOOP
        RETURN QUERY
        SELECT hit.place::integer, r.click_id, r.location, r.visitor
        FROM postback.record_clicks(ARRAY[hit.code], ARRAY[hit.click_id], ARRAY[hit.ip_address], ARRAY[hit.user_agent], ARRAY[hit.method],
            ARRAY[hit.purpose], ARRAY[hit.campaign_id], ARRAY[hit.offer_id], ARRAY[hit.sub], true, hit.clicked_at, ARRAY[hit.country]) AS r;
    END LOOP;
END
$$;
COMMENT ON FUNCTION postback.replay_clicks(text[], text[], inet[], text[], text[], text[], bigint[], bigint[], jsonb[], timestamptz[], text[]) IS
    'Records taps that a proxy has answered before, each at the time it was tapped: one row per element, as record_clicks(). Idempotent by click id.';
