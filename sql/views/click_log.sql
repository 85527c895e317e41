-- What analysts and reports read of the tables: nothing that identifies a device, nothing secret.

CREATE VIEW postback.click_log AS
SELECT c.click_id, c.bucket, c.clicked_at, c.visitor, c.link_id, c.send_id, c.campaign_id, c.segment_id, c.variant_id, c.offer_id,
       c.subscriber_id, c.method, c.subs, c.country
FROM postback.clicks AS c
-- The clicks of test_postback(). A client cannot choose this: the proxy serves GET and HEAD only.
WHERE c.method <> 'TEST';
COMMENT ON VIEW postback.click_log IS 'Every hit, without address and user agent.';

CREATE VIEW postback.conversion_log AS
SELECT c.conversion_id, c.bucket, c.network_id, c.transaction_id, c.event, c.click_id, c.clicked_at, c.send_id, c.campaign_id,
       c.segment_id, c.variant_id, c.offer_id, c.subscriber_id, c.status, c.raw_status, c.payout, c.currency, c.converted_at, c.received_at
FROM postback.conversions AS c
WHERE NOT c.is_test;
COMMENT ON VIEW postback.conversion_log IS 'The current truth about each transaction, without addresses and tests.';

CREATE VIEW postback.send_log AS
SELECT s.send_id, s.campaign_id, s.segment_id, s.variant_id, s.offer_id, s.partner_id, s.sent_at, s.messages, s.cost_per_message, s.cost_currency
FROM postback.sends AS s;
COMMENT ON VIEW postback.send_log IS 'Each blast, with its messages and their cost.';

CREATE VIEW postback.link_log AS
SELECT l.link_id, l.bucket, l.link_id >> 40 AS send_id, l.subscriber_id FROM postback.links AS l;
COMMENT ON VIEW postback.link_log IS 'Which subscriber got which link of which send; the codes stay unknown.';

CREATE VIEW postback.offer_rules AS
SELECT o.offer_id, o.name, o.network_id, o.click_window, o.model FROM postback.offers AS o;
COMMENT ON VIEW postback.offer_rules IS 'How each offer is attributed.';

CREATE VIEW postback.postback_log AS
SELECT p.postback_id, p.received_at, n.slug AS network, p.verdict, p.reason, p.checks, p.click_id, p.transaction_id, p.event, p.raw_status,
       p.payout, p.currency, p.network_offer_id, p.event_at, p.conversion_id
FROM postback.postbacks AS p LEFT JOIN postback.networks AS n ON n.network_id = p.network_id;
COMMENT ON VIEW postback.postback_log IS 'What the networks sent and what became of it, without raw bytes and addresses.';

CREATE VIEW postback.ledger AS
SELECT e.conversion_id, e.seq, e.recorded_at, e.event_at, e.cause, e.asserted_status, e.asserted_payout, e.moved, e.status, e.payout_delta,
       e.currency, e.postback_id, e.actor
FROM postback.conversion_events AS e
WHERE NOT EXISTS (SELECT FROM postback.conversions AS c WHERE c.conversion_id = e.conversion_id AND c.bucket = e.bucket AND c.is_test);
COMMENT ON VIEW postback.ledger IS 'The history of each conversion but tests: what was said, and what it changed.';
