//! Who gets which part of a conversion: credit over the touches of its path, and its payout by that credit.
//!
//! Both are divided by largest remainder: everybody gets the whole units of his part, and the units left over go one each to the
//! largest remainders, among equal ones to the earlier touch. So the parts are exact integers that sum to the whole, and nothing
//! depends on the order of arrival. Weights are integers, too: only the halving of time decay is a float, before it is rounded.
//!
//! Not for: which clicks are touches. That is decided in `sql/`, but for window and scope, which are arguments of a report.

use crate::money;
use std::str::FromStr;

/// One whole credit: credits are counted in units of 10^-12, so fine that equal touches earn the same of any payout.
pub const WHOLE: i64 = 1_000_000_000_000;

/// The finest weight that counts, against 1.
const WEIGHT_SCALE: f64 = 1e12;

/// How credit is divided over the touches of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// All to the first touch.
    FirstClick,
    /// All to the last touch.
    LastClick,
    /// The same to each.
    Linear,
    /// Half as much for each half-life before the last touch.
    TimeDecay,
    /// Weights for the first, for all between, and for the last.
    PositionBased,
}

/// A model that is none of the five.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownModel;

impl FromStr for Model {
    type Err = UnknownModel;

    fn from_str(text: &str) -> Result<Self, UnknownModel> {
        match text {
            "first_click" => Ok(Model::FirstClick),
            "last_click" => Ok(Model::LastClick),
            "linear" => Ok(Model::Linear),
            "time_decay" => Ok(Model::TimeDecay),
            "position_based" => Ok(Model::PositionBased),
            _ => Err(UnknownModel),
        }
    }
}

/// What a report may ask for, beside the model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Of [`Model::TimeDecay`], in microseconds; above 0.
    pub half_life: i64,
    /// Of [`Model::PositionBased`]: first, all between together, last; at least 0, not all 0.
    pub weights: [f64; 3],
}

/// Credits in units of 1/[`WHOLE`] of the touches at these times (microseconds, in order of the path). They sum to [`WHOLE`], unless there is no touch.
pub fn credits(model: Model, times: &[i64], settings: &Settings) -> Vec<i64> {
    let all_to = |place: usize| (0..times.len()).map(|other| if other == place { WHOLE } else { 0 }).collect();
    let weights: Vec<u128> = match (model, times) {
        (_, []) => return Vec::new(),
        (_, [_]) => return vec![WHOLE],
        (Model::FirstClick, _) => return all_to(0),
        (Model::LastClick, _) => return all_to(times.len() - 1),
        (Model::Linear, _) => vec![1; times.len()],
        (Model::TimeDecay, [.., last]) => times.iter().map(|time| decayed(last.abs_diff(*time), settings)).collect(),
        (Model::PositionBased, _) => by_position(times.len(), settings.weights),
    };
    apportion(WHOLE.unsigned_abs().into(), &weights).into_iter().map(|part| part as i64).collect()
}

fn decayed(age: u64, settings: &Settings) -> u128 {
    (WEIGHT_SCALE * (-(age as f64) / settings.half_life as f64).exp2()).round() as u128
}

/// The weight between first and last is shared there; without a touch between, first and last divide all in their proportion.
fn by_position(touches: usize, weights: [f64; 3]) -> Vec<u128> {
    let [first, between, last] = weights.map(|weight| (weight * WEIGHT_SCALE).round() as u128);
    // Times the number between, so that their shares are integers.
    let sharers = touches.saturating_sub(2).max(1) as u128;
    (0..touches)
        .map(|place| match place {
            0 => first * sharers,
            _ if place + 1 == touches => last * sharers,
            _ => between,
        })
        .collect()
}

/// Divides a total into integer parts by weight, by largest remainder. Weights that are all 0 count as equal ones.
/// The sum of the weights times the largest of them must fit, which 10^18 does; the total may be as large as it likes.
pub fn apportion(total: u128, weights: &[u128]) -> Vec<u128> {
    let sum: u128 = weights.iter().sum();
    if sum == 0 {
        return if weights.is_empty() { Vec::new() } else { apportion(total, &vec![1; weights.len()]) };
    }
    // Each weight in turn of every whole sum in the total, and its share of the rest: the product of both would be too large.
    let (rounds, rest) = (total / sum, total % sum);
    let mut parts: Vec<u128> = weights.iter().map(|weight| rounds * weight + rest * weight / sum).collect();
    let left_over = (total - parts.iter().sum::<u128>()) as usize;
    if left_over > 0 {
        let mut order: Vec<usize> = (0..weights.len()).collect();
        order.sort_by_key(|&place| (std::cmp::Reverse(rest * weights[place] % sum), place));
        for place in order.into_iter().take(left_over) {
            parts[place] += 1;
        }
    }
    parts
}

/// An integer of so many decimals as text.
pub fn decimal(part: u128, scale: u32) -> Option<String> {
    let one = 10_u128.checked_pow(scale)?;
    let width = usize::try_from(scale).ok()?;
    Some(if scale == 0 { part.to_string() } else { format!("{}.{:0width$}", part / one, part % one) })
}

/// The parts of a payout that the touches have earned with these credits, as integers of that many decimals; `None` when the amount is
/// no plain decimal number. The unit is the minor one
/// of the currency, or the last decimal of the payout where that is finer; so the parts sum to the payout, whatever it is.
pub fn units(payout: &str, currency: &str, credits: &[i64]) -> Option<(Vec<u128>, u32)> {
    let (whole, fraction) = payout.split_once('.').unwrap_or((payout, ""));
    let fraction = fraction.trim_end_matches('0');
    let width = fraction.len().max(minor_units(currency));
    let scale = u32::try_from(width).ok()?;
    let below_one = if fraction.is_empty() { 0 } else { format!("{fraction:0<width$}").parse().ok()? };
    let total = whole.parse::<u128>().ok()?.checked_mul(10_u128.checked_pow(scale)?)?.checked_add(below_one)?;
    let weights: Vec<u128> = credits.iter().map(|credit| credit.unsigned_abs().into()).collect();
    Some((apportion(total, &weights), scale))
}

/// Two decimals for a code that ISO 4217 does not have.
pub fn minor_units(currency: &str) -> usize {
    money::currency(currency).map_or(2, |currency| currency.minor_units().into())
}

#[cfg(test)]
mod tests;
