-- Alanbase. One id with several goals.
INSERT INTO postback.network_presets (
    preset, title, click_slot, macros, parameters, statuses, default_status, dedupe, example, notes)
VALUES (
    'alanbase', 'Alanbase', 'sub_id1',
    '[["sub_id1", "{sub_id1}"], ["revenue", "{revenue}"], ["id", "{id}"], ["goal", "{goal}"], ["status", "{status}"]]',
    '{"click_id": ["sub_id1", "sub_id2", "click_id"], "transaction_id": ["id"], "event": ["goal"], "status": ["status"],
     "payout": ["revenue", "payout"], "currency": ["currency"], "offer_id": ["offer_id"], "token": ["token"]}',
    '{"hold": "pending", "confirmed": "approved", "declined": "rejected", "pending": "pending", "approved": "approved",
     "rejected": "rejected", "reversed": "reversed"}',
    NULL, ARRAY['transaction_id,event', 'click_id,event'],
    'sub_id1=CLICK_ID&revenue=12.50&id=990112&goal=ftd&status=confirmed',
    'Append &sub_id1={click_id} to the offer link.');
