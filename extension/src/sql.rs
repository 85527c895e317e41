//! The one ordered list of the script that CREATE EXTENSION runs. An edit of a listed file rebuilds the library;
//! `make sql` reloads the functions without it.

use pgrx::extension_sql_file;

extension_sql_file!("../../sql/schema.sql", name = "schema", bootstrap);
extension_sql_file!("../../sql/functions/ids/click_ids.sql", name = "click_ids");
extension_sql_file!("../../sql/functions/ids/short_codes.sql", name = "short_codes", requires = ["click_ids"]);
extension_sql_file!("../../sql/functions/money/currencies.sql", name = "currencies", requires = ["short_codes"]);
extension_sql_file!(
    "../../sql/functions/networks/network_secrets.sql",
    name = "network_secrets",
    requires = ["currencies"]
);
extension_sql_file!(
    "../../sql/functions/networks/check_network.sql",
    name = "check_network",
    requires = ["network_secrets"]
);
extension_sql_file!("../../sql/functions/networks/add_network.sql", name = "add_network", requires = ["check_network"]);
extension_sql_file!("../../sql/functions/links/templates.sql", name = "templates", requires = ["add_network"]);
extension_sql_file!("../../sql/functions/links/create_send.sql", name = "create_send", requires = ["templates"]);
extension_sql_file!(
    "../../sql/functions/links/ensure_link_partition.sql",
    name = "ensure_link_partition",
    requires = ["create_send"]
);
extension_sql_file!(
    "../../sql/functions/links/mint_links.sql",
    name = "mint_links",
    requires = ["ensure_link_partition"]
);
extension_sql_file!("../../sql/functions/clicks/visitor.sql", name = "visitor", requires = ["mint_links"]);
extension_sql_file!("../../sql/functions/clicks/find_click.sql", name = "find_click", requires = ["visitor"]);
extension_sql_file!("../../sql/functions/clicks/fill_click.sql", name = "fill_click", requires = ["find_click"]);
extension_sql_file!("../../sql/functions/clicks/record_clicks.sql", name = "record_clicks", requires = ["fill_click"]);
extension_sql_file!(
    "../../sql/functions/clicks/record_foreign_clicks.sql",
    name = "record_foreign_clicks",
    requires = ["record_clicks"]
);
extension_sql_file!(
    "../../sql/functions/clicks/record_click.sql",
    name = "record_click",
    requires = ["record_foreign_clicks"]
);
extension_sql_file!(
    "../../sql/functions/clicks/replay_clicks.sql",
    name = "replay_clicks",
    requires = ["record_click"]
);
extension_sql_file!("../../sql/functions/postbacks/signatures.sql", name = "signatures", requires = ["replay_clicks"]);
extension_sql_file!("../../sql/functions/postbacks/authenticate.sql", name = "authenticate", requires = ["signatures"]);
extension_sql_file!(
    "../../sql/functions/postbacks/read_message.sql",
    name = "read_message",
    requires = ["authenticate"]
);
extension_sql_file!("../../sql/functions/postbacks/ledger.sql", name = "ledger", requires = ["read_message"]);
extension_sql_file!(
    "../../sql/functions/postbacks/apply_to_conversion.sql",
    name = "apply_to_conversion",
    requires = ["ledger"]
);
extension_sql_file!(
    "../../sql/functions/attribution/capture_touches.sql",
    name = "capture_touches",
    requires = ["apply_to_conversion"]
);
extension_sql_file!(
    "../../sql/functions/attribution/repair_touches.sql",
    name = "repair_touches",
    requires = ["capture_touches"]
);
extension_sql_file!(
    "../../sql/functions/postbacks/begin_conversions.sql",
    name = "begin_conversions",
    requires = ["repair_touches"]
);
extension_sql_file!(
    "../../sql/functions/postbacks/apply_message.sql",
    name = "apply_message",
    requires = ["begin_conversions"]
);
extension_sql_file!("../../sql/functions/postbacks/near_miss.sql", name = "near_miss", requires = ["apply_message"]);
extension_sql_file!(
    "../../sql/functions/postbacks/match_orphans.sql",
    name = "match_orphans",
    requires = ["near_miss"]
);
extension_sql_file!(
    "../../sql/functions/postbacks/receive_postbacks.sql",
    name = "receive_postbacks",
    requires = ["match_orphans"]
);
extension_sql_file!(
    "../../sql/functions/postbacks/receive_postback.sql",
    name = "receive_postback",
    requires = ["receive_postbacks"]
);
extension_sql_file!(
    "../../sql/functions/postbacks/test_postback.sql",
    name = "test_postback",
    requires = ["receive_postback"]
);
extension_sql_file!(
    "../../sql/functions/postbacks/conversion_history.sql",
    name = "conversion_history",
    requires = ["test_postback"]
);
extension_sql_file!("../../sql/functions/attribution/credits.sql", name = "credits", requires = ["conversion_history"]);
extension_sql_file!(
    "../../sql/functions/attribution/conversion_paths.sql",
    name = "conversion_paths",
    requires = ["credits"]
);
extension_sql_file!(
    "../../sql/functions/attribution/attribution.sql",
    name = "attribution",
    requires = ["conversion_paths"]
);
extension_sql_file!(
    "../../sql/functions/attribution/compare_models.sql",
    name = "compare_models",
    requires = ["attribution"]
);
extension_sql_file!(
    "../../sql/functions/attribution/explain_credit.sql",
    name = "explain_credit",
    requires = ["compare_models"]
);
extension_sql_file!(
    "../../sql/functions/attribution/path_models.sql",
    name = "path_models",
    requires = ["explain_credit"]
);
extension_sql_file!("../../sql/functions/reports/late_rows.sql", name = "late_rows", requires = ["path_models"]);
extension_sql_file!("../../sql/functions/reports/count_rows.sql", name = "count_rows", requires = ["late_rows"]);
extension_sql_file!(
    "../../sql/functions/reports/refresh_rollups.sql",
    name = "refresh_rollups",
    requires = ["count_rows"]
);
extension_sql_file!(
    "../../sql/functions/attribution/performance.sql",
    name = "performance",
    requires = ["refresh_rollups"]
);
extension_sql_file!(
    "../../sql/functions/attribution/compare_performance.sql",
    name = "compare_performance",
    requires = ["performance"]
);
extension_sql_file!(
    "../../sql/functions/reports/compare_variants.sql",
    name = "compare_variants",
    requires = ["compare_performance"]
);
extension_sql_file!("../../sql/functions/reports/next_offer.sql", name = "next_offer", requires = ["compare_variants"]);
extension_sql_file!("../../sql/functions/clicks/reclassify.sql", name = "reclassify", requires = ["next_offer"]);
extension_sql_file!(
    "../../sql/functions/deliveries/destinations.sql",
    name = "destinations",
    requires = ["reclassify"]
);
extension_sql_file!(
    "../../sql/functions/deliveries/claim_deliveries.sql",
    name = "claim_deliveries",
    requires = ["destinations"]
);
extension_sql_file!(
    "../../sql/functions/deliveries/finish_deliveries.sql",
    name = "finish_deliveries",
    requires = ["claim_deliveries"]
);
extension_sql_file!(
    "../../sql/functions/deliveries/enable_destination.sql",
    name = "enable_destination",
    requires = ["finish_deliveries"]
);
extension_sql_file!(
    "../../sql/functions/reconcile/import_report.sql",
    name = "import_report",
    requires = ["enable_destination"]
);
extension_sql_file!("../../sql/functions/reconcile/reconcile.sql", name = "reconcile", requires = ["import_report"]);
extension_sql_file!("../../sql/functions/reconcile/pair_apart.sql", name = "pair_apart", requires = ["reconcile"]);
extension_sql_file!("../../sql/functions/reconcile/find_causes.sql", name = "find_causes", requires = ["pair_apart"]);
extension_sql_file!(
    "../../sql/functions/reconcile/report_totals.sql",
    name = "report_totals",
    requires = ["find_causes"]
);
extension_sql_file!("../../sql/functions/payouts/partners.sql", name = "partners", requires = ["report_totals"]);
extension_sql_file!("../../sql/functions/fraud/fraud_rules.sql", name = "fraud_rules", requires = ["partners"]);
extension_sql_file!("../../sql/functions/fraud/find_events.sql", name = "find_events", requires = ["fraud_rules"]);
extension_sql_file!("../../sql/functions/fraud/find_devices.sql", name = "find_devices", requires = ["find_events"]);
extension_sql_file!("../../sql/functions/fraud/find_groups.sql", name = "find_groups", requires = ["find_devices"]);
extension_sql_file!(
    "../../sql/functions/fraud/find_countries.sql",
    name = "find_countries",
    requires = ["find_groups"]
);
extension_sql_file!("../../sql/functions/fraud/fraud_scan.sql", name = "fraud_scan", requires = ["find_countries"]);
extension_sql_file!("../../sql/functions/fraud/resolve_flag.sql", name = "resolve_flag", requires = ["fraud_scan"]);
extension_sql_file!(
    "../../sql/functions/payouts/partner_trust.sql",
    name = "partner_trust",
    requires = ["resolve_flag"]
);
extension_sql_file!(
    "../../sql/functions/payouts/open_earnings.sql",
    name = "open_earnings",
    requires = ["partner_trust"]
);
extension_sql_file!("../../sql/functions/payouts/payables.sql", name = "payables", requires = ["open_earnings"]);
extension_sql_file!("../../sql/functions/payouts/close_payout.sql", name = "close_payout", requires = ["payables"]);
extension_sql_file!("../../sql/functions/diagnose/alerts.sql", name = "alerts", requires = ["close_payout"]);
extension_sql_file!("../../sql/functions/diagnose/alert_metrics.sql", name = "alert_metrics", requires = ["alerts"]);
extension_sql_file!(
    "../../sql/functions/diagnose/check_alerts.sql",
    name = "check_alerts",
    requires = ["alert_metrics"]
);
extension_sql_file!(
    "../../sql/functions/diagnose/macro_conformance.sql",
    name = "macro_conformance",
    requires = ["check_alerts"]
);
extension_sql_file!(
    "../../sql/functions/diagnose/symptoms_of_clicks.sql",
    name = "symptoms_of_clicks",
    requires = ["macro_conformance"]
);
extension_sql_file!(
    "../../sql/functions/diagnose/symptoms_of_postbacks.sql",
    name = "symptoms_of_postbacks",
    requires = ["symptoms_of_clicks"]
);
extension_sql_file!(
    "../../sql/functions/diagnose/symptoms_of_time.sql",
    name = "symptoms_of_time",
    requires = ["symptoms_of_postbacks"]
);
extension_sql_file!("../../sql/functions/diagnose/diagnose.sql", name = "diagnose", requires = ["symptoms_of_time"]);
extension_sql_file!(
    "../../sql/functions/diagnose/record_preflight.sql",
    name = "record_preflight",
    requires = ["diagnose"]
);
extension_sql_file!("../../sql/functions/diagnose/preflight.sql", name = "preflight", requires = ["record_preflight"]);
extension_sql_file!("../../sql/functions/operate/maintain.sql", name = "maintain", requires = ["preflight"]);
extension_sql_file!("../../sql/functions/operate/drop_days.sql", name = "drop_days", requires = ["maintain"]);
extension_sql_file!("../../sql/functions/operate/routes.sql", name = "routes", requires = ["drop_days"]);
extension_sql_file!(
    "../../sql/functions/operate/keep_dead_letter.sql",
    name = "keep_dead_letter",
    requires = ["routes"]
);
extension_sql_file!(
    "../../sql/functions/operate/replay_dead_letters.sql",
    name = "replay_dead_letters",
    requires = ["keep_dead_letter"]
);
extension_sql_file!(
    "../../sql/functions/operate/set_owner.sql",
    name = "set_owner",
    requires = ["replay_dead_letters"]
);
extension_sql_file!("../../sql/functions/operate/install.sql", name = "install", requires = ["set_owner"]);
extension_sql_file!("../../sql/functions/operate/grant_role.sql", name = "grant_role", requires = ["install"]);
extension_sql_file!("../../sql/grants.sql", name = "grants", finalize);
