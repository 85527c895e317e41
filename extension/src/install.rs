//! What `postback.install()` runs: the statements of `sql/tables`, `sql/presets` and `sql/views`, in order.

use pgrx::prelude::*;

/// Stateful first, replaceable last. A table comes after those it refers to.
const STEPS: &[(&str, &str)] = &[
    ("tables/settings", include_str!("../../sql/tables/settings.sql")),
    ("tables/networks", include_str!("../../sql/tables/networks.sql")),
    ("tables/partners", include_str!("../../sql/tables/partners.sql")),
    ("tables/offers", include_str!("../../sql/tables/offers.sql")),
    ("tables/links", include_str!("../../sql/tables/links.sql")),
    ("tables/clicks", include_str!("../../sql/tables/clicks.sql")),
    ("tables/postbacks", include_str!("../../sql/tables/postbacks.sql")),
    ("tables/conversions", include_str!("../../sql/tables/conversions.sql")),
    ("tables/statements", include_str!("../../sql/tables/statements.sql")),
    ("tables/retention", include_str!("../../sql/tables/retention.sql")),
    ("tables/rollups", include_str!("../../sql/tables/rollups.sql")),
    ("tables/touches", include_str!("../../sql/tables/touches.sql")),
    ("tables/destinations", include_str!("../../sql/tables/destinations.sql")),
    ("tables/fraud", include_str!("../../sql/tables/fraud.sql")),
    ("tables/alerts", include_str!("../../sql/tables/alerts.sql")),
    ("tables/dead_letters", include_str!("../../sql/tables/dead_letters.sql")),
    ("tables/report_imports", include_str!("../../sql/tables/report_imports.sql")),
    ("presets/report_formats", include_str!("../../sql/presets/report_formats.sql")),
    ("presets/generic", include_str!("../../sql/presets/generic.sql")),
    ("presets/tune", include_str!("../../sql/presets/tune.sql")),
    ("presets/everflow", include_str!("../../sql/presets/everflow.sql")),
    ("presets/adcombo", include_str!("../../sql/presets/adcombo.sql")),
    ("presets/adjust", include_str!("../../sql/presets/adjust.sql")),
    ("presets/admitad", include_str!("../../sql/presets/admitad.sql")),
    ("presets/affise", include_str!("../../sql/presets/affise.sql")),
    ("presets/alanbase", include_str!("../../sql/presets/alanbase.sql")),
    ("presets/altercpa", include_str!("../../sql/presets/altercpa.sql")),
    ("presets/appmetrica", include_str!("../../sql/presets/appmetrica.sql")),
    ("presets/appsflyer", include_str!("../../sql/presets/appsflyer.sql")),
    ("presets/awin", include_str!("../../sql/presets/awin.sql")),
    ("presets/branch", include_str!("../../sql/presets/branch.sql")),
    ("presets/cake", include_str!("../../sql/presets/cake.sql")),
    ("presets/cellxpert", include_str!("../../sql/presets/cellxpert.sql")),
    ("presets/cj", include_str!("../../sql/presets/cj.sql")),
    ("presets/clickbank", include_str!("../../sql/presets/clickbank.sql")),
    ("presets/hitpath", include_str!("../../sql/presets/hitpath.sql")),
    ("presets/impact", include_str!("../../sql/presets/impact.sql")),
    ("presets/kuala", include_str!("../../sql/presets/kuala.sql")),
    ("presets/maxbounty", include_str!("../../sql/presets/maxbounty.sql")),
    ("presets/mylead", include_str!("../../sql/presets/mylead.sql")),
    ("presets/offer18", include_str!("../../sql/presets/offer18.sql")),
    ("presets/offerslook", include_str!("../../sql/presets/offerslook.sql")),
    ("presets/offerwalls", include_str!("../../sql/presets/offerwalls.sql")),
    ("presets/partnerstack", include_str!("../../sql/presets/partnerstack.sql")),
    ("presets/post_affiliate_pro", include_str!("../../sql/presets/post_affiliate_pro.sql")),
    ("presets/rakuten", include_str!("../../sql/presets/rakuten.sql")),
    ("presets/scaleo", include_str!("../../sql/presets/scaleo.sql")),
    ("presets/shareasale", include_str!("../../sql/presets/shareasale.sql")),
    ("presets/singular", include_str!("../../sql/presets/singular.sql")),
    ("presets/swaarm", include_str!("../../sql/presets/swaarm.sql")),
    ("presets/trackers", include_str!("../../sql/presets/trackers.sql")),
    ("presets/trackier", include_str!("../../sql/presets/trackier.sql")),
    ("views/click_log", include_str!("../../sql/views/click_log.sql")),
    ("views/path_log", include_str!("../../sql/views/path_log.sql")),
    ("views/results", include_str!("../../sql/views/results.sql")),
    ("views/performance", include_str!("../../sql/views/performance.sql")),
    ("views/reconciliations", include_str!("../../sql/views/reconciliations.sql")),
    ("views/flag_log", include_str!("../../sql/views/flag_log.sql")),
    ("views/payouts", include_str!("../../sql/views/payouts.sql")),
    ("views/delivery_queue", include_str!("../../sql/views/delivery_queue.sql")),
];

#[pg_extern(sql = false)]
fn install_steps() -> TableIterator<'static, (name!(step, &'static str), name!(statements, &'static str))> {
    TableIterator::new(STEPS.iter().copied())
}

#[pg_extern(sql = false)]
fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}
