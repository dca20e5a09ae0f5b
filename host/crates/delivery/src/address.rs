//! Decides which addresses belong to the public Internet.
//!
//! This module is pure. It contains the registries of special addresses (RFC 6890 and its successors at IANA) as two
//! tables. An address in neither table is public. An IPv6 address must also be within 2000::/3, the only allocated
//! range. IPv6 addresses that embed an IPv4 address (mapped, translated, 6to4, Teredo) are always rejected. Routers on
//! the path decide where such addresses lead.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const V4: [(Ipv4Addr, u8, &str); 17] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8, "of this network"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "private"),
    (Ipv4Addr::new(100, 64, 0, 0), 10, "shared behind a carrier's NAT"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "loopback"),
    // Azure's machines reach their platform at this address, although it is public.
    (Ipv4Addr::new(168, 63, 129, 16), 32, "a cloud's metadata service"),
    // 169.254.169.254 is the metadata service of most clouds.
    (Ipv4Addr::new(169, 254, 0, 0), 16, "link-local"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "private"),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "of a protocol"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, "for documentation"),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "a 6to4 relay"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "private"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "for benchmarks"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, "for documentation"),
    (Ipv4Addr::new(203, 0, 113, 0), 24, "for documentation"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "multicast"),
    (Ipv4Addr::new(255, 255, 255, 255), 32, "broadcast"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "reserved"),
];

const V6: [(Ipv6Addr, u8, &str); 16] = [
    (Ipv6Addr::UNSPECIFIED, 128, "unspecified"),
    (Ipv6Addr::LOCALHOST, 128, "loopback"),
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 0), 96, "IPv4 within IPv6"),
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96, "IPv4 within IPv6"),
    (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96, "translated to IPv4"),
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48, "translated to IPv4"),
    (Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0), 64, "a black hole"),
    // Teredo, benchmarks, ORCHID and others; no web service uses these addresses.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, "of a protocol"),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, "for documentation"),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, "6to4"),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, "for documentation"),
    (Ipv6Addr::new(0x5f00, 0, 0, 0, 0, 0, 0, 0), 16, "of a protocol"),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, "private"),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, "link-local"),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, "site-local"),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, "multicast"),
];

/// Returns the kind of a special address, or `None` for a public address.
pub(super) fn special(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => {
            let bits = u128::from(u32::from(address));
            let found = V4
                .iter()
                .find(|(net, length, _)| same(bits, u128::from(u32::from(*net)), 32 - u32::from(*length)));
            found.map(|(_, _, kind)| *kind)
        }
        IpAddr::V6(address) => {
            let bits = u128::from(address);
            let found = V6
                .iter()
                .find(|(net, length, _)| same(bits, u128::from(*net), 128 - u32::from(*length)));
            let given_out = bits >> 125 == 0b001;
            found.map(|(_, _, kind)| *kind).or((!given_out).then_some("reserved"))
        }
    }
}

/// Returns whether two addresses are equal except for their last `rest` bits (at most 127).
fn same(one: u128, other: u128, rest: u32) -> bool {
    one >> rest == other >> rest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first and last address of every entry of the registries, and their neighbours outside.
    #[test]
    fn every_registered_block_to_its_edges() {
        for (kind, addresses) in [
            ("of this network", &["0.0.0.0", "0.255.255.255"][..]),
            (
                "private",
                &[
                    "10.0.0.0",
                    "10.255.255.255",
                    "172.16.0.0",
                    "172.31.255.255",
                    "192.168.0.0",
                    "192.168.255.255",
                    "fc00::",
                    "fd00:ec2::254",
                    "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                ],
            ),
            (
                "shared behind a carrier's NAT",
                &["100.64.0.0", "100.100.100.200", "100.127.255.255"],
            ),
            ("loopback", &["127.0.0.0", "127.0.0.1", "127.255.255.255", "::1"]),
            (
                "link-local",
                &[
                    "169.254.0.0",
                    "169.254.169.254",
                    "169.254.255.255",
                    "fe80::",
                    "fe80::1",
                    "febf:ffff::",
                ],
            ),
            ("a cloud's metadata service", &["168.63.129.16"]),
            (
                "of a protocol",
                &[
                    "192.0.0.0",
                    "192.0.0.192",
                    "192.0.0.255",
                    "2001::",
                    "2001:0:ffff::",
                    "2001:2::",
                    "2001:10::",
                    "2001:20::",
                    "2001:1ff:ffff::",
                    "5f00::",
                    "5f00:ffff::",
                ],
            ),
            (
                "for documentation",
                &[
                    "192.0.2.0",
                    "192.0.2.255",
                    "198.51.100.0",
                    "198.51.100.255",
                    "203.0.113.0",
                    "203.0.113.255",
                    "2001:db8::",
                    "2001:db8:ffff::1",
                    "3fff::",
                    "3fff:fff:ffff::",
                ],
            ),
            ("a 6to4 relay", &["192.88.99.0", "192.88.99.255"]),
            ("for benchmarks", &["198.18.0.0", "198.19.255.255"]),
            (
                "multicast",
                &["224.0.0.0", "239.255.255.255", "ff00::", "ff02::1", "ffff:ffff::"],
            ),
            (
                "reserved",
                &[
                    "240.0.0.0",
                    "255.255.255.254",
                    "::1:0:0:0",
                    "1fff::",
                    "4000::",
                    "64:ff9b:2::",
                    "101::",
                    "e000::",
                    "fbff::",
                ],
            ),
            ("broadcast", &["255.255.255.255"]),
            ("unspecified", &["::"]),
            (
                "IPv4 within IPv6",
                &[
                    "::2",
                    "::7f00:1",
                    "::8.8.8.8",
                    "::ffff:0:0",
                    "::ffff:127.0.0.1",
                    "::ffff:8.8.8.8",
                    "::ffff:255.255.255.255",
                ],
            ),
            (
                "translated to IPv4",
                &[
                    "64:ff9b::",
                    "64:ff9b::127.0.0.1",
                    "64:ff9b::8.8.8.8",
                    "64:ff9b:1::",
                    "64:ff9b:1:ffff:ffff:ffff:ffff:ffff",
                ],
            ),
            ("a black hole", &["100::", "100::ffff:ffff:ffff:ffff"]),
            ("6to4", &["2002::", "2002:7f00:1::", "2002:ffff:ffff::"]),
            ("site-local", &["fec0::", "feff::1"]),
        ] {
            for address in addresses {
                assert_eq!(special(address.parse().unwrap()), Some(kind), "{address}");
            }
        }
        for public in [
            "1.0.0.0",
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "168.63.129.15",
            "168.63.129.17",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "191.255.255.255",
            "192.0.1.0",
            "192.0.3.0",
            "192.31.196.1",
            "192.52.193.1",
            "192.88.98.255",
            "192.88.100.0",
            "192.167.255.255",
            "192.169.0.0",
            "192.175.48.1",
            "198.17.255.255",
            "198.20.0.0",
            "198.51.99.255",
            "198.51.101.0",
            "203.0.112.255",
            "203.0.114.0",
            "223.255.255.255",
            "2000::",
            "2001:200::",
            "2001:db7:ffff::",
            "2001:db9::",
            "2001:4860:4860::8888",
            "2003::",
            "2606:4700::1111",
            "2620:4f:8000::1",
            "3ffe:ffff::",
            "3fff:1000::",
        ] {
            assert_eq!(special(public.parse().unwrap()), None, "{public}");
        }
    }
}
