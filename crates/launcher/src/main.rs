//! `nono`: reads a launch plan, restricts itself with Landlock, becomes the workload.
//!
//! It runs as the first process of every sandboxed container, inside an image that it does not
//! trust. [`launch`] is the recipe; every other module is one step of it.
//!
//! Invariants:
//! - Whatever cannot be enforced ends the launch before the workload runs.
//! - The workload receives what the launcher received: signals, umask, limits, cwd, argv, env. That is
//!   why there is no Rust runtime around [`main`]: it would ignore SIGPIPE and open closed
//!   descriptors 0 to 2.
//! - One thread, no allocation of shared state, all `unsafe` in [`sys`].
//!
//! Not here: profiles (the host compiles them to plans) and any decision about them.

#![cfg_attr(not(test), no_main)]
#![cfg_attr(test, allow(dead_code))]

mod args;
mod command;
mod deny;
mod errno;
mod launch;
mod listing;
mod mounts;
mod place_source;
mod places;
mod plan_file;
mod procfs;
mod report;
mod ruleset;
mod seccomp;
mod state;
mod sys;
mod tokens;
mod variables;
mod volumes;
mod workdir;

/// The entry point that the C start-up code calls.
// SAFETY: the symbol `main` is defined once, with the signature that the C start-up code calls.
#[cfg(not(test))]
#[allow(unsafe_code)]
#[unsafe(no_mangle)]
extern "C" fn main(_argc: i32, argv: sys::StringArray, envp: sys::StringArray) -> i32 {
    report::report_panics();
    launch::run(&sys::Start::received(argv, envp)).into()
}
