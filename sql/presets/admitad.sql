-- Admitad. No transaction id in the known template: one conversion per click.
INSERT INTO postback.network_presets (
    preset, title, click_slot, macros, parameters, statuses, default_status, dedupe, example, notes)
VALUES (
    'admitad', 'Admitad', 'subid',
    '[["subid", "[[[subid]]]"], ["payment_sum", "[[[payment_sum]]]"], ["payment_status", "[[[payment_status]]]"]]',
    '{"click_id": ["subid", "click_id"], "transaction_id": ["transaction_id"], "event": ["event"], "status": ["payment_status", "status"],
     "payout": ["payment_sum"], "currency": ["currency"], "offer_id": ["offer_id"], "token": ["token"]}',
    '{"new": "pending", "waiting": "pending", "confirmed": "approved", "declined": "rejected", "pending": "pending",
     "approved": "approved", "rejected": "rejected", "reversed": "reversed"}',
    NULL, ARRAY['transaction_id,event', 'click_id,event'],
    'subid=CLICK_ID&payment_sum=12.50&payment_status=approved',
    'The known template gives no list of status words: a word that is missing shows as unmapped_status. Say currency => to '
    'add_network() when you are not paid in USD.');
