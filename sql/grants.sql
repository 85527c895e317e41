-- The last thing of the script: nobody but the owner has anything until grant_role() gives it.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA postback, _postback FROM PUBLIC;
REVOKE ALL ON SCHEMA postback, _postback FROM PUBLIC;
