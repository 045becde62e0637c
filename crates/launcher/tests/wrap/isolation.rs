//! TCP ports and scopes.

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::process::Command;

use kubefence_launch_plan::{NetRight, Scope};

use crate::harness::*;

/// Perl that exits with the error number of one call on a TCP socket.
fn tcp(call: &str, port: u16) -> String {
    format!(
        "use Socket; socket(S, AF_INET, SOCK_STREAM, 0) or exit 99;
         setsockopt(S, SOL_SOCKET, SO_REUSEADDR, 1);
         exit({call}(S, pack_sockaddr_in({port}, INADDR_LOOPBACK)) ? 0 : $!)"
    )
}

fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

#[test]
fn only_listed_ports_can_be_connected_to() {
    let ((_a, allowed), (_b, other)) = (listener(), listener());
    let plan = plan()
        .handle(NetRight::ALL, &[])
        .port(allowed, &[NetRight::ConnectTcp]);
    let node = Node::new(&plan);
    for (port, code) in [(allowed, 0), (other, libc::EACCES)] {
        let argv = ["perl", "-e", &tcp("connect", port)];
        assert_eq!(run(&mut node.wrap(&argv)).code, Some(code), "{port}");
        run(&mut node.bare(&argv)).succeeded();
    }
}

#[test]
fn only_listed_ports_can_be_bound() {
    let (allowed, other) = (listener().1, listener().1);
    let plan = plan()
        .handle(NetRight::ALL, &[])
        .port(allowed, &[NetRight::BindTcp]);
    let node = Node::new(&plan);
    for (port, code) in [(allowed, 0), (other, libc::EACCES)] {
        let argv = ["perl", "-e", &tcp("bind", port)];
        assert_eq!(run(&mut node.wrap(&argv)).code, Some(code), "{port}");
        run(&mut node.bare(&argv)).succeeded();
    }
}

#[test]
fn one_right_on_a_port_is_not_the_other() {
    let (_listener, port) = listener();
    for (right, granted) in [
        (NetRight::ConnectTcp, "connect"),
        (NetRight::BindTcp, "bind"),
    ] {
        let node = Node::new(&plan().handle(NetRight::ALL, &[]).port(port, &[right]));
        for call in ["connect", "bind"] {
            let code = run(&mut node.wrap(&["perl", "-e", &tcp(call, port)])).code;
            // To bind a port that is listened on fails for want of the port, not of the right.
            let refused = code == Some(libc::EACCES);
            assert_eq!(refused, call != granted, "{right}: {call}: {code:?}");
        }
        run(&mut node.bare(&["perl", "-e", &tcp("connect", port)])).succeeded();
    }
}

#[test]
fn ports_are_the_same_for_ipv6() {
    let listener = || TcpListener::bind("[::1]:0").unwrap();
    let (allowed, other) = (listener(), listener());
    let [allowed_port, other_port] = [&allowed, &other].map(|l| l.local_addr().unwrap().port());
    let plan = plan()
        .handle(NetRight::ALL, &[])
        .port(allowed_port, &[NetRight::ConnectTcp]);
    let node = Node::new(&plan);
    for (port, code) in [(allowed_port, 0), (other_port, libc::EACCES)] {
        let script = tcp("connect", port)
            .replace("AF_INET,", "AF_INET6,")
            .replace("pack_sockaddr_in", "pack_sockaddr_in6")
            .replace("INADDR_LOOPBACK", "inet_pton(AF_INET6, '::1')")
            .replace(
                "use Socket;",
                "use Socket qw(:DEFAULT inet_pton pack_sockaddr_in6);",
            );
        let argv = ["perl", "-e", &script];
        assert_eq!(run(&mut node.wrap(&argv)).code, Some(code), "{port}");
        run(&mut node.bare(&argv)).succeeded();
    }
}

#[test]
fn a_plan_without_tcp_rights_leaves_the_network_alone() {
    let (_a, port) = listener();
    let node = Node::new(&plan());
    run(&mut node.wrap(&["perl", "-e", &tcp("connect", port)])).succeeded();
}

#[test]
fn processes_outside_cannot_be_signalled() {
    let node = Node::new(&plan().handle(&[], &[Scope::Signal]));
    let mut outside = Command::new("sleep").arg("60").spawn().unwrap();
    let script = format!("kill -CONT {}", outside.id());
    let denied = run(&mut node.wrap_sh(&script)).denied();
    let bare = run(&mut node.bare_sh(&script));
    let unscoped = run(&mut Node::new(&plan()).wrap_sh(&script));
    let within = run(&mut node.wrap_sh("sleep 60 & kill $! && ! wait $!"));
    outside.kill().unwrap();
    outside.wait().unwrap();
    assert!(denied.stderr.contains("not permitted"), "{denied:?}");
    bare.succeeded();
    unscoped.succeeded();
    assert_eq!(within.code, Some(0), "{within:?}");
}

#[test]
fn abstract_sockets_outside_cannot_be_reached() {
    let node = Node::new(&plan().handle(&[], &[Scope::AbstractUnixSocket]));
    let name = format!("nono-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let _listener = UnixListener::bind_addr(&address).unwrap();
    let client = format!(
        "use Socket; socket(S, AF_UNIX, SOCK_STREAM, 0);
         exit(connect(S, pack('S a*', AF_UNIX, \"\\0{name}\")) ? 0 : $!)"
    );
    let argv = ["perl", "-e", &client];
    assert_eq!(run(&mut node.wrap(&argv)).code, Some(libc::EPERM));
    run(&mut node.bare(&argv)).succeeded();
    let within = client
        .replace("exit(", "socket(L, AF_UNIX, SOCK_STREAM, 0); bind(L, $a = pack('S a*', AF_UNIX, \"\\0in\")) && listen(L, 1) or exit 99; exit(")
        .replace(&name, "in");
    run(&mut node.wrap(&["perl", "-e", &within])).succeeded();
}
