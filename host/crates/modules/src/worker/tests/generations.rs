//! Changes from one generation to another, forward and back.

use super::*;

#[test]
fn what_a_newer_generation_does_not_want_is_passed_over() {
    let script = Arc::new(Script::default());
    let (stage, worker) = Stage::new(generation(1, &script, 8));
    for (number, topic) in ["a", "b", "a", "c"].into_iter().enumerate() {
        stage.emit(Event {
            id: hookhost_event::Id(number as u128),
            ..testing::publish("c", topic, b"")
        });
    }
    let Generation { egress, batch, .. } = &*generation(2, &script, 8);
    let (egress, batch, template) = (egress.clone(), *batch, Scripted(Arc::clone(&script)));
    stage.publish(Arc::new(Generation {
        number: 2,
        interests: interests(&["a"]),
        egress,
        batch,
        template,
    }));
    let (outbox, context) = stage.finish();
    worker.run();
    assert_eq!(outbox.numbers(), [0, 2]);
    assert_eq!(
        (context.record.counts().skipped, context.record.counts().answered),
        (2, 2)
    );
}

/// Events arrive while generations change. Each event is answered once, in order, and never by a generation older than
/// one that has already answered.
#[test]
fn a_swap_under_load_loses_nothing() {
    const EVENTS: u32 = 20_000;
    let script = Arc::new(Script::default());
    let (stage, worker) = Stage::new(generation(1, &script, 16));
    let thread = std::thread::spawn(move || worker.run());
    for number in 0..EVENTS {
        if number % 500 == 250 {
            stage.publish(generation(number / 500 + 2, &script, 16));
        }
        stage.emit(testing::numbered("c", number));
    }
    let (outbox, context) = stage.finish();
    thread.join().unwrap();
    assert_eq!(outbox.numbers(), (0..EVENTS).collect::<Vec<_>>());
    assert_eq!(context.record.counts().answered, u64::from(EVENTS));
    let generations: Vec<u32> = lock(&outbox.requests)
        .iter()
        .map(|request| request.generation)
        .collect();
    assert!(generations.is_sorted());
    assert_eq!(generations.last(), Some(&(EVENTS / 500 + 1)));
}

/// A generation that traps on everything, from some event on, after one that handles everything. `bad` names the events
/// that stay in the quarantine. All others must have been answered in order.
fn rolled_back(acts: &[Act], batch: usize, bad: &[u32]) {
    let (sound, broken) = (
        Arc::new(Script::default()),
        Arc::new(Script {
            acts: acts.to_vec(),
            ..Script::default()
        }),
    );
    let active = Arc::new(ActiveGeneration::new(generation(2, &broken, batch)));
    let (again, to) = (generation(1, &sound, batch), Arc::clone(&active));
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let roll_back = move |failed, reason: String| {
        assert_eq!(failed, 2);
        assert!(
            reason.contains("in a row") && reason.contains("trapped: script"),
            "{reason}"
        );
        count.fetch_add(1, Ordering::Relaxed);
        to.publish(Arc::clone(&again), Version::default);
    };
    let (stage, worker) = Stage::with(active, Box::new(roll_back));
    stage.begin(2, true);
    (0..acts.len()).for_each(|number| stage.emit(testing::numbered("c", number as u32)));
    let (outbox, context) = stage.finish();
    worker.run();
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    assert_eq!(quarantined(&context), bad);
    let expected: Vec<u32> = (0..acts.len() as u32).filter(|number| !bad.contains(number)).collect();
    assert_eq!(outbox.numbers(), expected, "each once, and in order");
    let counts = context.record.counts();
    assert_eq!(counts.answered, expected.len() as u64);
    assert_eq!(counts.trapped - counts.taken_back, bad.len() as u64);
    assert_eq!(counts.abandoned, 0);
}

#[test]
fn a_rollback_loses_nothing_and_keeps_the_order() {
    let broken = [Act::Trap; 40];
    for batch in [1, 3, 64] {
        rolled_back(&broken, batch, &[]);
        // Exactly as many as a rollback needs: the queue has ended by then.
        rolled_back(&broken[..EVENTS], batch, &[]);
        // The events that it failed on while it worked stay in the quarantine.
        let mut late = vec![Act::Answer; 3];
        late.extend([Act::Trap, Act::Answer]);
        late.extend([Act::Trap; EVENTS_OF_FEW]);
        rolled_back(&late, batch, &[3]);
    }
}

#[test]
fn a_generation_without_instances_is_rolled_back() {
    let (sound, broken) = (Arc::new(Script::default()), Arc::new(Script::default()));
    broken.broken.store(true, Ordering::Relaxed);
    let active = Arc::new(ActiveGeneration::new(generation(2, &broken, 8)));
    let (again, to) = (generation(1, &sound, 8), Arc::clone(&active));
    let roll_back = move |_, reason: String| {
        assert!(reason.contains("no instance could be made 3 times"), "{reason}");
        to.publish(Arc::clone(&again), Version::default);
    };
    let (stage, worker) = Stage::with(active, Box::new(roll_back));
    stage.begin(2, true);
    (0..20).for_each(|number| stage.emit(testing::numbered("c", number)));
    let (outbox, context) = stage.finish();
    worker.run();
    assert_eq!(outbox.numbers(), (0..20).collect::<Vec<_>>());
    assert_eq!(context.record.backing_off(), None);
}
