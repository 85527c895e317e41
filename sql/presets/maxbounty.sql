-- MaxBounty. Neither a transaction id nor a status: one conversion per click, approved.
INSERT INTO postback.network_presets (
    preset, title, click_slot, macros, parameters, statuses, default_status, dedupe, example, notes)
VALUES (
    'maxbounty', 'MaxBounty', 's2',
    '[["s2", "#S2#"], ["rate", "#RATE#"], ["offid", "#OFFID#"]]',
    '{"click_id": ["s2", "click_id"], "transaction_id": ["transaction_id"], "event": ["event"], "status": ["status"],
     "payout": ["rate", "payout"], "currency": ["currency"], "offer_id": ["offid"], "token": ["token"]}',
    '{"pending": "pending", "approved": "approved", "rejected": "rejected", "reversed": "reversed"}',
    'approved', ARRAY['transaction_id,event', 'click_id,event'],
    's2=CLICK_ID&rate=12.50&offid=4711',
    'The macros are upper-case. A second conversion of a click is a duplicate of the first, since nothing tells them apart.');
