-- ShareASale, on its way to Awin. The slot afftrack and its macro are not confirmed; the words are those of its API.
INSERT INTO postback.network_presets (
    preset, title, click_slot, macros, parameters, statuses, default_status, dedupe, unconfirmed, example, notes)
VALUES (
    'shareasale', 'ShareASale', 'afftrack',
    '[["click_id", "REPLACE"], ["commission", "{commission}"], ["transaction_id", "{transactionid}"]]',
    '{"click_id": ["click_id", "afftrack"], "transaction_id": ["transaction_id", "transactionid"], "event": ["event"],
     "status": ["status"], "payout": ["commission"], "currency": ["currency"], "offer_id": ["merchant"], "token": ["token"]}',
    '{"new": "pending", "unlocked": "pending", "locked": "approved", "voided": "rejected", "pending": "pending", "approved": "approved",
     "rejected": "rejected", "reversed": "reversed"}',
    'approved', ARRAY['transaction_id', 'click_id,event'], ARRAY['afftrack'],
    'click_id=CLICK_ID&commission=12.50&transaction_id=990112',
    'Put the macro that your account shows in the place of REPLACE; a REPLACE that stays is recognised and credits nothing.');
