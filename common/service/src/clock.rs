use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use metrics::{Gauge, gauge};
use rustix::time::{ClockId, clock_gettime};
use stockline_core::domain::{CLOCK_SKEW_MAX_MS, Timestamp};
use stockline_core::ports::Clock;

/// The clock of the machine, as it is. It may be wrong, and it may step.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is the one place that reads it")]
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// The largest step of the machine's clock that is taken without a question, in milliseconds.
pub const CLOCK_STEP_MAX_MS: i64 = CLOCK_SKEW_MAX_MS;

/// The longest time without a command after which a start takes the machine's clock without a question, in milliseconds;
/// 40 days. A shop may close for weeks.
pub const CLOSED_MAX_MS: i64 = 40 * 86_400_000;

/// How long after the machine's boot its clock may still be set to the right time, in milliseconds; 10 minutes. A machine
/// without a battery starts with the time of its last shutdown.
const SETTLING_MS: i64 = 10 * 60_000;

/// What ends the doubt about the clock of a deployed task.
pub const CLOCK_REMEDY: &str =
    "set the machine's clock right, or replace this task: a new one takes its clock as it is";

/// The seconds by which the machine's clock differs from the time that goes on; 0 if it is not held.
pub const CLOCK_HELD: &str = "stockline_clock_held_seconds";

/// Two readings that lie further apart than this were interrupted, in milliseconds.
const READING_MAX_MS: i64 = 1_000;

/// How often an interrupted reading is repeated.
const READINGS_MAX: u32 = 3;

/// The two clocks of a machine: the time of day, which people and programs set, and the time since boot, which goes on
/// while the machine sleeps and never steps.
pub trait MachineTime: Send + Sync + std::fmt::Debug {
    /// Returns the time of day.
    fn wall(&self) -> Timestamp;

    /// Returns the milliseconds since boot.
    fn since_boot_ms(&self) -> i64;
}

/// The clocks of this machine.
#[derive(Debug, Clone, Copy, Default)]
struct ThisMachine;

impl MachineTime for ThisMachine {
    fn wall(&self) -> Timestamp {
        SystemClock.now()
    }

    fn since_boot_ms(&self) -> i64 {
        #[cfg(target_os = "linux")]
        const STEADY: ClockId = ClockId::Boottime;
        #[cfg(not(target_os = "linux"))]
        const STEADY: ClockId = ClockId::Monotonic;
        let time = clock_gettime(STEADY);
        time.tv_sec.saturating_mul(1_000).saturating_add(time.tv_nsec / 1_000_000)
    }
}

/// The clock of a server. It follows the machine's clock, but holds its steps (design.md §4, honest time).
///
/// - The time never goes back, unless an operator confirms that it must.
/// - If the machine's clock steps by more than [`CLOCK_STEP_MAX_MS`], forth or back, the time goes on as if it had not.
///   The step is logged and measured, and [`Clock::doubt`] says why the process is not ready. It ends when the machine's
///   clock comes back, or with [`GuardedClock::confirm`].
/// - At the start the last stored time takes the place of the time before the step, and any later time that a closed
///   shop explains is right. So is such a step soon after the machine's boot.
#[derive(Debug)]
pub struct GuardedClock {
    machine: Box<dyn MachineTime>,
    /// What an operator can do, for [`Clock::doubt`].
    remedy: &'static str,
    state: Mutex<State>,
    held: Gauge,
}

#[derive(Debug)]
struct State {
    /// The accepted difference between the time of day and the time since boot, in milliseconds.
    offset_ms: i64,
    /// The last time that was returned.
    last: Timestamp,
    /// The latest time that a closed shop explains; `None` once nobody may set the clock any more.
    explained_until: Option<Timestamp>,
    /// The time of day minus the time that goes on, in milliseconds, while a step is held.
    held_ms: Option<i64>,
}

impl GuardedClock {
    /// Makes a clock on this machine's clocks. `last_stored` is the last time that this installation has stored.
    pub fn new(last_stored: Option<Timestamp>, remedy: &'static str) -> Self {
        Self::on(Box::new(ThisMachine), last_stored, remedy)
    }

    /// Makes a clock on these clocks.
    pub fn on(machine: Box<dyn MachineTime>, last_stored: Option<Timestamp>, remedy: &'static str) -> Self {
        let held = gauge!(CLOCK_HELD);
        held.set(0.0);
        let (wall, since_boot_ms) = read(&*machine);
        let follows = |last: Timestamp| (-CLOCK_STEP_MAX_MS..=CLOSED_MAX_MS).contains(&wall.millis_since(last));
        let begin = last_stored.filter(|last| !follows(*last)).unwrap_or(wall);
        let last = last_stored.map_or(begin, |last| last.max(begin));
        let explained_until = last_stored.map(|last| last.plus_millis(CLOSED_MAX_MS));
        let offset_ms = begin.as_millis() - since_boot_ms;
        let state = Mutex::new(State { offset_ms, last, explained_until, held_ms: None });
        let clock = Self { machine, remedy, state, held };
        clock.now();
        clock
    }

    /// Takes the machine's clock as it is, even if the time goes back. Returns the step that it takes, in milliseconds.
    pub fn confirm(&self) -> i64 {
        let mut state = self.state();
        let (wall, since_boot_ms) = read(&*self.machine);
        let step_ms = wall.millis_since(state.last);
        let offset_ms = wall.as_millis() - since_boot_ms;
        *state = State { offset_ms, last: wall, explained_until: None, held_ms: None };
        self.held.set(0.0);
        tracing::warn!(time = %wall, step_s = step_ms / 1_000, "the machine's clock is taken as it is: an operator confirmed it");
        step_ms
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No thread can leave the state half changed when it panics.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows the machine's clock, or holds its step.
    fn follow(&self, state: &mut State) {
        let (wall, since_boot_ms) = read(&*self.machine);
        let offset_ms = wall.as_millis() - since_boot_ms;
        let step_ms = offset_ms - state.offset_ms;
        let was_held = state.held_ms.is_some();
        state.explained_until = state.explained_until.filter(|_| since_boot_ms < SETTLING_MS);
        let is_explained = step_ms > 0 && state.explained_until.is_some_and(|until| wall <= until);
        if step_ms.abs() <= CLOCK_STEP_MAX_MS || is_explained {
            state.offset_ms = offset_ms;
            state.held_ms = None;
        } else {
            state.held_ms = Some(step_ms);
        }
        state.last = state.last.max(Timestamp::from_millis(since_boot_ms + state.offset_ms));
        if was_held != state.held_ms.is_some() {
            self.held.set(state.held_ms.unwrap_or(0) as f64 / 1_000.0);
            match self.doubt_of(state) {
                Some(doubt) => tracing::warn!("{doubt}"),
                None => tracing::info!(time = %state.last, "the machine's clock is right again"),
            }
        }
    }

    fn doubt_of(&self, state: &State) -> Option<String> {
        let held_ms = state.held_ms?;
        let (wall, direction) = (state.last.plus_millis(held_ms), if held_ms > 0 { "ahead of" } else { "behind" });
        Some(format!(
            "the machine's clock shows {wall}, which is {} s {direction} the time that Stockline knows; it goes on from \
             {}: {}",
            held_ms.abs() / 1_000,
            state.last,
            self.remedy
        ))
    }
}

impl Clock for GuardedClock {
    fn now(&self) -> Timestamp {
        let mut state = self.state();
        self.follow(&mut state);
        state.last
    }

    fn doubt(&self) -> Option<String> {
        let mut state = self.state();
        self.follow(&mut state);
        self.doubt_of(&state)
    }
}

/// Reads both clocks at nearly the same moment.
fn read(machine: &dyn MachineTime) -> (Timestamp, i64) {
    let mut readings = 1;
    loop {
        let before_ms = machine.since_boot_ms();
        let wall = machine.wall();
        let after_ms = machine.since_boot_ms();
        if after_ms - before_ms <= READING_MAX_MS || readings == READINGS_MAX {
            return (wall, after_ms);
        }
        readings += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    const T0: i64 = 1_769_846_400_000;
    const MINUTE: i64 = 60_000;
    const YEAR: i64 = 365 * 86_400_000;

    /// Clocks that move when they are told to.
    #[derive(Debug, Clone, Default)]
    struct Hands {
        wall: Arc<AtomicI64>,
        boot: Arc<AtomicI64>,
    }

    impl MachineTime for Hands {
        fn wall(&self) -> Timestamp {
            Timestamp::from_millis(T0 + self.wall.load(Ordering::SeqCst))
        }

        fn since_boot_ms(&self) -> i64 {
            self.boot.load(Ordering::SeqCst)
        }
    }

    impl Hands {
        fn pass(&self, ms: i64) {
            self.wall.fetch_add(ms, Ordering::SeqCst);
            self.boot.fetch_add(ms, Ordering::SeqCst);
        }

        fn step(&self, ms: i64) {
            self.wall.fetch_add(ms, Ordering::SeqCst);
        }

        fn clock(&self, last_stored: Option<i64>) -> GuardedClock {
            let last_stored = last_stored.map(|ms| Timestamp::from_millis(T0 + ms));
            GuardedClock::on(Box::new(self.clone()), last_stored, "do something")
        }
    }

    fn shows(clock: &GuardedClock, ms: i64) {
        assert_eq!(clock.now(), Timestamp::from_millis(T0 + ms));
    }

    #[test]
    fn a_clock_that_runs_right_is_followed() {
        let hands = Hands::default();
        let clock = hands.clock(None);
        for minute in 1..=600 {
            hands.pass(MINUTE);
            shows(&clock, minute * MINUTE);
        }
        assert_eq!(clock.doubt(), None);
    }

    #[test]
    fn small_steps_are_taken_and_time_never_goes_back() {
        let hands = Hands::default();
        let clock = hands.clock(None);
        hands.step(5 * MINUTE);
        shows(&clock, 5 * MINUTE);
        hands.step(-4 * MINUTE);
        shows(&clock, 5 * MINUTE);
        hands.pass(3 * MINUTE);
        shows(&clock, 5 * MINUTE);
        hands.pass(2 * MINUTE);
        shows(&clock, 6 * MINUTE);
        assert_eq!(clock.doubt(), None);
    }

    #[test]
    fn a_great_step_is_held_until_the_clock_is_right_again() {
        for step in [5 * MINUTE + 1, YEAR, -5 * MINUTE - 1, -YEAR] {
            let hands = Hands::default();
            let clock = hands.clock(None);
            hands.step(step);
            shows(&clock, 0);
            hands.pass(MINUTE);
            shows(&clock, MINUTE);
            let doubt = clock.doubt().unwrap();
            let side = if step > 0 { "ahead of" } else { "behind" };
            assert!(doubt.contains(side) && doubt.ends_with("do something"), "{doubt}");
            hands.step(-step);
            assert_eq!(clock.doubt(), None, "{step}");
            shows(&clock, MINUTE);
        }
    }

    #[test]
    fn an_operator_confirms_a_step_forth_and_back() {
        for step in [YEAR, -YEAR] {
            let hands = Hands::default();
            let clock = hands.clock(None);
            hands.step(step);
            assert!(clock.doubt().is_some());
            assert_eq!(clock.confirm(), step);
            assert_eq!(clock.doubt(), None);
            shows(&clock, step);
            hands.pass(MINUTE);
            shows(&clock, step + MINUTE);
        }
    }

    #[test]
    fn a_start_goes_on_from_the_last_stored_time() {
        let hands = Hands::default();
        let clock = hands.clock(Some(4 * MINUTE));
        shows(&clock, 4 * MINUTE);
        assert_eq!(clock.doubt(), None, "a little behind");
        for last in [60 * MINUTE, YEAR] {
            let clock = hands.clock(Some(last));
            shows(&clock, last);
            assert!(clock.doubt().unwrap().contains("behind"), "far behind");
        }
        for last in [-40 * 86_400_000, -MINUTE] {
            let clock = hands.clock(Some(last));
            shows(&clock, 0);
            assert_eq!(clock.doubt(), None, "a shop was closed");
        }
        let clock = hands.clock(Some(-YEAR));
        shows(&clock, -YEAR);
        assert!(clock.doubt().unwrap().contains("ahead of"));
        clock.confirm();
        shows(&clock, 0);
    }

    #[test]
    fn a_machine_without_a_battery_gets_the_right_time_soon_after_its_boot() {
        const DAY: i64 = 86_400_000;
        let hands = Hands::default();
        let clock = hands.clock(Some(-MINUTE));
        hands.step(3 * DAY);
        shows(&clock, 3 * DAY);
        assert_eq!(clock.doubt(), None);
        hands.step(YEAR);
        assert!(clock.doubt().is_some(), "no shop is closed for so long");
        hands.step(-YEAR);
        hands.pass(10 * MINUTE);
        shows(&clock, 3 * DAY + 10 * MINUTE);
        hands.step(DAY);
        assert!(clock.doubt().is_some(), "this long after the boot");
        let new = hands.clock(None);
        hands.step(DAY);
        assert!(new.doubt().is_some(), "nothing stored, nothing known");
    }

    #[test]
    fn this_machines_clocks_agree() {
        let clock = GuardedClock::new(None, "do something");
        assert!(clock.now().millis_since(SystemClock.now()).abs() < MINUTE);
        assert_eq!(clock.doubt(), None);
    }
}
