//! Currencies in SQL: `sql/functions/money/currencies.sql` declares these functions.

use pgrx::prelude::*;
use postback_core::{credit, money};

#[pg_extern(sql = false)]
fn minor_units(currency: &str) -> i32 {
    i32::try_from(credit::minor_units(currency)).unwrap_or_default()
}

#[pg_extern(sql = false)]
fn is_currency(currency: &str) -> bool {
    money::currency(currency).is_ok_and(|known| known.as_str() == currency)
}
