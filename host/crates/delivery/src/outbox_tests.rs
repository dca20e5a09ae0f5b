use tokio::sync::mpsc::unbounded_channel;

use super::super::request::Reach;
use super::*;
use hookhost_contract::Method;

fn request(url: &str, key: &str) -> OutboxRequest {
    OutboxRequest {
        id: String::new(),
        event: Default::default(),
        source: "test".into(),
        generation: 1,
        method: Method::Post,
        url: url.into(),
        receivers: None,
        via: Default::default(),
        reach: Reach::Anywhere,
        headers: Vec::new(),
        body: Default::default(),
        ordering_key: key.into(),
        batching: None,
        expires: None,
        republishes: 0,
        span: None,
        ticket: None,
    }
}

#[test]
fn a_key_has_one_thread_and_so_has_a_file() {
    let capacity = Arc::new(Capacity::new(1000, 1 << 20));
    let (senders, mut inboxes): (Vec<_>, Vec<_>) = (0..3).map(|_| unbounded_channel()).unzip();
    let outbox = Inboxes::new(Arc::clone(&capacity), None, Arc::default(), senders);
    for _ in 0..20 {
        let urls = ["http://a", "HTTPS://b", "file:///x"];
        let batch = urls
            .iter()
            .flat_map(|url| ["", "k1", "k2", "k3", "k4"].map(|key| request(url, key)));
        outbox.append(batch.collect()).unwrap();
    }
    let mut threads_of = std::collections::BTreeMap::<String, std::collections::BTreeSet<usize>>::new();
    let mut total = 0;
    for (thread, inbox) in inboxes.iter_mut().enumerate() {
        while let Ok(Message::Batch(batch)) = inbox.try_recv() {
            for request in batch.requests {
                total += 1;
                let name = if request.url.starts_with("file") {
                    request.url
                } else {
                    request.ordering_key
                };
                threads_of.entry(name).or_default().insert(thread);
            }
        }
    }
    assert_eq!(total, 300);
    for (name, threads) in threads_of {
        assert_eq!(threads.len(), if name.is_empty() { 3 } else { 1 }, "{name}");
    }
    drop(inboxes);
    let taken = capacity.taken();
    assert_eq!(outbox.append(vec![request("http://a", "")]), Err(OutboxClosed));
    assert_eq!(capacity.taken(), taken, "what is not accepted takes no capacity");
}
