-- Content lockers and offer walls: small payouts, many reversals, and a status that must be in the URL to be sent.
-- Their pages give no list of status words but where one is named.
INSERT INTO postback.network_presets (
    preset, title, click_slot, macros, parameters, statuses, default_status, dedupe, example, notes)
VALUES (
    'adsworkmedia', 'AdsWorkMedia', 'sid',
    '[["sid", "{sid}"], ["amount", "{amount}"], ["offer_id", "{offer_id}"], ["lead_id", "{leadID}"], ["status", "{status}"]]',
    '{"click_id": ["sid", "click_id"], "transaction_id": ["lead_id", "leadID"], "event": ["event"], "status": ["status"],
     "payout": ["amount", "payout"], "currency": ["currency"], "offer_id": ["offer_id"], "token": ["token"]}',
    '{"credited": "approved", "chargeback": "reversed", "pending": "pending", "approved": "approved", "rejected": "rejected",
     "reversed": "reversed"}',
    NULL, ARRAY['transaction_id', 'click_id,event'],
    'sid=CLICK_ID&amount=1.25&offer_id=4711&lead_id=8812345&status=approved',
    'A status word that is missing shows as unmapped_status: add it with statuses => to add_network().');

INSERT INTO postback.network_presets (
    preset, title, click_slot, macros, parameters, statuses, default_status, dedupe, example, notes)
VALUES (
    'cpalead', 'CPAlead', 'subid',
    '[["subid", "{subid}"], ["payout", "{payout}"], ["offer_id", "{offer_id}"], ["lead_id", "{lead_id}"], ["status", "{status}"]]',
    '{"click_id": ["subid", "click_id"], "transaction_id": ["lead_id"], "event": ["event"], "status": ["status"], "payout": ["payout"],
     "currency": ["currency"], "offer_id": ["offer_id"], "token": ["token"]}',
    '{"credited": "approved", "chargeback": "reversed", "pending": "pending", "approved": "approved", "rejected": "rejected",
     "reversed": "reversed"}',
    NULL, ARRAY['transaction_id', 'click_id,event'],
    'subid=CLICK_ID&payout=1.25&offer_id=4711&lead_id=8812345&status=approved',
    'A status word that is missing shows as unmapped_status: add it with statuses => to add_network().');

INSERT INTO postback.network_presets (
    preset, title, click_slot, macros, parameters, statuses, default_status, dedupe, example, notes)
VALUES (
    'prodege', 'Prodege', 's1',
    '[["s1", "{s1}"], ["payout", "{payout}"], ["conversion_id", "{conversion_id}"], ["event_id", "{event_id}"], ["state", "{state}"]]',
    '{"click_id": ["s1", "s2", "s3", "click_id"], "conversion_id": ["conversion_id"], "event": ["event_id"], "status": ["state", "status"],
     "payout": ["payout"], "currency": ["currency"], "offer_id": ["offer_id"], "token": ["token"]}',
    '{"credited": "approved", "chargeback": "reversed", "reversal": "reversed", "pending": "pending", "approved": "approved",
     "rejected": "rejected", "reversed": "reversed"}',
    NULL, ARRAY['conversion_id', 'click_id,event'],
    's1=CLICK_ID&payout=1.25&conversion_id=4d63afe33875ceee&event_id=7&state=approved',
    'Reversals are sent only while {state} is in the URL, and events that pay nothing only while {event_id} is. A state that is '
    'missing shows as unmapped_status.');

INSERT INTO postback.network_presets (
    preset, title, click_slot, macros, parameters, statuses, default_status, dedupe, example, notes)
VALUES (
    'wannads', 'Wannads', 'aff_click_id',
    '[["aff_click_id", "{aff_click_id}"], ["payout", "{payout}"], ["offer_id", "{offer_id}"], ["transaction_id", "{transaction_id}"],
     ["goal_id", "{goal_id}"], ["status", "{status}"], ["signature", "{signature}"]]',
    '{"click_id": ["aff_click_id", "click_id"], "transaction_id": ["transaction_id"], "event": ["goal_id", "event_id"],
     "status": ["status"], "payout": ["payout"], "currency": ["currency"], "offer_id": ["offer_id"], "token": ["token"],
     "signature": ["signature"]}',
    '{"credited": "approved", "0": "approved", "2": "rejected", "1": "reversed", "pending": "pending", "approved": "approved",
     "rejected": "rejected", "reversed": "reversed"}',
    NULL, ARRAY['transaction_id,event', 'click_id,event'],
    'aff_click_id=CLICK_ID&payout=1.25&offer_id=4711&transaction_id=3f0c9a12&goal_id=2&status=credited&signature=9e107d9d372bb6826bd81d3542a419d6',
    'A reversal has the transaction id of what it takes back; 0 adds, 1 subtracts, 2 is rejected. Posts from 3.22.177.178: '
    'allowed_cidrs => ''{3.22.177.178/32}''. The signature is an MD5 of fields and the secret: take the order of the fields from '
    'your account and say it with hash_algorithm and hash_template.');

INSERT INTO postback.network_presets (
    preset, title, click_slot, macros, parameters, statuses, default_status, dedupe, example, notes)
VALUES (
    'acornads', 'AcornAds', 's1',
    '[["s1", "{s1}"], ["amount", "{amount}"], ["offer_id", "{offer_id}"], ["transaction_id", "{transaction_id}"],
     ["user_uid", "{user_uid}"], ["hash", "{hash}"]]',
    '{"click_id": ["s1", "s2", "s3", "s4", "s5", "click_id"], "transaction_id": ["transaction_id"], "event": ["event"],
     "status": ["status"], "payout": ["amount"], "currency": ["currency"], "offer_id": ["offer_id"], "token": ["token"],
     "signature": ["hash"]}',
    '{"pending": "pending", "approved": "approved", "rejected": "rejected", "reversed": "reversed"}',
    'approved', ARRAY['transaction_id,event', 'click_id,event'],
    's1=CLICK_ID&amount=1.25&offer_id=4711&transaction_id=3f0c9a12&user_uid=1001&hash=9e107d9d372bb6826bd81d3542a419d6',
    'The amount is in the currency of your wall: set its rate to 1, so that it is money. Posts from 67.205.182.39: allowed_cidrs '
    '=> ''{67.205.182.39/32}''. The hash: hash_algorithm => ''md5'', hash_template => ''{user_uid}{offer_id}{transaction_id}{secret}'', '
    'and the placement id as the secret of kind hash. One of fewer than 8 characters is no secret: rely on the address and a path token.');

INSERT INTO postback.network_presets (
    preset, title, click_slot, macros, parameters, statuses, default_status, dedupe, example, notes)
VALUES (
    'tyrads', 'TyrAds', 'sub3',
    '[["sub3", "{sub3}"], ["cost", "{cost}"], ["campaign_id", "{campaign_id}"], ["conversion_id", "{conversion_id}"],
     ["conversion_type", "{conversion_type}"], ["conversion_status", "{conversion_status}"]]',
    '{"click_id": ["sub3", "sub4", "sub5", "click_id"], "transaction_id": ["postback_id"], "conversion_id": ["conversion_id"],
     "event": ["conversion_type"], "status": ["conversion_status", "status"], "payout": ["cost"], "currency": ["currency"],
     "offer_id": ["campaign_id"], "token": ["token"]}',
    '{"pending": "pending", "approved": "approved", "rejected": "rejected", "reversed": "reversed"}',
    NULL, ARRAY['conversion_id', 'transaction_id', 'click_id,event'],
    'sub3=CLICK_ID&cost=1.25&campaign_id=4711&conversion_id=3f0c9a12&conversion_type=install&conversion_status=approved',
    'conversion_id is one per install or event. cost is what you earn; user_payout is what your user gets and is not read.');
