-- For networks and trackers without a preset of their own, and for a plain /postback: the field's usual names.
INSERT INTO postback.network_presets (
    preset, title, click_slot, macros, parameters, statuses, default_status, dedupe, example, notes)
VALUES (
    'generic', 'Any network', 'click_id',
    '[["click_id", "{click_id}"], ["payout", "{payout}"], ["status", "{status}"], ["transaction_id", "{transaction_id}"]]',
    '{"click_id": ["click_id", "clickid", "aff_click_id", "cid", "cnv_id", "subid", "sub_id", "sid", "sub1", "aff_sub", "s2"],
      "transaction_id": ["transaction_id", "txn_id", "txid", "tid", "conversion_id", "leadid"],
      "event": ["event", "event_id", "goal_id", "goal", "et"],
      "status": ["status", "conversion_status", "conv_status", "cnv_status"],
      "payout": ["payout", "payout_amount", "amount", "sum", "revenue", "commission"],
      "currency": ["currency", "cnv_currency", "offer_currency"],
      "offer_id": ["offer_id", "offerid", "oid", "campaign_id"],
      "time": ["timestamp", "conversion_time", "datetime"],
      "token": ["token", "security_token", "secure", "verification_token"]}',
    '{"pending": "pending", "hold": "pending", "on_hold": "pending", "lead": "pending", "new": "pending", "wait": "pending",
      "waiting": "pending", "created": "pending", "processing": "pending",
      "approved": "approved", "approve": "approved", "confirmed": "approved", "confirm": "approved", "sale": "approved",
      "paid": "approved", "payed": "approved", "accepted": "approved", "completed": "approved", "credited": "approved",
      "rejected": "rejected", "reject": "rejected", "trash": "rejected", "cancel": "rejected", "cancelled": "rejected",
      "canceled": "rejected", "declined": "rejected", "decline": "rejected", "denied": "rejected", "invalid": "rejected",
      "void": "rejected", "voided": "rejected", "refused": "rejected",
      "reversed": "reversed", "refund": "reversed", "refunded": "reversed", "chargeback": "reversed", "returned": "reversed",
      "clawback": "reversed"}',
    'approved', ARRAY['transaction_id,event', 'click_id,event'],
    'click_id=CLICK_ID&payout=12.50&status=approved&transaction_id=txn_001',
    'Put the network''s own macros in the place of these. A message without a status counts as approved: most networks post only what they pay.');
