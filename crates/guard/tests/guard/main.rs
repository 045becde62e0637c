//! The built guard between a container runtime, which these tests play, and an OCI runtime that only records what it
//! is asked to do. That real runtimes understand the same is for the tests on real ones.

#![forbid(unsafe_code)]

mod create;
mod delete;
mod exec;
mod harness;
mod passing;
