//! The whole producer on one thread, in an order drawn from a seed.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests: they fail by panicking, print what they find, and measure real time"
)]
#![cfg_attr(not(test), allow(dead_code))]

mod draw;
mod events;
mod scenario;
mod faults;
mod run;

#[derive(Default)]
struct Count {
    events: u64,
    stuck: Option<String>,
    acknowledged: u64,
    offered: u64,
    print: bool,
    kinds: std::collections::BTreeMap<String, u64>,
}

impl run::Observer for Count {
    fn see(&mut self, event: &events::Event) {
        self.events += 1;
        if self.print {
            println!("{:?} {:?} {:?}", event.at, event.who, event.what);
        }
        match &event.what {
            events::What::Stuck { why } => self.stuck = Some(why.clone()),
            events::What::RecordOffered { .. } => self.offered += 1,
            events::What::FutureTold { outcome, .. } => match outcome {
                events::Outcome::Acknowledged { .. } => self.acknowledged += 1,
                events::Outcome::Failed(failure) => *self.kinds.entry(failure.kind.clone()).or_default() += 1,
            },
            _ => {}
        }
    }
    fn glance(&mut self, _: &run::Glance) {}
}

#[test]
fn tmp_run() {
    let number = |name: &str| std::env::var(name).ok().and_then(|it| it.parse::<u64>().ok());
    let one = number("SEED");
    let range = one.map_or(0..number("SEEDS").unwrap_or(20), |seed| seed..seed + 1);
    let began = std::time::Instant::now();
    let mut total = Count::default();
    for seed in range.clone() {
        let scenario = draw::scenario(seed);
        let mut count = Count { print: one.is_some(), ..Count::default() };
        let at = std::time::Instant::now();
        let ended = run::run(&scenario, &mut count);
        let took = at.elapsed();
        if took.as_millis() > 100 || count.stuck.is_some() || one.is_some() {
            println!("seed {seed}: {took:?}, {ended:?}, {} events, {} of {} acknowledged; {:?}", count.events, count.acknowledged, count.offered, count.stuck);
        }
        total.events += count.events;
        total.acknowledged += count.acknowledged;
        total.offered += count.offered;
        for (kind, n) in count.kinds { *total.kinds.entry(kind).or_default() += n; }
    }
    println!("{:?} for {:?}: {} events, {} of {}: {:?}", began.elapsed(), range, total.events, total.acknowledged, total.offered, total.kinds);
}
