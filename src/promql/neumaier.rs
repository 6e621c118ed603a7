//! Sums that do not lose what is small beside what is large: beside the sum runs what rounding took from it, as Kahan's
//! summation does it with Neumaier's improvement ("Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen",
//! 1974). What one addition loses is told without a branch, as Knuth does (The Art of Computer Programming, 4.2.2).

/// Adds to a sum and to what compensates it, and gives both anew. Together they are the result, but where the sum is infinite,
/// which has no compensation.
#[inline]
pub fn add(increment: f64, sum: f64, compensation: f64) -> (f64, f64) {
    let total = sum + increment;
    let compensation = if total.is_infinite() { 0.0 } else { compensation + lost(sum, increment, total) };
    (total, compensation)
}

/// The sum of numbers, and what compensates it. Where the sum is not finite the latter means nothing.
#[inline]
pub fn sum(numbers: &[f64]) -> (f64, f64) {
    numbers.iter().fold((0.0, 0.0), |(sum, compensation), &number| {
        let total = sum + number;
        (total, compensation + lost(sum, number, total))
    })
}

/// Exactly what rounding took from `a + b`.
#[inline]
fn lost(a: f64, b: f64, total: f64) -> f64 {
    let of_b = total - a;
    let of_a = total - of_b;
    (a - of_a) + (b - of_b)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_small_beside_what_is_large_counts() {
        let (total, rest) = sum(&[1.0, 1e100, 1.0, -1e100]);
        assert_eq!(total + rest, 2.0);
        let (total, rest) = add(f64::MAX, f64::MAX, 1.0);
        assert_eq!((total, rest), (f64::INFINITY, 0.0));
        assert!(sum(&[f64::NAN, 1.0]).0.is_nan());
    }

    proptest! {
        /// The smaller of two numbers is what loses digits, and the difference to the larger is exact.
        #[test]
        fn what_is_lost_is_told_exactly(a in -1e200..1e200f64, b in -1e-3..1e3f64) {
            let total = a + b;
            let (larger, smaller) = if a.abs() >= b.abs() { (a, b) } else { (b, a) };
            prop_assert_eq!(lost(a, b, total), (larger - total) + smaller);
        }

        #[test]
        fn one_after_the_other_is_as_all_at_once(numbers in prop::collection::vec(-1e12..1e12f64, 0..50)) {
            let one_by_one = numbers.iter().fold((0.0, 0.0), |(sum, rest), number| add(*number, sum, rest));
            prop_assert_eq!(sum(&numbers), one_by_one);
        }
    }
}
