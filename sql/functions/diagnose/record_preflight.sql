-- What `postback-proxy preflight` found when it followed a link. The link's code, the last segment of its path, says whose link it was.
CREATE FUNCTION postback.record_preflight(
    code text, ok boolean, carries_click_id boolean, lost_at text, redirects integer, redirects_limit integer, page_ok boolean, hops jsonb,
    now timestamptz DEFAULT clock_timestamp())
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    key CONSTANT bytea := postback.code_key();
    link CONSTANT bigint := coalesce(
        (SELECT a.link_id FROM postback.link_aliases AS a WHERE a.alias = code), _postback.decode_code(code, key));
    recorded bigint;
BEGIN
    INSERT INTO postback.preflight_runs (ran_at, send_id, offer_id, url_template, ok, carries_click_id, lost_at, redirects, redirects_limit, page_ok, hops)
    SELECT now, s.send_id, s.offer_id, o.url_template, ok, carries_click_id, lost_at, redirects, redirects_limit, page_ok, hops
    FROM (VALUES (link >> 40)) AS l (send_id)
    JOIN postback.sends AS s ON s.send_id = l.send_id
    LEFT JOIN postback.offers AS o ON o.offer_id = s.offer_id
    RETURNING run_id INTO recorded;
    RETURN recorded;
END
$$;
COMMENT ON FUNCTION postback.record_preflight(text, boolean, boolean, text, integer, integer, boolean, jsonb, timestamptz) IS
    'For postback-proxy preflight: keeps what it found when it followed the link of this code, for preflight() to show; returns its run_id. What is '
    'no link of a send is not kept: NULL.';
