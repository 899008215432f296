//! Exemplars of points: `trace_id`, `span_id`, and the attributes that were left out of the point.

use crate::model::Timestamp;
use crate::store::Exemplar;

use super::super::wire::protobuf::{Field, Fields};
use super::super::wire::{WireError, exemplar};
use super::{ATTRIBUTES_MAX, Attribute, attribute, request};

/// Exemplars of one point.
const EXEMPLARS_MAX: usize = 1_000;

/// Those of a point, as they are met.
#[derive(Default)]
pub(super) struct Exemplars(Vec<Exemplar>);

impl Exemplars {
    /// Takes one, unless its labels are too long to be kept. (OpenMetrics: 128 letters.)
    pub(super) fn push(&mut self, message: &[u8]) -> Result<(), WireError> {
        request::at_most(self.0.len(), EXEMPLARS_MAX, "exemplars")?;
        let (mut attributes, mut value, mut at): (Vec<Attribute>, _, _) = (Vec::new(), 0.0, 0);
        let (mut trace, mut span) = (String::new(), String::new());
        let mut fields = Fields::of(message, "exemplar");
        while let Some((number, field)) = fields.next()? {
            match (number, field) {
                (2, Field::Fixed64(nanos)) => at = nanos,
                (3, Field::Fixed64(bits)) => value = f64::from_bits(bits),
                (6, Field::Fixed64(bits)) => value = bits as i64 as f64,
                (4, Field::Bytes(id)) => span = hex(id),
                (5, Field::Bytes(id)) => trace = hex(id),
                (7, Field::Bytes(message)) => {
                    request::at_most(attributes.len(), ATTRIBUTES_MAX, "attributes")?;
                    attributes.extend(attribute(message)?);
                }
                (2..=7, _) => return Err(fields.mistyped(number)),
                _ => {}
            }
        }
        let ids = [("trace_id", &trace), ("span_id", &span)];
        let ids = ids.into_iter().filter(|(_, id)| !id.is_empty()).map(|(name, id)| (name.as_bytes(), id.as_bytes()));
        let ids: Vec<(&[u8], &[u8])> = ids.collect();
        let all: Vec<(&[u8], &[u8])> = ids
            .iter()
            .copied()
            .chain(attributes.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())))
            .collect();
        let at = Timestamp::from_millis((at / 1_000_000) as i64);
        // The ids are what leads to a trace: better them alone than nothing.
        let kept = exemplar::build(&all, value, at).or_else(|| exemplar::build(&ids, value, at));
        self.0.extend(kept);
        Ok(())
    }

    /// Those that belong to the bucket below `bound`, if buckets are asked for in their order.
    pub(super) fn up_to(&mut self, bound: f64) -> Vec<Exemplar> {
        if self.0.is_empty() {
            return Vec::new();
        }
        // A NaN lies in no bucket but the last, which holds everything.
        let (inside, rest) =
            std::mem::take(&mut self.0).into_iter().partition(|one| one.value <= bound || bound == f64::INFINITY);
        self.0 = rest;
        inside
    }

    pub(super) fn all(self) -> Vec<Exemplar> {
        self.0
    }
}

fn hex(id: &[u8]) -> String {
    // No id is longer than 16 bytes; what is, leads nowhere.
    let id: &[u8] = if id.len() > 16 || id.iter().all(|byte| *byte == 0) { &[] } else { id };
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}
