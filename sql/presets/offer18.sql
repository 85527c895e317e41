-- Offer18. tid is its click id, shared by the events of a visitor. No page confirms its other macros.
INSERT INTO postback.network_presets (
    preset, title, click_slot, macros, parameters, statuses, default_status, dedupe, unconfirmed, example, notes)
VALUES (
    'offer18', 'Offer18', 'aff_click_id',
    '[["click_id", "REPLACE"], ["payout", "REPLACE"], ["tid", "{tid}"], ["event", "REPLACE"]]',
    '{"click_id": ["click_id", "aff_click_id", "aff_sub1"], "transaction_id": ["tid"], "event": ["event"], "status": ["status"],
     "payout": ["payout"], "currency": ["currency"], "offer_id": ["offerid"], "token": ["token"]}',
    '{"hold": "pending", "confirmed": "approved", "completed": "approved", "declined": "rejected", "pending": "pending",
     "approved": "approved", "rejected": "rejected", "reversed": "reversed"}',
    'approved', ARRAY['transaction_id,event', 'click_id,event'], ARRAY['aff_click_id', 'aff_sub1', 'offerid'],
    'click_id=CLICK_ID&payout=12.50&tid=o18-77aa12&event=purchase',
    'Put the macros that your account shows in the place of each REPLACE; a REPLACE that stays is recognised and credits nothing.');
