//! Which upstream a client is sent to first, and which ones after it. Pure.

use smallvec::SmallVec;

/// How clients are spread over the upstreams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Balance {
    /// Each upstream in turn.
    #[default]
    RoundRobin,
    /// The upstream with the fewest connections of this gateway; among equals each in turn.
    LeastConnections,
    /// By a hash of the client id, so that a client meets the same upstream through every gateway with the same list. If
    /// an upstream is added or removed, only the clients of that one move. Clients without an id: each upstream in turn.
    ClientId,
    /// The first one of the list that works.
    Failover,
}

/// What is known of one upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// Whether it has failed and did not work since.
    pub(crate) is_down: bool,
    /// Connections of this gateway to it, with those that are being opened.
    pub(crate) connections: usize,
    /// [`affinity`] to the client; `None` without a client id, or if it does not matter.
    pub(crate) affinity: Option<u64>,
}

/// The places of all candidates in the order in which to try them. Those that are down come last: they are tried only if
/// no other one answers. `turn` grows by one with each call.
pub(crate) fn order(balance: Balance, candidates: &[Candidate], turn: usize) -> SmallVec<[usize; 4]> {
    let mut order: SmallVec<[usize; 4]> = (0..candidates.len()).collect();
    let get = |place: &usize| candidates.get(*place);
    let is_down = |place: &usize| get(place).is_none_or(|candidate| candidate.is_down);
    // Stable: among equals the order of the list holds.
    order.sort_by_key(is_down);
    let up = order.iter().filter(|place| !is_down(place)).count();
    let (up, down) = order.split_at_mut(up);
    for part in [up, down] {
        let first = turn.checked_rem(part.len()).unwrap_or_default();
        match balance {
            Balance::Failover => {}
            Balance::RoundRobin => part.rotate_left(first),
            Balance::LeastConnections => {
                part.rotate_left(first);
                part.sort_by_key(|place| get(place).map(|candidate| candidate.connections));
            }
            Balance::ClientId => {
                part.rotate_left(first);
                part.sort_by_key(|place| std::cmp::Reverse(get(place).and_then(|candidate| candidate.affinity)));
            }
        }
    }
    order
}

/// How much a client belongs to an upstream: the upstream with the highest number is its own. The same in every process.
pub(crate) fn affinity(client_id: &str, upstream: &str) -> u64 {
    // FNV-1a over both texts, then the last step of MurmurHash3, which makes all bits depend on all others.
    let fnv = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let bytes = upstream.bytes().chain([0]).chain(client_id.bytes());
    let mut hash = bytes.fold(0xcbf2_9ce4_8422_2325, fnv);
    hash = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ hash >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ hash >> 33
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn candidate(is_down: bool, connections: usize) -> Candidate {
        Candidate {
            is_down,
            connections,
            affinity: None,
        }
    }

    #[test]
    fn each_way_has_its_order() {
        use Balance::{ClientId, Failover, LeastConnections, RoundRobin};
        let up = [candidate(false, 5), candidate(false, 2), candidate(false, 5)];
        let one_down = [candidate(false, 5), candidate(true, 0), candidate(false, 4)];
        let all_down = [candidate(true, 0), candidate(true, 0)];
        for (balance, candidates, orders) in [
            (Failover, &up[..], ["012", "012", "012"]),
            (Failover, &one_down, ["021", "021", "021"]),
            (RoundRobin, &up, ["012", "120", "201"]),
            (RoundRobin, &one_down, ["021", "201", "021"]),
            (RoundRobin, &all_down, ["01", "10", "01"]),
            (LeastConnections, &up, ["102", "120", "120"]),
            (LeastConnections, &one_down, ["201", "201", "201"]),
            (ClientId, &up, ["012", "120", "201"]),
            (RoundRobin, &[], ["", "", ""]),
        ] {
            for (turn, expected) in orders.into_iter().enumerate() {
                let found: String = order(balance, candidates, turn).iter().map(usize::to_string).collect();
                assert_eq!(found, expected, "{balance:?} {candidates:?} {turn}");
            }
        }
    }

    /// The upstream of a client.
    fn home(client: &str, upstreams: &[&str]) -> usize {
        let candidates: Vec<Candidate> = upstreams
            .iter()
            .map(|upstream| Candidate {
                affinity: Some(affinity(client, upstream)),
                ..candidate(false, 0)
            })
            .collect();
        order(Balance::ClientId, &candidates, client.len())[0]
    }

    #[test]
    fn clients_keep_their_upstream_and_are_spread_evenly() {
        let all = ["mqtt://a:1883", "mqtt://b:1883", "mqtt://c:1883"];
        let mut counts = [0; 3];
        for number in 0..3000 {
            let client = format!("device-{number}");
            let at = home(&client, &all);
            counts[at] += 1;
            // Without the last upstream, only its clients move.
            let left = home(&client, &all[..2]);
            assert!(left == at || at == 2, "{client}");
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
    }

    #[test]
    fn the_hash_is_the_same_in_every_version() {
        // A gateway of another version must send the client to the same upstream.
        assert_eq!(affinity("c", "mqtt://a:1883"), 0x9d3f_b821_c050_529a);
        assert_eq!(affinity("ü", "mqtts://[::1]:8883"), 0xf200_81fd_1caa_717f);
    }

    proptest! {
        #[test]
        fn every_upstream_is_tried_once_and_those_that_are_down_come_last(
            balance in prop::sample::select(vec![
                Balance::RoundRobin, Balance::LeastConnections, Balance::ClientId, Balance::Failover,
            ]),
            list in proptest::collection::vec((any::<bool>(), 0usize..9, proptest::option::of(any::<u64>())), 0..9),
            turn: usize,
        ) {
            let candidates: Vec<Candidate> = list
                .into_iter()
                .map(|(is_down, connections, affinity)| Candidate { is_down, connections, affinity })
                .collect();
            let order = order(balance, &candidates, turn);
            let mut places = order.to_vec();
            places.sort_unstable();
            prop_assert_eq!(places, (0..candidates.len()).collect::<Vec<_>>());
            prop_assert!(order.iter().map(|place| candidates[*place].is_down).is_sorted());
        }

        #[test]
        fn in_turn_all_that_work_get_the_same_number(down in proptest::collection::vec(any::<bool>(), 1..9)) {
            let candidates: Vec<Candidate> = down.iter().map(|is_down| candidate(*is_down, 0)).collect();
            let up = down.iter().filter(|is_down| !**is_down).count();
            prop_assume!(up > 0);
            let mut counts = vec![0; down.len()];
            for turn in 0..up * 5 {
                counts[order(Balance::RoundRobin, &candidates, turn)[0]] += 1;
            }
            let expected: Vec<usize> = down.iter().map(|is_down| if *is_down { 0 } else { 5 }).collect();
            prop_assert_eq!(counts, expected);
        }
    }
}
