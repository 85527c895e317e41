-- ClickBank: the S2S postback, and the members of the older Instant Notification (INS), whose first tracking code is read as tid.
-- ORDER_IMPRESSION and TEST_* are no sales: they are kept as unmapped_status and earn nothing.
INSERT INTO postback.network_presets (
    preset, title, click_slot, macros, parameters, statuses, default_status, dedupe, example, notes)
VALUES (
    'clickbank', 'ClickBank', 'tid',
    '[["tid", "{tid}"], ["payout", "{affiliate_earnings}"], ["event_id", "{event_id}"], ["event_type", "{event_type}"]]',
    '{"click_id": ["tid", "extclid", "aff_sub1", "click_id"], "transaction_id": ["event_id", "receipt"],
     "status": ["event_type", "transactionType"], "payout": ["payout", "affiliate_earnings", "totalAccountAmount"],
     "offer_id": ["vendor"], "token": ["token"]}',
    '{"purchase": "approved", "upsell": "approved", "sale": "approved", "bill": "approved", "rfnd": "reversed", "cgbk": "reversed",
     "pending": "pending", "approved": "approved", "rejected": "rejected", "reversed": "reversed"}',
    NULL, ARRAY['transaction_id', 'click_id'],
    'tid=CLICK_ID&payout=27.31&event_id=8KV5Z2EF&event_type=PURCHASE',
    'tid may have been cut to 24 characters in old accounts: check with a test sale. For Instant Notifications add the secret: '
    'add_network_secret(network, ''clickbank_ins'', …).');
