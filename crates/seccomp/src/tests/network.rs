//! What the network filter refuses, and what it leaves alone.

use kubefence_launch_plan::Arch;

use super::machine::{Answer, Call};
use super::{ARCHES, ask, call};
use crate::NetworkRules::{Block, TcpPorts};
use crate::network_filter;

const ALLOW: Answer = Answer::Allow;
const EPERM: Answer = Answer::Errno(1);
const EACCES: Answer = Answer::Errno(13);
const EPROTONOSUPPORT: Answer = Answer::Errno(93);
const EOPNOTSUPP: Answer = Answer::Errno(95);
const EAFNOSUPPORT: Answer = Answer::Errno(97);

/// Calls with their arguments, and the answers where ports are restricted and where all is blocked.
const CASES: &[(&str, &[u64], Answer, Answer)] = &[
    ("socket", &[2, 1, 0], ALLOW, ALLOW),
    ("socket", &[10, 1, 6], ALLOW, ALLOW),
    ("socket", &[2, 0x80801, 6], ALLOW, ALLOW),
    ("socket", &[1, 2, 0], ALLOW, ALLOW),
    ("socket", &[16, 3, 0], ALLOW, ALLOW),
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
    ("io_uring_setup", &[], EPERM, EPERM),
    ("io_uring_enter", &[], EPERM, EPERM),
    ("io_uring_register", &[], EPERM, EPERM),
    ("connect", &[], ALLOW, ALLOW),
    ("ptrace", &[], ALLOW, ALLOW),
];

#[test]
fn only_what_goes_round_landlock_is_refused() {
    for arch in ARCHES {
        for (rules, pick) in [(TcpPorts, 0), (Block, 1)] {
            let filter = network_filter(rules, arch).unwrap();
            assert_eq!(filter, network_filter(rules, arch).unwrap());
            for (name, args, tcp, block) in CASES {
                let call = call(arch, name, args).unwrap();
                let expected = [*tcp, *block][pick];
                assert_eq!(
                    ask(&filter, &[], &call),
                    expected,
                    "{name} {args:x?} {rules:?}"
                );
            }
        }
    }
}

/// A socket is IP's and allowed only if it is one of TCP, whatever the arguments.
#[test]
fn no_combination_of_arguments_leads_round() {
    let ports = network_filter(TcpPorts, Arch::X86_64).unwrap();
    let block = network_filter(Block, Arch::X86_64).unwrap();
    for family in 0..=50 {
        for kind in 0..16 {
            for flags in [0, 0x800, 0x80000, 1 << 32] {
                for protocol in (0..20).chain([58, 132, 136, 255, 256, 262, 263, 1 << 32 | 262]) {
                    let call = call(Arch::X86_64, "socket", &[family, kind | flags, protocol]);
                    let call = call.unwrap();
                    let is_ip = [2, 10].contains(&family);
                    let is_tcp = is_ip && kind == 1 && [0, 6].contains(&protocol);
                    let local = [1, 16].contains(&family);
                    let expected = local || is_tcp;
                    assert_eq!(ask(&block, &[], &call) == ALLOW, expected, "{call:?}");
                    let raw =
                        [17, 21, 43, 44].contains(&family) || is_ip && [3, 10].contains(&kind);
                    let expected = !raw && (!is_ip || kind != 1 || is_tcp);
                    assert_eq!(ask(&ports, &[], &call) == ALLOW, expected, "{call:?}");
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
