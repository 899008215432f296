//! Sums that do not lose what is small beside what is large.

/// A running sum with its compensation, after Kahan, Babuška and Neumaier.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    pub(crate) sum: f64,
    pub(crate) compensation: f64,
}

impl Sum {
    pub(crate) fn new(sum: f64) -> Self {
        Sum { sum, compensation: 0.0 }
    }

    /// This sum and one more.
    #[must_use]
    pub(crate) fn plus(self, value: f64) -> Self {
        let sum = self.sum + value;
        let compensation = if sum.is_infinite() {
            0.0
        } else if self.sum.abs() >= value.abs() {
            self.compensation + ((self.sum - sum) + value)
        } else {
            self.compensation + ((value - sum) + self.sum)
        };
        Sum { sum, compensation }
    }

    pub(crate) fn total(self) -> f64 {
        self.sum + self.compensation
    }
}

/// A mean that is sum over count for as long as the sum stays finite, and moves from mean to mean afterwards.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mean {
    state: Sum,
    count: f64,
    moving: bool,
}

impl Mean {
    pub(crate) fn of(first: f64) -> Self {
        Mean { state: Sum::new(first), count: 1.0, moving: false }
    }

    pub(crate) fn add(&mut self, value: f64) {
        self.count += 1.0;
        if !self.moving {
            let next = self.state.plus(value);
            if !next.sum.is_infinite() {
                self.state = next;
                return;
            }
            self.moving = true;
            self.state.sum /= self.count - 1.0;
            self.state.compensation /= self.count - 1.0;
        }
        let keep = (self.count - 1.0) / self.count;
        let kept = Sum { sum: keep * self.state.sum, compensation: keep * self.state.compensation };
        self.state = kept.plus(value / self.count);
    }

    pub(crate) fn value(&self) -> f64 {
        match self.moving {
            true => self.state.total(),
            false => self.state.sum / self.count + self.state.compensation / self.count,
        }
    }
}
