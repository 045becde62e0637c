//! Numbers of the kernel's interface, the same on both architectures.

// Error numbers (errno(3)).
pub(crate) const EPERM: u32 = 1;
pub(crate) const ENOENT: u32 = 2;
pub(crate) const EACCES: u32 = 13;
pub(crate) const ENOSYS: u32 = 38;
pub(crate) const EPROTONOSUPPORT: u32 = 93;
pub(crate) const EOPNOTSUPP: u32 = 95;
pub(crate) const EAFNOSUPPORT: u32 = 97;

// Address families (socket(2)).
pub(crate) const AF_UNIX: u32 = 1;
pub(crate) const AF_INET: u32 = 2;
pub(crate) const AF_INET6: u32 = 10;
pub(crate) const AF_NETLINK: u32 = 16;
pub(crate) const AF_PACKET: u32 = 17;
pub(crate) const AF_RDS: u32 = 21;
pub(crate) const AF_ALG: u32 = 38;
pub(crate) const AF_NFC: u32 = 39;
pub(crate) const AF_KCM: u32 = 41;
pub(crate) const AF_QIPCRTR: u32 = 42;
pub(crate) const AF_SMC: u32 = 43;
pub(crate) const AF_XDP: u32 = 44;
pub(crate) const AF_MCTP: u32 = 45;

// Types of sockets; other bits of the argument are flags.
pub(crate) const SOCK_TYPE_MASK: u32 = 0xf;
pub(crate) const SOCK_STREAM: u32 = 1;
pub(crate) const SOCK_RAW: u32 = 3;
pub(crate) const SOCK_PACKET: u32 = 10;

// Protocols, of IP and netlink; those of IP are levels of options, too.
pub(crate) const IPPROTO_IP: u32 = 0;
pub(crate) const IPPROTO_TCP: u32 = 6;
pub(crate) const IPPROTO_IPV6: u32 = 41;
pub(crate) const NETLINK_ROUTE: u32 = 0;

pub(crate) const MSG_FASTOPEN: u32 = 0x2000_0000;
pub(crate) const TCP_ULP: u32 = 31;
// linux/netfilter_ipv4/ip_tables.h; the same numbers for IPv6 as IP6T_SO_*.
pub(crate) const IPT_SO_SET_REPLACE: u32 = 64;
pub(crate) const IPT_SO_SET_ADD_COUNTERS: u32 = 65;

/// CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET. (The bit of CLONE_NEWTIME is part of
/// the exit signal in clone(2).)
pub(crate) const CLONE_NEW: u32 = 0x7e02_0000;

// What a terminal is asked to act on as if typed.
pub(crate) const TIOCSTI: u32 = 0x5412;
pub(crate) const TIOCLINUX: u32 = 0x541c;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_libc() {
        let pairs: [(u32, i64); 32] = [
            (EPERM, libc::EPERM.into()),
            (ENOENT, libc::ENOENT.into()),
            (EACCES, libc::EACCES.into()),
            (ENOSYS, libc::ENOSYS.into()),
            (EPROTONOSUPPORT, libc::EPROTONOSUPPORT.into()),
            (EOPNOTSUPP, libc::EOPNOTSUPP.into()),
            (EAFNOSUPPORT, libc::EAFNOSUPPORT.into()),
            (AF_UNIX, libc::AF_UNIX.into()),
            (AF_INET, libc::AF_INET.into()),
            (AF_INET6, libc::AF_INET6.into()),
            (AF_NETLINK, libc::AF_NETLINK.into()),
            (AF_PACKET, libc::AF_PACKET.into()),
            (AF_RDS, libc::AF_RDS.into()),
            (AF_ALG, libc::AF_ALG.into()),
            (AF_NFC, libc::AF_NFC.into()),
            (AF_XDP, libc::AF_XDP.into()),
            (SOCK_STREAM, libc::SOCK_STREAM.into()),
            (SOCK_RAW, libc::SOCK_RAW.into()),
            (IPPROTO_TCP, libc::IPPROTO_TCP.into()),
            (IPPROTO_IP, libc::IPPROTO_IP.into()),
            (IPPROTO_IPV6, libc::IPPROTO_IPV6.into()),
            (NETLINK_ROUTE, libc::NETLINK_ROUTE.into()),
            (MSG_FASTOPEN, libc::MSG_FASTOPEN.into()),
            (TCP_ULP, libc::TCP_ULP.into()),
            (CLONE_NEW & 0x0002_0000, libc::CLONE_NEWNS.into()),
            (CLONE_NEW & 0x0200_0000, libc::CLONE_NEWCGROUP.into()),
            (CLONE_NEW & 0x0400_0000, libc::CLONE_NEWUTS.into()),
            (CLONE_NEW & 0x0800_0000, libc::CLONE_NEWIPC.into()),
            (CLONE_NEW & 0x1000_0000, libc::CLONE_NEWUSER.into()),
            (CLONE_NEW & 0x2000_0000, libc::CLONE_NEWPID.into()),
            (CLONE_NEW & 0x4000_0000, libc::CLONE_NEWNET.into()),
            (TIOCSTI, i64::try_from(libc::TIOCSTI).unwrap()),
        ];
        for (ours, theirs) in pairs {
            assert_eq!(i64::from(ours), theirs);
        }
    }
}
