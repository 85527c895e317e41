-- AlterCPA. The stage of a lead, reported at each step under one id.
INSERT INTO postback.network_presets (
    preset, title, click_slot, macros, parameters, statuses, default_status, dedupe, example, notes)
VALUES (
    'altercpa', 'AlterCPA', 'subid',
    '[["subid", "{subid}"], ["cash", "{cash}"], ["id", "{id}"], ["stage", "{stage}"]]',
    '{"click_id": ["subid", "click_id"], "transaction_id": ["id"], "event": ["goal"], "status": ["stage", "status"],
     "payout": ["cash", "payout"], "currency": ["currency"], "offer_id": ["offer_id"], "token": ["token"]}',
    '{"wait": "pending", "hold": "pending", "approve": "approved", "cancel": "rejected", "trash": "rejected", "pending": "pending",
     "approved": "approved", "rejected": "rejected", "reversed": "reversed"}',
    NULL, ARRAY['transaction_id,event', 'click_id,event'],
    'subid=CLICK_ID&cash=12.50&id=990112&stage=approve',
    'Networks on AlterCPA pay in many currencies: say currency => to add_network().');
