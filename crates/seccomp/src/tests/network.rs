//! What the network filter refuses, and what it leaves alone.

use kubefence_launch_plan::Arch;

use super::machine::{Answer, Call};
use super::{ARCHES, ask, call};
use crate::NetworkRules::{self, Block, TcpPorts};
use crate::network_filter;

const ALLOW: Answer = Answer::Allow;
const EPERM: Answer = Answer::Errno(1);
const EACCES: Answer = Answer::Errno(13);
const EPROTONOSUPPORT: Answer = Answer::Errno(93);
const EOPNOTSUPP: Answer = Answer::Errno(95);
const EAFNOSUPPORT: Answer = Answer::Errno(97);

const EVERY: [NetworkRules; 3] = [TcpPorts, Block { tcp: true }, Block { tcp: false }];

/// TCP, with the arguments of socket(2): refused only where no port is allowed.
const TCP: [&[u64]; 4] = [
    &[2, 1, 0],
    &[10, 1, 6],
    &[2, 0x80801, 6],
    &[1 << 32 | 10, 1 << 32 | 1, 1 << 32 | 6],
];

/// Other calls with their arguments, and the answers where ports are restricted and where all is blocked,
/// whether or not TCP is.
const CASES: &[(&str, &[u64], Answer, Answer)] = &[
    ("socket", &[1, 2, 0], ALLOW, ALLOW),
    ("socket", &[16, 3, 0], ALLOW, ALLOW),
    ("socket", &[16, 0x80802, 1 << 32], ALLOW, ALLOW),
    // Netlink of netfilter, sock_diag, audit, and generic.
    ("socket", &[16, 3, 12], EPROTONOSUPPORT, EPROTONOSUPPORT),
    (
        "socket",
        &[16, 0x80803, 4],
        EPROTONOSUPPORT,
        EPROTONOSUPPORT,
    ),
    (
        "socket",
        &[1 << 32 | 16, 2, 1 << 32 | 9],
        EPROTONOSUPPORT,
        EPROTONOSUPPORT,
    ),
    ("socket", &[16, 2, 16], EPROTONOSUPPORT, EPROTONOSUPPORT),
    ("socketpair", &[1, 1, 0], ALLOW, ALLOW),
    // MPTCP, SMC and SCTP; with flags, and with junk that the kernel does not read.
    ("socket", &[2, 1, 262], EPROTONOSUPPORT, EPROTONOSUPPORT),
    (
        "socket",
        &[10, 0x80801, 262],
        EPROTONOSUPPORT,
        EPROTONOSUPPORT,
    ),
    ("socket", &[2, 1, 256], EPROTONOSUPPORT, EPROTONOSUPPORT),
    ("socket", &[2, 1, 132], EPROTONOSUPPORT, EPROTONOSUPPORT),
    (
        "socket",
        &[1 << 32 | 2, 1 << 32 | 1, 1 << 32 | 262],
        EPROTONOSUPPORT,
        EPROTONOSUPPORT,
    ),
    ("socket", &[43, 1, 0], EAFNOSUPPORT, EAFNOSUPPORT),
    ("socket", &[21, 5, 0], EAFNOSUPPORT, EAFNOSUPPORT),
    // Packets by hand.
    ("socket", &[2, 3, 6], EPERM, EPERM),
    ("socket", &[10, 0x803, 255], EPERM, EPERM),
    ("socket", &[2, 10, 3], EPERM, EPERM),
    ("socket", &[17, 2, 0], EPERM, EPERM),
    ("socket", &[44, 3, 0], EPERM, EPERM),
    // UDP, SCTP, and other families.
    ("socket", &[2, 2, 17], ALLOW, EACCES),
    ("socket", &[10, 0x80802, 0], ALLOW, EACCES),
    ("socket", &[2, 5, 132], ALLOW, EACCES),
    ("socket", &[40, 1, 0], ALLOW, EACCES),
    ("socket", &[38, 5, 0], ALLOW, EACCES),
    ("socketpair", &[30, 1, 0], ALLOW, EACCES),
    // MSG_FASTOPEN, alone, with other flags, and in the argument where it means nothing.
    ("sendto", &[3, 0, 0, 0x2000_0000], EOPNOTSUPP, EOPNOTSUPP),
    ("sendto", &[3, 0, 0x2000_0000, 0x4000], ALLOW, ALLOW),
    ("sendmsg", &[3, 0, 0x2000_4000], EOPNOTSUPP, EOPNOTSUPP),
    ("sendmsg", &[3, 0, 0, 0x2000_0000], ALLOW, ALLOW),
    ("sendmmsg", &[3, 0, 1, 0x2000_0000], EOPNOTSUPP, EOPNOTSUPP),
    (
        "setsockopt",
        &[3, 6, 31],
        Answer::Errno(2),
        Answer::Errno(2),
    ),
    ("setsockopt", &[3, 6, 1], ALLOW, ALLOW),
    ("setsockopt", &[3, 1, 31], ALLOW, ALLOW),
    // Netfilter's tables, and the ordinary options next to them.
    ("setsockopt", &[3, 0, 64], EPERM, EPERM),
    ("setsockopt", &[3, 1 << 32, 1 << 32 | 65], EPERM, EPERM),
    ("setsockopt", &[3, 0, 1154], EPERM, EPERM),
    ("setsockopt", &[3, 41, 64], EPERM, EPERM),
    ("setsockopt", &[3, 41, 1 << 32 | 65], EPERM, EPERM),
    ("setsockopt", &[3, 0, 51], ALLOW, ALLOW),
    ("setsockopt", &[3, 0, 63], ALLOW, ALLOW),
    ("setsockopt", &[3, 41, 26], ALLOW, ALLOW),
    ("setsockopt", &[3, 41, 66], ALLOW, ALLOW),
    ("setsockopt", &[3, 41, 67], ALLOW, ALLOW),
    ("setsockopt", &[3, 1, 64], ALLOW, ALLOW),
    ("getsockopt", &[3, 0, 64], ALLOW, ALLOW),
    ("io_uring_setup", &[], EPERM, EPERM),
    ("io_uring_enter", &[], EPERM, EPERM),
    ("io_uring_register", &[], EPERM, EPERM),
    ("connect", &[], ALLOW, ALLOW),
    ("ptrace", &[], ALLOW, ALLOW),
];

#[test]
fn only_what_goes_round_landlock_is_refused() {
    for arch in ARCHES {
        for rules in EVERY {
            let filter = network_filter(rules, arch).unwrap();
            assert_eq!(filter, network_filter(rules, arch).unwrap());
            for (name, args, tcp, block) in CASES {
                let call = call(arch, name, args).unwrap();
                let expected = if rules == TcpPorts { *tcp } else { *block };
                assert_eq!(
                    ask(&filter, &[], &call),
                    expected,
                    "{name} {args:x?} {rules:?}"
                );
            }
        }
    }
}

#[test]
fn tcp_stays_unless_no_port_is_allowed() {
    for arch in ARCHES {
        for (rules, expected) in EVERY.into_iter().zip([ALLOW, ALLOW, EACCES]) {
            let filter = network_filter(rules, arch).unwrap();
            for args in TCP {
                let call = call(arch, "socket", args).unwrap();
                assert_eq!(ask(&filter, &[], &call), expected, "{args:x?} {rules:?}");
            }
        }
    }
}

/// A socket is IP's and allowed only if it is one of TCP, whatever the arguments.
#[test]
fn no_combination_of_arguments_leads_round() {
    let [ports, block, none] = EVERY.map(|rules| network_filter(rules, Arch::X86_64).unwrap());
    for family in 0..=50 {
        for kind in 0..16 {
            for flags in [0, 0x800, 0x80000, 1 << 32] {
                for protocol in (0..20).chain([58, 132, 136, 255, 256, 262, 263, 1 << 32 | 262]) {
                    let call = call(Arch::X86_64, "socket", &[family, kind | flags, protocol]);
                    let call = call.unwrap();
                    let is_ip = [2, 10].contains(&family);
                    let is_tcp = is_ip && kind == 1 && [0, 6].contains(&protocol);
                    let netlink = family == 16 && protocol != 0;
                    let local = [1, 16].contains(&family) && !netlink;
                    let raw =
                        [17, 21, 43, 44].contains(&family) || is_ip && [3, 10].contains(&kind);
                    let open = !raw && !netlink && (!is_ip || kind != 1 || is_tcp);
                    let answers = [&ports, &block, &none].map(|f| ask(f, &[], &call) == ALLOW);
                    assert_eq!(answers, [open, local || is_tcp, local], "{call:?}");
                }
            }
        }
    }
}

#[test]
fn calls_of_other_kinds_do_not_pass() {
    for arch in ARCHES {
        let filter = network_filter(TcpPorts, arch).unwrap();
        for number in 0..=600 {
            let mut call = Call::new(arch, number, &[2, 1, 262]);
            call.number |= 0x4000_0000;
            assert_eq!(ask(&filter, &[], &call), Answer::Errno(38));
            for foreign in [0x4000_0003, 0x4000_0028] {
                let mut call = Call::new(arch, number, &[]);
                call.arch = foreign;
                assert_eq!(ask(&filter, &[], &call), Answer::Kill);
            }
        }
    }
}
