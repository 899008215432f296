//! Which experimental parts of PromQL are on.

use std::str::FromStr;

/// The switches of `--promql.enable`, named as Prometheus names its own. All off is what the query engine of Prometheus
/// 3.14 does by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// `promql-experimental-functions`: functions and aggregations whose [`super::parse::functions::Signature`] says
    /// `experimental`.
    pub experimental_functions: bool,
    /// `promql-extended-range-selectors`: `anchored` and `smoothed`.
    pub extended_range_selectors: bool,
    /// `promql-binop-fill-modifiers`: `fill`, `fill_left`, `fill_right`.
    pub fill_modifiers: bool,
    /// `promql-duration-expr`: arithmetic, `step()`, `range()`, `min_of` and `max_of` in durations. (The engine of 3.14
    /// has it off; its server binary asks for it always.)
    pub duration_expressions: bool,
    /// `promql-delayed-name-removal`: the metric name goes at the end of the evaluation, not in each step of it.
    pub delayed_name_removal: bool,
    /// `type-and-unit-labels`: `__type__` and `__unit__` are treated as parts of the metric's identity.
    pub type_and_unit_labels: bool,
    /// `use-start-timestamps`: `rate` and its siblings look at start timestamps.
    pub use_start_timestamps: bool,
    /// `promql-per-step-stats`: counts samples per step.
    pub per_step_stats: bool,
}

/// A name that is no feature.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown promql feature {0:?}")]
pub struct UnknownFeature(pub String);

impl Features {
    /// Everything on.
    pub fn all() -> Self {
        Features {
            experimental_functions: true,
            extended_range_selectors: true,
            fill_modifiers: true,
            duration_expressions: true,
            delayed_name_removal: true,
            type_and_unit_labels: true,
            use_start_timestamps: true,
            per_step_stats: true,
        }
    }

    /// Switches one feature on.
    ///
    /// # Errors
    /// Where no feature has this name.
    pub fn enable(&mut self, name: &str) -> Result<(), UnknownFeature> {
        match name {
            "promql-experimental-functions" => self.experimental_functions = true,
            "promql-extended-range-selectors" => self.extended_range_selectors = true,
            "promql-binop-fill-modifiers" => self.fill_modifiers = true,
            "promql-duration-expr" => self.duration_expressions = true,
            "promql-delayed-name-removal" => self.delayed_name_removal = true,
            "type-and-unit-labels" => self.type_and_unit_labels = true,
            "use-start-timestamps" => self.use_start_timestamps = true,
            "promql-per-step-stats" => self.per_step_stats = true,
            _ => return Err(UnknownFeature(name.to_owned())),
        }
        Ok(())
    }
}

impl FromStr for Features {
    type Err = UnknownFeature;

    /// Reads a comma-separated list of names.
    fn from_str(names: &str) -> Result<Self, UnknownFeature> {
        let mut features = Features::default();
        for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            features.enable(name)?;
        }
        Ok(features)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_read_by_the_names_prometheus_uses() {
        let parsed: Features = "promql-experimental-functions, promql-binop-fill-modifiers".parse().expect("known");
        let expected = Features { experimental_functions: true, fill_modifiers: true, ..Features::default() };
        assert_eq!(parsed, expected);
        assert_eq!("".parse(), Ok(Features::default()));
        assert_eq!("promql".parse::<Features>(), Err(UnknownFeature("promql".into())));
        let every = "promql-experimental-functions,promql-extended-range-selectors,promql-binop-fill-modifiers,\
                     promql-duration-expr,promql-delayed-name-removal,type-and-unit-labels,use-start-timestamps,promql-per-step-stats";
        assert_eq!(every.parse(), Ok(Features::all()));
    }
}
