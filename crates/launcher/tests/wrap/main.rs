//! The real `nono` on the real kernel: run as root, on Landlock ABI 7 or later, with busybox-static,
//! gcc, perl and util-linux installed. What is missing makes a test fail; nothing is skipped.
//!
//! `NONO_UNDER_TEST` names the binary to test; it must be static. Without it, the one that cargo built.
//! Every denial has its twin: the same operation succeeds without the sandbox.

#![allow(unsafe_code)] // what a child inherits is set between fork and exec

mod commands;
mod harness;
mod homes;
mod inheritance;
mod isolation;
mod kernels;
mod places;
mod plans;
mod pod;
mod rights;
mod roots;
mod seccomp;
mod secrets;
mod state;
mod variables;
mod volumes;
