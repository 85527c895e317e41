-- A period beside the one before it.
CREATE FUNCTION postback.compare_performance(
    by text[],
    since timestamptz,
    until timestamptz,
    time_zone text DEFAULT 'UTC',
    in_currency text DEFAULT NULL,
    before_since timestamptz DEFAULT NULL,
    before_until timestamptz DEFAULT NULL)
RETURNS TABLE (
    campaign_id bigint, segment_id bigint, variant_id bigint, offer_id bigint, send_id bigint, network_id integer, partner_id bigint, subscriber_id bigint,
    hour timestamp, day date, currency text, measure text, value numeric, before numeric, change numeric)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    begins timestamp;
    earlier_since timestamptz;
    earlier_until CONSTANT timestamptz := coalesce(before_until, since);
    earlier_begins timestamp;
BEGIN
    IF (isfinite(since) AND isfinite(until) AND isfinite(coalesce(before_since, since)) AND isfinite(earlier_until)) IS NOT TRUE THEN
        RAISE EXCEPTION 'a comparison needs periods with a beginning and an end' USING ERRCODE = 'invalid_parameter_value';
    ELSIF NOT since < until OR NOT coalesce(before_since, '-infinity') < earlier_until THEN
        RAISE EXCEPTION 'a period must end after it begins' USING ERRCODE = 'invalid_parameter_value';
    ELSIF by && ARRAY['week', 'month'] THEN
        RAISE EXCEPTION 'weeks and months do not fit upon each other' USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Compare by hour or day.';
    END IF;
    -- In local time, so that the day before one of 23 hours has its 24.
    begins := since AT TIME ZONE time_zone;
    earlier_since := coalesce(before_since, (earlier_until AT TIME ZONE time_zone - (until AT TIME ZONE time_zone - begins)) AT TIME ZONE time_zone);
    earlier_begins := earlier_since AT TIME ZONE time_zone;

    RETURN QUERY
    WITH period (is_now, since, until) AS (
        VALUES (true, compare_performance.since, compare_performance.until), (false, earlier_since, earlier_until)
    ), money AS (
        -- Every currency of either period, for each group: a group may have had money in one of them only.
        SELECT DISTINCT p.currency FROM period AS w CROSS JOIN LATERAL postback.performance('{}', w.since, w.until, time_zone, in_currency) AS p
    ), told AS (
        SELECT w.is_now, p.*
        FROM period AS w
        CROSS JOIN (SELECT m.currency FROM money AS m WHERE m.currency IS NOT NULL
                    UNION ALL SELECT NULL WHERE NOT EXISTS (SELECT FROM money AS m WHERE m.currency IS NOT NULL)) AS m
        CROSS JOIN LATERAL postback.performance(by, w.since, w.until, time_zone, m.currency, true) AS p
    ), measured AS (
        SELECT t.campaign_id, t.segment_id, t.variant_id, t.offer_id, t.send_id, t.network_id, t.partner_id, t.subscriber_id,
               t.hour + CASE WHEN t.is_now THEN interval '0' ELSE begins - earlier_begins END AS hour,
               t.day + CASE WHEN t.is_now THEN 0 ELSE begins::date - earlier_begins::date END AS day,
               t.currency, m.place, m.measure, max(m.value) FILTER (WHERE t.is_now) AS value, max(m.value) FILTER (WHERE NOT t.is_now) AS before
        FROM told AS t
        CROSS JOIN LATERAL (VALUES
            (1, 'messages', t.messages::numeric), (2, 'clicks', t.clicks), (3, 'human_clicks', t.human_clicks), (4, 'unique_clicks', t.unique_clicks),
            (5, 'conversions', t.conversions), (6, 'approved', t.approved), (7, 'revenue', t.revenue), (8, 'pending_revenue', t.pending_revenue),
            (9, 'cost', t.cost), (10, 'profit', t.profit), (11, 'ctr', t.ctr), (12, 'cvr', t.cvr), (13, 'epc', t.epc), (14, 'rpm', t.rpm),
            (15, 'median_seconds_to_conversion', extract(epoch FROM t.median_to_conversion)),
            (16, 'median_seconds_of_postback_delay', extract(epoch FROM t.median_postback_delay))) AS m (place, measure, value)
        GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13
    )
    SELECT m.campaign_id, m.segment_id, m.variant_id, m.offer_id, m.send_id, m.network_id, m.partner_id, m.subscriber_id, m.hour, m.day, m.currency,
           m.measure, m.value, m.before, round((m.value - m.before) / nullif(abs(m.before), 0), 6)
    FROM measured AS m
    ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, m.place;
END
$$;
COMMENT ON FUNCTION postback.compare_performance(text[], timestamptz, timestamptz, text, text, timestamptz, timestamptz) IS
    'performance() of [since, until) beside the period before: one row per group, currency and measure, change = (value - before) / |before|. '
    'The period before is equally long and ends at since, unless before_since and before_until say otherwise. Days and hours stand beside those of '
    'the same place in their period, so by day both should begin at midnight. NULL: the group was not there, or had no such rate.';
