-- Answers of performance() by name, over all time. For a period, a time zone or other dimensions call it yourself.

CREATE VIEW postback.campaign_performance AS
SELECT p.campaign_id, l.name AS campaign, p.currency, p.messages, p.human_clicks, p.unique_clicks, p.conversions, p.approved, p.revenue, p.pending_revenue,
       p.cost, p.profit, p.ctr, p.cvr, p.epc, p.rpm, p.median_to_conversion
FROM postback.performance('{campaign}', medians => true) AS p LEFT JOIN postback.campaigns AS l ON l.campaign_id = p.campaign_id;
COMMENT ON VIEW postback.campaign_performance IS 'How does each campaign do, from message to profit?';

CREATE VIEW postback.segment_performance AS
SELECT p.segment_id, l.name AS segment, p.currency, p.messages, p.human_clicks, p.unique_clicks, p.conversions, p.approved, p.revenue, p.pending_revenue,
       p.cost, p.profit, p.ctr, p.cvr, p.epc, p.rpm, p.median_to_conversion
FROM postback.performance('{segment}', medians => true) AS p LEFT JOIN postback.segments AS l ON l.segment_id = p.segment_id;
COMMENT ON VIEW postback.segment_performance IS 'Which audience segments are worth their messages?';

CREATE VIEW postback.offer_performance AS
SELECT p.offer_id, l.name AS offer, p.currency, p.messages, p.human_clicks, p.unique_clicks, p.conversions, p.approved, p.revenue, p.pending_revenue,
       p.cost, p.profit, p.ctr, p.cvr, p.epc, p.rpm, p.median_to_conversion
FROM postback.performance('{offer}', medians => true) AS p LEFT JOIN postback.offer_rules AS l ON l.offer_id = p.offer_id;
COMMENT ON VIEW postback.offer_performance IS 'What does a click on each offer earn?';

CREATE VIEW postback.send_performance AS
SELECT p.send_id, s.sent_at, s.campaign_id, s.segment_id, s.variant_id, s.offer_id, p.currency, p.messages, p.human_clicks, p.unique_clicks, p.conversions,
       p.approved, p.revenue, p.pending_revenue, p.cost, p.profit, p.ctr, p.cvr, p.epc, p.rpm, p.median_to_conversion
FROM postback.performance('{send}', medians => true) AS p LEFT JOIN postback.send_log AS s ON s.send_id = p.send_id;
COMMENT ON VIEW postback.send_performance IS 'What did each send cost, and what did it earn?';

CREATE VIEW postback.partner_performance AS
SELECT p.partner_id, l.name AS partner, p.currency, p.messages, p.human_clicks, p.unique_clicks, p.conversions, p.approved, p.revenue, p.pending_revenue,
       p.cost, p.profit, p.ctr, p.cvr, p.epc, p.rpm, p.median_to_conversion
FROM postback.performance('{partner}', medians => true) AS p LEFT JOIN postback.partners AS l ON l.partner_id = p.partner_id;
COMMENT ON VIEW postback.partner_performance IS 'What does each partner bring, before the payout? Nobody''s traffic has no partner.';

CREATE VIEW postback.variant_performance AS
SELECT v.campaign_id, v.variant_id, l.name AS variant, v.currency, v.messages, v.unique_clicks, v.approved, v.revenue, v.ctr, v.rpm, v.approved_per_message,
       v.control_variant_id, v.lift, v.z, v.p_value
FROM postback.compare_variants() AS v LEFT JOIN postback.variants AS l ON l.variant_id = v.variant_id;
COMMENT ON VIEW postback.variant_performance IS
    'Which message variant of each campaign wins, and could it be chance? See compare_variants() for the test, and for a period.';

CREATE VIEW postback.subscriber_cohorts AS
SELECT s.cohort, e.months_since, e.currency, s.subscribers, coalesce(e.converted, 0) AS converted, coalesce(e.approved, 0) AS approved,
       coalesce(e.revenue, 0) AS revenue,
       round(coalesce(sum(e.revenue) OVER (PARTITION BY s.cohort, e.currency ORDER BY e.months_since), 0) / s.subscribers, 6) AS value_per_subscriber
FROM (
    SELECT date_trunc('month', f.clicked_at AT TIME ZONE 'UTC')::date AS cohort, count(*) AS subscribers
    FROM _postback.first_clicks AS f GROUP BY 1) AS s
LEFT JOIN (
    SELECT m.cohort, m.months_since, c.currency, count(DISTINCT c.subscriber_id) AS converted, count(*) AS approved, sum(c.payout) AS revenue
    FROM postback.conversion_log AS c
    JOIN _postback.first_clicks AS f ON f.bucket = c.bucket AND f.subscriber_id = c.subscriber_id
    CROSS JOIN LATERAL (SELECT f.clicked_at AT TIME ZONE 'UTC', c.converted_at AT TIME ZONE 'UTC') AS u (clicked_at, converted_at)
    CROSS JOIN LATERAL (SELECT date_trunc('month', u.clicked_at)::date,
        -- A network may name a click of before the first human one.
        greatest(12 * (extract(year FROM u.converted_at) - extract(year FROM u.clicked_at)) + extract(month FROM u.converted_at) - extract(month FROM u.clicked_at), 0)::integer)
        AS m (cohort, months_since)
    WHERE c.status = 'approved'
    GROUP BY m.cohort, m.months_since, c.currency) AS e ON e.cohort = s.cohort;
COMMENT ON VIEW postback.subscriber_cohorts IS
    'What is a new subscriber worth, and by when? Cohorts by the UTC month of the first human click, up to the last maintain(): subscribers of the cohort, those who '
    'converted so many months later, and approved revenue up to then per subscriber of the cohort. A cohort in which nobody has bought is one row, without months and currency.';

CREATE VIEW postback.conversion_latency AS
SELECT c.offer_id, s.since AS latency_from, s.until AS latency_until, count(*) AS conversions,
       round(count(*) / sum(count(*)) OVER (PARTITION BY c.offer_id), 6) AS share,
       round(sum(count(*)) OVER (PARTITION BY c.offer_id ORDER BY s.since) / sum(count(*)) OVER (PARTITION BY c.offer_id), 6) AS share_so_far
FROM postback.conversion_log AS c
JOIN (VALUES
    (interval '0', interval '1 minute'), ('1 minute', '5 minutes'), ('5 minutes', '15 minutes'), ('15 minutes', '1 hour'), ('1 hour', '3 hours'),
    ('3 hours', '12 hours'), ('12 hours', '1 day'), ('1 day', '2 days'), ('2 days', '3 days'), ('3 days', '7 days'), ('7 days', '14 days'),
    ('14 days', '30 days'), ('30 days', NULL)) AS s (since, until)
    ON c.converted_at - c.clicked_at >= s.since AND (c.converted_at - c.clicked_at < s.until OR s.until IS NULL)
GROUP BY c.offer_id, s.since, s.until;
COMMENT ON VIEW postback.conversion_latency IS
    'How long after the click do the conversions of each offer come? A histogram: is the click window wide enough, and when is a send finished?';

CREATE VIEW postback.postback_delay AS
SELECT p.network, count(*) AS postbacks, percentile_disc(0.5) WITHIN GROUP (ORDER BY p.received_at - p.event_at) AS median,
       percentile_disc(0.95) WITHIN GROUP (ORDER BY p.received_at - p.event_at) AS p95, max(p.received_at - p.event_at) AS longest
FROM postback.postback_log AS p
WHERE p.event_at IS NOT NULL AND p.verdict <> 'test'
GROUP BY p.network;
COMMENT ON VIEW postback.postback_delay IS 'How long do the networks that tell the time take to send a postback? Negative: a clock is wrong.';
