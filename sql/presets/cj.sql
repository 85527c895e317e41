-- CJ. No postback to affiliates is known in general, its numbers are pulled: the words are those of its API. What an account that
-- has one sends, it has to show itself. CORRECTED says no direction and stays unmapped.
INSERT INTO postback.network_presets (
    preset, title, click_slot, macros, parameters, statuses, default_status, dedupe, example, notes)
VALUES (
    'cj', 'CJ', 'SID',
    '[["sid", "REPLACE"], ["payout", "OPTIONAL"], ["oid", "OPTIONAL"], ["status", "OPTIONAL"]]',
    '{"click_id": ["sid", "SID", "click_id"], "transaction_id": ["oid"], "event": ["actionTracker"], "status": ["status"],
     "payout": ["payout"], "currency": ["currency"], "offer_id": ["aid"], "token": ["token"]}',
    '{"new": "pending", "extended": "pending", "locked": "approved", "closed": "reversed", "pending": "pending", "approved": "approved",
     "rejected": "rejected", "reversed": "reversed"}',
    NULL, ARRAY['transaction_id,event', 'click_id,event'],
    'sid=CLICK_ID&payout=12.50&oid=990112&status=LOCKED',
    'Put the macros that your account shows in the place of REPLACE and OPTIONAL; without a postback, import its report.');
