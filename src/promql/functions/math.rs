//! Small functions of one or two floats, with Go's treatment of NaN and of signed zeros.

/// Half a turn is 180 degrees.
pub(crate) fn degrees(radians: f64) -> f64 {
    radians * 180.0 / std::f64::consts::PI
}

/// 180 degrees are half a turn.
pub(crate) fn radians(degrees: f64) -> f64 {
    degrees * std::f64::consts::PI / 180.0
}

/// -1, 1, or the value itself where it is zero or NaN.
pub(crate) fn sign(value: f64) -> f64 {
    match value {
        value if value < 0.0 => -1.0,
        value if value > 0.0 => 1.0,
        value => value,
    }
}

/// The larger one; NaN if one is (unless the other is +Inf); 0 above -0. (Go: `math.Max`.)
pub(crate) fn max(left: f64, right: f64) -> f64 {
    if left == f64::INFINITY || right == f64::INFINITY {
        f64::INFINITY
    } else if left.is_nan() || right.is_nan() {
        f64::NAN
    } else if left == 0.0 && right == 0.0 {
        if left.is_sign_negative() { right } else { left }
    } else if left > right {
        left
    } else {
        right
    }
}

/// The smaller one; NaN if one is (unless the other is -Inf); -0 below 0. (Go: `math.Min`.)
pub(crate) fn min(left: f64, right: f64) -> f64 {
    -max(-left, -right)
}

/// The nearest multiple of `to`; ties go up.
pub(crate) fn round(value: f64, to: f64) -> f64 {
    // Multiplying by the inverse is nearer to the expected decimal than dividing.
    let inverse = 1.0 / to;
    (value * inverse + 0.5).floor() / inverse
}

/// `value` between `min` and `max`.
pub(crate) fn clamp(value: f64, low: f64, high: f64) -> f64 {
    max(low, min(high, value))
}
