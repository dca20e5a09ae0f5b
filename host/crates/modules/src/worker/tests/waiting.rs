//! Workers without events, or without an instance.

use super::*;

#[test]
fn events_wait_while_no_instance_can_be_made() {
    let (requests, counts, script) = play(&[Act::Answer; 5], 2, 1);
    assert_eq!(requests, [0, 1, 2, 3, 4]);
    assert_eq!((counts.answered, script.created.load(Ordering::Relaxed)), (5, 1));
}

#[test]
fn a_new_generation_ends_the_wait() {
    let (broken, sound) = (Arc::new(Script::default()), Arc::new(Script::default()));
    broken.broken.store(true, Ordering::Relaxed);
    let (stage, worker) = Stage::new(generation(1, &broken, 8));
    (0..20).for_each(|number| stage.emit(testing::numbered("c", number)));
    let thread = std::thread::spawn(move || worker.run());
    while stage.context.record.backing_off().is_none() {
        std::thread::yield_now();
    }
    stage.publish(generation(2, &sound, 8));
    let (outbox, context) = stage.finish();
    thread.join().unwrap();
    assert_eq!(outbox.numbers(), (0..20).collect::<Vec<_>>());
    assert_eq!(context.record.backing_off(), None);
    assert!(lock(&outbox.requests).iter().all(|request| request.generation == 2));
}

#[test]
fn a_module_that_leaves_and_cannot_run_gives_up() {
    let script = Arc::new(Script::default());
    script.broken.store(true, Ordering::Relaxed);
    let (stage, worker) = Stage::new(generation(1, &script, 8));
    (0..20).for_each(|number| stage.emit(testing::numbered("c", number)));
    stage.active.leave(Instant::now());
    let (outbox, context) = stage.finish();
    worker.run();
    assert!(outbox.numbers().is_empty());
    assert_eq!(
        (context.record.counts().abandoned, context.record.backing_off()),
        (20, None)
    );
}

#[test]
fn a_host_that_stops_is_not_kept_waiting() {
    let (stage, worker) = Stage::new(generation(1, &Arc::new(Script::default()), 8));
    (0..20).for_each(|number| stage.emit(testing::numbered("c", number)));
    stage.active.stop(Instant::now());
    let (outbox, context) = stage.finish();
    worker.run();
    assert!(outbox.numbers().is_empty());
    assert!(context.record.counts().abandoned >= 19, "{:?}", context.record.counts());
}

#[test]
fn nobody_waits_for_what_comes_after_the_end() {
    let active = ActiveGeneration::new(generation(1, &Arc::new(Script::default()), 8));
    let (current, hour) = (active.current().unwrap(), Duration::from_secs(3600));
    active.stop(Instant::now() + hour);
    assert!(
        active.wait(&current, Duration::from_millis(1)),
        "there is time for this"
    );
    assert!(!active.wait(&current, 2 * hour));
}

#[test]
fn nothing_is_called_once_delivery_has_stopped() {
    let script = Arc::new(Script::default());
    let (stage, worker) = Stage::new(generation(1, &script, 8));
    (0..20).for_each(|number| stage.emit(testing::numbered("c", number)));
    stage.outbox.closed.store(true, Ordering::Relaxed);
    let (_, context) = stage.finish();
    worker.run();
    assert_eq!(context.record.counts().abandoned, 20);
    assert_eq!(lock(&script.calls).len(), 1);
}

#[test]
fn a_module_that_fails_on_everything_pauses_and_its_events_wait() {
    let (broken, sound) = (
        Arc::new(Script {
            acts: vec![Act::Trap; 1000],
            ..Script::default()
        }),
        Arc::new(Script::default()),
    );
    let (stage, worker) = Stage::new(generation(1, &broken, 8));
    (0..1000).for_each(|number| stage.emit(testing::numbered("c", number)));
    let thread = std::thread::spawn(move || worker.run());
    while stage.context.supervisor.backing_off().is_none() {
        std::thread::yield_now();
    }
    let reason = stage.context.supervisor.backing_off().unwrap();
    assert!(
        reason.contains("5 events in a row") && reason.contains("trapped: script"),
        "{reason}"
    );
    // The pause is longer than this thread needs to get here. If not, a few more events were tried, a few at a time.
    stage.publish(generation(2, &sound, 8));
    let (outbox, context) = stage.finish();
    thread.join().unwrap();
    let aside = quarantined(&context);
    assert!((EVENTS..100).contains(&aside.len()), "{aside:?}");
    assert_eq!(aside, (0..aside.len() as u32).collect::<Vec<_>>());
    assert_eq!(outbox.numbers(), (aside.len() as u32..1000).collect::<Vec<_>>());
    assert_eq!(context.supervisor.backing_off(), None);
}

#[test]
fn a_pause_ends_by_itself_and_with_the_first_event_that_is_handled() {
    let mut acts = vec![Act::Trap; EVENTS];
    acts.extend([Act::Answer; 5]);
    let (requests, counts, _) = play(&acts, 4, 0);
    assert_eq!(requests, (5..10).collect::<Vec<_>>());
    assert_eq!((counts.trapped, counts.taken_back, counts.answered), (5, 0, 5));
}
