//! The filter that completes Landlock's rules on TCP ports.
//!
//! Landlock judges bind(2) and connect(2) of plain TCP sockets. A connection can be made in other ways: with
//! MPTCP, SMC and RDS sockets, beneath which the kernel speaks TCP
//! (<https://github.com/landlock-lsm/linux/issues/54>); by sending with MSG_FASTOPEN, which connects
//! without connect(2) (<https://github.com/landlock-lsm/linux/issues/41>); by writing the packets oneself;
//! by having netfilter carry an allowed port's packets to another one; and through an io_uring, whose calls
//! no filter sees. And listen(2) on a socket that was never bound takes a port without bind(2).

use kubefence_launch_plan::{Arch, SeccompFilter};
use seccompiler::SeccompAction;

use crate::CompileError;
use crate::program::{ALLOW, Program, refuse};
use crate::rules::{Arg, Rules};
use crate::uapi::*;

/// What the filter is to complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NetworkRules {
    /// Some TCP ports are allowed: nothing else may do what TCP does. UDP stays open.
    TcpPorts,
    /// The network is blocked: only local sockets and routing netlink.
    Block {
        /// Some TCP ports are allowed all the same: TCP sockets stay, and Landlock judges their ports. Without,
        /// there are none, because one that is never bound can still listen.
        tcp: bool,
    },
}

const IP: [u32; 2] = [AF_INET, AF_INET6];

/// The type of a socket, without the flags in the same argument.
const STREAM: Arg = Arg::Masked(1, SOCK_TYPE_MASK, SOCK_STREAM);

/// The filter that completes Landlock for processes of `arch`.
///
/// # Errors
/// Only if this crate contradicts itself.
pub fn network_filter(rules: NetworkRules, arch: Arch) -> Result<SeccompFilter, CompileError> {
    let mut program = Program::new(arch)?.refuse_x32();
    for (rules, action) in ways_round_landlock(arch)? {
        program = program.then(rules, &action)?;
    }
    if let NetworkRules::Block { tcp } = rules {
        program = program.then(open_families(arch, tcp)?, &ALLOW)?.then(
            Rules::new(arch).all(["socket", "socketpair"])?,
            &refuse(EACCES),
        )?;
    }
    Ok(SeccompFilter {
        name: "network".to_owned(),
        arch,
        allowances: Vec::new(),
        program: program.otherwise(&ALLOW).encode()?,
    })
}

/// Each with the error of a kernel that cannot do it, for which programs have a way out.
fn ways_round_landlock(arch: Arch) -> Result<[(Rules, SeccompAction); 8], CompileError> {
    let new = || Rules::new(arch);
    Ok([
        (other_streams(new())?, refuse(EPROTONOSUPPORT)),
        (other_families(new())?, refuse(EAFNOSUPPORT)),
        (raw(new())?, refuse(EPERM)),
        (other_netlink(new())?, refuse(EPROTONOSUPPORT)),
        (netfilter_tables(new())?, refuse(EPERM)),
        (fast_open(new())?, refuse(EOPNOTSUPP)),
        // Turns a TCP socket into one of SMC, but also TLS in the kernel on: a filter cannot read which.
        (
            new().when(
                "setsockopt",
                &[Arg::Is(1, IPPROTO_TCP), Arg::Is(2, TCP_ULP)],
            )?,
            refuse(ENOENT),
        ),
        (
            new().all(["io_uring_setup", "io_uring_enter", "io_uring_register"])?,
            refuse(EPERM),
        ),
    ])
}

/// Streams of another protocol than TCP: MPTCP, SMC, SCTP.
fn other_streams(rules: Rules) -> Result<Rules, CompileError> {
    IP.into_iter().try_fold(rules, |rules, family| {
        let other = [Arg::IsNot(2, 0), Arg::IsNot(2, IPPROTO_TCP)];
        rules.when("socket", &[Arg::Is(0, family), STREAM, other[0], other[1]])
    })
}

/// Families whose sockets make the kernel itself connect to a TCP port.
fn other_families(rules: Rules) -> Result<Rules, CompileError> {
    rules
        .when("socket", &[Arg::Is(0, AF_SMC)])?
        .when("socket", &[Arg::Is(0, AF_RDS)])
}

/// Sockets through which a program with CAP_NET_RAW writes the packets itself.
fn raw(rules: Rules) -> Result<Rules, CompileError> {
    let mut rules = rules
        .when("socket", &[Arg::Is(0, AF_PACKET)])?
        .when("socket", &[Arg::Is(0, AF_XDP)])?;
    for family in IP {
        for kind in [SOCK_RAW, SOCK_PACKET] {
            let kind = Arg::Masked(1, SOCK_TYPE_MASK, kind);
            rules = rules.when("socket", &[Arg::Is(0, family), kind])?;
        }
    }
    Ok(rules)
}

/// Netlink of another protocol than routing. With CAP_NET_ADMIN, nftables among them redirects connections
/// from an allowed port to any other, after Landlock's check.
fn other_netlink(rules: Rules) -> Result<Rules, CompileError> {
    let other = Arg::IsNot(2, NETLINK_ROUTE);
    rules.when("socket", &[Arg::Is(0, AF_NETLINK), other])
}

/// The same through the older interfaces, which are options of any socket: of IPv4, all numbers from the first
/// of netfilter's on are its own (iptables, arptables, ebtables, IPVS); of IPv6, ordinary ones follow.
fn netfilter_tables(rules: Rules) -> Result<Rules, CompileError> {
    let option = |number| [Arg::Is(1, IPPROTO_IPV6), Arg::Is(2, number)];
    rules
        .when(
            "setsockopt",
            &[Arg::Is(1, IPPROTO_IP), Arg::AtLeast(2, IPT_SO_SET_REPLACE)],
        )?
        .when("setsockopt", &option(IPT_SO_SET_REPLACE))?
        .when("setsockopt", &option(IPT_SO_SET_ADD_COUNTERS))
}

fn fast_open(rules: Rules) -> Result<Rules, CompileError> {
    let flagged = |argument| Arg::Masked(argument, MSG_FASTOPEN, MSG_FASTOPEN);
    rules
        .when("sendto", &[flagged(3)])?
        .when("sendmsg", &[flagged(2)])?
        .when("sendmmsg", &[flagged(3)])
}

/// The sockets that stay when the network is blocked. (Of netlink and of streams, the ways round are refused
/// before.)
fn open_families(arch: Arch, tcp: bool) -> Result<Rules, CompileError> {
    let rules = Rules::new(arch)
        .when("socket", &[Arg::Is(0, AF_UNIX)])?
        .when("socket", &[Arg::Is(0, AF_NETLINK)])?
        .when("socketpair", &[Arg::Is(0, AF_UNIX)])?;
    let mut families = IP.into_iter().filter(|_| tcp);
    families.try_fold(rules, |rules, family| {
        rules.when("socket", &[Arg::Is(0, family), STREAM])
    })
}
