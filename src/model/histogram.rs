//! A native histogram, as data. Its algebra (add, rate, quantile, ...) lives in `promql`.

/// A run of consecutive buckets. (Prometheus: `histogram.Span`.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BucketSpan {
    /// Gap to the end of the previous span, in buckets; for the first span, the index of its first bucket.
    pub offset: i32,
    /// How many buckets.
    pub length: u32,
}

/// What the sender says of a counter reset between this histogram and the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ResetHint {
    /// Nothing is known: compare.
    #[default]
    Unknown,
    /// There was a reset.
    Yes,
    /// There was none.
    No,
    /// A gauge histogram: resets have no meaning.
    Gauge,
}

/// A native histogram with absolute float counts.
///
/// Integer histograms are kept as floats (exact up to 2^53 observations, as Prometheus' engine sees them) with
/// `integer` set, so that they can be given out as they came. Schemas -4..=8 are exponential, -53 has custom bounds.
#[derive(Clone, Debug)]
pub struct Histogram {
    /// Resolution: bucket bounds grow by `2^(2^-schema)`; -53: bounds are `custom_values`.
    pub schema: i32,
    /// Width of the zero bucket: it holds `[-zero_threshold, zero_threshold]`.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: f64,
    /// All observations, NaN ones too.
    pub count: f64,
    /// Sum of all observed values. The stale marker's bits here make the whole histogram a stale marker.
    pub sum: f64,
    /// Runs of positive (or custom) buckets.
    pub positive_spans: Vec<BucketSpan>,
    /// Absolute counts of the positive buckets, span after span.
    pub positive_buckets: Vec<f64>,
    /// Runs of negative buckets.
    pub negative_spans: Vec<BucketSpan>,
    /// Absolute counts of the negative buckets, span after span.
    pub negative_buckets: Vec<f64>,
    /// Upper bounds of custom buckets, rising, without `+Inf`; empty for exponential schemas.
    pub custom_values: Vec<f64>,
    /// What is known of a reset before this one.
    pub reset_hint: ResetHint,
    /// Whether the sender counted in integers.
    pub integer: bool,
}

/// The schema that stands for custom bucket bounds.
pub const CUSTOM_BUCKETS_SCHEMA: i32 = -53;

impl Histogram {
    /// Whether bounds are custom rather than exponential.
    pub fn has_custom_buckets(&self) -> bool {
        self.schema == CUSTOM_BUCKETS_SCHEMA
    }

    /// Whether this stands for the end of the series.
    pub fn is_stale(&self) -> bool {
        super::sample::is_stale(self.sum)
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram {
            schema: 0,
            zero_threshold: 0.0,
            zero_count: 0.0,
            count: 0.0,
            sum: 0.0,
            positive_spans: Vec::new(),
            positive_buckets: Vec::new(),
            negative_spans: Vec::new(),
            negative_buckets: Vec::new(),
            custom_values: Vec::new(),
            reset_hint: ResetHint::Unknown,
            integer: false,
        }
    }
}

impl PartialEq for Histogram {
    /// Bit for bit, so that NaN sums equal themselves.
    fn eq(&self, other: &Self) -> bool {
        fn bits(left: &[f64], right: &[f64]) -> bool {
            left.len() == right.len() && left.iter().zip(right).all(|(a, b)| a.to_bits() == b.to_bits())
        }
        self.schema == other.schema
            && self.reset_hint == other.reset_hint
            && self.integer == other.integer
            && self.positive_spans == other.positive_spans
            && self.negative_spans == other.negative_spans
            && bits(
                &[self.zero_threshold, self.zero_count, self.count, self.sum],
                &[other.zero_threshold, other.zero_count, other.count, other.sum],
            )
            && bits(&self.positive_buckets, &other.positive_buckets)
            && bits(&self.negative_buckets, &other.negative_buckets)
            && bits(&self.custom_values, &other.custom_values)
    }
}
