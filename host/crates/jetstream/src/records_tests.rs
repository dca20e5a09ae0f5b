use super::*;

fn reply(text: &'static str) -> Subject {
    Subject::from_static(text)
}

fn ended(text: &'static str) -> Option<Ended> {
    Some(Ended {
        reply: reply(text),
        has_state: false,
    })
}

fn new(records: &Records, sequence: u64) -> u64 {
    match records.delivered(3, sequence, &reply("a"), false) {
        Delivered::New(number) => number,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_record_is_sent_once_and_acknowledged_where_it_was_last_delivered() {
    let (records, now) = (Records::new(8), Instant::now());
    records.open(3);
    let number = new(&records, 70);
    assert_eq!(place(number), (3, 70));
    assert_eq!(records.delivered(3, 70, &reply("b"), false), Delivered::Known);
    assert!(records.begin(number));
    assert!(!records.begin(number), "it is under way");
    assert!(!records.is_idle(3));
    assert_eq!(records.end(number, now), ended("b"));
    assert!(records.is_idle(3));
    assert!(!records.begin(number) && !records.is_pending(number));
    assert_eq!(records.delivered(3, 70, &reply("c"), false), Delivered::Ended);
    records.forget_ended(now);
    assert_eq!(records.delivered(3, 70, &reply("c"), false), Delivered::Ended);
    records.forget_ended(now + ACK_DOUBT);
    assert_eq!(records.delivered(3, 70, &reply("c"), false), Delivered::New(number));
}

#[test]
fn a_partition_that_is_given_up_begins_nothing_and_ends_what_is_under_way() {
    let (records, now) = (Records::new(8), Instant::now());
    records.open(3);
    let (waits, ends, fails) = (new(&records, 1), new(&records, 2), new(&records, 3));
    assert!(records.begin(ends) && records.begin(fails));
    records.close(3);
    assert!(!records.begin(waits) && !records.is_pending(waits));
    assert!(!records.is_idle(3));
    assert_eq!(records.end(ends, now), ended("a"));
    records.rest(fails);
    assert!(records.is_idle(3));
    assert!(!records.is_pending(fails), "the new owner sends it");
    assert_eq!(records.end(waits, now), None);
    assert_eq!(
        records.delivered(3, 9, &reply("a"), false),
        Delivered::Known,
        "it is closed"
    );
    // The partition comes back: what has ended is acknowledged again, the rest is sent.
    records.open(3);
    assert_eq!(records.delivered(3, 2, &reply("b"), false), Delivered::Ended);
    assert_eq!(new(&records, 1), waits);
}

#[test]
fn a_partition_is_lost_until_the_host_owns_it_again() {
    let records = Records::new(8);
    records.open(3);
    let number = new(&records, 1);
    assert!(records.begin(number));
    records.close(3);
    assert!(!records.is_lost(number), "its attempts end before it is given up");
    records.lose_all();
    assert!(records.is_lost(number));
    records.rest(number);
    records.open(3);
    assert!(!records.is_lost(number));
    assert_eq!(new(&records, 1), number);
}

#[test]
fn a_failed_attempt_is_followed_by_another_one() {
    let records = Records::new(8);
    records.open(3);
    let number = new(&records, 1);
    assert!(records.begin(number));
    records.rest(number);
    assert!(records.is_idle(3) && records.is_pending(number) && records.begin(number));
}

#[test]
fn a_number_of_another_partition_is_unknown() {
    let records = Records::new(2);
    assert!(!records.begin(number(5, 1)));
    assert!(records.is_idle(5));
    assert_eq!(records.end(number(5, 1), Instant::now()), None);
}

#[test]
fn the_end_of_a_record_says_whether_its_attempts_are_known_to_others() {
    let (records, now) = (Records::new(8), Instant::now());
    records.open(3);
    let (kept, lost) = (new(&records, 1), new(&records, 2));
    let Delivered::New(read) = records.delivered(3, 3, &reply("a"), true) else {
        panic!("it is new");
    };
    assert!(records.set_has_state(kept));
    for number in [kept, read] {
        assert!(
            records.end(number, now).is_some_and(|ended| ended.has_state),
            "{number}"
        );
    }
    assert!(!records.set_has_state(kept), "it has ended");
    records.lose_all();
    assert!(!records.set_has_state(lost), "another host may deliver it");
}
