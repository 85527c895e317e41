-- PartnerStack, from third-party pages; it may send webhooks rather than macros. customer_key names the customer, not the sale.
INSERT INTO postback.network_presets (
    preset, title, click_slot, macros, parameters, statuses, default_status, dedupe, example, notes)
VALUES (
    'partnerstack', 'PartnerStack', 'custom_key',
    '[["custom_key", "{custom_key}"], ["reward_amount", "{reward_amount}"], ["customer_key", "{customer_key}"]]',
    '{"click_id": ["custom_key", "click_id"], "transaction_id": ["customer_key"], "event": ["event"], "status": ["status"],
     "payout": ["reward_amount"], "currency": ["currency"], "offer_id": ["program"], "token": ["token"]}',
    '{"actioned": "approved", "paid": "approved", "declined": "rejected", "voided": "rejected", "refunded": "reversed",
     "pending": "pending", "approved": "approved", "rejected": "rejected", "reversed": "reversed"}',
    'approved', ARRAY['transaction_id,event', 'click_id,event'],
    'custom_key=CLICK_ID&reward_amount=12.50&customer_key=cus_990112',
    'Further rewards for a customer share the customer_key: put &event= with something that differs at the end of the URL, or set '
    'a duplicate policy with duplicate_policies => ''{"*": "add_payout"}''.');
