-- Cellxpert, and platforms like Income Access. The status is a constant in the URL: one URL for each kind of postback.
INSERT INTO postback.network_presets (
    preset, title, click_slot, macros, parameters, statuses, default_status, dedupe, example, notes)
VALUES (
    'cellxpert', 'Cellxpert', 'afp1',
    '[["afp1", "[afp1]"], ["CommissionAmount", "[CommissionAmount]"], ["status", "approved"]]',
    '{"click_id": ["afp1", "afp2", "afp3", "click_id"], "transaction_id": ["transaction_id"], "event": ["event"], "status": ["status"],
     "payout": ["CommissionAmount", "payout"], "currency": ["currency"], "offer_id": ["offer_id"], "token": ["token"]}',
    '{"pending": "pending", "approved": "approved", "rejected": "rejected", "reversed": "reversed"}',
    NULL, ARRAY['transaction_id,event', 'click_id,event'],
    'afp1=CLICK_ID&CommissionAmount=150.00&status=approved',
    'Paste one URL for each kind of postback and type its status and event into it: status=pending&event=registration, '
    'status=approved&event=ftd.');
