-- Everflow. transaction_id is Everflow's click id, shared by conversion and events; conversion_id is unique where it is sent.
-- conversion_id, offer_id, oid, status and payout (for payout_amount) are not confirmed by the vendor's pages: accepted as aliases.
INSERT INTO postback.network_presets (
    preset, title, click_slot, macros, parameters, statuses, default_status, dedupe, unconfirmed, example, notes)
VALUES (
    'everflow', 'Everflow', 'sub1',
    '[["sub1", "{sub1}"], ["payout_amount", "{payout_amount}"], ["transaction_id", "{transaction_id}"], ["event_id", "{event_id}"],
      ["currency", "{offer_currency}"]]',
    '{"click_id": ["sub1", "click_id", "clickid"],
      "transaction_id": ["transaction_id", "txid"],
      "conversion_id": ["conversion_id"],
      "event": ["event_id", "event_name", "event"],
      "status": ["status"],
      "payout": ["payout_amount", "payout", "amount"],
      "currency": ["currency", "offer_currency"],
      "offer_id": ["offer_id", "oid"],
      "time": ["conversion_unix_timestamp", "timestamp"],
      "token": ["verification_token", "token"]}',
    '{"approved": "approved", "pending": "pending", "on_hold": "pending", "rejected": "rejected", "invalid": "rejected", "reversed": "reversed"}',
    'approved', ARRAY['conversion_id', 'transaction_id,event', 'click_id,event'],
    ARRAY['conversion_id', 'offer_id', 'oid', 'status', 'payout'],
    'sub1=CLICK_ID&payout_amount=12.50&transaction_id=0a1b2c3d4e5f4a6b8c7d9e0f1a2b3c4d&event_id=0&currency=USD',
    'Append &sub1={click_id} to the offer link. Everflow switches a postback off after ten failures in a row.');
