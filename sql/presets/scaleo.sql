-- Scaleo. The macro of the offer is not confirmed: offer_id is accepted and not asked for.
INSERT INTO postback.network_presets (
    preset, title, click_slot, macros, parameters, statuses, default_status, dedupe, unconfirmed, example, notes)
VALUES (
    'scaleo', 'Scaleo', 'aff_click_id',
    '[["aff_click_id", "{aff_click_id}"], ["payout", "{payout}"], ["currency", "{currency}"], ["transaction_id", "{transaction_id}"],
     ["goal", "{goal_alias}"], ["status", "{conv_status}"]]',
    '{"click_id": ["aff_click_id", "sub_id1", "aff_param1", "click_id"], "transaction_id": ["transaction_id"],
     "event": ["goal", "goal_alias"], "status": ["status", "conv_status"], "payout": ["payout"],
     "currency": ["currency", "offer_currency"], "offer_id": ["offer_id"], "token": ["token"]}',
    '{"trash": "rejected", "pending": "pending", "approved": "approved", "rejected": "rejected", "reversed": "reversed"}',
    NULL, ARRAY['transaction_id,event', 'click_id,event'], ARRAY['offer_id'],
    'aff_click_id=CLICK_ID&payout=12.50&currency=USD&transaction_id=a81f3c&goal=sale&status=approved',
    'Append &aff_click_id={click_id} to the offer link.');
