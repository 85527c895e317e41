-- Offerslook. Its {click_id} is its own click, shared by the events of a visitor; ours comes back in aff_sub1.
INSERT INTO postback.network_presets (
    preset, title, click_slot, macros, parameters, statuses, default_status, dedupe, example, notes)
VALUES (
    'offerslook', 'Offerslook', 'aff_sub1',
    '[["aff_sub1", "{aff_sub1}"], ["payout", "{payout}"], ["offer_id", "{offer_id}"], ["transaction_id", "{click_id}"],
     ["event_id", "{event_id}"]]',
    '{"click_id": ["aff_sub1", "aff_sub2", "aff_sub3", "aff_sub4", "aff_sub5"], "transaction_id": ["transaction_id", "click_id"],
     "event": ["event_id"], "status": ["status"], "payout": ["payout"], "currency": ["currency"], "offer_id": ["offer_id"],
     "token": ["token"]}',
    '{"pending": "pending", "approved": "approved", "rejected": "rejected", "reversed": "reversed"}',
    'approved', ARRAY['transaction_id,event', 'click_id,event'],
    'aff_sub1=CLICK_ID&payout=12.50&offer_id=4711&transaction_id=60c7aa12&event_id=3',
    '{click_time} is the time of the click and says nothing about the conversion: the time of receipt counts.');
