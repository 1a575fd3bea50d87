//! Plans: what a seed decides before the world begins. Which faults exist, how hard they are, and a numbered list of cues,
//! so that a failing world can be tried again with fewer of them.

use crate::{act::Act, act::Kind, plant::Plant, rng::Rng};
use domain::Monotonic;
use std::{collections::BTreeSet, fmt, time::Duration};

/// The storm lasts so long.
pub(crate) const STORM: Duration = Duration::from_secs(120);

/// What to run.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Decides everything.
    pub seed: u64,
    /// Print each step.
    pub trace: bool,
    /// Hash every word of each step, not only what it is: slower, for the comparison of two runs.
    pub exact: bool,
    /// A bug to plant.
    pub plant: Option<Plant>,
    /// Only these cues, by number; `None`: all.
    pub only: Option<BTreeSet<usize>>,
}

/// When a cue's time has come, it may wait for the next moment of a kind, to strike right behind it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Moment {
    Committed,
    Ordered,
    Heard,
    Exited,
    Stored,
}

/// Something that people do or that goes wrong.
#[derive(Clone, Debug)]
pub struct Cue {
    pub(crate) at: Monotonic,
    pub(crate) after: Option<Moment>,
    pub(crate) act: Act,
    /// Decides the details, so that leaving out another cue doesn't change them.
    pub(crate) dice: u64,
}

impl fmt::Display for Cue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, after, act, dice: _ } = self;
        write!(f, "{:>8.3} s  {act:?}", at.0.as_secs_f64())?;
        after.map_or(Ok(()), |moment| write!(f, ", right after the next moment of: {moment:?}"))
    }
}

/// What of the world isn't an event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mix {
    pub slow_net: bool,
    pub skewed_clocks: bool,
}

/// What a seed decides beforehand.
pub(crate) struct Script {
    pub mix: Mix,
    pub cues: Vec<Cue>,
}

impl Script {
    /// Draws what people do, and the faults: 10 % of the seeds have none, 25 % a single kind, the others a mixture.
    pub fn draw(rng: &mut Rng) -> Self {
        let kinds = Kind::ALL.len() as u64;
        let which: u64 = match rng.below(100) {
            0..10 => 0,
            10..35 => 1 << rng.below(kinds),
            _ => rng.below(1 << kinds) & rng.below(1 << kinds) | 1 << rng.below(kinds),
        };
        let mut cues = Vec::new();
        people(rng, &mut cues);
        let mut mix = Mix { slow_net: false, skewed_clocks: false };
        for (n, kind) in Kind::ALL.iter().enumerate() {
            if which & (1 << n) == 0 {
                continue;
            }
            match kind {
                Kind::SlowNet => mix.slow_net = true,
                Kind::SkewedClocks => mix.skewed_clocks = true,
                Kind::Strikes(most, acts) => {
                    for _ in 0..=rng.below(*most) {
                        let act = *rng.one(acts);
                        cues.push(cue(rng, 500, act));
                    }
                }
            }
        }
        cues.sort_by_key(|cue| cue.at);
        Self { mix, cues }
    }
}

fn cue(rng: &mut Rng, from_ms: u64, act: Act) -> Cue {
    let at = rng.ms(from_ms, 119_000) + Duration::from_nanos(rng.below(1_000_000));
    let moments = [Moment::Committed, Moment::Ordered, Moment::Heard, Moment::Exited, Moment::Stored];
    let after = if act.is_fault() && rng.percent(50) { Some(*rng.one(&moments)) } else { None };
    Cue { at: Monotonic(at), after, act, dice: rng.bits() }
}

/// What people do: mostly submit and cancel.
fn people(rng: &mut Rng, cues: &mut Vec<Cue>) {
    let table = [
        (Act::Submit, 3, 12),
        (Act::Cancel, 0, 12),
        (Act::CancelMany, 0, 2),
        (Act::Retry, 0, 6),
        (Act::SameKey, 0, 5),
        (Act::Pause, 0, 4),
        (Act::Drain, 0, 3),
        (Act::Forget, 0, 2),
    ];
    for (act, least, most) in table {
        for n in 0..least + rng.below(most + 1 - least) {
            let first = act == Act::Submit && n == 0;
            let next = cue(rng, if first { 1 } else { 300 }, act);
            cues.push(if first { Cue { at: Monotonic(Duration::from_millis(5)), ..next } } else { next });
        }
    }
}
