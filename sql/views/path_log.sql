-- What attribution reads: the path of each conversion, with the rules of its offer.

CREATE VIEW postback.path_log AS
SELECT t.conversion_id, t.bucket, t.network_id, c.transaction_id, c.subscriber_id, t.status, t.payout, t.currency, t.converted_at, t.offer_id,
       o.network_id AS offer_network_id, coalesce(o.model, 'last_click') AS model, coalesce(o.click_window, interval '7 days') AS click_window,
       t.named, t.click_ids, t.clicked_ats, t.send_ids, t.campaign_ids, t.segment_ids, t.variant_ids, t.offer_ids
FROM postback.touches AS t
LEFT JOIN postback.conversions AS c ON c.conversion_id = t.conversion_id AND c.bucket = t.bucket
LEFT JOIN postback.offers AS o ON o.offer_id = t.offer_id;
COMMENT ON VIEW postback.path_log IS
    'Which human clicks came before each conversion, on any offer, in their order? Window and scope are not applied: that is attribution()''s.';
