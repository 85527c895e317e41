-- AppsFlyer. No transaction id: one conversion per click and event name.
INSERT INTO postback.network_presets (
    preset, title, click_slot, macros, parameters, statuses, default_status, dedupe, example, notes)
VALUES (
    'appsflyer', 'AppsFlyer (partner postback)', 'clickid',
    '[["clickid", "(clickid)"], ["revenue", "(event-revenue)"], ["app_id", "(app-id)"], ["event_name", "(event-name)"]]',
    '{"click_id": ["clickid", "click_id"], "transaction_id": ["transaction_id"], "event": ["event_name"], "status": ["status"],
     "payout": ["revenue", "event_revenue_USD", "event_revenue"], "currency": ["currency", "event_revenue_currency"],
     "offer_id": ["app_id"], "time": ["event_time"], "token": ["token"]}',
    '{"pending": "pending", "approved": "approved", "rejected": "rejected", "reversed": "reversed"}',
    'approved', ARRAY['transaction_id,event', 'click_id,event'],
    'clickid=CLICK_ID&revenue=12.50&app_id=id4711&event_name=af_purchase',
    'Macros stand in round brackets, and AppsFlyer''s staff enters the URL. Leave the revenue out of the URL of events that have '
    'none. To count an event more than once per click: duplicate_policies => ''{"af_purchase": "new"}''.');
