//! A host that cannot reach NATS, while the others can.

use hookhost_tests::PATIENCE;
use hookhost_tests::flow::Flow;
use hookhost_tests::host::Setup;
use hookhost_tests::nats::Nats;
use hookhost_tests::proxy::Proxy;
use hookhost_tests::sink::Sink;

use super::{assert_all_in_order, config, host};

#[tokio::test]
async fn the_others_deliver_for_a_host_whose_network_is_cut_and_it_comes_back() {
    let Some(nats) = Nats::start(1).await else { return };
    let sink = Sink::start().await;
    let proxy = Proxy::start(nats.address(0)).await;
    let mut works = host(&nats, &sink, "").await;
    let behind_proxy = config(&nats, &sink, "").replace(&nats.url(), &format!("nats://{}", proxy.address()));
    // A single server tells its clients no other address, so the host does not go around the proxy.
    let mut cut = Setup::new().config(&behind_proxy).start().await;
    let half = |line: &str| line.contains("partitions=32");
    cut.log().wait("its share", PATIENCE, half).await;
    works.log().wait("the other share", PATIENCE, half).await;
    let of_works = Flow::before(&sink, works.address, "w", 20, 300, "t").await;
    let of_cut = Flow::before(&sink, cut.address, "c", 10, 150, "t").await;
    of_works.go_on(100).await;
    of_cut.go_on(50).await;

    let mark = works.log().mark();
    proxy.cut();
    let all = |line: &str| line.contains("partitions=64");
    works.log().wait_after(mark, "all partitions", PATIENCE, all).await;
    let lapses = |line: &str| line.contains("NATS did not confirm the lease");
    cut.log().wait("the end of its lease", PATIENCE, lapses).await;
    // Clients of the other host see nothing of it.
    of_works.go_on(200).await;

    let mark = cut.log().mark();
    proxy.mend();
    cut.log().wait_after(mark, "its share again", PATIENCE, half).await;
    of_cut.go_on(50).await;
    let mut sent = of_works.stop().await;
    sent.extend(of_cut.stop().await);
    assert_all_in_order(&sink, &sent).await;
    cut.stop().await;
    works.stop().await;
}
