//! Dead letters: what they say, how they are sent again, and that none is lost.

use std::collections::BTreeSet;

use super::*;
use hookhost_dead_letters::{FileError, Store as Letters, StoreError as LettersError};
use sink::Received;

fn limits(_: Kind) -> Limits {
    Limits {
        records: 1000,
        bytes: 1 << 20,
        age: None,
    }
}

/// Opens the stores of a folder when the previous delivery has closed them.
fn start_in(dir: &tempfile::TempDir, settings: &Settings) -> (Delivery, Letters) {
    let end = Clock::now() + Duration::from_secs(120);
    let letters = loop {
        match Letters::open(dir.path(), limits) {
            Ok(letters) => break letters,
            Err(LettersError::File(FileError::InUse { .. })) => {}
            Err(error) => panic!("{error}"),
        }
        assert!(Clock::now() < end, "the store is not closed");
        // Sleeps between two checks, so that the other threads can run.
        thread::sleep(Duration::from_millis(1));
    };
    let store = disk::reopened(dir);
    let delivery = Delivery::start(settings, Some(store), letters.collection(Kind::Requests), None);
    (delivery.unwrap(), letters)
}

fn all(letters: &DeadLetters) -> Vec<DeadLetter> {
    letters.list(&DeadLetterFilter::default(), None, 99).unwrap()
}

#[test]
fn a_letter_says_what_happened() {
    let sink = Sink::start(|received| match received.body.as_str() {
        "busy" => Reply::Status(503),
        "wrong" => Reply::Raw(b"HTTP/1.1 422 x\r\ncontent-length: 12\r\n\r\nno such unit"),
        _ => Reply::Status(200),
    });
    let settings = settings_with(|terms| terms.retry.delays = vec![Duration::from_millis(5); 2]);
    let delivery = start(&settings, None).unwrap();
    let before = SystemTime::now();
    let mut batch: Vec<_> = ["wrong", "good", "busy"]
        .map(|body| request(&sink.url("/a?b"), "k", body))
        .into();
    batch.push(request("nonsense", "k", "invalid"));
    delivery.outbox().append(batch.clone()).unwrap();
    wait(&delivery, "all ended", nothing_left);
    let mut letters = all(&delivery.dead_letters());
    letters.sort_by(|one, other| one.request.body.cmp(&other.request.body));
    let [busy, invalid, wrong] = letters.as_slice() else {
        panic!("{letters:?}")
    };
    assert_eq!((wrong.reason.name(), wrong.status), ("refused", Some(422)));
    assert_eq!(
        (wrong.text.as_str(), &wrong.answer[..]),
        ("answered with status 422", &b"no such unit"[..])
    );
    let expected = OutboxRequest {
        receivers: None,
        ..batch[0].clone()
    };
    assert!(wrong.request == expected, "{:?}", wrong.request);
    assert_eq!((wrong.attempt_count, wrong.attempts.len()), (1, 1));
    assert_eq!(wrong.destination, sink.url(""));
    assert_eq!(
        (busy.reason.name(), busy.status, busy.attempt_count),
        ("gave up", Some(503), 3)
    );
    assert!(busy.attempts.iter().all(|attempt| {
        attempt.status == Some(503) && attempt.at + Duration::from_secs(1) > before && attempt.duration > Duration::ZERO
    }));
    assert_eq!((invalid.reason.name(), invalid.attempt_count), ("invalid", 0));
    assert!(!invalid.text.is_empty() && invalid.status.is_none());
    let only = DeadLetterFilter {
        status: Some(422),
        ..DeadLetterFilter::default()
    };
    assert_eq!(delivery.dead_letters().ids(&only), Ok(vec![wrong.id]));
    let destinations = delivery.monitor().destinations();
    let of_sink = destinations.iter().find(|one| one.url == sink.url("")).unwrap();
    assert!(of_sink.last_success.unwrap() + Duration::from_secs(1) > before);
    assert_eq!(of_sink.last_error.as_ref().unwrap().text, "answered with status 503");
    delivery.stop(Duration::ZERO);
}

/// A body that does not arrive delays neither the next request nor the letter for long.
#[test]
fn the_answer_of_a_letter_may_come_late_or_never() {
    for is_late in [true, false] {
        let sink = Sink::start(|received| match received.body.as_str() {
            "wrong" => Reply::LateBody(422),
            _ => Reply::Status(200),
        });
        let delivery = start(&settings(), None).unwrap();
        let batch = ["wrong", "good"].map(|body| request(&sink.url("/"), "k", body));
        delivery.outbox().append(batch.into()).unwrap();
        wait(&delivery, "the next one", |counters| counters.delivered == 1);
        if is_late {
            sink.open_gate();
        }
        let counters = wait(&delivery, "all ended", nothing_left);
        assert_eq!(counters.dead.refused, 1);
        let answer = all(&delivery.dead_letters())[0].answer.clone();
        assert_eq!(&answer[..], if is_late { &b"x"[..] } else { b"" });
        delivery.stop(Duration::ZERO);
    }
}

#[test]
fn a_letter_is_sent_again_with_its_id_and_in_order_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let strict = Sink::start(|received| Reply::Status(if received.body == "k 1" { 422 } else { 200 }));
    let address = strict.address;
    let mut own = crate::destination::tests::destination("own", &[&strict.url("/")]);
    let key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    own.signing = vec![SigningKey::parse(key).unwrap()];
    let settings = Settings {
        destinations: [own].into_iter().collect(),
        ..settings()
    };
    let (delivery, letters) = start_in(&dir, &settings);
    let batch = (0..3).map(|number| request(&strict.url("/"), "k", &format!("k {number}")));
    delivery.outbox().append(batch.collect()).unwrap();
    wait(&delivery, "all ended", nothing_left);
    let id = |received: &Received| {
        let line = received.head.lines().find(|line| line.starts_with("webhook-id: "));
        line.unwrap().to_owned()
    };
    let refused = id(&strict.received()[1]);
    strict.stop();
    // The process is killed: nothing is closed in order.
    drop((delivery, letters));

    let mended = Sink::at(address, |_| Reply::Status(200));
    let (delivery, letters) = start_in(&dir, &settings);
    let dead = delivery.dead_letters();
    let number = all(&dead)[0].id;
    assert_eq!(all(&dead)[0].destination, "own");
    let receivers = Arc::new(Receivers::from(&settings));
    assert_eq!(
        dead.resend(&[number, 99], &receivers),
        [(number, Ok(())), (99, Err(DeadLetterError::Unknown(99)))]
    );
    let received = mended.wait_for(1);
    assert_eq!((received[0].body.as_str(), id(&received[0])), ("k 1", refused));
    assert!(all(&dead).is_empty());
    let counters = wait(&delivery, "delivered", nothing_left);
    assert_eq!((counters.accepted, counters.delivered), (1, 1));
    delivery.stop(Duration::ZERO);
    drop((dead, letters));
    let (delivery, _letters) = start_in(&dir, &settings);
    assert!(all(&delivery.dead_letters()).is_empty());
    delivery.stop(Duration::ZERO);
}

#[test]
fn a_letter_stays_if_the_outbox_is_full() {
    let sink = Sink::start(|received| match received.body.as_str() {
        "wrong" => Reply::Status(422),
        _ => Reply::Gated,
    });
    let settings = Settings {
        queue_requests: 1,
        ..settings()
    };
    let delivery = start(&settings, None).unwrap();
    let append = |body: &str| delivery.outbox().append(vec![request(&sink.url("/"), "k", body)]);
    append("wrong").unwrap();
    wait(&delivery, "refused", nothing_left);
    append("waits").unwrap();
    let (dead, receivers) = (delivery.dead_letters(), Arc::new(Receivers::default()));
    assert_eq!(dead.resend(&[1], &receivers), [(1, Err(DeadLetterError::Full))]);
    assert_eq!(dead.usage().records, 1);
    sink.open_gate();
    wait(&delivery, "delivered", nothing_left);
    assert_eq!(dead.resend(&[1], &receivers), [(1, Ok(()))]);
    // It is refused again, and becomes another letter.
    wait(&delivery, "refused again", |counters| counters.dead.refused == 2);
    assert_eq!(all(&dead)[0].id, 2);
    assert_eq!((dead.remove(2), dead.remove(2)), (Ok(true), Ok(false)));
    assert!(all(&dead).is_empty());
    delivery.stop(Duration::ZERO);
}

/// A request is in the outbox or a letter at any time: whatever is killed in between, it is not lost.
#[test]
fn a_request_leaves_the_outbox_only_when_its_letter_is_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let sink = Sink::start(|_| Reply::Status(422));
    let (delivery, letters) = start_in(&dir, &settings());
    let batch = (0..500).map(|number| request(&sink.url("/"), "", &number.to_string()));
    delivery.outbox().append(batch.collect()).unwrap();
    sink.wait_for(100);
    drop((delivery, letters));
    let (delivery, letters) = start_in(&dir, &settings());
    let number = |letter: &DeadLetter| std::str::from_utf8(&letter.request.body).unwrap().parse().unwrap();
    let counters = wait(&delivery, "a letter for each", |counters| {
        let list = delivery
            .dead_letters()
            .list(&DeadLetterFilter::default(), None, usize::MAX)
            .unwrap();
        let numbers: BTreeSet<u32> = list.iter().map(number).collect();
        numbers.len() == 500 && counters.queued_requests == 0
    });
    assert!(disk::is_balanced(&counters), "{counters:?}");
    delivery.stop(Duration::ZERO);
    drop(letters);
}

#[test]
fn headers_tell_the_id_and_the_attempt() {
    let sink = Sink::start(|_| Reply::Status(503));
    let settings = settings_with(|terms| {
        terms.retry.delays = vec![Duration::from_millis(5); 2];
        terms.http.id_header = Some(header_name("Idempotency-Key").unwrap());
        terms.http.attempt_header = Some(header_name("x-attempt").unwrap());
    });
    let delivery = start(&settings, None).unwrap();
    let mut of_module = request(&sink.url("/"), "k", "body");
    of_module.headers.push(("x-attempt".into(), "module's".into()));
    delivery.outbox().append(vec![of_module]).unwrap();
    wait(&delivery, "given up", nothing_left);
    let letter = &all(&delivery.dead_letters())[0];
    let value = |received: &Received, name: &str| {
        let values = received.head.lines().filter_map(|line| line.strip_prefix(name));
        values.map(str::to_owned).collect::<Vec<_>>()
    };
    let received = sink.received();
    let attempts: Vec<_> = received.iter().flat_map(|one| value(one, "x-attempt: ")).collect();
    assert_eq!(attempts, ["1", "2", "3"]);
    let ids: Vec<_> = received
        .iter()
        .flat_map(|one| value(one, "idempotency-key: "))
        .collect();
    assert_eq!(ids, vec![letter.webhook_id().to_lowercase(); 3]);
    delivery.stop(Duration::ZERO);
    assert!(header_name("content-length").is_err() && header_name("a b").is_err());
}
