//! The extension: thin SQL wrappers over `postback-core`. The SQL of record lives in `sql/`; `sql.rs` lists it.

pgrx::pg_module_magic!(name, version);

mod arguments;
mod best;
mod bigints;
mod codes;
mod conversions;
mod credits;
mod currencies;
mod deliveries;
mod error;
mod ids;
mod install;
mod journeys;
mod kept_json;
mod medians;
mod messages;
mod numerics;
mod reports;
mod signatures;
mod sql;
mod templates;
mod visitors;
