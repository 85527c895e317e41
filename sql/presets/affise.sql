-- Affise. transactionid is the advertiser's id of the conversion; the numbers of its statuses are its own (2 is a sale elsewhere).
INSERT INTO postback.network_presets (
    preset, title, click_slot, macros, parameters, statuses, default_status, dedupe, example, notes)
VALUES (
    'affise', 'Affise', 'sub1',
    '[["sub1", "{sub1}"], ["payout", "{sum}"], ["currency", "{currency}"], ["offerid", "{offerid}"], ["transactionid", "{transactionid}"],
     ["goal", "{goal}"], ["status", "{status}"], ["timestamp", "{timestamp}"]]',
    '{"click_id": ["sub1", "sub2", "sub3", "sub4", "sub5", "sub6", "sub7", "sub8", "click_id", "clickid"],
     "transaction_id": ["transactionid", "transaction_id"], "event": ["goal"], "status": ["status"], "payout": ["payout", "sum"],
     "currency": ["currency"], "offer_id": ["offerid", "offer_id"], "time": ["timestamp", "date"], "token": ["secure", "token"]}',
    '{"2": "pending", "5": "pending", "hold": "pending", "1": "approved", "confirmed": "approved", "3": "rejected", "declined": "rejected",
     "trash": "rejected", "pending": "pending", "approved": "approved", "rejected": "rejected", "reversed": "reversed"}',
    NULL, ARRAY['transaction_id,event', 'click_id,event'],
    'sub1=CLICK_ID&payout=12.50&currency=USD&offerid=4711&transactionid=5f8a1c2e9b&goal=1&status=1&timestamp=1740909900',
    'The status comes as a number: 1 approved, 2 pending, 3 declined, 5 on hold. Choose a global postback for all statuses, or '
    'only one of them arrives.');

-- Affise Reach: other macros than Affise's own, and a conversion id.
INSERT INTO postback.network_presets (
    preset, title, click_slot, macros, parameters, statuses, default_status, dedupe, example, notes)
VALUES (
    'affise_reach', 'Affise Reach', 'pub_click_id',
    '[["pub_click_id", "{pub_click_id}"], ["payout", "{sum}"], ["campaign_id", "{campaign_id}"], ["conversion_id", "{conversion_id}"],
     ["goal_id", "{goal_id}"], ["status", "{status}"], ["conversion_time", "{conversion_time}"]]',
    '{"click_id": ["pub_click_id", "click_id"], "conversion_id": ["conversion_id"], "event": ["goal_id", "goal_title"],
     "status": ["status"], "payout": ["payout", "sum"], "currency": ["currency"], "offer_id": ["campaign_id"],
     "time": ["conversion_time"], "token": ["token"]}',
    '{"hold": "pending", "confirmed": "approved", "declined": "rejected", "trash": "rejected", "pending": "pending",
     "approved": "approved", "rejected": "rejected", "reversed": "reversed"}',
    NULL, ARRAY['conversion_id', 'click_id,event'],
    'pub_click_id=CLICK_ID&payout=12.50&campaign_id=4711&conversion_id=5f8a1c2e9b&goal_id=2&status=approved&conversion_time=1740909900',
    'The vendor''s page gives no list of status words: those of Affise are taken. A word that is missing shows as unmapped_status.');
