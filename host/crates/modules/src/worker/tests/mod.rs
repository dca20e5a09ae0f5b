//! A worker with scripted instances: the number of an event decides what it does.

mod generations;
mod waiting;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::json;

use super::super::egress::Egress;
use super::super::generation::{CreateError, Generation, Handler, lock};
use super::super::health::{EVENTS, EVENTS_OF_FEW, InitialHealth};
use super::super::quarantine::tests::in_memory;
use super::super::state::Counts;
use super::super::supervisor::RollBack;
use super::*;
use hookhost_contract::{Interest, Method, Request};
use hookhost_delivery as delivery;
use hookhost_delivery::OutboxClosed;
use hookhost_event::Hook;
use hookhost_hooks::{Attachment, Bus, Interests, Overflow, QueueLimits};
use hookhost_testing::events as testing;
use hookhost_wasm::LoadError;

/// The result of handling an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Ignore,
    Answer,
    Fail,
    /// Traps whenever it is in a call.
    Trap,
    /// Takes too long whenever it is in a call.
    Hang,
    /// Traps unless it is alone in its call.
    TrapInCompany,
    /// Takes too long in a call of more than three events.
    Slow,
    /// Returns one outcome too few.
    Swallow,
    /// Returns a request that is refused.
    Elsewhere,
}

const ACTS: [Act; 9] = [
    Act::Ignore,
    Act::Answer,
    Act::Fail,
    Act::Trap,
    Act::Hang,
    Act::TrapInCompany,
    Act::Slow,
    Act::Swallow,
    Act::Elsewhere,
];

/// The script: results by event number, and instances that cannot be made.
#[derive(Default)]
struct Script {
    acts: Vec<Act>,
    /// The number of failed attempts to make an instance before the first success.
    failures: AtomicUsize,
    created: AtomicUsize,
    calls: Mutex<Vec<Vec<u32>>>,
    broken: AtomicBool,
}

struct Scripted(Arc<Script>);

impl Template for Scripted {
    type Handler = ScriptedInstance;

    fn create(&self) -> Result<ScriptedInstance, CreateError> {
        let failures = &self.0.failures;
        let fails = failures
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
            .is_ok();
        if fails || self.0.broken.load(Ordering::Relaxed) {
            return Err(LoadError::NoRoom("script".into()).into());
        }
        self.0.created.fetch_add(1, Ordering::Relaxed);
        Ok(ScriptedInstance {
            script: Arc::clone(&self.0),
            dead: false,
        })
    }
}

struct ScriptedInstance {
    script: Arc<Script>,
    dead: bool,
}

impl Handler for ScriptedInstance {
    fn handle(&mut self, events: &[Arc<Event>]) -> Result<Vec<Outcome>, CallError> {
        assert!(!self.dead, "called after it failed");
        let numbers: Vec<u32> = events.iter().map(|event| testing::number(event)).collect();
        lock(&self.script.calls).push(numbers.clone());
        let trap = || CallError::Trap {
            message: "script".into(),
            frames: vec!["here".into(), "there".into()],
        };
        let late = || CallError::Deadline {
            limit: Duration::from_secs(1),
        };
        let mut outcomes = Vec::new();
        for number in numbers {
            let outcome = match self.script.acts.get(number as usize).copied().unwrap_or(Act::Answer) {
                Act::Trap => Err(trap()),
                Act::Hang => Err(late()),
                Act::TrapInCompany if events.len() > 1 => Err(trap()),
                Act::Slow if events.len() > 3 => Err(late()),
                Act::Swallow => continue,
                Act::Ignore => Ok(Outcome::Ignore),
                Act::Fail => Ok(Outcome::Fail("script".into())),
                Act::Elsewhere => Ok(Outcome::Deliver(vec![request("http://elsewhere/", number)])),
                Act::Answer | Act::TrapInCompany | Act::Slow => {
                    Ok(Outcome::Deliver(vec![request("http://h/", number)]))
                }
            };
            self.dead |= outcome.is_err();
            outcomes.push(outcome?);
        }
        self.dead |= outcomes.len() != events.len();
        Ok(outcomes)
    }
}

fn request(url: &str, number: u32) -> Request {
    Request {
        method: Method::Post,
        url: url.to_owned(),
        headers: vec![],
        body: number.to_string().into(),
        ordering_key: None,
        destination: None,
        options: vec![],
    }
}

/// Keeps the requests that it receives.
#[derive(Default)]
struct Kept {
    requests: Mutex<Vec<delivery::OutboxRequest>>,
    closed: AtomicBool,
}

impl Outbox for Kept {
    fn append(&self, requests: Vec<delivery::OutboxRequest>) -> Result<(), OutboxClosed> {
        if self.closed.load(Ordering::Relaxed) {
            return Err(OutboxClosed);
        }
        lock(&self.requests).extend(requests);
        Ok(())
    }
}

impl Kept {
    fn numbers(&self) -> Vec<u32> {
        let requests = lock(&self.requests);
        requests
            .iter()
            .map(|request| std::str::from_utf8(&request.body).unwrap().parse().unwrap())
            .collect()
    }
}

fn interests(filters: &[&str]) -> Interests {
    let filters = filters.iter().map(|filter| (*filter).to_owned()).collect();
    Interests::compile(&[Interest {
        hook: Hook::MessagePublish,
        filters,
    }])
    .unwrap()
}

fn generation(number: u32, script: &Arc<Script>, batch: usize) -> Arc<Generation<Scripted>> {
    let egress = Egress::new(&json!("http://h/"), &[]);
    Arc::new(Generation {
        number,
        interests: interests(&[]),
        egress,
        batch,
        template: Scripted(Arc::clone(script)),
    })
}

/// A worker, with its bus and its outbox.
struct Stage {
    bus: Bus,
    attachment: Attachment,
    active: Arc<ActiveGeneration<Scripted>>,
    outbox: Arc<Kept>,
    context: Arc<WorkerContext>,
}

impl Stage {
    fn new(first: Arc<Generation<Scripted>>) -> (Stage, Worker<Scripted>) {
        let active = Arc::new(ActiveGeneration::new(first));
        Stage::with(
            active,
            Box::new(|generation, reason| panic!("{generation} has no predecessor: {reason}")),
        )
    }

    /// The worker follows an active generation. `roll_back` receives the rollbacks that the supervisor requests.
    fn with(active: Arc<ActiveGeneration<Scripted>>, roll_back: RollBack) -> (Stage, Worker<Scripted>) {
        let bus = Bus::new();
        let limits = QueueLimits {
            events: 100_000,
            bytes: 1 << 30,
            overflow: Overflow::Drop,
        };
        let (attachment, mut inboxes) = bus.attach("m", 1, limits);
        let outbox = Arc::new(Kept::default());
        let context = Arc::new(WorkerContext {
            module: "m".into(),
            outbox: Arc::clone(&outbox) as Arc<dyn Outbox>,
            record: ModuleRecord::new(),
            supervisor: Supervisor::new("m".into(), roll_back),
            quarantine: Arc::new(Quarantine::new(in_memory())),
            nice: 0,
            activity: Default::default(),
        });
        let worker = Worker::new(Arc::clone(&context), inboxes.remove(0), Arc::clone(&active));
        let stage = Stage {
            bus,
            attachment,
            active,
            outbox,
            context,
        };
        stage.publish(stage.active.current().unwrap().generation);
        (stage, worker)
    }

    fn publish(&self, generation: Arc<Generation<Scripted>>) {
        let wanted = generation.interests.clone();
        self.begin(generation.number, false);
        self.active
            .publish(generation, || self.attachment.set_interests(wanted));
    }

    fn begin(&self, generation: u32, predecessor: bool) {
        self.context.supervisor.begin(InitialHealth {
            generation,
            proven: false,
            predecessor,
        });
    }

    fn emit(&self, event: Event) {
        let to = self.bus.interested(event.detail.hook(), event.detail.subject());
        let emitted = std::pin::pin!(self.bus.emit(to, event));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(std::future::Future::poll(emitted, &mut context).is_ready());
    }

    /// Detaches: the worker ends when its queue is empty.
    fn finish(self) -> (Arc<Kept>, Arc<WorkerContext>) {
        drop(self.attachment);
        (self.outbox, self.context)
    }
}

/// Runs all events through one worker and returns their outcomes.
fn play(acts: &[Act], batch: usize, failures: usize) -> (Vec<u32>, Counts, Arc<Script>) {
    let script = Arc::new(Script {
        acts: acts.to_vec(),
        failures: failures.into(),
        ..Script::default()
    });
    let (stage, worker) = Stage::new(generation(1, &script, batch));
    (0..acts.len()).for_each(|number| stage.emit(testing::numbered("c", number as u32)));
    let (outbox, context) = stage.finish();
    worker.run();
    (outbox.numbers(), context.record.counts(), script)
}

fn count(acts: &[Act], wanted: &[Act]) -> u64 {
    acts.iter().filter(|act| wanted.contains(act)).count() as u64
}

/// The expected outcomes of events, in any batches.
fn check(acts: &[Act], batch: usize) {
    let (requests, counts, _) = play(acts, batch, 0);
    let answers = [Act::Answer, Act::TrapInCompany, Act::Slow];
    let expected = (0..acts.len()).filter(|number| answers.contains(&acts[*number]));
    assert_eq!(
        requests,
        expected.map(|number| number as u32).collect::<Vec<_>>(),
        "each once, and in order"
    );
    assert_eq!(counts.answered, count(acts, &answers) + count(acts, &[Act::Elsewhere]));
    assert_eq!(counts.refused_requests, count(acts, &[Act::Elsewhere]));
    assert_eq!(counts.ignored, count(acts, &[Act::Ignore]));
    assert_eq!(counts.failed, count(acts, &[Act::Fail]));
    assert_eq!(counts.trapped, count(acts, &[Act::Trap, Act::Swallow]));
    assert_eq!(counts.timed_out, count(acts, &[Act::Hang]));
    assert_eq!((counts.skipped, counts.abandoned), (0, 0));
    assert_eq!(counts.requests, requests.len() as u64);
}

#[test]
fn a_bad_event_costs_only_itself() {
    let mut acts = vec![Act::Answer; 10];
    acts[4] = Act::Trap;
    check(&acts, 64);
    let (_, counts, script) = play(&acts, 64, 0);
    let all: Vec<u32> = (0..10).collect();
    let mut calls = vec![all.clone()];
    calls.extend(all.iter().map(|number| vec![*number]));
    // The first event is alone in its call, because the worker first looks up its generation.
    assert_eq!(*lock(&script.calls), calls);
    assert_eq!((counts.failed_calls, script.created.load(Ordering::Relaxed)), (2, 3));
}

#[test]
fn an_event_alone_in_its_batch_gets_a_second_chance_too() {
    let (_, counts, script) = play(&[Act::Trap], 1, 0);
    assert_eq!((counts.trapped, counts.failed_calls), (1, 2));
    assert_eq!(lock(&script.calls).len(), 2);
}

#[test]
fn a_slow_module_gets_fewer_events_at_a_time() {
    let acts = [Act::Slow; 100];
    check(&acts, 32);
    let (_, counts, script) = play(&acts, 32, 0);
    let late = lock(&script.calls).iter().filter(|call| call.len() > 3).count();
    assert!(late < 30, "{late} of the calls took too long");
    assert_eq!(counts.failed_calls, late as u64);
}

/// Numbers of the events in the quarantine, oldest entry first.
fn quarantined(context: &WorkerContext) -> Vec<u32> {
    let entries = context.quarantine.list(None, None, usize::MAX);
    entries
        .iter()
        .rev()
        .map(|entry| testing::number(&entry.event))
        .collect()
}

#[test]
fn what_is_quarantined_can_be_looked_at() {
    let acts = [Act::Answer, Act::Trap, Act::Fail, Act::Hang, Act::Answer];
    let script = Arc::new(Script {
        acts: acts.to_vec(),
        ..Script::default()
    });
    let (stage, worker) = Stage::new(generation(7, &script, 8));
    (0..acts.len()).for_each(|number| stage.emit(testing::numbered("c", number as u32)));
    let (outbox, context) = stage.finish();
    worker.run();
    assert_eq!(outbox.numbers(), [0, 4]);
    let entries = context.quarantine.list(None, None, 10);
    let told = entries.iter().rev().map(|entry| {
        let number = testing::number(&entry.event);
        (
            &*entry.module,
            entry.generation,
            number,
            entry.fault,
            entry.text.as_str(),
        )
    });
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            (
                "m",
                7,
                1,
                Fault::Trapped,
                "the module trapped: script\n  in here\n  in there"
            ),
            ("m", 7, 2, Fault::Failed, "script"),
            ("m", 7, 3, Fault::TimedOut, "the module did not answer within 1s"),
        ]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_event_comes_to_its_end_exactly_once(
        acts in proptest::collection::vec(0..ACTS.len() * 4, 0..60),
        batch in 1usize..20,
    ) {
        // Most events are good.
        let acts: Vec<Act> = acts.into_iter().map(|act| ACTS.get(act).copied().unwrap_or(Act::Answer)).collect();
        check(&acts, batch);
    }

    /// The same with swaps between the events, several clients, and generations that want different topics.
    #[test]
    fn swaps_change_who_handles_an_event_not_whether(
        steps in proptest::collection::vec(proptest::option::weighted(0.9, 0usize..3), 1..60),
        batch in 1usize..8,
    ) {
        const TOPICS: [&str; 3] = ["a", "b", "c"];
        let script = Arc::new(Script::default());
        let (stage, worker) = Stage::new(generation(1, &script, batch));
        let thread = std::thread::spawn(move || worker.run());
        let mut accepted: BTreeMap<u32, usize> = BTreeMap::new();
        let (mut number, mut wants_c) = (0, true);
        for step in steps {
            match step {
                Some(topic) => {
                    if wants_c || topic < 2 {
                        accepted.insert(number, topic);
                    }
                    stage.emit(Event { id: hookhost_event::Id(u128::from(number)), ..testing::publish("c", TOPICS[topic], b"") });
                    number += 1;
                }
                None => {
                    wants_c = !wants_c;
                    let wanted: &[&str] = if wants_c { &[] } else { &["a", "b"] };
                    let Generation { egress, .. } = &*generation(0, &script, batch);
                    let (egress, template) = (egress.clone(), Scripted(Arc::clone(&script)));
                    stage.publish(Arc::new(Generation { number: 2, interests: interests(wanted), egress, batch, template }));
                }
            }
        }
        let (outbox, context) = stage.finish();
        thread.join().unwrap();
        let (counts, answered) = (context.record.counts(), outbox.numbers());
        prop_assert!(answered.is_sorted());
        let once: BTreeSet<u32> = answered.iter().copied().collect();
        prop_assert_eq!(once.len(), answered.len());
        prop_assert_eq!(counts.answered + counts.skipped, accepted.len() as u64);
        for (number, topic) in accepted {
            prop_assert!(once.contains(&number) || topic == 2, "only what is not wanted any more may be passed over");
        }
    }
}
