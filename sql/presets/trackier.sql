-- Trackier. Statuses are set on the advertiser's side: a status is read where one is typed into the URL.
INSERT INTO postback.network_presets (
    preset, title, click_slot, macros, parameters, statuses, default_status, dedupe, example, notes)
VALUES (
    'trackier', 'Trackier', 'p1',
    '[["p1", "{p1}"], ["payout", "{payout}"], ["campaign_id", "{campaign_id}"], ["txn_id", "{txn_id}"], ["goal_value", "{goal_value}"]]',
    '{"click_id": ["p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9", "p10", "click_id"], "transaction_id": ["txn_id"],
     "event": ["goal_id", "goal_value"], "status": ["status"], "payout": ["payout", "payout_usd"], "currency": ["currency"],
     "offer_id": ["campaign_id"], "token": ["token"]}',
    '{"pending": "pending", "approved": "approved", "rejected": "rejected", "reversed": "reversed"}',
    'approved', ARRAY['transaction_id,event', 'click_id,event'],
    'p1=CLICK_ID&payout=12.50&campaign_id=4711&txn_id=65f0aa12&goal_value=sale',
    'Append &p1={click_id} to the offer link. Paste one URL for each status, with &status=approved (pending, rejected) typed at '
    'its end, where the network reports more than what it pays.');

-- Indoleads, built like Trackier but with an id and a time for each conversion.
INSERT INTO postback.network_presets (
    preset, title, click_slot, macros, parameters, statuses, default_status, dedupe, example, notes)
VALUES (
    'indoleads', 'Indoleads', 'p1',
    '[["p1", "{p1}"], ["payout", "{payout}"], ["campaign_id", "{campaign_id}"], ["conversion_id", "{conversion_id}"],
     ["status", "{status}"], ["conversion_datetime", "{conversion_datetime}"]]',
    '{"click_id": ["p1", "p2", "p3", "click_id"], "transaction_id": ["txn_id"], "conversion_id": ["conversion_id"], "event": ["goal_id"],
     "status": ["status"], "payout": ["payout"], "currency": ["currency"], "offer_id": ["campaign_id", "offer_id"],
     "time": ["conversion_datetime"], "token": ["token"]}',
    '{"declined": "rejected", "pending": "pending", "approved": "approved", "rejected": "rejected", "reversed": "reversed"}',
    NULL, ARRAY['conversion_id', 'transaction_id,event', 'click_id,event'],
    'p1=CLICK_ID&payout=12.50&campaign_id=4711&conversion_id=65f0aa12&status=approved&conversion_datetime=2025-03-02%2010%3A05%3A00',
    'The times carry no zone: say time_zone => to add_network() unless the account is set to UTC.');
