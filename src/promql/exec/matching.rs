//! Two vectors, whose series find each other by labels.
//!
//! Labels are worked on once per series: each side's series get the number of their signature (the labels that must
//! agree). What depends on the step is decided by bits: which series of a signature are present together, and whether
//! more are than may be.

use crate::model::{Labels, METRIC_NAME};
use crate::promql::QueryError;
use crate::promql::annotations::Annotations;
use crate::promql::ast::{BinaryOp, Cardinality, Matching, Position};

use super::pairs::{Operator, changes_metric};
use super::row::{Bits, Row};
use super::stream::{Entry, Map, Stream, is_metadata_label, merge_same, without_metadata};
use super::{Query, Scope};

fn takes_part(matching: &Matching, name: &str) -> bool {
    let listed = matching.labels.iter().any(|listed| listed == name);
    if matching.on { listed } else { !listed && name != METRIC_NAME }
}

/// The labels that must agree.
fn signature(matching: &Matching, labels: &Labels) -> Labels {
    labels.without(|name| !takes_part(matching, name))
}

/// The number of each series' signature, side by side, and how many signatures there are.
pub(crate) fn signatures(
    sides: [&mut dyn Iterator<Item = &Entry>; 2],
    matching: &Matching,
) -> ([Vec<usize>; 2], usize) {
    let mut numbers: Map<Labels, usize> = Map::default();
    let sides = sides.map(|side| {
        side.map(|entry| {
            let next = numbers.len();
            *numbers.entry(signature(matching, &entry.labels)).or_insert(next)
        })
        .collect()
    });
    (sides, numbers.len())
}

/// The entries of a table.
pub(crate) fn entries(table: &[(Entry, Row)]) -> impl Iterator<Item = &Entry> {
    table.iter().map(|(entry, _)| entry)
}

/// The two sides by their role: of one signature, many series may stand on one side and one at a time on the other.
struct Sides {
    many: Vec<(Entry, Row)>,
    one: Vec<(Entry, Row)>,
    /// By signature: series of each side.
    many_by_signature: Vec<Vec<usize>>,
    one_by_signature: Vec<Vec<usize>>,
    /// Steps at which anything can match.
    active: Bits,
}

#[expect(clippy::too_many_arguments, reason = "an operator with all that is written around it")]
pub(crate) fn matched<'q>(
    query: &'q Query<'q>,
    position: Position,
    left: Stream<'q>,
    right: Stream<'q>,
    op: BinaryOp,
    return_bool: bool,
    matching: &'q Matching,
    scope: Scope,
) -> Result<Stream<'q>, QueryError> {
    let operator = Operator { op, return_bool, position };
    let swapped = matching.cardinality == Cardinality::OneToMany;
    let (many, one) = if swapped { (right, left) } else { (left, right) };
    let rule = Rule { query, matching, operator, swapped };
    if let Some(partners) = rule.partners(&many.roster, &one.roster) {
        return Ok(rule.stream(many, one, partners));
    }
    let (many, one) = match swapped {
        true => {
            let one = one.collect(query)?;
            (many.collect(query)?, one)
        }
        false => (many.collect(query)?, one.collect(query)?),
    };
    let sides = Sides::new(many, one, matching, scope);
    let mut matcher = Matcher { rule, notes: Annotations::default(), found: Vec::new() };
    for signature in 0..sides.many_by_signature.len() {
        matcher.signature(&sides, signature, scope)?;
    }
    let Matcher { notes, mut found, .. } = matcher;
    query.note_all(notes);
    // In the order of the side with many series; what was filled in comes last.
    found.sort_by_key(|(order, _, _)| *order);
    let table = found.into_iter().map(|(_, entry, row)| (entry, row)).collect();
    Ok(Stream::ready(merge_same(table)?))
}

impl Sides {
    fn new(many: Vec<(Entry, Row)>, one: Vec<(Entry, Row)>, matching: &Matching, scope: Scope) -> Self {
        let (signatures, count) = signatures([&mut entries(&many), &mut entries(&one)], matching);
        let by_signature = |signatures: &[usize]| {
            let mut by_signature = vec![Vec::new(); count];
            signatures.iter().enumerate().for_each(|(id, signature)| by_signature[*signature].push(id));
            by_signature
        };
        let present = |side: &[(Entry, Row)]| {
            let mut present = Bits::none(scope.steps());
            side.iter().for_each(|(_, row)| present.unite(row.present()));
            present
        };
        let mut active = present(&many);
        match matching.fill_left.is_some() || matching.fill_right.is_some() {
            true => active.unite(&present(&one)),
            false => active.intersect(&present(&one)),
        }
        Sides {
            many_by_signature: by_signature(&signatures[0]),
            one_by_signature: by_signature(&signatures[1]),
            many,
            one,
            active,
        }
    }
}

/// What is written around the operator.
#[derive(Clone, Copy)]
struct Rule<'q> {
    query: &'q Query<'q>,
    matching: &'q Matching,
    operator: Operator,
    /// Whether the "one" side is written on the left.
    swapped: bool,
}

/// Of each series of the "many" side that has one: its only possible partner, and what they give.
type Partners = Vec<Option<(usize, Entry)>>;

impl<'q> Rule<'q> {
    /// The labels of a result: those of the "many" side as far as the matching lets them, with those it takes over from
    /// the "one" side.
    fn result_entry(&self, many: &Entry, one: &Labels) -> Entry {
        let matching = self.matching;
        let changes = changes_metric(self.operator.op);
        let one_to_one = matching.cardinality == Cardinality::OneToOne;
        let listed = |name: &str| matching.labels.iter().any(|listed| listed == name);
        let mut labels = many
            .labels
            .without(|name| (changes && is_metadata_label(name)) || (one_to_one && listed(name) != matching.on));
        for name in &matching.include {
            labels = labels.with(name, one.get(name).unwrap_or(""));
        }
        let return_bool = self.operator.return_bool;
        if return_bool && !self.query.delayed() {
            labels = without_metadata(&labels);
        }
        Entry { labels, name_dropped: many.name_dropped || return_bool }
    }

    /// The partners, where labels alone decide: at most one series of a signature on the "one" side, and no two results
    /// with the same labels. Then nothing can clash at any step.
    fn partners(&self, many: &[Entry], one: &[Entry]) -> Option<Partners> {
        let matching = self.matching;
        if matching.fill_left.is_some() || matching.fill_right.is_some() {
            return None;
        }
        let (signatures, count) = signatures([&mut many.iter(), &mut one.iter()], matching);
        let mut place: Vec<Option<usize>> = vec![None; count];
        for (id, signature) in signatures[1].iter().enumerate() {
            if place[*signature].replace(id).is_some() {
                return None;
            }
        }
        let mut results: Map<Labels, ()> = Map::default();
        let mut taken = vec![false; count];
        let mut partners = Partners::with_capacity(many.len());
        for (entry, signature) in many.iter().zip(&signatures[0]) {
            let partner = place[*signature].map(|id| (id, self.result_entry(entry, &one[id].labels)));
            if let Some((_, result)) = &partner {
                let again = std::mem::replace(&mut taken[*signature], true);
                let ambiguous = again && matching.cardinality == Cardinality::OneToOne;
                if ambiguous || results.insert(result.labels.clone(), ()).is_some() {
                    return None;
                }
            }
            partners.push(partner);
        }
        Some(partners)
    }

    /// Holds the "one" side and lets the other pass by.
    fn stream(self, many: Stream<'q>, one: Stream<'q>, partners: Partners) -> Stream<'q> {
        let mut roster = Vec::new();
        let partners: Vec<Option<(usize, usize)>> = partners
            .into_iter()
            .map(|partner| {
                let (id, entry) = partner?;
                roster.push(entry);
                Some((id, roster.len() - 1))
            })
            .collect();
        Stream::new(roster, move |sink| {
            let mut held: Vec<Option<Row>> = vec![None; one.roster.len()];
            one.run(&mut |id, row| {
                self.query.meter.hold(row.samples(), row.bytes())?;
                held[id] = Some(row);
                Ok(())
            })?;
            let mut notes = Annotations::default();
            many.run(&mut |id, row| {
                let Some((partner, result)) = partners[id] else { return Ok(()) };
                let Some(other) = &held[partner] else { return Ok(()) };
                let mut mask = row.present().clone();
                mask.intersect(other.present());
                if mask.is_empty() {
                    return Ok(());
                }
                let (left, right) = if self.swapped { (other, &row) } else { (&row, other) };
                sink(result, self.operator.apply(left, right, mask, false, &mut notes).0)
            })?;
            self.query.note_all(notes);
            Ok(())
        })
    }
}

struct Matcher<'q> {
    rule: Rule<'q>,
    notes: Annotations,
    /// Results with their place in the order.
    found: Vec<(usize, Entry, Row)>,
}

fn refuse<T>(why: impl Into<String>) -> Result<T, QueryError> {
    Err(QueryError::Execution(why.into()))
}

impl Matcher<'_> {
    /// Matches the series of one signature.
    fn signature(&mut self, sides: &Sides, signature: usize, scope: Scope) -> Result<(), QueryError> {
        let (many, one) = (&sides.many_by_signature[signature], &sides.one_by_signature[signature]);
        let one_present = self.union_of_one(sides, one, scope)?;
        let mut matched = Bits::none(scope.steps());
        let mut by_labels: Map<Labels, Bits> = Map::default();
        for id in many {
            let (entry, row) = &sides.many[*id];
            let mut mask = row.present().clone();
            mask.intersect(&sides.active);
            for other in one {
                let (one_entry, one_row) = &sides.one[*other];
                let mut mask = mask.clone();
                mask.intersect(one_row.present());
                if !mask.is_empty() {
                    let result = self.rule.result_entry(entry, &one_entry.labels);
                    self.pair(*id, result, row, one_row, mask, &mut matched, &mut by_labels)?;
                }
            }
            if let Some(fill) = self.rule.matching.fill_right {
                mask.subtract(&one_present);
                if !mask.is_empty() {
                    let labels = self::signature(self.rule.matching, &entry.labels);
                    let result = self.rule.result_entry(entry, &labels);
                    let filled = Row::full(vec![fill; scope.steps()]);
                    self.pair(*id, result, row, &filled, mask, &mut matched, &mut by_labels)?;
                }
            }
        }
        if let Some(fill) = self.rule.matching.fill_left {
            for other in one {
                let (one_entry, one_row) = &sides.one[*other];
                let mut mask = one_row.present().clone();
                mask.intersect(&sides.active);
                mask.subtract(&matched);
                if !mask.is_empty() {
                    let labels = self::signature(self.rule.matching, &one_entry.labels);
                    let result = self.rule.result_entry(&Entry::new(labels), &one_entry.labels);
                    let filled = Row::full(vec![fill; scope.steps()]);
                    let order = sides.many.len() + other;
                    self.pair(order, result, &filled, one_row, mask, &mut matched.clone(), &mut Map::default())?;
                }
            }
        }
        Ok(())
    }

    /// The steps at which some series of the "one" side is present: never two at an active step.
    fn union_of_one(&self, sides: &Sides, one: &[usize], scope: Scope) -> Result<Bits, QueryError> {
        let mut present = Bits::none(scope.steps());
        for (place, id) in one.iter().enumerate() {
            let mut here = sides.one[*id].1.present().clone();
            here.intersect(&sides.active);
            if here.overlaps(&present) {
                let clash = |other: &&usize| sides.one[**other].1.present().overlaps(&here);
                let other = one[..place].iter().find(clash).expect("what overlaps the union overlaps a part");
                let labels = |id: usize| &sides.one[id].0.labels;
                return refuse(format!(
                    "found duplicate series for the match group {} on the {} hand-side of the operation: [{}, {}]\
                     ;many-to-many matching not allowed: matching labels must be unique on one side",
                    shown(&signature(self.rule.matching, labels(*id))),
                    if self.rule.swapped { "left" } else { "right" },
                    shown(labels(*other)),
                    shown(labels(*id)),
                ));
            }
            present.unite(&here);
        }
        Ok(present)
    }

    #[expect(clippy::too_many_arguments, reason = "both sides with their bookkeeping")]
    fn pair(
        &mut self,
        order: usize,
        entry: Entry,
        many: &Row,
        one: &Row,
        mask: Bits,
        matched: &mut Bits,
        by_labels: &mut Map<Labels, Bits>,
    ) -> Result<(), QueryError> {
        let (left, right) = if self.rule.swapped { (one, many) } else { (many, one) };
        let (row, met) = self.rule.operator.apply(left, right, mask, false, &mut self.notes);
        if self.rule.matching.cardinality == Cardinality::OneToOne {
            if met.overlaps(matched) {
                return refuse(
                    "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)",
                );
            }
        } else {
            let seen = by_labels.entry(entry.labels.clone()).or_insert_with(|| Bits::none(many.steps()));
            if met.overlaps(seen) {
                return refuse("multiple matches for labels: grouping labels must ensure unique matches");
            }
            seen.unite(&met);
        }
        matched.unite(&met);
        if !row.is_empty() {
            self.rule.query.meter.hold(row.samples(), row.bytes())?;
            self.found.push((order, entry, row));
        }
        Ok(())
    }
}

/// Labels as Prometheus shows them in errors: the name like any other.
pub(crate) fn shown(labels: &Labels) -> String {
    use crate::model::labels::{Quoted, is_plain_label_name};
    let pairs: Vec<String> = labels
        .iter()
        .map(|(name, value)| match is_plain_label_name(name) {
            true => format!("{name}={}", Quoted(value)),
            false => format!("{}={}", Quoted(name), Quoted(value)),
        })
        .collect();
    format!("{{{}}}", pairs.join(", "))
}
