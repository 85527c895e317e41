-- What is wrong, why, and what to do next. Each symptom is a function that can be read and asked by itself.
CREATE FUNCTION postback.diagnose(
    network text DEFAULT NULL,
    offer bigint DEFAULT NULL,
    campaign bigint DEFAULT NULL,
    since timestamptz DEFAULT NULL,
    now timestamptz DEFAULT clock_timestamp())
RETURNS TABLE (symptom text, severity text, subject text, evidence jsonb, next_step text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    start CONSTANT timestamptz := coalesce(since, now - interval '7 days');
    chosen CONSTANT integer := CASE WHEN network IS NOT NULL THEN _postback.network_id(network) END;
    fallback CONSTANT integer := _postback.default_network();
    offers CONSTANT bigint[] := array(
        SELECT o.offer_id FROM postback.offers AS o
        WHERE (offer IS NULL OR o.offer_id = offer)
          AND (chosen IS NULL OR coalesce(o.network_id, fallback) = chosen)
          AND (campaign IS NULL
               OR EXISTS (SELECT FROM postback.campaigns AS c WHERE c.campaign_id = campaign AND c.offer_id = o.offer_id)
               OR EXISTS (SELECT FROM postback.sends AS s WHERE s.campaign_id = campaign AND s.offer_id = o.offer_id)));
    -- A postback without a click names no offer: networks are looked at as a whole.
    networks CONSTANT integer[] := CASE
        WHEN chosen IS NOT NULL THEN ARRAY[chosen]
        WHEN offer IS NULL AND campaign IS NULL THEN array(SELECT n.network_id FROM postback.networks AS n)
        ELSE array(SELECT DISTINCT coalesce(o.network_id, fallback) FROM postback.offers AS o WHERE o.offer_id = ANY (offers)) END;
BEGIN
    IF offer IS NOT NULL AND NOT EXISTS (SELECT FROM postback.offers AS o WHERE o.offer_id = offer) THEN
        RAISE EXCEPTION 'offer "%" does not exist', offer USING ERRCODE = 'no_data_found', HINT = 'SELECT offer_id, name FROM postback.offers lists them.';
    END IF;
    RETURN QUERY
    SELECT s.* FROM (
        SELECT * FROM _postback.symptom_offer_url(offers)
        UNION ALL SELECT * FROM _postback.symptom_no_conversions(offers, campaign, start, now)
        UNION ALL SELECT * FROM _postback.symptom_network_stopped(networks, start, now)
        UNION ALL SELECT * FROM _postback.symptoms_of_postbacks(networks, start, now)
        UNION ALL SELECT * FROM _postback.symptom_missing_here(networks, start, now)
        UNION ALL SELECT * FROM _postback.symptom_macros(networks, start, now)
        UNION ALL SELECT * FROM _postback.symptom_times(networks, start, now)) AS s
    ORDER BY s.severity, s.subject, s.symptom;
END
$$;
COMMENT ON FUNCTION postback.diagnose(text, bigint, bigint, timestamptz, timestamptz) IS
    'What is wrong with a network, an offer, a campaign, or anything, since a time (seven days ago): symptom, severity (critical, warning), what it is about, '
    'the evidence, and the next step. No row: nothing is. A trouble is told until enough good messages came after it; docs/trust.md lists the symptoms.';
