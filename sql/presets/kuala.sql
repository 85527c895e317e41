-- Kuala. xid tells the conversions of one click apart and is unique within that click only, so the click is part of the key.
INSERT INTO postback.network_presets (
    preset, title, click_slot, macros, parameters, statuses, default_status, dedupe, example, notes)
VALUES (
    'kuala', 'Kuala', 'tid',
    '[["tid", "{tid}"], ["payout", "{payout}"], ["offer", "{offer}"], ["xid", "{xid}"]]',
    '{"click_id": ["tid", "click_id"], "transaction_id": ["xid"], "event": ["event"], "status": ["status"], "payout": ["payout"],
     "currency": ["currency"], "offer_id": ["offer"], "token": ["token"]}',
    '{"pending": "pending", "approved": "approved", "rejected": "rejected", "reversed": "reversed"}',
    'approved', ARRAY['transaction_id,click_id', 'click_id,event'],
    'tid=CLICK_ID&payout=12.50&offer=4711&xid=2',
    'Sent by GET or as JSON by POST; only 200 is a success.');
