-- AdCombo. Its three words are hold, lead and reject: lead is what became of a hold that was confirmed, so here it is approved.
INSERT INTO postback.network_presets (
    preset, title, click_slot, macros, parameters, statuses, default_status, dedupe, example, notes)
VALUES (
    'adcombo', 'AdCombo', 'subacc4',
    '[["subacc4", "{subacc4}"], ["revenue", "{revenue}"], ["trans_id", "{trans_id}"], ["status", "{status}"]]',
    '{"click_id": ["subacc4", "subacc3", "subacc2", "subacc", "click_id"], "transaction_id": ["trans_id"], "event": ["goal"],
     "status": ["status"], "payout": ["revenue", "payout"], "currency": ["currency"], "offer_id": ["offer_id"], "token": ["token"]}',
    '{"hold": "pending", "lead": "approved", "reject": "rejected", "trash": "rejected", "pending": "pending", "approved": "approved",
     "rejected": "rejected", "reversed": "reversed"}',
    NULL, ARRAY['transaction_id,event', 'click_id,event'],
    'subacc4=CLICK_ID&revenue=12.50&trans_id=990112&status=lead',
    'lead means a confirmed order here, not a new one.');
