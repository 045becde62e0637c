//! The battery as data.

use super::Battery;
use super::Place::{self, HostPid, Isolated, Privileged, UserNamespace};

const FILES: &str = "Landlock: no rule grants the file's place";
const REFER: &str = "Landlock: no link or rename between places of different rights";
const DOMAIN: &str = "Landlock: a domain may not look into processes outside of it";
const MOUNTS: &str = "Landlock: no change of mounts";
const CREDENTIALS: &str = "Landlock: whoever resolves the path does so with the caller's domain";
const NO_NEW_PRIVS: &str = "no_new_privs";
const STATIC: &str = "the launcher is static and loads nothing; what runs after it is confined";
const INHERITED: &str = "Landlock: every program that is started inherits the domain";

/// Where capabilities over the initial user namespace are missing.
const NO_DEVICES: &[Place] = &[UserNamespace];

/// All of them.
pub const BATTERY: &[Battery] = &[
    Battery::everywhere("read-secret", "open a file outside of all grants", FILES),
    Battery::everywhere(
        "read-volume",
        "open a file on a volume that the profile does not take",
        FILES,
    ),
    Battery::everywhere("write-etc", "make a file in /etc", FILES),
    Battery::everywhere(
        "list-secret",
        "list a directory outside of all grants",
        FILES,
    ),
    Battery::everywhere(
        "truncate-secret",
        "truncate a file outside of all grants",
        FILES,
    ),
    Battery::everywhere(
        "unlink-secret",
        "remove a file outside of all grants",
        FILES,
    ),
    Battery::everywhere(
        "dot-dot",
        "reach it through `..` of a granted directory",
        FILES,
    ),
    Battery::everywhere(
        "working-directory",
        "change to its directory and open it by its bare name",
        FILES,
    ),
    Battery::everywhere(
        "symlinks",
        "reach it through links in a granted directory",
        FILES,
    ),
    Battery::everywhere("hard-link", "link it into a granted directory", REFER),
    Battery::everywhere(
        "hard-link-descriptor",
        "link it there through an O_PATH descriptor",
        REFER,
    ),
    Battery::everywhere("rename-across", "rename it into a granted directory", REFER),
    Battery::everywhere(
        "rename-exchange",
        "swap it with a file in a granted directory",
        REFER,
    ),
    Battery::everywhere(
        "opath-reopen",
        "open it with O_PATH, then again through /proc/self/fd",
        FILES,
    ),
    Battery::everywhere(
        "opath-directory",
        "open its directory with O_PATH, then the file below",
        FILES,
    ),
    Battery::everywhere(
        "proc-self-root",
        "reach it through /proc/self/root and /proc/thread-self/cwd",
        FILES,
    ),
    Battery::everywhere(
        "openat2-in-root",
        "open it by openat2 with RESOLVE_IN_ROOT, RESOLVE_BENEATH, RESOLVE_CACHED",
        FILES,
    ),
    Battery::everywhere(
        "chroot",
        "make its directory the root and open it there",
        FILES,
    ),
    Battery::everywhere(
        "io-uring-open",
        "let a worker of io_uring open it",
        CREDENTIALS,
    ),
    Battery::everywhere(
        "io-uring-poll",
        "let the polling thread of io_uring open it",
        CREDENTIALS,
    ),
    Battery::everywhere(
        "mknod-block",
        "make a block device of the host's disk in a granted directory",
        "Landlock: no rule grants making devices",
    )
    .impossible(NO_DEVICES),
    Battery::everywhere(
        "mknod-memory",
        "make a character device of the memory there",
        "Landlock: no rule grants making devices",
    )
    .impossible(NO_DEVICES),
    Battery::everywhere(
        "userns-mount",
        "bind-mount its directory into a granted one, in a new user namespace",
        MOUNTS,
    ),
    Battery::everywhere(
        "userns-move-mount",
        "the same by open_tree and move_mount",
        MOUNTS,
    ),
    Battery::everywhere(
        "userns-detached-mount",
        "open it below a detached clone of its mount",
        FILES,
    ),
    Battery::everywhere(
        "userns-overlay",
        "open it through an overlay over its directory that is mounted nowhere",
        FILES,
    ),
    Battery::everywhere(
        "userns-pivot-root",
        "change the root in a new user namespace",
        MOUNTS,
    ),
    Battery::everywhere(
        "userns-unmount",
        "mount over its directory and unmount again",
        MOUNTS,
    ),
    Battery::everywhere(
        "bind-mount",
        "bind-mount its directory as privileged root",
        MOUNTS,
    )
    .only(&[Privileged]),
    Battery::everywhere(
        "detached-mount",
        "open it below a detached clone of its mount, as privileged root",
        FILES,
    )
    .only(&[Privileged]),
    Battery::everywhere(
        "ptrace-sibling",
        "trace PID 1, an exec'd process or a sidecar, and read its memory",
        DOMAIN,
    ),
    Battery::everywhere(
        "proc-root",
        "reach a file through another process's /proc/PID/root",
        DOMAIN,
    ),
    Battery::everywhere(
        "proc-cwd",
        "reach a file through another process's /proc/PID/cwd",
        DOMAIN,
    ),
    Battery::everywhere(
        "proc-mem",
        "read another process's memory through /proc/PID/mem",
        DOMAIN,
    ),
    Battery::everywhere("proc-environ", "read another process's environment", DOMAIN)
        .open(&[Privileged]),
    Battery::everywhere(
        "proc-fd",
        "open another process's descriptor through /proc/PID/fd",
        DOMAIN,
    ),
    Battery::everywhere(
        "process-vm-readv",
        "read another process's memory by process_vm_readv",
        DOMAIN,
    ),
    Battery::everywhere(
        "pidfd-getfd",
        "take another process's descriptor by pidfd_getfd",
        DOMAIN,
    ),
    Battery::everywhere("setns", "enter another container's mount namespace", DOMAIN)
        .only(&[Privileged]),
    Battery::everywhere(
        "abstract-socket",
        "connect to another domain's abstract socket",
        "Landlock scope, if the profile isolates sockets; `default` does not",
    )
    .only(&[Isolated]),
    Battery::everywhere(
        "signal-other-domain",
        "signal another domain's process",
        "Landlock scope, if the profile isolates signals; `default` does not",
    )
    .only(&[Isolated]),
    Battery::everywhere(
        "memfd-exec",
        "read the file from a program that exists only in memory",
        INHERITED,
    ),
    Battery::everywhere(
        "shm-exec",
        "execute a program that was written to /dev/shm",
        "Landlock: nothing in /dev/shm can be executed",
    ),
    Battery::everywhere(
        "exec-ungranted",
        "execute a program outside of all grants: by path, by descriptor, by the loader",
        FILES,
    ),
    Battery::everywhere(
        "loader-direct",
        "read the file from a program that the dynamic loader runs",
        INHERITED,
    ),
    Battery::everywhere(
        "nested-shells-20",
        "read the file from the innermost of 20 shells",
        INHERITED,
    ),
    Battery::everywhere(
        "setuid",
        "become root through set-uid programs, the image's and one's own",
        NO_NEW_PRIVS,
    ),
    Battery::everywhere(
        "file-capabilities",
        "gain a capability from a program that carries it",
        NO_NEW_PRIVS,
    ),
    Battery::module(
        "ld-preload",
        "hostile-preload.so",
        "run image code in the launcher by LD_PRELOAD",
        STATIC,
    ),
    Battery::module(
        "ld-audit",
        "hostile-audit.so",
        "run image code in the launcher by LD_AUDIT",
        STATIC,
    ),
    Battery::module(
        "ld-so-preload",
        "hostile-etc-preload.so",
        "run image code in the launcher by /etc/ld.so.preload",
        STATIC,
    ),
    Battery::loader(
        "dynamic-loader",
        "hostile-loader",
        "run image code as the launcher's dynamic loader",
        STATIC,
    ),
    Battery::module(
        "nss",
        "hostile-libnss_hostile.so.2",
        "run image code in the launcher as a name service",
        STATIC,
    ),
    Battery::module(
        "gconv",
        "hostile-gconv.so",
        "run image code in the launcher as a character set",
        STATIC,
    ),
    Battery::everywhere(
        "core-pattern",
        "open the kernel's core_pattern for writing",
        FILES,
    )
    .only(&[Privileged, HostPid]),
    Battery::everywhere(
        "disk-read",
        "read the host's disk through its device",
        FILES,
    )
    .only(&[Privileged]),
    Battery::everywhere("by-handle", "open a file of a volume by its handle", FILES)
        .only(&[Privileged]),
    Battery::everywhere(
        "host-root",
        "reach the host's files through a host process's /proc/PID/root",
        DOMAIN,
    )
    .only(&[HostPid]),
    Battery::everywhere("host-setns", "enter the host's mount namespace", DOMAIN).only(&[HostPid]),
    Battery::everywhere("host-memory", "write a host process's memory", DOMAIN).only(&[HostPid]),
    Battery::everywhere(
        "host-signal",
        "signal a host process",
        "nothing: a pod with hostPID can signal, unless its profile isolates signals",
    )
    .only(&[HostPid])
    .open(&[HostPid]),
    Battery::everywhere(
        "kernel-bpf",
        "load a program into the kernel",
        "nothing: a privileged pod has the kernel's other interfaces",
    )
    .only(&[Privileged])
    .open(&[Privileged]),
];
