//! Which offer is the best in SQL: `sql/functions/reports/next_offer.sql` declares this function.

use pgrx::prelude::*;
use postback_core::best::{self, Belief};

#[pg_extern(sql = false)]
fn chances_to_be_best(means: Vec<f64>, deviations: Vec<f64>) -> Vec<f64> {
    let beliefs: Vec<Belief> =
        means.into_iter().zip(deviations).map(|(mean, deviation)| Belief { mean, deviation }).collect();
    best::chances(&beliefs, || {
        // A query may be cancelled.
        check_for_interrupts!();
    })
}
