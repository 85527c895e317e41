-- CAKE. leadid is CAKE's id of the conversion; reqid is that of the session and repeats; tid is the advertiser's. cid is a creative
-- there, no click.
INSERT INTO postback.network_presets (
    preset, title, click_slot, macros, parameters, statuses, default_status, dedupe, example, notes)
VALUES (
    'cake', 'CAKE', 's2',
    '[["s2", "#s2#"], ["price", "#price#"], ["oid", "#oid#"], ["leadid", "#leadid#"], ["time", "#utcunixtime#"]]',
    '{"click_id": ["s2", "s3", "s4", "s5", "click_id"], "transaction_id": ["leadid"], "event": ["event", "event_id"],
     "status": ["status", "disposition"], "payout": ["price", "payout"], "currency": ["currency"], "offer_id": ["oid", "campid", "cid"],
     "time": ["time"], "token": ["token"]}',
    '{"pending": "pending", "approved": "approved", "rejected": "rejected", "reversed": "reversed"}',
    'approved', ARRAY['transaction_id', 'click_id,event'],
    's2=CLICK_ID&price=12.50&oid=4711&leadid=8812345&time=1740909900',
    's1 holds 50 characters, s2 to s5 hold 100, and what is longer spills into the next slot: use s2. CAKE posts conversions only; '
    'a reversal comes by its API or by hand.');

-- ClickDealer runs on CAKE.
INSERT INTO postback.network_presets (
    preset, title, click_slot, macros, parameters, statuses, default_status, dedupe, example, notes)
VALUES (
    'clickdealer', 'ClickDealer', 's2',
    '[["s2", "#s2#"], ["price", "#price#"], ["oid", "#oid#"], ["leadid", "#leadid#"]]',
    '{"click_id": ["s2", "s3", "s4", "s5", "s6", "click_id"], "transaction_id": ["leadid"], "event": ["event", "event_id"],
     "status": ["status"], "payout": ["price", "payout"], "currency": ["currency"], "offer_id": ["oid"], "token": ["token"]}',
    '{"pending": "pending", "approved": "approved", "rejected": "rejected", "reversed": "reversed"}',
    'approved', ARRAY['transaction_id', 'click_id,event'],
    's2=CLICK_ID&price=12.50&oid=4711&leadid=8812345',
    'Append &s2={click_id} to the offer link; s3 to s6 are free for sub ids.');
