//! The list itself.

use super::{Effect, Key, Kind};

const fn applied(path: &'static str, kind: Kind, about: &'static str) -> Key {
    let effect = Effect::Applied;
    Key {
        path,
        kind,
        effect,
        about,
    }
}

const fn ignored(path: &'static str, about: &'static str) -> Key {
    let (kind, effect) = (Kind::Any, Effect::Ignored);
    Key {
        path,
        kind,
        effect,
        about,
    }
}

const fn refused(path: &'static str, about: &'static str) -> Key {
    let (kind, effect) = (Kind::Any, Effect::Refused);
    Key {
        path,
        kind,
        effect,
        about,
    }
}

const WORKDIR_ACCESS: &[&str] = &["none", "read", "write", "readwrite"];
const SIGNAL_MODES: &[&str] = &["isolated", "allow_same_sandbox", "allow_all"];
const IPC_MODES: &[&str] = &["shared_memory_only", "full"];
const VOLUMES: &[&str] = &["none", "read", "as-mounted"];
const ON_MISSING: &[&str] = &["refuse", "report"];

/// Under `wrap` there is nothing left of the launcher that could filter.
const PROXY: &str = "it needs proxy network filtering, and nono wrap does not support proxy mode: it requires \
     nono run; choose another profile, or drop network_profile (null, in TOML \"\", drops that of a base) and state \
     network.block, connect_port or listen_port";
const ENVIRONMENT: &str = "the launcher hands over the environment unchanged: set it in the pod";
const SUPERVISOR: &str = "it needs a supervisor, and under wrap none remains beside the workload";
const HOST: &str =
    "it prepares the host of an interactive run; a container has its image and its pod instead";
const MACOS: &str = "it is for macOS";
const SOCKETS: &str = "a unix socket is reached where its path can be resolved; grant the directory with \
     filesystem.read or filesystem.allow";

/// Every key, sections in the order in which people look for them.
pub const KEYS: &[Key] = &[
    applied(
        "$schema",
        Kind::Text,
        "where the JSON Schema lies, for editors",
    ),
    applied(
        "meta.name",
        Kind::Text,
        "the name that pods use; the file's name without its ending, if it is not stated",
    ),
    applied("meta.version", Kind::Text, "for people"),
    applied("meta.description", Kind::Text, "one sentence for people"),
    applied("meta.author", Kind::Text, "for people"),
    applied(
        "extends",
        Kind::NameOrNames,
        "profiles that this one builds on: their lists come first, and what this one says once wins; at most 10 deep",
    ),
    applied("groups.include", Kind::Names, "shared groups that it takes"),
    applied(
        "groups.exclude",
        Kind::Names,
        "groups of the profiles it extends that it does not take; groups that protect secrets cannot be excluded",
    ),
    applied(
        "security.groups",
        Kind::Names,
        "older spelling of groups.include",
    ),
    applied(
        "filesystem.allow",
        Kind::Paths,
        "directories to read, write and execute in",
    ),
    applied(
        "filesystem.read",
        Kind::Paths,
        "directories or files to read and execute",
    ),
    applied("filesystem.write", Kind::Paths, "directories to write in"),
    applied(
        "filesystem.allow_file",
        Kind::Paths,
        "files to read, write and execute; earns nothing where a directory stands",
    ),
    applied(
        "filesystem.read_file",
        Kind::Paths,
        "files to read and execute; earns nothing where a directory stands",
    ),
    applied(
        "filesystem.write_file",
        Kind::Paths,
        "files to write; earns nothing where a directory stands",
    ),
    applied(
        "filesystem.state",
        Kind::Paths,
        "directories like those of allow, made with mode 0700 before the launch if they do not exist; below a variable only",
    ),
    applied(
        "filesystem.state_file",
        Kind::Paths,
        "files to read and write, made empty with mode 0600 before the launch if they do not exist; below a variable only",
    ),
    applied(
        "filesystem.deny",
        Kind::Paths,
        "places that nothing may open up: a grant that holds one, or lies in one, is dropped",
    ),
    applied(
        "filesystem.volumes",
        Kind::Choice(VOLUMES),
        "the pod's own volumes: none (default), read, or what they are mounted for; never those with service-account tokens, nor the one that holds the home as a whole",
    ),
    applied(
        "workdir.access",
        Kind::Choice(WORKDIR_ACCESS),
        "the working directory and all below it (default none)",
    ),
    applied(
        "network.block",
        Kind::Flag,
        "deny all of the network except the TCP ports listed and unix sockets (default false)",
    ),
    applied(
        "network.connect_port",
        Kind::Ports,
        "remote TCP ports; stating any denies all others",
    ),
    applied(
        "network.listen_port",
        Kind::Ports,
        "local TCP ports; stating any denies all others",
    ),
    applied("network.network_profile", Kind::Text, PROXY),
    applied(
        "security.signal_mode",
        Kind::Choice(SIGNAL_MODES),
        "isolated and allow_same_sandbox: only processes of the same sandbox can be signalled, which does not include those of an exec (default allow_all)",
    ),
    applied(
        "security.ipc_mode",
        Kind::Choice(IPC_MODES),
        "shared_memory_only: abstract unix sockets made outside of the sandbox cannot be connected to (default full)",
    ),
    applied(
        "landlock.min_abi",
        Kind::Number,
        "the oldest Landlock ABI on which the profile may run (default 1)",
    ),
    applied(
        "landlock.log_denials",
        Kind::Flag,
        "whether denials are audited, from ABI 7 on (default true)",
    ),
    applied(
        "landlock.on_missing",
        Kind::Choice(ON_MISSING),
        "what happens where the kernel is too old for a part of the profile: refuse containers (default), or run them without that part and report it",
    ),
    // What upstream nono has besides.
    ignored(
        "filesystem.bypass_protection",
        "what a group denies stays denied",
    ),
    ignored("filesystem.suppress_save_prompt", SUPERVISOR),
    ignored("filesystem.unix_socket", SOCKETS),
    ignored("filesystem.unix_socket_bind", SOCKETS),
    ignored("filesystem.unix_socket_dir", SOCKETS),
    ignored("filesystem.unix_socket_dir_bind", SOCKETS),
    ignored("filesystem.unix_socket_subtree", SOCKETS),
    ignored("filesystem.unix_socket_subtree_bind", SOCKETS),
    refused("network.allow_domain", PROXY),
    refused("network.proxy_allow", PROXY),
    refused("network.deny_domain", PROXY),
    refused("network.credentials", PROXY),
    refused("network.proxy_credentials", PROXY),
    refused("network.custom_credentials", PROXY),
    refused("network.upstream_proxy", PROXY),
    refused("network.external_proxy", PROXY),
    refused("network.approval_backends", PROXY),
    refused("network.tls_intercept", PROXY),
    refused(
        "network.open_port",
        "Landlock cannot tell local from remote addresses: state connect_port and listen_port",
    ),
    refused(
        "network.open_port_range",
        "Landlock takes single ports: state connect_port and listen_port",
    ),
    refused(
        "network.listen_port_range",
        "Landlock takes single ports: state listen_port",
    ),
    ignored(
        "network.allow_http2",
        "it tunes the proxy, which wrap does not have",
    ),
    ignored(
        "network.no_proxy",
        "it tunes the proxy, which wrap does not have",
    ),
    ignored(
        "network.upstream_bypass",
        "it tunes the proxy, which wrap does not have",
    ),
    ignored(
        "network.approval_defaults",
        "it tunes the proxy, which wrap does not have",
    ),
    ignored(
        "security.process_info_mode",
        "Landlock keeps processes outside of the sandbox from being traced; what /proc lists of them is not hidden, nor does upstream hide it on Linux",
    ),
    ignored("security.capability_elevation", SUPERVISOR),
    ignored("security.approval_backends", SUPERVISOR),
    ignored("security.approval_defaults", SUPERVISOR),
    ignored("security.wsl2_proxy_policy", "it is for WSL2"),
    ignored(
        "security.allowed_commands",
        "it loosens a check of command names that wrap does not make",
    ),
    ignored(
        "commands.allow",
        "it loosens a check of command names that wrap does not make",
    ),
    ignored(
        "commands.deny",
        "a check of the first command's name is no protection: its children are not checked",
    ),
    ignored(
        "deny.commands",
        "a check of the first command's name is no protection: its children are not checked",
    ),
    refused(
        "command_policies",
        "the commands inside of a container cannot be told apart without a supervisor",
    ),
    refused("environment.allow_vars", ENVIRONMENT),
    refused("environment.deny_vars", ENVIRONMENT),
    ignored("environment.case_insensitive_vars", ENVIRONMENT),
    ignored("environment.set_vars", ENVIRONMENT),
    refused(
        "linux.af_unix_mediation",
        "unix sockets cannot be mediated under wrap",
    ),
    refused("linux.isolate", "namespaces are the container runtime's"),
    ignored("linux.sandbox_policy", "Landlock is always used"),
    refused(
        "platform_overrides.linux",
        "state what is to hold on Linux in the profile itself",
    ),
    ignored("platform_overrides.macos", MACOS),
    ignored("platform_overrides.windows", "it is for Windows"),
    refused(
        "policy",
        "an older form: use groups.exclude and filesystem instead",
    ),
    ignored("hooks", HOST),
    ignored("session_hooks", HOST),
    ignored("undo", SUPERVISOR),
    ignored("rollback", SUPERVISOR),
    ignored("trust", HOST),
    ignored("open_urls", SUPERVISOR),
    ignored(
        "env_credentials",
        "secrets reach a container through its pod",
    ),
    ignored("secrets", "secrets reach a container through its pod"),
    ignored(
        "credential_capture",
        "secrets reach a container through its pod",
    ),
    ignored(
        "credential_providers",
        "secrets reach a container through its pod",
    ),
    ignored(
        "credential_routes",
        "secrets reach a container through its pod",
    ),
    ignored("diagnostics", "denials are in the node's audit log"),
    ignored(
        "interactive",
        "a container has a terminal if its pod says so",
    ),
    ignored("packs", HOST),
    ignored("binary", "the pod names the command"),
    ignored("command_args", "the pod names the arguments"),
    ignored("skipdirs", SUPERVISOR),
    ignored(
        "allow_gpu",
        "grant the device files with filesystem.allow_file",
    ),
    ignored("allow_launch_services", MACOS),
    ignored("allow_parent_of_protected", MACOS),
    ignored("unsafe_macos_seatbelt_rules", MACOS),
];
