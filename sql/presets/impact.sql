-- impact.com. One ActionId per action, reported again whenever it is modified or reversed; LOCKED and PAID are later stages of approved.
INSERT INTO postback.network_presets (
    preset, title, click_slot, macros, parameters, statuses, default_status, dedupe, unconfirmed, example, notes)
VALUES (
    'impact', 'impact.com', 'subId1',
    '[["SubId1", "{SubId1}"], ["Payout", "{Payout}"], ["Currency", "{Currency}"], ["CampaignId", "{CampaignId}"],
     ["ActionId", "{ActionId}"], ["ActionTrackerId", "{ActionTrackerId}"], ["Status", "{Status}"], ["EventDate", "{EventDate}"]]',
    '{"click_id": ["SubId1", "SubId2", "SubId3", "subId1", "click_id"], "transaction_id": ["ActionId"],
     "event": ["ActionTrackerId", "ActionTrackerName"], "status": ["Status", "ActionStatus", "status"], "payout": ["Payout"],
     "currency": ["Currency"], "offer_id": ["CampaignId"], "time": ["EventDate"], "token": ["token"]}',
    '{"locked": "approved", "paid": "approved", "pending": "pending", "approved": "approved", "rejected": "rejected",
     "reversed": "reversed"}',
    NULL, ARRAY['transaction_id', 'click_id,event'], ARRAY['ActionStatus'],
    'SubId1=CLICK_ID&Payout=12.50&Currency=USD&CampaignId=4711&ActionId=4711.1234.567890&ActionTrackerId=2345&Status=PENDING&EventDate=2025-03-02T10%3A05%3A00-08%3A00',
    'Macros and slots are case-sensitive: subId1 in the link, {SubId1} in the postback. {Payout} is the whole payout after a '
    'change; do not paste {DeltaPayout} in its place. impact.com tries a failed postback up to 15 times.');
