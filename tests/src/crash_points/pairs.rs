//! Two faults: deaths one after the other, and whatever comes while an error is being got over.

use std::collections::BTreeSet;

use futures_util::StreamExt as _;

use super::script::{STOCK, Script, TROUBLE};
use super::worker::{Place, Queue, Stage};
use super::{AT_ONCE, Table, WITHIN};
use crate::faulty::{Call, Kind, Plan, in_real_time};

impl Stage<'_> {
    /// Two workers die one after the other, the second at each of its calls; how many those were. What a dead process
    /// knew is gone, so it dies after calls only: before the next one is the same. Of the calls each `every`th counts.
    async fn deaths(&self, first: usize, every: usize) -> usize {
        for (played, second) in (1 + first % every..).step_by(every).enumerate() {
            let world = self.world(&format!("died-{first}-{second}")).await;
            for n in [first, second] {
                let plan = Plan::with(self.place.points(), &[(n, Kind::DieAfter)]);
                let worker = world.start(&plan, WITHIN);
                world.disturbed(&plan).await;
                let met = plan.met();
                world.killed(worker).await;
                if met == 0 {
                    world.check(&self.expected, "in the end").await;
                    return played;
                }
            }
            world.finish().await;
            world.check(&self.expected, "in the end").await;
        }
        unreachable!("every worker comes to its end")
    }

    /// One worker meets an error, and something else at a call soon after: while it gives back, probes, tries.
    async fn after_an_error(&self, first: (usize, Kind), second: (usize, Kind)) -> Vec<Call> {
        let world = self.world(&format!("{first:?}-{second:?}").replace([' ', ',', '(', ')'], "_")).await;
        let plan = Plan::with(self.place.points(), &[first, second]);
        let worker = world.start(&plan, WITHIN);
        world.disturbed(&plan).await;
        world.disturbed(&plan).await;
        if second.1.is_death() {
            world.killed(worker).await;
            world.finish().await;
        } else {
            world.drained().await;
            worker.stop().await;
        }
        world.check(&self.expected, "in the end").await;
        plan.calls()
    }
}

/// The points of a run that come first of their edge; one for each edge of each API.
fn firsts(calls: &[Call]) -> BTreeSet<usize> {
    let mut seen = BTreeSet::new();
    let first = |(index, call): (usize, &Call)| {
        let new = call.edges.iter().filter(|edge| seen.insert((call.point.api(), **edge))).count();
        (new > 0).then_some(index + 1)
    };
    calls.iter().enumerate().filter_map(first).collect()
}

/// One worker dies after a call that is the first of its sort, the next after each of its own (each `every`th of them,
/// beginning elsewhere each time), a third finishes.
pub async fn two_deaths_one_after_the_other_take_every_effect_once(place: Place, script: &Script, every: usize) {
    let stage = &Stage::new(&place, script, Queue::Memory).await;
    let firsts = firsts(&stage.calls);
    let played = firsts.iter().map(async |first| stage.deaths(*first, every).await);
    let played: Vec<_> = futures_util::stream::iter(played).buffer_unordered(AT_ONCE).collect().await;
    let (pairs, calls) = (played.iter().sum::<usize>(), stage.calls.len());
    println!("worker, {}: {pairs} pairs of deaths, the first at one of {} calls", script.name, firsts.len());
    // After the first receive everything is left, and so much at least is called for it.
    let most = played.iter().max().copied().unwrap_or(0);
    let all = (pairs + firsts.len()) * every;
    assert!((most + 1) * every > calls && all > firsts.len() * calls / 3, "{played:?} of {calls}");
    in_real_time(place.shop.audit()).await;
}

/// How many calls after an error are disturbed.
const SOON: usize = 6;

/// An error or a lost answer, and a second fault at each of the calls that follow from it: the give-back, the probes of
/// an outage, the trial after it, the work done again. Of these calls each `every`th counts.
pub async fn a_second_fault_soon_after_an_error_takes_every_effect_once(place: Place, every: usize) {
    let mut table = Table::new("worker, after an error");
    let seconds = [Kind::LoseAnswer, Kind::DieAfter];
    for script in [&STOCK, &TROUBLE] {
        let stage = &Stage::new(&place, script, Queue::Memory).await;
        let errors = firsts(&stage.calls).into_iter().flat_map(|n| [(n, Kind::Fail), (n, Kind::LoseAnswer)]);
        let cases = errors
            .flat_map(|first| (1 + first.0 % every..=SOON).step_by(every).map(move |later| (first, first.0 + later)))
            .flat_map(|(first, second)| seconds.map(|kind| (first, (second, kind))));
        let played = cases.map(async |(first, second)| (stage.after_an_error(first, second).await, second));
        let played: Vec<_> = futures_util::stream::iter(played).buffer_unordered(AT_ONCE).collect().await;
        // After the last call there may be no other.
        let met = played.iter().filter_map(|(calls, (n, kind))| Some((calls.get(n - 1)?, *kind)));
        met.for_each(|(call, kind)| table.add(call, kind));
    }
    in_real_time(place.shop.audit()).await;
    table.print();
    let all = ["load", "commit", "ack", "receive", "commit what is decided", "publish again", "give back"];
    for edge in if every == 1 { &all[..] } else { &all[..3] } {
        let counts = seconds.map(|kind| table.count(edge, kind));
        assert!(counts.iter().all(|count| *count > 0), "{edge:?} is played {counts:?} times");
    }
}
