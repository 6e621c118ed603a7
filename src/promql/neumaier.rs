//! Sums that do not lose what is small beside what is large: Kahan's summation as Neumaier improved it ("Rundungsfehleranalyse
//! einiger Verfahren zur Summation endlicher Summen", 1974).

/// Adds to a sum and its compensation, and gives both anew. The sum of both is the result, but where the sum is infinite,
/// which has no compensation.
#[inline]
pub fn add(increment: f64, sum: f64, compensation: f64) -> (f64, f64) {
    let total = sum + increment;
    let compensation = if total.is_infinite() {
        0.0
    } else if sum.abs() >= increment.abs() {
        compensation + ((sum - total) + increment)
    } else {
        compensation + ((increment - total) + sum)
    };
    (total, compensation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_small_beside_what_is_large_counts() {
        let (sum, rest) = [1.0, 1e100, 1.0, -1e100].into_iter().fold((0.0, 0.0), |(sum, rest), x| add(x, sum, rest));
        assert_eq!(sum + rest, 2.0);
        let (sum, rest) = add(f64::MAX, f64::MAX, 1.0);
        assert_eq!((sum, rest), (f64::INFINITY, 0.0));
    }
}
