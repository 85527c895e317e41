//! Which offer is the best, and which variant by chance, in SQL: `next_offer.sql` and `compare_variants.sql` in `sql/functions/reports` declare these functions.

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

#[pg_extern(sql = false)]
fn normal_cdf(z: f64) -> f64 {
    best::normal_cdf(z)
}
