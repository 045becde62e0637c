//! Connections that Landlock does not see, and the filter that does.

use std::fs;
use std::net::{TcpListener, UdpSocket};

use kubefence_launch_plan::NetRight;
use kubefence_seccomp::{NetworkRules, network_filter};

use super::{code, own, perl, with};
use crate::harness::*;

pub(super) const EVERY: [NetworkRules; 3] = [
    NetworkRules::TcpPorts,
    NetworkRules::Block { tcp: true },
    NetworkRules::Block { tcp: false },
];

/// A plan that allows no TCP port, completed by the filter for `rules` or not at all.
fn network(rules: Option<NetworkRules>) -> Node {
    let filter = rules.map(|rules| network_filter(rules, own()).unwrap());
    Node::new(&with(filter).handle(NetRight::ALL, &[]))
}

/// Perl that exits with the error number of a connection to `port` by other means than connect(2) of a TCP
/// socket.
fn connect(how: &str, port: u16) -> [String; 3] {
    let (protocol, call) = match how {
        "plain" => (0, "connect(S, $to)"),
        "mptcp" => (262, "connect(S, $to)"),
        "sendto" => (0, "send(S, 'x', 0x20000000, $to)"),
        "sendmsg" => (0, "syscall($sendmsg, fileno(S), $message, 0x20000000) >= 0"),
        "sendmmsg" => (
            0,
            "syscall($sendmmsg, fileno(S), $message, 1, 0x20000000) >= 0",
        ),
        _ => panic!("{how}"),
    };
    let script = format!(
        "use Socket; my $to = pack_sockaddr_in({port}, INADDR_LOOPBACK); my $data = 'x';
         my ($sendmsg, $sendmmsg) = ({}, {});
         my $part = pack('P Q', $data, 1);
         my $message = pack('P Q P Q Q Q Q Q', $to, length $to, $part, 1, 0, 0, 0, 0);
         socket(S, AF_INET, SOCK_STREAM, {protocol}) or exit $!; exit({call} ? 0 : $!+0)",
        libc::SYS_sendmsg,
        libc::SYS_sendmmsg,
    );
    ["perl".to_owned(), "-e".to_owned(), script]
}

/// The ways round Landlock, with the error of the filter.
const WAYS: [(&str, i32); 4] = [
    ("mptcp", libc::EPROTONOSUPPORT),
    ("sendto", libc::EOPNOTSUPP),
    ("sendmsg", libc::EOPNOTSUPP),
    ("sendmmsg", libc::EOPNOTSUPP),
];

/// The network filter exists because of what this test shows. If it fails on a newer kernel, Landlock sees
/// more than it did.
#[test]
fn landlock_alone_leaves_ways_round_its_ports() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for setting in ["mptcp/enabled", "ipv4/tcp_fastopen"] {
        let value = fs::read_to_string(format!("/proc/sys/net/{setting}")).unwrap();
        let value: u32 = value.trim().parse().unwrap();
        assert_eq!(
            value & 1,
            1,
            "net/{setting} must be on to test what the kernel lets through"
        );
    }
    let node = network(None);
    let argv = connect("plain", port);
    assert_eq!(code(&mut node.wrap(&argv)), Some(libc::EACCES));
    for (how, _) in WAYS {
        assert_eq!(code(&mut node.wrap(&connect(how, port))), Some(0), "{how}");
    }
}

#[test]
fn the_network_filter_closes_the_ways_round_landlock() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for rules in [NetworkRules::TcpPorts, NetworkRules::Block { tcp: true }] {
        let node = network(Some(rules));
        for (how, refused) in [("plain", libc::EACCES)].into_iter().chain(WAYS) {
            let argv = connect(how, port);
            assert_eq!(
                code(&mut node.wrap(&argv)),
                Some(refused),
                "{how} {rules:?}"
            );
            run(&mut node.bare(&argv)).succeeded();
        }
    }
}

/// Perl that listens without bind(2), and exits with 0 once it has accepted a connection.
const LISTEN: &str = "use Socket; socket(S, AF_INET, SOCK_STREAM, 0) or exit $!; listen(S, 1) or exit $!;
     my ($port) = unpack_sockaddr_in(getsockname S); socket(C, AF_INET, SOCK_STREAM, 0) or exit $!;
     connect(C, pack_sockaddr_in($port, INADDR_LOOPBACK)) or exit $!; accept(A, S) or exit $!; exit 0";

/// Landlock does not see it, and so no TCP socket may be made where no port is allowed. The plan leaves
/// connections alone, so that the program can make the one that it accepts.
#[test]
fn without_ports_nothing_listens() {
    let listen = ["perl", "-e", LISTEN];
    let bind = "use Socket; socket(S, AF_INET, SOCK_STREAM, 0) or exit $!;
         bind(S, pack_sockaddr_in(0, INADDR_LOOPBACK)) or exit $!; exit 0";
    let bind = ["perl", "-e", bind];
    let under = |filter: Option<NetworkRules>| {
        let filter = filter.map(|rules| network_filter(rules, own()).unwrap());
        Node::new(&with(filter).handle(&[NetRight::BindTcp], &[]))
    };
    let nodes = [None].into_iter().chain(EVERY.map(Some)).map(under);
    for (node, expected) in nodes.zip([0, 0, 0, libc::EACCES]) {
        run(&mut node.bare(&listen)).succeeded();
        assert_eq!(code(&mut node.wrap(&listen)), Some(expected));
        run(&mut node.bare(&bind)).succeeded();
        assert_eq!(code(&mut node.wrap(&bind)), Some(libc::EACCES));
    }
}

#[test]
fn netfilter_cannot_be_reached() {
    let netlink = |protocol: i32| perl(libc::SYS_socket, &format!("16, 3, {protocol}"));
    let protocols = [
        (libc::NETLINK_ROUTE, 0),
        (libc::NETLINK_NETFILTER, libc::EPROTONOSUPPORT),
        (libc::NETLINK_GENERIC, libc::EPROTONOSUPPORT),
    ];
    for node in EVERY.map(|rules| network(Some(rules))) {
        for (protocol, expected) in protocols {
            let argv = netlink(protocol);
            run(&mut node.bare(&argv)).succeeded();
            assert_eq!(code(&mut node.wrap(&argv)), Some(expected), "{protocol}");
        }
    }
}

/// Without a table, the kernel answers root another error than the filter, or that it knows no such option.
#[test]
fn tables_of_netfilter_cannot_be_replaced() {
    let set = |level: i32, option: i32| {
        let family = if level == libc::SOL_IPV6 {
            "AF_INET6"
        } else {
            "AF_INET"
        };
        let script = format!(
            "use Socket; socket(S, {family}, SOCK_STREAM, 0) or die $!;
             exit(setsockopt(S, {level}, {option}, pack('i', 1)) ? 0 : $!+0)"
        );
        ["perl".to_owned(), "-e".to_owned(), script]
    };
    let refused = [(0, 64), (0, 65), (0, 1154), (41, 64), (41, 65)];
    let ordinary = [
        (libc::IPPROTO_IP, libc::IP_TTL),
        (libc::SOL_IPV6, libc::IPV6_TCLASS),
    ];
    for rules in [NetworkRules::TcpPorts, NetworkRules::Block { tcp: true }] {
        let node = network(Some(rules));
        for (level, option) in refused {
            let argv = set(level, option);
            let bare = code(&mut node.bare(&argv)).unwrap();
            assert!(
                [libc::EINVAL, libc::EFAULT, libc::ENOPROTOOPT].contains(&bare),
                "{bare}"
            );
            assert_eq!(
                code(&mut node.wrap(&argv)),
                Some(libc::EPERM),
                "{level} {option}"
            );
        }
        for (level, option) in ordinary {
            run(&mut node.bare(&set(level, option))).succeeded();
            run(&mut node.wrap(&set(level, option))).succeeded();
        }
    }
}

#[test]
fn allowed_ports_stay_open_under_the_network_filter() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let filter = network_filter(NetworkRules::TcpPorts, own()).unwrap();
    let plan = with([filter]).handle(NetRight::ALL, &[]);
    let node = Node::new(&plan.port(port, &[NetRight::ConnectTcp]));
    run(&mut node.wrap(&connect("plain", port))).succeeded();
}

#[test]
fn a_blocked_network_leaves_local_sockets_only() {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = receiver.local_addr().unwrap().port();
    let udp = format!(
        "use Socket; socket(S, AF_INET, SOCK_DGRAM, 0) or exit $!;
         exit(send(S, 'x', 0, pack_sockaddr_in({port}, INADDR_LOOPBACK)) ? 0 : $!)"
    );
    let udp = ["perl".to_owned(), "-e".to_owned(), udp];
    let socket = |arguments: &str| perl(libc::SYS_socket, arguments);
    let ring = perl(libc::SYS_io_uring_setup, "1, $b");
    let cases = [
        (udp, [0, libc::EACCES, libc::EACCES]),
        (socket("10, 2, 17"), [0, libc::EACCES, libc::EACCES]),
        (socket("2, 3, 1"), [libc::EPERM; 3]),  // raw ICMP
        (socket("17, 3, 0"), [libc::EPERM; 3]), // AF_PACKET
        (ring, [libc::EPERM; 3]),
        (socket("1, 1, 0"), [0; 3]),
        (socket("16, 3, 0"), [0; 3]),
        (socket("2, 0x80801, 6"), [0, 0, libc::EACCES]),
        (socket("10, 1, 0"), [0, 0, libc::EACCES]),
        (perl(libc::SYS_socketpair, "1, 1, 0, $b"), [0; 3]),
    ];
    let nodes = EVERY.map(|rules| network(Some(rules)));
    for (argv, expected) in cases {
        run(&mut nodes[0].bare(&argv)).succeeded();
        let codes = [0, 1, 2].map(|i: usize| code(&mut nodes[i].wrap(&argv)));
        assert_eq!(codes, expected.map(Some), "{argv:?}");
    }
}
