//! Where lines and labels of the axes stand.

use jiff::tz::TimeZone;

use crate::model::{Span, Timestamp};

/// Steps of the value axis: round numbers, at least one, `wanted` or so of them.
pub(super) fn value_step(low: f64, high: f64, wanted: f64, binary: bool) -> f64 {
    let rough = (high - low) / wanted.max(1.0);
    let unit = match binary && rough >= 1024.0 {
        true => 1024f64.powf((rough.ln() / 1024f64.ln()).floor()),
        false => 1.0,
    };
    let rough = rough / unit;
    let power = 10f64.powf(rough.log10().floor());
    let nice: &[f64] = if binary { &[1.0, 2.0, 4.0, 5.0, 8.0, 10.0] } else { &[1.0, 2.0, 2.5, 5.0, 10.0] };
    let factor = nice.iter().copied().find(|factor| factor * power >= rough * 0.999).unwrap_or(10.0);
    factor * power * unit
}

/// The bounds of the value axis, widened to whole steps where they are not given.
pub(super) fn value_bounds(low: f64, high: f64, given: (Option<f64>, Option<f64>)) -> (f64, f64) {
    // What never falls below zero is drawn from zero on, as long as it is anywhere near it.
    let low = if low > 0.0 && low < high * 0.8 { 0.0 } else { low };
    let (low, high) = (given.0.unwrap_or(low), given.1.unwrap_or(high));
    match high > low {
        true => (low, high),
        false => {
            let around = if low == 0.0 { 1.0 } else { low.abs() * 0.1 };
            (
                given.0.unwrap_or(low - around),
                given.1.unwrap_or(low + around).max(given.0.unwrap_or(low - around) + around),
            )
        }
    }
}

/// Steps of the time axis, in seconds, up to a day; longer ones are whole days.
const TIME_STEPS: [i64; 20] = [
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800,
];

/// Times with labels from `start` to `end`, at most `wanted` of them, round in `zone`.
pub(super) fn time_labels(start: Timestamp, end: Timestamp, wanted: f64, zone: &TimeZone) -> Vec<(Timestamp, String)> {
    let length = (end - start).as_millis() as f64 / 1000.0;
    let step = TIME_STEPS.into_iter().find(|step| length / *step as f64 <= wanted.max(1.0));
    let step = step.unwrap_or_else(|| ((length / wanted.max(1.0) / 86_400.0).ceil() as i64).max(1) * 86_400);
    let millis = step.saturating_mul(1000);
    let Ok(first) = jiff::Timestamp::from_millisecond(start.as_millis()) else { return Vec::new() };
    // Round in local time: the offset at the start serves the whole picture, and labels say the true time anyway.
    let offset = i64::from(zone.to_offset(first).seconds()) * 1000;
    let first = (start.as_millis() + offset).div_euclid(millis) * millis - offset;
    (0..)
        .map(|index: i64| Timestamp::from_millis(first) + Span::from_millis(millis).times(index))
        .skip_while(|at| *at < start)
        .take_while(|at| *at <= end)
        .filter_map(|at| {
            let zoned = jiff::Timestamp::from_millisecond(at.as_millis()).ok()?.to_zoned(zone.clone());
            let is_midnight = zoned.hour() == 0 && zoned.minute() == 0 && zoned.second() == 0;
            let form = match step {
                _ if is_midnight => "%b %d",
                step if step < 60 => "%H:%M:%S",
                _ => "%H:%M",
            };
            Some((at, zoned.strftime(form).to_string()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_steps_are_round() {
        #[track_caller]
        fn check(low: f64, high: f64, binary: bool, expected: f64) {
            assert!(
                (value_step(low, high, 5.0, binary) / expected - 1.0).abs() < 1e-9,
                "{}",
                value_step(low, high, 5.0, binary)
            );
        }
        check(0.0, 10.0, false, 2.0);
        check(0.0, 9.0e6, false, 2.0e6);
        check(0.0, 0.03, false, 0.01);
        check(0.0, 11.0, false, 2.5);
        check(0.0, 5.0 * 1024.0 * 1024.0, true, 1024.0 * 1024.0);
    }

    #[test]
    fn bounds_enclose_something() {
        assert_eq!(value_bounds(3.0, 10.0, (None, None)), (0.0, 10.0));
        assert_eq!(value_bounds(9.5, 10.0, (None, None)), (9.5, 10.0));
        assert_eq!(value_bounds(0.0, 0.0, (None, None)), (-1.0, 1.0));
        assert_eq!(value_bounds(5.0, 5.0, (Some(0.0), None)), (0.0, 5.0));
        assert_eq!(value_bounds(1.0, 2.0, (Some(7.0), None)).0, 7.0);
        assert!(value_bounds(1.0, 2.0, (Some(7.0), None)).1 > 7.0);
    }

    #[test]
    fn times_are_round_where_people_live() {
        let start = Timestamp::from_millis(1_795_359_600_000);
        let labels = time_labels(start, start + Span::HOUR, 6.0, &TimeZone::UTC);
        let texts: Vec<&str> = labels.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, ["15:00", "15:10", "15:20", "15:30", "15:40", "15:50", "16:00"]);
        let india = TimeZone::fixed(jiff::tz::Offset::from_seconds(19_800).expect("an offset"));
        let labels = time_labels(start, start + Span::DAY, 6.0, &india);
        let texts: Vec<&str> = labels.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, ["Nov 23", "06:00", "12:00", "18:00"]);
    }
}
