-- Swaarm. No transaction id: one conversion per click and type of event.
INSERT INTO postback.network_presets (
    preset, title, click_slot, macros, parameters, statuses, default_status, dedupe, example, notes)
VALUES (
    'swaarm', 'Swaarm', 'pub_click_id',
    '[["pub_click_id", "#{click.publisher.clickId}"], ["payout", "#{payout.theyGetInDollars}"], ["event_type_id", "#{offer.eventTypeId}"],
     ["status", "#{status.state}"]]',
    '{"click_id": ["pub_click_id", "click_id"], "transaction_id": ["transaction_id"], "event": ["event_type_id", "event_name"],
     "status": ["status"], "payout": ["payout"], "offer_id": ["offer_id"], "token": ["token"]}',
    '{"rejected by advertiser": "rejected", "pending": "pending", "approved": "approved", "rejected": "rejected", "reversed": "reversed"}',
    NULL, ARRAY['transaction_id,event', 'click_id,event'],
    'pub_click_id=CLICK_ID&payout=12.50&event_type_id=12&status=Approved',
    'The # belongs to the macro. The payout is in USD.');
