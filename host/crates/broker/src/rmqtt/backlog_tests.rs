//! Counts and limits of waiting messages.

use ::rmqtt::codec::types::QoS;
use ::rmqtt::types::CodecPublish;

use super::*;

fn publish() -> Publish {
    Publish::from(CodecPublish {
        dup: false,
        retain: false,
        qos: QoS::AtMostOnce,
        topic: "t".into(),
        packet_id: None,
        payload: vec![0; 99].into(),
        properties: None,
    })
}

fn small() -> Backlogs {
    Backlogs::new(&Limits {
        max_mqueue_bytes: 3 * (100 + FIXED_MESSAGE_BYTES),
        ..Limits::default()
    })
}

#[test]
fn tickets_come_back_when_the_last_copy_goes() {
    let backlogs = small();
    let (a, b) = (ByteString::from("a"), ByteString::from("b"));
    let mut waiting = Vec::new();
    for _ in 0..3 {
        let mut copy = publish();
        assert!(backlogs.admit(&a, &mut copy, None));
        waiting.push(copy.clone());
    }
    assert!(!backlogs.admit(&a, &mut publish(), None), "three at most");
    assert!(
        backlogs.admit(&b, &mut publish(), None),
        "another client has room of its own"
    );
    waiting.pop();
    assert!(backlogs.admit(&a, &mut publish(), None));
    drop(waiting);
    backlogs.sweep();
    assert!(backlogs.shards.iter().all(|shard| shard.lock().unwrap().is_empty()));
}

#[test]
fn the_group_is_remembered_and_does_not_hold_the_ticket() {
    let backlogs = small();
    let mut copy = publish();
    assert!(backlogs.admit(&"a".into(), &mut copy, Some(&"g".into())));
    let group = group(&copy);
    drop(copy);
    backlogs.sweep();
    assert!(backlogs.shards.iter().all(|shard| shard.lock().unwrap().is_empty()));
    assert_eq!(group.as_deref(), Some("g"));
}

#[tokio::test]
async fn a_patient_sender_waits_for_calm() {
    let backlogs = Arc::new(Backlogs::new(&Limits {
        max_mqueue_len: 2,
        ..Limits::default()
    }));
    let client = ByteString::from("a");
    assert!(backlogs.calm(&client, Duration::ZERO).await);
    let mut copy = publish();
    assert!(backlogs.admit(&client, &mut copy, None));
    assert!(!backlogs.calm(&client, Duration::from_millis(1)).await);
    let waiter = tokio::spawn({
        let (backlogs, client) = (Arc::clone(&backlogs), client.clone());
        async move { backlogs.calm(&client, Duration::from_secs(20)).await }
    });
    tokio::task::yield_now().await;
    drop(copy);
    assert!(waiter.await.unwrap());
}
