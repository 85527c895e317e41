use super::*;
use proptest::prelude::*;

const HOUR: i64 = 3_600_000_000;
const DEFAULTS: Settings = Settings { half_life: 48 * HOUR, weights: [0.4, 0.2, 0.4] };

fn of(model: Model, times: &[i64]) -> Vec<i64> {
    credits(model, times, &DEFAULTS)
}

#[test]
fn each_model_by_hand() {
    let three = [0, 48 * HOUR, 96 * HOUR];
    assert_eq!(of(Model::FirstClick, &three), [WHOLE, 0, 0]);
    assert_eq!(of(Model::LastClick, &three), [0, 0, WHOLE]);
    assert_eq!(of(Model::Linear, &three), [333_333_333_334, 333_333_333_333, 333_333_333_333]);
    // 1/4, 1/2 and 1 of a sum of 7/4.
    assert_eq!(of(Model::TimeDecay, &three), [142_857_142_857, 285_714_285_714, 571_428_571_429]);
    assert_eq!(of(Model::PositionBased, &three), [400_000_000_000, 200_000_000_000, 400_000_000_000]);
    assert_eq!(
        of(Model::PositionBased, &[0, 1, 2, 3]),
        [400_000_000_000, 100_000_000_000, 100_000_000_000, 400_000_000_000]
    );
    assert_eq!(of(Model::PositionBased, &[0, 1]), [500_000_000_000, 500_000_000_000]);
}

#[test]
fn weights_are_the_caller_s() {
    let credits_of =
        |weights, touches: &[i64]| credits(Model::PositionBased, touches, &Settings { weights, ..DEFAULTS });
    assert_eq!(credits_of([3.0, 1.0, 1.0], &[0, 1, 2]), [600_000_000_000, 200_000_000_000, 200_000_000_000]);
    assert_eq!(credits_of([3.0, 1.0, 1.0], &[0, 1]), [750_000_000_000, 250_000_000_000]);
    // Nothing for the ends: without a touch between, both the same.
    assert_eq!(credits_of([0.0, 1.0, 0.0], &[0, 1]), [500_000_000_000, 500_000_000_000]);
    assert_eq!(credits_of([0.0, 1.0, 0.0], &[0, 1, 2]), [0, WHOLE, 0]);
}

#[test]
fn a_touch_of_long_ago_decays_to_nothing_and_never_to_nan() {
    assert_eq!(of(Model::TimeDecay, &[i64::MIN / 2, i64::MAX / 2]), [0, WHOLE]);
    assert_eq!(of(Model::TimeDecay, &[7, 7]), [500_000_000_000, 500_000_000_000]);
}

#[test]
fn revenue_is_divided_in_the_minor_unit() {
    let thirds = of(Model::Linear, &[0, 1, 2]);
    let parts = |payout: &str, currency| -> Vec<String> {
        let scale = payout.split_once('.').map_or(0, |(_, decimals)| decimals.len() as u32);
        let amount = payout.replace('.', "").parse().unwrap();
        let (parts, scale) = parts(amount, scale, minor_units(currency), &thirds).unwrap();
        parts.into_iter().filter_map(|part| decimal(part, scale)).collect()
    };
    assert_eq!(parts("10", "USD"), ["3.34", "3.33", "3.33"]);
    assert_eq!(parts("10.00", "USD"), ["3.34", "3.33", "3.33"]);
    assert_eq!(parts("0.02", "USD"), ["0.01", "0.01", "0.00"]);
    assert_eq!(parts("1000", "JPY"), ["334", "333", "333"]);
    assert_eq!(parts("10", "KWD"), ["3.334", "3.333", "3.333"]);
    assert_eq!(parts("10.0001", "USD"), ["3.3334", "3.3334", "3.3333"]);
    assert_eq!(parts("100.5", "JPY"), ["33.5", "33.5", "33.5"]);
    assert_eq!(parts("0", "USD"), ["0.00", "0.00", "0.00"]);
    assert_eq!(parts("3000000", "IDR"), ["1000000.00", "1000000.00", "1000000.00"]);
    assert_eq!(parts("1000000000.00", "USD"), ["333333333.34", "333333333.33", "333333333.33"]);
    assert_eq!(
        parts("999999999999999.999999999999999", "USD"),
        ["333333333333999.999999999999999", "333333333333000.000000000000000", "333333333333000.000000000000000"]
    );
}

#[test]
fn a_payout_too_large_to_count_has_no_parts() {
    assert_eq!(parts(u128::MAX, 0, 2, &[WHOLE]), None);
    assert_eq!(parts(1, 40, 2, &[WHOLE]), Some((vec![1], 40)));
    assert_eq!(parts(1, 0, 2, &[WHOLE]), Some((vec![100], 2)));
}

proptest! {
    #[test]
    fn small_totals_are_divided_as_large_ones(total in 0_u64..40_000_000, weights in prop::collection::vec(0_u128..1_000_000, 1..20)) {
        let credits: Vec<i64> = apportion(WHOLE as u128, &weights).into_iter().map(|part| part as i64).collect();
        let exact: Vec<u128> = credits.iter().map(|credit| credit.unsigned_abs().into()).collect();
        prop_assert_eq!(apportion_credits(total.into(), &credits), apportion(total.into(), &exact));
    }

    #[test]
    fn linear_credit_is_apportioned_by_equal_weights(touches in 1_usize..1_200) {
        let credits: Vec<u128> = of(Model::Linear, &vec![0; touches]).into_iter().map(|credit| credit as u128).collect();
        prop_assert_eq!(credits, apportion(WHOLE as u128, &vec![1; touches]));
    }

    #[test]
    fn parts_are_within_one_of_their_share(total in 0_u128..1_000_000_000, weights in prop::collection::vec(0_u128..1_000_000, 1..20)) {
        let parts = apportion(total, &weights);
        prop_assert_eq!(parts.iter().sum::<u128>(), total);
        let sum: u128 = weights.iter().sum();
        for (part, weight) in parts.iter().zip(&weights).filter(|_| sum > 0) {
            prop_assert!((part * sum).abs_diff(total * weight) < sum);
            prop_assert!(*weight > 0 || *part == 0);
        }
    }
}
