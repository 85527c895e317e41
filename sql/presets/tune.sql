-- TUNE (HasOffers). transaction_id is TUNE's click session, shared by all goals of a visitor, so the goal is part of the key.
-- conversion_status and datetime are not confirmed by the vendor's pages: accepted as aliases, not asked for.
INSERT INTO postback.network_presets (
    preset, title, click_slot, macros, parameters, statuses, default_status, dedupe, unconfirmed, example, notes)
VALUES (
    'tune', 'TUNE (HasOffers)', 'aff_click_id',
    '[["aff_click_id", "{aff_click_id}"], ["payout", "{payout}"], ["offer_id", "{offer_id}"], ["transaction_id", "{transaction_id}"],
      ["goal_id", "{goal_id}"]]',
    '{"click_id": ["aff_click_id", "click_id", "aff_sub", "aff_sub2", "aff_sub3", "aff_sub4", "aff_sub5"],
      "transaction_id": ["transaction_id"],
      "conversion_id": ["conversion_unique_id"],
      "event": ["goal_id", "goal_ref"],
      "status": ["status", "conversion_status"],
      "payout": ["payout", "amount"],
      "currency": ["currency"],
      "offer_id": ["offer_id"],
      "time": ["datetime"],
      "token": ["security_token", "token"]}',
    '{"approved": "approved", "pending": "pending", "rejected": "rejected", "reversed": "reversed"}',
    'approved', ARRAY['conversion_id', 'transaction_id,event', 'click_id,event'],
    ARRAY['conversion_status', 'datetime'],
    'aff_click_id=CLICK_ID&payout=12.50&offer_id=789&transaction_id=102a8f5c3e7b1d&goal_id=0',
    'Append &aff_click_id={click_id} to the offer link.');
