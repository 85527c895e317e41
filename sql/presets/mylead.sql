-- MyLead. pre_approved is not paid yet.
INSERT INTO postback.network_presets (
    preset, title, click_slot, macros, parameters, statuses, default_status, dedupe, example, notes)
VALUES (
    'mylead', 'MyLead', 'ml_sub1',
    '[["ml_sub1", "[ml_sub1]"], ["payout", "[payout]"], ["program_id", "[destination_program_id]"], ["transaction_id", "[transaction_id]"],
     ["status", "[status]"]]',
    '{"click_id": ["ml_sub1", "ml_sub2", "ml_sub3", "click_id"], "transaction_id": ["transaction_id"], "event": ["goal"],
     "status": ["status"], "payout": ["payout"], "currency": ["currency"], "offer_id": ["program_id", "destination_program_id"],
     "token": ["token"]}',
    '{"pre_approved": "pending", "declined": "rejected", "pending": "pending", "approved": "approved", "rejected": "rejected",
     "reversed": "reversed"}',
    NULL, ARRAY['transaction_id,event', 'click_id,event'],
    'ml_sub1=CLICK_ID&payout=12.50&program_id=4711&transaction_id=3f0c9a12&status=pre_approved',
    'The macros stand in square brackets.');
