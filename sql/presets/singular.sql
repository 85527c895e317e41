-- Singular. A JSON body by POST whose members are yours to name: these are ours.
INSERT INTO postback.network_presets (
    preset, title, click_slot, macros, parameters, statuses, default_status, dedupe, example, notes)
VALUES (
    'singular', 'Singular', 'click_id',
    '[["click_id", "REPLACE"], ["payout", "REPLACE"], ["currency", "REPLACE"], ["transaction_id", "REPLACE"], ["event", "REPLACE"]]',
    '{"click_id": ["click_id", "clickid"], "transaction_id": ["transaction_id"], "event": ["event", "event_name"], "status": ["status"],
     "payout": ["payout", "revenue"], "currency": ["currency"], "offer_id": ["offer_id", "app_id"], "time": ["timestamp", "event_time"],
     "token": ["token"]}',
    '{"pending": "pending", "approved": "approved", "rejected": "rejected", "reversed": "reversed"}',
    'approved', ARRAY['transaction_id,event', 'click_id,event'],
    'click_id=CLICK_ID&payout=12.50&currency=USD&transaction_id=990112&event=purchase',
    'Name the members of the JSON body as in the URL. Only 200 is a success; 5xx is tried again after 1, 5, 15, 30 and 60 minutes. '
    'Source addresses: allowed_cidrs => ''{198.134.6.0/23, 44.239.146.125, 54.200.124.61, 54.69.245.48, 34.208.244.242, '
    '34.212.94.34, 44.239.107.210, 44.237.116.233, 44.240.64.97, 35.85.128.184}''.');
