-- Adjust. Nothing of its postbacks but the app's macro is confirmed.
INSERT INTO postback.network_presets (
    preset, title, click_slot, macros, parameters, statuses, default_status, dedupe, unconfirmed, example, notes)
VALUES (
    'adjust', 'Adjust', 'click_id',
    '[["cid", "REPLACE"], ["revenue", "OPTIONAL"], ["event", "OPTIONAL"], ["app_id", "{app_id}"]]',
    '{"click_id": ["cid", "click_id"], "transaction_id": ["transaction_id"], "event": ["event", "event_name"], "status": ["status"],
     "payout": ["revenue", "reporting_revenue"], "currency": ["currency"], "offer_id": ["app_id"], "time": ["created_at"],
     "token": ["token"]}',
    '{"pending": "pending", "approved": "approved", "rejected": "rejected", "reversed": "reversed"}',
    'approved', ARRAY['transaction_id,event', 'click_id,event'],
    ARRAY['click_id', 'event_name', 'reporting_revenue', 'created_at'],
    'cid=CLICK_ID&revenue=12.50&event=purchase&app_id=4711',
    'Put the macros that your account shows in the place of REPLACE and OPTIONAL; a REPLACE that stays is recognised and credits nothing.');
