//! Who should have which partition: the assignors of the consumer protocol.
//!
//! Pure and deterministic: the same members, topics and former assignment have the same answer. Members that want the
//! same topics are looked at together, and so are topics that the same members want (a [`Pool`]): the work is about
//! that of looking at each partition and each member once, however many topics all of them want.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// A partition of the topic of that id.
pub(crate) type Part = (u128, i32);
/// Partitions, in order.
pub(crate) type Parts = BTreeSet<Part>;

/// Rounds over all pools after which members with different subscriptions are even enough.
const ROUNDS_MAX: usize = 64;

/// A way to assign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Assignor {
    /// Of each topic, a run of partitions to each member, so that topics with as many partitions are cut alike.
    Range,
    /// As many partitions to each member, and as few as possible change hands.
    #[default]
    Uniform,
}

impl Assignor {
    /// All, by name.
    const ALL: [Assignor; 2] = [Assignor::Range, Assignor::Uniform];

    /// As clients call it.
    pub fn name(self) -> &'static str {
        match self {
            Assignor::Range => "range",
            Assignor::Uniform => "uniform",
        }
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Assignor> {
        Assignor::ALL.into_iter().find(|assignor| assignor.name() == name)
    }
}

/// A topic to assign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub id: u128,
    pub partitions: i32,
}

/// A member to assign to.
#[derive(Debug)]
pub(super) struct Candidate<'a> {
    pub id: &'a str,
    pub instance: Option<&'a str>,
    /// Which of [`Question::sets`] it wants, if any.
    pub set: Option<usize>,
    /// What it was to have so far.
    pub before: &'a Parts,
}

/// What is to be assigned, and to whom.
#[derive(Debug, Default)]
pub(super) struct Question<'a> {
    pub topics: Vec<Shape>,
    /// Subscriptions: the places of their topics in `topics`.
    pub sets: Vec<Vec<usize>>,
    pub members: Vec<Candidate<'a>>,
}

/// Topics that the same members want.
struct Pool {
    topics: Vec<Shape>,
    /// Their places, in order.
    members: Vec<usize>,
}

impl Question<'_> {
    /// What each member is to have, in the order of the members. A partition of a topic that anybody wants goes to
    /// exactly one.
    pub fn answer(&self, assignor: Assignor) -> Vec<Parts> {
        match assignor {
            Assignor::Range => self.range(),
            Assignor::Uniform => self.uniform(),
        }
    }

    /// The pools, those that the fewest members want first: who wants the others as well can still make up for it.
    fn pools(&self) -> Vec<Pool> {
        let mut wanted_by: Vec<Vec<usize>> = vec![Vec::new(); self.topics.len()];
        for (set, topics) in self.sets.iter().enumerate() {
            for topic in topics {
                wanted_by[*topic].push(set);
            }
        }
        let mut members_of: Vec<Vec<usize>> = vec![Vec::new(); self.sets.len()];
        for (place, member) in self.members.iter().enumerate() {
            if let Some(set) = member.set {
                members_of[set].push(place);
            }
        }
        let mut by_sets: BTreeMap<Vec<usize>, Vec<Shape>> = BTreeMap::new();
        for (sets, topic) in wanted_by.into_iter().zip(&self.topics) {
            by_sets.entry(sets).or_default().push(*topic);
        }
        let pool = |(sets, topics): (Vec<usize>, Vec<Shape>)| {
            let mut members: Vec<usize> = sets.iter().flat_map(|set| &members_of[*set]).copied().collect();
            members.sort_unstable();
            Pool { topics, members }
        };
        let mut pools: Vec<Pool> = by_sets.into_iter().map(pool).filter(|pool| !pool.members.is_empty()).collect();
        pools.sort_by_key(|pool| pool.members.len());
        pools
    }

    fn range(&self) -> Vec<Parts> {
        let mut answer = vec![Parts::new(); self.members.len()];
        for Pool { topics, mut members } in self.pools() {
            // Members with a name of their own first, so that a restart under another id leaves the order as it is.
            members.sort_by_key(|place| {
                let member = &self.members[*place];
                (member.instance.is_none(), member.instance.unwrap_or(member.id))
            });
            let count = i32::try_from(members.len()).unwrap_or(i32::MAX);
            for topic in topics {
                let (each, more) = (topic.partitions / count, topic.partitions % count);
                let mut next = 0;
                for (number, place) in (0..topic.partitions).zip(&members) {
                    let end = next + each + i32::from(number < more);
                    answer[*place].extend((next..end).map(|partition| (topic.id, partition)));
                    next = end;
                }
            }
        }
        answer
    }

    fn uniform(&self) -> Vec<Parts> {
        let pools = self.pools();
        let mut sharing = Sharing::of(&pools, &self.members);
        for (number, pool) in pools.iter().enumerate() {
            sharing.hand_out(number, pool);
        }
        for _ in 0..ROUNDS_MAX {
            let moved: usize = pools.iter().enumerate().map(|(number, pool)| sharing.even_out(number, pool)).sum();
            // One pool is even at once; what is moved in one can make another uneven.
            if moved == 0 || pools.len() == 1 {
                break;
            }
        }
        sharing.held.into_iter().map(|held| held.into_values().flatten().collect()).collect()
    }
}

/// A uniform assignment in the making.
struct Sharing {
    /// By member and pool.
    held: Vec<BTreeMap<usize, Vec<Part>>>,
    /// How many partitions each member has.
    loads: Vec<usize>,
    taken: HashSet<Part>,
}

impl Sharing {
    /// Everybody with what he had, as far as it is there and he still wants it.
    fn of(pools: &[Pool], members: &[Candidate<'_>]) -> Sharing {
        let mut sharing = Sharing {
            held: vec![BTreeMap::new(); members.len()],
            loads: vec![0; members.len()],
            taken: HashSet::new(),
        };
        let topics = pools.iter().enumerate();
        let by_id: HashMap<u128, (usize, i32)> = topics
            .flat_map(|(number, pool)| pool.topics.iter().map(move |topic| (topic.id, (number, topic.partitions))))
            .collect();
        for (place, member) in members.iter().enumerate() {
            for part in member.before {
                if let Some((pool, partitions)) = by_id.get(&part.0)
                    && part.1 < *partitions
                    && pools[*pool].members.binary_search(&place).is_ok()
                    && sharing.taken.insert(*part)
                {
                    sharing.give(place, *pool, *part);
                }
            }
        }
        sharing
    }

    fn give(&mut self, member: usize, pool: usize, part: Part) {
        self.held[member].entry(pool).or_default().push(part);
        self.loads[member] += 1;
    }

    /// Members by what they have, the least first.
    fn line<'a>(&self, members: impl Iterator<Item = &'a usize>) -> BTreeSet<(usize, usize)> {
        members.map(|member| (self.loads[*member], *member)).collect()
    }

    /// Give what nobody has to those who have least.
    fn hand_out(&mut self, number: usize, pool: &Pool) {
        let parts = pool.topics.iter().flat_map(|topic| (0..topic.partitions).map(|partition| (topic.id, partition)));
        let free: Vec<Part> = parts.filter(|part| !self.taken.contains(part)).collect();
        if free.is_empty() {
            return;
        }
        let mut line = self.line(pool.members.iter());
        for part in free {
            let Some((load, member)) = line.pop_first() else { return };
            self.give(member, number, part);
            line.insert((load + 1, member));
        }
    }

    /// Move partitions of a pool from those who have most to those who have least, until they differ by one; how many.
    fn even_out(&mut self, number: usize, pool: &Pool) -> usize {
        let loads = || pool.members.iter().map(|member| self.loads[*member]);
        if loads().max() <= loads().min().map(|least| least + 1) {
            return 0;
        }
        let has = |member: &&usize| self.held[**member].get(&number).is_some_and(|parts| !parts.is_empty());
        let mut givers = self.line(pool.members.iter().filter(has));
        let mut takers = self.line(pool.members.iter());
        let mut moved = 0;
        while let (Some(&(most, giver)), Some(&(least, taker))) = (givers.last(), takers.first())
            && most > least + 1
        {
            let Some(part) = self.held[giver].get_mut(&number).and_then(Vec::pop) else { break };
            self.loads[giver] -= 1;
            self.give(taker, number, part);
            moved += 1;
            givers.remove(&(most, giver));
            takers.remove(&(most, giver));
            takers.insert((most - 1, giver));
            if self.held[giver].get(&number).is_some_and(|parts| !parts.is_empty()) {
                givers.insert((most - 1, giver));
            }
            takers.remove(&(least, taker));
            givers.remove(&(least, taker));
            takers.insert((least + 1, taker));
            givers.insert((least + 1, taker));
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Members by id with the names (numbers) of their topics and what they had; topics by number of partitions, with
    /// ids 1, 2, 3, …; what each gets.
    fn check(
        assignor: Assignor,
        partitions: &[i32],
        members: &[(&'static str, &[usize], &[Part])],
        expect: &[&[Part]],
    ) {
        let topics = (1..).zip(partitions).map(|(id, partitions)| Shape { id, partitions: *partitions }).collect();
        let before: Vec<Parts> = members.iter().map(|(.., before)| before.iter().copied().collect()).collect();
        let mut sets: Vec<Vec<usize>> = members.iter().map(|(_, topics, _)| topics.to_vec()).collect();
        sets.sort();
        sets.dedup();
        let candidate = |(member, before): (&(&'static str, &[usize], &[Part]), _)| {
            let set = sets.iter().position(|set| set == member.1);
            Candidate { id: member.0, instance: member.0.strip_prefix('!'), set, before }
        };
        let members = members.iter().zip(&before).map(candidate).collect();
        let answer = Question { topics, sets: sets.clone(), members }.answer(assignor);
        let expect: Vec<Parts> = expect.iter().map(|parts| parts.iter().copied().collect()).collect();
        assert_eq!(answer, expect);
    }

    #[test]
    fn ranges() {
        use Assignor::Range;
        check(Range, &[5], &[("a", &[0], &[]), ("b", &[0], &[])], &[&[(1, 0), (1, 1), (1, 2)], &[(1, 3), (1, 4)]]);
        // Topics with as many partitions are cut alike.
        check(Range, &[2, 2], &[("a", &[0, 1], &[]), ("b", &[0, 1], &[])], &[&[(1, 0), (2, 0)], &[(1, 1), (2, 1)]]);
        // A member more than partitions; who has a name of its own comes first.
        check(Range, &[1], &[("a", &[0], &[(1, 0)]), ("!z", &[0], &[])], &[&[], &[(1, 0)]]);
        check(Range, &[2], &[("a", &[], &[]), ("b", &[0], &[])], &[&[], &[(1, 0), (1, 1)]]);
        check(Range, &[], &[], &[]);
    }

    #[test]
    fn uniform() {
        use Assignor::Uniform;
        check(Uniform, &[3], &[("a", &[0], &[]), ("b", &[0], &[])], &[&[(1, 0), (1, 2)], &[(1, 1)]]);
        // The new one gets what is too much elsewhere, and the others keep the rest.
        let had: &[Part] = &[(1, 0), (1, 1), (1, 2), (1, 3)];
        check(Uniform, &[4], &[("a", &[0], had), ("b", &[0], &[])], &[&[(1, 0), (1, 1)], &[(1, 2), (1, 3)]]);
        // What is gone is nobody's: a partition, a topic.
        check(Uniform, &[1], &[("a", &[0], &[(1, 0), (1, 1), (9, 0)]), ("b", &[0], &[])], &[&[(1, 0)], &[]]);
        // Who wants more makes up for who wants less.
        check(Uniform, &[2, 2], &[("a", &[0], &[]), ("b", &[0, 1], &[])], &[&[(1, 0), (1, 1)], &[(2, 0), (2, 1)]]);
        check(Uniform, &[2], &[("a", &[], &[(1, 0)]), ("b", &[0], &[])], &[&[], &[(1, 0), (1, 1)]]);
    }

    #[test]
    fn names() {
        assert_eq!(Assignor::named("uniform"), Some(Assignor::Uniform));
        assert_eq!(Assignor::named("range"), Some(Assignor::Range));
        assert_eq!(Assignor::named("Range"), None);
        assert!(Assignor::ALL.is_sorted_by_key(|assignor| assignor.name()));
    }
}
