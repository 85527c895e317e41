-- Trackers: the names under which networks that were set up for one of them post to it. Only the host of the URL changes.
-- The macros are the network's, so what stands in the URL is the placeholder that Voluum made usual.
INSERT INTO postback.network_presets (
    preset, title, click_slot, macros, parameters, statuses, default_status, dedupe, example, notes)
VALUES (
    'voluum', 'Voluum''s names', 'cid',
    '[["cid", "REPLACE"], ["payout", "OPTIONAL"], ["txid", "OPTIONAL"], ["et", "OPTIONAL"]]',
    '{"click_id": ["cid", "click_id"], "transaction_id": ["txid"], "event": ["et"], "status": ["status"], "payout": ["payout"],
     "currency": ["currency"], "offer_id": ["offer_id"], "token": ["token"]}',
    '{"pending": "pending", "approved": "approved", "rejected": "rejected", "reversed": "reversed"}',
    'approved', ARRAY['transaction_id,event', 'click_id,event'],
    'cid=CLICK_ID&payout=12.50&txid=990112&et=purchase',
    'Put the network''s own macros in the place of REPLACE and OPTIONAL. In the offer link use the network''s slot.');

INSERT INTO postback.network_presets (
    preset, title, click_slot, macros, parameters, statuses, default_status, dedupe, example, notes)
VALUES (
    'keitaro', 'Keitaro''s names', 'subid',
    '[["subid", "REPLACE"], ["payout", "OPTIONAL"], ["currency", "OPTIONAL"], ["tid", "OPTIONAL"], ["status", "OPTIONAL"]]',
    '{"click_id": ["subid", "sub_id", "clickid", "click_id"], "transaction_id": ["tid"], "event": ["event"], "status": ["status"],
     "payout": ["payout", "revenue"], "currency": ["currency"], "offer_id": ["offer_id"], "token": ["token"]}',
    '{"hold": "pending", "lead": "pending", "new": "pending", "wait": "pending", "registration": "pending", "sale": "approved",
     "confirmed": "approved", "approve": "approved", "rebill": "approved", "paid": "approved", "reject": "rejected", "trash": "rejected",
     "cancel": "rejected", "cancelled": "rejected", "declined": "rejected", "refund": "reversed", "refunded": "reversed",
     "chargeback": "reversed", "pending": "pending", "approved": "approved", "rejected": "rejected", "reversed": "reversed"}',
    'approved', ARRAY['transaction_id,event', 'click_id,event'],
    'subid=CLICK_ID&payout=12.50&currency=USD&tid=990112&status=sale',
    'Put the network''s own macros in the place of REPLACE and OPTIONAL. In the offer link use the network''s slot.');

INSERT INTO postback.network_presets (
    preset, title, click_slot, macros, parameters, statuses, default_status, dedupe, example, notes)
VALUES (
    'binom', 'Binom''s names', 'cnv_id',
    '[["cnv_id", "REPLACE"], ["payout", "OPTIONAL"], ["cnv_currency", "OPTIONAL"], ["cnv_status", "OPTIONAL"]]',
    '{"click_id": ["cnv_id", "clickid", "click_id"], "transaction_id": ["transaction_id"], "event": ["event"], "status": ["cnv_status"],
     "payout": ["payout"], "currency": ["cnv_currency"], "offer_id": ["offer_id"], "token": ["token"]}',
    '{"hold": "pending", "lead": "pending", "new": "pending", "wait": "pending", "registration": "pending", "sale": "approved",
     "confirmed": "approved", "approve": "approved", "rebill": "approved", "paid": "approved", "reject": "rejected", "trash": "rejected",
     "cancel": "rejected", "cancelled": "rejected", "declined": "rejected", "refund": "reversed", "refunded": "reversed",
     "chargeback": "reversed", "pending": "pending", "approved": "approved", "rejected": "rejected", "reversed": "reversed"}',
    'approved', ARRAY['transaction_id,event', 'click_id,event'],
    'cnv_id=CLICK_ID&payout=12.50&cnv_currency=USD&cnv_status=approved',
    'Put the network''s own macros in the place of REPLACE and OPTIONAL. In the offer link use the network''s slot. cnv_status2 and '
    'event1 to event30 are kept in the raw message and not read.');

INSERT INTO postback.network_presets (
    preset, title, click_slot, macros, parameters, statuses, default_status, dedupe, example, notes)
VALUES (
    'redtrack', 'RedTrack''s names', 'clickid',
    '[["clickid", "REPLACE"], ["sum", "OPTIONAL"], ["type", "OPTIONAL"], ["status", "OPTIONAL"]]',
    '{"click_id": ["clickid", "click_id"], "conversion_id": ["rdtk_event_id"], "event": ["type"], "status": ["status"],
     "payout": ["sum", "payout"], "currency": ["currency"], "offer_id": ["offer_id"], "token": ["token"]}',
    '{"hold": "pending", "lead": "pending", "new": "pending", "wait": "pending", "registration": "pending", "sale": "approved",
     "confirmed": "approved", "approve": "approved", "rebill": "approved", "paid": "approved", "reject": "rejected", "trash": "rejected",
     "cancel": "rejected", "cancelled": "rejected", "declined": "rejected", "refund": "reversed", "refunded": "reversed",
     "chargeback": "reversed", "pending": "pending", "approved": "approved", "rejected": "rejected", "reversed": "reversed"}',
    'approved', ARRAY['conversion_id', 'click_id,event'],
    'clickid=CLICK_ID&sum=12.50&type=purchase&status=approved',
    'Put the network''s own macros in the place of REPLACE and OPTIONAL. In the offer link use the network''s slot.');

INSERT INTO postback.network_presets (
    preset, title, click_slot, macros, parameters, statuses, default_status, dedupe, example, notes)
VALUES (
    'prosper202', 'Prosper202''s names', 'subid',
    '[["subid", "REPLACE"], ["amount", "OPTIONAL"]]',
    '{"click_id": ["subid", "sid", "click_id"], "transaction_id": ["transaction_id"], "event": ["event"], "status": ["status"],
     "payout": ["amount"], "currency": ["currency"], "offer_id": ["offer_id"], "token": ["token"]}',
    '{"pending": "pending", "approved": "approved", "rejected": "rejected", "reversed": "reversed"}',
    'approved', ARRAY['transaction_id,event', 'click_id,event'],
    'subid=CLICK_ID&amount=12.50',
    'Put the network''s own macros in the place of REPLACE and OPTIONAL. In the offer link use the network''s slot.');

INSERT INTO postback.network_presets (
    preset, title, click_slot, macros, parameters, statuses, default_status, dedupe, example, notes)
VALUES (
    'trcker', 'trcker''s names', 'click_id',
    '[["click_id", "REPLACE"], ["payout", "OPTIONAL"], ["currency", "OPTIONAL"], ["txn_id", "OPTIONAL"], ["event", "OPTIONAL"]]',
    '{"click_id": ["click_id"], "transaction_id": ["txn_id"], "event": ["event"], "status": ["status"], "payout": ["payout", "amount"],
     "currency": ["currency"], "offer_id": ["offer_id"], "token": ["token"]}',
    '{"pending": "pending", "approved": "approved", "rejected": "rejected", "reversed": "reversed"}',
    'approved', ARRAY['transaction_id,event', 'click_id,event'],
    'click_id=CLICK_ID&payout=12.50&currency=USD&txn_id=990112&event=sale',
    'Put the network''s own macros in the place of REPLACE and OPTIONAL. In the offer link use the network''s slot. coupon_code is kept '
    'in the raw message and not read.');

INSERT INTO postback.network_presets (
    preset, title, click_slot, macros, parameters, statuses, default_status, dedupe, example, notes)
VALUES (
    'everflow_advertiser', 'Everflow''s names for advertisers (LeadConduit)', 'transaction_id',
    '[["transaction_id", "REPLACE"], ["event_id", "OPTIONAL"], ["amount", "OPTIONAL"]]',
    '{"click_id": ["transaction_id"], "event": ["event_id"], "status": ["status"], "payout": ["amount"], "currency": ["currency"],
     "offer_id": ["offer_id"], "token": ["verification_token", "token"]}',
    '{"pending": "pending", "approved": "approved", "rejected": "rejected", "reversed": "reversed"}',
    'approved', ARRAY['click_id,event'],
    'transaction_id=CLICK_ID&event_id=2&amount=12.50',
    'For those who post to Everflow as an advertiser: transaction_id is the click id. nid and adv1 to adv5 are kept in the raw message '
    'and not read.');
