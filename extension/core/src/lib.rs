//! The byte work of postback, in plain Rust: no Postgres, no I/O, no clock.
//!
//! The extension wraps these modules in SQL functions; the proxy uses the ids and the addresses. What an id, a code or a signature
//! *is* gets decided here; what it *means* is decided in `sql/`.

pub mod best;
pub mod body_template;
pub mod click_id;
pub mod clickbank;
pub mod credit;
pub mod csv_line;
pub mod delivery;
pub mod destination;
pub mod hash_template;
pub mod journey;
pub mod markov;
pub mod median;
pub mod message;
pub mod money;
pub mod public_address;
pub mod query_string;
pub mod shapley;
pub mod short_code;
pub mod signature;
pub mod source_ranges;
pub mod status;
pub mod url_template;
pub mod visitor;
pub mod webhook_signature;
