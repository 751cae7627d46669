//! Stream-stream joins.

use operators::{Change, StreamStreamJoin, StreamStreamSpec};
use proptest::prelude::*;
use syntax::ast::JoinKind;

use crate::support::{
    In, Null, Out, Subject, Unit, Value, check, cuts, events, expr, is_larger, left_is_larger, out, schema, stream,
};

const COLUMNS: &str = "K BIGINT, V BIGINT";
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

#[derive(Debug, Clone, Copy)]
struct Join {
    kind: JoinKind,
    before: i64,
    after: i64,
    grace: Option<i64>,
    /// Whether the left V has to be larger.
    residual: bool,
}

fn joins() -> impl Strategy<Value = Join> {
    let kind = prop_oneof![Just(JoinKind::Inner), Just(JoinKind::Left), Just(JoinKind::Right), Just(JoinKind::Full)];
    let grace = prop_oneof![1 => Just(None), 3 => (0..10i64).prop_map(Some)];
    (kind, 0..12i64, 0..12i64, grace, any::<bool>()).prop_map(|(kind, before, after, grace, residual)| Join {
        kind,
        before,
        after,
        grace,
        residual,
    })
}

impl Join {
    fn grace(&self) -> i64 {
        self.grace.unwrap_or(DAY_MS)
    }

    fn kept(&self) -> i64 {
        self.before + self.after + self.grace()
    }

    fn is_outer(&self, side: usize) -> bool {
        match self.kind {
            JoinKind::Inner => false,
            JoinKind::Left => side == 0,
            JoinKind::Right => side == 1,
            JoinKind::Full => true,
        }
    }

    /// How much younger a partner may be.
    fn younger(&self, side: usize) -> i64 {
        if side == 0 { self.after } else { self.before }
    }

    fn meet(&self, left: i64, right: i64) -> bool {
        left - self.before <= right && right <= left + self.after
    }

    /// The last stream time at which a row may still find a partner.
    fn waits_until(&self, side: usize, time: i64) -> i64 {
        time + self.younger(side) + self.grace()
    }
}

/// A row that was kept.
#[derive(Debug, Clone)]
struct Kept {
    row: In,
    alone: bool,
}

fn joined(cause: u64, left: Option<&In>, right: Option<&In>) -> Out {
    let values = |row: Option<&In>| row.map_or(vec![Null, Null], |r| r.values.clone());
    let key = left.or(right).map_or(Null, |r| r.values[0].clone());
    let time = left.map(|r| r.time).max(right.map(|r| r.time)).unwrap_or(0);
    out(cause, time, Change::Insert, [values(left), values(right), vec![key]].concat())
}

fn alone(cause: u64, row: &In) -> Out {
    if row.input == 0 { joined(cause, Some(row), None) } else { joined(cause, None, Some(row)) }
}

fn oracle(units: &[Unit], join: Join) -> Vec<Out> {
    let mut kept: Vec<Kept> = vec![];
    let (mut now, mut side_time, mut want) = (i64::MIN, [i64::MIN; 2], vec![]);
    for row in units.iter().flatten() {
        let side = row.input;
        now = now.max(row.time);
        side_time[side] = side_time[side].max(row.time);
        // First those whose time is over.
        let over = |k: &&mut Kept| k.alone && join.waits_until(k.row.input, k.row.time) < now;
        let mut given_up: Vec<&mut Kept> = kept.iter_mut().filter(over).collect();
        given_up.sort_by_key(|k| {
            let end = join.waits_until(k.row.input, k.row.time);
            (end, 1 - k.row.input, k.row.values[0].clone(), k.row.seq)
        });
        for k in given_up {
            k.alone = false;
            want.push(alone(row.seq, &k.row));
        }
        if row.op == Change::Tombstone || row.values[0] == Null {
            continue;
        }
        // Then the row with all that are there.
        let is_kept = |k: &In| k.time + join.kept() >= side_time[k.input];
        let are_partners = |left: &In, right: &In| {
            join.meet(left.time, right.time) && (!join.residual || is_larger(&left.values, &right.values))
        };
        let meets = |k: &In| match side {
            0 => k.input == 1 && are_partners(row, k),
            _ => k.input == 0 && are_partners(k, row),
        };
        let is_partner = |k: &&mut Kept| k.row.values[0] == row.values[0] && is_kept(&k.row) && meets(&k.row);
        let mut partners: Vec<&mut Kept> = kept.iter_mut().filter(is_partner).collect();
        partners.sort_by_key(|k| (k.row.time, k.row.seq));
        let found = !partners.is_empty();
        for k in partners {
            k.alone = false;
            let (left, right) = if side == 0 { (row, &k.row) } else { (&k.row, row) };
            want.push(joined(row.seq | 1, Some(left), Some(right)));
        }
        let waits = join.grace.is_some() && join.waits_until(side, row.time) >= now;
        let is_alone = !found && join.is_outer(side);
        if is_alone && !waits {
            want.push(alone(row.seq | 1, row));
        }
        if is_kept(row) {
            kept.push(Kept { row: row.clone(), alone: is_alone && waits });
        }
    }
    want
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn finds_every_pair(events in events(2, 60), join in joins(), cuts in cuts()) {
        let spec = StreamStreamSpec {
            schemas: [schema(COLUMNS), schema(COLUMNS)],
            keys: [vec![expr("K", COLUMNS)], vec![expr("K", COLUMNS)]],
            key_types: vec![arrow::datatypes::DataType::Int64],
            kind: join.kind,
            before_ms: join.before,
            after_ms: join.after,
            grace_ms: join.grace,
            residual: join.residual.then(left_is_larger),
            wanted: vec![true; 5],
        };
        let make = || Box::new(StreamStreamJoin::new(spec.clone())) as _;
        let place = |row: &In| row.values[0].clone() as Value;
        let subject = Subject { inputs: vec![schema(COLUMNS); 2], make: &make, place: &place, key: None, batched: true };
        let units = stream(&events);
        check(&subject, &units, &cuts, &oracle(&units, join))?;
    }
}
