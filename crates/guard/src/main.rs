//! `nono-runc`: an OCI runtime wrapper that starts no process of a container outside its sandbox.
//!
//! A container runtime calls it in place of the real OCI runtime, which it becomes (execve) when it is done. [`run`] is
//! the way through; [`create`], [`exec`] and [`delete`] are what it acts on.
//!
//! Invariants:
//! - What starts a process in a container goes through [`create`] or [`exec`], or is refused: also what is not
//!   understood, and everything while the configuration is broken.
//! - What ends containers is never refused.
//! - Nothing in the image or in the container decides whether, or under which profile, its processes are confined.
//! - The runtime receives what the guard received: signals, descriptors, environment, and all arguments that the guard
//!   need not change. That is why there is no Rust runtime around [`main`]: it would ignore SIGPIPE.
//!
//! Not here: profiles (compiled to plans before) and confinement itself (the launcher).

#![cfg_attr(not(test), no_main)]
#![cfg_attr(test, allow(dead_code))]

mod adopt;
mod annotations;
mod command_line;
mod config;
mod confinement;
mod create;
mod delete;
mod exec;
mod files;
mod json;
mod mounts;
mod openings;
mod report;
mod rootfs;
mod run;
mod spec;
mod sys;
mod variables;

/// The entry point that the C start-up code calls.
// SAFETY: the symbol `main` is defined once, with the signature that the C start-up code calls.
#[cfg(not(test))]
#[allow(unsafe_code)]
#[unsafe(no_mangle)]
extern "C" fn main(_argc: i32, argv: sys::StringArray, envp: sys::StringArray) -> i32 {
    run::run(&sys::Start::received(argv, envp)).into()
}
