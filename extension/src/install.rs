//! What `postback.install()` runs: the statements of `sql/tables`, `sql/presets` and `sql/views`, in order.

use pgrx::prelude::*;

/// Stateful first, replaceable last. A table comes after those it refers to.
const STEPS: &[(&str, &str)] = &[
    ("tables/settings", include_str!("../../sql/tables/settings.sql")),
    ("tables/networks", include_str!("../../sql/tables/networks.sql")),
    ("tables/offers", include_str!("../../sql/tables/offers.sql")),
    ("tables/links", include_str!("../../sql/tables/links.sql")),
    ("tables/clicks", include_str!("../../sql/tables/clicks.sql")),
    ("tables/postbacks", include_str!("../../sql/tables/postbacks.sql")),
    ("tables/conversions", include_str!("../../sql/tables/conversions.sql")),
    ("presets/generic", include_str!("../../sql/presets/generic.sql")),
    ("presets/tune", include_str!("../../sql/presets/tune.sql")),
    ("presets/everflow", include_str!("../../sql/presets/everflow.sql")),
    ("views/click_log", include_str!("../../sql/views/click_log.sql")),
    ("views/results", include_str!("../../sql/views/results.sql")),
];

#[pg_extern(sql = false)]
fn install_steps() -> TableIterator<'static, (name!(step, &'static str), name!(statements, &'static str))> {
    TableIterator::new(STEPS.iter().copied())
}

#[pg_extern(sql = false)]
fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}
