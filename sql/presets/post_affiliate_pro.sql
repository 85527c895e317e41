-- Post Affiliate Pro. Its letters are known, its macros are not: A approved, P pending, D declined; of its types, R is a refund and H a
-- chargeback.
INSERT INTO postback.network_presets (
    preset, title, click_slot, macros, parameters, statuses, default_status, dedupe, unconfirmed, example, notes)
VALUES (
    'post_affiliate_pro', 'Post Affiliate Pro', 'data1',
    '[["click_id", "REPLACE"], ["commission", "REPLACE"], ["campaign", "REPLACE"], ["order_id", "REPLACE"], ["status", "REPLACE"]]',
    '{"click_id": ["click_id", "data1", "data2"], "transaction_id": ["order_id"], "event": ["event"], "status": ["status"],
     "payout": ["commission"], "currency": ["currency"], "offer_id": ["campaign"], "token": ["token"]}',
    '{"p": "pending", "a": "approved", "d": "rejected", "r": "reversed", "h": "reversed", "pending": "pending", "approved": "approved",
     "rejected": "rejected", "reversed": "reversed"}',
    NULL, ARRAY['transaction_id,event', 'click_id,event'], ARRAY['data1', 'data2'],
    'click_id=CLICK_ID&commission=12.50&campaign=4711&order_id=A-1001&status=A',
    'Put the macros that your account shows in the place of each REPLACE; a REPLACE that stays is recognised and credits nothing. '
    'For refunds and chargebacks paste the macro of the type as the status.');
