-- HitPath, known from the template of one of its networks. The names of its hit and transaction ids are not confirmed.
INSERT INTO postback.network_presets (
    preset, title, click_slot, macros, parameters, statuses, default_status, dedupe, unconfirmed, example, notes)
VALUES (
    'hitpath', 'HitPath networks (such as Jumbleberry)', 'c1',
    '[["c1", "xxc1xx"], ["payout", "xxpayoutxx"]]',
    '{"click_id": ["c1", "c2", "c3", "click_id"], "transaction_id": ["transaction_id", "trans_id", "hit_id"], "event": ["event"],
     "status": ["status"], "payout": ["payout"], "currency": ["currency"], "offer_id": ["offer_id"], "token": ["token"]}',
    '{"pending": "pending", "approved": "approved", "rejected": "rejected", "reversed": "reversed"}',
    'approved', ARRAY['transaction_id,event', 'click_id,event'], ARRAY['trans_id', 'hit_id'],
    'c1=CLICK_ID&payout=12.50',
    'A second conversion of a click is a duplicate of the first, since nothing tells them apart.');
