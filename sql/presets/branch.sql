-- Branch. Macros are FreeMarker; the one of the event's name is known, which one returns the click id the account shows.
INSERT INTO postback.network_presets (
    preset, title, click_slot, macros, parameters, statuses, default_status, dedupe, example, notes)
VALUES (
    'branch', 'Branch', 'click_id',
    '[["click_id", "REPLACE"], ["revenue", "OPTIONAL"], ["event_name", "${(name)!}"]]',
    '{"click_id": ["click_id"], "transaction_id": ["transaction_id"], "event": ["event_name"], "status": ["status"],
     "payout": ["revenue"], "currency": ["currency"], "offer_id": ["app_id"], "token": ["token"]}',
    '{"pending": "pending", "approved": "approved", "rejected": "rejected", "reversed": "reversed"}',
    'approved', ARRAY['transaction_id,event', 'click_id,event'],
    'click_id=CLICK_ID&revenue=12.50&event_name=PURCHASE',
    'Put the macro of last_attributed_touch_data that holds your click id in the place of REPLACE, and ${(event_data.revenue)!} in that '
    'of OPTIONAL where it resolves.');
