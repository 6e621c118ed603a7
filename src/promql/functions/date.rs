//! Parts of a date in UTC, from seconds since 1970. Days are told from the number of a day in the proleptic Gregorian
//! calendar (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms"), which holds for any year.

const DAY: i128 = 86_400;

/// A day of the calendar.
struct Day {
    year: i64,
    month: i64,
    day: i64,
}

/// Whole seconds. What is no number, or beyond 64 bits, is told as Prometheus tells it: as the second behind the last.
fn whole(seconds: f64) -> i128 {
    const LIMIT: f64 = (1u64 << 63) as f64;
    if (-LIMIT..LIMIT).contains(&seconds) { seconds as i128 } else { 1 << 63 }
}

fn day(seconds: f64) -> Day {
    let from_march = whole(seconds).div_euclid(DAY) + 719_468;
    let era = from_march.div_euclid(146_097);
    let of_era = from_march.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i128::from(month <= 2);
    Day { year: year as i64, month: month as i64, day: day as i64 }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

const LENGTHS: [i64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

fn length(year: i64, month: usize) -> i64 {
    LENGTHS[month - 1] + i64::from(month == 2 && is_leap(year))
}

pub(super) fn days_in_month(seconds: f64) -> f64 {
    let day = day(seconds);
    length(day.year, day.month as usize) as f64
}

pub(super) fn day_of_month(seconds: f64) -> f64 {
    day(seconds).day as f64
}

/// Sunday is 0; 1 January 1970 was a Thursday.
pub(super) fn day_of_week(seconds: f64) -> f64 {
    (whole(seconds).div_euclid(DAY) + 4).rem_euclid(7) as f64
}

pub(super) fn day_of_year(seconds: f64) -> f64 {
    let day = day(seconds);
    let before: i64 = (1..day.month as usize).map(|month| length(day.year, month)).sum();
    (before + day.day) as f64
}

pub(super) fn hour(seconds: f64) -> f64 {
    (whole(seconds).rem_euclid(DAY) / 3600) as f64
}

pub(super) fn minute(seconds: f64) -> f64 {
    (whole(seconds).rem_euclid(3600) / 60) as f64
}

pub(super) fn month(seconds: f64) -> f64 {
    day(seconds).month as f64
}

pub(super) fn year(seconds: f64) -> f64 {
    day(seconds).year as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_dates_are_those_of_the_calendar() {
        // 2024-02-29T23:58:07Z, a Thursday.
        let leap = 1_709_251_087.9;
        assert_eq!((year(leap), month(leap), day_of_month(leap)), (2024.0, 2.0, 29.0));
        assert_eq!((day_of_week(leap), day_of_year(leap), days_in_month(leap)), (4.0, 60.0, 29.0));
        assert_eq!((hour(leap), minute(leap)), (23.0, 58.0));
        // 1900-12-31T00:00:00Z, a Monday of a year without a leap day.
        let early = -2_177_539_200.0;
        assert_eq!((year(early), month(early), day_of_month(early)), (1900.0, 12.0, 31.0));
        assert_eq!((day_of_week(early), day_of_year(early)), (1.0, 365.0));
        assert_eq!((year(-0.5), minute(-1.0)), (1970.0, 59.0));
    }

    #[test]
    fn every_day_agrees_with_the_calendar() {
        let mut date = jiff::civil::date(1896, 1, 1);
        while date.year() < 2105 {
            let seconds = date.to_zoned(jiff::tz::TimeZone::UTC).expect("a day").timestamp().as_second() as f64;
            assert_eq!(
                (year(seconds), month(seconds), day_of_month(seconds), day_of_year(seconds), days_in_month(seconds)),
                (
                    f64::from(date.year()),
                    f64::from(date.month()),
                    f64::from(date.day()),
                    f64::from(date.day_of_year()),
                    f64::from(date.days_in_month())
                )
            );
            assert_eq!(day_of_week(seconds), f64::from(date.weekday().to_sunday_zero_offset()));
            date = date.tomorrow().expect("a day");
        }
    }

    #[test]
    fn what_is_no_time_is_the_end_of_all_times() {
        for strange in [f64::NAN, f64::INFINITY, -1e300] {
            assert_eq!((year(strange), month(strange), day_of_month(strange)), (292_277_026_596.0, 12.0, 4.0));
            assert_eq!((hour(strange), minute(strange)), (15.0, 30.0));
        }
    }
}
