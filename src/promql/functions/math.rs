//! Functions of single numbers.

/// Applies a function to all numbers.
pub(super) fn each(numbers: &mut [f64], function: impl Fn(f64) -> f64) {
    numbers.iter_mut().for_each(|number| *number = function(*number));
}

/// The sign: 1, -1, or the number itself where it is zero or none.
pub(super) fn sign(number: f64) -> f64 {
    if number > 0.0 {
        1.0
    } else if number < 0.0 {
        -1.0
    } else {
        number
    }
}

/// The nearest multiple of the scalar, of 1 without one; upwards in the middle between two.
pub(super) fn round(number: f64, scalars: &[f64]) -> Option<f64> {
    // Multiplying by the inverse is what rounds least on the way.
    let inverse = 1.0 / scalars.first().copied().unwrap_or(1.0);
    Some((number * inverse + 0.5).floor() / inverse)
}

/// The number between two bounds; nothing where they are the wrong way round.
pub(super) fn clamp(number: f64, scalars: &[f64]) -> Option<f64> {
    let &[low, high] = scalars else { return None };
    if high < low { None } else { Some(greater(low, lesser(high, number))) }
}

/// The number, or the scalar where that is lower.
pub(super) fn clamp_max(number: f64, scalars: &[f64]) -> Option<f64> {
    clamp(number, &[f64::NEG_INFINITY, *scalars.first()?])
}

/// The number, or the scalar where that is higher.
pub(super) fn clamp_min(number: f64, scalars: &[f64]) -> Option<f64> {
    clamp(number, &[*scalars.first()?, f64::INFINITY])
}

/// The greater of two; NaN where one of them is, unless the other is +Inf.
pub fn greater(a: f64, b: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        f64::INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else {
        a.max(b)
    }
}

/// The lesser of two; NaN where one of them is, unless the other is -Inf.
pub fn lesser(a: f64, b: f64) -> f64 {
    -greater(-a, -b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_upwards_in_the_middle() {
        for (number, to, rounded) in [(2.5, 1.0, 3.0), (-2.5, 1.0, -2.0), (7.3, 0.5, 7.5), (17.0, 5.0, 15.0)] {
            assert_eq!(round(number, &[to]), Some(rounded));
        }
        assert_eq!(round(0.49, &[]), Some(0.0));
    }

    #[test]
    fn bounds_the_wrong_way_round_leave_nothing() {
        assert_eq!(clamp(5.0, &[1.0, 3.0]), Some(3.0));
        assert_eq!(clamp(5.0, &[3.0, 1.0]), None);
        assert_eq!(clamp_max(5.0, &[2.0]), Some(2.0));
        assert_eq!(clamp_min(5.0, &[7.0]), Some(7.0));
        assert!(clamp(f64::NAN, &[1.0, 3.0]).is_some_and(f64::is_nan));
        assert!(clamp(1.0, &[f64::NAN, 3.0]).is_some_and(f64::is_nan));
    }

    #[test]
    fn what_is_no_number_is_neither_greater_nor_lesser() {
        assert!(greater(f64::NAN, 1.0).is_nan() && lesser(1.0, f64::NAN).is_nan());
        assert_eq!(greater(f64::NAN, f64::INFINITY), f64::INFINITY);
        assert_eq!(lesser(f64::NEG_INFINITY, f64::NAN), f64::NEG_INFINITY);
        assert_eq!((greater(2.0, 3.0), lesser(2.0, 3.0)), (3.0, 2.0));
        assert_eq!((sign(-7.0), sign(0.5), sign(0.0)), (-1.0, 1.0, 0.0));
    }
}
