-- Rakuten. Only pulling is known; the slot u1 is not confirmed, and the words are those of its API.
INSERT INTO postback.network_presets (
    preset, title, click_slot, macros, parameters, statuses, default_status, dedupe, unconfirmed, example, notes)
VALUES (
    'rakuten', 'Rakuten', 'u1',
    '[["click_id", "REPLACE"], ["payout", "OPTIONAL"], ["order_id", "OPTIONAL"], ["status", "OPTIONAL"]]',
    '{"click_id": ["click_id", "u1"], "transaction_id": ["order_id"], "event": ["event"], "status": ["status"], "payout": ["payout"],
     "currency": ["currency"], "offer_id": ["advertiser"], "token": ["token"]}',
    '{"locked": "approved", "paid": "approved", "declined": "rejected", "cancelled": "rejected", "pending": "pending",
     "approved": "approved", "rejected": "rejected", "reversed": "reversed"}',
    NULL, ARRAY['transaction_id,event', 'click_id,event'], ARRAY['u1'],
    'click_id=CLICK_ID&payout=12.50&order_id=990112&status=approved',
    'Put the macros that your account shows in the place of REPLACE and OPTIONAL; without a postback, import its report.');
