//! The median of many numbers that are packed into bytes, 4 each, big-endian: as rollups keep durations.

/// The number in the middle when they are sorted; the lower of the two when there is an even number of them.
///
/// `None` when there are none. Bytes at the end that are not a whole number count for nothing.
pub fn of_packed(bytes: &[u8]) -> Option<i32> {
    let mut numbers: Vec<i32> = bytes.as_chunks::<4>().0.iter().map(|bytes| i32::from_be_bytes(*bytes)).collect();
    let middle = numbers.len().checked_sub(1)? / 2;
    Some(*numbers.select_nth_unstable(middle).1)
}

#[cfg(test)]
mod tests {
    use super::of_packed;
    use proptest::prelude::*;

    fn packed(numbers: &[i32]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
    }

    #[test]
    fn nothing_has_no_median() {
        assert_eq!(of_packed(&[]), None);
        assert_eq!(of_packed(&[0, 0, 1]), None);
    }

    #[test]
    fn the_lower_of_two_in_the_middle() {
        assert_eq!(of_packed(&packed(&[7])), Some(7));
        assert_eq!(of_packed(&packed(&[9, -5])), Some(-5));
        assert_eq!(of_packed(&packed(&[i32::MAX, 3, i32::MIN])), Some(3));
    }

    proptest! {
        #[test]
        fn is_the_one_in_the_middle_of_the_sorted(mut numbers in prop::collection::vec(any::<i32>(), 1..100)) {
            let found = of_packed(&packed(&numbers));
            numbers.sort_unstable();
            prop_assert_eq!(found, Some(numbers[(numbers.len() - 1) / 2]));
        }
    }
}
