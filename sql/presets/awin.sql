-- Awin. The spelling of the macro for the transaction id is not confirmed, so it is not in the URL; in a JSON body it comes as
-- transactionId.
INSERT INTO postback.network_presets (
    preset, title, click_slot, macros, parameters, statuses, default_status, dedupe, unconfirmed, example, notes)
VALUES (
    'awin', 'Awin', 'clickref',
    '[["clickRef", "!!!clickRef!!!"], ["commission", "!!!commission!!!"], ["merchantId", "!!!merchantId!!!"]]',
    '{"click_id": ["clickRef", "clickref", "clickRef2", "clickRef3", "clickRef4", "clickRef5", "clickRef6", "click_id"],
     "transaction_id": ["transactionId", "transaction_id"], "event": ["event"], "status": ["status"], "payout": ["commission"],
     "currency": ["currency"], "offer_id": ["merchantId"], "token": ["token"]}',
    '{"declined": "rejected", "pending": "pending", "approved": "approved", "rejected": "rejected", "reversed": "reversed"}',
    'approved', ARRAY['transaction_id', 'click_id,event'], ARRAY['transactionId'],
    'clickRef=CLICK_ID&commission=12.50&merchantId=4711',
    'Macros are case-sensitive. Awin posts new transactions only, and only to ports 80 and 443; the feature is switched on by a '
    'ticket. Without a transactionId a second sale of one click is a duplicate of the first: choose POST with JSON where you can. '
    'Say currency => to add_network() when you are not paid in USD.');
