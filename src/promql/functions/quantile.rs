//! Quantiles of plain numbers.

use std::cmp::Ordering;

/// The quantile `q` of numbers, which are brought into another order: what is no number is the lowest. Infinite where `q` is
/// below 0 or above 1; between two numbers it is weighted between them.
pub fn quantile(q: f64, numbers: &mut [f64]) -> f64 {
    if numbers.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let rank = q * (numbers.len() - 1) as f64;
    let weight = rank - rank.floor();
    let (_, lower, above) = numbers.select_nth_unstable_by(rank as usize, ascending);
    let lower = *lower;
    if weight == 0.0 {
        return lower;
    }
    let upper = above.iter().copied().min_by(ascending).unwrap_or(lower);
    lower * (1.0 - weight) + upper * weight
}

fn ascending(a: &f64, b: &f64) -> Ordering {
    a.partial_cmp(b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_numbers() {
        let mut numbers = [5.0, 1.0, 3.0, 2.0];
        assert_eq!(quantile(0.0, &mut numbers), 1.0);
        assert_eq!(quantile(0.5, &mut numbers), 2.5);
        assert_eq!(quantile(0.75, &mut numbers), 3.5);
        assert_eq!(quantile(1.0, &mut numbers), 5.0);
        assert_eq!(quantile(-0.1, &mut numbers), f64::NEG_INFINITY);
        assert_eq!(quantile(1.1, &mut numbers), f64::INFINITY);
        assert!(quantile(f64::NAN, &mut numbers).is_nan() && quantile(0.5, &mut []).is_nan());
        assert!(quantile(0.0, &mut [1.0, f64::NAN]).is_nan());
        assert_eq!(quantile(1.0, &mut [1.0, f64::NAN]), 1.0);
    }
}
