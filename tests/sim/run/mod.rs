//! A run of one scenario: application threads, senders, network and faults, all on one thread and one step at a time.
//! The scenario's seed determines the order of the steps.

mod application;
mod checked;
mod news;
mod stage;
mod timeline;
mod transactions;
mod user_code;

use std::cell::Cell;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use kafka_producer::internals::simulation::{
    Parking, SenderStep, SimSender, build, close, flush, send,
};
use kafka_producer::{KafkaProducer, ProducerBuilder, ProducerConfig, ProducerRecord};

use self::application::{ThreadOf, drop_producer};
use self::stage::{Held, Kept, Producer, Stage, contents_of_value, outcome, returned, value_of};
use self::timeline::Timeline;
use self::transactions::{Application, Last};
use self::user_code::{LOGGER, Listener, Piece, Reporter, WithListener};
use crate::checker::{Glance, MetricsGlance, Moment, ProducerGlance};
use crate::events::{Call, CallId, Event, EventKind, ProducerIndex, Returned, Who};
use crate::scenario::{self, Begins, Scenario};
use crate::surroundings::{login, tokens, world_of};

pub(crate) use self::checked::checked;

/// Receiver of a run's events and snapshots.
pub(crate) trait Observer {
    fn see(&mut self, event: &Event);

    /// Called with a snapshot of the producers, at intervals and at the end.
    fn glance(&mut self, glance: &Glance);
}

/// Limit on the number of steps of a run, higher than any scenario needs.
const STEPS: u64 = 3_000_000;
/// Time that the application threads have after the healing, before producers are closed.
const LIVENESS: Duration = Duration::from_secs(60);
/// Time-out of the final flush and of the final close.
const LAST: Duration = Duration::from_secs(20);
/// Limit on repeated final flushes, if user code keeps sending.
const FLUSHES: u32 = 5;
/// Time that a producer without work gets before its snapshot is taken.
const REST: Duration = Duration::from_secs(1);
/// Interval of snapshots while time passes.
const GLANCE_EVERY: Duration = Duration::from_millis(250);

/// Runs a scenario to its end. Returns the simulated time that it took.
pub(crate) fn run(scenario: &Scenario, observer: &mut dyn Observer) -> Duration {
    user_code::install_logger();
    user_code::suppress_intended_panics();
    let mut random = fastrand::Rng::with_seed(scenario.seed);
    let world = world_of(scenario);
    let logger = Piece::new(LOGGER, 0, &scenario.logger);
    let log_level = if scenario.logs_all {
        log::Level::Trace
    } else {
        log::Level::Info
    };
    let stage = Stage::new(world, random.u64(..), logger, log_level);
    let _on_stage = stage.enter();
    let mut run = Run::new(scenario, &stage, random, observer);
    run.play();
    stage.now()
}

/// A task: an application thread, or a final task of the run itself.
struct Task {
    who: Who,
    future: Option<Pin<Box<dyn Future<Output = ()>>>>,
    parking: Rc<Parking>,
    /// The call in progress.
    call: Rc<Cell<Option<CallId>>>,
    /// Relative frequency with which this task is chosen for the next step.
    weight: u32,
    /// The value of `happened` when the task last made no progress. The task is not polled while `happened` still has
    /// this value.
    is_stale_since: u64,
}

struct SenderOf {
    sender: Option<SimSender>,
    weight: u32,
}

/// The next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Network,
    Faults,
    Sender(usize),
    Task(usize),
}

struct Run<'r> {
    scenario: &'r Scenario,
    stage: Rc<Stage>,
    random: fastrand::Rng,
    observer: &'r mut dyn Observer,
    tasks: Vec<Task>,
    senders: Vec<SenderOf>,
    faults: Timeline,
    is_healed: bool,
    is_closing: bool,
    /// Incremented whenever anything has happened.
    happened: u64,
    steps: u64,
    glanced_at: Duration,
    /// For each producer: `None` once it is built, `MAX` while the time of its start is not known, otherwise this time.
    pending_builds: Vec<Option<Duration>>,
    events: Vec<Event>,
    turns: Vec<(Turn, u32)>,
}

impl<'r> Run<'r> {
    fn new(
        scenario: &'r Scenario,
        stage: &Rc<Stage>,
        random: fastrand::Rng,
        observer: &'r mut dyn Observer,
    ) -> Self {
        Self {
            scenario,
            stage: Rc::clone(stage),
            random,
            observer,
            tasks: Vec::new(),
            senders: Vec::new(),
            faults: Timeline::new(scenario),
            is_healed: false,
            is_closing: false,
            happened: 1,
            steps: 0,
            glanced_at: Duration::ZERO,
            pending_builds: Vec::new(),
            events: Vec::new(),
            turns: Vec::new(),
        }
    }

    fn play(&mut self) {
        self.add_producer_slots();
        for index in 0..self.scenario.producers.len() {
            if self.scenario.producers[index].begins == Begins::First {
                self.build(index);
            }
        }
        self.deliver_events();
        while self.step() {
            self.crash_due_applications();
            self.build_due_producers();
            self.deliver_events();
            self.glance_at_closed_producers();
            let are_idle = self.is_closing && self.stage.idle.get() == self.senders.len();
            if are_idle && !self.stage.may_close.replace(true) {
                self.happened += 1;
                // User code may send at any time, such as when metadata arrives or a line is logged. So producers count
                // as idle only if the last record was offered at least `REST` ago.
                let rests = self.stage.is_at_rest.get() && self.stage.since_last_record() >= REST;
                self.glance(if rests { Moment::Idle } else { Moment::Passing });
            }
            if self.steps > STEPS {
                self.stuck("it takes more steps than any scenario needs");
                break;
            }
        }
        self.report_futures();
        self.drop_parts();
        self.deliver_events();
        self.glance(Moment::End);
    }

    /// Reports the outcomes of the records whose futures the application still holds.
    fn report_futures(&self) {
        self.stage.set_source(Who::World);
        let kept: Vec<_> = {
            let mut producers = self.stage.producers.borrow_mut();
            producers
                .iter_mut()
                .flat_map(|held| &mut held.futures)
                .flat_map(std::mem::take)
                .collect()
        };
        for Kept { record, future, .. } in kept {
            if future.is_done() {
                let result = future.get();
                self.stage.emit(EventKind::FutureReported {
                    record,
                    outcome: outcome(result.as_ref()),
                });
            }
        }
    }

    /// Leaks tasks and producers if a task or a sender has not ended, since dropping a producer would wait for its
    /// sender. Otherwise they are dropped together with the run.
    fn drop_parts(&mut self) {
        let unfinished = self.tasks.iter().any(|task| task.future.is_some());
        let running = self
            .senders
            .iter()
            .any(|it| it.sender.as_ref().is_some_and(|it| !it.has_ended()));
        if unfinished || running {
            for task in &mut self.tasks {
                std::mem::forget(task.future.take());
            }
            for held in self.stage.producers.borrow_mut().iter_mut() {
                std::mem::forget(held.producer.take());
                std::mem::forget(std::mem::take(&mut held.futures));
            }
        }
    }

    fn stuck(&self, why: &str) {
        let tasks = self.tasks.iter().filter(|task| task.future.is_some());
        let waiting: Vec<String> = tasks
            .map(|task| {
                format!(
                    "{:?} waits for {}",
                    task.who,
                    task.parking.waits_for().unwrap_or("its turn")
                )
            })
            .collect();
        let why = format!("{why}; {}", waiting.join(", "));
        self.stage.emit_from(Who::World, EventKind::Stuck { why });
    }

    // Building.

    /// Adds an empty entry for each producer, whether it is built now or later.
    fn add_producer_slots(&mut self) {
        for plan in &self.scenario.producers {
            let threads = plan.threads.len();
            let is_transactional = plan.config.contains_key("transactional.id");
            self.stage.producers.borrow_mut().push(Held {
                producer: None,
                handles: threads,
                futures: (0..threads.max(1)).map(|_| VecDeque::default()).collect(),
                application: Application::new(is_transactional, plan.crashes),
            });
            let weight = self.weight();
            self.senders.push(SenderOf {
                sender: None,
                weight,
            });
            let pending_builds = plan.begins != Begins::First;
            self.pending_builds
                .push(pending_builds.then_some(Duration::MAX));
        }
    }

    /// Builds the producers whose start time has come.
    fn build_due_producers(&mut self) {
        if self.is_closing {
            return;
        }
        let now = self.stage.now();
        for index in 0..self.pending_builds.len() {
            let Some(known) = self.pending_builds[index] else {
                continue;
            };
            let at = match self.scenario.producers[index].begins {
                Begins::First => continue,
                Begins::AtMs(ms) => Duration::from_millis(ms),
                _ if known != Duration::MAX => known,
                Begins::After { producer, ms } => {
                    let is_over = self.scenario.producers.get(producer).is_some()
                        && self.stage.application(producer, |it| it.is_over);
                    if !is_over {
                        continue;
                    }
                    now + Duration::from_millis(ms)
                }
            };
            self.pending_builds[index] = Some(at);
            if at <= now {
                self.pending_builds[index] = None;
                self.happened += 1;
                self.build(index);
            }
        }
    }

    /// Crashes the applications whose crash is due.
    fn crash_due_applications(&mut self) {
        for index in 0..self.senders.len() {
            let crashes = self.stage.application(index, |it| match it.crashes_in {
                Some(0) => {
                    it.crashes_in = None;
                    true
                }
                Some(steps) => {
                    it.crashes_in = Some(steps - 1);
                    false
                }
                None => false,
            });
            if crashes && !self.is_closing {
                self.crash(index);
            }
        }
    }

    /// Crashes an application between two steps: its threads, sender and connections are dropped. Events that the drops
    /// cause are discarded.
    fn crash(&mut self, index: ProducerIndex) {
        self.deliver_events();
        let stage = self.stage.application(index, |it| {
            it.is_over = true;
            it.at
        });
        self.stage.emit_from(
            Who::World,
            EventKind::Crashed {
                producer: index,
                stage,
            },
        );
        self.stage.is_muted.set(true);
        let of_it = |task: &&mut Task| matches!(task.who, Who::Thread { producer, .. } if producer == index);
        for task in self.tasks.iter_mut().filter(of_it) {
            task.future = None;
        }
        // The sender is dropped first: dropping the last handle would wait for it.
        self.senders[index].sender = None;
        let (producer, futures) = {
            let mut producers = self.stage.producers.borrow_mut();
            let held = &mut producers[index];
            held.handles = 0;
            (held.producer.take(), std::mem::take(&mut held.futures))
        };
        drop(futures);
        drop(producer);
        self.stage.is_muted.set(false);
        self.happened += 1;
    }

    fn build(&mut self, index: ProducerIndex) {
        let plan = &self.scenario.producers[index];
        self.stage.set_source(Who::Thread {
            producer: index,
            thread: 0,
        });
        let call = self.stage.new_call();
        self.stage.emit(EventKind::CallBegins {
            call,
            operation: Call::Build,
        });
        let built = self.builder(index).and_then(|builder| {
            let seed = self.random.u64(..);
            build(builder, &self.stage.world, seed).map_err(Into::into)
        });
        let (producer, sender, returned) = match built {
            Ok((producer, sender)) => (Some(Arc::new(producer)), Some(sender), Returned::Ok),
            Err(error) => {
                let error: kafka_producer::Error = error;
                let returned = Returned::Error {
                    kind: format!("{error:?}"),
                    text: error.to_string(),
                };
                (None, None, returned)
            }
        };
        self.stage.emit(EventKind::CallEnds { call, returned });
        let is_built = producer.is_some();
        self.stage.producers.borrow_mut()[index].producer = producer;
        self.senders[index].sender = sender;
        if !is_built {
            self.stage.application(index, |it| it.is_over = true);
        }
        if is_built {
            for (thread, plan) in plan.threads.iter().enumerate() {
                self.start_thread(index, thread, plan);
            }
        }
    }

    /// A random weight, so that tasks differ in speed: some interleavings are rare if all are equally fast.
    fn weight(&mut self) -> u32 {
        1 << self.random.u32(..6)
    }

    fn builder(
        &self,
        index: ProducerIndex,
    ) -> Result<ProducerBuilder<[u8], [u8]>, kafka_producer::Error> {
        let plan = &self.scenario.producers[index];
        let mut config = ProducerConfig::builder()
            .bootstrap_servers([self.stage.world.bootstrap_servers()])
            .client_id(format!("p{index}"));
        config = login(config, &self.scenario.brokers);
        for (key, value) in &plan.config {
            config = config.set(key, value);
        }
        let mut builder = KafkaProducer::<[u8], [u8]>::builder(config.build()?).stock_serializers();
        if let Some(tokens) = tokens(&self.scenario.brokers) {
            builder = builder.token_provider(tokens);
        }
        let piece = |name, behaviour| Piece::new(name, index, behaviour);
        let plugins = &plan.plugins;
        if let Some(behaviour) = &plugins.key_serializer {
            builder = builder.key_serializer(piece("key serializer", behaviour));
        }
        if let Some(behaviour) = &plugins.value_serializer {
            builder = builder.value_serializer(piece("value serializer", behaviour));
        }
        if let Some(behaviour) = &plugins.partitioner {
            builder = builder.partitioner(piece("partitioner", behaviour));
        }
        if let Some(behaviour) = &plugins.interceptor {
            builder = builder.interceptor(piece("interceptor", behaviour));
        }
        if let Some(behaviour) = &plugins.cluster_listener {
            let listener = Listener(piece("cluster listener", behaviour));
            builder = builder.interceptor(WithListener(Arc::new(listener)));
        }
        if let Some(behaviour) = &plugins.metrics_reporter {
            builder = builder.metrics_reporter(Reporter(piece("metrics reporter", behaviour)));
        }
        Ok(builder)
    }

    fn start_thread(&mut self, producer: ProducerIndex, thread: usize, plan: &scenario::Thread) {
        let parking = self.parking();
        let body = ThreadOf {
            stage: Rc::clone(&self.stage),
            parking: Rc::clone(&parking),
            producer,
            thread,
            has_handle: Cell::new(true),
            call: Rc::default(),
        };
        let call = Rc::clone(&body.call);
        self.start(
            Who::Thread { producer, thread },
            parking,
            call,
            body.run(plan.clone()),
        );
    }

    fn parking(&self) -> Rc<Parking> {
        let (stage, longest) = (Rc::downgrade(&self.stage), self.scenario.packing_us);
        let takes = move || {
            let stage = stage.upgrade().filter(|_| longest > 0);
            let micros = stage.map(|stage| {
                stage.random(|random| {
                    if random.bool() {
                        random.u64(..=longest)
                    } else {
                        0
                    }
                })
            });
            Duration::from_micros(micros.unwrap_or(0))
        };
        Rc::new(Parking::new(&self.stage.world).with_packing(takes))
    }

    fn start(
        &mut self,
        who: Who,
        parking: Rc<Parking>,
        call: Rc<Cell<Option<CallId>>>,
        body: impl Future<Output = ()> + 'static,
    ) {
        let weight = self.weight();
        let future: Pin<Box<dyn Future<Output = ()>>> = Box::pin(body);
        let is_stale_since = 0;
        self.tasks.push(Task {
            who,
            future: Some(future),
            parking,
            call,
            weight,
            is_stale_since,
        });
    }

    // Steps.

    /// Takes one step, or advances the clock. Returns false when nothing is left to do.
    fn step(&mut self) -> bool {
        self.steps += 1;
        match self.next_turn() {
            Some(turn) => {
                self.take(turn);
                true
            }
            None => self.pass_time(),
        }
    }

    fn next_turn(&mut self) -> Option<Turn> {
        let now = self.stage.now();
        self.turns.clear();
        if self.stage.world.next_event().is_some_and(|at| at <= now) {
            self.turns.push((Turn::Network, 16));
        }
        if self.faults.next().is_some_and(|at| at <= now) {
            self.turns.push((Turn::Faults, 16));
        }
        for (index, it) in self.senders.iter().enumerate() {
            if it.sender.as_ref().is_some_and(SimSender::is_due) {
                self.turns.push((Turn::Sender(index), it.weight));
            }
        }
        for (index, task) in self.tasks.iter().enumerate() {
            let may_go_on = task.is_stale_since != self.happened || task.parking.is_over();
            if task.future.is_some() && may_go_on {
                self.turns.push((Turn::Task(index), task.weight));
            }
        }
        let all = self.turns.iter().map(|(_, weight)| weight).sum::<u32>();
        if all == 0 {
            return None;
        }
        let mut drawn = self.random.u32(..all);
        for (turn, weight) in &self.turns {
            match drawn.checked_sub(*weight) {
                Some(rest) => drawn = rest,
                None => return Some(*turn),
            }
        }
        None
    }

    fn take(&mut self, turn: Turn) {
        match turn {
            Turn::Network => {
                self.stage.set_source(Who::World);
                self.stage.world.do_what_is_due();
                self.happened += 1;
            }
            Turn::Faults => self.do_faults(),
            Turn::Sender(index) => self.step_sender(index),
            Turn::Task(index) => self.poll(index),
        }
    }

    fn step_sender(&mut self, index: usize) {
        self.stage.set_source(Who::Sender(index));
        self.happened += 1;
        let before = self.stage.progress_of(index);
        let Some(sender) = &mut self.senders[index].sender else {
            return;
        };
        let step = sender.step();
        let until = sender.waits_until();
        match step {
            SenderStep::Ended => self.stage.emit(EventKind::SenderEnded),
            SenderStep::Waits => self
                .stage
                .emit(EventKind::SenderStep { waits: true, until }),
            SenderStep::Done => self.stage.emit(EventKind::SenderStep {
                waits: false,
                until: None,
            }),
            _ => {}
        }
        if self.stage.progress_of(index) != before {
            self.deliver_events();
            self.glance(Moment::Passing);
        }
    }

    fn poll(&mut self, index: usize) {
        let task = &mut self.tasks[index];
        self.stage.set_source(task.who);
        let Some(future) = &mut task.future else {
            return;
        };
        let before = task.parking.moves();
        let is_over = future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_ready();
        if is_over {
            task.future = None;
        }
        if is_over || task.parking.moves() != before {
            self.happened += 1;
            if let (Some(call), Some(_)) = (task.call.get(), task.parking.waits_for()) {
                self.stage.emit(EventKind::CallWaits {
                    call,
                    until: task.parking.until(),
                });
            }
        } else {
            task.is_stale_since = self.happened;
        }
    }

    // Time.

    fn pass_time(&mut self) -> bool {
        let now = self.stage.now();
        let senders = self.senders.iter().filter_map(|it| it.sender.as_ref());
        let tasks = self.tasks.iter().filter(|task| task.future.is_some());
        let next = senders
            .filter_map(SimSender::waits_until)
            .chain(tasks.filter_map(|task| task.parking.until()))
            .chain(self.stage.world.next_event())
            .chain(self.next_run_event())
            .min();
        let is_all_done = self.is_closing && self.tasks.iter().all(|task| task.future.is_none());
        let Some(next) = next.filter(|_| !is_all_done) else {
            if !is_all_done {
                self.stuck("nothing will ever happen again");
            }
            return false;
        };
        if next >= self.glanced_at + GLANCE_EVERY {
            self.glanced_at = now;
            self.glance(Moment::Passing);
        }
        self.stage.world.advance_to(next.max(now));
        self.happened += 1;
        self.advance_phase();
        true
    }

    fn heal_at(&self) -> Duration {
        Duration::from_millis(self.scenario.heal_at_ms)
    }

    /// Time of the next fault, start of a producer, or phase change of the run.
    fn next_run_event(&self) -> Option<Duration> {
        let to_come = self.scenario.producers.iter().zip(&self.pending_builds);
        let to_come = to_come.filter_map(|(plan, known)| match (plan.begins, *known) {
            (_, None) => None,
            (Begins::AtMs(ms), Some(_)) => Some(Duration::from_millis(ms)),
            (_, Some(at)) => Some(at).filter(|at| *at != Duration::MAX),
        });
        let to_come: Vec<_> = to_come.filter(|_| !self.is_closing).collect();
        let own = if !self.is_healed {
            Some(self.heal_at())
        } else if !self.is_closing {
            Some(self.heal_at() + LIVENESS)
        } else {
            None
        };
        let faults = self.faults.next().into_iter();
        faults.chain(own).chain(to_come).min()
    }

    fn advance_phase(&mut self) {
        let now = self.stage.now();
        if !self.is_healed && now >= self.heal_at() {
            self.heal();
        }
        // The successor of a producer that has ended may still have to be built.
        let is_one_to_come = self
            .pending_builds
            .iter()
            .any(|at| at.is_some_and(|at| at != Duration::MAX));
        let are_threads_done =
            !is_one_to_come && self.tasks.iter().all(|task| task.future.is_none());
        let is_time = now >= self.heal_at() + LIVENESS || are_threads_done;
        if self.is_healed && !self.is_closing && is_time {
            self.is_closing = true;
            self.stage.is_closing.set(true);
            if !are_threads_done {
                self.stage.is_at_rest.set(false);
            }
            for index in 0..self.senders.len() {
                self.start_last_task(index);
            }
        }
    }

    fn do_faults(&mut self) {
        self.stage.set_source(Who::World);
        self.happened += 1;
        let now = self.stage.now();
        for news in self.faults.turn(now, &self.stage.world) {
            self.stage.emit(news);
        }
    }

    fn heal(&mut self) {
        self.is_healed = true;
        self.stage.set_source(Who::World);
        for news in self.faults.heal(&self.stage.world) {
            self.stage.emit(news);
        }
        for topic in self
            .scenario
            .topics
            .iter()
            .filter(|topic| topic.partitions > 0)
        {
            self.stage.world.grow_topic(&topic.name, topic.partitions);
        }
        self.stage.emit(EventKind::Healed);
    }

    /// Starts the final tasks of a producer: one sends and flushes, one closes.
    fn start_last_task(&mut self, index: ProducerIndex) {
        let stage = Rc::clone(&self.stage);
        let parking = self.parking();
        let task = Rc::clone(&parking);
        let topics: Vec<(String, u16)> = self
            .scenario
            .topics
            .iter()
            .filter(|topic| topic.partitions > 0)
            .map(|topic| (topic.name.clone(), topic.partitions))
            .collect();
        let is_done = Rc::new(Cell::new(false));
        let done = Rc::clone(&is_done);
        let body = async move {
            send_final_records(&stage, &task, index, topics).await;
            done.set(true);
        };
        let who = Who::Thread {
            producer: index,
            thread: usize::MAX,
        };
        self.start(who, parking, Rc::default(), body);
        let stage = Rc::clone(&self.stage);
        let parking = self.parking();
        let task = Rc::clone(&parking);
        let body = async move { end(&stage, &task, index, &is_done).await };
        self.start(who, parking, Rc::default(), body);
    }

    // Observation.

    fn deliver_events(&mut self) {
        let mut events = std::mem::take(&mut self.events);
        news::take(&self.stage.world, &mut events);
        self.stage.take_events(&mut events);
        for event in events.drain(..) {
            self.observer.see(&event);
        }
        self.events = events;
    }

    fn glance(&mut self, moment: Moment) {
        self.glance_at(moment, |_| true);
    }

    fn glance_at(&mut self, moment: Moment, is_shown: impl Fn(ProducerIndex) -> bool) {
        let done = Some(self.stage.newly_done());
        let held = self.stage.producers.borrow();
        let producers = held.iter().zip(&self.senders).enumerate();
        let producers = producers.map(|(index, (held, it))| {
            let producer = held.producer.as_ref().filter(|_| is_shown(index));
            ProducerGlance {
                snapshot: producer.map(|producer| producer.snapshot()),
                metrics: producer
                    .filter(|_| moment == Moment::Idle)
                    .map(|producer| MetricsGlance::of(&producer.metrics())),
                sender_has_ended: it.sender.as_ref().is_none_or(SimSender::has_ended),
                sizes: it.sender.as_ref().map(SimSender::sizes).unwrap_or_default(),
            }
        });
        let producers = producers.collect();
        drop(held);
        let at = self.stage.now();
        self.observer.glance(&Glance {
            at,
            moment,
            producers,
            done,
        });
    }

    /// Takes snapshots of closed producers: a producer must not hold any memory or records when it is dropped.
    fn glance_at_closed_producers(&mut self) {
        let going = std::mem::take(&mut *self.stage.about_to_drop.borrow_mut());
        for index in going {
            let sender = self.senders[index].sender.as_ref();
            if sender.is_none_or(SimSender::has_ended) {
                self.glance_at(Moment::Idle, |shown| shown == index);
            }
        }
    }
}

/// Sends a record to each existing partition and flushes, to show that the producer still works after the healing.
async fn send_final_records(
    stage: &Rc<Stage>,
    parking: &Parking,
    index: ProducerIndex,
    topics: Vec<(String, u16)>,
) {
    let Some(producer) = stage.producer(index) else {
        return;
    };
    let last = Last {
        stage,
        parking,
        index,
        timeout: LAST,
    };
    let is_transactional = stage.application(index, |it| it.is_transactional);
    if is_transactional && !last.begins().await {
        // Requests of a producer that failed may still be waiting for their responses.
        if !last_flush(stage, parking, &producer).await {
            stage.is_at_rest.set(false);
        }
        return;
    }
    last_flush(stage, parking, &producer).await;
    for (topic, partitions) in topics {
        for partition in 0..i32::from(partitions) {
            let record = stage.new_record();
            let value = value_of(record, 12);
            stage.emit(EventKind::RecordOffered {
                record,
                producer: index,
                topic: topic.clone(),
                partition: Some(partition),
                key: None,
                timestamp: None,
                contents: contents_of_value(&value),
                size: value.len(),
                has_callback: false,
                inside: false,
            });
            let call = stage.new_call();
            stage.emit(EventKind::CallBegins {
                call,
                operation: Call::Send(record),
            });
            let sent = ProducerRecord::<[u8], [u8]>::new(topic.as_str(), &value[..])
                .with_partition(partition);
            let sent = send(parking, &producer, sent, None::<fn(Result<&_, &_>)>).await;
            stage.emit(EventKind::CallEnds {
                call,
                returned: returned(&sent),
            });
            match sent {
                Ok(future) => {
                    stage.emit(EventKind::RecordAccepted { record });
                    stage.keep(index, 0, record, future);
                }
                Err(error) => {
                    let (kind, text) = (format!("{error:?}"), error.to_string());
                    stage.emit(EventKind::RecordRefused { record, kind, text });
                }
            }
        }
    }
    if is_transactional {
        last.commits().await;
    }
    // User code may send again from callbacks.
    for _ in 0..FLUSHES {
        let records = stage.record_count();
        if !last_flush(stage, parking, &producer).await {
            break;
        }
        parking.sleep(REST).await;
        if stage.record_count() == records {
            return;
        }
    }
    // Some settings keep a producer from finishing in time, so the producers are not checked as idle.
    stage.is_at_rest.set(false);
}

/// Closes and drops a producer once its final records are done or `LIVENESS` is over. With some settings a call may
/// legally wait longer than `LIVENESS`.
async fn end(stage: &Rc<Stage>, parking: &Parking, index: ProducerIndex, is_done: &Cell<bool>) {
    let mut waited = Duration::ZERO;
    while !is_done.get() && waited < LIVENESS {
        parking.sleep(REST).await;
        waited += REST;
    }
    if !is_done.get() {
        stage.is_at_rest.set(false);
    }
    // During this pause shared state is dropped, and all senders fall asleep.
    parking.sleep(REST).await;
    stage.idle.set(stage.idle.get() + 1);
    let others = Rc::clone(stage);
    parking
        .wait_until("the others", move || others.may_close.get())
        .await;
    let Some(producer) = stage.producer(index) else {
        return;
    };
    let call = stage.new_call();
    stage.emit(EventKind::CallBegins {
        call,
        operation: Call::Close {
            timeout: Some(LAST),
        },
    });
    let closed = close(parking, &producer, Some(LAST)).await;
    stage.emit(EventKind::CallEnds {
        call,
        returned: returned(&closed),
    });
    drop(producer);
    drop_producer(stage, parking, index).await;
}

async fn last_flush(stage: &Rc<Stage>, parking: &Parking, producer: &Producer) -> bool {
    let call = stage.new_call();
    stage.emit(EventKind::CallBegins {
        call,
        operation: Call::Flush {
            timeout: Some(LAST),
        },
    });
    let flushed = flush(parking, producer, Some(LAST)).await;
    stage.emit(EventKind::CallEnds {
        call,
        returned: returned(&flushed),
    });
    flushed.is_ok()
}
