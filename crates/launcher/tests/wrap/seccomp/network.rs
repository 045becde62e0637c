//! Connections that Landlock does not see, and the filter that does.

use std::fs;
use std::net::{TcpListener, UdpSocket};

use kubefence_launch_plan::NetRight;
use kubefence_seccomp::{NetworkRules, network_filter};

use super::{code, own, perl, with};
use crate::harness::*;

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
    for rules in [NetworkRules::TcpPorts, NetworkRules::Block] {
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
        (udp, [0, libc::EACCES]),
        (socket("10, 2, 17"), [0, libc::EACCES]),
        (socket("2, 3, 1"), [libc::EPERM, libc::EPERM]), // raw ICMP
        (socket("17, 3, 0"), [libc::EPERM, libc::EPERM]), // AF_PACKET
        (ring, [libc::EPERM, libc::EPERM]),
        (socket("1, 1, 0"), [0, 0]),
        (socket("16, 3, 0"), [0, 0]),
        (socket("2, 0x80801, 6"), [0, 0]),
        (perl(libc::SYS_socketpair, "1, 1, 0, $b"), [0, 0]),
    ];
    let nodes = [NetworkRules::TcpPorts, NetworkRules::Block].map(|rules| network(Some(rules)));
    for (argv, expected) in cases {
        run(&mut nodes[0].bare(&argv)).succeeded();
        let codes = [0, 1].map(|i: usize| code(&mut nodes[i].wrap(&argv)));
        assert_eq!(codes, expected.map(Some), "{argv:?}");
    }
}
