-- The questions asked every day, by name. Money of different currencies is never added: a row per currency.

CREATE VIEW postback.revenue_by_campaign AS
SELECT c.campaign_id, l.name AS campaign, c.currency, count(*) AS conversions,
       count(*) FILTER (WHERE c.status = 'approved') AS approved,
       coalesce(sum(c.payout) FILTER (WHERE c.status = 'approved'), 0) AS revenue,
       coalesce(sum(c.payout) FILTER (WHERE c.status = 'pending'), 0) AS pending_revenue
FROM postback.conversion_log AS c LEFT JOIN postback.campaigns AS l USING (campaign_id)
GROUP BY c.campaign_id, l.name, c.currency;
COMMENT ON VIEW postback.revenue_by_campaign IS 'What has each campaign earned?';

CREATE VIEW postback.revenue_by_segment AS
SELECT c.segment_id, l.name AS segment, c.currency, count(*) AS conversions,
       count(*) FILTER (WHERE c.status = 'approved') AS approved,
       coalesce(sum(c.payout) FILTER (WHERE c.status = 'approved'), 0) AS revenue,
       coalesce(sum(c.payout) FILTER (WHERE c.status = 'pending'), 0) AS pending_revenue
FROM postback.conversion_log AS c LEFT JOIN postback.segments AS l USING (segment_id)
GROUP BY c.segment_id, l.name, c.currency;
COMMENT ON VIEW postback.revenue_by_segment IS 'What has each audience segment earned?';

CREATE VIEW postback.revenue_by_variant AS
SELECT c.variant_id, l.name AS variant, c.currency, count(*) AS conversions,
       count(*) FILTER (WHERE c.status = 'approved') AS approved,
       coalesce(sum(c.payout) FILTER (WHERE c.status = 'approved'), 0) AS revenue,
       coalesce(sum(c.payout) FILTER (WHERE c.status = 'pending'), 0) AS pending_revenue
FROM postback.conversion_log AS c LEFT JOIN postback.variants AS l USING (variant_id)
GROUP BY c.variant_id, l.name, c.currency;
COMMENT ON VIEW postback.revenue_by_variant IS 'What has each message variant earned?';

CREATE VIEW postback.revenue_by_offer AS
SELECT c.offer_id, l.name AS offer, c.currency, count(*) AS conversions,
       count(*) FILTER (WHERE c.status = 'approved') AS approved,
       coalesce(sum(c.payout) FILTER (WHERE c.status = 'approved'), 0) AS revenue,
       coalesce(sum(c.payout) FILTER (WHERE c.status = 'pending'), 0) AS pending_revenue
FROM postback.conversion_log AS c LEFT JOIN postback.offer_rules AS l USING (offer_id)
GROUP BY c.offer_id, l.name, c.currency;
COMMENT ON VIEW postback.revenue_by_offer IS 'What has each offer earned?';

CREATE VIEW postback.subscriber_value AS
SELECT c.subscriber_id, c.currency, count(*) FILTER (WHERE c.status = 'approved') AS approved,
       coalesce(sum(c.payout) FILTER (WHERE c.status = 'approved'), 0) AS revenue, min(c.converted_at) AS first_converted_at,
       max(c.converted_at) AS last_converted_at
FROM postback.conversion_log AS c WHERE c.subscriber_id IS NOT NULL
GROUP BY c.subscriber_id, c.currency;
COMMENT ON VIEW postback.subscriber_value IS 'What has each subscriber earned us?';

CREATE VIEW postback.postback_verdicts AS
SELECT p.network, date_trunc('day', p.received_at AT TIME ZONE 'UTC')::date AS day, p.verdict, count(*) AS postbacks, max(p.reason) AS one_reason
FROM postback.postback_log AS p
GROUP BY p.network, 2, p.verdict;
COMMENT ON VIEW postback.postback_verdicts IS 'What became of each network''s postbacks, by UTC day?';

CREATE VIEW postback.visitors_by_send AS
SELECT k.send_id, k.campaign_id, k.visitor, count(*) AS hits, min(k.clicked_at) AS first_hit_at, max(k.clicked_at) AS last_hit_at
FROM postback.click_log AS k
GROUP BY k.send_id, k.campaign_id, k.visitor;
COMMENT ON VIEW postback.visitors_by_send IS 'Who tapped the links of each send: people, previews, crawlers?';
