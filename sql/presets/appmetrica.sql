-- AppMetrica. No payout: the offer's own counts. Any parameter of the link comes back by its name.
INSERT INTO postback.network_presets (
    preset, title, click_slot, macros, parameters, statuses, default_status, dedupe, example, notes)
VALUES (
    'appmetrica', 'AppMetrica', 'click_id',
    '[["click_id", "{click_id}"], ["transaction_id", "{transaction_id}"]]',
    '{"click_id": ["click_id", "clickid"], "transaction_id": ["transaction_id"], "event": ["event_name", "event"], "status": ["status"],
     "payout": ["payout"], "currency": ["currency"], "offer_id": ["offer_id"], "token": ["token"]}',
    '{"pending": "pending", "approved": "approved", "rejected": "rejected", "reversed": "reversed"}',
    'approved', ARRAY['transaction_id,event', 'click_id,event'],
    'click_id=CLICK_ID&transaction_id=990112',
    'Only 200 is a success; anything else is sent again every 5 to 10 minutes for a day. Give each event a postback of its own, '
    'with &event= and its name typed into the URL.');
